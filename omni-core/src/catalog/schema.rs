//! Argument schemas: checked before a call, and repaired before a vendor sees them.

use std::sync::OnceLock;

use jsonschema::{PatternOptions, ValidationError, Validator, error::ValidationErrorKind};
use serde_json::{Value, value::RawValue};

mod refs;
mod sanitise;
#[cfg(test)]
mod tests;

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
/// Most bytes of a compiled pattern.
const PATTERN_BYTES: usize = 1 << 20;

/// Checks arguments against a schema; compiles it at most once, at the first check.
pub struct SchemaCheck {
    schema: Box<RawValue>,
    compiled: OnceLock<Option<Validator>>,
}

impl SchemaCheck {
    /// A check that compiles `schema` when it is first used.
    #[must_use]
    pub fn new(schema: &RawValue) -> Self {
        Self { schema: schema.to_owned(), compiled: OnceLock::new() }
    }

    /// Checks arguments, which must be an object whatever the schema says. A schema that cannot be
    /// compiled, or that refers to anything outside itself, lets every object pass: the server judges.
    ///
    /// # Errors
    /// A [`SchemaError`] that names every misfit, up to a cap.
    pub fn check(&self, arguments: &Value) -> Result<(), SchemaError> {
        if !arguments.is_object() {
            return Err(SchemaError::new(format!("the arguments must be a JSON object, not {}", kind_of(arguments))));
        }
        match self.compiled() {
            Some(validator) if !validator.is_valid(arguments) => Err(self.explain(validator, arguments)),
            Some(_) | None => Ok(()),
        }
    }

    /// What [`SchemaCheck::check`] finds, one by one, up to a cap.
    #[must_use]
    pub fn misfits(&self, arguments: &Value) -> Vec<Misfit> {
        let Some(validator) = self.compiled() else { return Vec::new() };
        let misfit = |error: ValidationError<'_>| Misfit { at: place(&error), message: self.wrong(&error) };
        validator.iter_errors(arguments).take(MAX_MISFITS).map(misfit).collect()
    }

    fn compiled(&self) -> Option<&Validator> {
        self.compiled.get_or_init(|| compile(&self.schema)).as_ref()
    }

    fn explain(&self, validator: &Validator, arguments: &Value) -> SchemaError {
        let mut misfits: Vec<String> =
            validator.iter_errors(arguments).take(MAX_MISFITS + 1).map(|error| self.describe(&error)).collect();
        if misfits.len() > MAX_MISFITS {
            misfits[MAX_MISFITS] = "and more".into();
        }
        SchemaError::new(misfits.join("; "))
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

/// Compiles a schema without fetching anything; the draft is that of `$schema`, else 2020-12.
fn compile(schema: &RawValue) -> Option<Validator> {
    let schema: Value = serde_json::from_str(schema.get()).ok()?;
    if refs::is_unsafe(&schema) {
        return None;
    }
    let patterns = PatternOptions::fancy_regex()
        .backtrack_limit(BACKTRACK_LIMIT)
        .size_limit(PATTERN_BYTES)
        .dfa_size_limit(PATTERN_BYTES);
    jsonschema::options().offline().with_pattern_options(patterns).build(&schema).ok()
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
