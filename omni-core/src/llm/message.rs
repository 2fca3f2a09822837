//! Messages between people, models and tools.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Speaker {
    /// The person, and the results of tools.
    User,
    /// The model.
    Assistant,
}

/// A part of a tool's result that a model can read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum ResultPart {
    /// Text.
    Text {
        /// The text.
        text: String,
    },
    /// A picture.
    Image {
        /// Its media type, such as `image/png`.
        mime: String,
        /// Its bytes in base64.
        data: String,
    },
}

/// A part of a message.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Block {
    /// Text; never empty.
    Text {
        /// The text.
        text: String,
    },
    /// The model calls a tool.
    ToolUse {
        /// The vendor's id of the call.
        id: String,
        /// The name as the model wrote it.
        name: String,
        /// The arguments as the model wrote them: valid JSON, or the text as a JSON string where it is not.
        #[serde(with = "raw_text")]
        input: Box<RawValue>,
    },
    /// The answer to a tool call.
    ToolResult {
        /// The call's id.
        id: String,
        /// What came back; never empty.
        content: Vec<ResultPart>,
        /// Whether it is an error.
        is_error: bool,
    },
    /// What only its vendor understands, such as signed thinking: replayed byte for byte to the
    /// same model while its ask runs, dropped for any other and for the questions that follow.
    Opaque {
        /// The provider's kind.
        provider: String,
        /// The model's id.
        model: String,
        /// The block as it came.
        #[serde(with = "raw_text")]
        raw: Box<RawValue>,
    },
}

/// Raw JSON stored as a string: what is tagged within cannot be read back in raw form otherwise.
mod raw_text {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};
    use serde_json::value::RawValue;

    pub(super) fn serialize<S: Serializer>(raw: &RawValue, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(raw.get())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Box<RawValue>, D::Error> {
        RawValue::from_string(String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

impl Block {
    /// A text block.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text { text: text.into() }
    }
}

/// One message of a conversation.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Message {
    /// Who speaks.
    pub speaker: Speaker,
    /// What is said, in order.
    pub blocks: Vec<Block>,
}

impl Message {
    /// The person says something.
    #[must_use]
    pub fn user(text: impl Into<String>) -> Self {
        Self { speaker: Speaker::User, blocks: vec![Block::text(text)] }
    }

    /// The model said something.
    #[must_use]
    pub fn assistant(blocks: Vec<Block>) -> Self {
        Self { speaker: Speaker::Assistant, blocks }
    }

    /// All its text, joined.
    #[must_use]
    pub fn text(&self) -> String {
        let texts: Vec<&str> = self
            .blocks
            .iter()
            .filter_map(|block| match block {
                Block::Text { text } => Some(text.as_str()),
                Block::ToolUse { .. } | Block::ToolResult { .. } | Block::Opaque { .. } => None,
            })
            .collect();
        texts.join("\n")
    }
}
