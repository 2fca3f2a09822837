//! The policy of now, for whoever outlives a reload.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::{Grant, PolicyError, PolicyStore, effective};
use crate::identity::Principal;

/// A place where the newest policy is. Clones are the same place.
#[derive(Debug, Clone)]
pub struct LivePolicy(Arc<ArcSwap<Arc<dyn PolicyStore>>>);

impl LivePolicy {
    /// A place with a policy.
    #[must_use]
    pub fn new(policy: Arc<dyn PolicyStore>) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(policy)))
    }

    /// The policy.
    #[must_use]
    pub fn now(&self) -> Arc<dyn PolicyStore> {
        Arc::clone(&self.0.load())
    }

    /// What somebody may do by it.
    ///
    /// # Errors
    /// A [`PolicyError`]; each of them is a denial.
    pub async fn grant(&self, principal: &Principal) -> Result<Arc<Grant>, PolicyError> {
        effective(&*self.now(), principal).await
    }

    pub(crate) fn replace(&self, policy: Arc<dyn PolicyStore>) {
        self.0.store(Arc::new(policy));
    }
}
