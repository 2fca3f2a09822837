//! A form of a tool's arguments, made of its schema, and the arguments that were written into one.

use serde::Serialize;
use serde_json::{Map, Value};

use super::fields::Fields;

/// What the name of an argument's field begins with.
const PREFIX: &str = "arg.";
/// The field for all arguments at once.
const RAW: &str = "raw";
/// Most fields of a form; what there is beyond it is written as JSON.
const MAX_FIELDS: usize = 60;

/// How an argument is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    Text,
    Number,
    Integer,
    Boolean,
    /// One of some.
    Choice,
    /// Anything else.
    Json,
}

/// An argument.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Field {
    pub(super) name: String,
    /// The name of its input.
    pub(super) input: String,
    pub(super) kind: Kind,
    pub(super) is_required: bool,
    pub(super) description: String,
    pub(super) choices: Vec<String>,
    /// What was written, or what the schema offers.
    pub(super) value: String,
}

impl Field {
    pub(super) fn is_number(&self) -> bool {
        matches!(self.kind, Kind::Number | Kind::Integer)
    }

    /// What its input steps by.
    pub(super) fn step(&self) -> &'static str {
        if self.kind == Kind::Integer { "1" } else { "any" }
    }
}

/// The fields of a schema, with what was written into them.
pub(super) fn of(schema: &Value, written: &Fields) -> Vec<Field> {
    let required = schema["required"].as_array();
    let is_required = |name: &str| required.is_some_and(|names| names.iter().any(|own| own == name));
    let properties = schema["properties"].as_object().into_iter().flatten();
    let mut fields: Vec<Field> =
        properties.take(MAX_FIELDS).map(|(name, schema)| field(name, schema, is_required(name), written)).collect();
    fields.sort_by_key(|field| !field.is_required);
    fields
}

fn field(name: &str, schema: &Value, is_required: bool, written: &Fields) -> Field {
    let whole = schema;
    let schema = without_null(schema);
    let choices: Vec<String> = schema["enum"].as_array().into_iter().flatten().map(as_text).collect();
    let all_texts = schema["enum"].as_array().is_some_and(|all| all.iter().all(Value::is_string));
    let kind = match type_of(schema) {
        _ if all_texts && !choices.is_empty() => Kind::Choice,
        Some("string") => Kind::Text,
        Some("number") => Kind::Number,
        Some("integer") => Kind::Integer,
        Some("boolean") => Kind::Boolean,
        _ => Kind::Json,
    };
    let input = format!("{PREFIX}{name}");
    let offered = || whole.get("default").filter(|value| !value.is_null()).map(as_text).unwrap_or_default();
    let value = written.all(&input).next().map_or_else(offered, str::to_owned);
    let told = whole["description"].as_str().or_else(|| schema["description"].as_str());
    let description = told.unwrap_or_default().to_owned();
    Field { name: name.into(), input, kind, is_required, description, choices, value }
}

/// Of a schema that also takes null, what it takes beside it: what is left empty is not sent.
fn without_null(schema: &Value) -> &Value {
    let either = schema["anyOf"].as_array().or_else(|| schema["oneOf"].as_array());
    let mut others = either.into_iter().flatten().filter(|one| one["type"] != "null");
    match (others.next(), others.next()) {
        (Some(only), None) => only,
        _ => schema,
    }
}

/// Its one type beside null.
fn type_of(schema: &Value) -> Option<&str> {
    let Some(all) = schema["type"].as_array() else { return schema["type"].as_str() };
    let mut others = all.iter().filter_map(Value::as_str).filter(|one| *one != "null");
    others.next().filter(|_| others.next().is_none())
}

fn as_text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The arguments that were written.
///
/// # Errors
/// What is not right, field by field.
pub(super) fn arguments(schema: &Value, written: &Fields) -> Result<Map<String, Value>, Vec<String>> {
    if let Some(raw) = written.of(RAW).filter(|raw| !raw.trim().is_empty()) {
        return serde_json::from_str(raw).map_err(|error| vec![format!("the arguments are no JSON object: {error}")]);
    }
    let (mut arguments, mut wrong) = (Map::new(), Vec::new());
    for field in of(schema, written) {
        let Some(text) = written.all(&field.input).next().filter(|text| !text.is_empty()) else { continue };
        match value(field.kind, text) {
            Ok(value) => {
                arguments.insert(field.name, value);
            }
            Err(wanted) => wrong.push(format!("{}: expected {wanted}", field.name)),
        }
    }
    if wrong.is_empty() { Ok(arguments) } else { Err(wrong) }
}

fn value(kind: Kind, text: &str) -> Result<Value, String> {
    match kind {
        Kind::Text | Kind::Choice => Ok(text.into()),
        Kind::Integer => text.trim().parse::<i64>().map(Value::from).map_err(|_| "a whole number".into()),
        Kind::Number => {
            let number = text.trim().parse().ok().and_then(serde_json::Number::from_f64);
            number.map(Value::Number).ok_or_else(|| "a number".into())
        }
        Kind::Boolean => text.parse::<bool>().map(Value::from).map_err(|_| "true or false".into()),
        Kind::Json => serde_json::from_str(text).map_err(|error| format!("JSON: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schema() -> Value {
        json!({
            "type": "object",
            "required": ["table"],
            "properties": {
                "limit": { "type": "integer", "default": 10 },
                "table": { "type": "string", "description": "Which one." },
                "order": { "enum": ["up", "down"] },
                "dry": { "type": "boolean" },
                "where": { "type": "object" },
                "share": { "type": "number" },
            },
        })
    }

    #[test]
    fn every_argument_has_a_field_and_what_must_be_there_comes_first() {
        let fields = of(&schema(), &Fields::default());
        let kinds: Vec<_> = fields.iter().map(|field| (field.name.as_str(), field.kind)).collect();
        assert_eq!(kinds[0], ("table", Kind::Text));
        assert_eq!(fields.len(), 6);
        let limit = fields.iter().find(|field| field.name == "limit").unwrap();
        assert_eq!((limit.kind, limit.value.as_str()), (Kind::Integer, "10"));
        let order = fields.iter().find(|field| field.name == "order").unwrap();
        assert_eq!((order.kind, &*order.choices), (Kind::Choice, &["up".to_owned(), "down".to_owned()][..]));
    }

    #[test]
    fn what_may_be_null_has_the_field_of_what_else_it_may_be() {
        let schema = json!({ "properties": {
            "a": { "anyOf": [{ "type": "string", "description": "A name." }, { "type": "null" }], "default": null },
            "b": { "type": ["integer", "null"] },
            "c": { "anyOf": [{ "enum": ["x", "y"] }, { "type": "null" }] },
            "d": { "anyOf": [{ "type": "string" }, { "type": "integer" }] },
        } });
        let fields = of(&schema, &Fields::default());
        let kinds: Vec<_> = fields.iter().map(|field| field.kind).collect();
        assert_eq!(kinds, [Kind::Text, Kind::Integer, Kind::Choice, Kind::Json]);
        assert_eq!((fields[0].value.as_str(), fields[0].description.as_str()), ("", "A name."));
    }

    #[test]
    fn what_is_written_becomes_arguments_of_their_types() {
        let written = Fields::parse(
            b"arg.table=t%26&arg.limit=5&arg.order=up&arg.dry=true&arg.where=%7B%22a%22%3A1%7D&arg.share=0.5&csrf=x",
        );
        let expected =
            json!({ "table": "t&", "limit": 5, "order": "up", "dry": true, "where": { "a": 1 }, "share": 0.5 });
        assert_eq!(Value::Object(arguments(&schema(), &written).unwrap()), expected);
        let empty = Fields::parse(b"arg.table=&arg.limit=");
        assert_eq!(arguments(&schema(), &empty).unwrap(), Map::new());
        let wrong = Fields::parse(b"arg.limit=many&arg.where=%7B");
        assert_eq!(arguments(&schema(), &wrong).unwrap_err().len(), 2);
        let raw = Fields::parse(b"raw=%7B%22b%22%3A2%7D&arg.limit=5");
        assert_eq!(Value::Object(arguments(&schema(), &raw).unwrap()), json!({ "b": 2 }));
        assert!(arguments(&schema(), &Fields::parse(b"raw=%5B1%5D")).is_err());
    }
}
