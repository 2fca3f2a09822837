//! Whether a question would get through: the stores that every one of them needs are looked at from time to time, however
//! often somebody wants to know.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, timeout};

use super::Omni;
use crate::{
    audit::AuditError,
    error::Error,
    identity::{AuthError, keys::KeyError},
    limit::{Charge, Limit, LimitError, LimitKey},
    parts::Parts,
};

/// How long it counts what was found.
const HOLDS: Duration = Duration::from_secs(5);
/// How long a store has to answer.
const WITHIN: Duration = Duration::from_secs(2);
/// No key begins with it, and nothing is counted under it.
const NOBODY: &str = "ready";

/// What was found last, where people come by keys and where they do not.
#[derive(Debug, Default)]
pub(super) struct Readiness {
    by_keys: Mutex<Found>,
    without: Mutex<Found>,
}

#[derive(Debug, Default)]
struct Found {
    at: Option<Instant>,
    /// What keeps questions out, fit for anybody.
    reason: Option<String>,
    is_looked: bool,
}

impl Readiness {
    fn found(&self, by_keys: bool) -> MutexGuard<'_, Found> {
        let found = if by_keys { &self.by_keys } else { &self.without };
        found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whoever comes when it is time looks; everybody else takes what is known. What was found before the ledger's file
    /// failed counts no more.
    fn is_to_look(&self, by_keys: bool, failed_at: Option<Instant>) -> bool {
        let mut found = self.found(by_keys);
        let is_old = |at: Instant| at.elapsed() >= HOLDS || failed_at.is_some_and(|failed| failed > at);
        let is_time = !found.is_looked && found.at.is_none_or(is_old);
        found.is_looked |= is_time;
        is_time
    }

    /// What is said: before the first look has ended, that it is not known.
    fn reason(&self, by_keys: bool) -> Option<String> {
        let found = self.found(by_keys);
        found.at.map_or_else(|| Some("it is not known yet".into()), |_| found.reason.clone())
    }
}

/// A look; the next one may begin when it goes, whatever becomes of it.
struct Look {
    omni: Omni,
    by_keys: bool,
}

impl Look {
    fn found(&self) -> MutexGuard<'_, Found> {
        self.omni.inner.readiness.found(self.by_keys)
    }

    fn ends(&self, reason: Option<String>) {
        let mut found = self.found();
        (found.at, found.reason) = (Some(Instant::now()), reason);
    }
}

impl Drop for Look {
    fn drop(&mut self) {
        self.found().is_looked = false;
    }
}

impl Omni {
    /// Why nobody's question gets through at the moment, fit for anybody: this `Omni` is closing, its ledger has no room,
    /// its disk is full, or what every question needs is away; `None` where it does. `by_keys` where people come by keys.
    /// What was found counts for five seconds, or until the ledger's file fails.
    pub async fn not_ready(&self, by_keys: bool) -> Option<String> {
        if let Err(error) = self.admit() {
            return Some(error.public_message());
        }
        if self.inner.readiness.is_to_look(by_keys, self.ledger().failed_at()) {
            let (look, parts) = (Look { omni: self.clone(), by_keys }, self.parts());
            // It goes on when whoever asked does not wait for it.
            let looking = self.inner.tasks.spawn(async move {
                let away = away(&parts, by_keys).await;
                if let Some(error) = &away {
                    tracing::warn!(%error, "no question gets through");
                }
                look.ends(away.map(|error| error.public_message()));
            });
            let _ = looking.await;
        }
        self.inner.readiness.reason(by_keys)
    }

    /// What keeps everybody's questions out at this moment, looked for anew: for whoever operates it, while
    /// [`Omni::not_ready`] is for anybody.
    pub async fn away(&self, by_keys: bool) -> Option<Error> {
        match self.admit() {
            Ok(()) => away(&self.parts(), by_keys).await,
            Err(error) => Some(error),
        }
    }
}

/// The first of what every question needs that is away.
async fn away(parts: &Parts, by_keys: bool) -> Option<Error> {
    if parts.ledger.is_required() {
        let late = |_| Err(AuditError::Unavailable { message: "its directory gave no answer in time".into() });
        if let Err(error) = timeout(WITHIN, parts.ledger.try_file()).await.unwrap_or_else(late) {
            return Some(error.into());
        }
    }
    if let Some(keys) = parts.authenticator.keys().filter(|_| by_keys) {
        let late = |_| Err(KeyError::new("no answer in time"));
        if let Err(error) = timeout(WITHIN, keys.store().find(NOBODY)).await.unwrap_or_else(late) {
            return Some(AuthError::from(error).into());
        }
    }
    // Where requests are let through uncounted, nobody waits for it.
    if parts.config.as_ref().is_some_and(|config| config.limits_fail_open) {
        return None;
    }
    let limit = Limit::Window { max: 1, per: Duration::from_secs(1) };
    let nothing = [Charge { key: LimitKey::new(NOBODY, NOBODY), limit, amount: 0 }];
    let late = |_| Err(LimitError::Unavailable { message: "no answer in time".into() });
    match timeout(WITHIN, parts.limiter.peek(&nothing)).await.unwrap_or_else(late) {
        Err(error @ LimitError::Unavailable { .. }) => Some(error.into()),
        Ok(_) | Err(LimitError::Refused(_)) => None,
    }
}
