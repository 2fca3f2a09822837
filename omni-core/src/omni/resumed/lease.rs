//! Who goes on with a run has a lease on it, so that one does at a time, and what they leave behind is known.

use std::{
    panic::AssertUnwindSafe,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures::FutureExt as _;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use super::gone;
use crate::{
    confirm::{RunError, RunStore},
    error::Error,
    parts::STEP_TIMEOUT,
};

/// For how long a run is taken on at a time: what its process leaves behind is known after that.
const LEASE: Duration = Duration::from_secs(10);
/// How often that is renewed.
const RENEW: Duration = Duration::from_secs(3);

/// What a store of runs did. That it panicked is an error like any other: it costs nobody the record of their ask.
pub(in crate::omni) async fn caught<T>(doing: impl Future<Output = Result<T, RunError>>) -> Result<T, RunError> {
    let done = AssertUnwindSafe(doing).catch_unwind().await;
    done.unwrap_or_else(|_| Err(RunError::new("it panicked")))
}

/// The same, for as long as a step may take.
pub(in crate::omni) async fn within<T>(doing: impl Future<Output = Result<T, RunError>>) -> Result<T, RunError> {
    timeout(STEP_TIMEOUT, caught(doing)).await.unwrap_or_else(|_| Err(RunError::new("no answer in time")))
}

/// The right to go on with a run.
#[derive(Debug)]
pub(in crate::omni) struct Lease {
    pub(super) store: Arc<dyn RunStore>,
    pub(super) run: Uuid,
    is_claimed: AtomicBool,
}

impl Lease {
    pub(super) fn new(store: Arc<dyn RunStore>, run: Uuid) -> Self {
        Self { store, run, is_claimed: AtomicBool::new(false) }
    }

    /// Takes the run on.
    ///
    /// # Errors
    /// [`Error::Conflict`] where somebody else has, or it is over. Where the store does not say, an error of its own:
    /// should it have given the run out, nobody has it, and its confirmations tell what becomes of it.
    pub(in crate::omni) async fn claim(&self) -> Result<(), Error> {
        if within(self.store.claim(self.run, LEASE)).await? {
            self.is_claimed.store(true, Ordering::Release);
            return Ok(());
        }
        Err(gone())
    }

    pub(in crate::omni) fn is_claimed(&self) -> bool {
        self.is_claimed.load(Ordering::Acquire)
    }

    /// Keeps it; comes back when it is lost. A store that is away is asked again: nothing is sent meanwhile that it
    /// does not agree to.
    pub(in crate::omni) async fn keep(&self) {
        loop {
            sleep(RENEW).await;
            if !self.is_claimed() {
                continue;
            }
            match timeout(RENEW, caught(self.store.renew(self.run, LEASE))).await {
                Ok(Ok(false)) => return,
                Ok(Ok(true)) => {}
                Ok(Err(error)) => tracing::warn!(%error, "the lease of a run is not renewed yet"),
                Err(_) => tracing::warn!("the lease of a run is not renewed in time"),
            }
        }
    }

    /// Does something, and keeps the run meanwhile as long as it can be kept.
    pub(in crate::omni) async fn kept_while<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        tokio::select! {
            biased;
            done = &mut work => return done,
            () = self.keep() => {}
        }
        work.await
    }
}
