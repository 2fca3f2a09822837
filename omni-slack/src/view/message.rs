//! A message.

use serde_json::{Value, json};

use super::{block, limits, text};

/// A message: blocks, and the text that stands for them in notifications and for screen readers.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Message {
    /// The text, escaped.
    pub text: String,
    /// The blocks.
    pub blocks: Vec<Value>,
}

impl Message {
    /// A message; its text is any words and is escaped here.
    #[must_use]
    pub fn new(fallback: &str, blocks: Vec<Value>) -> Self {
        let text = text::mrkdwn(fallback, limits::FALLBACK);
        let text = if text.trim().is_empty() { "omni".into() } else { text };
        Self { text, blocks: blocks.into_iter().take(limits::BLOCKS).collect() }
    }

    /// A message of one section of mrkdwn: what of it is not ours is escaped.
    #[must_use]
    pub fn of(mrkdwn: &str) -> Self {
        let text = limits::clamp(mrkdwn, limits::FALLBACK);
        Self { text, blocks: vec![block::section(mrkdwn)] }
    }

    /// What `chat.postMessage`, `chat.update` and answers to a `response_url` take of it. Addresses are not unfolded:
    /// Slack would fetch them.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({ "text": self.text, "blocks": self.blocks, "unfurl_links": false, "unfurl_media": false })
    }
}
