//! What a person sees of blocks: words, elements, mentions.

use serde_json::Value;

/// The names under which blocks nest blocks or elements.
const NESTED: [&str; 8] = ["elements", "accessory", "element", "child_blocks", "blocks", "actions", "tasks", "rows"];

/// What stands first in a block.
const ORDER: [&str; 8] = ["title", "label", "subtitle", "text", "fields", "body", "elements", "placeholder"];

/// Texts that a person can read in a block, in order.
pub(super) fn reads(block: &Value) -> Vec<String> {
    let mut found = Vec::new();
    read(block, &mut found);
    found
}

/// A piece of rich text reads as one line, everything else piece by piece.
fn read(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| read(item, found)),
        Value::Object(fields) => {
            if let Some("rich_text_section" | "rich_text_preformatted" | "rich_text_quote") = value["type"].as_str() {
                found.push(flat(&value["elements"]));
                return;
            }
            let mut fields_in_order: Vec<_> = fields.iter().collect();
            fields_in_order
                .sort_by_key(|(name, _)| ORDER.iter().position(|first| first == name).unwrap_or(ORDER.len()));
            for (name, inner) in fields_in_order {
                match inner {
                    Value::String(text) if is_read(name, fields) => found.push(text.clone()),
                    Value::Object(_) | Value::Array(_) if name != "confirm" && name != "metadata" => read(inner, found),
                    _ => {}
                }
            }
        }
        _ => {}
    }
}

/// Whether a string under this name is shown: `text` is, and the titles of blocks that have them as plain strings.
fn is_read(name: &str, fields: &serde_json::Map<String, Value>) -> bool {
    match name {
        "text" | "pretext" | "alt_text" | "caption" => true,
        "title" => fields.contains_key("task_id") || fields.contains_key("tasks") || !fields.contains_key("type"),
        "initial_value" => true,
        _ => false,
    }
}

fn flat(elements: &Value) -> String {
    let elements = elements.as_array().map_or(&[][..], Vec::as_slice);
    elements.iter().map(piece).collect()
}

fn piece(element: &Value) -> String {
    match element["type"].as_str() {
        Some("user") => format!("<@{}>", element["user_id"].as_str().unwrap_or_default()),
        Some("channel") => format!("<#{}>", element["channel_id"].as_str().unwrap_or_default()),
        Some("broadcast") => format!("<!{}>", element["range"].as_str().unwrap_or_default()),
        Some("emoji") => format!(":{}:", element["name"].as_str().unwrap_or_default()),
        Some("link") => element["text"].as_str().or(element["url"].as_str()).unwrap_or_default().to_owned(),
        _ => element["text"].as_str().unwrap_or_default().to_owned(),
    }
}

/// Every element that a person can use, with the block that it is in.
pub(super) fn elements(blocks: &[Value]) -> impl Iterator<Item = (&Value, &Value)> {
    let mut found = Vec::new();
    for block in blocks {
        gather(block, block, &mut found);
    }
    found.into_iter()
}

fn gather<'a>(block: &'a Value, value: &'a Value, found: &mut Vec<(&'a Value, &'a Value)>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| gather(block, item, found)),
        Value::Object(fields) => {
            if fields.contains_key("action_id") {
                found.push((block, value));
                return;
            }
            let block = if fields.contains_key("block_id") { value } else { block };
            NESTED.iter().filter_map(|name| fields.get(*name)).for_each(|inner| gather(block, inner, found));
        }
        _ => {}
    }
}

/// The action ids in blocks, in order.
pub(super) fn actions(blocks: &[Value]) -> Vec<String> {
    elements(blocks).filter_map(|(_, element)| element["action_id"].as_str().map(str::to_owned)).collect()
}

/// Mentions in text as Slack reads it.
pub(super) fn pings(text: &str) -> Vec<String> {
    let parts = text.split('<').skip(1).filter_map(|part| part.split_once('>').map(|(inner, _)| inner));
    parts.filter(|inner| is_ping(inner)).map(|inner| format!("<{inner}>")).collect()
}

fn is_ping(inner: &str) -> bool {
    let name = inner.split('|').next().unwrap_or_default();
    matches!(name, "!channel" | "!here" | "!everyone" | "!group")
        || name.starts_with("!subteam^")
        || name.strip_prefix('@').is_some_and(|id| id.starts_with(['U', 'W']))
}

/// Mentions in a block: in its mrkdwn, its Markdown and its rich text, not in plain text.
pub(super) fn pings_in(value: &Value) -> Vec<String> {
    match value {
        Value::Array(items) => items.iter().flat_map(pings_in).collect(),
        Value::Object(fields) => match value["type"].as_str() {
            Some("plain_text" | "raw_text") => Vec::new(),
            Some("mrkdwn" | "markdown") => pings(value["text"].as_str().unwrap_or_default()),
            Some("user" | "broadcast" | "usergroup") => vec![piece(value)],
            _ => fields.values().flat_map(pings_in).collect(),
        },
        _ => Vec::new(),
    }
}
