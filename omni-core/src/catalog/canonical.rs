//! A tool's definition in one spelling, for whatever compares definitions.
//!
//! What is compared is what a model, a person or a check goes by: name, title, description, both
//! schemas and the hints. A hint that changes can take a question to a human away, so hints are part
//! of it. Icons and `_meta` are not: nothing is decided by them, no model reads them, and servers
//! change them from session to session.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::ToolDef;
use crate::{agent::plan::arguments::distinct, hex::to_hex};

/// The parts of a definition that are compared, by their names in MCP.
const FIELDS: [&str; 6] = ["name", "title", "description", "inputSchema", "outputSchema", "annotations"];

/// Changes when the same definition gets another spelling, so that no digest means two things.
const FORM: &str = "omni-tool-1\n";

impl ToolDef {
    /// The definition in one spelling: JSON with sorted keys, as the server sent it and before anything
    /// was cut or cleaned. A definition in which a key stands twice has no other spelling than its own.
    #[must_use]
    pub fn canonical(&self) -> String {
        let mut text = String::new();
        match self.raw.as_ref().filter(|raw| distinct(raw.get()).is_err()) {
            Some(ambiguous) => text.push_str(ambiguous.get()),
            None => write(&mut text, &Value::Object(self.fields())),
        }
        text
    }

    /// The SHA-256 of [`Self::canonical`], in hexadecimal, as it is when this is asked for first: lists are
    /// judged again and again.
    #[must_use]
    pub fn digest(&self) -> &str {
        self.digest.get_or_init(|| digest(&self.canonical()))
    }

    /// What is compared, field by field.
    pub(crate) fn pinned_fields(&self) -> Map<String, Value> {
        self.fields()
    }

    fn fields(&self) -> Map<String, Value> {
        let sent = self.raw.as_ref().and_then(|raw| serde_json::from_str::<Map<String, Value>>(raw.get()).ok());
        let mut fields = sent.unwrap_or_else(|| self.own_fields());
        fields.retain(|key, value| FIELDS.contains(&key.as_str()) && !value.is_null());
        fields
    }

    /// What a definition made in code says.
    fn own_fields(&self) -> Map<String, Value> {
        let json = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_default();
        let fields = json!({
            "name": &*self.name,
            "title": self.title,
            "description": self.description,
            "inputSchema": json(self.input_schema.get()),
            "outputSchema": self.output_schema.as_ref().map(|schema| json(schema.get())),
            "annotations": self.annotations,
        });
        match fields {
            Value::Object(fields) => fields,
            _ => Map::new(),
        }
    }
}

/// The digest of a definition in its one spelling.
pub(crate) fn digest(canonical: &str) -> String {
    to_hex(Sha256::new_with_prefix(FORM).chain_update(canonical).finalize())
}

/// JSON with sorted keys, whatever order the map keeps.
fn write(text: &mut String, value: &Value) {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_by_key(|(key, _)| key.as_str());
            text.push('{');
            for (i, (key, value)) in fields.into_iter().enumerate() {
                if i > 0 {
                    text.push(',');
                }
                let _ = write!(text, "{}:", Value::from(key.as_str()));
                write(text, value);
            }
            text.push('}');
        }
        Value::Array(items) => {
            text.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    text.push(',');
                }
                write(text, item);
            }
            text.push(']');
        }
        plain => {
            let _ = write!(text, "{plain}");
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;

    fn tool(raw: &str) -> ToolDef {
        let schema = RawValue::from_string("{}".into()).unwrap();
        ToolDef::new("s", "t", schema).with_definition(RawValue::from_string(raw.into()).unwrap())
    }

    #[test]
    fn spelling_is_no_change_and_content_is() {
        let one = tool(r#"{"name":"t","inputSchema":{"type":"object","properties":{"a":{},"b":{}}},"_meta":{"x":1}}"#);
        let same =
            tool(r#"{ "inputSchema": {"properties": {"b":{}, "a":{}}, "type":"object"}, "name":"t", "title":null }"#);
        assert_eq!(one.canonical(), same.canonical());
        assert_eq!(one.digest(), same.digest());
        for other in [
            r#"{"name":"t","inputSchema":{"type":"object","properties":{"a":{}}}}"#,
            r#"{"name":"t","description":"x","inputSchema":{"type":"object","properties":{"a":{},"b":{}}}}"#,
            r#"{"name":"t","annotations":{"destructiveHint":false},"inputSchema":{"type":"object","properties":{"a":{},"b":{}}}}"#,
            r#"{"name":"t","outputSchema":{},"inputSchema":{"type":"object","properties":{"a":{},"b":{}}}}"#,
        ] {
            assert_ne!(one.digest(), tool(other).digest(), "{other}");
        }
    }

    #[test]
    fn what_one_reader_takes_and_another_does_not_is_part_of_it() {
        let twice = tool(r#"{"name":"t","description":"evil","description":"good"}"#);
        assert_ne!(twice.digest(), tool(r#"{"name":"t","description":"good"}"#).digest());
    }

    #[test]
    fn a_description_is_compared_whole_though_only_its_beginning_is_shown() {
        let long = "x".repeat(super::super::MAX_DESCRIPTION_CHARS);
        let with = |tail: &str| tool(&json!({ "name": "t", "description": format!("{long}{tail}") }).to_string());
        assert_ne!(with("a").digest(), with("b").digest());
        let before = with("a");
        assert_eq!(before.digest(), with("a").digest());
        let raw = RawValue::from_string(r#"{"name":"t"}"#.into()).unwrap();
        assert_eq!(before.with_definition(raw).digest(), tool(r#"{"name":"t"}"#).digest(), "of what it is now");
    }
}
