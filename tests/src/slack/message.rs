//! What is to be seen in the workspace.

use std::{collections::BTreeMap, time::Duration};

use serde_json::Value;

use super::looks;

/// What a person posted: the address of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Post {
    /// Where.
    pub channel: String,
    /// Who.
    pub user: String,
    /// When, which is its id in the channel.
    pub ts: String,
    /// The thread that it is a reply in.
    pub thread_ts: Option<String>,
    /// The events that were delivered for it.
    pub event_ids: Vec<String>,
}

impl Post {
    /// The thread that an answer belongs in: its own, or the one that it is a reply in.
    #[must_use]
    pub fn thread(&self) -> &str {
        self.thread_ts.as_deref().unwrap_or(&self.ts)
    }
}

/// A message as it stands in a channel now.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Message {
    /// Where.
    pub channel: String,
    /// When, which is its id in the channel.
    pub ts: String,
    /// The thread that it is a reply in.
    pub thread_ts: Option<String>,
    /// Who; the bot's user for the bot.
    pub user: String,
    /// Whether the bot posted it.
    pub by_bot: bool,
    /// Its text; of a stream, everything that was streamed.
    pub text: String,
    /// Its blocks, each with the `block_id` that Slack gives to one without.
    pub blocks: Vec<Value>,
    /// Its attachments.
    pub attachments: Vec<Value>,
    /// The names of its files.
    pub files: Vec<String>,
    /// Its metadata.
    pub metadata: Option<Value>,
    /// How often it was changed.
    pub edits: u32,
    /// The only user who sees it, of an ephemeral message.
    pub only_for: Option<String>,
    /// What became of it when it was streamed.
    pub stream: Option<Stream>,
    /// Why it is no ordinary message: `channel_join` …
    pub subtype: Option<String>,
    /// When it was made or last changed, since the workspace began.
    pub changed: Duration,
    /// The same by the real time.
    pub(super) touched: Duration,
}

/// A message that was streamed.
#[derive(Debug, Clone, PartialEq)]
pub struct Stream {
    /// Whether it still grows.
    pub state: StreamState,
    /// How many calls made it, the start and the stop included.
    pub calls: u32,
    /// Its task cards as they stand, by id.
    pub tasks: BTreeMap<String, Task>,
    /// The title of its plan.
    pub plan: Option<String>,
    /// How tasks are shown: `timeline` or `plan`.
    pub display: String,
}

/// Whether a stream grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamState {
    /// It does.
    Open,
    /// The bot ended it.
    Stopped,
    /// A person stopped it.
    StoppedByUser,
    /// Slack ended it after minutes without an append.
    Cold,
}

/// A task card.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Task {
    /// Its title.
    pub title: String,
    /// `pending`, `in_progress`, `complete` or `error`.
    pub status: String,
    /// What it works on.
    pub details: Option<String>,
    /// What came of it.
    pub output: Option<String>,
}

impl Message {
    /// Whether nothing more is to come as far as Slack knows: it was not streamed, or its stream has ended.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.stream.as_ref().is_none_or(|stream| stream.state != StreamState::Open)
    }

    /// Everything that a person can read in it: text, blocks, attachments and task cards, one piece a line.
    /// The text of a message with blocks is only for notifications, and left out; what was streamed is gone once the
    /// message was changed.
    #[must_use]
    pub fn reads(&self) -> String {
        let mut pieces = Vec::new();
        let streamed = self.stream.as_ref().filter(|_| self.edits == 0);
        if self.blocks.is_empty() || streamed.is_some() {
            pieces.push(self.text.clone());
        }
        if let Some(stream) = streamed {
            pieces.extend(stream.plan.clone());
            for task in stream.tasks.values() {
                pieces.push(task.title.clone());
                pieces.extend(task.details.iter().chain(&task.output).cloned());
            }
        }
        pieces.extend(self.blocks.iter().chain(&self.attachments).flat_map(looks::reads));
        pieces.extend(self.files.iter().cloned());
        pieces.retain(|piece| !piece.is_empty());
        pieces.join("\n")
    }

    /// Whether a person can read this in it.
    #[must_use]
    pub fn says(&self, words: &str) -> bool {
        self.reads().contains(words)
    }

    /// The action ids of its buttons, menus and inputs, in order.
    #[must_use]
    pub fn actions(&self) -> Vec<String> {
        looks::actions(&self.blocks)
    }

    /// The element with this action id, the first of several.
    #[must_use]
    pub fn element(&self, action_id: &str) -> Option<&Value> {
        looks::elements(&self.blocks).map(|(_, element)| element).find(|element| element["action_id"] == action_id)
    }

    /// Whom it rings up: `<!channel>`, `<!here>`, `<@U…>` … where Slack would take them for mentions. Nobody is rung
    /// up by an ephemeral message but who sees it anyway.
    #[must_use]
    pub fn pings(&self) -> Vec<String> {
        let mut found = looks::pings(&self.text);
        found.extend(self.blocks.iter().chain(&self.attachments).flat_map(looks::pings_in));
        found
    }
}

/// A modal, or somebody's home.
#[derive(Debug, Clone, PartialEq)]
pub struct View {
    /// Its id.
    pub id: String,
    /// Who sees it.
    pub user: String,
    /// `modal` or `home`.
    pub kind: String,
    /// Its callback id.
    pub callback_id: String,
    /// The view as Slack tells it, with `id`, `hash`, `blocks`, `private_metadata` …
    pub body: Value,
}

impl View {
    /// Its blocks.
    #[must_use]
    pub fn blocks(&self) -> &[Value] {
        self.body["blocks"].as_array().map_or(&[], Vec::as_slice)
    }

    /// Everything that a person can read in it, one piece a line.
    #[must_use]
    pub fn reads(&self) -> String {
        let labels = ["title", "submit", "close"].iter().filter_map(|name| self.body[name]["text"].as_str());
        let mut pieces: Vec<String> = labels.map(str::to_owned).collect();
        pieces.extend(self.blocks().iter().flat_map(looks::reads));
        pieces.join("\n")
    }

    /// Whether a person can read this in it.
    #[must_use]
    pub fn says(&self, words: &str) -> bool {
        self.reads().contains(words)
    }

    /// The action ids of its elements, in order.
    #[must_use]
    pub fn actions(&self) -> Vec<String> {
        looks::actions(self.blocks())
    }

    /// The element with this action id, the first of several.
    #[must_use]
    pub fn element(&self, action_id: &str) -> Option<&Value> {
        looks::elements(self.blocks()).map(|(_, element)| element).find(|element| element["action_id"] == action_id)
    }
}

/// Where a button or a menu is.
#[derive(Debug, Clone)]
pub enum Surface {
    /// In a message, or in an ephemeral one.
    Message(Box<Message>),
    /// In a modal or in a home.
    View(Box<View>),
}

impl From<&Message> for Surface {
    fn from(message: &Message) -> Self {
        Self::Message(Box::new(message.clone()))
    }
}

impl From<&View> for Surface {
    fn from(view: &View) -> Self {
        Self::View(Box::new(view.clone()))
    }
}
