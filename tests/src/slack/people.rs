//! What people do.

use std::{collections::BTreeMap, time::Duration};

use serde_json::Value;

use super::{Message, Post, Slack, Surface, View};

/// An answer to something that was delivered.
#[derive(Debug, Clone, PartialEq)]
pub struct Ack {
    /// `events_api`, `slash_commands` or `interactive`.
    pub kind: String,
    /// How long it took.
    pub took: Duration,
    /// What came with it.
    pub payload: Option<Value>,
    /// The event, of an event.
    pub event_id: Option<String>,
    /// How many deliveries of the event went before.
    pub attempt: u32,
}

/// A command, a click or a shortcut that was delivered.
#[derive(Debug, Clone)]
pub struct Sent {
    /// What opens a modal, once and within three seconds.
    pub trigger_id: String,
    /// Where answers can be posted, five times and for half an hour.
    pub response_url: Option<String>,
}

impl Sent {
    /// Waits until it is acked; nothing when three seconds passed, after which the person sees an error.
    pub async fn acked(&self) -> Option<Ack> {
        unimplemented!()
    }
}

/// What became of a form.
#[derive(Debug, Clone, PartialEq)]
pub enum Submitted {
    /// It closed.
    Closed,
    /// It stays open with a complaint by block id.
    Errors(BTreeMap<String, String>),
    /// It shows something else.
    Updated(View),
    /// Another lies on top of it.
    Pushed(View),
    /// The whole stack closed.
    Cleared,
    /// The bot did not answer in three seconds: the person is told that it could not be sent.
    Failed,
}

impl Slack {
    /// A post that mentions the bot first. In text, `<@U…>` and `<#C…>` are mentions; all else is as typed.
    pub async fn mentions(&self, _user: &str, _channel: &str, _text: &str) -> Post {
        unimplemented!()
    }

    /// The same as a reply in a thread.
    pub async fn mentions_in(&self, _user: &str, _channel: &str, _thread_ts: &str, _text: &str) -> Post {
        unimplemented!()
    }

    /// A direct message to the bot.
    pub async fn dms(&self, _user: &str, _text: &str) -> Post {
        unimplemented!()
    }

    /// A post without a mention.
    pub async fn says(&self, _user: &str, _channel: &str, _text: &str) -> Post {
        unimplemented!()
    }

    /// A reply in a thread without a mention; the channel may be a direct one.
    pub async fn replies(&self, _user: &str, _channel: &str, _thread_ts: &str, _text: &str) -> Post {
        unimplemented!()
    }

    /// A post with a file, which mentions the bot where the text does (`<@U0OMNI>`).
    pub async fn shares(&self, _user: &str, _channel: &str, _text: &str, _file: &str) -> Post {
        unimplemented!()
    }

    /// Its author changes a post.
    pub async fn edits(&self, _post: &Post, _text: &str) {
        unimplemented!()
    }

    /// Its author deletes a post.
    pub async fn deletes(&self, _post: &Post) {
        unimplemented!()
    }

    /// Somebody joins a channel.
    pub async fn joins(&self, _user: &str, _channel: &str) -> Post {
        unimplemented!()
    }

    /// A reaction to a message of anybody.
    pub async fn reacts(&self, _user: &str, _channel: &str, _ts: &str, _name: &str) {
        unimplemented!()
    }

    /// Takes a reaction back.
    pub async fn unreacts(&self, _user: &str, _channel: &str, _ts: &str, _name: &str) {
        unimplemented!()
    }

    /// Presses Slack's own Stop button in a thread: its streams end, and the bot is told.
    pub async fn stops(&self, _user: &str, _channel: &str, _thread_ts: &str) {
        unimplemented!()
    }

    /// Opens the bot's home tab.
    pub async fn opens_home(&self, _user: &str) {
        unimplemented!()
    }

    /// Opens the conversation with the bot; its direct channel.
    pub async fn opens_messages(&self, _user: &str) -> String {
        unimplemented!()
    }

    /// Any event, as it is; its id.
    pub async fn event(&self, _event: Value) -> String {
        unimplemented!()
    }

    /// Delivers an event once more, as Slack does when it saw no ack: the same event, a new envelope.
    pub async fn redeliver(&self, _event_id: &str) {
        unimplemented!()
    }

    /// A slash command.
    pub async fn slash(&self, _user: &str, _channel: &str, _command: &str, _text: &str) -> Sent {
        unimplemented!()
    }

    /// A shortcut on a message.
    pub async fn shortcut(&self, _user: &str, _callback_id: &str, _message: &Message) -> Sent {
        unimplemented!()
    }

    /// Presses a button. Who does not see it cannot press it.
    pub async fn clicks(&self, _user: &str, _on: impl Into<Surface>, _action_id: &str) -> Sent {
        unimplemented!()
    }

    /// Presses the button that has this value, of several with one action id or of feedback buttons.
    pub async fn clicks_value(&self, _user: &str, _on: impl Into<Surface>, _action_id: &str, _value: &str) -> Sent {
        unimplemented!()
    }

    /// Picks the option with this value.
    pub async fn selects(&self, _user: &str, _on: impl Into<Surface>, _action_id: &str, _value: &str) -> Sent {
        unimplemented!()
    }

    /// Sends a form: a value by action id (a text, a list of options, or the option's value).
    pub async fn submits(&self, _view: &View, _values: Value) -> Submitted {
        unimplemented!()
    }

    /// Closes a form without sending it.
    pub async fn closes(&self, _view: &View) {
        unimplemented!()
    }
}
