//! A turn as it is kept.

use serde::{Deserialize, Serialize};

use super::{MAX_TURN_BYTES, ThreadError};
use crate::llm::{Block, Message, Speaker};

/// Most characters of a title.
const MAX_TITLE: usize = 80;

/// One question, what it led to, and its answer. What tools returned is in it in short.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Turn {
    /// Who asked.
    pub asker: String,
    /// The name to call them by.
    pub name: String,
    /// The fingerprint of the rules that the asker's calls were decided by.
    pub rules: String,
    /// Which tools were called, by the ids of the calls in `messages`.
    pub calls: Vec<Called>,
    /// What was said, the question first and the answer last.
    pub messages: Vec<Message>,
}

/// A call in a kept turn: what is needed to decide who may see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Called {
    /// The id of the call.
    pub id: String,
    /// The server.
    pub server: String,
    /// The tool.
    pub tool: String,
    /// Whether the tool says of itself that it may destroy something.
    #[serde(default)]
    pub is_destructive: bool,
    /// Whether its arguments are kept as they were: others cannot be held to a rule.
    #[serde(default)]
    pub is_whole: bool,
    /// Whether the server was used with the asker's own token: what it told them is for nobody else.
    #[serde(default)]
    pub is_own: bool,
}

impl Called {
    /// A call whose arguments are kept as they were.
    #[must_use]
    pub fn new(id: impl Into<String>, server: impl Into<String>, tool: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            server: server.into(),
            tool: tool.into(),
            is_destructive: false,
            is_whole: true,
            is_own: false,
        }
    }
}

impl Turn {
    /// A turn without calls.
    #[must_use]
    pub fn new(asker: impl Into<String>, messages: Vec<Message>) -> Self {
        let asker = asker.into();
        Self { name: asker.clone(), asker, rules: String::new(), calls: Vec::new(), messages }
    }

    /// The question: what its message ends with.
    #[must_use]
    pub fn question(&self) -> &str {
        match self.messages.first().and_then(|message| message.blocks.last()) {
            Some(Block::Text { text }) => text,
            _ => "",
        }
    }

    /// All that the model said, part by part.
    #[must_use]
    pub fn answer(&self) -> String {
        let said = self.messages.iter().filter(|message| message.speaker == Speaker::Assistant);
        let said: Vec<String> = said.map(Message::text).filter(|text| !text.trim().is_empty()).collect();
        said.join("\n\n")
    }

    /// The beginning of the question, on one line.
    #[must_use]
    pub fn title(&self) -> String {
        let words: Vec<&str> = self.question().split_whitespace().take(MAX_TITLE).collect();
        let line = words.join(" ");
        match line.char_indices().nth(MAX_TITLE) {
            None => line,
            Some(_) => line.chars().take(MAX_TITLE - 1).chain(['…']).collect(),
        }
    }

    /// The turn as stores keep it.
    ///
    /// # Errors
    /// When it has more than [`MAX_TURN_BYTES`].
    pub fn encode(&self) -> Result<String, ThreadError> {
        let text = serde_json::to_string(self).map_err(|error| ThreadError::new(error.to_string()))?;
        match text.len() {
            0..=MAX_TURN_BYTES => Ok(text),
            bytes => Err(ThreadError::new(format!("a turn of {bytes} bytes is too long to be kept"))),
        }
    }

    /// The turn that a store kept.
    ///
    /// # Errors
    /// When it is none that this build knows.
    pub fn decode(text: &str) -> Result<Self, ThreadError> {
        serde_json::from_str(text).map_err(|error| ThreadError::new(format!("a kept turn cannot be read: {error}")))
    }
}
