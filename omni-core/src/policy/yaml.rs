//! Policy from the original's `users.yaml` and `mcps.yaml`.
//!
//! Everything is compiled when it is loaded: `access` turns what the files say of one person into
//! gates, `role` knows the roles and their quotas. A question is then a look into a map.

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use arc_swap::ArcSwap;
use async_trait::async_trait;
use tokio::sync::watch;

use super::{Grant, PolicyError, PolicyStore, PolicyVersion, Quota, Role, RuleSet};
use crate::{
    config::{Config, ConfigError, LoadOptions},
    identity::{Principal, Via},
    registry::{BuildError, Registry},
};

mod access;
mod budget;
mod compile;
mod role;

pub(crate) use access::is_same_server;
pub(crate) use role::{known_roles, known_roles_of};

/// Adds the kind `yaml`.
pub fn register(registry: &mut Registry) {
    registry.policies.register("yaml", |config| {
        Box::pin(async move {
            let policy = YamlPolicy::from_config(&config).map_err(|error| BuildError::invalid(error.to_string()))?;
            Ok(Arc::new(policy) as Arc<dyn PolicyStore>)
        })
    });
}

/// Who may do what, by `users.yaml` and `mcps.yaml`.
///
/// Without a `users.yaml` the person at the terminal is super admin and everybody else is unknown.
#[derive(Debug)]
pub struct YamlPolicy {
    people: ArcSwap<People>,
    version: watch::Sender<PolicyVersion>,
    reloading: Mutex<()>,
}

/// One version of the policy.
#[derive(Debug, Default)]
struct People {
    version: PolicyVersion,
    /// By e-mail address in lower case.
    listed: HashMap<String, Person>,
    /// Anybody else.
    unlisted: Option<Person>,
    /// Whoever sits at the terminal, where no file lists people.
    local: Option<Person>,
    /// Listed people by operating-system user.
    os_users: BTreeMap<String, String>,
    /// What a bare person of each known role may do.
    ceilings: HashMap<String, Person>,
}

/// What one person gets.
#[derive(Debug, Clone)]
struct Person {
    name: Option<String>,
    role: Role,
    quota: Quota,
    models: Option<Vec<String>>,
    domains: Option<Vec<String>>,
    /// The rules, or why the person may not use omni at all.
    rules: Result<Arc<RuleSet>, String>,
}

impl YamlPolicy {
    /// The policy of a loaded configuration.
    ///
    /// # Errors
    /// A pattern that cannot be used, or a rule that refers to a variable that is not set.
    pub fn from_config(config: &Config) -> Result<Self, ConfigError> {
        let people = compile::people(config, 1)?;
        Ok(Self { people: ArcSwap::from_pointee(people), version: watch::Sender::new(1), reloading: Mutex::default() })
    }

    /// The policy of the files in a directory. No environment is read: `${VAR}` in them is its
    /// default, and a rule with one that has none is refused. Where it matters, use [`Config::load`] and [`YamlPolicy::from_config`].
    ///
    /// # Errors
    /// A [`ConfigError`] as of [`Config::load`].
    pub async fn load(dir: impl AsRef<Path> + Send) -> Result<Self, ConfigError> {
        let options = LoadOptions::default().with_dir(dir.as_ref());
        let path = dir.as_ref().display().to_string();
        let loading = tokio::task::spawn_blocking(move || Self::from_config(&Config::load(options)?));
        loading.await.map_err(|error| ConfigError::Read { path, message: error.to_string() })?
    }

    /// Replaces the policy by that of a newer configuration; a bad one changes nothing.
    ///
    /// # Errors
    /// A pattern that cannot be used, or a rule that refers to a variable that is not set.
    pub fn reload(&self, config: &Config) -> Result<PolicyVersion, ConfigError> {
        let _one_at_a_time = self.reloading.lock().unwrap_or_else(PoisonError::into_inner);
        let version = *self.version.borrow() + 1;
        let people = compile::people(config, version)?;
        self.version.send_replace(version);
        self.people.store(Arc::new(people));
        Ok(version)
    }
}

impl People {
    fn find(&self, principal: &Principal) -> Option<&Person> {
        // Only whoever is known to sit at the terminal, or goes on for them, is an operating-system user.
        let is_local = matches!(principal.via, Via::LocalUser | Via::ResumedRun | Via::Schedule);
        let os_user = principal.subject.strip_prefix("local:").filter(|_| is_local);
        if let Some(email) = os_user.and_then(|user| self.os_users.get(user)) {
            return self.listed.get(email);
        }
        let local = self.local.as_ref().filter(|_| os_user.is_some());
        self.listed.get(&principal.subject).or(local).or(self.unlisted.as_ref())
    }

    fn grant(&self, principal: &Principal) -> Result<Grant, PolicyError> {
        let blocked = |reason: &str| PolicyError::Blocked { subject: principal.subject.clone(), reason: reason.into() };
        let person =
            self.find(principal).ok_or_else(|| PolicyError::UnknownSubject { subject: principal.subject.clone() })?;
        let rules = person.rules.clone().map_err(|reason| blocked(&reason))?;
        let mut grant = Grant::new(principal.clone(), person.role.clone(), rules);
        if let Some(name) = &person.name {
            grant.display_name.clone_from(name);
        }
        grant.quota = person.quota.clone();
        grant.models.clone_from(&person.models);
        grant.domains.clone_from(&person.domains);
        grant.version = self.version;
        if let Some(role) = &principal.ceiling_role {
            let ceiling = self.ceilings.get(role.as_str());
            let ceiling = ceiling.ok_or_else(|| blocked(&format!("the credential's role {role:?} is not known")))?;
            lower(&mut grant, ceiling).map_err(|reason| blocked(&reason))?;
        }
        Ok(grant)
    }
}

/// Cuts a grant by what the role of a credential may do.
fn lower(grant: &mut Grant, ceiling: &Person) -> Result<(), String> {
    grant.rules = grant.rules.under(ceiling.rules.clone()?);
    grant.role.is_admin &= ceiling.role.is_admin;
    grant.role.is_super_admin &= ceiling.role.is_super_admin;
    if let Some(most) = &ceiling.models {
        let own = grant.models.take().unwrap_or_else(|| most.clone());
        grant.models = Some(own.into_iter().filter(|model| most.contains(model)).collect());
    }
    Ok(())
}

#[async_trait]
impl PolicyStore for YamlPolicy {
    async fn resolve(&self, principal: &Principal) -> Result<Arc<Grant>, PolicyError> {
        self.people.load().grant(principal).map(Arc::new)
    }

    fn version(&self) -> watch::Receiver<PolicyVersion> {
        self.version.subscribe()
    }
}

#[cfg(test)]
mod tests;
