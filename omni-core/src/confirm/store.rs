//! Where parked runs and their confirmations are kept.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use uuid::Uuid;

use super::{Confirmation, State};

/// A run to be parked. Times are the store's: what `confirmations` say of them does not count.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct ParkedRun<'a> {
    /// Identifies the run; no other run has it or had it.
    pub id: Uuid,
    /// The run as JSON, at most [`MAX_RUN_BYTES`](super::MAX_RUN_BYTES).
    pub body: &'a str,
    /// The calls that wait; at least one.
    pub confirmations: &'a [Confirmation],
    /// How long they wait.
    pub expiry: Duration,
}

impl<'a> ParkedRun<'a> {
    /// A run whose calls wait for `expiry`.
    #[must_use]
    pub fn new(id: Uuid, body: &'a str, confirmations: &'a [Confirmation], expiry: Duration) -> Self {
        Self { id, body, confirmations, expiry: expiry.min(super::MAX_EXPIRY) }
    }
}

/// One step of a confirmation.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Change<'a> {
    /// Which.
    pub id: Uuid,
    /// From here, and from nowhere else.
    pub from: State,
    /// To here.
    pub to: State,
    /// Who decided.
    pub by: Option<&'a str>,
    /// Why.
    pub reason: Option<&'a str>,
}

impl<'a> Change<'a> {
    /// A step that nobody decided on.
    #[must_use]
    pub fn new(id: Uuid, from: State, to: State) -> Self {
        Self { id, from, to, by: None, reason: None }
    }

    /// The same, decided by somebody.
    #[must_use]
    pub fn by(mut self, who: &'a str) -> Self {
        self.by = Some(who);
        self
    }

    /// The same with a reason.
    #[must_use]
    pub fn because(mut self, reason: Option<&'a str>) -> Self {
        self.reason = reason;
        self
    }
}

/// Whose confirmations are listed.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Whose<'a> {
    /// The tenant.
    pub tenant: &'a str,
    /// The asker; `None` is everybody of the tenant.
    pub subject: Option<&'a str>,
}

impl<'a> Whose<'a> {
    /// Those of everybody of a tenant.
    #[must_use]
    pub fn all(tenant: &'a str) -> Self {
        Self { tenant, subject: None }
    }

    /// Whether a confirmation is one of them.
    #[must_use]
    pub fn has(&self, one: &Confirmation) -> bool {
        one.tenant == self.tenant && self.subject.is_none_or(|subject| one.subject == subject)
    }

    /// Those of one asker.
    #[must_use]
    pub fn of(tenant: &'a str, subject: &'a str) -> Self {
        Self { tenant, subject: Some(subject) }
    }
}

/// Keeps runs that are parked until a human has decided.
///
/// # Contract
/// * `park` is atomic: the run and all its confirmations are stored, or nothing is; nothing where there is a run
///   of that id. What is read back is what was kept, byte for byte.
/// * `change` is a compare-and-set: of however many that want the same step at once one is told `true`. It
///   takes only steps of [`State::may_become`], agrees or refuses only while there is time by the store's
///   clock, and lets a call begin (`approved → running`) only while its run is claimed.
/// * `claim` gives a run out once, and not before all of its calls are decided. Its lease is renewed by whoever has it.
/// * `lapse` makes calls expire whose time is over, because of [`TOO_LATE`], and ends runs whose lease has run out:
///   calls that were running are of unknown outcome then, and those that were agreed to and not sent are void. So is
///   what was agreed to and never claimed, [`GRACE`] after it would have expired. Each step is told once, to one
///   caller.
/// * What calls become that a run leaves behind, and why, is in [`LEFT`], however it ends.
/// * **Cancel-safe**: callers stop waiting after seconds, or with their ask. What was dropped is done whole or not at
///   all. A run that a dropped `claim` gave out all the same is nobody's, and is left behind once its lease has run
///   out. What a dropped `end` changed nobody is told; it has ten seconds at least. `lapse` has minutes, unless the
///   process ends.
/// * Once ended, a run and its confirmations can be read for [`KEPT`] at least; the run's body is gone.
#[async_trait]
pub trait RunStore: Send + Sync + std::fmt::Debug {
    /// Parks a run.
    ///
    /// # Errors
    /// When the store cannot be reached, has no room, or the run is too large.
    async fn park(&self, run: ParkedRun<'_>) -> Result<(), RunError>;

    /// A confirmation.
    ///
    /// # Errors
    /// When the store cannot be reached.
    async fn confirmation(&self, id: Uuid) -> Result<Option<Confirmation>, RunError>;

    /// All confirmations of a run, in the order in which they were parked.
    ///
    /// # Errors
    /// When the store cannot be reached.
    async fn of_run(&self, run: Uuid) -> Result<Vec<Confirmation>, RunError>;

    /// The confirmations that nobody has decided on and that there is time for, oldest first; at most `limit`.
    ///
    /// # Errors
    /// When the store cannot be reached.
    async fn pending(&self, whose: Whose<'_>, limit: usize) -> Result<Vec<Confirmation>, RunError>;

    /// Takes one step, if the confirmation is where the step begins.
    ///
    /// # Errors
    /// When the store cannot be reached.
    async fn change(&self, change: Change<'_>) -> Result<bool, RunError>;

    /// The calls that were agreed to and whose runs nobody has taken on although all of their calls are decided, oldest
    /// first; at most `limit`.
    ///
    /// # Errors
    /// When the store cannot be reached.
    async fn agreed(&self, whose: Whose<'_>, limit: usize) -> Result<Vec<Confirmation>, RunError>;

    /// Takes down that somebody else than `from` says the same of a call that was agreed to and that nobody carries out
    /// yet: from then on it is their word, of which the ledger does not know. A compare-and-set.
    ///
    /// # Errors
    /// When the store cannot be reached.
    async fn agree_again(&self, id: Uuid, from: &str, by: &str) -> Result<bool, RunError>;

    /// Notes that the ledger has the decision on a call, where it still is that of `by`.
    ///
    /// # Errors
    /// When the store cannot be reached.
    async fn recorded(&self, id: Uuid, by: &str) -> Result<(), RunError>;

    /// The body of a run that nobody has taken on yet.
    ///
    /// # Errors
    /// When the store cannot be reached.
    async fn body(&self, run: Uuid) -> Result<Option<String>, RunError>;

    /// Takes a run on for as long as the lease. `false` where it is somebody else's, over or unknown, or one of
    /// its calls is not decided yet.
    ///
    /// # Errors
    /// When the store cannot be reached.
    async fn claim(&self, run: Uuid, lease: Duration) -> Result<bool, RunError>;

    /// Keeps a claimed run for another lease from now on; whether it is still this one's.
    ///
    /// # Errors
    /// When the store cannot be reached.
    async fn renew(&self, run: Uuid, lease: Duration) -> Result<bool, RunError>;

    /// Ends a run with what came of it, as JSON: calls that were running are of unknown outcome, those that
    /// were agreed to and not sent or that still waited are void. What changed; nothing where it had ended.
    ///
    /// # Errors
    /// When the store cannot be reached.
    async fn end(&self, run: Uuid, result: Option<&str>) -> Result<Vec<Confirmation>, RunError>;

    /// What came of a run, where it ended with something.
    ///
    /// # Errors
    /// When the store cannot be reached.
    async fn result(&self, run: Uuid) -> Result<Option<String>, RunError>;

    /// Runs that nobody has taken on although all of their calls are decided, and at least one of them by somebody;
    /// the oldest first, at most `limit`.
    ///
    /// # Errors
    /// When the store cannot be reached.
    async fn decided(&self, limit: usize) -> Result<Vec<Uuid>, RunError>;

    /// Does what time brings, and removes what is old. What changed; so also where something went wrong after that.
    ///
    /// # Errors
    /// When the store cannot be reached.
    async fn lapse(&self) -> Result<Vec<Confirmation>, RunError>;
}

#[async_trait]
impl<T: RunStore + ?Sized> RunStore for Arc<T> {
    async fn park(&self, run: ParkedRun<'_>) -> Result<(), RunError> {
        (**self).park(run).await
    }

    async fn confirmation(&self, id: Uuid) -> Result<Option<Confirmation>, RunError> {
        (**self).confirmation(id).await
    }

    async fn of_run(&self, run: Uuid) -> Result<Vec<Confirmation>, RunError> {
        (**self).of_run(run).await
    }

    async fn pending(&self, whose: Whose<'_>, limit: usize) -> Result<Vec<Confirmation>, RunError> {
        (**self).pending(whose, limit).await
    }

    async fn change(&self, change: Change<'_>) -> Result<bool, RunError> {
        (**self).change(change).await
    }

    async fn agreed(&self, whose: Whose<'_>, limit: usize) -> Result<Vec<Confirmation>, RunError> {
        (**self).agreed(whose, limit).await
    }

    async fn agree_again(&self, id: Uuid, from: &str, by: &str) -> Result<bool, RunError> {
        (**self).agree_again(id, from, by).await
    }

    async fn recorded(&self, id: Uuid, by: &str) -> Result<(), RunError> {
        (**self).recorded(id, by).await
    }

    async fn body(&self, run: Uuid) -> Result<Option<String>, RunError> {
        (**self).body(run).await
    }

    async fn claim(&self, run: Uuid, lease: Duration) -> Result<bool, RunError> {
        (**self).claim(run, lease).await
    }

    async fn renew(&self, run: Uuid, lease: Duration) -> Result<bool, RunError> {
        (**self).renew(run, lease).await
    }

    async fn end(&self, run: Uuid, result: Option<&str>) -> Result<Vec<Confirmation>, RunError> {
        (**self).end(run, result).await
    }

    async fn result(&self, run: Uuid) -> Result<Option<String>, RunError> {
        (**self).result(run).await
    }

    async fn decided(&self, limit: usize) -> Result<Vec<Uuid>, RunError> {
        (**self).decided(limit).await
    }

    async fn lapse(&self) -> Result<Vec<Confirmation>, RunError> {
        (**self).lapse().await
    }
}

/// Why a parked run could not be read or written.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the store of parked runs failed: {message}")]
pub struct RunError {
    /// What went wrong.
    pub message: String,
}

impl RunError {
    /// An error in these words.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }
}

/// How long a run waits, after its calls would have expired, for somebody who carries out what was agreed to.
pub const GRACE: Duration = Duration::from_secs(10 * 60);
/// How long a run that has ended can be read at least.
pub const KEPT: Duration = Duration::from_secs(24 * 60 * 60);
/// What a call becomes that its run leaves behind when it ends: from which state, to which, and the
/// [reason](Confirmation::reason). A call in any other state stays as it is.
pub const LEFT: [(State, State, &str); 3] = [
    (State::Running, State::UnknownOutcome, "whoever sent it broke off; nobody knows whether it ran"),
    (State::Approved, State::Void, "it was not carried out in time"),
    (State::Pending, State::Void, "its question ended before anybody decided"),
];
/// Why nobody can decide any more: the [reason](Confirmation::reason) of a call that expired.
pub const TOO_LATE: &str = "nobody decided in time";
