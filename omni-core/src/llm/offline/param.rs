//! What a tool takes, read from its schema once.

use serde_json::{Map, Value};

use crate::catalog::{
    ToolDef,
    search::text::{Word, words},
};

/// One argument of a tool.
#[derive(Debug, Clone)]
pub(super) struct Param {
    pub(super) name: String,
    pub(super) description: String,
    /// The words of its name.
    pub(super) words: Vec<Word>,
    pub(super) kind: Kind,
    pub(super) is_required: bool,
    pub(super) has_default: bool,
}

/// What values an argument takes.
#[derive(Debug, Clone)]
pub(super) enum Kind {
    /// One of these.
    OneOf(Vec<Value>),
    Boolean,
    Number {
        is_integer: bool,
        min: Option<f64>,
        max: Option<f64>,
    },
    Text(Role),
    /// A list of such values.
    List(Box<Self>),
    /// Nothing that could be read off a question.
    Other,
}

/// What a text is for, by its name, format and description.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Url,
    Email,
    Path,
    TimeZone,
    Time,
    Date,
    DateTime,
    Period,
    Sql,
    Pattern,
    /// The first half of `owner/repository`.
    Owner,
    /// The second half of `owner/repository`, or all of it where there is no owner.
    Repository,
    /// Names a thing: a database, a ticket.
    Identifier,
    /// Says something.
    Free,
}

/// The arguments of a tool: those required first and in their order, then the others by name.
pub(super) fn params(def: &ToolDef) -> Vec<Param> {
    let schema: Value = serde_json::from_str(def.input_schema.get()).unwrap_or_default();
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return Vec::new() };
    let required: Vec<&str> =
        schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let place = |name: &str| required.iter().position(|other| *other == name);
    let mut params: Vec<Param> =
        properties.iter().map(|(name, schema)| param(name, schema, place(name).is_some())).collect();
    params.sort_by_key(|param| place(&param.name).unwrap_or(usize::MAX));
    params
}

fn param(name: &str, schema: &Value, is_required: bool) -> Param {
    let description = schema.get("description").and_then(Value::as_str).unwrap_or_default().to_owned();
    let words = words(name);
    let kind = schema.as_object().map_or(Kind::Other, |schema| kind(&words, &description, schema));
    Param { name: name.to_owned(), description, words, kind, is_required, has_default: schema.get("default").is_some() }
}

fn kind(words: &[Word], description: &str, schema: &Map<String, Value>) -> Kind {
    if let Some(options) = schema.get("enum").and_then(Value::as_array) {
        return Kind::OneOf(options.clone());
    }
    match type_of(schema) {
        "boolean" => Kind::Boolean,
        "number" | "integer" => Kind::Number {
            is_integer: type_of(schema) == "integer",
            min: schema.get("minimum").and_then(Value::as_f64),
            max: schema.get("maximum").and_then(Value::as_f64),
        },
        "array" => match schema.get("items").and_then(Value::as_object) {
            Some(items) => Kind::List(Box::new(kind(words, description, items))),
            None => Kind::List(Box::new(Kind::Text(Role::Identifier))),
        },
        "string" => Kind::Text(role(words, description, schema.get("format").and_then(Value::as_str))),
        _ => Kind::Other,
    }
}

/// The first type that is not null, also where it is one of several alternatives.
fn type_of(schema: &Map<String, Value>) -> &str {
    let of = |value: &Value| -> Option<&'static str> {
        let known = ["boolean", "number", "integer", "array", "string", "object"];
        known.into_iter().find(|kind| value == kind)
    };
    match schema.get("type") {
        Some(Value::Array(kinds)) => kinds.iter().find_map(of).unwrap_or_default(),
        Some(kind) => of(kind).unwrap_or_default(),
        None => {
            let alternatives = schema.get("anyOf").or_else(|| schema.get("oneOf")).and_then(Value::as_array);
            alternatives.into_iter().flatten().filter_map(|one| of(one.get("type")?)).next().unwrap_or_default()
        }
    }
}

/// Roles by the words of a name; the first that fits.
const ROLES: &[(Role, &[&str])] = &[
    (Role::TimeZone, &["timezone", "tz", "zone"]),
    (Role::Url, &["url", "uri", "href", "link", "website"]),
    (Role::Email, &["email", "mail", "attendees", "recipient"]),
    (Role::Sql, &["sql", "statement"]),
    (Role::Pattern, &["pattern", "glob", "regex"]),
    (Role::Path, &["path", "file", "filename", "directory", "folder", "dir"]),
    (Role::Owner, &["owner", "org", "organization"]),
    (Role::Repository, &["repo", "repository"]),
    (Role::Period, &["period", "range", "timeframe", "interval"]),
    (Role::Date, &["date", "day", "since", "until"]),
    (Role::Time, &["time"]),
    (
        Role::Free,
        &[
            "message",
            "text",
            "query",
            "question",
            "topic",
            "content",
            "prompt",
            "q",
            "search",
            "term",
            "terms",
            "subject",
            "body",
            "title",
            "input",
            "comment",
            "summary",
            "keyword",
            "keywords",
            "data",
            "note",
            "description",
        ],
    ),
];

fn role(words: &[Word], description: &str, format: Option<&str>) -> Role {
    match format {
        Some("uri" | "url" | "uri-reference" | "iri") => return Role::Url,
        Some("email" | "idn-email") => return Role::Email,
        Some("date") => return Role::Date,
        Some("date-time") => return Role::DateTime,
        Some("time") => return Role::Time,
        _ => {}
    }
    let named = |names: &[&str]| words.iter().any(|word| names.contains(&word.raw.as_str()));
    match ROLES.iter().find(|(_, names)| named(names)) {
        Some((role, _)) => *role,
        None if description.contains("IANA") => Role::TimeZone,
        None => Role::Identifier,
    }
}
