//! Slack's blocks and their elements, cut to what Slack takes.

use serde_json::{Value, json};

use super::{limits, text};

/// How a button looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Look {
    /// As any.
    #[default]
    Plain,
    /// As the one to press.
    Primary,
    /// As one with consequences.
    Danger,
}

/// A section of text that is mrkdwn already: what of it is not ours is escaped.
#[must_use]
pub fn section(mrkdwn: &str) -> Value {
    json!({ "type": "section", "text": mrkdwn_text(mrkdwn, limits::SECTION) })
}

/// The same with an element at its side.
#[must_use]
pub fn section_with(mrkdwn: &str, accessory: Value) -> Value {
    let mut section = section(mrkdwn);
    section["accessory"] = accessory;
    section
}

/// A section of text that is shown as it is.
#[must_use]
pub fn plain_section(shown: &str) -> Value {
    json!({ "type": "section", "text": { "type": "plain_text", "text": filled(text::plain(shown, limits::SECTION)),
        "emoji": false } })
}

/// A section of pairs, ten at most.
#[must_use]
pub fn fields(pairs: &[(&str, String)]) -> Value {
    let fields: Vec<Value> = pairs
        .iter()
        .take(limits::FIELDS)
        .map(|(name, value)| mrkdwn_text(&format!("*{name}*\n{value}"), limits::FIELD))
        .collect();
    json!({ "type": "section", "fields": fields })
}

/// A header.
#[must_use]
pub fn header(title: &str) -> Value {
    json!({ "type": "header", "text": plain_text(title, limits::HEADER) })
}

/// A line between.
#[must_use]
pub fn divider() -> Value {
    json!({ "type": "divider" })
}

/// A line of small print in mrkdwn.
#[must_use]
pub fn context(mrkdwn: &str) -> Value {
    json!({ "type": "context", "elements": [mrkdwn_text(mrkdwn, limits::FIELD)] })
}

/// A block of Markdown that is safe already.
#[must_use]
pub fn markdown(safe: &str) -> Value {
    json!({ "type": "markdown", "text": filled(limits::clamp(safe, limits::MARKDOWN)) })
}

/// A row of buttons and menus; nothing where there are none.
#[must_use]
pub fn actions(block_id: &str, elements: Vec<Value>) -> Option<Value> {
    let elements: Vec<Value> = elements.into_iter().take(limits::ACTIONS).collect();
    let block_id = limits::clamp(block_id, limits::ID);
    (!elements.is_empty()).then(|| json!({ "type": "actions", "block_id": block_id, "elements": elements }))
}

/// A button; nothing where its value is longer than Slack keeps.
#[must_use]
pub fn button(action_id: &str, label: &str, value: &str, look: Look) -> Option<Value> {
    if limits::width(value) > limits::VALUE || limits::width(action_id) > limits::ID {
        return None;
    }
    let mut button = json!({ "type": "button", "action_id": action_id, "text": plain_text(label, limits::BUTTON) });
    if !value.is_empty() {
        button["value"] = value.into();
    }
    match look {
        Look::Plain => {}
        Look::Primary => button["style"] = "primary".into(),
        Look::Danger => button["style"] = "danger".into(),
    }
    Some(button)
}

/// A button that opens an address; nothing where that is no web page, or too long.
#[must_use]
pub fn link(action_id: &str, label: &str, address: &str) -> Option<Value> {
    let url = super::markdown::web(address).filter(|url| limits::width(url.as_str()) <= limits::URL)?;
    let mut button = button(action_id, label, "", Look::Plain)?;
    button["url"] = url.as_str().into();
    Some(button)
}

/// A question that Slack asks before a button counts.
#[must_use]
pub fn ask_back(title: &str, question: &str, yes: &str, no: &str) -> Value {
    json!({
        "title": plain_text(title, limits::CONFIRM_TITLE),
        "text": plain_text(question, limits::CONFIRM_TEXT),
        "confirm": plain_text(yes, limits::CONFIRM_BUTTON),
        "deny": plain_text(no, limits::CONFIRM_BUTTON),
    })
}

/// An option of a menu; nothing where its value is longer than Slack keeps.
#[must_use]
pub fn option(label: &str, value: &str) -> Option<Value> {
    let fits = !value.is_empty() && limits::width(value) <= limits::OPTION_VALUE;
    fits.then(|| json!({ "text": plain_text(label, limits::OPTION), "value": value }))
}

/// Options as the `options` of a menu, or as `option_groups` where they are many.
pub fn put_options(menu: &mut Value, options: Vec<Value>) {
    if options.len() <= limits::OPTIONS {
        menu["options"] = options.into();
        return;
    }
    let group = |(at, options): (usize, &[Value])| {
        let first = at * limits::OPTIONS + 1;
        let label = format!("{first}–{}", first + options.len() - 1);
        json!({ "label": plain_text(&label, limits::OPTION), "options": options })
    };
    menu["option_groups"] =
        options.chunks(limits::OPTIONS).take(limits::OPTION_GROUPS).enumerate().map(group).collect();
}

/// An input of a modal.
#[must_use]
pub fn input(block_id: &str, label: &str, hint: Option<&str>, optional: bool, element: Value) -> Value {
    let mut input = json!({
        "type": "input",
        "block_id": limits::clamp(block_id, limits::ID),
        "label": plain_text(label, 150),
        "optional": optional,
    });
    input["element"] = element;
    if let Some(hint) = hint.map(|hint| text::plain_line(hint, 500)).filter(|hint| !hint.is_empty()) {
        input["hint"] = json!({ "type": "plain_text", "text": hint });
    }
    input
}

/// A modal.
#[must_use]
pub fn modal(callback_id: &str, title: &str, submit: Option<&str>, metadata: &str, blocks: Vec<Value>) -> Value {
    let blocks: Vec<Value> = blocks.into_iter().take(limits::VIEW_BLOCKS).collect();
    let mut modal = json!({
        "type": "modal",
        "callback_id": callback_id,
        "title": plain_text(title, limits::MODAL_TITLE),
        "close": plain_text(if submit.is_some() { "Cancel" } else { "Close" }, limits::MODAL_TITLE),
        "blocks": blocks,
    });
    if let Some(submit) = submit {
        modal["submit"] = plain_text(submit, limits::MODAL_TITLE);
    }
    // Half of it would say something else.
    if !metadata.is_empty() && limits::width(metadata) <= limits::METADATA {
        modal["private_metadata"] = metadata.into();
    }
    modal
}

/// A plain text object on one line.
#[must_use]
pub fn plain_text(shown: &str, max: usize) -> Value {
    json!({ "type": "plain_text", "text": filled(text::plain_line(shown, max)), "emoji": true })
}

/// A mrkdwn object; addresses in it are not looked up.
#[must_use]
pub fn mrkdwn_text(mrkdwn: &str, max: usize) -> Value {
    json!({ "type": "mrkdwn", "text": filled(limits::clamp(mrkdwn, max)), "verbatim": true })
}

/// Slack refuses empty text.
fn filled(text: String) -> String {
    if text.is_empty() { "–".into() } else { text }
}
