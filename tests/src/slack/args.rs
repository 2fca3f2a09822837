//! Arguments of a call, from JSON, a form or the query.

use serde_json::{Map, Value};

use super::refusal::Refusal;

#[derive(Debug, Default, Clone)]
pub(super) struct Args {
    pub(super) fields: Map<String, Value>,
    /// Whether a JSON body came without its charset, which Slack warns of.
    pub(super) without_charset: bool,
}

impl Args {
    /// Reads a call. `raw` is the body.
    pub(super) fn read(query: &str, content_type: &str, raw: &[u8]) -> Result<Self, Refusal> {
        let mut args = Self::default();
        args.add_form(query.as_bytes());
        let (kind, parameters) = content_type.split_once(';').unwrap_or((content_type, ""));
        match kind.trim() {
            "application/json" if !raw.is_empty() => {
                args.without_charset = !parameters.to_ascii_lowercase().contains("charset");
                args.add_json(raw)?;
            }
            "application/x-www-form-urlencoded" => args.add_form(raw),
            _ if raw.is_empty() => {}
            other => return Err(Refusal::breach("invalid_post_type").because(other)),
        }
        Ok(args)
    }

    fn add_form(&mut self, form: &[u8]) {
        for (name, value) in url::form_urlencoded::parse(form) {
            self.fields.insert(name.into_owned(), Value::String(value.into_owned()));
        }
    }

    fn add_json(&mut self, raw: &[u8]) -> Result<(), Refusal> {
        match serde_json::from_slice(raw) {
            Ok(Value::Object(fields)) => {
                self.fields.extend(fields.into_iter().filter(|(_, value)| !value.is_null()));
                Ok(())
            }
            Ok(_) => Err(Refusal::breach("json_not_object")),
            Err(_) => Err(Refusal::breach("invalid_json")),
        }
    }

    /// A text that is there and not empty.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.fields.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
    }

    /// A text that must be there.
    pub(super) fn need(&self, name: &str) -> Result<&str, Refusal> {
        self.text(name).ok_or_else(|| Refusal::missing(name))
    }

    /// A whole number; forms carry it as text.
    pub(super) fn number(&self, name: &str) -> Option<u64> {
        let value = self.fields.get(name)?;
        value.as_u64().or_else(|| value.as_str()?.parse().ok())
    }

    /// A flag; forms carry it as text.
    pub(super) fn flag(&self, name: &str) -> bool {
        match self.fields.get(name) {
            Some(Value::Bool(flag)) => *flag,
            Some(Value::String(text)) => matches!(text.as_str(), "true" | "1"),
            _ => false,
        }
    }

    /// A list or an object; it may come as JSON in a string.
    pub(super) fn json(&self, name: &str) -> Result<Option<Value>, Refusal> {
        match self.fields.get(name) {
            None => Ok(None),
            Some(Value::String(text)) if text.is_empty() => Ok(None),
            Some(Value::String(text)) => serde_json::from_str(text).map(Some).map_err(|_| {
                let error = if name == "blocks" { "invalid_blocks_format" } else { "invalid_arguments" };
                Refusal::breach(error).because(format!("{name} is no JSON"))
            }),
            Some(value) => Ok(Some(value.clone())),
        }
    }

    /// A list.
    pub(super) fn list(&self, name: &str) -> Result<Option<Vec<Value>>, Refusal> {
        match self.json(name)? {
            None => Ok(None),
            Some(Value::Array(items)) => Ok(Some(items)),
            Some(_) if name == "blocks" => Err(Refusal::breach("invalid_blocks_format")),
            Some(_) => Err(Refusal::breach("invalid_arguments").because(format!("{name} must be an array"))),
        }
    }
}
