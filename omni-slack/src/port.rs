//! Slack, as the bot needs it: methods to call, and deliveries that come in.
//!
//! [`SlackPort`] and [`EventSource`] are what the bot knows of Slack's wire. `web` and `socket` are
//! them over slack-morphism, [`signed`](crate::signed) is deliveries by signed requests.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

pub(crate) mod socket;
pub(crate) mod web;

/// Errors after which no other call can succeed either.
const FATAL: [&str; 8] = [
    "not_authed",
    "invalid_auth",
    "account_inactive",
    "token_revoked",
    "token_expired",
    "user_removed_from_team",
    "team_disabled",
    "not_allowed_token_type",
];
/// What Slack says where it is not well itself.
const UNWELL: [&str; 3] = ["internal_error", "fatal_error", "service_unavailable"];

/// Why Slack did not do something.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SlackError {
    /// Slack said no, by this code.
    #[error("{method}: Slack says {code}")]
    Api {
        /// The method.
        method: String,
        /// Its word, such as `not_in_channel`.
        code: String,
    },
    /// Too much for now.
    #[error("{method}: Slack wants a pause")]
    Limited {
        /// The method.
        method: String,
        /// For how long.
        retry_after: Duration,
    },
    /// No answer that can be read.
    #[error("{method}: Slack cannot be reached: {message}")]
    Away {
        /// The method.
        method: String,
        /// What went wrong, without a word of a body.
        message: String,
        /// Whether Slack has not taken it: there was no connection, or what stands before Slack says that it is not
        /// there (status 503).
        is_untaken: bool,
    },
    /// Something that the bot needs is not configured.
    #[error("{message}")]
    Config {
        /// What, and where it belongs.
        message: String,
    },
}

impl SlackError {
    /// An answer of Slack's with a code.
    #[must_use]
    pub fn api(method: &str, code: &str) -> Self {
        Self::Api { method: method.into(), code: code.into() }
    }

    /// No answer to something that Slack may have taken.
    pub(crate) fn away(method: &str, message: impl Into<String>) -> Self {
        Self::Away { method: method.into(), message: message.into(), is_untaken: false }
    }

    /// Slack's code, where it said one.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Api { code, .. } => Some(code),
            Self::Limited { .. } | Self::Away { .. } | Self::Config { .. } => None,
        }
    }

    /// Whether trying again is in vain: the credentials are not right, or nothing is configured.
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        match self {
            Self::Api { code, .. } => FATAL.contains(&code.as_str()),
            Self::Config { .. } => true,
            Self::Limited { .. } | Self::Away { .. } => false,
        }
    }

    /// Whether Slack may have done it all the same: it gave no answer, or one that it is not well itself.
    pub(crate) fn may_be_taken(&self) -> bool {
        match self {
            Self::Away { is_untaken, .. } => !is_untaken,
            Self::Api { .. } => !self.is_refusal(),
            Self::Limited { .. } | Self::Config { .. } => false,
        }
    }

    /// Whether Slack does not take what it was told, and will not take the same later: it is well itself.
    pub(crate) fn is_refusal(&self) -> bool {
        self.code().is_some_and(|code| !UNWELL.contains(&code))
    }
}

/// Slack's Web API with the bot's token.
#[async_trait]
pub trait SlackPort: Send + Sync + fmt::Debug {
    /// Calls a method with JSON arguments; its answer, where that is `ok`.
    ///
    /// # Errors
    /// A [`SlackError`].
    async fn call(&self, method: &str, arguments: &Value) -> Result<Value, SlackError>;

    /// Posts a message to a `response_url`.
    ///
    /// # Errors
    /// A [`SlackError`].
    async fn respond(&self, url: &str, message: &Value) -> Result<(), SlackError>;

    /// Sends a file's bytes to the address that Slack gave for them.
    ///
    /// # Errors
    /// A [`SlackError`].
    async fn upload(&self, url: &str, bytes: &[u8]) -> Result<(), SlackError>;
}

/// By which of its three ways something comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeliveryKind {
    /// An event of the Events API.
    Event,
    /// A slash command.
    Command,
    /// A click, a shortcut or a modal.
    Interaction,
}

/// What Slack delivers, as it sent it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Delivery {
    /// By which way.
    pub kind: DeliveryKind,
    /// The payload.
    pub payload: Value,
    /// How often it was delivered before, as far as Slack says.
    pub retry: u64,
}

impl Delivery {
    /// Something that was not delivered before.
    #[must_use]
    pub fn new(kind: DeliveryKind, payload: Value) -> Self {
        Self { kind, payload, retry: 0 }
    }
}

/// What Slack is answered at once.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Ack {
    /// It came.
    Empty,
    /// It came, and this goes back: what becomes of a modal.
    With(Value),
    /// There is no room; Slack delivers events again later.
    Refused,
}

/// Takes deliveries in. It never waits: what there is to do is done later.
pub trait Intake: Send + Sync + fmt::Debug {
    /// Takes one in.
    fn take(&self, delivery: Delivery) -> Ack;
}

/// When a socket counts as dead on which nothing comes any more, and how soon that is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pulse {
    /// How often it is asked for a sign of life, in seconds.
    pub every_s: u64,
    /// How many signs of life may be missed. At the one after that the socket is given up, and another one opened.
    pub missed: u64,
}

impl Default for Pulse {
    /// Half a minute may pass, and at forty seconds it is over.
    fn default() -> Self {
        Self { every_s: 10, missed: 3 }
    }
}

impl Pulse {
    /// Another one; a second is the least.
    #[must_use]
    pub fn new(every_s: u64, missed: u64) -> Self {
        Self { every_s: every_s.max(1), missed }
    }

    /// How often somebody looks whether there is a socket at all.
    pub(crate) fn look_every(self) -> Duration {
        Duration::from_millis(self.every_s.saturating_mul(1_500))
    }
}

/// Where deliveries come from.
#[async_trait]
pub trait EventSource: Send + Sync + fmt::Debug {
    /// Hands over whatever comes, until `stop`.
    ///
    /// # Errors
    /// A [`SlackError`] after which nothing comes any more.
    async fn run(&self, to: Arc<dyn Intake>, stop: CancellationToken) -> Result<(), SlackError>;

    /// How many connections are open.
    fn connections(&self) -> usize;

    /// Whether anything would come.
    ///
    /// # Errors
    /// Why it would not.
    async fn probe(&self) -> Result<(), SlackError>;
}
