//! An ask that was refused before its first step.

use tokio::time::Instant;

use super::{
    End, Known,
    closing::{Before, conclude, record},
};
use crate::{
    answer::{Answer, millis},
    ask::Ask,
    error::Error,
    ledger::Party,
    omni::steps,
    parts::Parts,
};

/// Records it with why, and with as much of the asker as can be known.
pub(in crate::omni) async fn refuse(parts: &Parts, ask: &Ask, why: Error) {
    let began = Instant::now();
    let mut answer = Answer::empty(ask.request_id, "");
    let known = Known { party: party(parts, ask).await, ..Known::default() };
    answer.role = known.party.as_ref().and_then(|party| party.role.clone());
    answer.duration_ms = millis(began.elapsed());
    let why = conclude(End::Failed(why), None, &mut answer);
    let before = Before::of(&answer);
    record(parts, ask, &known, (&answer, Vec::new()), &before, why).await;
}

async fn party(parts: &Parts, ask: &Ask) -> Option<Party> {
    let principal = steps::identity(parts, &ask.credential).await.ok()?;
    let mut party = Party::new(&principal, ask.source).with_client(ask.client.clone());
    party.role = steps::policy(parts, &principal).await.ok().map(|grant| grant.role.name.to_string());
    Some(party)
}
