//! Keeping the sums: rows are added to them once, by their numbers.

use std::time::{Duration, Instant};

use super::{
    AnalyticsError,
    rollup::{Grain, ROLLUPS, Rollup, Source},
    span::day_and_month,
    sums::start_of,
};
use crate::db::{Db, DbError, Dialect, Tx, Val};

/// So few rows are read where they are.
const FEW: i64 = 2_000;
/// How long one question may sum up for the next ones.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long one question may sum up again what it cannot be answered without; the next one goes on from there.
pub(super) const RENEWED_WITHIN: Duration = Duration::from_secs(60);

/// How far a table is summed up, and which state of the sums that is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) id: i64,
    version: i64,
}

impl Mark {
    pub(super) async fn of(db: &Db, source: Source) -> Result<Self, DbError> {
        const QUERY: &str = "SELECT id, version FROM analytics_marks WHERE source = ?";
        let row = db.fetch_optional(QUERY, &[source.table().into()]).await?;
        row.map_or(Ok(Self { id: 0, version: 0 }), |row| Ok(Self { id: row.int("id")?, version: row.int("version")? }))
    }
}

/// Brings the sums up to date, as far as that is worth it and takes no longer than one may wait. Where rows of so many
/// days were removed that it has to take longer than this, there is no answer yet.
pub(super) async fn refresh(db: &Db, renewed_within: Duration) -> Result<(), AnalyticsError> {
    let began = Instant::now();
    for source in Source::ALL {
        if !renew(db, source, Some(began + renewed_within)).await? {
            return Err(AnalyticsError::Renewing);
        }
        loop {
            let (mark, last) = (Mark::of(db, source).await?, last(db, source).await?);
            if last - mark.id < FEW || began.elapsed() > PATIENCE {
                break;
            }
            // Where nothing can be kept, the rows are read where they are.
            match add(db, source).await {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    tracing::warn!(%error, table = source.table(), "sums for analytics are not brought up to date");
                    break;
                }
            }
        }
    }
    Ok(())
}

/// Sums up everything that there is, however long that takes.
pub(super) async fn catch_up(db: &Db) -> Result<(), DbError> {
    for source in Source::ALL {
        renew(db, source, None).await?;
        while Mark::of(db, source).await?.id < last(db, source).await? && add(db, source).await? {}
    }
    Ok(())
}

/// The greatest number of a table's rows.
async fn last(db: &Db, source: Source) -> Result<i64, DbError> {
    let sql = format!("SELECT coalesce(max(id), 0) AS id FROM {}", source.table());
    row_id(db.fetch_optional(&sql, &[]).await?)
}

fn row_id(row: Option<crate::db::Row>) -> Result<i64, DbError> {
    row.map_or(Ok(0), |row| row.int("id"))
}

/// Adds some rows. `false` where there are none, or it cannot be known now which ones are there.
async fn add(db: &Db, source: Source) -> Result<bool, DbError> {
    let Some(safe) = safe_last(db, source).await? else { return Ok(false) };
    let mut tx = db.begin().await?;
    let mark = locked_mark(&mut tx, source).await?;
    let end = safe.min(mark.saturating_add(portion(tx.dialect())));
    if end <= mark {
        return Ok(false);
    }
    for rollup in rollups_of(source) {
        for grain in rollup.grains {
            let condition = "r.id > ? AND r.id <= ?";
            tx.execute(&insertion(rollup, *grain, condition, tx.dialect()), &[mark.into(), end.into()]).await?;
        }
    }
    let moved = "UPDATE analytics_marks SET id = ?, version = version + 1 WHERE source = ?";
    tx.execute(moved, &[end.into(), source.table().into()]).await?;
    tx.commit().await?;
    Ok(true)
}

/// How many numbers one transaction adds: SQLite has one writer, who should not wait long.
fn portion(dialect: Dialect) -> i64 {
    match dialect {
        Dialect::Sqlite => 20_000,
        Dialect::Postgres => 200_000,
    }
}

/// The greatest number below which no row can appear any more. In PostgreSQL rows get their numbers before others can
/// see them: for a moment nobody may be writing.
async fn safe_last(db: &Db, source: Source) -> Result<Option<i64>, DbError> {
    if db.dialect() == Dialect::Sqlite {
        return last(db, source).await.map(Some);
    }
    let mut tx = db.begin().await?;
    tx.execute("SET LOCAL lock_timeout = '50ms'", &[]).await?;
    let lock = format!("LOCK TABLE {} IN SHARE MODE", source.table());
    if let Err(error) = tx.execute(&lock, &[]).await {
        tracing::debug!(%error, "sums are brought up to date later");
        return Ok(None);
    }
    let sql = format!("SELECT coalesce(max(id), 0) AS id FROM {}", source.table());
    let last = row_id(tx.fetch_optional(&sql, &[]).await?)?;
    tx.commit().await?;
    Ok(Some(last))
}

async fn locked_mark(tx: &mut Tx, source: Source) -> Result<i64, DbError> {
    let sql = format!("SELECT id FROM analytics_marks WHERE source = ? {}", tx.dialect().for_update());
    row_id(tx.fetch_optional(&sql, &[source.table().into()]).await?)
}

fn rollups_of(source: Source) -> impl Iterator<Item = &'static Rollup> {
    ROLLUPS.into_iter().filter(move |rollup| rollup.source == source)
}

/// The statement that adds the rows of a condition to what is there.
fn insertion(rollup: &Rollup, grain: Grain, condition: &str, dialect: Dialect) -> String {
    let Rollup { table, source, keys, sums, filter, .. } = rollup;
    let names = |columns: &[(&str, &str)]| columns.iter().map(|(name, _)| format!("{name}, ")).collect::<String>();
    let values: String = keys.iter().map(|(_, value)| format!("{value}, ")).collect();
    let added: String = sums.iter().map(|(_, value)| format!("sum({value}), ")).collect();
    let groups: String = (4..4 + keys.len()).map(|at| format!(", {at}")).collect();
    format!(
        "INSERT INTO {table} (grain, start, tenant, {}{}last_at)
         SELECT {}, {}, r.tenant, {values}{added}max(r.created_at) FROM {} r WHERE {condition} AND {filter}
         GROUP BY 2, 3{groups} {}",
        names(keys),
        names(sums),
        grain.number(),
        start_of(grain, dialect),
        source.table(),
        merged(rollup, dialect),
    )
}

fn merged(Rollup { table, keys, sums, .. }: &Rollup, dialect: Dialect) -> String {
    let greatest = match dialect {
        Dialect::Sqlite => "max",
        Dialect::Postgres => "greatest",
    };
    let keys: String = keys.iter().map(|(key, _)| format!(", {key}")).collect();
    let sums: String = sums.iter().map(|(sum, _)| format!("{sum} = {table}.{sum} + excluded.{sum}, ")).collect();
    format!(
        "ON CONFLICT (tenant, grain, start{keys}) DO UPDATE SET {sums}
         last_at = {greatest}({table}.last_at, excluded.last_at)"
    )
}

/// Sums up again the days of which rows were removed, all of them, or until then; whether that were all.
async fn renew(db: &Db, source: Source, until: Option<Instant>) -> Result<bool, DbError> {
    const STALE: &str = "SELECT day FROM analytics_stale WHERE source = ? ORDER BY day";
    for row in db.fetch_all(STALE, &[source.table().into()]).await? {
        if until.is_some_and(|until| Instant::now() > until) {
            return Ok(false);
        }
        renew_day(db, source, row.int("day")?).await?;
    }
    Ok(true)
}

async fn renew_day(db: &Db, source: Source, day: i64) -> Result<(), DbError> {
    let mut tx = db.begin().await?;
    // First: whoever removes rows of that day is waited for, and so is whoever sums it up.
    let done = "DELETE FROM analytics_stale WHERE source = ? AND day = ?";
    if tx.execute(done, &[source.table().into(), day.into()]).await? == 0 {
        return Ok(());
    }
    let mark = locked_mark(&mut tx, source).await?;
    for rollup in rollups_of(source) {
        for grain in rollup.grains {
            renew_portions(&mut tx, rollup, *grain, day, mark).await?;
        }
    }
    let moved = "UPDATE analytics_marks SET version = version + 1 WHERE source = ?";
    tx.execute(moved, &[source.table().into()]).await?;
    tx.commit().await
}

async fn renew_portions(tx: &mut Tx, rollup: &Rollup, grain: Grain, day: i64, mark: i64) -> Result<(), DbError> {
    let Some((span, month, (first, next))) = day_and_month(day) else { return Ok(()) };
    let dialect = tx.dialect();
    let (from, to) = match grain {
        Grain::Quarter => (day * 96, day * 96 + 96),
        Grain::Day => (day, day + 1),
        Grain::Month => (month, month + 1),
    };
    let clear = format!("DELETE FROM {} WHERE grain = {} AND start >= ? AND start < ?", rollup.table, grain.number());
    tx.execute(&clear, &[from.into(), to.into()]).await?;
    if grain == Grain::Month {
        return tx.execute(&of_days(rollup, month), &[first.into(), next.into()]).await.map(drop);
    }
    let rows = "r.created_at >= ? AND r.created_at < ? AND r.id <= ?";
    let values: [Val<'_>; 3] = [span.from.into(), span.to.into(), mark.into()];
    tx.execute(&insertion(rollup, grain, rows, dialect), &values).await.map(drop)
}

/// The statement that makes a month's sums of its days'.
fn of_days(Rollup { table, keys, sums, .. }: &Rollup, month: i64) -> String {
    let keys: String = keys.iter().map(|(key, _)| format!(", {key}")).collect();
    let names: String = sums.iter().map(|(sum, _)| format!(", {sum}")).collect();
    let added: String = sums.iter().map(|(sum, _)| format!(", sum({sum})")).collect();
    let month_grain = Grain::Month.number();
    format!(
        "INSERT INTO {table} (grain, start, tenant{keys}{names}, last_at)
         SELECT {month_grain}, {month}, tenant{keys}{added}, max(last_at) FROM {table}
         WHERE grain = {} AND start >= ? AND start < ? GROUP BY tenant{keys}",
        Grain::Day.number()
    )
}
