//! Step 4, thread: what was said before in a conversation.
//!
//! A conversation is a list of [`Turn`]s: a question, the calls that it led to, in short, and its answer.
//! Which of them an ask brings along, [`ThreadRules`] and [`Window`] say; what of them its asker may see,
//! `view` decides by the grant of now. In place of what no question brings along any more there may be a
//! [`Summary`].

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

pub mod memory;
mod rules;
mod short;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub mod sql;
mod summary;
mod turn;
pub(crate) mod view;
mod window;

pub use rules::{ContextRules, Place, PlaceRules, ReplyRules, SummaryRules, ThreadRules};
pub(crate) use short::shorten;
pub(crate) use summary::due;
pub use summary::{MAX_SUMMARY_BYTES, Summary};
pub use turn::{Called, Turn};
pub(crate) use window::BYTES_A_TOKEN;
pub use window::Window;

/// Most turns that are kept of a conversation: the newest.
pub const MAX_TURNS: u64 = 200;
/// Most bytes of one turn, as it is kept.
pub const MAX_TURN_BYTES: usize = 64 * 1024;
/// Most bytes that are kept of a conversation.
pub const MAX_THREAD_BYTES: u64 = 4 * 1024 * 1024;
/// How long a conversation is kept after it was used last, where nobody says otherwise.
pub const DEFAULT_EXPIRY: Duration = Duration::from_secs(24 * 60 * 60);
/// The longest while that a conversation is kept.
pub const MAX_EXPIRY: Duration = Duration::from_secs(3_660 * 24 * 60 * 60);
/// Most conversations that one sweep removes.
pub const SWEPT_AT_ONCE: u64 = 1_000;

/// Names a conversation. Two tenants, doors or channels never share one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ThreadKey {
    /// The tenant.
    pub tenant: String,
    /// The door.
    pub source: String,
    /// The channel within the door; empty where there is none.
    pub channel: String,
    /// The thread within the channel.
    pub thread: String,
}

impl ThreadKey {
    /// A conversation's name.
    #[must_use]
    pub fn new(tenant: &str, source: &str, channel: &str, thread: &str) -> Self {
        Self { tenant: tenant.into(), source: source.into(), channel: channel.into(), thread: thread.into() }
    }
}

/// Names a channel: the place of many conversations.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct ChannelKey {
    /// The tenant.
    pub tenant: String,
    /// The door.
    pub source: String,
    /// The channel within the door.
    pub channel: String,
}

impl ChannelKey {
    /// A channel's name.
    #[must_use]
    pub fn new(tenant: &str, source: &str, channel: &str) -> Self {
        Self { tenant: tenant.into(), source: source.into(), channel: channel.into() }
    }

    /// A conversation in it.
    #[must_use]
    pub fn thread(&self, thread: &str) -> ThreadKey {
        ThreadKey::new(&self.tenant, &self.source, &self.channel, thread)
    }

    /// Whether a conversation is in it.
    #[must_use]
    pub fn has(&self, key: &ThreadKey) -> bool {
        self.tenant == key.tenant && self.source == key.source && self.channel == key.channel
    }
}

/// The conversation that an ask belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Conversation {
    /// One of the asker's own at this door, by its name. Nobody finds that of somebody else by naming it.
    Own(String),
    /// A new one of the asker's own: nothing is read, and whether it could be kept is nobody's worry.
    New(String),
    /// One at a place that others may share. Whoever makes the ask vouches for the place.
    At {
        /// Its name.
        key: ThreadKey,
        /// What kind of place it is.
        place: Place,
    },
}

impl Conversation {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Own(name) | Self::New(name) => name,
            Self::At { key, .. } => &key.thread,
        }
    }
}

/// What is read of a conversation: its newest turns, whole ones, that are no more than this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Most {
    /// So many turns.
    pub turns: u64,
    /// So many bytes, as they are kept.
    pub bytes: u64,
}

impl Most {
    /// All that is kept.
    pub const ALL: Self = Self::new(MAX_TURNS, MAX_THREAD_BYTES);

    /// So much.
    #[must_use]
    pub const fn new(turns: u64, bytes: u64) -> Self {
        Self { turns, bytes }
    }
}

/// A turn to be kept.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Append<'a> {
    /// The conversation; it begins with this turn where there is none.
    pub key: &'a ThreadKey,
    /// The turn.
    pub turn: &'a Turn,
    /// How long the conversation is kept from now on, unless it is used again.
    pub(crate) keep: Duration,
}

impl<'a> Append<'a> {
    /// A turn to be kept for as long as nobody says otherwise.
    #[must_use]
    pub fn new(key: &'a ThreadKey, turn: &'a Turn) -> Self {
        Self { key, turn, keep: DEFAULT_EXPIRY }
    }

    /// The same, to be kept for another while, [`MAX_EXPIRY`] at most.
    #[must_use]
    pub fn keeping(mut self, keep: Duration) -> Self {
        self.keep = keep.min(MAX_EXPIRY);
        self
    }

    /// How long the conversation is kept from now on, unless it is used again.
    #[must_use]
    pub fn keep(&self) -> Duration {
        self.keep
    }
}

/// A turn as it was kept.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct KeptTurn {
    /// Its number in the conversation, from 1. Turns that are gone were counted.
    pub number: u64,
    /// How many bytes of turns came before it, also of those that are gone.
    pub begins: u64,
    /// How many bytes it has.
    pub bytes: u64,
    /// When it was kept.
    pub at: DateTime<Utc>,
    /// The turn.
    pub turn: Turn,
}

impl KeptTurn {
    /// One that a store kept, as it is.
    #[must_use]
    pub fn stored(number: u64, begins: u64, bytes: u64, at: DateTime<Utc>, turn: Turn) -> Self {
        Self { number, begins, bytes, at, turn }
    }
}

/// A conversation in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ThreadEntry {
    /// Its name.
    pub key: ThreadKey,
    /// The beginning of its first question, on one line.
    pub title: String,
    /// How many turns it had, also those that are gone.
    pub turns: u64,
    /// When it began.
    pub created_at: DateTime<Utc>,
    /// When it was used last.
    pub used_at: DateTime<Utc>,
    /// Until when it is kept, unless it is used again.
    pub expires_at: DateTime<Utc>,
}

impl ThreadEntry {
    /// One that a store kept, as it is. Its title is the [`Turn::title`] of its first turn.
    #[must_use]
    pub fn stored(
        key: ThreadKey,
        title: String,
        turns: u64,
        created_at: DateTime<Utc>,
        used_at: DateTime<Utc>,
        expires_at: DateTime<Utc>,
    ) -> Self {
        Self { key, title, turns, created_at, used_at, expires_at }
    }
}

/// Keeps conversations as structured turns.
///
/// # Contract
/// `history` returns whole turns, oldest first and without a gap, and never invents one. `append` is
/// atomic: all of a turn is stored or nothing, and turns that several processes append at once all stay, in
/// an order that the store gives them. What is read back is what was kept, byte for byte. A conversation
/// that was deleted, or whose time is over by the store's clock, is unknown from then on: the next turn
/// begins another one under its name. Of a long conversation the newest [`MAX_TURNS`] turns and
/// [`MAX_THREAD_BYTES`] are kept. A summary goes with its conversation, is of turns that are there when it
/// is kept, and never takes the place of one that tells of more; keeping it is no use of the conversation.
///
/// **Cancel-safe**: callers stop waiting after seconds, and a summary is dropped with its ask. What was dropped is done
/// whole or not at all; a turn that was kept all the same is part of its conversation, though its asker was told
/// otherwise.
#[async_trait]
pub trait ThreadStore: Send + Sync + std::fmt::Debug {
    /// The newest turns of a conversation, oldest first; empty for an unknown one.
    ///
    /// # Errors
    /// When the store cannot be reached.
    async fn history(&self, key: &ThreadKey, most: Most) -> Result<Vec<KeptTurn>, ThreadError>;

    /// Adds one turn to a conversation; its number.
    ///
    /// # Errors
    /// When the store cannot be reached, or the turn has more than [`MAX_TURN_BYTES`].
    async fn append(&self, append: Append<'_>) -> Result<u64, ThreadError>;

    /// The conversations of one channel, those that went on last first; at most `limit`.
    ///
    /// # Errors
    /// When the store cannot be reached.
    async fn list(&self, channel: &ChannelKey, limit: usize) -> Result<Vec<ThreadEntry>, ThreadError>;

    /// Forgets a conversation. Whether there was one.
    ///
    /// # Errors
    /// When the store cannot be reached.
    async fn delete(&self, key: &ThreadKey) -> Result<bool, ThreadError>;

    /// Removes conversations whose time is over, [`SWEPT_AT_ONCE`] at most; how many.
    ///
    /// # Errors
    /// When the store cannot be reached.
    async fn sweep(&self) -> Result<u64, ThreadError>;

    /// What stands for the older turns of a conversation; `None` where nothing does.
    ///
    /// # Errors
    /// When the store cannot be reached.
    async fn summary(&self, key: &ThreadKey) -> Result<Option<Summary>, ThreadError>;

    /// Keeps a summary in the place of the one before. Whether it did: not where the newest turn that it
    /// tells of is not there, or the one before tells of that turn too.
    ///
    /// # Errors
    /// When the store cannot be reached, or the summary has more than [`MAX_SUMMARY_BYTES`].
    async fn summarize(&self, key: &ThreadKey, summary: &Summary) -> Result<bool, ThreadError>;
}

#[async_trait]
impl<T: ThreadStore + ?Sized> ThreadStore for Arc<T> {
    async fn history(&self, key: &ThreadKey, most: Most) -> Result<Vec<KeptTurn>, ThreadError> {
        (**self).history(key, most).await
    }

    async fn append(&self, append: Append<'_>) -> Result<u64, ThreadError> {
        (**self).append(append).await
    }

    async fn list(&self, channel: &ChannelKey, limit: usize) -> Result<Vec<ThreadEntry>, ThreadError> {
        (**self).list(channel, limit).await
    }

    async fn delete(&self, key: &ThreadKey) -> Result<bool, ThreadError> {
        (**self).delete(key).await
    }

    async fn sweep(&self) -> Result<u64, ThreadError> {
        (**self).sweep().await
    }

    async fn summary(&self, key: &ThreadKey) -> Result<Option<Summary>, ThreadError> {
        (**self).summary(key).await
    }

    async fn summarize(&self, key: &ThreadKey, summary: &Summary) -> Result<bool, ThreadError> {
        (**self).summarize(key, summary).await
    }
}

/// Why a conversation could not be read or written.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the conversation store failed: {message}")]
pub struct ThreadError {
    /// What went wrong.
    pub message: String,
}

impl ThreadError {
    /// An error in these words.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }
}

/// Every ask stands alone: nothing is kept.
#[derive(Debug, Clone, Copy, Default)]
pub struct OneShot;

#[async_trait]
impl ThreadStore for OneShot {
    async fn history(&self, _: &ThreadKey, _: Most) -> Result<Vec<KeptTurn>, ThreadError> {
        Ok(Vec::new())
    }

    async fn append(&self, _: Append<'_>) -> Result<u64, ThreadError> {
        Ok(0)
    }

    async fn list(&self, _: &ChannelKey, _: usize) -> Result<Vec<ThreadEntry>, ThreadError> {
        Ok(Vec::new())
    }

    async fn delete(&self, _: &ThreadKey) -> Result<bool, ThreadError> {
        Ok(false)
    }

    async fn sweep(&self) -> Result<u64, ThreadError> {
        Ok(0)
    }

    async fn summary(&self, _: &ThreadKey) -> Result<Option<Summary>, ThreadError> {
        Ok(None)
    }

    async fn summarize(&self, _: &ThreadKey, _: &Summary) -> Result<bool, ThreadError> {
        Ok(false)
    }
}

#[cfg(test)]
mod tests;
