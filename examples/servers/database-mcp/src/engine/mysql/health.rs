//! How a MySQL or MariaDB server is.

use std::collections::HashMap;

use sqlx::MySqlConnection;

use super::{super::session::Trouble, Examined, float, statements, text};
use crate::{
    finding::{Finding, Severity},
    report::{Metric, Wait},
    text::{measure, number, rounded},
};

/// Below this share of pages found in memory it is worth looking.
const FEW_HITS: f64 = 95.0;
/// From this share of connections on there may soon be none.
const FULL: f64 = 80.0;
/// A statement that runs for so many seconds is long.
const LONG_SECONDS: f64 = 60.0;

pub(super) async fn examine(tx: &mut MySqlConnection) -> Result<Examined, Trouble> {
    let (status, settings) = (statements::status(tx).await?, statements::settings(tx).await?);
    let mut examined = Examined::default();
    let size = sqlx::query(
        "SELECT SUM(DATA_LENGTH + INDEX_LENGTH) + 0e0 FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE()",
    );
    let size = float(&size.fetch_one(&mut *tx).await?, 0)?;
    load(&status, size, &mut examined);
    memory(&status, &settings, &mut examined);
    sessions(&status, &settings, &mut examined);
    queries(&status, &settings, &mut examined);
    locks(&status, &mut examined);
    running(tx, &mut examined).await?;
    tables(tx, &mut examined).await?;
    if settings.get("performance_schema") != Some(&1.0) {
        examined.notes.push(format!("What statements take is not recorded. {}", statements::HOW));
    }
    examined.notes.push("The server does not tell how busy processors are; its host does.".into());
    Ok(examined)
}

type Values = HashMap<String, f64>;

fn of(values: &Values, name: &str) -> f64 {
    values.get(name).copied().unwrap_or_default()
}

fn load(status: &Values, size: Option<f64>, examined: &mut Examined) {
    let uptime = of(status, "Uptime");
    examined.metrics.push(Metric::new("uptime_seconds", "Up for", uptime, "s"));
    if let Some(size) = size {
        examined.metrics.push(Metric::new("size_bytes", "Size", size, "bytes"));
    }
    let rate = if uptime > 0.0 { of(status, "Questions") / uptime } else { 0.0 };
    examined.metrics.push(Metric::new("queries_per_second", "Queries a second", rate, ""));
}

fn memory(status: &Values, settings: &Values, examined: &mut Examined) {
    let (reads, misses) = (of(status, "Innodb_buffer_pool_read_requests"), of(status, "Innodb_buffer_pool_reads"));
    let hits = if reads > 0.0 { 100.0 * (1.0 - misses / reads) } else { 100.0 };
    let pool = of(settings, "innodb_buffer_pool_size");
    examined.metrics.push(Metric::new("buffer_cache_hit_ratio", "Pages found in memory", hits, "%"));
    examined.metrics.push(Metric::new("buffer_pool_bytes", "Buffer pool", pool, "bytes"));
    if hits < FEW_HITS && misses > 10_000.0 {
        let message = format!("Only {} % of pages are found in memory.", number(rounded(hits, 1)));
        let finding = Finding::new("cache_hit_ratio", Severity::Medium, message);
        let advice = format!("Raise innodb_buffer_pool_size ({} now), or spare full scans.", measure(pool, "bytes"));
        examined.findings.push(finding.advice(advice));
    }
}

fn sessions(status: &Values, settings: &Values, examined: &mut Examined) {
    let (connected, most) = (of(status, "Threads_connected"), of(settings, "max_connections"));
    let used = of(status, "Max_used_connections");
    examined.metrics.push(Metric::new("active_sessions", "Active sessions", of(status, "Threads_running"), ""));
    examined.metrics.push(Metric::new("sessions", "Sessions", connected, ""));
    examined.metrics.push(Metric::new("max_used_sessions", "Most sessions so far", used, ""));
    examined.metrics.push(Metric::new("max_sessions", "Most sessions", most, ""));
    if most > 0.0 && 100.0 * connected / most >= FULL {
        let message = format!("{} of {} connections are taken.", number(connected), number(most));
        let finding = Finding::new("connections", Severity::High, message);
        examined.findings.push(finding.advice("Close idle connections, or raise max_connections."));
    }
}

fn queries(status: &Values, settings: &Values, examined: &mut Examined) {
    let (temporary, on_disk) = (of(status, "Created_tmp_tables"), of(status, "Created_tmp_disk_tables"));
    let share = if temporary > 0.0 { 100.0 * on_disk / temporary } else { 0.0 };
    examined.metrics.push(Metric::new("slow_queries", "Slow queries", of(status, "Slow_queries"), ""));
    examined.metrics.push(Metric::new("temporary_on_disk_percent", "Temporary tables on disk", share, "%"));
    let joins = of(status, "Select_full_join");
    examined.metrics.push(Metric::new("full_joins", "Joins without an index", joins, ""));
    if share >= 25.0 && on_disk > 1_000.0 {
        let message = format!("{} % of temporary tables went to disk.", number(rounded(share, 0)));
        let finding = Finding::new("temporary_on_disk", Severity::Medium, message);
        examined
            .findings
            .push(finding.advice("Raise tmp_table_size and max_heap_table_size, or return fewer columns."));
    }
    if of(settings, "slow_query_log") != 1.0 {
        let message = "The slow query log is off.";
        let finding = Finding::new("slow_query_log", Severity::Low, message);
        let finding = finding.advice("Turn it on to find slow statements later.");
        examined.findings.push(finding.statement("SET GLOBAL slow_query_log = ON;"));
    }
}

fn locks(status: &Values, examined: &mut Examined) {
    let (waits, ms) = (of(status, "Innodb_row_lock_waits"), of(status, "Innodb_row_lock_time"));
    let now = of(status, "Innodb_row_lock_current_waits");
    if waits > 0.0 {
        examined.waits.push(Wait { event: "InnoDB row locks".into(), count: waits, total_ms: Some(ms) });
    }
    examined.metrics.push(Metric::new("blocked_sessions", "Waiting for row locks", now, ""));
    examined.metrics.push(Metric::new("deadlocks", "Deadlocks", of(status, "Innodb_deadlocks"), ""));
    if now > 0.0 {
        let message = format!("{} statements wait for row locks of others.", number(now));
        let finding = Finding::new("blocked", Severity::High, message);
        examined.findings.push(finding.advice("See who blocks whom.").statement("SHOW ENGINE INNODB STATUS;"));
    }
}

async fn running(tx: &mut MySqlConnection, examined: &mut Examined) -> Result<(), Trouble> {
    let row = sqlx::query(
        "SELECT COUNT(*) + 0e0, MAX(TIME) + 0e0 FROM information_schema.PROCESSLIST
         WHERE COMMAND = 'Query' AND ID <> CONNECTION_ID() AND TIME >= ?",
    );
    let row = row.bind(LONG_SECONDS).fetch_one(&mut *tx).await?;
    let (count, longest) = (float(&row, 0)?.unwrap_or_default(), float(&row, 1)?.unwrap_or_default());
    if count > 0.0 {
        let message = format!(
            "{} statements run for more than a minute, the longest for {}.",
            number(count),
            measure(longest, "s")
        );
        let finding = Finding::new("long_statements", Severity::Medium, message);
        examined.findings.push(finding.advice("See them with get_top_queries or SHOW FULL PROCESSLIST."));
    }
    Ok(())
}

/// Tables without a primary key.
async fn tables(tx: &mut MySqlConnection, examined: &mut Examined) -> Result<(), Trouble> {
    let rows = sqlx::query(
        "SELECT t.TABLE_NAME FROM information_schema.TABLES t
         LEFT JOIN information_schema.STATISTICS s
           ON s.TABLE_SCHEMA = t.TABLE_SCHEMA AND s.TABLE_NAME = t.TABLE_NAME AND s.INDEX_NAME = 'PRIMARY'
         WHERE t.TABLE_SCHEMA = DATABASE() AND t.TABLE_TYPE = 'BASE TABLE' AND s.INDEX_NAME IS NULL
         ORDER BY t.TABLE_ROWS DESC LIMIT 5",
    );
    for row in rows.fetch_all(&mut *tx).await? {
        let name = text(&row, 0)?.unwrap_or_default();
        let finding = Finding::new("no_primary_key", Severity::Medium, format!("{name} has no primary key.")).of(&name);
        examined.findings.push(finding.advice("Give it one: replication and row look-ups need it."));
    }
    Ok(())
}
