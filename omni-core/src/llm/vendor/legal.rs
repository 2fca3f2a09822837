//! Makes what once was said legal to say again: vendors refuse a whole request for one odd block.

use std::borrow::Cow;

use serde_json::{
    json,
    value::{RawValue, to_raw_value},
};

use crate::llm::{Message, Speaker};

/// Longest name of a called tool.
const MAX_NAME: usize = 128;

/// The id of a call in characters that every vendor takes; ids that are legal stay as they are.
pub(in crate::llm) fn id(id: &str) -> Cow<'_, str> {
    word(id, usize::MAX, "call")
}

/// The name of a called tool, which may be one that the model made up.
pub(in crate::llm) fn name(name: &str) -> Cow<'_, str> {
    word(name, MAX_NAME, "unknown")
}

fn word<'a>(text: &'a str, max_len: usize, empty: &'a str) -> Cow<'a, str> {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if text.is_empty() {
        return Cow::Borrowed(empty);
    }
    if text.len() <= max_len && text.chars().all(legal) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().take(max_len).map(|c| if legal(c) { c } else { '_' }).collect())
}

/// Arguments as an object, byte for byte where they are one. What a model wrote that was no JSON, or
/// no object, becomes the member `input` of one.
pub(in crate::llm) fn object(input: &RawValue) -> Cow<'_, RawValue> {
    if input.get().trim_start().starts_with('{') {
        return Cow::Borrowed(input);
    }
    Cow::Owned(to_raw_value(&json!({ "input": input })).unwrap_or_default())
}

/// Arguments as they came from a model: JSON as it is, nothing as `{}`, and anything else as a JSON string.
pub(in crate::llm) fn arguments(text: &str) -> Box<RawValue> {
    let text = text.trim();
    let given = if text.is_empty() { "{}" } else { text };
    let raw = RawValue::from_string(given.to_owned());
    raw.or_else(|_| to_raw_value(given)).unwrap_or_default()
}

/// A picture, for a reader that cannot see it.
pub(in crate::llm) fn picture_in_words(mime: &str, base64: &str) -> String {
    format!("[a picture ({mime}, about {} kB) that is not shown here]", (base64.len() * 3 / 4).div_ceil(1_000))
}

/// Where JSON is wrong. The error's own text may quote what it read.
pub(in crate::llm) fn place_of(error: &serde_json::Error) -> String {
    let what = if error.is_data() { "JSON of an unknown shape" } else { "broken JSON" };
    format!("{what} (line {}, column {})", error.line(), error.column())
}

/// Messages in turns: neighbours of one speaker belong together.
pub(in crate::llm) fn turns(messages: &[Message]) -> impl Iterator<Item = (Speaker, &[Message])> {
    messages.chunk_by(|a, b| a.speaker == b.speaker).filter_map(|turn| Some((turn.first()?.speaker, turn)))
}
