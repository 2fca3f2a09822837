//! The input of a field.

use omni_core::elicit::{Choice, Field, FieldKind};
use serde_json::{Value, json};

use crate::view::{block, limits, text};

/// Texts longer than this are typed on several lines.
const ONE_LINE: u64 = 150;

/// The element; choices are taken from `room`, and typed where it is used up.
pub(super) fn of(field: &Field, room: &mut usize) -> Value {
    let mut element = match &field.kind {
        FieldKind::Text { min, max, format } => typed(field, *min, *max, format.as_deref()),
        FieldKind::Number { integer, min, max } => number(field, *integer, *min, *max),
        FieldKind::Boolean => boolean(field),
        FieldKind::Choice { choices } => chosen(choices, field, false),
        FieldKind::Choices { choices, .. } => chosen(choices, field, true),
        _ => typed(field, None, None, None),
    };
    let size = element.to_string().len();
    let has_choices = matches!(&field.kind, FieldKind::Choice { .. } | FieldKind::Choices { .. });
    if has_choices && size > *room {
        element = typed(field, None, None, None);
    } else if has_choices {
        *room -= size;
    }
    element["action_id"] = "value".into();
    element
}

/// Whether a choice has to be typed.
pub(super) fn is_typed(field: &Field, element: &Value) -> bool {
    element["type"] == "plain_text_input" && choices(field).is_some()
}

/// What there is to choose from, in words.
pub(super) fn choices(field: &Field) -> Option<String> {
    let (FieldKind::Choice { choices } | FieldKind::Choices { choices, .. }) = &field.kind else { return None };
    let titles: Vec<&str> = choices.iter().take(20).map(|choice| choice.title.as_str()).collect();
    Some(format!("One of: {}", titles.join(", ")))
}

fn typed(field: &Field, min: Option<u64>, max: Option<u64>, format: Option<&str>) -> Value {
    let default = field.default.as_ref().and_then(Value::as_str);
    match format {
        Some("email") => with(json!({ "type": "email_text_input" }), "initial_value", default),
        Some("uri") => with(
            json!({ "type": "url_text_input" }),
            "initial_value",
            default.filter(|url| block::link("x", "x", url).is_some()),
        ),
        Some("date") => with(json!({ "type": "datepicker" }), "initial_date", default.filter(|date| is_date(date))),
        Some("date-time") => {
            let at = default.and_then(|at| chrono::DateTime::parse_from_rfc3339(at).ok());
            // Slack takes ten digits.
            let at = at.map(|at| at.timestamp()).filter(|at| (1_000_000_000..=9_999_999_999).contains(at));
            let mut element = json!({ "type": "datetimepicker" });
            if let Some(at) = at {
                element["initial_date_time"] = at.into();
            }
            element
        }
        _ => {
            let mut element = json!({ "type": "plain_text_input", "multiline": max.is_none_or(|max| max > ONE_LINE) });
            let most = limits::INPUT as u64;
            if let Some(max) = max.filter(|max| (1..=most).contains(max)) {
                element["max_length"] = max.into();
            }
            if let Some(min) = min.filter(|&min| min > 0 && min <= most && max.is_none_or(|max| max >= min)) {
                element["min_length"] = min.into();
            }
            with(element, "initial_value", default)
        }
    }
}

fn with(mut element: Value, key: &str, default: Option<&str>) -> Value {
    let shown = default.map(|default| text::plain(default, usize::MAX)).unwrap_or_default();
    // Half of it would be another value.
    if !shown.is_empty() && limits::width(&shown) <= limits::INPUT {
        element[key] = shown.into();
    }
    element
}

fn is_date(text: &str) -> bool {
    text.len() == 10 && chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d").is_ok()
}

fn number(field: &Field, integer: bool, min: Option<f64>, max: Option<f64>) -> Value {
    let mut element = json!({ "type": "number_input", "is_decimal_allowed": !integer });
    // Slack has no words for a bound that is not to be met.
    if min.zip(max).is_none_or(|(min, max)| min <= max) {
        for (key, bound) in [("min_value", min), ("max_value", max)] {
            if let Some(bound) = bound.filter(|bound| bound.abs() < 1e15 && (!integer || bound.fract() == 0.0)) {
                element[key] = bound.to_string().into();
            }
        }
    }
    if let Some(default) = field.default.as_ref().filter(|default| default.is_number()) {
        element["initial_value"] = default.to_string().into();
    }
    element
}

fn boolean(field: &Field) -> Value {
    let options: Vec<Value> =
        ["true", "false"].iter().zip(["Yes", "No"]).filter_map(|(value, label)| block::option(label, value)).collect();
    let mut element = json!({ "type": "radio_buttons", "options": options });
    if let Some(default) = field.default.as_ref().and_then(Value::as_bool) {
        element["initial_option"] = options[usize::from(!default)].clone();
    }
    element
}

fn chosen(choices: &[Choice], field: &Field, several: bool) -> Value {
    // Values may be longer than Slack keeps: they go by their number.
    let options: Vec<Value> =
        choices.iter().enumerate().filter_map(|(at, choice)| block::option(&choice.title, &at.to_string())).collect();
    let is_short = options.len() <= limits::CHOICES;
    let kind = match (several, is_short) {
        (false, true) => "radio_buttons",
        (false, false) => "static_select",
        (true, true) => "checkboxes",
        (true, false) => "multi_static_select",
    };
    let mut element = json!({ "type": kind });
    let is_default = |choice: &Choice| match field.default.as_ref() {
        Some(Value::Array(all)) => all.iter().any(|value| value == choice.value.as_str()),
        Some(value) => value == choice.value.as_str(),
        None => false,
    };
    let initial: Vec<Value> = choices
        .iter()
        .zip(&options)
        .filter(|(choice, _)| is_default(choice))
        .map(|(_, option)| option.clone())
        .take(if several { limits::OPTIONS } else { 1 })
        .collect();
    if several && !initial.is_empty() {
        element["initial_options"] = initial.into();
    } else if let Some(initial) = initial.into_iter().next() {
        element["initial_option"] = initial;
    }
    if !is_short {
        element["placeholder"] = block::plain_text("Choose", limits::PLACEHOLDER);
    }
    block::put_options(&mut element, options);
    element
}
