//! What was decided, and the rule that it comes from.

use std::{fmt, sync::Arc};

use serde::Serialize;

/// Where a rule stands: `users.yaml:12`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct SourceRef {
    /// The file's name within the config directory.
    pub file: Arc<str>,
    /// The line, from 1; 0 for what has no lines, such as a database.
    pub line: usize,
}

impl fmt::Display for SourceRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&self.file),
            line => write!(f, "{}:{line}", self.file),
        }
    }
}

/// The rule that decided.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[non_exhaustive]
pub struct Rule {
    /// The rule in the words of the configuration: `mcps.database_mcp.role_restrictions.dba.deny: drop_*`.
    pub text: String,
    /// Where it stands; `None` for built-in rules and defaults.
    pub source: Option<SourceRef>,
}

impl Rule {
    /// A rule.
    #[must_use]
    pub fn new(text: impl Into<String>, source: Option<SourceRef>) -> Self {
        Self { text: text.into(), source }
    }
}

/// What was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// The call may run.
    Allow,
    /// The call may not run; the tool is unknown to this person.
    Deny,
}

/// A decision and the rule it comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Decision {
    /// Allow or deny.
    pub effect: Effect,
    /// Whether a human must agree before the call runs.
    pub confirm: bool,
    /// Which rule decided.
    pub rule: Arc<Rule>,
    /// Which rule wants the human; `None` where none does, or the tool itself says that it may destroy.
    #[serde(skip)]
    pub confirm_rule: Option<Arc<Rule>>,
}

impl Decision {
    /// The call may run.
    #[must_use]
    pub fn allow(rule: Arc<Rule>) -> Self {
        Self { effect: Effect::Allow, confirm: false, rule, confirm_rule: None }
    }

    /// The call may not run.
    #[must_use]
    pub fn deny(rule: Arc<Rule>) -> Self {
        Self { effect: Effect::Deny, confirm: false, rule, confirm_rule: None }
    }

    /// The decision as JSON, for people who ask why:
    /// `{"effect": "deny", "confirm": false, "rule": "…", "source": "mcps.yaml:12"}`; `source` is
    /// `null` for a built-in rule.
    #[must_use]
    pub fn explain(&self) -> serde_json::Value {
        serde_json::json!({
            "effect": self.effect,
            "confirm": self.confirm,
            "rule": self.rule.text,
            "source": self.rule.source.as_ref().map(ToString::to_string),
        })
    }

    /// Whether the call may run.
    #[must_use]
    pub fn is_allowed(&self) -> bool {
        self.effect == Effect::Allow
    }
}
