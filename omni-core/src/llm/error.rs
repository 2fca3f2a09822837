//! Faults of models and vendors.

use std::time::Duration;

#[cfg(any(feature = "anthropic", feature = "openai"))]
use crate::redact::Redactor;

/// What went wrong with a model, by meaning.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum LlmError {
    /// The key is missing or wrong.
    #[error("{provider} refused the API key: {message}; set llm.api_key in settings.yaml or {variable} to a valid key")]
    Auth {
        /// The provider's kind.
        provider: &'static str,
        /// The variable that holds the key where the configuration sets none.
        variable: &'static str,
        /// The vendor's words.
        message: String,
    },
    /// Too many requests, retries included.
    #[error("{provider} limits the rate of requests: {message}")]
    RateLimited {
        /// The provider's kind.
        provider: &'static str,
        /// The vendor's words.
        message: String,
        /// When the vendor says to come back.
        retry_after: Option<Duration>,
    },
    /// The account has no credit or has spent its quota.
    #[error("{provider} has no credit left for this key: {message}")]
    Quota {
        /// The provider's kind.
        provider: &'static str,
        /// The vendor's words.
        message: String,
    },
    /// The vendor is overloaded or has a fault, retries included.
    #[error("{provider} is not available ({status}): {message}")]
    Unavailable {
        /// The provider's kind.
        provider: &'static str,
        /// The HTTP status, or the vendor's error type.
        status: String,
        /// The vendor's words.
        message: String,
    },
    /// No such model.
    #[error("{provider} has no model {model:?}: {message}")]
    UnknownModel {
        /// The provider's kind.
        provider: &'static str,
        /// The model asked for.
        model: String,
        /// The vendor's words, and a replacement where one is known.
        message: String,
    },
    /// The conversation is too long for the model.
    #[error("the conversation is too long for {model}: {message}")]
    ContextExceeded {
        /// The model.
        model: String,
        /// The vendor's words.
        message: String,
    },
    /// The vendor refused the request. A fault of omni or of an operator's parameter.
    #[error("{provider} refused the request ({status}): {message}")]
    InvalidRequest {
        /// The provider's kind.
        provider: &'static str,
        /// The HTTP status.
        status: u16,
        /// The vendor's words.
        message: String,
    },
    /// The vendor cannot be reached.
    #[error("cannot reach {provider} at {url}: {message}")]
    Network {
        /// The provider's kind.
        provider: &'static str,
        /// The base URL, without credentials.
        url: String,
        /// What went wrong.
        message: String,
    },
    /// The answer was not complete in time.
    #[error("{provider} did not answer in time")]
    Timeout {
        /// The provider's kind.
        provider: &'static str,
    },
    /// The answer broke off.
    #[error("the answer of {provider} broke off: {message}")]
    Cut {
        /// The provider's kind.
        provider: &'static str,
        /// What went wrong.
        message: String,
    },
    /// Something else than the API answered, such as a web page: no turn was made.
    #[error("{provider} sent something that is not its API: {message}")]
    NotAnApi {
        /// The provider's kind.
        provider: &'static str,
        /// What came, and from where, without credentials.
        message: String,
    },
    /// The answer cannot be understood.
    #[error("{provider} sent something that is not its protocol: {message}")]
    Protocol {
        /// The provider's kind.
        provider: &'static str,
        /// What was wrong, without the body.
        message: String,
    },
}

impl LlmError {
    /// Whether the vendor may have begun the turn, and charge for it.
    pub(crate) fn may_be_charged(&self) -> bool {
        match self {
            Self::Timeout { .. } | Self::Cut { .. } | Self::Protocol { .. } => true,
            Self::Auth { .. }
            | Self::RateLimited { .. }
            | Self::Quota { .. }
            | Self::Unavailable { .. }
            | Self::UnknownModel { .. }
            | Self::ContextExceeded { .. }
            | Self::InvalidRequest { .. }
            | Self::Network { .. }
            | Self::NotAnApi { .. } => false,
        }
    }

    /// The same error without secrets: some servers say the key that they refuse.
    #[cfg(any(feature = "anthropic", feature = "openai"))]
    pub(super) fn redacted(mut self, redactor: &Redactor) -> Self {
        match &mut self {
            Self::Auth { message, .. }
            | Self::RateLimited { message, .. }
            | Self::Quota { message, .. }
            | Self::Unavailable { message, .. }
            | Self::UnknownModel { message, .. }
            | Self::ContextExceeded { message, .. }
            | Self::InvalidRequest { message, .. }
            | Self::Network { message, .. }
            | Self::Cut { message, .. }
            | Self::NotAnApi { message, .. }
            | Self::Protocol { message, .. } => *message = redactor.text(message),
            Self::Timeout { .. } => {}
        }
        self
    }
}
