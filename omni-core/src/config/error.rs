//! What keeps a configuration from being used.

use super::Diagnostic;

/// Why a configuration cannot be used.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The directory asked for is not there.
    #[error("the configuration directory {path} does not exist; `omni init` makes one")]
    NoDirectory {
        /// The path.
        path: String,
    },
    /// A file cannot be read.
    #[error("cannot read {path}: {message}")]
    Read {
        /// The path.
        path: String,
        /// What went wrong.
        message: String,
    },
    /// The address to listen at is taken, or not this machine's: it is well-formed, and may be free later.
    #[error("app.host: {message}")]
    Address {
        /// Which, and why.
        message: String,
    },
    /// A file is not what it should be.
    #[error("{0}")]
    Invalid(Box<Diagnostic>),
    /// Several things are not as they should be; never empty.
    #[error("{}", lines(findings))]
    Several {
        /// All of them.
        findings: Vec<Diagnostic>,
    },
}

fn lines(findings: &[Diagnostic]) -> String {
    findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

impl From<Diagnostic> for ConfigError {
    fn from(finding: Diagnostic) -> Self {
        Self::Invalid(Box::new(finding))
    }
}
