//! How a PostgreSQL database is.

use sqlx::{PgConnection, Row as _, postgres::PgRow};

use super::{super::session::Trouble, Examined};
use crate::{
    Kind,
    finding::{Finding, Severity},
    report::{Metric, Wait},
    text::{measure, number, rounded},
};

/// Below this share of blocks found in memory it is worth looking.
const FEW_HITS: f64 = 95.0;
/// From this share of connections on there may soon be none.
const FULL: f64 = 80.0;
/// A transaction that is open for so many seconds is long.
const LONG_SECONDS: f64 = 300.0;
/// Transactions until numbers run out, of which half a billion is much.
const OLD_AGE: f64 = 500_000_000.0;

pub(super) async fn examine(tx: &mut PgConnection) -> Result<Examined, Trouble> {
    let mut examined = Examined { version: super::version(tx).await?, ..Examined::default() };
    database(tx, &mut examined).await?;
    sessions(tx, &mut examined).await?;
    waits(tx, &mut examined).await?;
    scans(tx, &mut examined).await?;
    dead_rows(tx, &mut examined).await?;
    unused_indexes(tx, &mut examined).await?;
    examined.notes.push("PostgreSQL does not tell how busy processors are; its host does.".into());
    Ok(examined)
}

fn float(row: &PgRow, name: &str) -> Result<f64, sqlx::Error> {
    Ok(row.try_get::<Option<f64>, _>(name)?.unwrap_or_default())
}

async fn database(tx: &mut PgConnection, examined: &mut Examined) -> Result<(), Trouble> {
    let row = sqlx::query(
        "SELECT blks_hit::float8 AS hits, blks_read::float8 AS misses, xact_commit::float8 AS commits,
           xact_rollback::float8 AS rollbacks, deadlocks::float8 AS deadlocks, temp_bytes::float8 AS temp_bytes,
           pg_database_size(datid)::float8 AS size, age(d.datfrozenxid)::float8 AS age,
           extract(epoch FROM now() - pg_postmaster_start_time())::float8 AS uptime
         FROM pg_stat_database s JOIN pg_database d ON d.oid = s.datid WHERE s.datname = current_database()",
    );
    let row = row.fetch_one(&mut *tx).await?;
    let (hits, misses) = (float(&row, "hits")?, float(&row, "misses")?);
    let metrics = &mut examined.metrics;
    metrics.push(Metric::new("uptime_seconds", "Up for", float(&row, "uptime")?, "s"));
    metrics.push(Metric::new("size_bytes", "Size", float(&row, "size")?, "bytes"));
    let hit_percent = if hits + misses > 0.0 { 100.0 * hits / (hits + misses) } else { 100.0 };
    metrics.push(Metric::new("buffer_cache_hit_ratio", "Blocks found in memory", hit_percent, "%"));
    metrics.push(Metric::new("commits", "Transactions committed", float(&row, "commits")?, ""));
    metrics.push(Metric::new("rollbacks", "Transactions rolled back", float(&row, "rollbacks")?, ""));
    metrics.push(Metric::new("deadlocks", "Deadlocks", float(&row, "deadlocks")?, ""));
    metrics.push(Metric::new("temp_bytes", "Written to temporary files", float(&row, "temp_bytes")?, "bytes"));
    if hit_percent < FEW_HITS && misses > 10_000.0 {
        let message = format!("Only {} % of blocks are found in memory.", number(rounded(hit_percent, 1)));
        let finding = Finding::new("cache_hit_ratio", Severity::Medium, message);
        examined.findings.push(finding.advice("Raise shared_buffers, or spare full scans (see below)."));
    }
    let age = float(&row, "age")?;
    if age > OLD_AGE {
        let message = format!("The oldest transaction number is {} transactions old.", number(age));
        let finding = Finding::new("wraparound", Severity::High, message);
        examined.findings.push(finding.advice("Vacuum before numbers run out.").statement("VACUUM (FREEZE);"));
    }
    Ok(())
}

async fn sessions(tx: &mut PgConnection, examined: &mut Examined) -> Result<(), Trouble> {
    let row = sqlx::query(
        "SELECT count(*)::float8 AS total, (count(*) FILTER (WHERE state = 'active'))::float8 AS active,
           (count(*) FILTER (WHERE state LIKE 'idle in transaction%'))::float8 AS idle_in_transaction,
           (count(*) FILTER (WHERE cardinality(pg_blocking_pids(pid)) > 0))::float8 AS blocked,
           (max(extract(epoch FROM now() - xact_start)) FILTER (WHERE pid <> pg_backend_pid()))::float8 AS oldest,
           current_setting('max_connections')::float8 AS most
         FROM pg_stat_activity WHERE backend_type = 'client backend'",
    );
    let row = row.fetch_one(&mut *tx).await?;
    let (total, most, oldest) = (float(&row, "total")?, float(&row, "most")?, float(&row, "oldest")?);
    let (blocked, idle) = (float(&row, "blocked")?, float(&row, "idle_in_transaction")?);
    let metrics = &mut examined.metrics;
    metrics.push(Metric::new("active_sessions", "Active sessions", float(&row, "active")?, ""));
    metrics.push(Metric::new("sessions", "Sessions", total, ""));
    metrics.push(Metric::new("max_sessions", "Most sessions", most, ""));
    metrics.push(Metric::new("idle_in_transaction", "Idle within a transaction", idle, ""));
    metrics.push(Metric::new("blocked_sessions", "Blocked sessions", blocked, ""));
    metrics.push(Metric::new("oldest_transaction_seconds", "Oldest open transaction", oldest, "s"));
    if most > 0.0 && 100.0 * total / most >= FULL {
        let message = format!("{} of {} connections are taken.", number(total), number(most));
        let finding = Finding::new("connections", Severity::High, message);
        examined.findings.push(finding.advice("Put a pooler in front (PgBouncer), or close idle connections."));
    }
    if blocked > 0.0 {
        let message = format!("{} sessions wait for locks of others.", number(blocked));
        let finding = Finding::new("blocked", Severity::High, message);
        let statement = "SELECT pid, pg_blocking_pids(pid), query FROM pg_stat_activity WHERE cardinality(pg_blocking_pids(pid)) > 0;";
        examined.findings.push(finding.advice("See who blocks whom.").statement(statement));
    }
    if oldest > LONG_SECONDS {
        let message = format!("A transaction has been open for {}.", measure(rounded(oldest, 0), "s"));
        let finding = Finding::new("long_transaction", Severity::Medium, message);
        examined.findings.push(finding.advice("It keeps dead rows from being removed: find its session and end it."));
    }
    Ok(())
}

async fn waits(tx: &mut PgConnection, examined: &mut Examined) -> Result<(), Trouble> {
    let rows = sqlx::query(
        "SELECT wait_event_type || ': ' || wait_event AS event, count(*)::float8 AS count FROM pg_stat_activity
         WHERE state = 'active' AND wait_event IS NOT NULL AND pid <> pg_backend_pid() GROUP BY 1 ORDER BY 2 DESC LIMIT 5",
    );
    for row in rows.fetch_all(&mut *tx).await? {
        let (event, count) = (row.try_get("event")?, row.try_get("count")?);
        examined.waits.push(Wait { event, count, total_ms: None });
    }
    Ok(())
}

/// Large tables that are mostly read whole.
async fn scans(tx: &mut PgConnection, examined: &mut Examined) -> Result<(), Trouble> {
    let rows = sqlx::query(
        "SELECT relname::text AS name, seq_scan::float8 AS scans, seq_tup_read::float8 / seq_scan AS rows_each,
           coalesce(idx_scan, 0)::float8 AS by_index
         FROM pg_stat_user_tables
         WHERE seq_scan >= 10 AND n_live_tup >= 10000 AND seq_tup_read / seq_scan >= 5000
         ORDER BY seq_tup_read DESC LIMIT 5",
    );
    for row in rows.fetch_all(&mut *tx).await? {
        let name: String = row.try_get("name")?;
        let message = format!(
            "{name} was read whole {} times, about {} rows each ({} times by an index).",
            number(float(&row, "scans")?),
            number(rounded(float(&row, "rows_each")?, 0)),
            number(float(&row, "by_index")?)
        );
        let finding = Finding::new("full_scans", Severity::Medium, message).of(&name);
        examined.findings.push(finding.advice("Find the queries (get_top_queries) and analyse them."));
    }
    Ok(())
}

async fn dead_rows(tx: &mut PgConnection, examined: &mut Examined) -> Result<(), Trouble> {
    let rows = sqlx::query(
        "SELECT schemaname::text AS schema, relname::text AS name, n_dead_tup::float8 AS dead, n_live_tup::float8 AS live
         FROM pg_stat_user_tables WHERE n_dead_tup > 10000 AND n_dead_tup > n_live_tup / 5
         ORDER BY n_dead_tup DESC LIMIT 5",
    );
    for row in rows.fetch_all(&mut *tx).await? {
        let (schema, name): (String, String) = (row.try_get("schema")?, row.try_get("name")?);
        let (dead, live) = (float(&row, "dead")?, float(&row, "live")?);
        let message = format!("{name} has {} dead rows beside {} live ones.", number(dead), number(live));
        let table = format!("{}.{}", Kind::Postgres.quote(&schema), Kind::Postgres.quote(&name));
        let finding = Finding::new("dead_rows", Severity::Medium, message).of(&name);
        let finding = finding.advice("See why autovacuum does not keep up.");
        examined.findings.push(finding.statement(format!("VACUUM (ANALYZE) {table};")));
    }
    Ok(())
}

async fn unused_indexes(tx: &mut PgConnection, examined: &mut Examined) -> Result<(), Trouble> {
    let rows = sqlx::query(
        "SELECT s.indexrelname::text AS name, s.relname::text AS tbl, pg_relation_size(s.indexrelid)::float8 AS size
         FROM pg_stat_user_indexes s JOIN pg_index i USING (indexrelid)
         WHERE s.idx_scan = 0 AND NOT i.indisunique AND pg_relation_size(s.indexrelid) >= 8388608
         ORDER BY 3 DESC LIMIT 5",
    );
    for row in rows.fetch_all(&mut *tx).await? {
        let (name, table): (String, String) = (row.try_get("name")?, row.try_get("tbl")?);
        let size = measure(float(&row, "size")?, "bytes");
        let message = format!("The index {name} of {table} ({size}) was never used since statistics began.");
        let finding = Finding::new("unused_index", Severity::Low, message).of(&table);
        examined.findings.push(finding.advice("Drop it, if no replica uses it: every write pays for it."));
    }
    Ok(())
}
