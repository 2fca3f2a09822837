//! Policy from the original's `users.yaml` and `mcps.yaml`.
//!
//! Everything is compiled when it is loaded: `access` turns what the files say of one person into
//! gates, `role` knows the roles and their quotas. A question is then a look into a map.

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
    sync::Arc,
};

use async_trait::async_trait;
use tokio::sync::watch;

use super::{Ceiling, Grant, PolicyError, PolicyStore, PolicyVersion, Quota, Role, RuleSet, SourceRef, Standing};
use crate::{
    config::{Config, ConfigError, LoadOptions},
    identity::{Principal, Via},
    registry::{BuildError, Registry},
};

mod access;
mod budget;
mod compile;
mod live;
mod provision;
mod role;

pub(crate) use access::is_same_server;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub(in crate::policy) use live::Rows;
pub(in crate::policy) use live::{Live, Origin, Sources};
pub(crate) use role::{BUILT_IN, NO_ROLE, known_roles, known_roles_of, role as role_of};

#[cfg(any(feature = "sqlite", feature = "postgres"))]
use super::sql::Table;

/// Adds the kind `yaml`. Where the ledger is in a database, people whom `users.yaml` does not name
/// may be in its table `users`.
pub fn register(registry: &mut Registry) {
    registry.policies.register("yaml", |config| {
        Box::pin(async move {
            let policy = YamlPolicy::from_config(&config).map_err(|error| BuildError::invalid(error.to_string()))?;
            #[cfg(any(feature = "sqlite", feature = "postgres"))]
            let policy = match crate::people::Tables::of_config(&config) {
                Some(tables) => policy.with_tables(tables),
                None => policy,
            };
            Ok(Arc::new(policy) as Arc<dyn PolicyStore>)
        })
    });
}

/// Who may do what, by `users.yaml` and `mcps.yaml`.
///
/// Without a `users.yaml` the person at the terminal is super admin and everybody else is unknown.
#[derive(Debug)]
pub struct YamlPolicy {
    live: Arc<Live>,
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    table: Option<Table>,
}

/// One version of the policy.
#[derive(Debug, Default)]
pub(in crate::policy) struct People {
    version: PolicyVersion,
    /// Why somebody may not use omni, whoever else names them, by e-mail address in lower case.
    blocked: HashMap<String, String>,
    /// By e-mail address in lower case.
    listed: HashMap<String, Person>,
    /// For whoever is not listed, before `unlisted`.
    provisioning: provision::Provisioning,
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
    teams: Vec<String>,
    /// The rules, or why the person may not use omni at all.
    rules: Result<Arc<RuleSet>, String>,
    /// The line of a listed person; `None` where a database has them.
    source: Option<SourceRef>,
}

impl YamlPolicy {
    /// The policy of a loaded configuration.
    ///
    /// # Errors
    /// A pattern that cannot be used, or a rule that refers to a variable that is not set.
    pub fn from_config(config: &Config) -> Result<Self, ConfigError> {
        let sources = Sources { config: Arc::new(config.clone()), table: None, origin: Origin::Files };
        Ok(Self {
            live: Arc::new(Live::new(sources)?),
            #[cfg(any(feature = "sqlite", feature = "postgres"))]
            table: None,
        })
    }

    /// The same, with the people to whom an administrator gave a role in the database's table
    /// `users`. `users.yaml` comes first. Must be called within a Tokio runtime.
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    #[must_use]
    pub fn with_tables(mut self, tables: crate::people::Tables) -> Self {
        self.table = Some(Table::follow(tables, &self.live));
        self
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
        self.live.update(|sources| sources.config = Arc::new(config.clone()))
    }
}

impl People {
    /// Whether a principal is somebody of whom only the database can say whether they may.
    pub(in crate::policy) fn needs_table(&self, principal: &Principal) -> bool {
        let email = self.email(principal);
        !self.blocked.contains_key(email) && self.listed.get(email).is_none_or(|person| person.source.is_none())
    }

    fn os_user(principal: &Principal) -> Option<&str> {
        // Only whoever is known to sit at the terminal, or goes on for them, is an operating-system user.
        let is_local = matches!(principal.via, Via::LocalUser | Via::ResumedRun | Via::Schedule);
        principal.subject.strip_prefix("local:").filter(|_| is_local)
    }

    fn email<'a>(&'a self, principal: &'a Principal) -> &'a str {
        let mapped = Self::os_user(principal).and_then(|user| self.os_users.get(user));
        mapped.map_or(&principal.subject, String::as_str)
    }

    fn find(&self, principal: &Principal) -> Result<&Person, PolicyError> {
        let subject = || principal.subject.clone();
        let blocked = |reason: &str| PolicyError::Blocked { subject: subject(), reason: reason.into() };
        let email = self.email(principal);
        if let Some(message) = self.blocked.get(email) {
            return Err(blocked(message));
        }
        let local = || self.local.as_ref().filter(|_| Self::os_user(principal).is_some());
        if let Some(known) = self.listed.get(email).or_else(local) {
            return Ok(known);
        }
        if let Some(role) = principal.claimed_role() {
            return self.ceilings.get(role).ok_or_else(|| blocked(&format!("the role {role:?} is not known")));
        }
        match self.provisioning.offer(principal) {
            Some(offer) if offer.needs_approval => Err(PolicyError::PendingApproval { subject: subject() }),
            Some(offer) => {
                let role = || blocked(&format!("the role {:?} is not known", offer.role));
                self.ceilings.get(&offer.role).ok_or_else(role)
            }
            None => self.unlisted.as_ref().ok_or_else(|| PolicyError::UnknownSubject { subject: subject() }),
        }
    }

    pub(in crate::policy) fn grant(&self, principal: &Principal) -> Result<Grant, PolicyError> {
        let blocked = |reason: &str| PolicyError::Blocked { subject: principal.subject.clone(), reason: reason.into() };
        let person = self.find(principal)?;
        let rules = person.rules.clone().map_err(|reason| blocked(&reason))?;
        let mut grant = Grant::new(principal.clone(), person.role.clone(), rules);
        if let Some(name) = &person.name {
            grant.display_name.clone_from(name);
        }
        grant.quota = person.quota.clone();
        grant.models.clone_from(&person.models);
        grant.domains.clone_from(&person.domains);
        grant.teams.clone_from(&person.teams);
        grant.version = self.version;
        let ceiling = principal.ceiling_role.as_ref().and_then(|role| self.ceilings.get(role.as_str()));
        let ceiling = ceiling.map(Person::as_ceiling).transpose().map_err(|reason| blocked(&reason))?;
        grant.cut(ceiling)?;
        Ok(grant)
    }

    pub(in crate::policy) fn standing(&self, principal: &Principal) -> Standing {
        let listed = self.listed.get(self.email(principal));
        let offer = self.provisioning.offer(principal).filter(|_| listed.is_none());
        Standing {
            named_at: listed.and_then(|person| person.source.clone()),
            role: listed.map(|person| person.role.clone()),
            offered_role: offer.map(|offer| offer.role.clone()),
        }
    }

    pub(in crate::policy) fn named(&self) -> Vec<String> {
        self.listed
            .keys()
            .chain(self.blocked.keys().filter(|email| !self.listed.contains_key(*email)))
            .cloned()
            .collect()
    }

    pub(in crate::policy) fn role(&self, name: &str) -> Option<Role> {
        self.ceilings.get(name).map(|person| person.role.clone())
    }
}

impl Person {
    fn as_ceiling(&self) -> Result<Ceiling<'_>, String> {
        let (models, domains) = (self.models.as_deref(), self.domains.as_deref());
        Ok(Ceiling { role: &self.role, rules: self.rules.clone()?, models, domains, quota: &self.quota })
    }
}

#[async_trait]
impl PolicyStore for YamlPolicy {
    async fn resolve(&self, principal: &Principal) -> Result<Arc<Grant>, PolicyError> {
        #[cfg(any(feature = "sqlite", feature = "postgres"))]
        if let Some(table) = self.table.as_ref().filter(|_| self.live.people().needs_table(principal)) {
            table.is_fresh().await?;
        }
        self.live.people().grant(principal).map(Arc::new)
    }

    fn version(&self) -> watch::Receiver<PolicyVersion> {
        self.live.version()
    }

    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    async fn refresh(&self) -> Result<(), PolicyError> {
        match &self.table {
            Some(table) => table.look().await,
            None => Ok(()),
        }
    }

    fn standing(&self, principal: &Principal) -> Standing {
        self.live.people().standing(principal)
    }

    fn role(&self, name: &str) -> Option<Role> {
        self.live.people().role(name)
    }

    fn named(&self) -> Vec<String> {
        self.live.people().named()
    }
}

#[cfg(test)]
pub(crate) mod tests;
