//! Calls that wait for their client (2026-07-28). A server of an older revision asks in the middle of a call; a
//! newer client answers by calling again. Until it does the call is parked here, under a name that only this client
//! is told and that only it, by the same key, may give back.

use std::{
    collections::{BTreeMap, HashMap},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rmcp::model::InputRequiredResult;
use serde_json::{Map, Value, json, value::to_raw_value};
use tokio::{sync::mpsc, time::sleep};
use tokio_util::sync::{CancellationToken, DropGuard};
use uuid::Uuid;

use super::line::{Answer, Said};
use crate::{Omni, error::Error, identity::Holder, mcp::McpError};

/// What a name of a parked call begins with: no server's own state does.
const MARK: &str = "omni-parked:";
/// Most calls that wait.
const MOST: usize = 256;
/// Most calls of one client that wait.
const MOST_EACH: usize = 16;
/// How long one waits. The server's own patience is mostly shorter.
const WAITS: Duration = Duration::from_secs(300);

/// A call that goes on while nobody looks.
pub(super) type Running<T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send>>;

/// A call that waits for its client.
pub(super) struct Parked<T> {
    pub(super) owner: Holder,
    /// The method and the name with which it was called.
    pub(super) called: String,
    pub(super) call: Running<T>,
    pub(super) heard: mpsc::Receiver<Said>,
    /// What the server wants to know.
    pub(super) questions: BTreeMap<String, Wanted>,
    /// Ends the time that it may wait.
    pub(super) stays: Option<DropGuard>,
}

/// A question that has no answer yet.
pub(super) struct Wanted {
    pub(super) request: Value,
    pub(super) answer: Answer,
}

/// All of them.
pub(super) struct Parking<T>(Mutex<HashMap<String, Parked<T>>>);

impl<T> Default for Parking<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> std::fmt::Debug for Parking<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Parking").field(&self.calls().len()).finish()
    }
}

/// Whether a client gives the name of a parked call back, and no server's state.
pub(super) fn is_ours(state: &str) -> bool {
    state.starts_with(MARK)
}

/// A call and the line to it, as they were.
type Back<T> = (Running<T>, mpsc::Receiver<Said>);

impl<T: Send + 'static> Parking<T> {
    /// Parks a call, and says what its client is to be told. Where there is no room it is given back, and its server
    /// learns that nobody answers.
    pub(super) fn park(self: &Arc<Self>, mut parked: Parked<T>, omni: &Omni) -> Result<InputRequiredResult, Back<T>> {
        let name = format!("{MARK}{}", Uuid::new_v4());
        let asked: Map<String, Value> =
            parked.questions.iter().map(|(key, wanted)| (key.clone(), wanted.request.clone())).collect();
        let wanted = json!({ "resultType": "input_required", "inputRequests": asked, "requestState": name });
        let Ok(wanted) = serde_json::from_value(wanted) else { return Err((parked.call, parked.heard)) };
        let stays = CancellationToken::new();
        parked.stays = Some(stays.clone().drop_guard());
        {
            let mut calls = self.calls();
            let own = calls.values().filter(|other| other.owner == parked.owner).count();
            if calls.len() >= MOST || own >= MOST_EACH {
                return Err((parked.call, parked.heard));
            }
            calls.insert(name.clone(), parked);
        }
        let parking = Arc::downgrade(self);
        omni.in_background(async move {
            let has_waited = stays.run_until_cancelled(sleep(WAITS)).await.is_some();
            if let Some(parking) = parking.upgrade().filter(|_| has_waited) {
                let forgotten = parking.calls().remove(&name);
                drop(forgotten);
            }
        });
        Ok(wanted)
    }

    /// The call of a name, for whoever made it.
    pub(super) fn take(&self, name: &str, owner: &Holder, called: &str) -> Option<Parked<T>> {
        let mut calls = self.calls();
        let is_theirs = calls.get(name).is_some_and(|parked| parked.owner == *owner && parked.called == called);
        if is_theirs { calls.remove(name) } else { None }
    }
}

impl<T> Parking<T> {
    fn calls(&self) -> MutexGuard<'_, HashMap<String, Parked<T>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Parked<T> {
    /// Gives the server the answers that came. What was not answered is still wanted.
    pub(super) fn answer(&mut self, responses: &BTreeMap<String, Value>) {
        for (key, response) in responses {
            if let Some(wanted) = self.questions.remove(key) {
                let raw = to_raw_value(response).map_err(|error| McpError::Protocol { message: error.to_string() });
                let _ = wanted.answer.send(raw);
            }
        }
    }
}
