//! How a SQLite file is.

use std::time::Duration;

use sqlx::{Row as _, SqliteConnection};

use super::{
    super::session::Trouble,
    Examined, stats,
    tables::{self, quoted},
};
use crate::{
    finding::{Finding, Severity},
    query::TableUse,
    report::Metric,
    text::{number, rounded},
};

/// Most tables that are looked at.
const MAX_TABLES: i64 = 200;
/// From this share of free pages on, VACUUM is worth it.
const MUCH_FREE: f64 = 0.25;
/// A table of so many rows should have an index.
const MANY_ROWS: f64 = 1_000.0;
/// By how much queries have to be slower than before to be told of.
const SLOWER: f64 = 1.5;

pub(super) async fn examine(connection: &mut SqliteConnection, range: Duration) -> Result<Examined, Trouble> {
    let mut examined = Examined { version: super::version(connection).await?, ..Examined::default() };
    file(connection, &mut examined).await?;
    tables(connection, &mut examined).await?;
    if stats::has_stats(connection).await? {
        load(connection, range, &mut examined).await?;
    } else {
        let note = "SQLite keeps no statistics of queries; an application can record them in a table omni_query_stats.";
        examined.notes.push(note.into());
    }
    examined.notes.push("SQLite runs within its application: it has no sessions or processors of its own.".into());
    Ok(examined)
}

async fn pragma(connection: &mut SqliteConnection, name: &'static str) -> Result<f64, sqlx::Error> {
    let value: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(format!("PRAGMA {name}"))).fetch_one(connection).await?;
    Ok(value as f64)
}

async fn file(connection: &mut SqliteConnection, examined: &mut Examined) -> Result<(), Trouble> {
    let (pages, size) = (pragma(connection, "page_count").await?, pragma(connection, "page_size").await?);
    let free = pragma(connection, "freelist_count").await?;
    examined.metrics.push(Metric::new("size_bytes", "Size", pages * size, "bytes"));
    let share = if pages > 0.0 { free / pages } else { 0.0 };
    examined.metrics.push(Metric::new("free_percent", "Free within the file", share * 100.0, "%"));
    if share >= MUCH_FREE && pages > 1_000.0 {
        let message = format!("{} % of the file is free pages.", number(rounded(share * 100.0, 0)));
        let finding = Finding::new("free_pages", Severity::Low, message);
        examined.findings.push(finding.advice("Give them back when nobody writes.").statement("VACUUM;"));
    }
    let mode: String = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(connection).await?;
    if mode != "wal" && mode != "memory" {
        let message = format!("The journal mode is {mode}: whoever writes keeps readers waiting.");
        let finding = Finding::new("journal_mode", Severity::Low, message);
        examined.findings.push(
            finding.advice("Readers and a writer go together in WAL mode.").statement("PRAGMA journal_mode = WAL;"),
        );
    }
    Ok(())
}

async fn tables(connection: &mut SqliteConnection, examined: &mut Examined) -> Result<(), Trouble> {
    let names = sqlx::query_scalar(
        "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND name NOT LIKE 'sqlite_%' AND name <> 'omni_query_stats'
         ORDER BY name LIMIT ?",
    );
    let names: Vec<String> = names.bind(MAX_TABLES).fetch_all(&mut *connection).await?;
    let (mut rows, mut indexes, mut without) = (0.0, 0, Vec::new());
    for name in &names {
        let table = TableUse { schema: Some("main".into()), name: name.clone() };
        let Some(info) = tables::info(connection, &table).await? else { continue };
        rows += info.rows.unwrap_or_default();
        indexes += info.indexes.len();
        if info.has_statistics == Some(false) && info.rows.is_some_and(|rows| rows >= MANY_ROWS) {
            without.push(info.name.clone());
        }
        let has_own = info.indexes.iter().any(|index| index.name != "PRIMARY KEY");
        if !has_own && info.rows.is_some_and(|rows| rows >= MANY_ROWS) {
            let count = number(info.rows.unwrap_or_default());
            let message = format!("{name} has about {count} rows and no index beside its key.");
            let finding = Finding::new("no_index", Severity::Medium, message).of(name);
            examined
                .findings
                .push(finding.advice("See what its queries compare (get_top_queries, analyze_sqlite_query)."));
        }
    }
    examined.metrics.push(Metric::new("tables", "Tables", names.len() as f64, ""));
    examined.metrics.push(Metric::new("indexes", "Indexes", indexes as f64, ""));
    examined.metrics.push(Metric::new("rows", "Rows, about", rows, ""));
    if !without.is_empty() {
        let message = format!("There are no statistics of {}: plans are guesses.", without.join(", "));
        let finding = Finding::new("no_statistics", Severity::Low, message);
        let statement = without.iter().map(|name| format!("ANALYZE {};", quoted(name))).collect::<Vec<_>>().join(" ");
        examined.findings.push(finding.advice("Gather them.").statement(statement));
    }
    Ok(())
}

/// What was recorded lately, beside the day before.
async fn load(connection: &mut SqliteConnection, range: Duration, examined: &mut Examined) -> Result<(), Trouble> {
    let minutes = range.as_secs() / 60;
    let row = sqlx::query(
        "WITH last(at) AS (SELECT max(recorded_at) FROM omni_query_stats),
           s AS (SELECT *, recorded_at > datetime((SELECT at FROM last), ?1) AS is_now FROM omni_query_stats
                 WHERE recorded_at > datetime((SELECT at FROM last), ?1, '-1 day'))
         SELECT (SELECT at FROM last) AS at,
           total(CASE WHEN is_now THEN executions END) AS executions,
           total(CASE WHEN is_now THEN elapsed_ms END) AS elapsed_ms,
           total(CASE WHEN is_now THEN cpu_ms END) AS cpu_ms,
           total(CASE WHEN is_now THEN rows_examined END) AS rows_examined,
           total(CASE WHEN is_now THEN rows_returned END) AS rows_returned,
           total(CASE WHEN NOT is_now THEN executions END) AS before_executions,
           total(CASE WHEN NOT is_now THEN elapsed_ms END) AS before_elapsed_ms
         FROM s",
    );
    let row = row.bind(format!("-{minutes} minutes")).fetch_one(connection).await?;
    let float = |name: &str| row.try_get::<f64, _>(name);
    let (executions, elapsed) = (float("executions")?, float("elapsed_ms")?);
    if executions <= 0.0 {
        examined.notes.push("Nothing is recorded in omni_query_stats lately.".into());
        return Ok(());
    }
    let average = elapsed / executions;
    let metrics = &mut examined.metrics;
    metrics.push(Metric::new("executions", "Queries lately", executions, ""));
    metrics.push(Metric::new("queries_per_second", "Queries a second", executions / (minutes as f64 * 60.0), ""));
    metrics.push(Metric::new("avg_elapsed_ms", "Time of a query", average, "ms"));
    metrics.push(Metric::new("cpu_seconds", "Processor time", float("cpu_ms")? / 1_000.0, "s"));
    let (examined_rows, returned) = (float("rows_examined")?, float("rows_returned")?);
    if returned > 0.0 {
        metrics.push(Metric::new("rows_per_result", "Rows read for each returned", examined_rows / returned, ""));
    }
    let before = float("before_elapsed_ms")? / float("before_executions")?.max(1.0);
    if before > 0.0 && average >= before * SLOWER {
        let message = format!(
            "Queries take {} ms each lately, {} times as long as the day before.",
            number(rounded(average, 1)),
            number(rounded(average / before, 1))
        );
        let finding = Finding::new("slower", Severity::High, message);
        examined.findings.push(finding.advice("See which (get_top_queries) and since when (get_performance_trends)."));
    }
    if returned > 0.0 && examined_rows / returned >= 100.0 {
        let message =
            format!("{} rows are read for each that is returned.", number(rounded(examined_rows / returned, 0)));
        let finding = Finding::new("reads_much", Severity::Medium, message);
        examined
            .findings
            .push(finding.advice("Queries read tables whole: analyse those that take most (get_top_queries)."));
    }
    Ok(())
}
