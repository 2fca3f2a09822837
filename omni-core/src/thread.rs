//! Step 4, thread: what was said before in a conversation.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::llm::Message;

/// Names a conversation. Two tenants, doors or channels never share one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
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
}

/// Keeps conversations as structured turns.
///
/// # Contract
/// `history` returns whole turns, oldest first, and never invents one. `append` is atomic: all
/// messages of a turn are stored, in order, or none. A deleted conversation is unknown from then on.
#[async_trait]
pub trait ThreadStore: Send + Sync + std::fmt::Debug {
    /// The turns of a conversation, oldest first; empty for an unknown one.
    ///
    /// # Errors
    /// When the store cannot be reached.
    async fn history(&self, key: &ThreadKey) -> Result<Vec<Message>, ThreadError>;

    /// Adds one turn to a conversation.
    ///
    /// # Errors
    /// When the store cannot be reached.
    async fn append(&self, key: &ThreadKey, turn: Vec<Message>) -> Result<(), ThreadError>;

    /// The conversations of one channel, those that went on last first; at most `limit`.
    ///
    /// # Errors
    /// When the store cannot be reached.
    async fn list(&self, channel: &ChannelKey, limit: usize) -> Result<Vec<ThreadKey>, ThreadError>;

    /// Forgets a conversation. Whether there was one.
    ///
    /// # Errors
    /// When the store cannot be reached.
    async fn delete(&self, key: &ThreadKey) -> Result<bool, ThreadError>;
}

/// Why a conversation could not be read or written.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the conversation store failed: {message}")]
pub struct ThreadError {
    /// What went wrong.
    pub message: String,
}

/// Every ask stands alone: nothing is kept.
#[derive(Debug, Clone, Copy, Default)]
pub struct OneShot;

#[async_trait]
impl ThreadStore for OneShot {
    async fn history(&self, _: &ThreadKey) -> Result<Vec<Message>, ThreadError> {
        Ok(Vec::new())
    }

    async fn append(&self, _: &ThreadKey, _: Vec<Message>) -> Result<(), ThreadError> {
        Ok(())
    }

    async fn list(&self, _: &ChannelKey, _: usize) -> Result<Vec<ThreadKey>, ThreadError> {
        Ok(Vec::new())
    }

    async fn delete(&self, _: &ThreadKey) -> Result<bool, ThreadError> {
        Ok(false)
    }
}
