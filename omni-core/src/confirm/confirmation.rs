//! A call that waits, and what becomes of it.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::Bound;
use crate::ask::Source;

/// How far a confirmation has come. It moves by compare-and-set, and never back:
/// `pending → approved → running → done`, or to one of the ends beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum State {
    /// Nobody has decided.
    Pending,
    /// Somebody agreed; the call was not sent yet.
    Approved,
    /// Somebody did not agree.
    Denied,
    /// Nobody decided in time: that is a no.
    Expired,
    /// What was decided does not count: it is not so any more, was not recorded, or was not carried out in time.
    Void,
    /// The call is about to be sent, or was.
    Running,
    /// The call ended.
    Done,
    /// The process that sent it is gone; nobody knows whether it ran. It is not sent again.
    UnknownOutcome,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Pending,
        Self::Approved,
        Self::Denied,
        Self::Expired,
        Self::Void,
        Self::Running,
        Self::Done,
        Self::UnknownOutcome,
    ];

    /// The name in documents and stores.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Denied => "denied",
            Self::Expired => "expired",
            Self::Void => "void",
            Self::Running => "running",
            Self::Done => "done",
            Self::UnknownOutcome => "unknown_outcome",
        }
    }

    /// The state of a name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }

    /// Whether there is such a step.
    #[must_use]
    pub fn may_become(self, next: Self) -> bool {
        match self {
            Self::Pending => matches!(next, Self::Approved | Self::Denied | Self::Expired | Self::Void),
            Self::Approved => matches!(next, Self::Running | Self::Void),
            // Of those that are about to be sent some are not.
            Self::Running => matches!(next, Self::Done | Self::UnknownOutcome | Self::Void),
            Self::Denied | Self::Expired | Self::Void | Self::Done | Self::UnknownOutcome => false,
        }
    }
}

/// A call that waits for a human, or waited for one.
#[derive(Clone)]
#[non_exhaustive]
pub struct Confirmation {
    /// Identifies it.
    pub id: Uuid,
    /// The parked run that the call is of: the id of the ask, but for a run that was parked at a second try.
    pub run: Uuid,
    /// The model's id of the call.
    pub call_id: String,
    /// The tenant.
    pub tenant: String,
    /// Whose rights count: the asker.
    pub subject: String,
    /// Who acts for them, if somebody does.
    pub actor: Option<String>,
    /// The door by which it was asked.
    pub source: Source,
    /// The conversation that the ask belongs to, by its name.
    pub thread: Option<String>,
    /// The server.
    pub server: String,
    /// The tool.
    pub tool: String,
    /// The exact bytes that are sent if somebody agrees. They may hold secrets.
    pub arguments: Box<RawValue>,
    /// The digest of the tool's definition.
    pub tool_digest: String,
    /// The rule that asks for a human, in words.
    pub rule: String,
    /// The digest of the rules that decided.
    pub rule_digest: String,
    /// [`Bound::digest`] of all of it.
    pub digest: String,
    /// When it was asked, by the store's clock.
    pub created_at: DateTime<Utc>,
    /// Until when somebody may decide, by the store's clock.
    pub expires_at: DateTime<Utc>,
    /// How far it has come.
    pub state: State,
    /// Who decided.
    pub decided_by: Option<String>,
    /// When.
    pub decided_at: Option<DateTime<Utc>>,
    /// Why, or what is not as it was.
    pub reason: Option<String>,
    /// When the ledger had the decision.
    pub recorded_at: Option<DateTime<Utc>>,
}

/// Without its arguments: what is shown for debugging hides what may be secret.
impl fmt::Debug for Confirmation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Confirmation")
            .field("id", &self.id)
            .field("run", &self.run)
            .field("subject", &self.subject)
            .field("server", &self.server)
            .field("tool", &self.tool)
            .field("digest", &self.digest)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

impl Confirmation {
    /// One as a store keeps it: a call that waits, of which nobody has said anything. What else is kept of it (its
    /// thread and rule, how far it has come, who decided) goes into its fields. `digest` is the one that was kept with
    /// it: one that is made anew would hide that something was altered.
    #[must_use]
    pub fn stored(
        id: Uuid,
        run: Uuid,
        call_id: impl Into<String>,
        source: Source,
        bound: &Bound<'_>,
        digest: impl Into<String>,
        (created_at, expires_at): (DateTime<Utc>, DateTime<Utc>),
    ) -> Self {
        Self {
            id,
            run,
            call_id: call_id.into(),
            tenant: bound.tenant.into(),
            subject: bound.subject.into(),
            actor: bound.actor.map(Into::into),
            source,
            thread: None,
            server: bound.server.into(),
            tool: bound.tool.into(),
            arguments: bound.arguments.to_owned(),
            tool_digest: bound.tool_digest.into(),
            rule: String::new(),
            rule_digest: bound.rule_digest.into(),
            digest: digest.into(),
            created_at,
            expires_at,
            state: State::Pending,
            decided_by: None,
            decided_at: None,
            reason: None,
            recorded_at: None,
        }
    }

    /// Whether somebody decided, or nobody can any more.
    #[must_use]
    pub fn is_decided(&self) -> bool {
        self.state != State::Pending
    }

    /// Whether a person's answer came.
    #[must_use]
    pub fn was_answered(&self) -> bool {
        self.decided_by.is_some()
    }

    /// What somebody said and the ledger may not know of: it has gone no further since, or does not count.
    pub(crate) fn unrecorded(&self) -> Option<Self> {
        if !self.was_answered() || self.recorded_at.is_some() {
            return None;
        }
        match self.state {
            State::Approved | State::Denied => Some(self.clone()),
            State::Void | State::UnknownOutcome => Some(Self { state: State::Approved, reason: None, ..self.clone() }),
            State::Pending | State::Expired | State::Running | State::Done => None,
        }
    }
}
