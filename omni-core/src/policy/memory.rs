//! A policy held in memory: one grant for everybody, or one per subject.

use std::{collections::HashMap, sync::Arc};

use async_trait::async_trait;
use tokio::sync::watch;

use super::{Ceiling, Grant, PolicyError, PolicyStore, PolicyVersion, Quota, Role, RuleSet};
use crate::{
    identity::{Principal, Via},
    registry::{BuildError, Registry},
};

/// Adds the kind `memory`: everybody for whom this machine speaks is super admin, and nobody else is known. Only where no
/// configuration says otherwise. A database that is named from outside may be others', who have a configuration: whoever
/// has a key of theirs is nobody here.
pub fn register(registry: &mut Registry) {
    registry.policies.register("memory", |config| {
        Box::pin(async move {
            if config.dir.is_some() {
                return Err(BuildError::invalid("the policy `memory` allows everything; a configuration needs `yaml`"));
            }
            let mut policy = MemoryPolicy::of_this_machine();
            policy.believes_keys = config.owns_its_database();
            Ok(Arc::new(policy) as Arc<dyn PolicyStore>)
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
    /// Whether `everybody` are only those for whom this machine speaks.
    is_local: bool,
    /// Whether they are those with a key, too.
    believes_keys: bool,
    version: watch::Sender<PolicyVersion>,
}

impl MemoryPolicy {
    /// A policy that knows nobody.
    #[must_use]
    pub fn new() -> Self {
        let (subjects, version) = (HashMap::new(), watch::Sender::new(1));
        Self { subjects, everybody: None, is_local: false, believes_keys: true, version }
    }

    /// Everybody is super admin: right for one person at a terminal or a service that has its own gate.
    #[must_use]
    pub fn allow_all() -> Self {
        let mut policy = Self::new();
        policy.everybody =
            Some(Entry { role: Role::super_admin(), rules: RuleSet::allow_all(), quota: Quota::default() });
        policy
    }

    /// The same, of those who come by this machine alone: whom Slack, an issuer or a proxy vouches for is nobody here.
    pub(crate) fn of_this_machine() -> Self {
        Self { is_local: true, ..Self::allow_all() }
    }

    /// What anybody gets who is not named.
    fn unnamed(&self, via: Via) -> Option<&Entry> {
        let speaks = || speaks_for(via) && (self.believes_keys || via != Via::ApiKey);
        self.everybody.as_ref().filter(|_| !self.is_local || speaks())
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

/// Whether this machine speaks for somebody: they are at its terminal, have a key that was made there, or the program
/// itself names them. Schedules are Slack's, and a run is `ResumedRun` where a token or a proxy spoke for its asker, or
/// where somebody agreed to a call who is not there any more when it is made: of neither is it known who vouches for them.
fn speaks_for(via: Via) -> bool {
    match via {
        Via::LocalUser | Via::ApiKey | Via::Asserted => true,
        Via::Oidc | Via::ProxyHeader | Via::Slack | Via::Schedule | Via::ResumedRun => false,
    }
}

#[async_trait]
impl PolicyStore for MemoryPolicy {
    async fn resolve(&self, principal: &Principal) -> Result<Arc<Grant>, PolicyError> {
        let entry = self
            .subjects
            .get(&principal.subject)
            .or_else(|| self.unnamed(principal.via))
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

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, path::Path};

    use super::*;
    use crate::Config;

    #[tokio::test]
    async fn without_a_configuration_nobody_in_slack_is_known_and_whoever_is_at_the_terminal_or_has_a_key_still_is() {
        let mut registry = Registry::empty();
        register(&mut registry);
        let config = Arc::new(Config::embedded(&BTreeMap::new(), Path::new("/work")));
        let policy = registry.policies.build(&config.policy_kind, config.clone()).await.unwrap();
        let role = async |via| match policy.resolve(&Principal::new("ann@x.org", via)).await {
            Ok(grant) => Some(grant.role.name.to_string()),
            Err(PolicyError::UnknownSubject { .. }) => None,
            Err(other) => panic!("{other}"),
        };
        for via in [Via::LocalUser, Via::ApiKey, Via::Asserted] {
            assert_eq!(role(via).await, Some("super_admin".into()), "{via:?}");
        }
        for via in [Via::Slack, Via::Schedule, Via::Oidc, Via::ProxyHeader, Via::ResumedRun] {
            assert_eq!(role(via).await, None, "{via:?}");
        }
    }

    #[tokio::test]
    async fn without_a_configuration_a_key_of_a_database_that_may_be_others_opens_nothing() {
        let mut registry = Registry::empty();
        register(&mut registry);
        for url in ["postgres://db/omni", "sqlite:/srv/omni/omni.db"] {
            let env = BTreeMap::from([("DATABASE_URL".to_owned(), url.to_owned())]);
            let config = Arc::new(Config::embedded(&env, Path::new("/work")));
            assert!(config.check().iter().any(|found| found.message.contains("opens nothing")), "{url}");
            let policy = registry.policies.build(&config.policy_kind, config.clone()).await.unwrap();
            let is_known = async |via| policy.resolve(&Principal::new("ann@x.org", via)).await.is_ok();
            assert!(!is_known(Via::ApiKey).await && is_known(Via::LocalUser).await, "{url}");
        }
    }
}
