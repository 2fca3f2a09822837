//! The workspace as it stands.

use std::time::Duration;

use serde_json::Value;

use super::{Ack, Message, View};

/// A call of the Web API, or a post to a response url (`response_url`).
#[derive(Debug, Clone)]
pub struct Call {
    /// The method.
    pub method: String,
    /// Its arguments without the token.
    pub args: Value,
    /// The error that it was answered with.
    pub error: Option<String>,
    /// When, since the workspace began.
    pub at: Duration,
}

/// A file that the bot shared.
#[derive(Debug, Clone)]
pub struct File {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its title.
    pub title: String,
    /// What is in it.
    pub content: Vec<u8>,
    /// The channel that it was shared in.
    pub channel: Option<String>,
    /// The thread that it was shared in.
    pub thread_ts: Option<String>,
}

/// Everything that a test can look at while it waits; see [`super::Slack::until`].
#[derive(Debug)]
pub struct World {
    _private: (),
}

impl World {
    /// What stands in a channel, oldest first.
    pub fn messages(&self, _channel: &str) -> Vec<Message> {
        unimplemented!()
    }

    /// A thread, its first message included.
    pub fn thread(&self, _channel: &str, _thread_ts: &str) -> Vec<Message> {
        unimplemented!()
    }

    /// What only this user sees, oldest first.
    pub fn ephemerals(&self, _user: &str) -> Vec<Message> {
        unimplemented!()
    }

    /// The modals that this user has open, the topmost last.
    pub fn views(&self, _user: &str) -> Vec<View> {
        unimplemented!()
    }

    /// The home that was published for a user.
    pub fn home(&self, _user: &str) -> Option<View> {
        unimplemented!()
    }

    /// The bot's reactions to a message.
    pub fn reactions(&self, _channel: &str, _ts: &str) -> Vec<String> {
        unimplemented!()
    }

    /// What the bot is said to be doing in a thread, oldest first.
    pub fn statuses(&self, _channel: &str, _thread_ts: &str) -> Vec<String> {
        unimplemented!()
    }

    /// The prompts that a channel suggests: title and message.
    pub fn prompts(&self, _channel: &str) -> Vec<(String, String)> {
        unimplemented!()
    }

    /// The title of a thread.
    pub fn title(&self, _channel: &str, _thread_ts: &str) -> Option<String> {
        unimplemented!()
    }

    /// The files that the bot shared.
    pub fn files(&self) -> Vec<File> {
        unimplemented!()
    }

    /// Every call of one method.
    pub fn calls(&self, _method: &str) -> Vec<Call> {
        unimplemented!()
    }

    /// Every ack, oldest first.
    pub fn acks(&self) -> Vec<Ack> {
        unimplemented!()
    }

    /// How many Socket Mode connections are open.
    pub fn connections(&self) -> usize {
        unimplemented!()
    }

    /// Every rule that the bot broke.
    pub fn violations(&self) -> Vec<String> {
        unimplemented!()
    }
}
