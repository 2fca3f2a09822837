//! What of a tool is indexed, and how much each part of it counts.

use std::collections::BTreeMap;

use serde_json::Value;

use super::text::words;
use crate::catalog::OfferedTool;

/// How much a word counts by where it stands.
const IN_NAME: f64 = 3.0;
const IN_TITLE: f64 = 1.5;
const IN_SERVER: f64 = 2.0;
const IN_DESCRIPTION: f64 = 1.5;
const IN_PARAM: f64 = 0.7;
const IN_PARAM_TEXT: f64 = 0.3;
const IN_OPTION: f64 = 0.6;

/// The stems of a tool, and how much each counts. Everything that is summed up here is summed in one
/// order: sums of fractions depend on it, and a tie must fall one way only.
pub(super) fn weights(tool: &OfferedTool) -> BTreeMap<String, f64> {
    let mut weights: BTreeMap<String, f64> = BTreeMap::new();
    let mut add = |text: &str, weight: f64| {
        for word in words(text) {
            *weights.entry(word.stem).or_default() += weight;
        }
    };
    let def = &tool.def;
    add(&def.name, IN_NAME);
    add(def.title.as_deref().unwrap_or_default(), IN_TITLE);
    add(&def.server, IN_SERVER);
    add(&def.description, IN_DESCRIPTION);
    let schema: Value = serde_json::from_str(def.input_schema.get()).unwrap_or_default();
    let properties = schema.get("properties").and_then(Value::as_object);
    for (name, param) in properties.into_iter().flatten() {
        add(name, IN_PARAM);
        add(param.get("description").and_then(Value::as_str).unwrap_or_default(), IN_PARAM_TEXT);
        let options = param.get("enum").and_then(Value::as_array).into_iter().flatten();
        options.filter_map(Value::as_str).for_each(|option| add(option, IN_OPTION));
    }
    weights
}
