//! A policy held in memory: one grant for everybody, or one per subject.

use std::{collections::HashMap, sync::Arc};

use async_trait::async_trait;
use tokio::sync::watch;

use super::{Ceiling, Grant, PolicyError, PolicyStore, PolicyVersion, Quota, Role, RuleSet};
use crate::{
    identity::Principal,
    registry::{BuildError, Registry},
};

/// Adds the kind `memory`: everybody is super admin. Only where no configuration says otherwise.
pub fn register(registry: &mut Registry) {
    registry.policies.register("memory", |config| {
        Box::pin(async move {
            if config.dir.is_some() {
                return Err(BuildError::invalid("the policy `memory` allows everything; a configuration needs `yaml`"));
            }
            Ok(Arc::new(MemoryPolicy::allow_all()) as Arc<dyn PolicyStore>)
        })
    });
}

/// What a subject gets.
#[derive(Debug, Clone)]
struct Entry {
    role: Role,
    rules: Arc<RuleSet>,
    quota: Quota,
}

/// Grants by subject, for embedders and for the embedded default.
#[derive(Debug)]
pub struct MemoryPolicy {
    subjects: HashMap<String, Entry>,
    everybody: Option<Entry>,
    version: watch::Sender<PolicyVersion>,
}

impl MemoryPolicy {
    /// A policy that knows nobody.
    #[must_use]
    pub fn new() -> Self {
        Self { subjects: HashMap::new(), everybody: None, version: watch::Sender::new(1) }
    }

    /// Everybody is super admin: right for one person at a terminal or a service that has its own gate.
    #[must_use]
    pub fn allow_all() -> Self {
        let mut policy = Self::new();
        policy.everybody =
            Some(Entry { role: Role::super_admin(), rules: RuleSet::allow_all(), quota: Quota::default() });
        policy
    }

    /// Adds a subject, by e-mail address in any spelling.
    #[must_use]
    pub fn with_subject(mut self, subject: &str, role: Role, rules: Arc<RuleSet>, quota: Quota) -> Self {
        self.subjects.insert(subject.trim().to_lowercase(), Entry { role, rules, quota });
        self
    }
}

impl Default for MemoryPolicy {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl PolicyStore for MemoryPolicy {
    async fn resolve(&self, principal: &Principal) -> Result<Arc<Grant>, PolicyError> {
        let entry = self
            .subjects
            .get(&principal.subject)
            .or(self.everybody.as_ref())
            .ok_or_else(|| PolicyError::UnknownSubject { subject: principal.subject.clone() })?;
        let mut grant = Grant::new(principal.clone(), entry.role.clone(), entry.rules.clone());
        grant.quota = entry.quota.clone();
        grant.version = *self.version.borrow();
        // Roles are not known here, save the one that cuts nothing.
        let highest = Role::super_admin();
        let is_highest = principal.ceiling_role.as_deref() == Some(&*highest.name);
        let (rules, quota) = (RuleSet::allow_all(), Quota::default());
        grant.cut(is_highest.then(|| Ceiling { role: &highest, rules, models: None, domains: None, quota: &quota }))?;
        Ok(Arc::new(grant))
    }

    fn version(&self) -> watch::Receiver<PolicyVersion> {
        self.version.subscribe()
    }
}
