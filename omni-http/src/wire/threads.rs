//! Conversations.

use chrono::{DateTime, Utc};
use omni_core::thread::ThreadEntry;
use serde::Serialize;
use utoipa::ToSchema;

/// One's own conversations, the newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Threads {
    pub(crate) threads: Vec<Thread>,
}

/// A conversation.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Thread {
    /// What `thread_id` of an ask has to be to go on with it.
    pub(crate) thread_id: String,
    /// The beginning of its first question.
    pub(crate) title: String,
    /// How many questions it had.
    pub(crate) turns: u64,
    /// When it began.
    pub(crate) created_at: DateTime<Utc>,
    /// When it was used last.
    pub(crate) used_at: DateTime<Utc>,
    /// Until when it is kept, unless it is used again.
    pub(crate) expires_at: DateTime<Utc>,
}

impl From<ThreadEntry> for Thread {
    fn from(entry: ThreadEntry) -> Self {
        Self {
            thread_id: entry.key.thread,
            title: entry.title,
            turns: entry.turns,
            created_at: entry.created_at,
            used_at: entry.used_at,
            expires_at: entry.expires_at,
        }
    }
}
