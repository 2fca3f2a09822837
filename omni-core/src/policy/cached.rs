//! Grants that were resolved before, for stores that have to ask somebody else.

use std::sync::Arc;

use async_trait::async_trait;
use moka::sync::Cache;
use tokio::sync::watch;

use super::{Grant, PolicyError, PolicyStore, PolicyVersion, Role, Standing};
use crate::identity::Principal;

/// Most grants that are kept.
const MAX_GRANTS: u64 = 10_000;

/// A store whose grants are kept for as long as its version stays. A refusal is never kept.
///
/// A grant is kept under the version that it says it was resolved from, and is found under the
/// version that holds when somebody asks: what an older policy gave is never handed out.
#[derive(Debug)]
pub struct Cached<P> {
    inner: P,
    version: watch::Receiver<PolicyVersion>,
    grants: Cache<(PolicyVersion, Principal), Arc<Grant>>,
}

impl<P: PolicyStore> Cached<P> {
    /// Keeps up to 10,000 grants of `inner`.
    #[must_use]
    pub fn new(inner: P) -> Self {
        Self::with_capacity(inner, MAX_GRANTS)
    }

    /// Keeps up to `grants` grants of `inner`.
    #[must_use]
    pub fn with_capacity(inner: P, grants: u64) -> Self {
        Self { version: inner.version(), inner, grants: Cache::new(grants) }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods, reason = "a decorator that forgets a method changes what the store says")]
impl<P: PolicyStore> PolicyStore for Cached<P> {
    async fn resolve(&self, principal: &Principal) -> Result<Arc<Grant>, PolicyError> {
        let version = *self.version.borrow();
        let key = (version, principal.clone());
        if let Some(grant) = self.grants.get(&key) {
            return Ok(grant);
        }
        let grant = self.inner.resolve(principal).await?;
        self.grants.insert((grant.version, key.1), grant.clone());
        Ok(grant)
    }

    fn version(&self) -> watch::Receiver<PolicyVersion> {
        self.version.clone()
    }

    async fn refresh(&self) -> Result<(), PolicyError> {
        self.inner.refresh().await
    }

    fn standing(&self, principal: &Principal) -> Standing {
        self.inner.standing(principal)
    }

    fn role(&self, name: &str) -> Option<Role> {
        self.inner.role(name)
    }
}
