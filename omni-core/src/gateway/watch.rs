//! Clients are told when what is on offer to them has changed.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    time::Duration,
};

use tokio::{sync::watch, time::sleep};

use super::{Gateway, Visitor};
use crate::error::ErrorKind;

/// Changes that come together are told as one.
const SETTLE: Duration = Duration::from_millis(50);

/// Looks whether what one visitor is offered has changed.
pub(super) struct Watch {
    gateway: Gateway,
    visitor: Visitor,
    changes: watch::Receiver<u64>,
    seen: Option<u64>,
}

impl Watch {
    /// Begins with what is on offer now.
    pub(super) async fn begin(gateway: Gateway, visitor: Visitor) -> Self {
        // First: what changes while this looks is told.
        let changes = gateway.changes.subscribe(&gateway.omni);
        let mut watch = Self { gateway, visitor, changes, seen: None };
        watch.seen = watch.look().await;
        watch
    }

    /// Waits until something else is on offer; `false` once nothing can change any more.
    pub(super) async fn changed(&mut self) -> bool {
        loop {
            if self.changes.changed().await.is_err() {
                return false;
            }
            sleep(SETTLE).await;
            self.changes.mark_unchanged();
            let Some(now) = self.look().await else { continue };
            if self.seen.replace(now) != Some(now) {
                return true;
            }
        }
    }

    /// What is on offer, in a number; `None` where that cannot be said at the moment.
    async fn look(&self) -> Option<u64> {
        let mut hash = DefaultHasher::new();
        match self.gateway.tools(&self.visitor).await {
            Ok(set) => {
                for tool in set.tools() {
                    let def = &tool.def;
                    (&tool.llm_name, &def.title, &def.description, def.input_schema.get()).hash(&mut hash);
                    (def.output_schema.as_ref().map(|schema| schema.get())).hash(&mut hash);
                    serde_json::to_string(&def.annotations).unwrap_or_default().hash(&mut hash);
                }
            }
            Err(error) if error.kind() == ErrorKind::Unavailable => return None,
            // Whoever may nothing any more is offered nothing.
            Err(_) => {}
        }
        Some(hash.finish())
    }
}
