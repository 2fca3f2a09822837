//! Tool results: from the wire into capped parts, and from these to a model or a person.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, SeqAccess, Visitor},
};
use serde_json::{
    Value,
    value::{RawValue, to_raw_value},
};

use super::{Content, McpError, ToolOutput, client::protocol, lenient::or_default};
use crate::llm::ResultPart;

mod budget;
mod picture;
mod visible;

pub(crate) use visible::clean;

#[cfg(test)]
mod tests;

/// Most parts of one result.
const MAX_PARTS: usize = 200;

/// Longest URI, name or media type that is kept, in characters.
const MAX_LABEL: usize = 500;

/// What a model reads when there is nothing to read.
const NOTHING: &str = "(the tool returned nothing)";

/// Most bytes of a structured form for each character that may be shown of it: escapes and white
/// space are not shown, and what is longer is not read.
const BYTES_PER_CHAR: usize = 16;

/// A structured form of so many bytes is always read.
const SMALL: usize = 64 * 1024;

/// How many times longer than its compact form a person may be shown JSON, for its line breaks.
const MAX_STRETCH: usize = 4;

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(default, borrow, deserialize_with = "or_default")]
    content: Parts<'a>,
    #[serde(default, borrow, rename = "structuredContent")]
    structured: Option<&'a RawValue>,
    #[serde(default, rename = "isError", deserialize_with = "or_default")]
    is_error: bool,
}

/// The first parts of a result, unread, and whether there are more: millions of tiny values take
/// many times their bytes once they are read.
#[derive(Default)]
struct Parts<'a> {
    first: Vec<&'a RawValue>,
    more: bool,
}

impl<'de: 'a, 'a> Deserialize<'de> for Parts<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Collect)
    }
}

struct Collect;

impl<'de> Visitor<'de> for Collect {
    type Value = Parts<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of content parts")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Parts<'de>, A::Error> {
        let mut parts = Parts::default();
        while parts.first.len() < MAX_PARTS {
            let Some(part) = items.next_element()? else { return Ok(parts) };
            parts.first.push(part);
        }
        while items.next_element::<IgnoredAny>()?.is_some() {
            parts.more = true;
        }
        Ok(parts)
    }
}

/// The fields of a part, and of the resource in one. A field of the wrong type is as good as none.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Fields<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<&'a RawValue>,
    #[serde(borrow)]
    text: Option<&'a RawValue>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    mime_type: Option<&'a RawValue>,
    #[serde(borrow)]
    uri: Option<&'a RawValue>,
    #[serde(borrow)]
    name: Option<&'a RawValue>,
    #[serde(borrow)]
    description: Option<&'a RawValue>,
    #[serde(borrow)]
    blob: Option<&'a RawValue>,
    #[serde(borrow)]
    resource: Option<&'a RawValue>,
}

/// A result as it came, capped: what a model is shown of it has at most `max_chars` characters.
///
/// # Errors
/// [`McpError::Protocol`] when it is no result of a tool.
pub(super) fn from_wire(raw: &RawValue, max_chars: usize) -> Result<ToolOutput, McpError> {
    let wire: Wire<'_> = serde_json::from_str(raw.get()).map_err(|error| protocol(&error))?;
    let readable = max_chars.saturating_mul(BYTES_PER_CHAR).max(SMALL);
    let structured = wire.structured.filter(|raw| raw.get().len() <= readable);
    let left_out = wire.content.more || structured.is_some() != wire.structured.is_some();
    let structured = structured.and_then(|raw| serde_json::from_str(raw.get()).ok()).map(clean_json);
    let parts = wire.content.first.into_iter().map(part).collect();
    Ok(budget::fit(parts, structured, wire.is_error, left_out, max_chars))
}

/// A result that says why there is none.
pub(super) fn failure(text: &str) -> ToolOutput {
    ToolOutput { is_error: true, ..ToolOutput::text(text) }
}

fn part(raw: &RawValue) -> Content {
    let fields: Fields<'_> = serde_json::from_str(raw.get()).unwrap_or_default();
    match &*text(fields.kind) {
        "text" => Content::Text { text: clean(&text(fields.text), usize::MAX) },
        "image" => image(&fields),
        "audio" => audio(&fields),
        "resource" => resource(fields.resource),
        "resource_link" => link(&fields),
        kind => unknown(&label(kind), raw),
    }
}

/// A picture goes by its bytes, whatever the server calls it.
fn image(fields: &Fields<'_>) -> Content {
    let (mime, data) = (label(&text(fields.mime_type)), text(fields.data));
    match picture::kind(&data) {
        _ if !picture::is_base64(&data) => no_base64("image", &mime),
        Some(kind) => Content::Image { mime: kind.into(), data },
        None if is_picture(&mime) => Content::Text { text: format!("[image ({mime}) left out: it is not one]") },
        None => Content::Image { mime, data },
    }
}

fn audio(fields: &Fields<'_>) -> Content {
    let (mime, data) = (label(&text(fields.mime_type)), text(fields.data));
    if picture::is_base64(&data) { Content::Audio { mime, data } } else { no_base64("audio", &mime) }
}

fn no_base64(word: &str, mime: &str) -> Content {
    Content::Text { text: format!("[{word} ({mime}) left out: it is not base64]") }
}

fn resource(raw: Option<&RawValue>) -> Content {
    let inner: Fields<'_> = raw.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
    Content::Resource {
        uri: label(&text(inner.uri)),
        mime: string(inner.mime_type).map(|mime| label(&mime)),
        text: string(inner.text).map(|text| clean(&text, usize::MAX)),
        blob: string(inner.blob),
    }
}

fn link(fields: &Fields<'_>) -> Content {
    Content::ResourceLink {
        uri: label(&text(fields.uri)),
        name: label(&text(fields.name)),
        description: string(fields.description).map(|text| clean(&text, 2 * MAX_LABEL)),
        mime: string(fields.mime_type).map(|mime| label(&mime)),
    }
}

/// A kind that this version does not know is shown as it is.
fn unknown(kind: &str, raw: &RawValue) -> Content {
    Content::Text { text: format!("[content of unknown kind {kind:?}: {}]", clean(raw.get(), usize::MAX)) }
}

fn string(raw: Option<&RawValue>) -> Option<String> {
    serde_json::from_str(raw?.get()).ok()
}

fn text(raw: Option<&RawValue>) -> String {
    string(raw).unwrap_or_default()
}

fn label(text: &str) -> String {
    clean(text, MAX_LABEL).replace(['\n', '\t'], " ")
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
        texts.push(pretty(shown));
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

/// With line breaks, unless they are most of it.
fn pretty(value: &Value) -> String {
    let (compact, pretty) = (compact(value), serde_json::to_string_pretty(value).unwrap_or_default());
    if pretty.len() <= compact.len() * MAX_STRETCH { pretty } else { compact }
}

fn compact(value: &Value) -> String {
    to_raw_value(value).map(|raw| raw.get().to_owned()).unwrap_or_default()
}

/// Whether some text says what `structured` says: as JSON, or, as frameworks wrap a plain result, as
/// the value of its only field.
fn is_told(structured: &Value, content: &[Content]) -> bool {
    let wrapped = structured.as_object().filter(|fields| fields.len() == 1).and_then(|fields| fields.values().next());
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
