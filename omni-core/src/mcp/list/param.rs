//! What the headers say that arguments are (2026-07-28).

use serde_json::{Map, Value};

use super::headers::{HEADER, check};

/// An argument that is an HTTP header too.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ParamHeader {
    /// The header is called `Mcp-Param-` and this.
    pub name: String,
    /// The properties that lead to the argument, from the outermost one inwards.
    path: Vec<String>,
    /// Whether its value is an integer.
    pub is_integer: bool,
}

impl ParamHeader {
    /// What the header has to say of these arguments; `None` where it is not to be there.
    #[must_use]
    pub fn value(&self, arguments: &Map<String, Value>) -> Option<String> {
        let (first, rest) = self.path.split_first()?;
        match rest.iter().try_fold(arguments.get(first)?, |value, key| value.get(key))? {
            Value::String(text) => Some(text.clone()),
            Value::Bool(flag) => Some(flag.to_string()),
            Value::Number(number) => Some(number.to_string()),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        }
    }
}

/// The arguments of a schema that are headers too; none where the headers that it wants cannot be.
pub(crate) fn of(schema: &str) -> Vec<ParamHeader> {
    if !schema.contains(HEADER) || check(schema).is_err() {
        return Vec::new();
    }
    let mut found = Vec::new();
    if let Ok(schema) = serde_json::from_str::<Value>(schema) {
        collect(&schema, &mut Vec::new(), &mut found);
    }
    found
}

fn collect(schema: &Value, path: &mut Vec<String>, found: &mut Vec<ParamHeader>) {
    for (property, schema) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        path.push(property.clone());
        if let Some(name) = schema.get(HEADER).and_then(Value::as_str) {
            let is_integer = schema.get("type").and_then(Value::as_str) == Some("integer");
            found.push(ParamHeader { name: name.into(), path: path.clone(), is_integer });
        }
        collect(schema, path, found);
        path.pop();
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_header_says_what_the_argument_says_and_nothing_where_there_is_none() {
        let schema = json!({ "properties": {
            "n": { "type": "integer", "x-mcp-header": "N" },
            "place": { "type": "object", "properties": { "city": { "type": "string", "x-mcp-header": "City" } } },
        } });
        let headers = of(&schema.to_string());
        let says = |arguments: Value| {
            headers.iter().map(|header| header.value(arguments.as_object().unwrap())).collect::<Vec<_>>()
        };
        assert_eq!(says(json!({ "n": 7, "place": { "city": "Ulm" } })), [Some("7".into()), Some("Ulm".into())]);
        assert_eq!(says(json!({ "n": null, "place": {} })), [None, None]);
        assert_eq!((headers[0].is_integer, headers[1].is_integer), (true, false));
        assert!(of(r#"{"x-mcp-header":"A"}"#).is_empty());
    }
}
