//! Step 2, policy: a principal becomes a [`Grant`], and the grant decides every tool, listed or called.
//!
//! There is one decision function, [`RuleSet::decide`]. Lists are made with it and calls are
//! checked with it, by every door.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use serde::Serialize;
use tokio::sync::watch;

use crate::identity::{Principal, Scope};

pub mod memory;
pub mod pattern;
pub mod rules;
pub mod yaml;

pub use pattern::{Pattern, PatternError, PatternSet};
pub use rules::{RuleSet, RuleSetBuilder};

/// Grows by one whenever anything that a grant depends on changes.
pub type PolicyVersion = u64;

/// Where a rule stands: `users.yaml:12`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct SourceRef {
    /// The file's name within the config directory.
    pub file: Arc<str>,
    /// The line, from 1.
    pub line: usize,
}

impl fmt::Display for SourceRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
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
}

impl Decision {
    /// The call may run.
    #[must_use]
    pub fn allow(rule: Arc<Rule>) -> Self {
        Self { effect: Effect::Allow, confirm: false, rule }
    }

    /// The call may not run.
    #[must_use]
    pub fn deny(rule: Arc<Rule>) -> Self {
        Self { effect: Effect::Deny, confirm: false, rule }
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

/// How much a person may do. `None` is unlimited.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Quota {
    /// Asks and direct calls in any hour.
    pub per_hour: Option<u64>,
    /// Asks and direct calls in any minute.
    pub per_minute: Option<u64>,
    /// Asks and direct calls in any second.
    pub burst: Option<u64>,
    /// Asks and direct calls at the same time.
    pub concurrent: Option<u64>,
    /// What may be spent on models; all of it holds.
    pub budgets: Vec<crate::limit::Budget>,
}

/// What an ask may take at most; the tighter of this and the ask's own options holds.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AskBounds {
    /// Model turns.
    pub max_turns: u32,
    /// Wall time.
    pub timeout: Duration,
    /// Input and output tokens together; `None` is unlimited.
    pub max_tokens: Option<u64>,
    /// Cost; `None` is unlimited.
    pub max_cost: Option<crate::cost::NanoUsd>,
}

impl Default for AskBounds {
    fn default() -> Self {
        Self { max_turns: 10, timeout: Duration::from_secs(120), max_tokens: None, max_cost: None }
    }
}

/// A person's role as shown to them and to the model.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Role {
    /// The name in the configuration.
    pub name: Arc<str>,
    /// Whether the role is admin or super admin.
    pub is_admin: bool,
    /// Whether the role is super admin.
    pub is_super_admin: bool,
}

impl Role {
    /// An ordinary role.
    #[must_use]
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self { name: name.into(), is_admin: false, is_super_admin: false }
    }

    /// The role that may do everything the servers offer.
    #[must_use]
    pub fn super_admin() -> Self {
        Self { name: "super_admin".into(), is_admin: true, is_super_admin: true }
    }
}

/// Everything that a principal may do, resolved once per ask.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Grant {
    /// Whose grant it is.
    pub principal: Principal,
    /// The name to call the person by.
    pub display_name: String,
    /// The role.
    pub role: Role,
    /// How much.
    pub quota: Quota,
    /// Models that may be used; `None` is every configured one.
    pub models: Option<Vec<String>>,
    /// Knowledge domains that the model may answer from without a tool; `None` is all.
    pub domains: Option<Vec<String>>,
    /// Whether the ledger's entries of others may be seen. Admins may.
    pub can_view_audit_logs: bool,
    /// Which tools, shared by all whose rules are equal.
    pub rules: Arc<RuleSet>,
    /// The policy version it was resolved from.
    pub version: PolicyVersion,
}

impl Grant {
    /// A grant with no quota, every model and every domain.
    #[must_use]
    pub fn new(principal: Principal, role: Role, rules: Arc<RuleSet>) -> Self {
        Self {
            display_name: principal.subject.clone(),
            principal,
            role,
            quota: Quota::default(),
            models: None,
            domains: None,
            can_view_audit_logs: false,
            rules,
            version: 0,
        }
    }

    /// Whether the credential is made for what is about to be done. What the subject may do is cut
    /// by it, never widened.
    ///
    /// # Errors
    /// [`PolicyError::MissingScope`].
    pub fn require(&self, scope: Scope) -> Result<(), PolicyError> {
        if self.principal.scopes.contains(scope) {
            return Ok(());
        }
        Err(PolicyError::MissingScope { subject: self.principal.subject.clone(), scope })
    }

    /// Decides one tool; `arguments` are the call's, where there is a call. Without them the
    /// question is whether the tool may be listed.
    #[must_use]
    pub fn decide(&self, server: &str, tool: &str, arguments: Option<&serde_json::Value>) -> Decision {
        self.rules.decide(server, tool, arguments)
    }
}

/// Why a principal got no grant. All of them mean: denied.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// Nobody by that name, and no default user.
    #[error("{subject} is not known here, and the policy has no default user")]
    UnknownSubject {
        /// Who asked.
        subject: String,
    },
    /// The person exists and may not use omni.
    #[error("{subject} may not use omni: {reason}")]
    Blocked {
        /// Who asked.
        subject: String,
        /// Why.
        reason: String,
    },
    /// The credential is not made for this.
    #[error("{subject} may not do this: the credential lacks the scope `{scope}`")]
    MissingScope {
        /// Who asked.
        subject: String,
        /// What is missing.
        scope: Scope,
    },
    /// The store cannot be asked. Fail closed.
    #[error("the policy store cannot be reached: {message}")]
    Unavailable {
        /// What went wrong.
        message: String,
    },
}

/// Knows who may do what.
///
/// # Contract
/// * `resolve` fails closed: an unknown role, a malformed rule or a store that is away is a denial.
/// * Equal rules share one [`RuleSet`] and so one fingerprint.
/// * `version` changes before any grant of the new policy is handed out, never after.
/// * `resolve` is cancel-safe and takes no lock across an await.
#[async_trait]
pub trait PolicyStore: Send + Sync + fmt::Debug {
    /// The grant of a principal.
    ///
    /// # Errors
    /// A [`PolicyError`]; each of them is a denial.
    async fn resolve(&self, principal: &Principal) -> Result<Arc<Grant>, PolicyError>;

    /// The policy's version, and its changes.
    fn version(&self) -> watch::Receiver<PolicyVersion>;
}

#[async_trait]
impl<T: PolicyStore + ?Sized> PolicyStore for Arc<T> {
    async fn resolve(&self, principal: &Principal) -> Result<Arc<Grant>, PolicyError> {
        (**self).resolve(principal).await
    }

    fn version(&self) -> watch::Receiver<PolicyVersion> {
        (**self).version()
    }
}
