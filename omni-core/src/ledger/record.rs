//! What the ledger records.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::KeyId;
use crate::{
    ask::{Client, Source},
    cost::NanoUsd,
    llm::Usage,
};

/// How an ask or a direct call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Outcome {
    /// Answered.
    Success,
    /// Answered, with a warning.
    Warning,
    /// Failed.
    Error,
    /// Refused by policy.
    Denied,
    /// Refused by a limit.
    RateLimited,
    /// Given up by the asker.
    Cancelled,
    /// Ran out of time.
    Timeout,
    /// It broke off in the middle, or the process died; nobody knows.
    UnknownOutcome,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Success,
        Self::Warning,
        Self::Error,
        Self::Denied,
        Self::RateLimited,
        Self::Cancelled,
        Self::Timeout,
        Self::UnknownOutcome,
    ];

    /// The name as the ledger stores it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Denied => "denied",
            Self::RateLimited => "rate_limited",
            Self::Cancelled => "cancelled",
            Self::Timeout => "timeout",
            Self::UnknownOutcome => "unknown_outcome",
        }
    }
}

/// Who, by which door.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Party {
    /// The tenant.
    pub tenant: String,
    /// Whose rights counted.
    pub subject: String,
    /// Who acted, if somebody else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// The role; `None` when the policy gave no grant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// The door.
    pub source: Source,
    /// What the request says of itself.
    #[serde(default, skip_serializing_if = "Client::is_unknown")]
    pub client: Client,
}

impl Party {
    /// Somebody without a role yet.
    #[must_use]
    pub fn new(principal: &crate::Principal, source: Source) -> Self {
        Self {
            tenant: principal.tenant.clone(),
            subject: principal.subject.clone(),
            actor: principal.actor.clone(),
            role: None,
            source,
            client: Client::default(),
        }
    }

    /// The same, with what the request says of itself.
    #[must_use]
    pub fn with_client(mut self, client: Client) -> Self {
        self.client = client;
        self
    }
}

/// One tool call of an ask, or a direct call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CallRecord {
    /// The model's id of the call; empty for direct calls.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub call_id: String,
    /// The server.
    pub server: String,
    /// The tool.
    pub tool: String,
    /// The arguments, redacted and capped.
    pub arguments: Value,
    /// How it ended.
    pub outcome: Outcome,
    /// The rule that decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// How long it took, in milliseconds: the server, and all that was waited for before it was asked, such as a human's
    /// decision.
    pub duration_ms: u64,
    /// The size of what it returned, as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Its share of what the model turn cost that made it; `None` when nothing or nobody knows what.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<NanoUsd>,
    /// What went wrong, redacted and capped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Whether omni itself ended it, so that it says nothing of the server: it was refused, or made no sense.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unsent: bool,
}

impl CallRecord {
    /// A call that ended.
    #[must_use]
    pub fn new(server: &str, tool: &str, arguments: Value, outcome: Outcome) -> Self {
        Self {
            call_id: String::new(),
            server: server.into(),
            tool: tool.into(),
            arguments,
            outcome,
            rule: None,
            duration_ms: 0,
            bytes: None,
            cost: None,
            error: None,
            unsent: false,
        }
    }

    /// Whether it came to its server.
    #[must_use]
    pub fn was_sent(&self) -> bool {
        !self.unsent && !matches!(self.outcome, Outcome::Denied | Outcome::RateLimited)
    }
}

/// One turn of the model in an ask.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TurnRecord {
    /// When it ended.
    pub at: DateTime<Utc>,
    /// Tokens.
    pub usage: Usage,
    /// Cost; `None` when the price is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<NanoUsd>,
    /// How long the vendor took, in milliseconds.
    pub duration_ms: u64,
}

impl TurnRecord {
    /// A turn that ended now.
    #[must_use]
    pub fn new(usage: Usage, cost: Option<NanoUsd>, duration_ms: u64) -> Self {
        Self { at: Utc::now(), usage, cost, duration_ms }
    }
}

/// The closing record of an ask.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AskRecord {
    /// The question, redacted and capped.
    pub question: String,
    /// The answer, redacted and capped.
    pub answer: String,
    /// How it ended.
    pub outcome: Outcome,
    /// `max_iterations_reached`, `max_tokens_budget`, `max_cost`, `timeout`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
    /// What went wrong, redacted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The model, redacted and capped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Model turns.
    pub iterations: u32,
    /// Each of them, in order. Records of before do not have them, and what else a model did for an ask, such as
    /// telling a conversation in short, is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub turns: Vec<TurnRecord>,
    /// `server.tool` of every call that ran, in order.
    pub tools_used: Vec<String>,
    /// The servers of those, each once: a name may have dots.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub servers_used: BTreeSet<String>,
    /// Tokens.
    pub usage: Usage,
    /// Cost; `None` when a price is unknown.
    pub cost: Option<NanoUsd>,
    /// From the first step to this record, in milliseconds.
    pub duration_ms: u64,
}

impl AskRecord {
    /// An ask that ended, with nothing else known of it.
    #[must_use]
    pub fn new(question: impl Into<String>, outcome: Outcome) -> Self {
        Self {
            question: question.into(),
            answer: String::new(),
            outcome,
            warning: None,
            error: None,
            model: None,
            iterations: 0,
            turns: Vec::new(),
            tools_used: Vec::new(),
            servers_used: BTreeSet::new(),
            usage: Usage::default(),
            cost: None,
            duration_ms: 0,
        }
    }
}

/// What an administrator did, or tried to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AdminRecord {
    /// What: `user.add`, `key.revoke`, `policy.import`, …
    pub action: String,
    /// To whom or to what.
    pub target: String,
    /// With what, without secrets.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub details: Value,
    /// How it ended.
    pub outcome: Outcome,
    /// What went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl AdminRecord {
    /// Something that went well.
    #[must_use]
    pub fn new(action: impl Into<String>, target: impl Into<String>) -> Self {
        Self {
            action: action.into(),
            target: target.into(),
            details: Value::Null,
            outcome: Outcome::Success,
            error: None,
        }
    }
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// A chain begins.
    ChainOpened {
        /// The chain before, and its last seal in hex.
        previous: Option<(Uuid, String)>,
        /// The chains that ended beside that one, likewise.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        also: Vec<(Uuid, String)>,
        /// Which key seals it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<KeyId>,
    },
    /// An ask was let in. It ends in an [`Event::Ask`], if need be after a crash.
    AskStarted {
        /// The question, redacted and capped.
        question: String,
    },
    /// A call that is not trusted as read-only is about to be sent.
    Started(CallRecord),
    /// A tool call of an ask ended.
    ToolCall(CallRecord),
    /// An ask ended.
    Ask(Box<AskRecord>),
    /// A direct call ended.
    DirectCall(CallRecord),
    /// An administrator did something, or tried to.
    Admin(AdminRecord),
    /// Records were lost while `audit.required` was false.
    Gap {
        /// How many.
        count: u64,
    },
}

impl Event {
    /// Whether people are told of it in a row of its own. What has only begun, and what a chain says of itself, is in
    /// no list.
    pub(crate) fn is_told(&self) -> bool {
        match self {
            Self::ToolCall(_) | Self::Ask(_) | Self::DirectCall(_) | Self::Admin(_) => true,
            Self::ChainOpened { .. } | Self::AskStarted { .. } | Self::Started(_) | Self::Gap { .. } => false,
        }
    }
}

/// One entry of the ledger, before it is sealed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Record {
    /// The ask or direct call it belongs to; nil for the chain's own records.
    pub request_id: Uuid,
    /// When.
    pub at: DateTime<Utc>,
    /// Who; `None` for the chain's own records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub party: Option<Party>,
    /// What.
    #[serde(flatten)]
    pub event: Event,
}

impl Record {
    /// An entry of now.
    #[must_use]
    pub fn new(request_id: Uuid, party: Option<Party>, event: Event) -> Self {
        Self { request_id, at: Utc::now(), party, event }
    }
}
