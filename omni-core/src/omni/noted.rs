//! What becomes of calls that need a human, in the ledger.

use serde_json::{Value, json};
use tokio::time::timeout;
use tracing::{Instrument as _, debug_span};
use uuid::Uuid;

use crate::{
    agent::plan::arguments,
    audit::AuditError,
    config::Ack,
    confirm::{Confirmation, State},
    ledger::{AdminRecord, Event, Ledger, Outcome, Party, Record},
    omni::resumed::caught,
    parts::{Parts, STEP_TIMEOUT},
};

/// The arguments of a call for people, redacted.
pub(super) fn arguments(parts: &Parts, one: &Confirmation) -> Value {
    parts.redactor.json(&plain(one))
}

fn plain(one: &Confirmation) -> Value {
    arguments::value(one.arguments.get()).unwrap_or_default()
}

/// The asker, for what nobody else did.
pub(super) fn asker(one: &Confirmation) -> Party {
    Party {
        tenant: one.tenant.clone(),
        subject: one.subject.clone(),
        actor: one.actor.clone(),
        role: None,
        source: one.source,
        client: Default::default(),
    }
}

/// Whoever decided, as far as it is known later; the asker where nobody did.
fn decider(one: &Confirmation) -> Party {
    match &one.decided_by {
        Some(by) if *by != one.subject => Party { subject: by.clone(), actor: None, ..asker(one) },
        Some(_) | None => asker(one),
    }
}

/// Writes down how far a confirmation has come. `by` is who did it; else it is the asker's.
pub(super) async fn write(parts: &Parts, one: &Confirmation, by: Option<Party>) -> Result<(), AuditError> {
    write_to(&parts.ledger, parts.acks.ask, one, by).await
}

async fn write_to(ledger: &Ledger, ack: Ack, one: &Confirmation, by: Option<Party>) -> Result<(), AuditError> {
    let party = by.unwrap_or_else(|| asker(one));
    let record = Record::new(Uuid::now_v7(), Some(party), Event::Admin(record(one)));
    ledger.write_with(record, ack).instrument(debug_span!("omni.ledger")).await
}

/// The same for what is so in any case: if it cannot be written, the log says so. What was said before it, and may not
/// have been written down, comes first.
pub(super) async fn write_all(parts: &Parts, changed: &[Confirmation]) {
    for one in changed {
        if let Err(error) = write_whole(parts, one).await {
            unrecorded(&error, one);
        }
    }
}

/// The same for a call that was agreed to, which the ledger knows, and that was not sent.
pub(crate) async fn write_void(ledger: &Ledger, ack: Ack, void: &Confirmation) {
    if let Err(error) = write_to(ledger, ack, void, None).await {
        unrecorded(&error, void);
    }
}

fn unrecorded(error: &AuditError, one: &Confirmation) {
    tracing::error!(%error, confirmation = %one.id, state = one.state.as_str(), "not recorded");
}

/// Writes down the decisions of a run that the ledger may not have: whoever made one may have been gone before it was
/// recorded. Rather twice than never.
pub(super) async fn decisions(parts: &Parts, all: &[Confirmation]) -> Result<(), AuditError> {
    for one in all.iter().filter(|one| one.unrecorded().is_some()) {
        write_whole(parts, one).await?;
    }
    Ok(())
}

/// What somebody said of which the ledger may not know, and what has come of it.
async fn write_whole(parts: &Parts, one: &Confirmation) -> Result<(), AuditError> {
    let Some(said) = one.unrecorded() else { return write(parts, one, None).await };
    write(parts, &said, Some(decider(&said))).await?;
    if one.state != said.state {
        write(parts, one, None).await?;
    }
    is_recorded(parts, &said).await;
    Ok(())
}

/// Writes down what somebody said a moment ago, and that it is.
pub(super) async fn decision(parts: &Parts, said: &Confirmation, by: Party) -> Result<(), AuditError> {
    write(parts, said, Some(by)).await?;
    is_recorded(parts, said).await;
    Ok(())
}

async fn is_recorded(parts: &Parts, said: &Confirmation) {
    let by = said.decided_by.as_deref().unwrap_or_default();
    match timeout(STEP_TIMEOUT, caught(parts.runs.recorded(said.id, by))).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "a decision is recorded, and will be again"),
        Err(_) => tracing::warn!("a decision is recorded, and will be again: it could not be noted in time"),
    }
}

fn record(one: &Confirmation) -> AdminRecord {
    let what = if one.state == State::Pending { "asked" } else { one.state.as_str() };
    let mut record = AdminRecord::new(format!("confirmation.{what}"), format!("{}.{}", one.server, one.tool));
    record.details = json!({
        "confirmation": one.id,
        "request_id": one.run,
        "asker": one.subject,
        "arguments": plain(one),
        "rule": one.rule,
        "digest": one.digest,
        "reason": one.reason,
    });
    record.outcome = match one.state {
        State::Pending | State::Approved | State::Running | State::Done => Outcome::Success,
        State::Denied | State::Expired | State::Void => Outcome::Denied,
        State::UnknownOutcome => Outcome::UnknownOutcome,
    };
    record.error = one.reason.clone().filter(|_| record.outcome != Outcome::Success);
    record
}
