//! The rules of a grant and the one function that decides.

use std::sync::Arc;

use super::{Decision, Rule};

/// Everything that decides about tools, compiled. Users with equal rules share one.
#[derive(Debug)]
pub struct RuleSet {
    fingerprint: String,
    allow: bool,
    rule: Arc<Rule>,
}

impl RuleSet {
    /// Every tool of every server.
    #[must_use]
    pub fn allow_all() -> Arc<Self> {
        Arc::new(Self {
            fingerprint: "allow-all".into(),
            allow: true,
            rule: Arc::new(Rule::new("everything is allowed", None)),
        })
    }

    /// No tool at all.
    #[must_use]
    pub fn deny_all() -> Arc<Self> {
        Arc::new(Self {
            fingerprint: "deny-all".into(),
            allow: false,
            rule: Arc::new(Rule::new("nothing is allowed", None)),
        })
    }

    /// Equal for equal rules, and only for these.
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Decides one tool. Without `arguments` the question is whether it may be listed.
    #[must_use]
    pub fn decide(&self, _server: &str, _tool: &str, _arguments: Option<&serde_json::Value>) -> Decision {
        if self.allow { Decision::allow(self.rule.clone()) } else { Decision::deny(self.rule.clone()) }
    }
}

/// Makes a [`RuleSet`].
#[derive(Debug, Default)]
pub struct RuleSetBuilder {}
