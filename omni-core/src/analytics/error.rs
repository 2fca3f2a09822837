//! Why there is no answer.

use crate::{db::DbError, policy::PolicyError};

/// Why a tool of the analytics server has no answer.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum AnalyticsError {
    /// An argument makes no sense.
    #[error("the argument `{name}` cannot be used: {reason}")]
    Argument {
        /// Which one.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// There is no such tool, or not for whoever asks.
    #[error("there is no tool {name:?}")]
    UnknownTool {
        /// The name.
        name: String,
    },
    /// Nobody says who asks, or the policy lets them do nothing.
    #[error("it is not known who asks, or they may do nothing here")]
    Denied,
    /// The database cannot be read.
    #[error("the history cannot be read at the moment")]
    Unavailable(#[from] DbError),
    /// Of many days rows were removed, which are summed up again.
    #[error("days of which entries were removed are summed up again; ask once more in a minute")]
    Renewing,
}

impl AnalyticsError {
    pub(super) fn argument(name: &str, reason: &str) -> Self {
        Self::Argument { name: name.into(), reason: reason.into() }
    }
}

impl From<PolicyError> for AnalyticsError {
    fn from(error: PolicyError) -> Self {
        tracing::debug!(%error, "a question for analytics is refused");
        Self::Denied
    }
}
