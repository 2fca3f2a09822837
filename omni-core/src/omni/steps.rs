//! The steps that asks and direct calls have in common.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, timeout};
use uuid::Uuid;

use crate::{
    ask::Source,
    error::Error,
    identity::{Principal, Via},
    ledger::Party,
    limit::{LimitError, ReservationId, Reserve, Settle, charges_for},
    parts::{Parts, STEP_TIMEOUT},
    policy::{Grant, PolicyError},
};

/// How much longer than its ask a lease lives, should the ask die without giving it back.
const LEASE_SLACK: Duration = Duration::from_secs(30);

/// Who is written down when nobody could be identified.
pub(super) fn nobody(source: Source) -> Party {
    Party::new(&Principal::new("unknown", Via::Asserted), source)
}

/// Step 2.
pub(super) async fn policy(parts: &Parts, principal: &Principal) -> Result<Arc<Grant>, Error> {
    match timeout(STEP_TIMEOUT, parts.policy.resolve(principal)).await {
        Ok(grant) => Ok(grant?),
        Err(_) => Err(PolicyError::Unavailable { message: "no answer in time".into() }.into()),
    }
}

/// Step 3: every charge of one ask or direct call, or none.
pub(super) async fn limit(
    parts: &Parts,
    id: Uuid,
    grant: &Grant,
    deadline: Instant,
) -> Result<Option<ReservationId>, Error> {
    let charges = charges_for(&grant.principal, &grant.quota);
    if charges.is_empty() {
        return Ok(None);
    }
    let ttl = deadline.saturating_duration_since(Instant::now()) + LEASE_SLACK;
    let mut request = Reserve::new(charges).with_ttl(ttl);
    request.id = id;
    match timeout(STEP_TIMEOUT, parts.limiter.reserve(&request)).await {
        Ok(reserved) => Ok(Some(reserved?.id)),
        Err(_) => Err(LimitError::Unavailable { message: "no answer in time".into() }.into()),
    }
}

/// Step 10: gives leases back. A limiter that is away lets them lapse by their ttl.
pub(super) async fn settle(parts: &Parts, reservation: Option<ReservationId>) {
    let Some(id) = reservation else { return };
    let settle = Settle::new(id);
    match timeout(STEP_TIMEOUT, parts.limiter.settle(&settle)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "a reservation was not settled; its lease lapses by itself"),
        Err(_) => tracing::warn!("a reservation was not settled in time; its lease lapses by itself"),
    }
}
