//! The rows of counts: locked, and read as they are then.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    db::{DbError, Row, Tx, Val, placeholders},
    limit::{Charge, CountKind, LimitKey},
};

/// Which count.
pub(super) type Id = (LimitKey, CountKind);

/// Most of one count: what the databases' numbers hold, with room for sums.
const MOST: u64 = 1 << 53;

/// The counts of some charges.
pub(super) fn ids(charges: &[Charge]) -> BTreeSet<Id> {
    charges.iter().map(|charge| (charge.key.clone(), charge.limit.count())).collect()
}

/// An amount that the tables can hold.
pub(super) fn bounded(amount: u64) -> u64 {
    amount.min(MOST)
}

/// What a reservation took, as far as it can be given back or corrected.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Taken {
    pub(super) key: LimitKey,
    pub(super) kind: CountKind,
    pub(super) amount: u64,
    /// When the period ends that a budget's amount was taken from.
    pub(super) period_ends: Option<DateTime<Utc>>,
}

/// A row of `limit_counts`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Counted {
    /// Of a budget: what is spent.
    pub(super) amount: u64,
    /// In the period that ends then.
    pub(super) ends: DateTime<Utc>,
}

/// Locks the rows of counts, in their order, and makes those that are not there.
pub(super) async fn lock(tx: &mut Tx, ids: &BTreeSet<Id>) -> Result<BTreeMap<Id, Counted>, DbError> {
    let now = tx.dialect().now();
    let row = format!("(?, ?, ?, 0, {now})");
    let sql = format!(
        "INSERT INTO limit_counts (tenant, name, kind, amount, ends) VALUES {} \
         ON CONFLICT (tenant, name, kind) DO UPDATE SET amount = limit_counts.amount \
         RETURNING tenant, name, kind, amount, ends",
        vec![row.as_str(); ids.len()].join(", ")
    );
    let rows = tx.fetch_all(&sql, &names(ids)).await?;
    let mut counted = BTreeMap::new();
    for row in &rows {
        if let Some(id) = named(row, ids)? {
            counted.insert(id.clone(), Counted { amount: row.unsigned("amount")?, ends: row.time("ends")? });
        }
    }
    Ok(counted)
}

/// Which of the counts a row is about.
fn named<'i>(row: &Row, ids: &'i BTreeSet<Id>) -> Result<Option<&'i Id>, DbError> {
    let (tenant, name, kind) = (row.text("tenant")?, row.text("name")?, row.text("kind")?);
    let is_same = |(key, of): &&Id| *key.tenant == tenant && *key.name == name && of.to_string() == kind;
    Ok(ids.iter().find(is_same))
}

/// Three values for each count.
pub(super) fn names(ids: &BTreeSet<Id>) -> Vec<Val<'_>> {
    let names = ids.iter().map(|(key, kind)| [Val::from(&*key.tenant), Val::from(&*key.name), kind.to_string().into()]);
    names.flatten().collect()
}

/// What is used of windows and leases, and the database's time, as one statement saw them.
pub(super) struct Seen {
    pub(super) now: DateTime<Utc>,
    /// When the reservation ends, if it is there.
    pub(super) held: Option<DateTime<Utc>>,
    /// What is used, and when the first of it is free.
    pub(super) used: BTreeMap<Id, (u64, DateTime<Utc>)>,
}

/// Reads what is used of counts that are locked.
pub(super) async fn see(tx: &mut Tx, reservation: &str, ids: &BTreeSet<Id>) -> Result<Seen, DbError> {
    let sql = format!(
        "WITH clock AS MATERIALIZED (SELECT {now} AS now), wanted (tenant, name, kind) AS (VALUES {rows}) \
         SELECT clock.now AS now, (SELECT r.ends FROM limit_reservations AS r WHERE r.id = ?) AS held, \
         w.tenant AS tenant, w.name AS name, w.kind AS kind, \
         CAST(SUM(e.amount) AS BIGINT) AS used, MIN(e.ends) AS first \
         FROM clock CROSS JOIN wanted AS w LEFT JOIN limit_entries AS e \
         ON e.tenant = w.tenant AND e.name = w.name AND e.kind = w.kind AND e.ends > clock.now \
         GROUP BY clock.now, w.tenant, w.name, w.kind",
        now = tx.dialect().now(),
        rows = vec![format!("({})", placeholders(3)); ids.len()].join(", "),
    );
    let mut values = names(ids);
    values.push(reservation.into());
    let rows = tx.fetch_all(&sql, &values).await?;
    let nothing = || DbError::Schema { message: "the database says nothing of its time".into() };
    let first = rows.first().ok_or_else(nothing)?;
    let mut seen = Seen { now: first.time("now")?, held: first.optional_time("held")?, used: BTreeMap::new() };
    for row in &rows {
        let Some(first) = row.optional_time("first")? else { continue };
        if let Some(id) = named(row, ids)? {
            seen.used.insert(id.clone(), (row.unsigned("used")?, first));
        }
    }
    Ok(seen)
}
