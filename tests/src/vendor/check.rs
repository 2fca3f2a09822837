//! Rules that both vendors have.

use std::collections::HashSet;

use serde_json::{Map, Value};

/// An answer that is an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// The vendor's type of error, such as `invalid_request_error`.
    pub kind: String,
    /// The vendor's words.
    pub message: String,
    /// Seconds in `retry-after`.
    pub retry_after: Option<u64>,
}

impl Refusal {
    /// An error without `retry-after`.
    #[must_use]
    pub fn new(status: u16, kind: &str, message: impl Into<String>) -> Self {
        Self { status, kind: kind.into(), message: message.into(), retry_after: None }
    }
}

pub(super) type Judged = Result<(), Refusal>;

pub(super) fn bad(message: impl Into<String>) -> Refusal {
    Refusal::new(400, "invalid_request_error", message)
}

/// Refuses unless `holds`.
pub(super) fn ensure(holds: bool, message: impl FnOnce() -> String) -> Judged {
    if holds { Ok(()) } else { Err(bad(message())) }
}

/// Refuses keys that the vendor does not know.
pub(super) fn only_keys(map: &Map<String, Value>, known: &[&str], at: &str) -> Judged {
    match map.keys().find(|key| !known.contains(&key.as_str())) {
        Some(key) => Err(bad(format!("{at}{key}: Extra inputs are not permitted"))),
        None => Ok(()),
    }
}

pub(super) fn object<'a>(value: &'a Value, at: &str) -> Result<&'a Map<String, Value>, Refusal> {
    value.as_object().ok_or_else(|| bad(format!("{at}: Input should be an object")))
}

pub(super) fn array<'a>(value: &'a Value, at: &str) -> Result<&'a Vec<Value>, Refusal> {
    value.as_array().ok_or_else(|| bad(format!("{at}: Input should be a list")))
}

pub(super) fn str_of<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// Names of tools: legal, short enough, and no two alike.
pub(super) fn tool_names(names: &[&str], max_len: usize) -> Judged {
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let mut seen = HashSet::new();
    for name in names {
        ensure(!name.is_empty() && name.chars().all(legal), || {
            format!("tools: {name:?} should match '^[a-zA-Z0-9_-]+$'")
        })?;
        ensure(name.len() <= max_len, || format!("tools: {name:?} should have at most {max_len} characters"))?;
        ensure(seen.insert(*name), || format!("tools: Tool names must be unique: {name:?}"))?;
    }
    Ok(())
}

/// The schema of a tool's arguments.
pub(super) fn schema(schema: &Value, banned: &[&str], at: &str) -> Judged {
    let root = object(schema, at)?;
    ensure(root.get("type").is_some_and(|kind| kind == "object"), || format!("{at}.type: Input should be 'object'"))?;
    for key in banned {
        ensure(!root.contains_key(*key), || format!("{at}: does not support {key} at the top level"))?;
    }
    jsonschema::draft202012::meta::validate(schema)
        .map_err(|error| bad(format!("{at}: JSON schema is invalid. It must match JSON Schema draft 2020-12: {error}")))
}
