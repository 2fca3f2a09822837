//! The table `omni_query_stats`, in which applications record what SQLite does not: one row for each query and
//! interval. The README has its definition.

use chrono::{DateTime, NaiveDateTime, Utc};
use sqlx::{Row as _, SqliteConnection, sqlite::SqliteRow};

use super::{super::session::Trouble, Recorded, Top};
use crate::{
    args::{Ranking, TopArguments},
    history::Interval,
    report::QueryStat,
};

/// How times are written there, in UTC.
pub(super) const TIME: &str = "%Y-%m-%d %H:%M:%S";
/// Most rows of a trend.
const MAX_ROWS: i64 = 20_000;

pub(super) async fn has_stats(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    let found = sqlx::query("SELECT 1 FROM pragma_table_list WHERE schema = 'main' AND name = 'omni_query_stats'");
    Ok(found.fetch_optional(connection).await?.is_some())
}

fn missing(name: &str) -> Trouble {
    Trouble::Unsupported(format!(
        "SQLite keeps no statistics of queries, and {name} has no table omni_query_stats in which an application \
         would record them: (recorded_at, sql_id, query, executions, elapsed_ms, max_ms, cpu_ms, rows_examined, \
         rows_returned, module), one row for each query and interval, recorded_at in UTC as YYYY-MM-DD HH:MM:SS"
    ))
}

pub(super) async fn top(connection: &mut SqliteConnection, name: &str, wanted: &TopArguments) -> Result<Top, Trouble> {
    if !has_stats(connection).await? {
        return Err(missing(name));
    }
    let order = match wanted.metric {
        Ranking::Average => "elapsed_ms / executions",
        Ranking::Cpu => "cpu_ms",
        Ranking::RowsExamined => "rows_examined",
        Ranking::Executions => "executions",
        Ranking::Elapsed | Ranking::Reads | Ranking::BufferGets => "elapsed_ms",
    };
    let sql = format!(
        "SELECT *, 100.0 * elapsed_ms / total(elapsed_ms) OVER () AS share FROM (
           SELECT sql_id, max(query) AS query, total(executions) AS executions, total(elapsed_ms) AS elapsed_ms,
             max(max_ms) AS max_ms, total(cpu_ms) AS cpu_ms, total(rows_examined) AS rows_examined,
             total(rows_returned) AS rows_returned, max(recorded_at) AS last_seen, max(module) AS module
           FROM omni_query_stats
           WHERE (?1 IS NULL OR recorded_at >= datetime('now', ?1)) AND (?2 IS NULL OR module = ?2)
           GROUP BY sql_id HAVING total(executions) > 0
         ) ORDER BY {order} DESC LIMIT ?3"
    );
    let back = wanted.time_range_minutes.map(|minutes| format!("-{minutes} minutes"));
    let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(back).bind(&wanted.module_filter);
    let rows = query.bind(i64::from(wanted.limit)).fetch_all(connection).await?;
    let queries = rows.iter().map(stat).collect::<Result<_, _>>()?;
    let mut notes = Vec::new();
    if matches!(wanted.metric, Ranking::Reads | Ranking::BufferGets) {
        notes.push("Blocks are not recorded there: queries are ranked by time.".into());
    }
    if wanted.schema_filter.is_some() {
        notes.push("Schemas are not recorded there: schema_filter was not applied.".into());
    }
    Ok(Top { source: "the table omni_query_stats".into(), queries, notes })
}

fn stat(row: &SqliteRow) -> Result<QueryStat, sqlx::Error> {
    let float = |name: &str| row.try_get::<Option<f64>, _>(name);
    let (executions, elapsed) = (float("executions")?, float("elapsed_ms")?);
    Ok(QueryStat {
        sql_id: row.try_get("sql_id")?,
        query: row.try_get("query")?,
        avg_ms: elapsed.zip(executions).map(|(elapsed, executions)| elapsed / executions),
        executions,
        elapsed_ms: elapsed,
        max_ms: float("max_ms")?,
        cpu_ms: float("cpu_ms")?,
        rows_examined: float("rows_examined")?,
        rows_returned: float("rows_returned")?,
        share_percent: float("share")?,
        last_seen: row.try_get("last_seen")?,
        module: row.try_get("module")?,
        ..QueryStat::default()
    })
}

pub(super) async fn recorded(
    connection: &mut SqliteConnection,
    name: &str,
    since: DateTime<Utc>,
    sql_id: Option<&str>,
) -> Result<Recorded, Trouble> {
    if !has_stats(connection).await? {
        return Err(missing(name));
    }
    let rows = sqlx::query(
        "SELECT recorded_at, total(executions) AS executions, total(elapsed_ms) AS elapsed_ms,
           total(cpu_ms) AS cpu_ms, total(rows_examined) AS rows_examined
         FROM omni_query_stats WHERE recorded_at >= ?1 AND (?2 IS NULL OR sql_id = ?2)
         GROUP BY recorded_at ORDER BY recorded_at DESC LIMIT ?3",
    );
    let since = since.format(TIME).to_string();
    let rows = rows.bind(since).bind(sql_id).bind(MAX_ROWS).fetch_all(connection).await?;
    let intervals: Vec<Interval> =
        rows.iter().rev().filter_map(|row| interval(row).transpose()).collect::<Result<_, _>>()?;
    Ok(Recorded { source: "the table omni_query_stats".into(), intervals })
}

/// One interval; nothing for a row whose time is none.
fn interval(row: &SqliteRow) -> Result<Option<Interval>, sqlx::Error> {
    let at: String = row.try_get("recorded_at")?;
    let Ok(at) = NaiveDateTime::parse_from_str(&at, TIME) else { return Ok(None) };
    Ok(Some(Interval {
        at: at.and_utc(),
        executions: row.try_get("executions")?,
        elapsed_ms: row.try_get("elapsed_ms")?,
        cpu_ms: row.try_get("cpu_ms")?,
        rows_examined: row.try_get("rows_examined")?,
        ..Interval::default()
    }))
}
