//! The forms that servers may ask for: fields of plain kinds, no more.

use chrono::{DateTime, NaiveDate};
use serde::Serialize;
use serde_json::{Map, Value};
use url::Url;

use crate::mcp::clean;

/// Most fields of a form.
const MAX_FIELDS: usize = 50;
/// Most things to choose from.
const MAX_CHOICES: usize = 200;
/// Longest words of a server about one field, in characters.
const MAX_WORDS: usize = 500;
/// Longest text that is given back, in bytes.
const MAX_TEXT: usize = 16 * 1024;

/// A form.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Form {
    /// Its fields.
    pub fields: Vec<Field>,
}

/// One field of a form.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Field {
    /// The name of its value.
    pub name: String,
    /// What it is called, in the server's words.
    pub title: String,
    /// What it is about, in the server's words.
    pub description: Option<String>,
    /// Whether there has to be a value.
    pub required: bool,
    /// What its values are.
    #[serde(flatten)]
    pub kind: FieldKind,
    /// The value that it has unless the person gives another.
    pub default: Option<Value>,
}

/// What the values of a field are.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum FieldKind {
    /// Text.
    Text {
        /// So many characters at least.
        min: Option<u64>,
        /// So many characters at most.
        max: Option<u64>,
        /// What it is written like; `email`, `uri`, `date` and `date-time` are checked.
        format: Option<String>,
    },
    /// A number.
    Number {
        /// Whether it is whole.
        integer: bool,
        /// It is not less.
        min: Option<f64>,
        /// It is not more.
        max: Option<f64>,
    },
    /// Yes or no.
    Boolean,
    /// One of several.
    Choice {
        /// Which there are.
        choices: Vec<Choice>,
    },
    /// Some of several.
    Choices {
        /// Which there are.
        choices: Vec<Choice>,
        /// So many at least.
        min: Option<u64>,
        /// So many at most.
        max: Option<u64>,
    },
}

/// Something to choose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Choice {
    /// Its value.
    pub value: String,
    /// What it is called.
    pub title: String,
}

impl Form {
    /// The form of a `requestedSchema`.
    ///
    /// # Errors
    /// What about it is no form.
    pub(super) fn of(schema: &Value) -> Result<Self, String> {
        let none = Map::new();
        let properties = match &schema["properties"] {
            Value::Object(properties) => properties,
            Value::Null => &none,
            _ => return Err("requestedSchema: its properties are no object".into()),
        };
        if schema["type"] != "object" || properties.len() > MAX_FIELDS {
            return Err(format!("requestedSchema: it is no object of at most {MAX_FIELDS} properties"));
        }
        let required: Vec<&str> =
            schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let fields = properties.iter().map(|(name, schema)| field(name, schema, required.contains(&name.as_str())));
        Ok(Self { fields: fields.collect::<Result<_, _>>()? })
    }

    /// Whether values fit.
    ///
    /// # Errors
    /// What does not, field by field.
    pub fn check(&self, values: &Map<String, Value>) -> Result<(), Vec<String>> {
        let field = |name: &str| self.fields.iter().find(|field| field.name == name);
        let unknown =
            values.keys().filter(|name| field(name).is_none()).map(|name| format!("{name}: there is no such field"));
        let wrong = self.fields.iter().filter_map(|field| match values.get(&field.name) {
            Some(value) => field.check(value).err(),
            None if field.required => Some(format!("{}: it is missing", field.name)),
            None => None,
        });
        let wrong: Vec<String> = unknown.chain(wrong).collect();
        if wrong.is_empty() { Ok(()) } else { Err(wrong) }
    }
}

impl Field {
    /// Whether a value fits.
    ///
    /// # Errors
    /// Why it does not.
    pub fn check(&self, value: &Value) -> Result<(), String> {
        let wrong = match (&self.kind, value) {
            (FieldKind::Text { min, max, format }, Value::String(text)) => {
                let count = text.chars().count() as u64;
                let fits =
                    text.len() <= MAX_TEXT && min.is_none_or(|min| count >= min) && max.is_none_or(|max| count <= max);
                match format.as_deref() {
                    _ if !fits => Some("its length is not right".to_owned()),
                    Some(format) if !is_written_like(format, text) => Some(format!("it is no {format}")),
                    _ => None,
                }
            }
            (FieldKind::Number { integer, min, max }, Value::Number(number)) => {
                let is_whole = number.is_i64() || number.is_u64() || number.as_f64().is_some_and(|n| n.fract() == 0.0);
                let fits =
                    number.as_f64().is_some_and(|n| min.is_none_or(|min| n >= min) && max.is_none_or(|max| n <= max));
                if *integer && !is_whole {
                    Some("it is no whole number".to_owned())
                } else {
                    (!fits).then(|| range(*min, *max))
                }
            }
            (FieldKind::Boolean, Value::Bool(_)) => None,
            (FieldKind::Choice { choices }, Value::String(text)) => (!is_among(choices, text)).then(|| one_of(choices)),
            (FieldKind::Choices { choices, min, max }, Value::Array(items)) => {
                let count = items.len() as u64;
                let is_known = items.iter().all(|item| item.as_str().is_some_and(|text| is_among(choices, text)));
                let fits = min.is_none_or(|min| count >= min) && max.is_none_or(|max| count <= max);
                if is_known {
                    (!fits).then(|| "there are too few or too many".to_owned())
                } else {
                    Some(one_of(choices))
                }
            }
            _ => Some("it is of another kind".to_owned()),
        };
        wrong.map_or(Ok(()), |wrong| Err(format!("{}: {wrong}", self.name)))
    }

    /// The value that a person's text means.
    ///
    /// # Errors
    /// Why it means none.
    pub fn read(&self, text: &str) -> Result<Value, String> {
        let text = text.trim();
        let value = match &self.kind {
            FieldKind::Text { .. } => Value::from(text),
            FieldKind::Number { integer: true, .. } if text.parse::<i64>().is_ok() => {
                Value::from(text.parse::<i64>().unwrap_or_default())
            }
            FieldKind::Number { .. } => text.parse::<f64>().map_or(Value::Null, Value::from),
            FieldKind::Boolean => match text.to_lowercase().as_str() {
                "y" | "yes" | "true" | "on" | "1" => Value::Bool(true),
                "n" | "no" | "false" | "off" | "0" => Value::Bool(false),
                _ => Value::Null,
            },
            FieldKind::Choice { choices } => chosen(choices, text),
            FieldKind::Choices { choices, .. } => text
                .split(',')
                .map(str::trim)
                .filter(|part| !part.is_empty())
                .map(|part| chosen(choices, part))
                .collect(),
        };
        self.check(&value).map(|()| value)
    }
}

/// The value of a choice by its number from 1, its value or its title.
fn chosen(choices: &[Choice], text: &str) -> Value {
    let by_number = text.parse::<usize>().ok().and_then(|at| choices.get(at.checked_sub(1)?));
    let named = |choice: &&Choice| choice.value == text || choice.title.eq_ignore_ascii_case(text);
    choices.iter().find(named).or(by_number).map_or(Value::Null, |choice| Value::from(choice.value.as_str()))
}

fn field(name: &str, schema: &Value, required: bool) -> Result<Field, String> {
    if name.chars().count() > MAX_WORDS || clean(name, MAX_WORDS) != name {
        return Err("requestedSchema: the name of a property cannot be shown".into());
    }
    let text = |key: &str| schema[key].as_str().map(|text| clean(text, MAX_WORDS));
    let kind = kind(schema).ok_or_else(|| format!("requestedSchema: {name:?} is no field of a form"))?;
    let mut field = Field {
        name: name.into(),
        title: text("title").filter(|title| !title.is_empty()).unwrap_or_else(|| name.into()),
        description: text("description"),
        required,
        kind,
        default: None,
    };
    field.default = schema.get("default").filter(|default| field.check(default).is_ok()).cloned();
    Ok(field)
}

fn kind(schema: &Value) -> Option<FieldKind> {
    let (count, number) = (|key: &str| schema[key].as_u64(), |key: &str| schema[key].as_f64());
    Some(match schema["type"].as_str()? {
        "string" if schema.get("enum").is_some() || schema.get("oneOf").is_some() => {
            FieldKind::Choice { choices: choices(schema, "oneOf")? }
        }
        "string" => FieldKind::Text {
            min: count("minLength"),
            max: count("maxLength"),
            format: schema["format"].as_str().map(|format| clean(format, MAX_WORDS)),
        },
        kind @ ("number" | "integer") => {
            FieldKind::Number { integer: kind == "integer", min: number("minimum"), max: number("maximum") }
        }
        "boolean" => FieldKind::Boolean,
        "array" => FieldKind::Choices {
            choices: choices(&schema["items"], "anyOf")?,
            min: count("minItems"),
            max: count("maxItems"),
        },
        _ => return None,
    })
}

/// What an `enum`, perhaps with `enumNames`, or a list of titled constants has to choose from.
fn choices(schema: &Value, titled: &str) -> Option<Vec<Choice>> {
    let shown = |text: &str| clean(text, MAX_WORDS);
    let choices: Option<Vec<Choice>> = match (schema["enum"].as_array(), schema[titled].as_array()) {
        (Some(values), _) => {
            let title = |at: usize| schema["enumNames"].get(at).and_then(Value::as_str);
            let choice = |(at, value): (usize, &Value)| {
                let value = value.as_str()?;
                Some(Choice { value: value.into(), title: shown(title(at).unwrap_or(value)) })
            };
            values.iter().enumerate().map(choice).collect()
        }
        (None, Some(values)) => {
            let choice = |value: &Value| {
                let (value, title) = (value["const"].as_str()?, value["title"].as_str());
                Some(Choice { value: value.into(), title: shown(title.unwrap_or(value)) })
            };
            values.iter().map(choice).collect()
        }
        (None, None) => None,
    };
    choices.filter(|choices| !choices.is_empty() && choices.len() <= MAX_CHOICES)
}

/// Whether a text has a format; what is not known here fits.
fn is_written_like(format: &str, text: &str) -> bool {
    let has_blanks = || text.contains(|c: char| c.is_whitespace() || c.is_control());
    match format {
        "email" => {
            let parts = text.rsplit_once('@').filter(|(local, domain)| !local.is_empty() && !domain.is_empty());
            let is_domain = |domain: &str| domain.split('.').all(|label| !label.is_empty());
            parts.is_some_and(|(_, domain)| is_domain(domain)) && !has_blanks()
        }
        "uri" => Url::parse(text).is_ok() && !has_blanks(),
        "date" => text.len() == "2026-11-30".len() && NaiveDate::parse_from_str(text, "%Y-%m-%d").is_ok(),
        "date-time" => DateTime::parse_from_rfc3339(text).is_ok(),
        _ => true,
    }
}

fn is_among(choices: &[Choice], text: &str) -> bool {
    choices.iter().any(|choice| choice.value == text)
}

fn one_of(choices: &[Choice]) -> String {
    let titles: Vec<&str> = choices.iter().take(10).map(|choice| choice.title.as_str()).collect();
    format!("choose from {}", titles.join(", "))
}

fn range(min: Option<f64>, max: Option<f64>) -> String {
    match (min, max) {
        (Some(min), Some(max)) => format!("it is not between {min} and {max}"),
        (Some(min), None) => format!("it is less than {min}"),
        (_, Some(max)) => format!("it is more than {max}"),
        (None, None) => "it is no number".into(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn form() -> Form {
        Form::of(&json!({ "type": "object", "required": ["name", "size"], "properties": {
            "name": { "type": "string", "title": "Your name", "minLength": 2, "maxLength": 5, "default": "Ada" },
            "mail": { "type": "string", "format": "email" },
            "size": { "type": "integer", "minimum": 1, "maximum": 9, "default": "wrong" },
            "rate": { "type": "number" },
            "sure": { "type": "boolean", "default": false },
            "colour": { "type": "string", "enum": ["r", "g"], "enumNames": ["Red", "Green"] },
            "pets": { "type": "array", "minItems": 1, "items": { "anyOf": [
                { "const": "cat", "title": "A cat" }, { "const": "dog", "title": "A dog" }] } },
        } }))
        .unwrap()
    }

    fn field_of(name: &str) -> Field {
        form().fields.into_iter().find(|field| field.name == name).unwrap()
    }

    #[test]
    fn what_a_person_types_becomes_a_value_that_fits() {
        for (name, text, value) in [
            ("name", " Bob ", json!("Bob")),
            ("size", "3", json!(3)),
            ("rate", "2.5", json!(2.5)),
            ("sure", "Yes", json!(true)),
            ("colour", "2", json!("g")),
            ("colour", "red", json!("r")),
            ("pets", "1, dog", json!(["cat", "dog"])),
        ] {
            assert_eq!(field_of(name).read(text), Ok(value), "{name} {text}");
        }
        for (name, text, why) in [
            ("name", "B", "length"),
            ("size", "2.5", "whole"),
            ("size", "10", "between 1 and 9"),
            ("rate", "many", "another kind"),
            ("sure", "perhaps", "another kind"),
            ("colour", "3", "another kind"),
            ("pets", "", "too few"),
            ("pets", "cow", "choose from A cat, A dog"),
        ] {
            let error = field_of(name).read(text).unwrap_err();
            assert!(error.contains(why), "{name} {text}: {error}");
        }
    }

    #[test]
    fn a_text_is_written_as_its_format_says() {
        let cases: [(&str, &[&str], &[&str]); 5] = [
            ("email", &["ada@x.org", "a+b@localhost", "ü@ü.example"], &["ada", "@x.org", "a@", "a b@x.org", "a@x..y"]),
            ("uri", &["https://x.org/a?b=c", "mailto:ada@x.org"], &["x.org/a", "https://x.org/a b", "http://"]),
            ("date", &["2026-11-30", "2024-02-29"], &["30.11.2026", "2026-1-2", "2026-02-29", "2026-11-30T00:00Z", ""]),
            (
                "date-time",
                &["2026-11-30T19:50:15Z", "2026-11-30T19:50:15.25+01:00"],
                &["2026-11-30", "2026-11-30T19:50:15", "19:50", "now"],
            ),
            ("of-another-draft", &["", "anything"], &[]),
        ];
        for (format, right, wrong) in cases {
            let schema = json!({ "type": "object", "properties": { "a": { "type": "string", "format": format } } });
            let field = Form::of(&schema).unwrap().fields.remove(0);
            for text in right {
                assert_eq!(field.read(text), Ok(json!(text)), "{format} {text}");
            }
            for text in wrong {
                assert_eq!(field.read(text), Err(format!("a: it is no {format}")), "{format} {text}");
            }
        }
    }

    #[test]
    fn a_default_that_does_not_fit_is_none() {
        assert_eq!(field_of("name").default, Some(json!("Ada")));
        assert_eq!(field_of("size").default, None);
        assert_eq!(field_of("sure").default, Some(json!(false)));
    }

    #[test]
    fn what_is_no_plain_form_is_refused() {
        let nested = json!({ "type": "object", "properties": { "a": { "type": "object" } } });
        let hidden = json!({ "type": "object", "properties": { "a\u{200b}": { "type": "string" } } });
        let empty = json!({ "type": "object", "properties": { "a": { "type": "string", "enum": [] } } });
        let untyped = json!({ "type": "object", "properties": { "a": {} } });
        for schema in [nested, hidden, empty, untyped, json!({}), json!({ "type": "object", "properties": [] })] {
            assert!(Form::of(&schema).is_err(), "{schema}");
        }
        assert!(Form::of(&json!({ "type": "object" })).is_ok_and(|form| form.fields.is_empty()));
    }
}
