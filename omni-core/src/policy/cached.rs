//! Grants that were resolved before, for stores that have to ask somebody else.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use moka::sync::Cache;
use tokio::{sync::watch, time::Instant};

use super::{Grant, PolicyError, PolicyStore, PolicyVersion, Role, Standing};
use crate::identity::Principal;

/// Most grants that are kept.
const MAX_GRANTS: u64 = 10_000;
/// How long a grant is kept before the store is asked again, which may not know any more whether it
/// still holds.
const MAX_AGE: Duration = Duration::from_secs(30);

/// A store whose grants are kept for as long as its version stays, and for half a minute at most. A refusal is never kept.
///
/// A grant is kept under the version that it says it was resolved from, and is found under the
/// version that holds when somebody asks: what an older policy gave is never handed out.
#[derive(Debug)]
pub struct Cached<P> {
    inner: P,
    version: watch::Receiver<PolicyVersion>,
    grants: Cache<(PolicyVersion, Principal), (Instant, Arc<Grant>)>,
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
        if let Some((since, grant)) = self.grants.get(&key)
            && since.elapsed() < MAX_AGE
        {
            return Ok(grant);
        }
        let since = Instant::now();
        let grant = self.inner.resolve(principal).await?;
        self.grants.insert((grant.version, key.1), (since, grant.clone()));
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

    fn named(&self) -> Vec<String> {
        self.inner.named()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::policy::RuleSet;

    /// A store that can go away.
    #[derive(Debug)]
    struct Leaving(Arc<AtomicBool>, watch::Sender<PolicyVersion>);

    #[async_trait]
    impl PolicyStore for Leaving {
        async fn resolve(&self, principal: &Principal) -> Result<Arc<Grant>, PolicyError> {
            if self.0.load(Ordering::SeqCst) {
                return Err(PolicyError::Unavailable { message: "gone".into() });
            }
            Ok(Arc::new(Grant::new(principal.clone(), Role::new("dba"), RuleSet::allow_all())))
        }

        fn version(&self) -> watch::Receiver<PolicyVersion> {
            self.1.subscribe()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_grant_is_not_kept_for_ever_while_its_store_is_away() {
        let gone = Arc::new(AtomicBool::new(false));
        let policy = Cached::new(Leaving(gone.clone(), watch::Sender::new(0)));
        let ann = Principal::email("ann@x.org");
        assert!(policy.resolve(&ann).await.is_ok());
        gone.store(true, Ordering::SeqCst);
        assert!(policy.resolve(&ann).await.is_ok());
        tokio::time::advance(MAX_AGE).await;
        assert!(policy.resolve(&ann).await.is_err());
    }
}
