//! A modal, filled in line by line.

use serde_json::{Map, Value, json};

use super::render;

/// A modal that is filled in.
#[derive(Debug, Clone)]
pub(super) struct Form {
    view: Value,
    fields: Vec<Field>,
    values: Map<String, Value>,
    /// The field that is asked for.
    at: usize,
}

#[derive(Debug, Clone)]
struct Field {
    block: String,
    label: String,
    is_optional: bool,
    element: Value,
}

/// What a line of a form led to.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Entered {
    /// Another field is asked for, or the same again; this is shown.
    Asks(String),
    /// All is there: the view with its state, to be sent in.
    Sent(Value),
}

/// The options of a menu: value and label.
pub(super) fn options(element: &Value) -> Vec<(String, String)> {
    let own = element["options"].as_array().into_iter().flatten();
    let groups = element["option_groups"].as_array().into_iter().flatten();
    let grouped = groups.flat_map(|group| group["options"].as_array().into_iter().flatten());
    let read = |option: &Value| {
        let label = render::plain(option["text"]["text"].as_str().unwrap_or_default());
        (option["value"].as_str().unwrap_or_default().to_owned(), label)
    };
    own.chain(grouped).map(read).collect()
}

/// The option that somebody means, by its number, its value or its label.
pub(super) fn chosen(element: &Value, typed: &str) -> Option<Value> {
    let options = options(element);
    let by_number = typed.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
    let found = options
        .iter()
        .find(|(value, label)| value == typed || label.eq_ignore_ascii_case(typed))
        .or_else(|| by_number.and_then(|at| options.get(at)))?;
    Some(json!({ "value": found.0, "text": { "type": "plain_text", "text": found.1 } }))
}

/// The boxes that are ticked after one of them was clicked.
pub(super) fn turned(element: &Value, typed: &str) -> Option<Value> {
    let clicked = chosen(element, typed)?;
    let mut ticked = element["initial_options"].as_array().cloned().unwrap_or_default();
    let before = ticked.len();
    ticked.retain(|one| one["value"] != clicked["value"]);
    if ticked.len() == before {
        ticked.push(clicked);
    }
    Some(ticked.into())
}

impl Form {
    /// The fields of a view; `None` where there is nothing to fill in.
    pub(super) fn of(view: &Value) -> Option<Self> {
        let inputs = view["blocks"].as_array()?.iter().filter(|block| block["type"] == "input");
        let read = |block: &Value| Field {
            block: block["block_id"].as_str().unwrap_or_default().to_owned(),
            label: render::plain(block["label"]["text"].as_str().unwrap_or_default()),
            is_optional: block["optional"] == true,
            element: block["element"].clone(),
        };
        let fields: Vec<Field> = inputs.map(read).collect();
        (!fields.is_empty()).then(|| Self { view: view.clone(), fields, values: Map::new(), at: 0 })
    }

    /// Begins anew, after the form was not taken.
    pub(super) fn again(&mut self) {
        (self.at, self.values) = (0, Map::new());
    }

    /// The label of a field by its block.
    pub(super) fn label<'a>(&'a self, block: &'a str) -> &'a str {
        self.fields.iter().find(|field| field.block == block).map_or(block, |field| &field.label)
    }

    /// Asks for the next field.
    pub(super) fn prompt(&self) -> String {
        let Some(field) = self.fields.get(self.at) else { return String::new() };
        let options: Vec<String> =
            options(&field.element).iter().enumerate().map(|(at, (_, label))| format!("{} {label}", at + 1)).collect();
        let options = if options.is_empty() { String::new() } else { format!(" ({})", options.join(", ")) };
        let optional = if field.is_optional { ", or nothing" } else { "" };
        format!("> {}{options}{optional} (`:cancel` closes):", field.label)
    }

    /// Takes a line for the field that was asked for.
    pub(super) fn enter(&mut self, line: &str) -> Entered {
        let Some(field) = self.fields.get(self.at) else { return Entered::Asks(String::new()) };
        let Some(value) = value(&field.element, line.trim(), field.is_optional) else {
            return Entered::Asks(format!("That is no answer to this.\n{}", self.prompt()));
        };
        let action = field.element["action_id"].as_str().unwrap_or_default();
        self.values.insert(field.block.clone(), json!({ action: value }));
        self.at += 1;
        if self.at < self.fields.len() {
            return Entered::Asks(self.prompt());
        }
        let mut view = self.view.clone();
        view["state"] = json!({ "values": self.values });
        Entered::Sent(view)
    }
}

/// The value of an element as Slack tells it; `None` where the line is none.
fn value(element: &Value, line: &str, is_optional: bool) -> Option<Value> {
    let kind = element["type"].as_str().unwrap_or_default();
    let told = |name: &str, value: Value| Some(json!({ "type": kind, name: value }));
    if line.is_empty() && !is_optional && !has_initial(element) {
        return None;
    }
    match kind {
        "static_select" | "radio_buttons" if line.is_empty() => {
            told("selected_option", element["initial_option"].clone())
        }
        "static_select" | "radio_buttons" => told("selected_option", chosen(element, line)?),
        "checkboxes" | "multi_static_select" => {
            let named: Vec<&str> = line.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
            let options: Option<Vec<Value>> = named.iter().map(|name| chosen(element, name)).collect();
            let initial = element["initial_options"].as_array().filter(|_| line.is_empty()).cloned();
            told("selected_options", initial.or(options)?.into())
        }
        "datepicker" => told("selected_date", or_initial(element, "initial_date", line)),
        "timepicker" => told("selected_time", or_initial(element, "initial_time", line)),
        "datetimepicker" if line.is_empty() => told("selected_date_time", element["initial_date_time"].clone()),
        "datetimepicker" => told("selected_date_time", line.parse::<i64>().ok()?.into()),
        "users_select" => told("selected_user", or_initial(element, "initial_user", line)),
        "conversations_select" => told("selected_conversation", or_initial(element, "initial_conversation", line)),
        "channels_select" => told("selected_channel", or_initial(element, "initial_channel", line)),
        _ => told("value", or_initial(element, "initial_value", line)),
    }
}

fn has_initial(element: &Value) -> bool {
    element.as_object().is_some_and(|fields| fields.keys().any(|name| name.starts_with("initial_")))
}

fn or_initial(element: &Value, name: &str, line: &str) -> Value {
    if line.is_empty() { element[name].clone() } else { line.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form() -> Form {
        let options =
            json!([{ "value": "a", "text": { "text": "Red" } }, { "value": "b", "text": { "text": "Blue" } }]);
        let view = json!({ "callback_id": "c", "blocks": [
            { "type": "section", "text": { "text": "Say" } },
            { "type": "input", "block_id": "why", "label": { "text": "Why" },
              "element": { "type": "plain_text_input", "action_id": "value" } },
            { "type": "input", "block_id": "colour", "label": { "text": "Colour" }, "optional": true,
              "element": { "type": "checkboxes", "action_id": "value", "options": options } },
        ] });
        Form::of(&view).unwrap()
    }

    #[test]
    fn a_form_is_sent_once_every_field_has_its_line() {
        let mut form = form();
        assert!(form.prompt().contains("Why"));
        assert!(matches!(form.enter(""), Entered::Asks(again) if again.contains("no answer")));
        assert!(matches!(form.enter("because"), Entered::Asks(next) if next.contains("1 Red, 2 Blue")));
        let Entered::Sent(view) = form.enter("blue, 1") else { panic!("it is not sent") };
        let values = &view["state"]["values"];
        assert_eq!(values["why"]["value"]["value"], "because");
        let chosen: Vec<&Value> =
            values["colour"]["value"]["selected_options"].as_array().unwrap().iter().map(|one| &one["value"]).collect();
        assert_eq!(chosen, ["b", "a"]);
    }

    #[test]
    fn a_view_without_fields_is_no_form() {
        assert!(Form::of(&json!({ "blocks": [{ "type": "section" }] })).is_none());
    }
}
