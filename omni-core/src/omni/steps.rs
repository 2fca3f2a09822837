//! The steps that asks and direct calls have in common.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use chrono::Utc;
use tokio::time::{Instant, timeout};
use tracing::{Instrument as _, debug_span};

use crate::{
    ask::{Client, Source},
    error::Error,
    identity::{AuthError, CallerToken, Credential, KeyError, Principal, Via},
    ledger::Party,
    limit::{Charge, LimitError, ReservationId, Reserve, Settle},
    parts::{Parts, STEP_TIMEOUT},
    policy::{Grant, PolicyError, effective},
};

/// How much longer than its ask a lease lives, should the ask die without giving it back.
const LEASE_SLACK: Duration = Duration::from_secs(30);

/// Who is written down when nobody could be identified.
pub(super) fn nobody(source: Source, client: &Client) -> Party {
    Party::new(&Principal::new("unknown", Via::Asserted), source).with_client(client.clone())
}

/// Step 1, unless the door has just taken it.
pub(super) async fn identity(parts: &Parts, credential: &Credential) -> Result<Principal, Error> {
    if let Credential::Admitted(admitted) = credential
        && let Some(principal) = admitted.known_to(parts)
    {
        return Ok(principal.clone());
    }
    let judged = parts.authenticator.authenticate(credential.clone());
    Ok(judged.instrument(debug_span!("omni.identity")).await?)
}

/// The token with which somebody came who was identified by it, where there is a server that is used with it.
pub(super) fn token(parts: &Parts, credential: &Credential, judged: &Principal) -> Option<Arc<CallerToken>> {
    let is_wanted = parts.pool.takes_tokens();
    let token = is_wanted.then(|| parts.authenticator.own_token(credential, judged)).flatten();
    token.map(Arc::new)
}

/// Whether the key still counts with which somebody asked some time ago.
pub(super) async fn key(parts: &Parts, id: Option<i64>) -> Result<(), Error> {
    let Some(id) = id else { return Ok(()) };
    let gone = || Error::Denied { message: "the API key with which it was asked is not valid any more".into() };
    let keys = parts.authenticator.keys().ok_or_else(gone)?;
    let key = timeout(STEP_TIMEOUT, keys.store().get(id)).await;
    let key = key.unwrap_or_else(|_| Err(KeyError::new("no answer in time"))).map_err(AuthError::from)?;
    key.filter(|key| key.is_valid(Utc::now())).map(drop).ok_or_else(gone)
}

/// Step 2.
pub(super) async fn policy(parts: &Parts, principal: &Principal) -> Result<Arc<Grant>, Error> {
    let resolved = effective(&*parts.policy, principal).instrument(debug_span!("omni.policy"));
    match timeout(STEP_TIMEOUT, resolved).await {
        Ok(grant) => Ok(grant?),
        Err(_) => Err(PolicyError::Unavailable { message: "no answer in time".into() }.into()),
    }
}

/// Whether anything new may begin: this `Omni` is not closing, and its ledger has room.
pub(super) fn admit(parts: &Parts) -> Result<(), Error> {
    if parts.live.closing.load(Ordering::Acquire) {
        return Err(Error::ShuttingDown);
    }
    Ok(parts.ledger.admit()?)
}

/// A reservation that has to be settled.
#[derive(Debug)]
pub(super) struct Held {
    id: ReservationId,
    /// Until when it can be.
    until: Instant,
}

/// Step 3: every charge of one ask or direct call, or none. `held` is what has to be settled, also
/// when this is given up in the middle of it.
pub(super) async fn limit(
    parts: &Parts,
    charges: Vec<Charge>,
    deadline: Instant,
    held: &mut Option<Held>,
) -> Result<(), Error> {
    if charges.is_empty() {
        return Ok(());
    }
    let until = deadline + LEASE_SLACK;
    let request = Reserve::new(charges).with_ttl(until.saturating_duration_since(Instant::now()));
    *held = Some(Held { id: request.id.clone(), until });
    let reserved = parts.limiter.reserve(&request).instrument(debug_span!("omni.limit"));
    match timeout(STEP_TIMEOUT, reserved).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(refused @ LimitError::Refused(_))) => {
            *held = None;
            Err(refused.into())
        }
        Ok(Err(away @ LimitError::Unavailable { .. })) => {
            parts.give_back(&Settle::undo(request.id)).await;
            *held = None;
            Err(away.into())
        }
        Err(_) => Err(LimitError::Unavailable { message: "no answer in time".into() }.into()),
    }
}

/// Whether omni said no: nothing was done then, so nothing counts.
pub(super) fn is_refusal(error: &Error) -> bool {
    matches!(
        error,
        Error::Auth(_)
            | Error::Policy(_)
            | Error::Limit(_)
            | Error::Denied { .. }
            | Error::UnknownTool { .. }
            | Error::NotFound { .. }
            | Error::Invalid { .. }
            | Error::Arguments { .. }
    )
}

/// Step 10: gives leases back, and all of it where it was for nothing.
pub(super) async fn settle(parts: &Parts, held: Option<Held>, is_refused: bool) {
    let Some(Held { id, until }) = held else { return };
    let settle = if is_refused { Settle::undo(id) } else { Settle::new(id) };
    parts.settle(&settle, until).instrument(debug_span!("omni.settle")).await;
}
