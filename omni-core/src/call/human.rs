//! Who is asked before a call that needs a human.

use std::{fmt, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures::{FutureExt as _, future::BoxFuture};
use tokio::time::timeout;

use crate::{
    config::Ack,
    confirm::{Approver, Change, Confirmation, MAX_REASON, RunStore, State},
    ledger::Ledger,
    omni::noted::write_void,
    parts::{Parts, STEP_TIMEOUT},
};

/// How long it may take to take down that a call ended.
const ENDING: Duration = Duration::from_secs(5);

/// Who is asked in an ask.
#[derive(Debug, Clone)]
pub(crate) enum Humans {
    /// Whoever is at hand.
    AtDoor(Arc<dyn Approver>),
    /// Whoever answers later: a call that needs them waits.
    Later,
}

impl Humans {
    pub(crate) fn human(&self) -> Human<'_> {
        match self {
            Self::AtDoor(approver) => Human::AtDoor(&**approver),
            Self::Later => Human::Later,
        }
    }
}

/// Who is asked about one call.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Human<'a> {
    /// Whoever is at hand.
    AtDoor(&'a dyn Approver),
    /// Whoever answers later.
    Later,
    /// Somebody who has agreed to this very call.
    Agreed(&'a Agreed),
}

/// An agreement to one call, which is used once.
#[derive(Clone)]
pub(crate) struct Agreed {
    pub(crate) store: Arc<dyn RunStore>,
    pub(crate) confirmation: Confirmation,
}

impl fmt::Debug for Agreed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.confirmation.fmt(f)
    }
}

impl Agreed {
    /// Uses it up, right before the call is sent. Who cannot be sure of that does not send the call.
    pub(super) async fn begin(&self) -> Result<(), String> {
        let change = Change::new(self.confirmation.id, State::Approved, State::Running);
        match timeout(STEP_TIMEOUT, self.store.change(change)).await {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false)) => Err("the agreement to it was used or is void".into()),
            Ok(Err(error)) => {
                tracing::error!(%error, "an approved call is not sent");
                Err("the agreement to it cannot be looked up".into())
            }
            Err(_) => Err("the agreement to it could not be looked up in time".into()),
        }
    }

    /// Takes down that the call was sent, and ended. Where it was not, and why: what was agreed to is not so any more.
    pub(crate) fn used(&self, parts: &Parts, unsent: Option<String>) -> BoxFuture<'static, ()> {
        let (agreed, ledger, ack) = (self.clone(), parts.ledger.clone(), parts.acks.ask);
        Box::pin(async move {
            match unsent {
                Some(reason) => agreed.void(&ledger, ack, &reason).await,
                None => {
                    agreed.step(State::Running, State::Done, None).await;
                }
            }
        })
    }

    async fn void(&self, ledger: &Ledger, ack: Ack, reason: &str) {
        let reason: String = reason.chars().take(MAX_REASON).collect();
        let mut is_void = false;
        for from in [State::Running, State::Approved] {
            is_void = is_void || self.step(from, State::Void, Some(&reason)).await;
        }
        if is_void {
            let void = Confirmation { state: State::Void, reason: Some(reason), ..self.confirmation.clone() };
            write_void(ledger, ack, &void).await;
        }
    }

    async fn step(&self, from: State, to: State, reason: Option<&str>) -> bool {
        let change = Change::new(self.confirmation.id, from, to).because(reason);
        match timeout(ENDING, AssertUnwindSafe(self.store.change(change)).catch_unwind()).await {
            Ok(Ok(Ok(is_taken))) => return is_taken,
            Ok(Ok(Err(error))) => tracing::error!(%error, "that an approved call ended could not be noted"),
            Ok(Err(_)) => tracing::error!("that an approved call ended could not be noted: the store of runs panicked"),
            Err(_) => tracing::error!("that an approved call ended could not be noted in time"),
        }
        false
    }
}
