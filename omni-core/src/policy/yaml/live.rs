//! The policy that holds now, and how the next one takes its place.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use arc_swap::ArcSwap;
use tokio::sync::watch;

use super::{People, compile};
use crate::{
    config::{Config, ConfigError, spec::UsersSpec},
    policy::PolicyVersion,
};

/// What a policy is made from.
#[derive(Debug, Clone)]
pub(in crate::policy) struct Sources {
    pub(in crate::policy) config: Arc<Config>,
    /// The people whom the database has; `None` where it was not read.
    pub(in crate::policy) table: Option<Arc<Rows>>,
    pub(in crate::policy) origin: Origin,
}

/// What a database has.
#[derive(Debug, Default)]
pub(in crate::policy) struct Rows {
    pub(in crate::policy) users: UsersSpec,
    /// Roles of which it is not known what they deny.
    pub(in crate::policy) broken_roles: BTreeSet<String>,
}

/// Who says who people are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::policy) enum Origin {
    /// `users.yaml`; the database adds those whom it does not name.
    Files,
    /// The database alone.
    Table,
}

/// One policy after the other.
#[derive(Debug)]
pub(in crate::policy) struct Live {
    people: ArcSwap<People>,
    version: watch::Sender<PolicyVersion>,
    sources: Mutex<Sources>,
}

impl Live {
    pub(in crate::policy) fn new(sources: Sources) -> Result<Self, ConfigError> {
        let people = compile::people(&sources, 1)?;
        Ok(Self { people: ArcSwap::from_pointee(people), version: watch::Sender::new(1), sources: Mutex::new(sources) })
    }

    /// The policy that holds now.
    pub(in crate::policy) fn people(&self) -> Arc<People> {
        self.people.load_full()
    }

    pub(in crate::policy) fn version(&self) -> watch::Receiver<PolicyVersion> {
        self.version.subscribe()
    }

    /// Makes the next policy of changed sources; one that cannot be used changes nothing.
    pub(in crate::policy) fn update(&self, change: impl FnOnce(&mut Sources)) -> Result<PolicyVersion, ConfigError> {
        let mut held = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        let mut sources = held.clone();
        change(&mut sources);
        let version = *self.version.borrow() + 1;
        let people = compile::people(&sources, version)?;
        self.version.send_replace(version);
        self.people.store(Arc::new(people));
        *held = sources;
        Ok(version)
    }
}
