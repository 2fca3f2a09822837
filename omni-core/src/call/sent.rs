//! Whether a call was handed on to its server.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// Whether a call was handed on to its server. It outlives the future that makes the call, so that one that is given up
/// on its way is recorded as what it was.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sent(Arc<AtomicBool>);

impl Sent {
    /// From here on its server may have it.
    pub(super) fn note(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether its server may have it.
    pub(crate) fn is_so(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
