//! Whether what is on offer may have changed, for whoever wants to know.

use std::sync::{
    Arc, Weak,
    atomic::{AtomicBool, Ordering},
};

use tokio::sync::watch;

use crate::{Omni, omni::Changed};

/// Grows whenever servers, policy or configuration told of a change.
#[derive(Debug, Default)]
pub(super) struct Changes {
    number: watch::Sender<u64>,
    watched: AtomicBool,
}

impl Changes {
    /// Is told of every change from now on, until `omni` ends.
    pub(super) fn subscribe(self: &Arc<Self>, omni: &Omni) -> watch::Receiver<u64> {
        if !self.watched.swap(true, Ordering::AcqRel) {
            omni.in_background(follow(omni.changed(), Arc::downgrade(self)));
        }
        self.number.subscribe()
    }
}

/// Passes every change on, for as long as somebody may want to know.
async fn follow(mut changed: Changed, changes: Weak<Changes>) {
    while changed.next().await {
        let Some(changes) = changes.upgrade() else { return };
        changes.number.send_modify(|number| *number += 1);
    }
}
