//! Tool results: from the wire into capped parts, and from these to a model or a person.

use serde::Deserialize;
use serde_json::{
    Map, Value,
    value::{RawValue, to_raw_value},
};

use super::{Content, McpError, ToolOutput, client::protocol};
use crate::llm::ResultPart;

mod budget;

#[cfg(test)]
mod tests;

/// Most characters of base64 of one picture or sound that are kept.
const MAX_BINARY: usize = 5 * 1024 * 1024;

/// Most parts of one result.
const MAX_PARTS: usize = 200;

/// Longest URI, name or media type that is kept, in characters.
const MAX_LABEL: usize = 500;

/// What a model reads when there is nothing to read.
const NOTHING: &str = "(the tool returned nothing)";

#[derive(Deserialize)]
struct Wire {
    #[serde(default)]
    content: Vec<Value>,
    #[serde(default, rename = "structuredContent")]
    structured: Option<Value>,
    #[serde(default, rename = "isError")]
    is_error: bool,
}

/// A result as it came, capped: what a model is shown of it has at most `max_chars` characters.
///
/// # Errors
/// [`McpError::Protocol`] when it is no result of a tool.
pub(super) fn from_wire(raw: &RawValue, max_chars: usize) -> Result<ToolOutput, McpError> {
    let wire: Wire = serde_json::from_str(raw.get()).map_err(|error| protocol(&error))?;
    let structured = wire.structured.filter(|value| !value.is_null()).map(clean_json);
    let left_out = wire.content.len().saturating_sub(MAX_PARTS);
    let parts = wire.content.into_iter().take(MAX_PARTS).map(part).collect();
    Ok(budget::fit(parts, structured, wire.is_error, left_out > 0, max_chars))
}

/// A result that says why there is none.
pub(super) fn failure(text: &str) -> ToolOutput {
    ToolOutput { is_error: true, ..ToolOutput::text(text) }
}

fn part(value: Value) -> Content {
    let Value::Object(fields) = value else { return unknown("", &value) };
    match fields.get("type").and_then(Value::as_str) {
        Some("text") => Content::Text { text: clean(text(&fields, "text"), usize::MAX) },
        Some(kind @ ("image" | "audio")) => binary(kind == "image", &fields),
        Some("resource") => resource(&fields),
        Some("resource_link") => link(&fields),
        Some(kind) => unknown(&kind.to_owned(), &Value::Object(fields)),
        None => unknown("", &Value::Object(fields)),
    }
}

fn binary(image: bool, fields: &Map<String, Value>) -> Content {
    let (mime, data) = (label(text(fields, "mimeType")), text(fields, "data"));
    let word = if image { "image" } else { "audio" };
    if data.len() > MAX_BINARY {
        return Content::Text { text: left_out(word, &mime, data.len()) };
    }
    if !data.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'-' | b'_')) {
        return Content::Text { text: format!("[{word} ({mime}) left out: it is not base64]") };
    }
    let data = data.to_owned();
    if image { Content::Image { mime, data } } else { Content::Audio { mime, data } }
}

fn resource(fields: &Map<String, Value>) -> Content {
    let empty = Map::new();
    let inner = fields.get("resource").and_then(Value::as_object).unwrap_or(&empty);
    let mime = inner.get("mimeType").and_then(Value::as_str).map(label);
    let blob = inner.get("blob").and_then(Value::as_str);
    if let Some(blob) = blob.filter(|blob| blob.len() > MAX_BINARY) {
        return Content::Text { text: left_out("resource", mime.as_deref().unwrap_or("unknown type"), blob.len()) };
    }
    Content::Resource {
        uri: label(text(inner, "uri")),
        mime,
        text: inner.get("text").and_then(Value::as_str).map(|text| clean(text, usize::MAX)),
        blob: blob.map(str::to_owned),
    }
}

fn link(fields: &Map<String, Value>) -> Content {
    Content::ResourceLink {
        uri: label(text(fields, "uri")),
        name: label(text(fields, "name")),
        description: fields.get("description").and_then(Value::as_str).map(|text| clean(text, 2 * MAX_LABEL)),
        mime: fields.get("mimeType").and_then(Value::as_str).map(label),
    }
}

/// A kind that this version does not know is shown as it is.
fn unknown(kind: &str, value: &Value) -> Content {
    Content::Text { text: format!("[content of unknown kind {kind:?}: {}]", clean(&value.to_string(), usize::MAX)) }
}

fn left_out(word: &str, mime: &str, size: usize) -> String {
    format!("[{word} ({mime}) left out: {} characters of base64 are too many]", thousands(size))
}

fn text<'a>(fields: &'a Map<String, Value>, key: &str) -> &'a str {
    fields.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn label(text: &str) -> String {
    clean(text, MAX_LABEL).replace(['\n', '\t'], " ")
}

/// Text without control characters (but line ends and tabs) and without what no reader can see,
/// at most `max` characters of it.
pub(super) fn clean(text: &str, max: usize) -> String {
    text.chars().filter(|&c| is_visible(c)).take(max).collect()
}

fn is_visible(c: char) -> bool {
    if c.is_control() {
        return matches!(c, '\n' | '\t');
    }
    !matches!(c,
        '\u{00AD}' | '\u{061C}' | '\u{180E}' | '\u{FEFF}'
        | '\u{200B}'..='\u{200F}'   // zero width, direction marks
        | '\u{202A}'..='\u{202E}'   // direction overrides
        | '\u{2060}'..='\u{206F}'   // joiners, direction isolates, deprecated format characters
        | '\u{FFF9}'..='\u{FFFB}'   // interlinear annotation
        | '\u{E0000}'..='\u{E007F}' // tags: a whole hidden alphabet
        | '\u{E0100}'..='\u{E01EF}' // variation selectors: another one
    )
}

fn clean_json(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(clean(&text, usize::MAX)),
        Value::Array(items) => items.into_iter().map(clean_json).collect(),
        Value::Object(fields) => {
            fields.into_iter().map(|(key, value)| (clean(&key, usize::MAX), clean_json(value))).collect()
        }
        other => other,
    }
}

/// What a model reads: every part, and the structured form when no text says the same.
pub(super) fn for_model(output: &ToolOutput) -> Vec<ResultPart> {
    let mut parts: Vec<ResultPart> = output.content.iter().filter_map(model_part).collect();
    if let Some(shown) = output.structured.as_ref().filter(|value| !is_told(value, &output.content)) {
        parts.push(ResultPart::Text { text: compact(shown) });
    }
    if parts.is_empty() {
        parts.push(ResultPart::Text { text: NOTHING.into() });
    }
    parts
}

fn model_part(content: &Content) -> Option<ResultPart> {
    match content {
        Content::Image { mime, data } if is_picture(mime) => {
            Some(ResultPart::Image { mime: mime.clone(), data: data.clone() })
        }
        other => Some(told(other)).filter(|text| !text.trim().is_empty()).map(|text| ResultPart::Text { text }),
    }
}

/// What a person reads: as [`for_model`], with pictures described.
pub(super) fn for_person(output: &ToolOutput) -> String {
    let mut texts: Vec<String> = output.content.iter().map(told).filter(|text| !text.trim().is_empty()).collect();
    if let Some(shown) = output.structured.as_ref().filter(|value| !is_told(value, &output.content)) {
        texts.push(serde_json::to_string_pretty(shown).unwrap_or_default());
    }
    if texts.is_empty() { NOTHING.into() } else { texts.join("\n") }
}

/// The kinds of picture that every vendor's model can see.
fn is_picture(mime: &str) -> bool {
    matches!(mime, "image/png" | "image/jpeg" | "image/gif" | "image/webp")
}

/// A part in words.
fn told(content: &Content) -> String {
    match content {
        Content::Text { text } => text.clone(),
        Content::Image { mime, data } => format!("[image: {mime}, {} bytes]", thousands(bytes(data))),
        Content::Audio { mime, data } => format!("[audio: {mime}, {} bytes]", thousands(bytes(data))),
        Content::Resource { uri, mime, text: Some(text), .. } => {
            format!("[resource {uri}{}]\n{text}", in_brackets(mime))
        }
        Content::Resource { uri, mime, blob: Some(blob), .. } => {
            format!("[resource {uri}{}: {} bytes that are not text]", in_brackets(mime), thousands(bytes(blob)))
        }
        Content::Resource { uri, mime, .. } => format!("[resource {uri}{}: empty]", in_brackets(mime)),
        Content::ResourceLink { uri, name, description, mime } => {
            let about = description.as_ref().map(|text| format!(": {text}")).unwrap_or_default();
            format!("[link to resource {name} at {uri}{}{about}]", in_brackets(mime))
        }
    }
}

fn in_brackets(mime: &Option<String>) -> String {
    mime.as_ref().map(|mime| format!(" ({mime})")).unwrap_or_default()
}

/// How many bytes a base64 text stands for.
fn bytes(base64: &str) -> usize {
    base64.trim_end_matches('=').len() * 3 / 4
}

fn compact(value: &Value) -> String {
    to_raw_value(value).map(|raw| raw.get().to_owned()).unwrap_or_default()
}

/// Whether some text says what `structured` says: as JSON, or, as some frameworks do it, wrapped in
/// a field `result`.
fn is_told(structured: &Value, content: &[Content]) -> bool {
    let wrapped = structured.as_object().filter(|fields| fields.len() == 1).and_then(|fields| fields.get("result"));
    content.iter().any(|part| {
        let Content::Text { text } = part else { return false };
        let parsed = serde_json::from_str::<Value>(text).ok();
        parsed.as_ref() == Some(structured)
            || wrapped.is_some_and(|inner| inner.as_str() == Some(text) || parsed.as_ref() == Some(inner))
    })
}

/// `12345` as `12,345`.
fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
