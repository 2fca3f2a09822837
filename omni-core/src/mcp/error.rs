//! What can go wrong with a server.

use serde_json::Value;

use crate::redact::Redactor;

/// Most that is kept of what an error says beside its words, in bytes of JSON.
const MAX_DATA: usize = 16 * 1024;

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
    /// The server answered with a JSON-RPC error; or the request or its answer was larger than somebody on the way takes.
    #[error("{message} (code {code})")]
    Rpc {
        /// The JSON-RPC code.
        code: i64,
        /// The server's words.
        message: String,
        /// What else it says, at most 16 KiB of JSON.
        data: Option<Box<Value>>,
    },
    /// The answer is not the protocol.
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
    /// An error of JSON-RPC.
    #[must_use]
    pub fn rpc(code: i64, message: impl Into<String>) -> Self {
        Self::Rpc { code, message: message.into(), data: None }
    }

    /// The same with what else the server says; too much of it is left out.
    #[must_use]
    pub fn with_data(mut self, more: Option<Value>) -> Self {
        if let Self::Rpc { data, .. } = &mut self {
            *data = more.filter(|more| !more.is_null() && more.to_string().len() <= MAX_DATA).map(Box::new);
        }
        self
    }

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

    /// The same of a later leg of a request whose first leg the server has: whatever became of this one, the request
    /// was sent.
    pub(super) fn after_the_first(self) -> Self {
        match self {
            Self::Connect { message } | Self::Closed { message, .. } => Self::Closed { message, unsent: false },
            other => other,
        }
    }

    /// The same without secrets in its words.
    pub(super) fn redacted(mut self, redactor: &Redactor) -> Self {
        match &mut self {
            Self::Connect { message }
            | Self::Unauthorized { message }
            | Self::Closed { message, .. }
            | Self::Protocol { message }
            | Self::Resting { reason: message, .. } => *message = redactor.text(message),
            Self::Rpc { message, data, .. } => {
                *message = redactor.text(message);
                if let Some(data) = data {
                    **data = redactor.json(data);
                }
            }
            Self::Timeout { .. } | Self::UnknownServer { .. } | Self::Busy { .. } => {}
        }
        self
    }
}
