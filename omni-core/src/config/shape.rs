//! Holds a parsed file to the schema of its type: wrong types, missing and unknown keys, each with
//! line, path and nearest name.
//!
//! Only what the schema generator makes of the types in [`spec`](super::spec) is understood. Four
//! annotations steer it: `x-own` (a mapping that only omni has, by its type or by its key, where an
//! unknown key is an error), `x-ignored` (keys that are accepted and not used), `x-enforced` (a key that the original
//! ignored) and `x-keep-empty` (a key without a value names an empty entry, or one in which the key that the annotation
//! names is true).

use serde_json::{Map, Value};

use super::{
    Diagnostic, Severity,
    nearest::nearest,
    yaml::{Lines, join},
};

/// What is said of a key that the original ignored.
pub(super) const NOW_ENFORCED: &str = "now enforced; the original ignored it";
/// What is said of keys that are accepted, before their names.
pub(super) const NOT_USED: &str = "accepted and not used by omni";

/// Checks `value` against `schema`, turns scalars into the types wanted, drops empty keys, and
/// returns what was noticed. After it, deserialising fails only if an error was among that.
pub(crate) fn shape(value: &mut Value, schema: &Value, lines: &Lines) -> Vec<Diagnostic> {
    let mut shaper = Shaper { root: schema, lines, is_own: false, findings: Vec::new() };
    shaper.walk(value, schema, "");
    shaper.findings
}

struct Shaper<'a> {
    root: &'a Value,
    lines: &'a Lines,
    /// Within a mapping that only omni has.
    is_own: bool,
    findings: Vec<Diagnostic>,
}

impl<'a> Shaper<'a> {
    fn report(&mut self, severity: Severity, path: &str, message: String) {
        self.findings.push(self.lines.finding(severity, path, message));
    }

    fn resolve(&self, schema: &'a Value) -> &'a Value {
        let Some(name) = schema.get("$ref").and_then(Value::as_str) else { return schema };
        name.strip_prefix('#').and_then(|pointer| self.root.pointer(pointer)).unwrap_or(schema)
    }

    fn walk(&mut self, value: &mut Value, schema: &'a Value, path: &str) {
        let schema = self.resolve(schema);
        let alternatives = self.alternatives(schema);
        match alternatives.as_slice() {
            [] => self.walk_single(value, schema, path),
            [one] => self.walk(value, one, path),
            many if many.iter().all(|one| one.get("const").is_some()) => {
                let names: Vec<&str> = many.iter().filter_map(|one| one["const"].as_str()).collect();
                self.one_of(value, &names, path);
            }
            many => match many.iter().find(|one| kinds(one).contains(&kind(value))) {
                Some(one) => self.walk(value, one, path),
                None => self.wrong_type(value, &many.iter().flat_map(|one| kinds(one)).collect::<Vec<_>>(), path),
            },
        }
    }

    /// The branches of a choice, resolved; without the one for `null`.
    fn alternatives(&self, schema: &'a Value) -> Vec<&'a Value> {
        let branches = schema.get("anyOf").or_else(|| schema.get("oneOf")).and_then(Value::as_array);
        let branches = branches.into_iter().flatten().map(|branch| self.resolve(branch));
        branches.filter(|branch| kinds(branch) != ["null"]).collect()
    }

    fn walk_single(&mut self, value: &mut Value, schema: &'a Value, path: &str) {
        if let Some(names) = schema.get("enum").and_then(Value::as_array) {
            let names: Vec<&str> = names.iter().filter_map(Value::as_str).collect();
            return self.one_of(value, &names, path);
        }
        let wanted = kinds(schema);
        if wanted.is_empty() {
            return;
        }
        coerce(value, &wanted);
        match value {
            Value::Object(entries) if wanted.contains(&"object") => self.walk_mapping(entries, schema, path),
            Value::Array(items) if wanted.contains(&"array") => self.walk_list(items, schema, path),
            Value::Number(number) if wanted.contains(&"integer") && schema.get("minimum").is_some() => {
                let is_narrow = schema.get("format").is_some_and(|format| format == "uint32");
                let most = if is_narrow { u64::from(u32::MAX) } else { u64::MAX };
                if number.as_u64().is_none_or(|number| number > most) {
                    self.report(Severity::Error, path, format!("expected a number from 0 to {most}, found {number}"));
                }
            }
            fitting if wanted.contains(&kind(fitting)) => {}
            other => self.wrong_type(other, &wanted, path),
        }
    }

    fn walk_list(&mut self, items: &mut [Value], schema: &'a Value, path: &str) {
        let Some(schema) = schema.get("items") else { return };
        for (at, item) in items.iter_mut().enumerate() {
            self.walk(item, schema, &format!("{path}[{at}]"));
        }
    }

    fn walk_mapping(&mut self, entries: &mut Map<String, Value>, schema: &'a Value, path: &str) {
        if let Some(values) = schema.get("additionalProperties") {
            if let Some(kept) = schema.get("x-keep-empty") {
                self.fill_empty(entries, kept.as_str(), path);
            }
            entries.retain(|_, value| !value.is_null() || self.all_kinds(values).is_empty());
            for (key, value) in entries.iter_mut() {
                self.walk(value, values, &join(path, key));
            }
            return;
        }
        let properties = schema.get("properties").and_then(Value::as_object);
        if properties.is_none() && schema.get("x-ignored").is_none() {
            return;
        }
        let property = |key: &str| properties.and_then(|properties| properties.get(key));
        entries.retain(|key, value| match property(key) {
            Some(schema) => self.keep(value, schema),
            None => true,
        });
        let mut ignored = Vec::new();
        for (key, value) in entries.iter_mut() {
            let at = join(path, key);
            match property(key) {
                Some(schema) => {
                    self.note_enforced(schema, value, &at);
                    let around = self.is_own;
                    self.is_own |= schema.get("x-own").is_some();
                    self.walk(value, schema, &at);
                    self.is_own = around;
                }
                None if list(schema, "x-ignored").any(|name| name == key) => ignored.push(key.as_str()),
                None => self.unknown_key(key, properties, schema, &at),
            }
        }
        if !ignored.is_empty() {
            self.report(Severity::Info, path, format!("{NOT_USED}: {}", ignored.join(", ")));
        }
        for name in list(schema, "required").filter(|name| !entries.contains_key(*name)) {
            self.report(Severity::Error, path, format!("the key {name:?} is missing"));
        }
    }

    /// Gives every key without a value an entry: an empty one, or one in which `rule` is true.
    fn fill_empty(&mut self, entries: &mut Map<String, Value>, rule: Option<&str>, path: &str) {
        for (key, value) in entries.iter_mut().filter(|(_, value)| value.is_null()) {
            let entry = rule.map(|rule| (rule.to_owned(), Value::Bool(true)));
            *value = Value::Object(entry.into_iter().collect());
            if let Some(rule) = rule {
                let message = format!("it has no value, which counts as {rule}: true");
                self.report(Severity::Warning, &join(path, key), message);
            }
        }
    }

    /// Whether a value stays: an empty key is an empty list where a list may stand, so that an
    /// emptied allow list allows nothing; elsewhere it is an absent key.
    fn keep(&self, value: &mut Value, schema: &'a Value) -> bool {
        let wanted = self.all_kinds(schema);
        if value.is_null() && wanted.contains(&"array") {
            *value = Value::Array(Vec::new());
        }
        let is_blank = value.as_str() == Some("") && !wanted.is_empty() && !wanted.contains(&"string");
        !value.is_null() && !is_blank
    }

    /// The JSON types that a schema takes, in any of its branches.
    fn all_kinds(&self, schema: &'a Value) -> Vec<&'a str> {
        let schema = self.resolve(schema);
        let branches = self.alternatives(schema).into_iter().flat_map(|branch| self.all_kinds(branch));
        kinds(schema).into_iter().chain(branches).collect()
    }

    fn note_enforced(&mut self, schema: &Value, value: &Value, path: &str) {
        let is_empty = value.as_array().is_some_and(Vec::is_empty) || value.as_object().is_some_and(Map::is_empty);
        if schema.get("x-enforced").is_some() && !is_empty {
            self.report(Severity::Info, path, NOW_ENFORCED.into());
        }
    }

    fn unknown_key(&mut self, key: &str, properties: Option<&Map<String, Value>>, schema: &Value, path: &str) {
        let is_own = self.is_own || schema.get("x-own").is_some();
        let severity = if is_own { Severity::Error } else { Severity::Warning };
        let known = properties.into_iter().flat_map(Map::keys).map(String::as_str).chain(list(schema, "x-ignored"));
        let hint = nearest(key, known).map(|name| format!("; did you mean {name:?}?")).unwrap_or_default();
        self.report(severity, path, format!("unknown key{hint}"));
    }

    fn one_of(&mut self, value: &mut Value, names: &[&str], path: &str) {
        let Some(text) = value.as_str() else { return self.wrong_type(value, &["string"], path) };
        let lower = text.trim().to_ascii_lowercase();
        if names.contains(&lower.as_str()) {
            *value = Value::String(lower);
            return;
        }
        let hint =
            nearest(text, names.iter().copied()).map(|name| format!("did you mean {name:?}? ")).unwrap_or_default();
        self.report(Severity::Error, path, format!("unknown value {text:?}; {hint}It may be: {}", names.join(", ")));
    }

    fn wrong_type(&mut self, value: &Value, wanted: &[&str], path: &str) {
        let mut names: Vec<&str> = wanted.iter().filter(|kind| **kind != "null").map(|kind| described(kind)).collect();
        names.dedup();
        self.report(
            Severity::Error,
            path,
            format!("expected {}, found {}", names.join(" or "), described(kind(value))),
        );
    }
}

fn list<'a>(schema: &'a Value, name: &str) -> impl Iterator<Item = &'a str> {
    schema.get(name).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

/// The JSON types that a schema takes; none where it takes anything.
fn kinds(schema: &Value) -> Vec<&str> {
    match schema.get("type") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn described(kind: &str) -> &'static str {
    match kind {
        "boolean" => "true or false",
        "integer" => "a whole number",
        "number" => "a number",
        "string" => "a string",
        "array" => "a list",
        "object" => "a mapping",
        _ => "nothing",
    }
}

/// Makes a scalar what is wanted: what a variable brought is a string, YAML 1.1 writes `yes` for
/// true, and a key of digits is a number to YAML.
fn coerce(value: &mut Value, wanted: &[&str]) {
    if wanted.contains(&kind(value)) {
        return;
    }
    let wants = |kind| wanted.contains(&kind);
    let coerced = match &*value {
        Value::String(text) if wants("boolean") => boolean(text).map(Value::Bool),
        Value::String(text) if wants("integer") => text.trim().parse::<i64>().ok().map(Value::from),
        Value::String(text) if wants("number") => text.trim().parse::<f64>().ok().map(Value::from),
        Value::Number(number) if wants("number") => number.as_f64().map(Value::from),
        Value::Bool(_) | Value::Number(_) if wants("string") => Some(Value::String(value.to_string())),
        _ => None,
    };
    if let Some(coerced) = coerced {
        *value = coerced;
    }
}

fn boolean(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Some(true),
        "false" | "no" | "off" | "0" => Some(false),
        _ => None,
    }
}
