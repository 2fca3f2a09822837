//! Makes what once was said legal to say again: vendors refuse a whole request for one odd block.

use std::borrow::Cow;

use serde_json::{
    Value, json,
    value::{RawValue, to_raw_value},
};

use crate::llm::{Block, Message, Speaker};

/// The name of a called tool, which may be one that the model made up, in at most `max_len` characters.
pub(in crate::llm) fn name(name: &str, max_len: usize) -> Cow<'_, str> {
    word(name, max_len, "unknown")
}

/// A text in the characters that vendors take in names; what is legal stays as it is, and nothing becomes `empty`.
pub(in crate::llm) fn word<'a>(text: &'a str, max_len: usize, empty: &'a str) -> Cow<'a, str> {
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
/// no object, becomes the member `input` of one. Not all that looks like JSON is: half a surrogate
/// pair does, and vendors refuse it.
pub(in crate::llm) fn object(input: &RawValue) -> Cow<'_, RawValue> {
    let input = match serde_json::from_str(input.get()) {
        Ok(Value::Object(_)) => return Cow::Borrowed(input),
        Ok(other) => other,
        Err(_) => input.get().into(),
    };
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

/// Messages in turns, made of what `part` makes of their blocks. Neighbours of one speaker belong
/// together, and so do those of whom only a message without a part stood between.
pub(in crate::llm) fn turns<'a, P>(
    messages: &'a [Message],
    part: impl Fn(&'a Block) -> Option<P>,
) -> Vec<(Speaker, Vec<P>)> {
    let mut turns: Vec<(Speaker, Vec<P>)> = Vec::new();
    for message in messages {
        let parts: Vec<P> = message.blocks.iter().filter_map(&part).collect();
        match turns.last_mut() {
            _ if parts.is_empty() => {}
            Some((speaker, turn)) if *speaker == message.speaker => turn.extend(parts),
            Some(_) | None => turns.push((message.speaker, parts)),
        }
    }
    turns
}
