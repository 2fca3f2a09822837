//! Exit codes: what scripts may rely on. The one place where errors and answers become codes.

use std::process::{ExitCode, Termination};

use omni_core::{Answer, Error, ErrorKind, answer::Status, config::ConfigError};

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum Exit {
    /// Answered.
    Success = 0,
    /// The model, a tool or omni failed; a check found problems.
    Failed = 1,
    /// The command line is not right.
    Usage = 2,
    /// Configuration or credentials are not right.
    Config = 3,
    /// Something had to be asked and nobody was there.
    InputNeeded = 4,
    /// Policy or a human said no.
    Denied = 5,
    /// A rate limit or a budget.
    RateLimited = 6,
    /// Out of time or model turns.
    Timeout = 7,
    /// Something upstream is away; the same command may succeed later.
    Unavailable = 8,
    /// Interrupted with Ctrl-C.
    Interrupted = 130,
}

impl Exit {
    /// The number.
    #[must_use]
    pub fn code(self) -> u8 {
        self as u8
    }

    /// Of a failure.
    #[must_use]
    pub fn of_error(error: &Error) -> Self {
        match error.kind() {
            // What the command line names is not there.
            ErrorKind::NotFound if matches!(error, Error::NotFound { .. }) => Self::Usage,
            ErrorKind::Invalid | ErrorKind::Conflict => Self::Usage,
            // Whoever has the address may give it up.
            ErrorKind::Config if matches!(error, Error::Config(ConfigError::Address { .. })) => Self::Unavailable,
            ErrorKind::Config | ErrorKind::Unauthenticated => Self::Config,
            ErrorKind::Denied => Self::Denied,
            ErrorKind::RateLimited => Self::RateLimited,
            ErrorKind::Timeout => Self::Timeout,
            ErrorKind::Unavailable => Self::Unavailable,
            ErrorKind::Cancelled => Self::Interrupted,
            // Kinds that are not known here are failures, and failures are 1.
            _ => Self::Failed,
        }
    }

    /// Of a status.
    #[must_use]
    pub fn of_status(status: Status) -> Self {
        match status {
            Status::Completed => Self::Success,
            Status::Denied => Self::Denied,
            Status::RateLimited => Self::RateLimited,
            Status::Timeout => Self::Timeout,
            Status::Cancelled => Self::Interrupted,
            Status::Waiting => Self::InputNeeded,
            _ => Self::Failed,
        }
    }

    /// Of an answer. An answer that had to do without a call that was refused is a denial, prose or
    /// not, unless `allow_denied`.
    #[must_use]
    pub fn of_answer(answer: &Answer, allow_denied: bool) -> Self {
        match Self::of_status(answer.status) {
            Self::Success if !answer.denials.is_empty() && !allow_denied => Self::Denied,
            exit => exit,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}

impl Termination for Exit {
    fn report(self) -> ExitCode {
        self.into()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use omni_core::{
        identity::{AuthError, Scope},
        limit::{Limit, LimitError, LimitKey, Refusal},
        llm::LlmError,
        mcp::McpError,
        policy::PolicyError,
    };
    use uuid::Uuid;

    use super::*;

    fn server(source: McpError) -> Error {
        Error::Server { server: "db".into(), source }
    }

    #[test]
    fn every_kind_of_error_has_its_documented_code() {
        let text = || "x".to_owned();
        let hourly = Limit::Window { max: 1, per: Duration::from_secs(3600) };
        let refusal = Refusal::new(LimitKey::new("default", "ask:a"), hourly, 1, Duration::from_secs(1));
        let table = [
            (Error::Invalid { message: text() }, 2),
            (ConfigError::NoDirectory { path: text() }.into(), 3),
            (ConfigError::Address { message: text() }.into(), 8),
            (AuthError::MissingScope { subject: text(), scope: Scope::ActAs }.into(), 5),
            (Error::Denied { message: text() }, 5),
            (PolicyError::UnknownSubject { subject: text() }.into(), 5),
            (PolicyError::Unavailable { message: text() }.into(), 8),
            (Error::UnknownTool { name: text(), near: None }, 1),
            (Error::NotFound { message: text() }, 2),
            (Error::Timeout { after: Duration::from_secs(1) }, 7),
            (Error::ShuttingDown, 8),
            (Error::Cancelled, 130),
            (Error::Internal { message: text() }, 1),
            (server(McpError::Connect { message: text() }), 8),
            (server(McpError::Unauthorized { message: text() }), 3),
            (server(McpError::Timeout { after_ms: 1 }), 7),
            (server(McpError::rpc(1, text())), 1),
            (Error::Llm(LlmError::Auth { provider: "openai", variable: "OPENAI_API_KEY", message: text() }), 3),
            (Error::Llm(LlmError::Quota { provider: "openai", message: text() }), 3),
            (LimitError::Refused(Box::new(refusal)).into(), 6),
            (LimitError::Unavailable { message: text() }.into(), 8),
            (Error::Llm(LlmError::Protocol { provider: "openai", message: text() }), 1),
        ];
        for (error, code) in table {
            assert_eq!(Exit::of_error(&error).code(), code, "{error:?}");
        }
    }

    #[test]
    fn every_status_has_its_documented_code() {
        let table = [
            (Status::Completed, 0),
            (Status::Denied, 5),
            (Status::RateLimited, 6),
            (Status::Timeout, 7),
            (Status::Failed, 1),
            (Status::Cancelled, 130),
            (Status::Waiting, 4),
        ];
        for (status, code) in table {
            assert_eq!(Exit::of_status(status).code(), code, "{status:?}");
        }
    }

    #[test]
    fn prose_does_not_hide_a_denial_unless_it_is_allowed_to() {
        let mut answer = Answer::empty(Uuid::nil(), "a@b.c");
        assert_eq!(Exit::of_answer(&answer, false), Exit::Success);
        answer.denials.push(crate::render::fixtures::denial());
        assert_eq!(Exit::of_answer(&answer, false), Exit::Denied);
        assert_eq!(Exit::of_answer(&answer, true), Exit::Success);
    }
}
