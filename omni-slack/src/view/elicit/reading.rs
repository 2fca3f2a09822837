//! What a person entered, as the value that a form wants.

use chrono::DateTime;
use omni_core::elicit::{Choice, Field, FieldKind};
use serde_json::Value;

/// The value of a field, of what Slack says of its element; nothing where nothing was entered.
pub(super) fn of(field: &Field, element: &Value) -> Result<Option<Value>, String> {
    match element["type"].as_str().unwrap_or_default() {
        "radio_buttons" | "static_select" => one(field, &element["selected_option"]),
        "checkboxes" | "multi_static_select" => {
            let options = element["selected_options"].as_array().map_or(&[][..], Vec::as_slice);
            let values: Result<Vec<Value>, String> =
                options.iter().filter_map(|option| one(field, option).transpose()).collect();
            Ok(Some(values?).filter(|values| !values.is_empty() || field.required).map(Value::from))
        }
        "datepicker" => Ok(element["selected_date"].as_str().map(Value::from)),
        "datetimepicker" => {
            let at = element["selected_date_time"].as_i64().and_then(|at| DateTime::from_timestamp(at, 0));
            Ok(at.map(|at| at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true).into()))
        }
        _ => typed(field, element["value"].as_str().unwrap_or_default()),
    }
}

fn typed(field: &Field, entered: &str) -> Result<Option<Value>, String> {
    match &field.kind {
        _ if entered.trim().is_empty() => Ok(None),
        // What is text is taken as it was entered.
        FieldKind::Text { .. } => Ok(Some(entered.into())),
        _ => field.read(entered).map(Some),
    }
}

fn one(field: &Field, option: &Value) -> Result<Option<Value>, String> {
    let Some(value) = option["value"].as_str() else { return Ok(None) };
    match &field.kind {
        FieldKind::Boolean => Ok(Some(Value::Bool(value == "true"))),
        FieldKind::Choice { choices } | FieldKind::Choices { choices, .. } => {
            let choice = value.parse::<usize>().ok().and_then(|at| choices.get(at));
            choice.map(|choice: &Choice| Some(choice.value.as_str().into())).ok_or_else(|| "it is none of these".into())
        }
        _ => Err("it is of another kind".into()),
    }
}
