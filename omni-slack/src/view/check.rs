//! Whether Slack would take something, and whether it is safe: for tests.

use proptest::prelude::*;
use serde_json::Value;

use super::{Message, limits, text::BREAK};

/// Text as somebody writes it who means harm, or a lot.
pub(crate) fn hostile() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => prop::sample::select(vec![
            "<!channel>", "<!here|x>", "<!everyone>", "<!subteam^S1>", "<!date^1^{date}|x>", "<@U0ADMIN>", "<@W1|ann>",
            "<#C1|general>", "@here", "@everyone", "@channel", "<https://evil.example|https://good.org>",
            "<mailto:a@b.c|x>", "[https://good.org](https://evil.example)", "[click](https://evil.example/(a))",
            "[a](javascript:alert(1))", "[x](slack://open)", "![p](https://evil.example/p.png)",
            "![a\nb](https://evil.example/p.png)", "![",
            "[good.org]\n(https://evil.example)", "[r]: https://evil.example", "[r]", "[a](", "](https://evil.example)",
            "<https://evil.example>", "<javascript:x>", "```", "````rust", "~~~", "`", "``", "\n", "\n\n", "| a | b |\n",
            "|---|---|\n", "# h\n", "> ", "- ", "1. ", "**", "_", "&lt;!here&gt;", "&amp;", "&", "<", ">", "\\", "|",
            "\u{202E}", "\u{200B}", "\u{E0041}", "👩‍💻", "🦀", "ß", "日本語", "[x](https://good.org&#47;@evil.example)",
        ]).prop_map(str::to_owned),
        2 => "[a-z ]{0,30}",
        1 => ".{0,20}",
        1 => ("[a-z]", 1_usize..4_000).prop_map(|(word, times)| word.repeat(times)),
        1 => (Just("word <!here> "), 1_usize..400).prop_map(|(word, times)| word.repeat(times)),
    ];
    prop::collection::vec(piece, 0..14).prop_map(|pieces| pieces.concat())
}

/// The control sequence of Slack's in a text, if there is one. What omni itself writes is none: moments, the ids of
/// people and channels, and links whose label is not an address.
pub(crate) fn control(text: &str) -> Option<String> {
    for (at, _) in text.match_indices('<') {
        let rest = &text[at + 1..];
        let inner = rest.split('>').next().unwrap_or_default();
        let is_ours = inner.starts_with("!date^") && inner.contains("Z") | inner.contains("UTC");
        let next = rest.chars().nth(1).is_some_and(char::is_alphanumeric);
        let is_call = rest.starts_with(['!', '@', '#']) && next && !rest.to_lowercase().starts_with("!doctype");
        if is_call && !is_ours && !["@U0REQUESTER", "#C0REPORTS"].contains(&inner) {
            return Some(inner.chars().take(40).collect());
        }
    }
    let lower = text.to_lowercase();
    ["@channel", "@here", "@everyone"].into_iter().find_map(|call| {
        lower.match_indices(call).find_map(|(at, _)| {
            let is_word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
            let is_called =
                !is_word(lower[..at].chars().next_back()) && !is_word(lower[at + call.len()..].chars().next());
            is_called.then(|| call.to_owned())
        })
    })
}

/// Everything that Slack would say against a message.
pub(crate) fn message(message: &Message) {
    let mut wrong = Vec::new();
    if message.text.trim().is_empty() || limits::width(&message.text) > limits::UPDATE {
        wrong.push(format!("text of {}", limits::width(&message.text)));
    }
    blocks(&message.blocks, limits::BLOCKS, &mut wrong);
    let all: usize = message.blocks.iter().map(size).sum();
    if all > limits::MESSAGE {
        wrong.push(format!("blocks of {all} characters"));
    }
    let tables = message.blocks.iter().filter(|block| block["type"] == "table").count();
    if tables > 1 {
        wrong.push("two tables".into());
    }
    safe(&message.to_json(), &mut wrong);
    assert!(wrong.is_empty(), "{wrong:#?}\n{}", message.to_json());
}

/// Everything that Slack would say against a modal or a home tab.
pub(crate) fn view(view: &Value) {
    let mut wrong = Vec::new();
    let is_modal = view["type"] == "modal";
    for key in ["title", "submit", "close"] {
        length(&view[key]["text"], key, limits::MODAL_TITLE, &mut wrong);
    }
    length(&view["private_metadata"], "private_metadata", limits::METADATA, &mut wrong);
    length(&view["callback_id"], "callback_id", limits::ID, &mut wrong);
    let all = view["blocks"].as_array().unwrap();
    if is_modal && (view["title"]["text"].is_null() || view["callback_id"].is_null()) {
        wrong.push("a modal without title or id".into());
    }
    if all.iter().any(|block| block["type"] == "input") && view["submit"].is_null() {
        wrong.push("inputs without a button".into());
    }
    if view.to_string().len() > limits::VIEW_BYTES {
        wrong.push(format!("{} bytes", view.to_string().len()));
    }
    blocks(all, limits::VIEW_BLOCKS, &mut wrong);
    safe(view, &mut wrong);
    assert!(wrong.is_empty(), "{wrong:#?}\n{view}");
}

/// Everything that Slack would say against a piece of a stream.
pub(crate) fn chunk(chunk: &Value) {
    let mut wrong = Vec::new();
    for key in ["title", "details", "output"] {
        length(&chunk[key], key, limits::TASK, &mut wrong);
    }
    length(&chunk["text"], "text", limits::MARKDOWN, &mut wrong);
    safe(chunk, &mut wrong);
    assert!(wrong.is_empty(), "{wrong:#?}\n{chunk}");
}

fn blocks(blocks: &[Value], most: usize, wrong: &mut Vec<String>) {
    if blocks.is_empty() || blocks.len() > most {
        wrong.push(format!("{} blocks", blocks.len()));
    }
    let mut ids: Vec<&str> = blocks.iter().filter_map(|block| block["block_id"].as_str()).collect();
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    if ids.len() < count {
        wrong.push("a block_id twice".into());
    }
    let markdown: usize = blocks.iter().filter(|block| block["type"] == "markdown").map(size).sum();
    if markdown > limits::MARKDOWN {
        wrong.push(format!("Markdown of {markdown}"));
    }
    blocks.iter().for_each(|block| element(block, wrong));
}

fn element(value: &Value, wrong: &mut Vec<String>) {
    let kind = value["type"].as_str().unwrap_or_default();
    let texts: &[(&str, usize)] = match kind {
        "section" => &[("/text/text", limits::SECTION)],
        "header" => &[("/text/text", limits::HEADER)],
        "markdown" => &[("/text", limits::MARKDOWN)],
        "input" => &[("/label/text", limits::LABEL), ("/hint/text", limits::LABEL)],
        "button" => &[
            ("/text/text", limits::BUTTON),
            ("/value", limits::VALUE),
            ("/url", limits::URL),
            ("/confirm/title/text", limits::CONFIRM_TITLE),
            ("/confirm/text/text", limits::CONFIRM_TEXT),
            ("/confirm/confirm/text", limits::CONFIRM_BUTTON),
            ("/confirm/deny/text", limits::CONFIRM_BUTTON),
        ],
        _ => &[("/placeholder/text", limits::PLACEHOLDER), ("/initial_value", limits::INPUT)],
    };
    for (path, most) in texts {
        length(value.pointer(path).unwrap_or(&Value::Null), path, *most, wrong);
    }
    for key in ["action_id", "block_id"] {
        length(&value[key], key, limits::ID, wrong);
    }
    let counts: &[(&str, usize)] = match kind {
        "section" => &[("fields", limits::FIELDS)],
        "context" => &[("elements", limits::CONTEXT)],
        "actions" => &[("elements", limits::ACTIONS)],
        "static_select" | "multi_static_select" => {
            &[("options", limits::OPTIONS), ("option_groups", limits::OPTION_GROUPS)]
        }
        "checkboxes" | "radio_buttons" => &[("options", limits::CHOICES)],
        "table" => &[("rows", limits::TABLE_ROWS)],
        _ => &[],
    };
    for (key, most) in counts {
        if let Some(items) = value[*key].as_array()
            && (items.is_empty() || items.len() > *most)
        {
            wrong.push(format!("{kind} with {} {key}", items.len()));
        }
    }
    if kind == "table"
        && value["rows"].as_array().is_some_and(|rows| {
            rows.iter().any(|row| row.as_array().is_none_or(|row| row.len() > limits::TABLE_COLUMNS))
        })
    {
        wrong.push("a table too wide".into());
    }
    if kind == "actions" {
        let ids: std::collections::BTreeSet<&str> =
            value["elements"].as_array().into_iter().flatten().filter_map(|one| one["action_id"].as_str()).collect();
        if ids.len() != value["elements"].as_array().map_or(0, Vec::len) {
            wrong.push("an action_id twice".into());
        }
    }
    for option in options(value) {
        length(&option["text"]["text"], "option", limits::OPTION, wrong);
        length(&option["value"], "option value", limits::OPTION_VALUE, wrong);
    }
    for group in value["option_groups"].as_array().into_iter().flatten() {
        length(&group["label"]["text"], "group", limits::OPTION, wrong);
        if group["options"].as_array().is_none_or(|options| options.len() > limits::OPTIONS) {
            wrong.push("a group too long".into());
        }
    }
    for field in value["fields"].as_array().into_iter().flatten() {
        length(&field["text"], "field", limits::FIELD, wrong);
    }
    for inner in value["elements"].as_array().into_iter().flatten() {
        element(inner, wrong);
    }
    for key in ["accessory", "element"] {
        if value[key].is_object() {
            element(&value[key], wrong);
        }
    }
}

fn options(value: &Value) -> Vec<&Value> {
    let groups = value["option_groups"].as_array().into_iter().flatten();
    let grouped = groups.flat_map(|group| group["options"].as_array().into_iter().flatten());
    value["options"].as_array().into_iter().flatten().chain(grouped).collect()
}

fn length(value: &Value, what: &str, most: usize, wrong: &mut Vec<String>) {
    if let Some(text) = value.as_str() {
        let width = limits::width(text);
        if width == 0 || width > most {
            wrong.push(format!("{what} of {width}"));
        }
    }
}

/// All that counts as text of a message.
fn size(value: &Value) -> usize {
    match value {
        Value::Object(fields) => fields
            .iter()
            .map(|(key, value)| match value {
                Value::String(text) if key == "text" => limits::width(text),
                other => size(other),
            })
            .sum(),
        Value::Array(items) => items.iter().map(size).sum(),
        _ => 0,
    }
}

fn safe(value: &Value, wrong: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            // What only comes back is not shown.
            let shown = fields.iter().filter(|(key, _)| {
                !matches!(key.as_str(), "value" | "private_metadata" | "action_id" | "block_id" | "url")
            });
            shown.for_each(|(_, value)| safe(value, wrong));
        }
        Value::Array(items) => items.iter().for_each(|value| safe(value, wrong)),
        Value::String(text) => {
            wrong.extend(control(text).map(|found| format!("control sequence {found:?}")));
            let hidden = text.chars().find(|&c| super::text::is_hidden(c) && c != BREAK);
            wrong.extend(hidden.map(|c| format!("hidden {c:?}")));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
