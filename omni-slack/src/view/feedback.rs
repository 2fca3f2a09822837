//! Whether an answer was good, and what was not.

use serde_json::{Value, json};

use super::{Message, block, ids, text};

/// What can be wrong with an answer.
const REASONS: [(&str, &str); 5] = [
    ("wrong", "It is not right"),
    ("incomplete", "Something is missing"),
    ("misunderstood", "It answers another question"),
    ("slow", "It took too long"),
    ("other", "Something else"),
];

/// What somebody said was wrong.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Complaint {
    /// `wrong`, `incomplete`, `misunderstood`, `slow` or `other`.
    pub reason: Option<String>,
    /// In their own words.
    pub comment: Option<String>,
}

/// Asks what was wrong.
#[must_use]
pub fn modal(metadata: &str) -> Value {
    let options: Vec<Value> = REASONS.iter().filter_map(|(value, label)| block::option(label, value)).collect();
    let reasons = json!({ "type": "radio_buttons", "action_id": "value", "options": options });
    let comment = json!({ "type": "plain_text_input", "action_id": "value", "multiline": true, "max_length": 1_000 });
    let blocks = vec![
        block::input("reason", "What was wrong?", None, true, reasons),
        block::input("comment", "Anything else?", Some("Administrators read this."), true, comment),
    ];
    block::modal(ids::FEEDBACK_MODAL, "What was wrong?", Some("Send"), metadata, blocks)
}

/// What was said, of `state.values`.
#[must_use]
pub fn submitted(values: &Value) -> Complaint {
    let chosen = values["reason"]["value"]["selected_option"]["value"].as_str();
    let comment = values["comment"]["value"]["value"].as_str().map(str::trim);
    Complaint {
        reason: chosen.filter(|chosen| REASONS.iter().any(|(value, _)| value == chosen)).map(str::to_owned),
        comment: comment.filter(|comment| !comment.is_empty()).map(|comment| text::plain(comment, 1_000)),
    }
}

impl Complaint {
    /// The same in one text; nothing where nothing was said.
    #[must_use]
    pub fn written(&self) -> Option<String> {
        let label = |reason: &String| REASONS.iter().find(|(value, _)| value == reason).map(|(_, label)| *label);
        let parts = [self.reason.as_ref().and_then(label), self.comment.as_deref()];
        let said: Vec<&str> = parts.into_iter().flatten().collect();
        (!said.is_empty()).then(|| said.join(": "))
    }
}

/// To whoever judged.
#[must_use]
pub fn thanks(is_good: bool) -> Message {
    Message::of(if is_good {
        "👍 Thanks for your feedback!"
    } else {
        "👎 Thanks for your feedback. It is looked at."
    })
}
