//! Argument schemas: checked before a call, and repaired before a vendor sees them.

use std::sync::OnceLock;

use jsonschema::{PatternOptions, ValidationError, Validator, error::ValidationErrorKind};
use serde_json::{Map, Value, json, value::RawValue};

mod effort;
mod refs;
mod sanitise;
#[cfg(test)]
mod tests;

use effort::Effort;
pub use sanitise::{Dialect, MAX_SCHEMA_BYTES, Sanitised, sanitise};

/// Why arguments do not fit, in words that a model can act on; or why a schema cannot be offered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SchemaError {
    /// Which argument, what is wrong with it and what would be right.
    pub message: String,
}

impl SchemaError {
    fn new(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }
}

/// What does not fit of some arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Misfit {
    /// Where it stands: the way from the outermost object; empty where that itself does not fit.
    pub at: Vec<String>,
    /// What is wrong, and what would be right.
    pub message: String,
}

/// Most misfits that one error names.
const MAX_MISFITS: usize = 8;
/// Longest description of one misfit, in characters.
const MAX_MISFIT_CHARS: usize = 300;
/// Steps that a pattern of an untrusted server may take.
const BACKTRACK_LIMIT: usize = 20_000;
/// As long as how many keywords a pattern takes, by how it works; the latter for all its steps.
const LINEAR_PATTERN: u64 = 4;
const BACKTRACKING_PATTERN: u64 = 4_000;
/// Most bytes of a compiled pattern.
const PATTERN_BYTES: usize = 1 << 20;
/// What is said where a misfit lies too deep among too much.
const UNTOLD: &str = "the arguments do not fit the tool's schema, and are too many or too deep for it to be said where";

/// Checks arguments against a schema; compiles it at most once, at the first check.
pub struct SchemaCheck {
    schema: Box<RawValue>,
    compiled: OnceLock<Option<Compiled>>,
}

struct Compiled {
    validator: Validator,
    effort: Effort,
    /// Of the outermost object alone, once somebody needs it.
    outermost: OnceLock<Option<Validator>>,
}

impl SchemaCheck {
    /// A check that compiles `schema` when it is first used.
    #[must_use]
    pub fn new(schema: &RawValue) -> Self {
        Self { schema: schema.to_owned(), compiled: OnceLock::new() }
    }

    /// Checks arguments, which must be an object whatever the schema says. A schema that cannot be
    /// compiled, that refers to anything outside itself, or whose references multiply so that judging these
    /// arguments would take too long, lets every object pass: the server judges.
    ///
    /// # Errors
    /// A [`SchemaError`] that names every misfit, up to a cap; those of the outermost object alone where finding
    /// all of them would take too long.
    pub fn check(&self, arguments: &Value) -> Result<(), SchemaError> {
        if !arguments.is_object() {
            return Err(SchemaError::new(format!("the arguments must be a JSON object, not {}", kind_of(arguments))));
        }
        match self.compiled_for(arguments) {
            Some(compiled) if !compiled.validator.is_valid(arguments) => Err(self.explain(compiled, arguments)),
            Some(_) | None => Ok(()),
        }
    }

    /// What [`SchemaCheck::check`] finds, one by one, up to a cap.
    #[must_use]
    pub fn misfits(&self, arguments: &Value) -> Vec<Misfit> {
        let Some(compiled) = self.compiled_for(arguments) else { return Vec::new() };
        let misfit = |error: &ValidationError<'_>| Misfit { at: place(error), message: self.wrong(error) };
        let mut misfits = self.found(compiled, arguments, misfit);
        misfits.truncate(MAX_MISFITS);
        misfits
    }

    /// What arguments are judged by, where that can be done.
    fn compiled_for(&self, arguments: &Value) -> Option<&Compiled> {
        let compiled = self.compiled.get_or_init(|| compile(&self.schema)).as_ref();
        compiled.filter(|compiled| compiled.effort.can_check(arguments))
    }

    fn explain(&self, compiled: &Compiled, arguments: &Value) -> SchemaError {
        let mut misfits = self.found(compiled, arguments, |error| self.describe(error));
        if misfits.is_empty() {
            misfits.push(UNTOLD.into());
        }
        if misfits.len() > MAX_MISFITS {
            misfits[MAX_MISFITS] = "and more".into();
        }
        SchemaError::new(misfits.join("; "))
    }

    /// The first misfits, one more than are told. The validator makes all before it gives the first, so where they
    /// could be too many only the outermost object is looked at.
    fn found<T>(&self, compiled: &Compiled, arguments: &Value, told: impl Fn(&ValidationError<'_>) -> T) -> Vec<T> {
        let first = |validator: &Validator| {
            validator.iter_errors(arguments).take(MAX_MISFITS + 1).map(|error| told(&error)).collect::<Vec<T>>()
        };
        match compiled.effort.can_explain(arguments) {
            true => first(&compiled.validator),
            false => {
                let outermost = compiled.outermost.get_or_init(|| self.outermost());
                outermost.as_ref().map(first).unwrap_or_default()
            }
        }
    }

    fn outermost(&self) -> Option<Validator> {
        let schema: Value = serde_json::from_str(self.schema.get()).ok()?;
        build(&outermost(&schema)?)
    }

    fn describe(&self, error: &ValidationError<'_>) -> String {
        let (text, path) = (self.wrong(error), error.instance_path().as_str());
        let text = if path.is_empty() { text } else { format!("{path:?}: {text}") };
        shorten(&text, MAX_MISFIT_CHARS)
    }

    fn wrong(&self, error: &ValidationError<'_>) -> String {
        let text = match error.kind() {
            ValidationErrorKind::Required { property } => format!("missing required property {property}"),
            ValidationErrorKind::AdditionalProperties { unexpected } => self.unexpected(error, unexpected),
            _ => error.to_string(),
        };
        shorten(&text, MAX_MISFIT_CHARS)
    }

    fn unexpected(&self, error: &ValidationError<'_>, unexpected: &[String]) -> String {
        let mut text = format!("unknown property {}", quoted(unexpected));
        let at_root = error.instance_path().as_str().is_empty();
        let schema: Option<Value> = serde_json::from_str(self.schema.get()).ok().filter(|_| at_root);
        if let Some(known) = schema.as_ref().and_then(|schema| schema.get("properties")?.as_object()) {
            let known: Vec<&String> = known.keys().collect();
            text.push_str(&match known.is_empty() {
                true => " (the tool takes no arguments)".into(),
                false => format!(" (known: {})", quoted(&known)),
            });
        }
        text
    }
}

impl std::fmt::Debug for SchemaCheck {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SchemaCheck").finish_non_exhaustive()
    }
}

fn compile(schema: &RawValue) -> Option<Compiled> {
    let schema: Value = serde_json::from_str(schema.get()).ok()?;
    if refs::is_unsafe(&schema) {
        return None;
    }
    let (validator, pattern) = match linear(&schema) {
        Some(validator) => (validator, LINEAR_PATTERN),
        None => (backtracking(&schema)?, BACKTRACKING_PATTERN),
    };
    Some(Compiled { validator, effort: Effort::of(&schema, pattern), outermost: OnceLock::new() })
}

/// Compiles a schema without fetching anything; the draft is that of `$schema`, else 2020-12.
fn build(schema: &Value) -> Option<Validator> {
    linear(schema).or_else(|| backtracking(schema))
}

/// The same with patterns that take time as a text is long; `None` too where one looks around.
fn linear(schema: &Value) -> Option<Validator> {
    let patterns = PatternOptions::regex().size_limit(PATTERN_BYTES).dfa_size_limit(PATTERN_BYTES);
    jsonschema::options().offline().with_pattern_options(patterns).build(schema).ok()
}

/// The same with patterns that may look around, and try again and again.
fn backtracking(schema: &Value) -> Option<Validator> {
    let patterns = PatternOptions::fancy_regex()
        .backtrack_limit(BACKTRACK_LIMIT)
        .size_limit(PATTERN_BYTES)
        .dfa_size_limit(PATTERN_BYTES);
    jsonschema::options().offline().with_pattern_options(patterns).build(schema).ok()
}

/// What a schema says of the outermost object itself: which names it has, and of what type each value is.
fn outermost(schema: &Value) -> Option<Value> {
    // Beside a reference older drafts read nothing.
    let own = schema.as_object().filter(|own| !own.contains_key("$ref"))?;
    let mut outermost = Map::new();
    for (key, value) in own {
        let value: Value = match (key.as_str(), value) {
            ("$schema" | "required", _) | ("additionalProperties", Value::Bool(_)) => value.clone(),
            ("properties", Value::Object(properties)) => {
                properties.iter().map(|(name, property)| (name.clone(), typed(property))).collect()
            }
            ("patternProperties", Value::Object(patterns)) => {
                patterns.keys().map(|pattern| (pattern.clone(), json!({}))).collect()
            }
            _ => continue,
        };
        outermost.insert(key.clone(), value);
    }
    Some(Value::Object(outermost))
}

/// What a schema says of a value's type alone.
fn typed(schema: &Value) -> Value {
    let kind = schema.get("type").filter(|_| schema.get("$ref").is_none());
    kind.map_or_else(|| json!({}), |kind| json!({ "type": kind }))
}

/// The way to what does not fit, or to what is missing.
fn place(error: &ValidationError<'_>) -> Vec<String> {
    let steps = error.instance_path().as_str().split('/').skip(1);
    let mut steps: Vec<String> = steps.map(|step| step.replace("~1", "/").replace("~0", "~")).collect();
    if let ValidationErrorKind::Required { property } = error.kind() {
        steps.extend(property.as_str().map(str::to_owned));
    }
    steps
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

fn quoted(names: &[impl AsRef<str>]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("{:?}", name.as_ref())).collect();
    names.join(", ")
}

fn shorten(text: &str, max_chars: usize) -> String {
    match text.char_indices().nth(max_chars) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
