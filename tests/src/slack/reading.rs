//! What people see, and waiting for it.

use super::{Ack, Call, File, Message, Post, Slack, View, World};

impl Slack {
    /// Waits until this finds something; half a minute at most.
    ///
    /// # Panics
    /// When the time is over, with what was waited for and the transcript.
    pub async fn until<T>(&self, _what: &str, _look: impl FnMut(&World) -> Option<T>) -> T {
        unimplemented!()
    }

    /// Waits for the bot's finished message in the thread of a post, newer than the post. A stream is finished when
    /// it is stopped; a message that is not streamed when no call changed it for a quarter of a second.
    pub async fn answer(&self, _to: &Post) -> Message {
        unimplemented!()
    }

    /// Waits for the bot's finished message in that thread which says this.
    pub async fn answer_saying(&self, _to: &Post, _words: &str) -> Message {
        unimplemented!()
    }

    /// Waits for an ephemeral message to this user which says this.
    pub async fn whisper(&self, _user: &str, _words: &str) -> Message {
        unimplemented!()
    }

    /// Waits for a modal that shows this to a user.
    pub async fn modal(&self, _user: &str, _words: &str) -> View {
        unimplemented!()
    }

    /// Waits for a home that shows this to a user.
    pub async fn home_saying(&self, _user: &str, _words: &str) -> View {
        unimplemented!()
    }

    /// Waits until the bot has this many connections.
    pub async fn connected(&self, _connections: usize) {
        unimplemented!()
    }

    /// Waits until everything that was delivered is acked.
    pub async fn settled(&self) {
        unimplemented!()
    }

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

    /// The direct channel of a user and the bot.
    pub fn direct(&self, _user: &str) -> String {
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

    /// Every ack, oldest first, with how long it took.
    pub fn acks(&self) -> Vec<Ack> {
        unimplemented!()
    }

    /// Every rule that the bot broke, in order.
    pub fn violations(&self) -> Vec<String> {
        unimplemented!()
    }

    /// The workspace in plain text, for the message of a test that failed.
    pub fn transcript(&self) -> String {
        unimplemented!()
    }
}
