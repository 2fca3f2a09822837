//! Arguments of tools that are to be HTTP headers too (2026-07-28): a tool whose schema wants headers that
//! cannot be is left out, as the protocol says.

use std::collections::HashSet;

use serde_json::{Map, Value};

/// The key by which a property says which header its value is.
pub(super) const HEADER: &str = "x-mcp-header";

/// Keys of a schema whose values hold schemas by name.
const BY_NAME: [&str; 5] = ["$defs", "definitions", "dependencies", "dependentSchemas", "patternProperties"];

/// Keys of a schema whose values are data.
const DATA: [&str; 6] = ["default", "const", "enum", "examples", "required", "dependentRequired"];

/// Where in a schema something stands.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Root,
    /// A property that is there whatever the other arguments are.
    Property,
    Elsewhere,
}

/// Whether a schema may want headers.
pub(in crate::mcp) fn may_want_headers(schema: &str) -> bool {
    schema.contains(HEADER)
}

/// Why the headers that a schema wants cannot be.
pub(super) fn check(schema: &str) -> Result<(), String> {
    if !schema.contains(HEADER) {
        return Ok(());
    }
    let schema: Value = serde_json::from_str(schema).map_err(|error| error.to_string())?;
    walk(&schema, Place::Root, &mut HashSet::new())
}

fn walk(schema: &Value, place: Place, seen: &mut HashSet<String>) -> Result<(), String> {
    match schema {
        Value::Array(items) => items.iter().try_for_each(|item| walk(item, Place::Elsewhere, seen)),
        Value::Object(fields) => fields.iter().try_for_each(|(key, value)| field(fields, key, value, place, seen)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
    }
}

fn field(
    fields: &Map<String, Value>,
    key: &str,
    value: &Value,
    place: Place,
    seen: &mut HashSet<String>,
) -> Result<(), String> {
    let by_name = |place: Place, seen: &mut HashSet<String>| {
        value.as_object().into_iter().flatten().try_for_each(|(_, schema)| walk(schema, place, seen))
    };
    match key {
        HEADER if place == Place::Property => header(fields, value, seen),
        HEADER => Err(format!("{HEADER} stands where no argument is")),
        "properties" if place != Place::Elsewhere => by_name(Place::Property, seen),
        "properties" => by_name(Place::Elsewhere, seen),
        key if BY_NAME.contains(&key) => by_name(Place::Elsewhere, seen),
        key if DATA.contains(&key) => Ok(()),
        _ => walk(value, Place::Elsewhere, seen),
    }
}

fn header(fields: &Map<String, Value>, name: &Value, seen: &mut HashSet<String>) -> Result<(), String> {
    let name = name.as_str().filter(|name| is_token(name)).ok_or_else(|| format!("{HEADER} is no name: {name}"))?;
    if !seen.insert(name.to_ascii_lowercase()) {
        return Err(format!("two arguments are to be the header {name:?}"));
    }
    match fields.get("type").and_then(Value::as_str) {
        Some("string" | "integer" | "boolean") => Ok(()),
        _ => Err(format!("the argument that is to be the header {name:?} is neither text, nor integer, nor boolean")),
    }
}

/// A token of RFC 9110.
fn is_token(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn is_usable(schema: &Value) -> bool {
        check(&schema.to_string()).is_ok()
    }

    fn with(property: &Value) -> Value {
        json!({ "type": "object", "properties": { "a": property } })
    }

    #[test]
    fn arguments_that_are_text_or_integers_or_booleans_may_be_headers() {
        assert!(is_usable(&with(&json!({ "type": "string", "x-mcp-header": "Region" }))));
        let nested = json!({ "type": "object", "properties": { "b": { "type": "boolean", "x-mcp-header": "B" } } });
        assert!(is_usable(&with(&nested)));
        assert!(is_usable(&with(&json!({ "type": "string", "default": { "x-mcp-header": 1 } }))));
    }

    #[test]
    fn names_that_are_none_or_come_twice_and_other_places_are_no_headers() {
        for name in [json!(""), json!("a b"), json!("a:b"), json!("ä"), json!("a\r\n"), json!(1)] {
            assert!(!is_usable(&with(&json!({ "type": "string", "x-mcp-header": name }))), "{name}");
        }
        for kind in [json!("object"), json!("array"), json!("number"), json!(null), json!(["string", "null"])] {
            assert!(!is_usable(&with(&json!({ "type": kind, "x-mcp-header": "A" }))), "{kind}");
        }
        let twice = |name: &str| json!({ "type": "string", "x-mcp-header": name });
        assert!(!is_usable(&json!({ "properties": { "a": twice("X"), "b": twice("x") } })));
        let inner = with(&twice("A"));
        for key in ["items", "anyOf", "$defs", "if", "additionalProperties"] {
            let value = if key == "anyOf" { json!([inner]) } else { json!({ "x": inner }) };
            assert!(!is_usable(&json!({ "type": "object", key: value })), "{key}");
        }
        assert!(!is_usable(&json!({ "type": "object", "x-mcp-header": "A" })));
    }
}
