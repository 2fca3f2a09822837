//! Reserving: lock, look, decide, write.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

use super::{
    Failed,
    rows::{Counted, Id, Seen, Taken, bounded, ids, lock, see},
};
use crate::{
    db::{Db, DbError, Tx, Val},
    limit::{Charge, CountKind, LimitKey, Refusal, Reservation, Reserve, Standing},
};

/// Most entries that are looked through for when a charge will fit.
const MOST_ENTRIES: u64 = 10_000;

pub(super) async fn reserve(db: &Db, request: &Reserve) -> Result<Reservation, Failed> {
    if request.charges.is_empty() {
        return Ok(Reservation::new(request.id.clone(), Vec::new()));
    }
    let mut tx = db.begin().await?;
    let wanted = ids(&request.charges);
    let counted = lock(&mut tx, &wanted).await?;
    let seen = see(&mut tx, &request.id.id.to_string(), &wanted).await?;
    let mut state = State { now: seen.now, used: used(&counted, &seen) };
    if seen.held.is_none_or(|ends| ends <= seen.now) {
        if let Some((charge, used, excess)) = state.worst(request) {
            let retry_after = retry_after(&mut tx, charge, excess, &state).await?;
            return Err(Failed::Refused(Box::new(Refusal::new(charge.key.clone(), charge.limit, used, retry_after))));
        }
        let taken = state.take(request);
        write(&mut tx, request, &taken, &state).await?;
        tx.commit().await?;
    }
    let standings = request.charges.iter().map(|charge| state.standing(charge)).collect();
    Ok(Reservation::new(request.id.clone(), standings))
}

/// How counts stand. The transaction is given up: it made no count that was not there.
pub(super) async fn peek(db: &Db, charges: &[Charge]) -> Result<Vec<Standing>, Failed> {
    if charges.is_empty() {
        return Ok(Vec::new());
    }
    let mut tx = db.begin().await?;
    let wanted = ids(charges);
    let counted = lock(&mut tx, &wanted).await?;
    let seen = see(&mut tx, "", &wanted).await?;
    let state = State { now: seen.now, used: used(&counted, &seen) };
    Ok(charges.iter().map(|charge| state.standing(charge)).collect())
}

/// What is used of each count, and when the first of it is free.
struct State {
    now: DateTime<Utc>,
    used: BTreeMap<Id, (u64, DateTime<Utc>)>,
}

fn used(counted: &BTreeMap<Id, Counted>, seen: &Seen) -> BTreeMap<Id, (u64, DateTime<Utc>)> {
    let used = |(id, counted): (&Id, &Counted)| {
        let used = match id.1 {
            CountKind::Budget(_) if counted.ends > seen.now => (counted.amount, counted.ends),
            CountKind::Budget(period) => (0, period.end(seen.now)),
            CountKind::Window(_) | CountKind::Leases => seen.used.get(id).copied().unwrap_or((0, seen.now)),
        };
        (id.clone(), used)
    };
    counted.iter().map(used).collect()
}

impl State {
    fn of(&self, charge: &Charge) -> (u64, DateTime<Utc>) {
        self.used.get(&(charge.key.clone(), charge.limit.count())).copied().unwrap_or((u64::MAX, self.now))
    }

    fn standing(&self, charge: &Charge) -> Standing {
        let (used, free) = self.of(charge);
        let reset_after = (free - self.now).to_std().unwrap_or_default();
        Standing { key: charge.key.clone(), used, max: charge.limit.max(), reset_after }
    }

    /// The charge that does not fit and stays so the longest, what is used of it, and how much too
    /// much it is.
    fn worst<'r>(&self, request: &'r Reserve) -> Option<(&'r Charge, u64, u64)> {
        let mut before: BTreeMap<Id, u64> = BTreeMap::new();
        let mut worst: Option<(&Charge, u64, u64)> = None;
        for charge in &request.charges {
            let (used, free) = self.of(charge);
            let before = before.entry((charge.key.clone(), charge.limit.count())).or_default();
            *before = before.saturating_add(charge.amount);
            let excess = used.saturating_add(*before).saturating_sub(bounded(charge.limit.max()));
            if excess > 0 && worst.is_none_or(|(known, ..)| self.of(known).1 < free) {
                worst = Some((charge, used, excess));
            }
        }
        worst
    }

    /// Counts the charges; returns what each took.
    fn take(&mut self, request: &Reserve) -> Vec<Taken> {
        let take = |charge: &Charge| {
            let kind = charge.limit.count();
            let (own, period_ends) = match kind {
                CountKind::Window(per) => (self.now + delta(per), None),
                CountKind::Leases => (self.now + delta(request.ttl), None),
                CountKind::Budget(period) => (period.end(self.now), Some(period.end(self.now))),
            };
            let now = self.now;
            if let Some((used, free)) = self.used.get_mut(&(charge.key.clone(), kind)) {
                *free = if *free > now { own.min(*free) } else { own };
                *used = used.saturating_add(charge.amount);
            }
            Taken { key: charge.key.clone(), kind, amount: charge.amount, period_ends }
        };
        request.charges.iter().map(take).collect()
    }
}

/// A duration that does not lead out of the calendar.
fn delta(duration: std::time::Duration) -> TimeDelta {
    let most = TimeDelta::days(365 * 100);
    TimeDelta::from_std(duration).unwrap_or(most).min(most)
}

/// When as much as is too much has gone by.
async fn retry_after(tx: &mut Tx, charge: &Charge, excess: u64, state: &State) -> Result<std::time::Duration, DbError> {
    let (used, free) = state.of(charge);
    let until = |at: DateTime<Utc>| (at - state.now).to_std().unwrap_or_default();
    let CountKind::Window(per) = charge.limit.count() else { return Ok(until(free)) };
    if excess == 1 && used > 0 {
        return Ok(until(free));
    }
    let LimitKey { tenant, name } = &charge.key;
    let sql = "SELECT amount, ends FROM limit_entries WHERE tenant = ? AND name = ? AND kind = ? AND ends > ? \
               ORDER BY ends LIMIT ?";
    let kind = charge.limit.count().to_string();
    let values = [(&**tenant).into(), (&**name).into(), kind.into(), state.now.into(), excess.min(MOST_ENTRIES).into()];
    let mut freed = 0_u64;
    for row in tx.fetch_all(sql, &values).await? {
        freed = freed.saturating_add(row.unsigned("amount")?);
        if freed >= excess {
            return Ok(until(row.time("ends")?));
        }
    }
    Ok(per)
}

async fn write(tx: &mut Tx, request: &Reserve, taken: &[Taken], state: &State) -> Result<(), DbError> {
    let reservation = request.id.id.to_string();
    let mut entries: Vec<Vec<Val<'_>>> = Vec::new();
    for taken in taken.iter().filter(|taken| taken.amount > 0) {
        let ends = match taken.kind {
            CountKind::Window(per) => state.now + delta(per),
            CountKind::Leases => state.now + delta(request.ttl),
            CountKind::Budget(_) => continue,
        };
        let (tenant, name) = ((&*taken.key.tenant).into(), (&*taken.key.name).into());
        let amount = bounded(taken.amount).into();
        entries.push(vec![tenant, name, taken.kind.to_string().into(), (&reservation).into(), amount, ends.into()]);
    }
    let into = "INSERT INTO limit_entries (tenant, name, kind, reservation, amount, ends) VALUES";
    tx.insert_many(into, entries, "").await?;
    for ((key, kind), (used, ends)) in &state.used {
        if matches!(kind, CountKind::Budget(_)) {
            set(tx, key, *kind, *used, *ends).await?;
        }
    }
    let settled: Vec<&Taken> = taken.iter().filter(|taken| !matches!(taken.kind, CountKind::Window(_))).collect();
    let charges: Value =
        serde_json::to_value(settled).map_err(|error| DbError::Schema { message: error.to_string() })?;
    let ends = state.now + delta(request.ttl);
    let ttl_ms = u64::try_from(delta(request.ttl).num_milliseconds()).unwrap_or_default();
    let sql = "INSERT INTO limit_reservations (id, charges, ttl_ms, ends) VALUES (?, ?, ?, ?) \
               ON CONFLICT (id) DO UPDATE SET charges = excluded.charges, ttl_ms = excluded.ttl_ms, ends = excluded.ends";
    tx.execute(sql, &[(&reservation).into(), charges.into(), ttl_ms.into(), ends.into()]).await?;
    Ok(())
}

/// Sets what is spent of a budget.
pub(super) async fn set(
    tx: &mut Tx,
    key: &LimitKey,
    kind: CountKind,
    amount: u64,
    ends: DateTime<Utc>,
) -> Result<(), DbError> {
    let sql = "UPDATE limit_counts SET amount = ?, ends = ? WHERE tenant = ? AND name = ? AND kind = ?";
    let kind = kind.to_string();
    let values = [bounded(amount).into(), ends.into(), (&*key.tenant).into(), (&*key.name).into(), kind.into()];
    tx.execute(sql, &values).await?;
    Ok(())
}
