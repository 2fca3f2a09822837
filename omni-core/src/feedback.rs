//! What people say of answers: 👍 or 👎, once per person and ask, and why.

use chrono::{DateTime, Utc};
use uuid::Uuid;

#[cfg(any(feature = "sqlite", feature = "postgres"))]
use crate::{
    audit::LogEntry,
    db::{Db, DbError},
};

/// Most characters of a reason.
pub const MAX_REASON: usize = 1_000;

/// Whether an answer was of use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// 👍
    Up,
    /// 👎
    Down,
}

impl Verdict {
    /// Whether it is a good one.
    #[must_use]
    pub fn is_good(self) -> bool {
        self == Self::Up
    }
}

/// What somebody says of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Feedback {
    /// Of which ask.
    pub request_id: Uuid,
    /// What.
    pub verdict: Verdict,
    /// Why, in their words.
    pub reason: Option<String>,
    /// Whether the door vouches that they have read the answer, as in a channel: it need not be their own then.
    pub was_read: bool,
}

impl Feedback {
    /// A verdict without a reason.
    #[must_use]
    pub fn new(request_id: Uuid, verdict: Verdict) -> Self {
        Self { request_id, verdict, reason: None, was_read: false }
    }

    /// The same of somebody who reads where the answer stands, as the door knows by itself: never by the word of
    /// whoever judges.
    #[must_use]
    pub fn of_reader(mut self) -> Self {
        self.was_read = true;
        self
    }

    /// The same with a reason; an empty one is none.
    #[must_use]
    pub fn because(mut self, reason: Option<String>) -> Self {
        self.reason = reason.map(|reason| reason.trim().to_owned()).filter(|reason| !reason.is_empty());
        self
    }
}

/// Keeps what somebody says of an ask, in the place of what they said of it before; the same verdict without a reason takes
/// none away. What the ask was is kept with it, so
/// that sums need not look for it.
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub(crate) async fn keep(
    db: &Db,
    by: &str,
    feedback: &Feedback,
    ask: &LogEntry,
    at: DateTime<Utc>,
) -> Result<(), DbError> {
    const KEEP: &str =
        "INSERT INTO ask_feedback (request_id, tenant, user_email, is_good, reason, asker, model, question,
        created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
        ON CONFLICT (request_id, tenant, user_email) DO UPDATE SET
        reason = CASE WHEN excluded.is_good = ask_feedback.is_good AND excluded.reason IS NULL THEN ask_feedback.reason
            ELSE excluded.reason END,
        is_good = excluded.is_good, created_at = excluded.created_at";
    let values = [
        feedback.request_id.to_string().into(),
        (&ask.tenant).into(),
        by.into(),
        feedback.verdict.is_good().into(),
        (&feedback.reason).into(),
        (&ask.user_email).into(),
        (&ask.model).into(),
        (&ask.message_preview).into(),
        at.into(),
    ];
    db.execute(KEEP, &values).await.map(drop)
}
