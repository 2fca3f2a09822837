//! One ask, step by step.

use std::time::Duration;

use axum::{extract::State, response::Response};
use omni_core::{Error, ErrorKind};
use uuid::Uuid;

use crate::{
    error::ApiError,
    state::App,
    ui::{
        answer::{AsJson, Frame, shown},
        person::Person,
        view::ask::{self, Proof, Seen},
    },
};

/// How long what has just been answered is waited for: the log has it a moment later.
const SETTLE: Duration = Duration::from_secs(3);

pub(in crate::ui) async fn show(State(app): State<App>, as_json: AsJson, person: Person) -> Result<Response, ApiError> {
    let text = person.query.text("id");
    let none = || ApiError::not_found(format!("there is nothing of the request {text:?}"));
    let id: Uuid = text.parse().map_err(|_| none())?;
    let access = person.admin.audit()?;
    let mut entry = access.entry(id).await.map_err(Error::from)?;
    if entry.is_none() && app.omni.ledger().flush(SETTLE).await.is_ok() {
        entry = access.entry(id).await.map_err(Error::from)?;
    }
    let entry = entry.ok_or_else(none)?;
    let calls = access.calls(id).await.map_err(Error::from)?;
    let turns = access.turns(&entry).await.map_err(Error::from)?;
    let answer = access.answer(&entry).await.map_err(Error::from)?;
    let proof = match person.admin.prove(&entry).await {
        Ok(fault) => Proof::of(fault),
        Err(error) if error.kind() == ErrorKind::NotFound => Proof::Unproved,
        Err(error) => return Err(error.into()),
    };
    let proofs = person.admin.prove_calls(&calls).await?.into_iter().map(Proof::of);
    let calls = calls.into_iter().zip(proofs).collect();
    shown(as_json, ask::of(Frame::of(&person), Seen { entry, calls, turns, answer, proof }))
}
