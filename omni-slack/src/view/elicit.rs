//! What a server asks of a person in the middle of a call: a card, and a modal for its form.

use std::collections::BTreeMap;

use omni_core::elicit::{Elicitation, Field, Form, Wanted};
use serde_json::{Map, Value};

use super::{
    Message,
    block::{self, Look},
    ids, text,
};

mod element;
mod reading;

/// Room for the fields of a form, in bytes; where lists of choices take more, they are typed.
const ROOM: usize = 120_000;

/// What becomes of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was answered.
    Answered,
    /// The person did not want to.
    Declined,
    /// Nobody answered in time.
    Expired,
}

/// Tells of the question; `value` is what its buttons bring back.
#[must_use]
pub fn card(question: &Elicitation, value: &str) -> Message {
    let mut blocks = head(question);
    let decline = block::button(ids::ELICIT_DECLINE, "Decline", value, Look::Plain);
    let buttons = match &question.wanted {
        Wanted::Form(_) => vec![block::button(ids::ELICIT, "Answer", value, Look::Primary), decline],
        Wanted::Page { url } => {
            let origin = url.origin().ascii_serialization();
            blocks.push(block::section(&format!("It wants you to open a page of {}:", text::code(&origin, 300))));
            blocks.push(block::plain_section(url.as_str()));
            blocks.push(block::context("⚠️ omni does not know what happens there. Open it only if you expected this."));
            let opened = block::button(ids::ELICIT_OPENED, "I have done it", value, Look::Primary);
            let link = block::link(&format!("{}:page", ids::LINK), "Open the page", url.as_str());
            vec![link, opened, decline]
        }
        _ => vec![decline],
    };
    blocks.extend(block::actions("omni:elicit", buttons.into_iter().flatten().collect()));
    Message::new(&format!("{} asks you something", question.server), blocks)
}

/// The card once the question is over.
#[must_use]
pub fn ended(question: &Elicitation, outcome: Outcome) -> Message {
    let line = match outcome {
        Outcome::Answered => "✅ Answered",
        Outcome::Declined => "⛔ Declined",
        Outcome::Expired => "⌛ Nobody answered in time",
    };
    let mut blocks = head(question);
    blocks.push(block::context(line));
    Message::new(&format!("{}: {line}", question.server), blocks)
}

fn head(question: &Elicitation) -> Vec<Value> {
    let (server, tool) = (text::mrkdwn_line(&question.server, 100), text::code(&question.tool, 150));
    let mut blocks = vec![block::section(&format!("❓ *{server}* asks you something, for {tool}:"))];
    if !question.message.trim().is_empty() {
        blocks.push(block::plain_section(&question.message));
    }
    blocks
}

/// The modal for a form; nothing where no form is wanted. Its fields are named by their number.
#[must_use]
pub fn modal(question: &Elicitation, metadata: &str) -> Option<Value> {
    let Wanted::Form(form) = &question.wanted else { return None };
    let mut blocks = head(question);
    blocks.push(block::context("Never give a password here: what you enter goes to the server."));
    let mut room = ROOM;
    for (at, field) in form.fields.iter().enumerate() {
        let element = element::of(field, &mut room);
        let hint = hint(field, &element);
        blocks.push(block::input(&block_id(at), &field.title, hint.as_deref(), !field.required, element));
    }
    Some(block::modal(ids::ELICIT_MODAL, "Answer", Some("Send"), metadata, blocks))
}

fn block_id(at: usize) -> String {
    format!("field:{at}")
}

fn hint(field: &Field, element: &Value) -> Option<String> {
    let typed = element::is_typed(field, element).then(|| element::choices(field)).flatten();
    let parts: Vec<String> = field.description.clone().into_iter().chain(typed).collect();
    (!parts.is_empty()).then(|| parts.join(" · "))
}

/// The values of `state.values`, as the form wants them.
///
/// # Errors
/// What is wrong, by block: the `errors` of an answer to Slack.
pub fn values(form: &Form, state: &Value) -> Result<Map<String, Value>, BTreeMap<String, String>> {
    let (mut values, mut wrong) = (Map::new(), BTreeMap::new());
    for (at, field) in form.fields.iter().enumerate() {
        let id = block_id(at);
        let read = reading::of(field, &state[id.as_str()]["value"]);
        match read {
            Ok(Some(value)) => match field.check(&value) {
                Ok(()) => drop(values.insert(field.name.clone(), value)),
                Err(why) => drop(wrong.insert(id, said(field, &why))),
            },
            Ok(None) if field.required => drop(wrong.insert(id, "This is needed.".to_owned())),
            Ok(None) => {}
            Err(why) => drop(wrong.insert(id, said(field, &why))),
        }
    }
    if wrong.is_empty() { Ok(values) } else { Err(wrong) }
}

/// The fault, without the field's name before it.
fn said(field: &Field, why: &str) -> String {
    let why = why.strip_prefix(&format!("{}: ", field.name)).unwrap_or(why);
    text::plain_line(why, 300)
}
