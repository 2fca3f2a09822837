//! Modals and homes, and what Slack refuses in them.

use std::time::Duration;

use serde_json::Value;

use super::{View, World, args::Args, blocks, payload::view_json, refusal::Refusal};

/// How many modals may lie on top of each other.
pub(super) const IN_A_STACK: usize = 3;
/// How long a trigger lives.
const TRIGGER: Duration = Duration::from_secs(3);
/// How large a view may be.
const BYTES: usize = 250_000;

/// Refuses a view that cannot be shown.
pub(super) fn check(view: &Value, kind: &str) -> Result<(), Refusal> {
    if view.to_string().len() > BYTES {
        return Err(Refusal::breach("view_too_large"));
    }
    let wrong = wrong_in(view, kind);
    if wrong.is_empty() { Ok(()) } else { Err(Refusal { messages: wrong, ..Refusal::breach("invalid_arguments") }) }
}

fn wrong_in(view: &Value, kind: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if view["type"] != kind {
        wrong.push(format!("must be a valid enum value: {kind} [json-pointer:/view/type]"));
    }
    let blocks = view["blocks"].as_array().map_or(&[][..], Vec::as_slice);
    if view["blocks"].as_array().is_none() {
        wrong.push("missing required field: blocks [json-pointer:/view]".into());
    }
    for name in ["title", "submit", "close"] {
        let text = &view[name];
        if text.is_null() {
            continue;
        }
        if kind == "home" {
            wrong.push(format!("invalid additional property: {name} [json-pointer:/view]"));
        }
        let length = blocks::length(text["text"].as_str().unwrap_or_default());
        if text["type"] != "plain_text" || !(1..=24).contains(&length) {
            wrong.push(format!("must be plain_text of less than 25 characters [json-pointer:/view/{name}/text]"));
        }
    }
    let has_input = blocks.iter().any(|block| block["type"] == "input");
    if kind == "modal" && view["title"].is_null() {
        wrong.push("missing required field: title [json-pointer:/view]".into());
    }
    if kind == "modal" && has_input && view["submit"].is_null() {
        wrong.push("missing required field: submit [json-pointer:/view]".into());
    }
    for (name, most) in [("private_metadata", 3000), ("callback_id", 255), ("external_id", 255)] {
        if blocks::length(view[name].as_str().unwrap_or_default()) > most {
            wrong.push(format!("must be less than {} characters [json-pointer:/view/{name}]", most + 1));
        }
    }
    if blocks.iter().any(|block| block["type"] == "context_actions") {
        wrong.push("unsupported type: context_actions [json-pointer:/view/blocks]".into());
    }
    wrong.extend(blocks::wrong_in(blocks, "/view/blocks", blocks::IN_A_VIEW));
    wrong
}

impl World {
    /// Uses up a trigger; whose it is, and the modal that it came from.
    pub(super) fn uses_trigger(&mut self, args: &Args) -> Result<(String, Option<String>), Refusal> {
        let now = self.clock.now();
        let trigger = args.need("trigger_id")?;
        let trigger = self.triggers.get_mut(trigger).ok_or_else(|| Refusal::breach("invalid_trigger_id"))?;
        if now.saturating_sub(trigger.at) > TRIGGER {
            return Err(Refusal::breach("expired_trigger_id"));
        }
        if std::mem::replace(&mut trigger.is_used, true) {
            return Err(Refusal::breach("exchanged_trigger_id"));
        }
        Ok((trigger.user.clone(), trigger.view.clone()))
    }

    fn view(&mut self, id: &str, user: &str, given: Value, below: Option<&View>) -> View {
        let mut given = given;
        if let Some(blocks) = given["blocks"].as_array_mut() {
            blocks::name_all(blocks, || self.id("b"));
        }
        let hash = format!("{}.{}", self.clock.unix().as_secs(), self.id("hash"));
        let root = below.and_then(|below| below.body["root_view_id"].as_str()).unwrap_or(id);
        let body = view_json(&given, id, &hash, root, below.map(|below| below.id.as_str()));
        View {
            id: id.into(),
            user: user.into(),
            kind: body["type"].as_str().unwrap_or_default().into(),
            callback_id: body["callback_id"].as_str().unwrap_or_default().into(),
            body,
        }
    }

    /// Lays a modal on top of those that a user has open.
    pub(super) fn shows(&mut self, user: &str, given: Value) -> View {
        let below = self.views(user).pop();
        let id = self.id("V0");
        let view = self.view(&id, user, given, below.as_ref());
        self.views.push(view.clone());
        view
    }

    /// Puts something else into a modal or a home.
    pub(super) fn changes(&mut self, current: &View, given: Value) -> View {
        let mut view = self.view(&current.id, &current.user, given, None);
        for name in ["root_view_id", "previous_view_id"] {
            view.body[name] = current.body[name].clone();
        }
        match self.views.iter_mut().find(|open| open.id == current.id) {
            Some(open) => *open = view.clone(),
            None => drop(self.homes.insert(current.user.clone(), view.clone())),
        }
        view
    }

    pub(super) fn publishes(&mut self, user: &str, given: Value) -> View {
        let id = match self.homes.get(user) {
            Some(home) => home.id.clone(),
            None => self.id("V0"),
        };
        let view = self.view(&id, user, given, None);
        self.homes.insert(user.into(), view.clone());
        view
    }
}
