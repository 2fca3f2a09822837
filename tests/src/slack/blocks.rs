//! What Slack refuses in blocks, in its own words.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use shapes::{BLOCKS, ELEMENTS, Field, Rule, Shape};

mod shapes;

/// How many blocks a message may have.
pub(super) const IN_A_MESSAGE: usize = 50;
/// How many blocks a view may have.
pub(super) const IN_A_VIEW: usize = 100;
/// How many characters the Markdown of one message may have in all.
const MARKDOWN: usize = 12_000;

/// Every objection to blocks: `reason [json-pointer:/blocks/0/…]`.
pub(super) fn wrong_in(blocks: &[Value], at: &str, most: usize) -> Vec<String> {
    let mut check = Check::default();
    if blocks.len() > most {
        check.wrong(format!("no more than {most} items allowed"), at);
    }
    let mut ids = BTreeSet::new();
    let mut markdown = 0;
    for (index, block) in blocks.iter().enumerate() {
        let at = format!("{at}/{index}");
        check.block(block, &at);
        if let Some(id) = block["block_id"].as_str().filter(|id| !ids.insert(*id)) {
            check.wrong(format!("block_id `{id}` already exists"), &format!("{at}/block_id"));
        }
        if block["type"] == "markdown" {
            markdown += length(block["text"].as_str().unwrap_or_default());
        }
    }
    if markdown > MARKDOWN {
        check.wrong(format!("markdown blocks may hold {MARKDOWN} characters in all"), at);
    }
    check.wrong
}

/// How long Slack finds a text.
pub(super) fn length(text: &str) -> usize {
    text.chars().count()
}

/// Gives an id to every block and element that has none, as Slack does.
pub(super) fn name_all(blocks: &mut [Value], mut next_id: impl FnMut() -> String) {
    for block in blocks {
        let Some(fields) = block.as_object_mut() else { continue };
        if fields.get("block_id").and_then(Value::as_str).is_none_or(str::is_empty) {
            fields.insert("block_id".into(), next_id().into());
        }
        for name in ["elements", "accessory", "element"] {
            match fields.get_mut(name) {
                Some(Value::Array(elements)) => {
                    elements.iter_mut().for_each(|element| name_element(element, &mut next_id))
                }
                Some(element) => name_element(element, &mut next_id),
                None => {}
            }
        }
    }
}

fn name_element(element: &mut Value, next_id: &mut impl FnMut() -> String) {
    let is_used = element["type"].as_str().is_some_and(|kind| {
        ELEMENTS.iter().any(|shape| shape.kind == kind && shape.fields.iter().any(|field| field.name == "action_id"))
    });
    if let Some(fields) = element.as_object_mut().filter(|fields| is_used && !fields.contains_key("action_id")) {
        fields.insert("action_id".into(), next_id().into());
    }
}

#[derive(Debug, Default)]
struct Check {
    wrong: Vec<String>,
}

impl Check {
    fn wrong(&mut self, what: impl AsRef<str>, at: &str) {
        self.wrong.push(format!("{} [json-pointer:{at}]", what.as_ref()));
    }

    fn block(&mut self, block: &Value, at: &str) {
        let Some(fields) = block.as_object() else { return self.wrong("must be an object", at) };
        let kind = fields.get("type").and_then(Value::as_str).unwrap_or_default();
        let Some(shape) = BLOCKS.iter().find(|shape| shape.kind == kind) else {
            return self.wrong(format!("unsupported type: {kind}"), &format!("{at}/type"));
        };
        self.fields(fields, shape, at, &["type", "block_id"]);
        self.id(fields, "block_id", at);
        match kind {
            "section" if !fields.contains_key("text") && !fields.contains_key("fields") => {
                self.wrong("must have text or fields", at);
            }
            "image" => self.image(fields, at),
            "table" => self.columns(fields, at),
            _ => {}
        }
        self.unique_actions(block, at);
    }

    /// A picture is at an address or is a file of Slack's, not both.
    fn image(&mut self, fields: &Map<String, Value>, at: &str) {
        if fields.contains_key("image_url") == fields.contains_key("slack_file") {
            self.wrong("must have image_url or slack_file", at);
        }
    }

    fn columns(&mut self, fields: &Map<String, Value>, at: &str) {
        let rows = fields.get("rows").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let columns = rows.first().and_then(Value::as_array).map_or(0, Vec::len);
        if rows.iter().any(|row| row.as_array().is_some_and(|row| row.len() != columns)) {
            self.wrong("rows must have as many cells as the first", &format!("{at}/rows"));
        }
    }

    fn unique_actions(&mut self, block: &Value, at: &str) {
        let mut ids = BTreeSet::new();
        for (_, element) in super::looks::elements(std::slice::from_ref(block)) {
            if let Some(id) = element["action_id"].as_str().filter(|id| !ids.insert(*id)) {
                self.wrong(format!("action_id `{id}` already exists for another element in this block"), at);
            }
        }
    }

    fn id(&mut self, fields: &Map<String, Value>, name: &str, at: &str) {
        if let Some(id) = fields.get(name) {
            self.text(id, 0, 255, &format!("{at}/{name}"));
        }
    }

    fn fields(&mut self, fields: &Map<String, Value>, shape: &Shape, at: &str, also: &[&str]) {
        for name in fields.keys() {
            let is_known = also.contains(&name.as_str()) || shape.fields.iter().any(|field| field.name == name);
            if !is_known && !shape.is_open {
                self.wrong(format!("invalid additional property: {name}"), at);
            }
        }
        for Field { name, is_needed, rule } in shape.fields {
            match fields.get(*name) {
                Some(value) => self.value(value, rule, &format!("{at}/{name}")),
                None if *is_needed => self.wrong(format!("missing required field: {name}"), at),
                None => {}
            }
        }
    }

    fn value(&mut self, value: &Value, rule: &Rule, at: &str) {
        match rule {
            Rule::Any => {}
            Rule::Flag => self.is(value.is_boolean(), "must be a boolean", at),
            Rule::Number(least, most) => {
                self.is(value.as_u64().is_some_and(|n| (*least..=*most).contains(&n)), "must be a valid number", at);
            }
            Rule::Text(least, most) => self.text(value, *least, *most, at),
            Rule::OneOf(values) => {
                let is_one = value.as_str().is_some_and(|value| values.contains(&value));
                self.is(is_one, &format!("must be a valid enum value: {}", values.join(", ")), at);
            }
            Rule::Plain(most) => self.text_object(value, &["plain_text"], *most, at),
            Rule::Either(most) => self.text_object(value, &["plain_text", "mrkdwn"], *most, at),
            Rule::List(least, most, of) => self.list(value, (*least, *most), of, at),
            Rule::Object(shape) => match value.as_object() {
                Some(fields) => self.fields(fields, shape, at, &[]),
                None => self.wrong("must be an object", at),
            },
            Rule::Element(kinds) => self.element(value, kinds, at),
            Rule::Block(kinds) => {
                let kind = value["type"].as_str().unwrap_or_default();
                if kinds.is_empty() || kinds.contains(&kind) {
                    self.block(value, at);
                } else {
                    self.wrong(format!("unsupported type: {kind}"), &format!("{at}/type"));
                }
            }
        }
    }

    fn is(&mut self, holds: bool, else_wrong: &str, at: &str) {
        if !holds {
            self.wrong(else_wrong, at);
        }
    }

    fn text(&mut self, value: &Value, least: usize, most: usize, at: &str) {
        let Some(text) = value.as_str() else { return self.wrong("must be a string", at) };
        let length = length(text);
        if length > most {
            self.wrong(format!("must be less than {} characters", most + 1), at);
        }
        if length < least {
            self.wrong(format!("must be more than {} characters", least - 1), at);
        }
    }

    fn text_object(&mut self, value: &Value, kinds: &[&str], most: usize, at: &str) {
        let Some(fields) = value.as_object() else { return self.wrong("must be an object", at) };
        let kind = fields.get("type").and_then(Value::as_str).unwrap_or_default();
        if !kinds.contains(&kind) {
            self.wrong(format!("must be a valid enum value: {}", kinds.join(", ")), &format!("{at}/type"));
        }
        self.fields(fields, if kind == "mrkdwn" { &shapes::MRKDWN } else { &shapes::PLAIN }, at, &["type", "text"]);
        match fields.get("text") {
            Some(text) => self.text(text, 1, most, &format!("{at}/text")),
            None => self.wrong("missing required field: text", at),
        }
    }

    fn list(&mut self, value: &Value, (least, most): (usize, usize), of: &Rule, at: &str) {
        let Some(items) = value.as_array() else { return self.wrong("must be an array", at) };
        if items.len() > most {
            self.wrong(format!("no more than {most} items allowed"), at);
        }
        if items.len() < least {
            self.wrong(format!("no less than {least} items allowed"), at);
        }
        for (index, item) in items.iter().enumerate() {
            self.value(item, of, &format!("{at}/{index}"));
        }
    }

    fn element(&mut self, value: &Value, kinds: &[&str], at: &str) {
        let Some(fields) = value.as_object() else { return self.wrong("must be an object", at) };
        let kind = fields.get("type").and_then(Value::as_str).unwrap_or_default();
        let shape = ELEMENTS.iter().find(|shape| shape.kind == kind && kinds.contains(&kind));
        let Some(shape) = shape else {
            return self.wrong(format!("unsupported type: {kind}"), &format!("{at}/type"));
        };
        self.fields(fields, shape, at, &["type"]);
        if kind.ends_with("static_select") && fields.contains_key("options") == fields.contains_key("option_groups") {
            self.wrong("must have options or option_groups", at);
        }
        self.initial_option(fields, at);
    }

    /// What is picked at first must be among what can be picked.
    fn initial_option(&mut self, fields: &Map<String, Value>, at: &str) {
        let Some(initial) = fields.get("initial_option").filter(|initial| initial.is_object()) else { return };
        let own = fields.get("options").and_then(Value::as_array).into_iter().flatten();
        let groups = fields.get("option_groups").and_then(Value::as_array).into_iter().flatten();
        let grouped = groups.flat_map(|group| group["options"].as_array().into_iter().flatten());
        if !own.chain(grouped).any(|option| option["value"] == initial["value"]) {
            self.wrong("initial_option must be one of the options", &format!("{at}/initial_option"));
        }
    }
}
