//! The only place that knows YAML: text becomes a JSON value and an index of lines.
//!
//! The value comes from the YAML crate, which refuses duplicate keys when it parses into its own
//! value type; the lines come from the events of a second parser, because the first keeps none.
//! That one finds duplicate keys first, and knows where they are.

use std::{collections::HashMap, sync::Arc};

use saphyr_parser::{Event, Parser};
use serde_json::{Map, Number, Value};

use super::{ConfigError, Diagnostic, Severity};
use crate::policy::SourceRef;

/// A file that was parsed.
#[derive(Debug, Clone)]
pub(crate) struct Document {
    /// Its content; always a mapping.
    pub(crate) value: Value,
    /// Where its keys stand.
    pub(crate) lines: Lines,
}

/// Which line a key of one file stands on.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lines {
    file: Arc<str>,
    by_path: Arc<HashMap<String, usize>>,
}

impl Lines {
    /// The lines of a file that has none.
    pub(crate) fn of(file: &str) -> Self {
        Self { file: file.into(), by_path: Arc::default() }
    }

    /// What stands nowhere in a file: rows of a database.
    pub(crate) fn none(place: &str) -> Self {
        Self { file: place.into(), by_path: Arc::new(HashMap::from([(String::new(), 0)])) }
    }

    /// Where a key path stands, or else the nearest thing around it.
    pub(crate) fn at(&self, path: &str) -> SourceRef {
        let mut path = path;
        let line = loop {
            match self.by_path.get(path) {
                Some(line) => break *line,
                None if path.is_empty() => break 1,
                None => path = parent(path),
            }
        };
        SourceRef { file: self.file.clone(), line }
    }

    /// A finding about a key of this file.
    pub(crate) fn finding(&self, severity: Severity, path: &str, message: impl Into<String>) -> Diagnostic {
        Diagnostic { severity, source: Some(self.at(path)), key: path.into(), message: message.into() }
    }
}

/// `mcps[0].url` for `mcps[0]` and `url`.
pub(crate) fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.into() } else { format!("{path}.{key}") }
}

fn parent(path: &str) -> &str {
    path.rfind(['.', '[']).map_or("", |at| &path[..at])
}

/// Parses a file whose top level is a mapping; an empty file is an empty mapping.
pub(crate) fn parse(file: &str, text: &str) -> Result<Document, ConfigError> {
    let Index { lines, twice } = index(text);
    let lines = Lines { file: file.into(), by_path: Arc::new(lines) };
    if let Some((path, line)) = twice {
        let source = Some(SourceRef { file: file.into(), line });
        let message = "this key is there twice".into();
        return Err(Diagnostic { severity: Severity::Error, source, key: path, message }.into());
    }
    let mut yaml: serde_yaml::Value = serde_yaml::from_str(text).map_err(|error| malformed(file, &error))?;
    yaml.apply_merge().map_err(|error| malformed(file, &error))?;
    let value = match to_json(yaml) {
        Ok(Value::Null) => Value::Object(Map::new()),
        Ok(value @ Value::Object(_)) => value,
        Ok(_) => return Err(lines.finding(Severity::Error, "", "the file must be a mapping of keys to values").into()),
        Err(message) => return Err(lines.finding(Severity::Error, "", message).into()),
    };
    Ok(Document { value, lines })
}

/// A value as YAML text, for people.
pub(crate) fn print(value: &Value) -> String {
    serde_yaml::to_string(value).unwrap_or_else(|_| value.to_string())
}

fn malformed(file: &str, error: &serde_yaml::Error) -> ConfigError {
    let message = error.to_string();
    let message = message.split(" at line ").next().unwrap_or_default();
    let source = error.location().map(|location| SourceRef { file: file.into(), line: location.line() });
    let source = source.or_else(|| Some(SourceRef { file: file.into(), line: 1 }));
    let severity = Severity::Error;
    let message = format!("this is not valid YAML: {message}");
    Diagnostic { severity, source, key: String::new(), message }.into()
}

fn to_json(yaml: serde_yaml::Value) -> Result<Value, String> {
    Ok(match yaml {
        serde_yaml::Value::Null => Value::Null,
        serde_yaml::Value::Bool(value) => Value::Bool(value),
        serde_yaml::Value::Number(number) => number_to_json(&number),
        serde_yaml::Value::String(text) => Value::String(text),
        serde_yaml::Value::Sequence(items) => Value::Array(items.into_iter().map(to_json).collect::<Result<_, _>>()?),
        serde_yaml::Value::Mapping(entries) => {
            let entries = entries.into_iter().map(|(key, value)| Ok((key_text(key)?, to_json(value)?)));
            Value::Object(entries.collect::<Result<_, String>>()?)
        }
        serde_yaml::Value::Tagged(tagged) => to_json(tagged.value)?,
    })
}

fn number_to_json(number: &serde_yaml::Number) -> Value {
    let exact = number.as_u64().map(Number::from).or_else(|| number.as_i64().map(Number::from));
    let number_in_json = exact.or_else(|| number.as_f64().and_then(Number::from_f64));
    number_in_json.map_or_else(|| Value::String(number.to_string()), Value::Number)
}

fn key_text(key: serde_yaml::Value) -> Result<String, String> {
    match to_json(key)? {
        Value::String(text) => Ok(text),
        other @ (Value::Bool(_) | Value::Number(_) | Value::Null) => Ok(other.to_string()),
        Value::Array(_) | Value::Object(_) => Err("a list or a mapping cannot be a key".into()),
    }
}

/// A collection that the events are inside of.
enum Open {
    Mapping { path: String, key: Option<String> },
    Sequence { path: String, next: usize },
}

/// Where everything stands.
#[derive(Default)]
struct Index {
    /// The line of every key and list item.
    lines: HashMap<String, usize>,
    /// The first key that a mapping has twice, and the line of its second time.
    twice: Option<(String, usize)>,
}

/// Indexes a file. It ends where the text is malformed; the other parser says how.
fn index(text: &str) -> Index {
    let mut index = Index::default();
    let mut open: Vec<Open> = Vec::new();
    for event in Parser::new_from_str(text) {
        let Ok((event, span)) = event else { break };
        match event {
            Event::Scalar(text, ..) => {
                if !take_key(&mut open, &text, span.start.line(), &mut index) {
                    place(&mut open, span.start.line(), &mut index.lines);
                }
            }
            Event::Alias(_) => drop(place(&mut open, span.start.line(), &mut index.lines)),
            Event::MappingStart(..) => {
                let path = place(&mut open, span.start.line(), &mut index.lines);
                open.push(Open::Mapping { path, key: None });
            }
            Event::SequenceStart(..) => {
                let path = place(&mut open, span.start.line(), &mut index.lines);
                open.push(Open::Sequence { path, next: 0 });
            }
            Event::MappingEnd | Event::SequenceEnd => drop(open.pop()),
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) | Event::DocumentEnd => {}
        }
    }
    index
}

/// Notes a scalar as the key of the mapping around it, if that waits for one.
fn take_key(open: &mut [Open], text: &str, line: usize, index: &mut Index) -> bool {
    match open.last_mut() {
        Some(Open::Mapping { path, key: key @ None }) => {
            let path = join(path, text);
            if index.lines.insert(path.clone(), line).is_some() && index.twice.is_none() {
                index.twice = Some((path, line));
            }
            *key = Some(text.to_owned());
            true
        }
        Some(Open::Mapping { .. } | Open::Sequence { .. }) | None => false,
    }
}

/// The path of a value that starts here. A value of a mapping stands where its key stands.
fn place(open: &mut [Open], line: usize, lines: &mut HashMap<String, usize>) -> String {
    match open.last_mut() {
        None => String::new(),
        Some(Open::Mapping { path, key }) => join(path, &key.take().unwrap_or_default()),
        Some(Open::Sequence { path, next }) => {
            let item = format!("{path}[{next}]");
            *next += 1;
            lines.insert(item.clone(), line);
            item
        }
    }
}
