//! Why a command ended without its result.

use std::{fmt, io};

use omni_core::{Error, answer::json::ErrorJson, config::ConfigError, policy::PolicyError};

use crate::exit::Exit;

/// A failure on its way to standard error, or to a JSON document, and to an exit code.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Fault {
    /// Something failed, or was refused.
    Failed {
        /// What.
        error: Box<Error>,
        /// What to do about it, where the command knows better than the error does.
        hint: Option<String>,
        /// The exit code.
        exit: Exit,
    },
    /// Whoever read standard output went away: nobody is left to tell.
    BrokenPipe,
}

impl Fault {
    /// A command line that cannot be carried out.
    pub fn usage(message: impl Into<String>) -> Self {
        Error::Invalid { message: message.into() }.into()
    }

    /// A failure with an exit code of its own.
    pub fn with_exit(message: impl Into<String>, exit: Exit) -> Self {
        let error = Box::new(Error::Invalid { message: message.into() });
        Self::Failed { error, hint: None, exit }
    }

    /// The same failure with advice.
    #[must_use]
    pub fn hint(self, advice: impl Into<String>) -> Self {
        match self {
            Self::Failed { error, exit, .. } => Self::Failed { error, hint: Some(advice.into()), exit },
            Self::BrokenPipe => Self::BrokenPipe,
        }
    }

    /// The exit code.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Failed { exit, .. } => *exit,
            Self::BrokenPipe => Exit::Success,
        }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Failed { exit: Exit::of_error(&error), error: Box::new(error), hint: None }
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::BrokenPipe,
            _ => Self::with_exit(format!("cannot write the output: {error}"), Exit::Failed),
        }
    }
}

impl From<serde_json::Error> for Fault {
    fn from(error: serde_json::Error) -> Self {
        match error.io_error_kind() {
            Some(kind) => io::Error::from(kind).into(),
            None => Error::Internal { message: error.to_string() }.into(),
        }
    }
}

/// The one line of an error, without its mark.
///
/// The person at the terminal is the operator too, so nothing is kept back.
#[must_use]
pub(crate) fn line(error: &Error) -> String {
    error.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The advice that goes with an error.
#[must_use]
pub(crate) fn advice(error: &Error) -> Option<String> {
    if is_of_nobody(error) {
        return Some("`--as EMAIL` is how the person at the terminal acts for somebody whom users.yaml names".into());
    }
    if let Error::Config(ConfigError::Address { .. }) = error {
        return Some("it may be free in a while, and `--bind HOST:PORT` takes another one".into());
    }
    ErrorJson::from(error).hint
}

/// Whether the person at the terminal is nobody whom the policy knows.
fn is_of_nobody(error: &Error) -> bool {
    matches!(error, Error::Policy(PolicyError::UnknownSubject { subject }) if subject.starts_with("local:"))
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed { error, .. } => f.write_str(&line(error)),
            Self::BrokenPipe => f.write_str("the reader of standard output went away"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_is_nobody_at_the_terminal_learns_how_to_be_somebody() {
        let advice = |subject: &str| advice(&PolicyError::UnknownSubject { subject: subject.into() }.into()).unwrap();
        assert!(advice("local:root").contains("`--as EMAIL`"));
        assert!(advice("eve@elsewhere.com").contains("policy explain"));
    }
}
