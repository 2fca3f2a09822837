//! What can go wrong with a server.

use crate::redact::Redactor;

/// What went wrong with a server, by meaning.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum McpError {
    /// It cannot be reached or started; of a request nothing was sent.
    #[error("cannot connect: {message}")]
    Connect {
        /// What went wrong.
        message: String,
    },
    /// It wants other credentials.
    #[error("the server refused the credentials: {message}")]
    Unauthorized {
        /// The server's words.
        message: String,
    },
    /// It did not answer in time.
    #[error("no answer within {after_ms} ms")]
    Timeout {
        /// How long it had.
        after_ms: u64,
    },
    /// The connection broke. Whether the request was carried out is unknown, unless `unsent`.
    #[error("the connection was lost: {message}")]
    Closed {
        /// What went wrong.
        message: String,
        /// Whether no byte of the request was written.
        unsent: bool,
    },
    /// The server answered with a JSON-RPC error.
    #[error("{message} (code {code})")]
    Rpc {
        /// The JSON-RPC code.
        code: i64,
        /// The server's words.
        message: String,
    },
    /// The answer is not the protocol, or too large.
    #[error("the server sent something that is not its protocol: {message}")]
    Protocol {
        /// What was wrong.
        message: String,
    },
    /// No such server here, or switched off.
    #[error("there is no server {server:?}")]
    UnknownServer {
        /// The name asked for.
        server: String,
    },
    /// Too many calls run at the server already, and none ended in time.
    #[error("the server is busy: {limit} calls run already")]
    Busy {
        /// How many may run at once.
        limit: usize,
    },
    /// It failed too often and is left alone for a while; nothing was sent.
    #[error("it failed too often and is left alone for {} s more; the last time: {reason}", retry_after_ms.div_ceil(1_000))]
    Resting {
        /// How it failed last.
        reason: String,
        /// When it may be asked again.
        retry_after_ms: u64,
    },
}

impl McpError {
    /// Whether the connection is at fault and must be made anew.
    #[must_use]
    pub fn is_transport_fault(&self) -> bool {
        match self {
            Self::Connect { .. } | Self::Timeout { .. } | Self::Closed { .. } | Self::Protocol { .. } => true,
            Self::Unauthorized { .. }
            | Self::Rpc { .. }
            | Self::UnknownServer { .. }
            | Self::Busy { .. }
            | Self::Resting { .. } => false,
        }
    }

    /// The same without secrets in its words.
    pub(super) fn redacted(mut self, redactor: &Redactor) -> Self {
        match &mut self {
            Self::Connect { message }
            | Self::Unauthorized { message }
            | Self::Closed { message, .. }
            | Self::Rpc { message, .. }
            | Self::Protocol { message }
            | Self::Resting { reason: message, .. } => *message = redactor.text(message),
            Self::Timeout { .. } | Self::UnknownServer { .. } | Self::Busy { .. } => {}
        }
        self
    }
}
