//! What is on offer to one person by the names of a door, and when that may have changed.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::{sync::watch, time::timeout};

use super::{Inner, Omni, steps};
use crate::{
    catalog::{NameRules, ToolSet},
    error::Error,
    identity::{Credential, Scope},
    parts::Parts,
    policy::{Grant, PolicyVersion},
};

/// How long servers that were not asked yet may hold up a list.
const DISCOVER_WITHIN: Duration = Duration::from_secs(10);

impl Omni {
    /// The tools that somebody may use, by these names. Servers that do not answer in time are left out.
    ///
    /// # Errors
    /// An [`Error`] when the credential or the policy says no.
    pub async fn offered(&self, who: impl Into<Credential>, names: NameRules) -> Result<Arc<ToolSet>, Error> {
        let parts = self.parts();
        let grant = visitor(&parts, who.into()).await?;
        let catalog = timeout(DISCOVER_WITHIN, parts.pool.discover()).await;
        let catalog = catalog.unwrap_or_else(|_| parts.pool.catalog());
        Ok(parts.tool_sets.of(&catalog, &grant, names))
    }

    /// Tells when tools, policy or configuration change.
    pub(crate) fn changed(&self) -> Changed {
        let parts = self.parts();
        Changed {
            omni: Arc::downgrade(&self.inner),
            replaced: self.inner.replaced.subscribe(),
            policy: parts.live.policy().version(),
            catalog: parts.pool.changes(),
        }
    }
}

/// Somebody who may list and call tools.
async fn visitor(parts: &Parts, credential: Credential) -> Result<Arc<Grant>, Error> {
    let principal = steps::identity(parts, credential).await?;
    let grant = steps::policy(parts, &principal).await?;
    grant.require(Scope::Tools)?;
    Ok(grant)
}

/// Waits for changes of what is on offer to anybody.
#[derive(Debug)]
pub(crate) struct Changed {
    omni: Weak<Inner>,
    replaced: watch::Receiver<u64>,
    policy: watch::Receiver<PolicyVersion>,
    /// Of the present pool, and of those that follow it.
    catalog: watch::Receiver<u64>,
}

impl Changed {
    /// Waits for the next one; whether there can be another.
    pub(crate) async fn next(&mut self) -> bool {
        let was_replaced = tokio::select! {
            told = self.replaced.changed() => match told {
                Ok(()) => true,
                Err(_) => return false,
            },
            () = told(&mut self.policy) => false,
            () = told(&mut self.catalog) => false,
        };
        if was_replaced {
            let Some(inner) = self.omni.upgrade() else { return false };
            let parts = inner.parts.load_full();
            self.policy = parts.live.policy().version();
        }
        true
    }
}

/// Waits for a change; for ever where nobody can tell of one any more.
async fn told<T>(receiver: &mut watch::Receiver<T>) {
    if receiver.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}
