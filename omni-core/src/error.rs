//! One error for whoever asks, by meaning.

use std::time::Duration;

use crate::{
    audit::AuditError,
    catalog::Misfit,
    config::ConfigError,
    confirm::RunError,
    identity::{AuthError, KeyError},
    kept::KeptError,
    limit::{LimitError, Refusal},
    llm::LlmError,
    mcp::McpError,
    pin::PinError,
    policy::{PolicyError, SourceRef},
    registry::BuildError,
    results::ResultError,
    thread::ThreadError,
    uptime::UptimeError,
};

/// What kind of failure it is: what a frontend maps to a status or an exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The caller's input is not right.
    Invalid,
    /// The configuration or a credential of omni's is not right.
    Config,
    /// The caller is not who they should be.
    Unauthenticated,
    /// The caller may not.
    Denied,
    /// What was asked for does not exist, or not for this caller.
    NotFound,
    /// Too much, for now.
    RateLimited,
    /// Too slow.
    Timeout,
    /// Something upstream is away for now.
    Unavailable,
    /// Given up by the caller.
    Cancelled,
    /// Things are not as the request takes them to be.
    Conflict,
    /// Anything else.
    Failed,
}

impl ErrorKind {
    /// The name in JSON documents.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::Config => "config",
            Self::Unauthenticated => "unauthenticated",
            Self::Denied => "denied",
            Self::NotFound => "not_found",
            Self::RateLimited => "rate_limited",
            Self::Timeout => "timeout",
            Self::Unavailable => "unavailable",
            Self::Cancelled => "cancelled",
            Self::Conflict => "conflict",
            Self::Failed => "failed",
        }
    }
}

/// What went wrong.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Something could not be built from the configuration.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The credential was not accepted.
    #[error(transparent)]
    Auth(#[from] AuthError),
    /// The policy gave no grant.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// A limit refused.
    #[error(transparent)]
    Limit(#[from] LimitError),
    /// The conversation could not be read or written.
    #[error(transparent)]
    Thread(#[from] ThreadError),
    /// The runs that wait for a human could not be read or written.
    #[error(transparent)]
    Runs(#[from] RunError),
    /// What tools returned could not be read or written.
    #[error(transparent)]
    Results(#[from] ResultError),
    /// What a frontend keeps could not be read or written.
    #[error(transparent)]
    Kept(#[from] KeptError),
    /// How servers did could not be read or written.
    #[error(transparent)]
    Uptime(#[from] UptimeError),
    /// The language model failed.
    #[error(transparent)]
    Llm(#[from] LlmError),
    /// A server failed.
    #[error("{server}: {source}")]
    Server {
        /// The server.
        server: String,
        /// What went wrong.
        #[source]
        source: McpError,
    },
    /// A server without which nothing is to start cannot be used.
    #[error("omni does not start without the server {server}, whose on_start_failure is fail_closed: {source}")]
    Needed {
        /// The server.
        server: String,
        /// What went wrong.
        #[source]
        source: McpError,
    },
    /// The ledger failed.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// A file names the person: whoever edits it can change what they may do, and nobody else.
    #[error("{at}: {subject} is named there; edit the file")]
    NamedInFile {
        /// Who.
        subject: String,
        /// Where.
        at: SourceRef,
    },
    /// The database of people cannot be used.
    #[error("{message}")]
    People {
        /// What went wrong.
        message: String,
    },
    /// The keys could not be read or written by whoever manages them.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// What is known of tools could not be read or written.
    #[error(transparent)]
    Pins(#[from] PinError),
    /// What was asked could not be summed up.
    #[error("{message}")]
    Analytics {
        /// What went wrong.
        message: String,
    },
    /// The caller may not do this.
    #[error("{message}")]
    Denied {
        /// What, and why.
        message: String,
    },
    /// No such tool, or not for this caller.
    #[error("there is no tool {name:?}{}", near.as_ref().map(|near| format!("; did you mean {near:?}?")).unwrap_or_default())]
    UnknownTool {
        /// The name asked for.
        name: String,
        /// The nearest name that the caller may use.
        near: Option<String>,
    },
    /// No such thing, or not for this caller.
    #[error("{message}")]
    NotFound {
        /// What is not there.
        message: String,
    },
    /// The input is not right.
    #[error("{message}")]
    Invalid {
        /// What is wrong, and what would be right.
        message: String,
    },
    /// Arguments do not fit the tool.
    #[error("{message}")]
    Arguments {
        /// All of it in one sentence.
        message: String,
        /// What does not fit, one by one; empty where they are no object that can be read.
        misfits: Vec<Misfit>,
    },
    /// Things are not as the request takes them to be.
    #[error("{message}")]
    Conflict {
        /// How they are.
        message: String,
    },
    /// This takes a database, and the configuration has none.
    #[error("there is nowhere to keep {what}: the ledger is in no database")]
    NoDatabase {
        /// What would be kept.
        what: &'static str,
    },
    /// What somebody decided on cannot go on yet: the decision is kept, and nothing of it is used up.
    #[error("{why}; {}", kept(*again))]
    Waits {
        /// What is in the way.
        why: Box<Self>,
        /// Whether it takes somebody to say the same again: it goes on by itself otherwise.
        again: bool,
    },
    /// It took too long.
    #[error("no answer within {} s", after.as_secs_f32())]
    Timeout {
        /// How long it had.
        after: Duration,
    },
    /// The caller gave up.
    #[error("cancelled")]
    Cancelled,
    /// omni is shutting down.
    #[error("omni is shutting down")]
    ShuttingDown,
    /// A fault in omni.
    #[error("an internal error: {message}")]
    Internal {
        /// What is known of it.
        message: String,
    },
}

impl Error {
    /// What keeps a ledger from opening: a file or a directory that cannot be used then stays so until somebody mends it.
    pub(crate) fn of_opening(error: AuditError) -> Self {
        match error {
            AuditError::File { .. } => BuildError::invalid(format!(
                "{error}; omni keeps its files in its data directory, which data_dir in settings.yaml names, or else lies in \
                 XDG_DATA_HOME"
            ))
            .into(),
            other => other.into(),
        }
    }

    /// What kind of failure it is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Config(_) | Self::Build(_) | Self::NamedInFile { .. } | Self::NoDatabase { .. } => ErrorKind::Config,
            Self::Auth(AuthError::InvalidKey | AuthError::InvalidToken | AuthError::Unnamed) => {
                ErrorKind::Unauthenticated
            }
            // It is known who asks; they may not be somebody else.
            Self::Auth(AuthError::MissingScope { .. } | AuthError::NotListed { .. }) => ErrorKind::Denied,
            Self::Auth(AuthError::Unavailable(_) | AuthError::IssuerAway { .. }) => ErrorKind::Unavailable,
            Self::Policy(PolicyError::Unavailable { .. }) => ErrorKind::Unavailable,
            Self::Policy(_) | Self::Denied { .. } => ErrorKind::Denied,
            Self::Audit(error) => audit_kind(error),
            Self::Limit(LimitError::Refused(_)) => ErrorKind::RateLimited,
            Self::Limit(LimitError::Unavailable { .. })
            | Self::Thread(_)
            | Self::Runs(_)
            | Self::Results(_)
            | Self::Kept(_)
            | Self::Uptime(_)
            | Self::People { .. }
            | Self::Keys(_)
            | Self::Pins(_)
            | Self::Analytics { .. }
            | Self::Waits { .. }
            | Self::ShuttingDown => ErrorKind::Unavailable,
            Self::Llm(error) => llm_kind(error),
            Self::Server { source, .. } | Self::Needed { source, .. } => server_kind(source),
            Self::UnknownTool { .. } | Self::NotFound { .. } => ErrorKind::NotFound,
            Self::Invalid { .. } | Self::Arguments { .. } => ErrorKind::Invalid,
            Self::Timeout { .. } => ErrorKind::Timeout,
            Self::Cancelled => ErrorKind::Cancelled,
            Self::Conflict { .. } => ErrorKind::Conflict,
            Self::Internal { .. } => ErrorKind::Failed,
        }
    }

    /// Whether the same ask may well succeed later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self.kind(), ErrorKind::RateLimited | ErrorKind::Unavailable | ErrorKind::Timeout)
    }

    /// When to come back, where that is known.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Limit(LimitError::Refused(refusal)) => Some(refusal.retry_after),
            Self::Llm(LlmError::RateLimited { retry_after, .. }) => *retry_after,
            Self::Server { source: McpError::Resting { retry_after_ms, .. }, .. } => {
                Some(Duration::from_millis(*retry_after_ms))
            }
            Self::Waits { why, .. } => why.retry_after(),
            _ => None,
        }
    }

    /// The limit that refused, with what headers such as `RateLimit-Limit`, `-Remaining` and `-Reset` say.
    #[must_use]
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Limit(LimitError::Refused(refusal)) => Some(refusal),
            _ => None,
        }
    }

    /// What may be shown to anybody: never a path, a host or a vendor's words, save where the
    /// person can act on them.
    #[must_use]
    pub fn public_message(&self) -> String {
        match self {
            Self::Internal { .. } => "an internal error; the operator finds it in the log".into(),
            Self::Config(_) | Self::Build(_) => "the service is not configured rightly; the operator knows more".into(),
            Self::Auth(AuthError::IssuerAway { .. }) => "tokens cannot be checked at the moment".into(),
            Self::Auth(AuthError::Unavailable(_)) => "API keys cannot be looked up at the moment".into(),
            Self::Policy(PolicyError::Unavailable { .. }) => "who may do what cannot be looked up at the moment".into(),
            Self::Limit(LimitError::Unavailable { .. }) => "requests cannot be counted at the moment".into(),
            Self::People { .. } => "the people cannot be read or written at the moment".into(),
            Self::Keys(_) => "API keys cannot be read or written at the moment".into(),
            Self::Pins(_) => "what is known of the tools cannot be read or written at the moment".into(),
            Self::Analytics { .. } => "what was asked cannot be summed up at the moment".into(),
            Self::Thread(_) => "the conversation cannot be read or written at the moment".into(),
            Self::Runs(_) => "what waits for a decision cannot be read or written at the moment".into(),
            Self::Results(_) => "what tools returned cannot be read or written at the moment".into(),
            Self::Kept(_) => "what is kept for you cannot be read or written at the moment".into(),
            Self::Uptime(_) => "how the servers did cannot be read or written at the moment".into(),
            Self::Audit(AuditError::NotYours { .. }) => self.to_string(),
            Self::Audit(AuditError::Invalid { .. } | AuditError::Conflict { .. }) => {
                "the audit ledger cannot do this".into()
            }
            Self::Audit(
                AuditError::Unavailable { .. } | AuditError::Full { .. } | AuditError::Closed | AuditError::File { .. },
            ) => "the audit ledger cannot take this request at the moment".into(),
            Self::Llm(error) => llm_message(error).into(),
            Self::Waits { why, again } => format!("{}; {}", why.public_message(), kept(*again)),
            Self::Server { server, source } | Self::Needed { server, source } => {
                format!("{server}: {}", server_message(source))
            }
            Self::Auth(_)
            | Self::Policy(_)
            | Self::Limit(LimitError::Refused(_))
            | Self::Denied { .. }
            | Self::NamedInFile { .. }
            | Self::UnknownTool { .. }
            | Self::NotFound { .. }
            | Self::Invalid { .. }
            | Self::Arguments { .. }
            | Self::Conflict { .. }
            | Self::NoDatabase { .. }
            | Self::Timeout { .. }
            | Self::Cancelled
            | Self::ShuttingDown => self.to_string(),
        }
    }
}

fn kept(again: bool) -> &'static str {
    match again {
        true => "what was decided is kept until then",
        false => "what was decided is kept, and goes on once that is over",
    }
}

fn llm_message(error: &LlmError) -> &'static str {
    match error {
        LlmError::Auth { .. } | LlmError::UnknownModel { .. } | LlmError::Quota { .. } => {
            "the language model is not set up rightly; the operator knows more"
        }
        LlmError::RateLimited { .. } | LlmError::Unavailable { .. } | LlmError::Network { .. } => {
            "the language model is not available at the moment"
        }
        LlmError::Timeout { .. } => "the language model did not answer in time",
        LlmError::ContextExceeded { .. } => "the conversation is too long for the language model",
        LlmError::InvalidRequest { .. } => "the language model refused the request",
        LlmError::NotAnApi { .. } | LlmError::Cut { .. } | LlmError::Protocol { .. } => {
            "the language model's answer broke off"
        }
    }
}

fn server_message(error: &McpError) -> &'static str {
    match error {
        McpError::Connect { .. } | McpError::Closed { .. } => "the server is away",
        McpError::Unauthorized { .. } => "the server does not accept omni's credentials",
        McpError::Timeout { .. } => "the server did not answer in time",
        McpError::Busy { .. } => "the server is busy",
        McpError::Resting { .. } => "the server failed too often and is left alone for a while",
        McpError::UnknownServer { .. } => "there is no such server",
        McpError::Rpc { .. } => "the server refused the request",
        McpError::Protocol { .. } => "the server broke its protocol",
    }
}

fn audit_kind(error: &AuditError) -> ErrorKind {
    match error {
        AuditError::Unavailable { .. } | AuditError::Full { .. } | AuditError::Closed | AuditError::File { .. } => {
            ErrorKind::Unavailable
        }
        AuditError::NotYours { .. } => ErrorKind::Denied,
        AuditError::Invalid { .. } => ErrorKind::Invalid,
        // Other bytes stay where they are, however often it is tried.
        AuditError::Conflict { .. } => ErrorKind::Failed,
    }
}

fn llm_kind(error: &LlmError) -> ErrorKind {
    match error {
        LlmError::Auth { .. } | LlmError::UnknownModel { .. } | LlmError::Quota { .. } => ErrorKind::Config,
        LlmError::RateLimited { .. } | LlmError::Unavailable { .. } | LlmError::Network { .. } => {
            ErrorKind::Unavailable
        }
        LlmError::Timeout { .. } => ErrorKind::Timeout,
        LlmError::ContextExceeded { .. }
        | LlmError::InvalidRequest { .. }
        | LlmError::NotAnApi { .. }
        | LlmError::Cut { .. }
        | LlmError::Protocol { .. } => ErrorKind::Failed,
    }
}

fn server_kind(error: &McpError) -> ErrorKind {
    match error {
        McpError::Connect { .. } | McpError::Closed { .. } | McpError::Busy { .. } | McpError::Resting { .. } => {
            ErrorKind::Unavailable
        }
        McpError::Unauthorized { .. } => ErrorKind::Config,
        McpError::Timeout { .. } => ErrorKind::Timeout,
        McpError::UnknownServer { .. } => ErrorKind::NotFound,
        McpError::Rpc { .. } | McpError::Protocol { .. } => ErrorKind::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_anybody_may_read_names_no_host_no_path_and_no_vendors_words() {
        let network =
            LlmError::Network { provider: "openai", url: "http://10.0.0.7:8080".into(), message: "refused".into() };
        let connect = McpError::Connect { message: "/opt/servers/db: no such file".into() };
        let file = AuditError::File { path: "/var/lib/omni".into(), message: "disk full".into() };
        let errors = [Error::Llm(network), Error::Server { server: "db".into(), source: connect }, Error::Audit(file)];
        for error in errors {
            let message = error.public_message();
            assert!(error.to_string().contains('/') && !message.contains('/'), "{message}");
        }
        assert_eq!(Error::Denied { message: "not for you".into() }.public_message(), "not for you");
    }

    #[test]
    fn each_store_of_the_administrators_that_is_away_is_told_of_by_its_own_name() {
        let away = "10.0.0.7 refused";
        let errors = [
            (Error::People { message: away.into() }, "the people"),
            (KeyError::new(away).into(), "API keys"),
            (PinError::new(away).into(), "the tools"),
            (Error::Analytics { message: away.into() }, "summed up"),
        ];
        for (error, named) in errors {
            let message = error.public_message();
            assert!(message.contains(named) && !message.contains(away), "{message}");
            assert!(error.to_string().contains(away) && error.is_retryable(), "{error}");
        }
    }

    #[test]
    fn what_the_ledger_can_do_at_no_time_is_not_to_be_tried_again() {
        let at = |message: &str| message.to_owned();
        let for_now = [
            AuditError::Unavailable { message: at("away") },
            AuditError::Full { message: at("disk") },
            AuditError::Closed,
            AuditError::File { path: at("/x"), message: at("disk full") },
        ];
        for error in for_now.map(Error::Audit) {
            assert!(error.is_retryable() && error.public_message().contains("at the moment"), "{error}");
        }
        let conflict = AuditError::Conflict { chain_id: uuid::Uuid::nil(), seq: 7 };
        let for_good = [(AuditError::Invalid { message: at("no") }, ErrorKind::Invalid), (conflict, ErrorKind::Failed)];
        for (error, kind) in for_good {
            let error = Error::Audit(error);
            assert_eq!((error.kind(), error.is_retryable()), (kind, false), "{error}");
            assert!(!error.public_message().contains("at the moment"), "{error}");
        }
    }
}
