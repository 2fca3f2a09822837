//! Settling and renewing.

use std::{collections::BTreeSet, time::Duration};

use chrono::TimeDelta;

use super::{
    Failed,
    reserve::set,
    rows::{Id, Taken, lock, see},
};
use crate::{
    db::{Db, DbError, Row, Tx},
    limit::{CountKind, ReservationId, Settle},
};

pub(super) async fn settle(db: &Db, settle: &Settle) -> Result<(), Failed> {
    let reservation = settle.id.id.to_string();
    let mut tx = db.begin().await?;
    // What is over stays as it was reserved, whether or not it was swept.
    let sql =
        format!("DELETE FROM limit_reservations WHERE id = ? AND ends > {} RETURNING charges", db.dialect().now());
    let Some(row) = tx.fetch_optional(&sql, &[(&reservation).into()]).await? else { return Ok(()) };
    let taken = taken(&row)?;
    if settle.undo {
        tx.execute("DELETE FROM limit_entries WHERE reservation = ?", &[(&reservation).into()]).await?;
    } else if taken.iter().any(|taken| taken.kind == CountKind::Leases) {
        let sql = "DELETE FROM limit_entries WHERE reservation = ? AND kind = ?";
        tx.execute(sql, &[(&reservation).into(), CountKind::Leases.to_string().into()]).await?;
    }
    correct(&mut tx, &taken, settle).await?;
    tx.commit().await?;
    Ok(())
}

/// Sets budgets to what was really used, where their period still runs.
async fn correct(tx: &mut Tx, taken: &[Taken], settle: &Settle) -> Result<(), DbError> {
    let told = |taken: &Taken| settle.actuals.iter().find(|(key, _)| *key == taken.key).map(|(_, amount)| *amount);
    let actual = |taken: &Taken| if settle.undo { Some(0) } else { told(taken) };
    let budgets: Vec<(&Taken, u64)> = taken
        .iter()
        .filter(|taken| taken.period_ends.is_some())
        .filter_map(|taken| Some((taken, actual(taken)?)))
        .collect();
    if budgets.is_empty() {
        return Ok(());
    }
    let ids: BTreeSet<Id> = budgets.iter().map(|(taken, _)| (taken.key.clone(), taken.kind)).collect();
    let mut counted = lock(tx, &ids).await?;
    for (taken, actual) in budgets {
        let Some(count) = counted.get_mut(&(taken.key.clone(), taken.kind)) else { continue };
        if Some(count.ends) == taken.period_ends {
            count.amount = count.amount.saturating_sub(taken.amount).saturating_add(actual);
            set(tx, &taken.key, taken.kind, count.amount, count.ends).await?;
        }
    }
    Ok(())
}

pub(super) async fn renew(db: &Db, id: &ReservationId) -> Result<(), Failed> {
    let reservation = id.id.to_string();
    let mut tx = db.begin().await?;
    let sql = "SELECT charges, ttl_ms FROM limit_reservations WHERE id = ?";
    let Some(row) = tx.fetch_optional(sql, &[(&reservation).into()]).await? else { return Ok(()) };
    let leases = taken(&row)?.into_iter().filter(|taken| taken.kind == CountKind::Leases);
    let ids: BTreeSet<Id> = leases.map(|taken| (taken.key, taken.kind)).collect();
    if ids.is_empty() {
        return Ok(());
    }
    lock(&mut tx, &ids).await?;
    let seen = see(&mut tx, &reservation, &ids).await?;
    // A lease that has lapsed may be somebody else's by now.
    if seen.held.is_none_or(|ends| ends <= seen.now) {
        return Ok(());
    }
    let ttl = TimeDelta::from_std(Duration::from_millis(row.unsigned("ttl_ms")?)).unwrap_or_default();
    let ends = seen.now + ttl;
    let sql = "UPDATE limit_reservations SET ends = ? WHERE id = ?";
    tx.execute(sql, &[ends.into(), (&reservation).into()]).await?;
    let sql = "UPDATE limit_entries SET ends = ? WHERE reservation = ? AND kind = ?";
    tx.execute(sql, &[ends.into(), (&reservation).into(), CountKind::Leases.to_string().into()]).await?;
    tx.commit().await?;
    Ok(())
}

fn taken(row: &Row) -> Result<Vec<Taken>, DbError> {
    let charges = row.optional_json("charges")?.unwrap_or_default();
    serde_json::from_value(charges).map_err(|error| DbError::Schema { message: error.to_string() })
}
