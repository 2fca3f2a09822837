//! Who is asked before a call that needs a human.

use std::{fmt, sync::Arc, time::Duration};

use tokio::time::timeout;

use crate::{
    confirm::{Approver, Change, Confirmation, MAX_REASON, RunStore, State},
    omni::noted::write_all,
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

    /// The call was sent, and ended.
    pub(crate) async fn end(&self) {
        self.step(State::Running, State::Done, None).await;
    }

    /// The call was not sent; what was agreed to is not so any more.
    pub(crate) async fn void(&self, parts: &Parts, reason: &str) {
        let reason: String = reason.chars().take(MAX_REASON).collect();
        let mut is_void = false;
        for from in [State::Running, State::Approved] {
            is_void = is_void || self.step(from, State::Void, Some(&reason)).await;
        }
        if is_void {
            let void = Confirmation { state: State::Void, reason: Some(reason), ..self.confirmation.clone() };
            write_all(parts, &[void]).await;
        }
    }

    async fn step(&self, from: State, to: State, reason: Option<&str>) -> bool {
        let change = Change::new(self.confirmation.id, from, to).because(reason);
        match timeout(ENDING, self.store.change(change)).await {
            Ok(Ok(is_taken)) => return is_taken,
            Ok(Err(error)) => tracing::error!(%error, "that an approved call ended could not be noted"),
            Err(_) => tracing::error!("that an approved call ended could not be noted in time"),
        }
        false
    }
}
