//! The message shortcut: a question about a message.

use serde_json::{Value, json};

use super::{Message, block, ids, text};

/// Most of the message that is shown.
const SHOWN: usize = 1_000;
/// Longest question.
const QUESTION: u64 = 3_000;
/// Most of it that is told again.
const ASKED: usize = 300;

/// Asks what is to be asked about a message; about no message in particular where that is empty.
#[must_use]
pub fn modal(message: &str, metadata: &str) -> Value {
    let question = json!({ "type": "plain_text_input", "action_id": "value", "multiline": true, "min_length": 1,
        "max_length": QUESTION, "focus_on_load": true,
        "placeholder": block::plain_text("What does this mean?", 150) });
    let private = json!({ "type": "checkboxes", "action_id": "private",
        "options": [{ "text": block::plain_text("Show the answer only to me", 75), "value": "private" }] });
    let mut blocks = vec![block::input("question", "Your question", None, false, question)];
    if !message.trim().is_empty() {
        blocks.push(block::context("About this message:"));
        blocks.push(block::section(&text::preformatted(message, SHOWN)));
    }
    blocks.push(block::input("private", "Who sees it", None, true, private));
    block::modal(ids::ASK_MESSAGE, title(message), Some("Ask"), metadata, blocks)
}

fn title(message: &str) -> &'static str {
    if message.trim().is_empty() { "Ask omni more" } else { "Ask omni about this" }
}

/// To whoever asked about a message that the bot cannot read.
#[must_use]
pub fn unread(question: &str) -> Message {
    Message::of(&format!(
        "🚫 I cannot read that message, so I did not answer *{}*. If I am not in its channel, invite me there first.",
        text::mrkdwn_line(question, ASKED)
    ))
}

/// The question, and whether only the asker sees the answer; nothing where nothing was asked.
#[must_use]
pub fn submitted(values: &Value) -> Option<(String, bool)> {
    let question = values["question"]["value"]["value"].as_str()?.trim();
    let chosen = values["private"]["private"]["selected_options"].as_array();
    let is_private = chosen.is_some_and(|chosen| chosen.iter().any(|option| option["value"] == "private"));
    (!question.is_empty()).then(|| (question.to_owned(), is_private))
}
