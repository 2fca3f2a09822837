//! Which statements take most: by `performance_schema` where it is on, else by what runs now.

use std::collections::HashMap;

use sqlx::{AssertSqlSafe, MySqlConnection, mysql::MySqlRow};

use super::{super::session::Trouble, Top, float, text};
use crate::{
    args::{Ranking, TopArguments},
    history::{MAX_QUERIES, QuerySample, Sample},
    report::QueryStat,
};

/// How to turn it on.
pub(super) const HOW: &str =
    "To record statements, set performance_schema = ON in the [mysqld] section of my.cnf and restart the server.";

/// Picoseconds in a millisecond.
const PICOSECONDS: &str = "1e9";

async fn is_recording(tx: &mut MySqlConnection) -> Result<bool, sqlx::Error> {
    let row = sqlx::query("SELECT @@performance_schema + 0e0").fetch_one(&mut *tx).await?;
    Ok(float(&row, 0)? == Some(1.0))
}

/// Whether the digests have processor times, which newer servers do.
async fn has_cpu(tx: &mut MySqlConnection) -> Result<bool, sqlx::Error> {
    let row = sqlx::query(
        "SELECT COUNT(*) + 0e0 FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = 'performance_schema'
         AND TABLE_NAME = 'events_statements_summary_by_digest' AND COLUMN_NAME = 'SUM_CPU_TIME'",
    );
    Ok(float(&row.fetch_one(&mut *tx).await?, 0)? == Some(1.0))
}

pub(super) async fn top(tx: &mut MySqlConnection, wanted: &TopArguments) -> Result<Top, Trouble> {
    if is_recording(tx).await? { recorded(tx, wanted).await } else { running(tx, wanted).await }
}

async fn recorded(tx: &mut MySqlConnection, wanted: &TopArguments) -> Result<Top, Trouble> {
    let has_cpu = has_cpu(tx).await?;
    let mut notes = Vec::new();
    let order = match wanted.metric {
        Ranking::Elapsed => "SUM_TIMER_WAIT",
        Ranking::Average => "AVG_TIMER_WAIT",
        Ranking::Executions => "COUNT_STAR",
        Ranking::RowsExamined => "SUM_ROWS_EXAMINED",
        Ranking::Cpu if has_cpu => "SUM_CPU_TIME",
        Ranking::Cpu | Ranking::Reads | Ranking::BufferGets => {
            notes.push(format!("This server does not record {}: statements are ranked by time.", wanted.metric.id()));
            "SUM_TIMER_WAIT"
        }
    };
    let cpu = if has_cpu { "SUM_CPU_TIME / 1e9" } else { "NULL" };
    let sql = format!(
        "SELECT DIGEST, DIGEST_TEXT, COUNT_STAR + 0e0, SUM_TIMER_WAIT / {PICOSECONDS}, AVG_TIMER_WAIT / {PICOSECONDS},
           MAX_TIMER_WAIT / {PICOSECONDS}, {cpu} + 0e0, SUM_ROWS_EXAMINED + 0e0, SUM_ROWS_SENT + 0e0,
           100e0 * SUM_TIMER_WAIT / (SELECT SUM(SUM_TIMER_WAIT) FROM performance_schema.events_statements_summary_by_digest),
           DATE_FORMAT(LAST_SEEN, '%Y-%m-%d %H:%i:%s')
         FROM performance_schema.events_statements_summary_by_digest
         WHERE DIGEST_TEXT IS NOT NULL AND (? IS NULL OR SCHEMA_NAME = ?)
           AND (? IS NULL OR LAST_SEEN >= NOW() - INTERVAL ? MINUTE)
           AND (NOT ? OR (DIGEST_TEXT NOT LIKE '%performance_schema%' AND DIGEST_TEXT NOT LIKE '%information_schema%'
             AND COALESCE(SCHEMA_NAME, '') NOT IN ('mysql', 'sys', 'performance_schema', 'information_schema')
             AND DIGEST_TEXT NOT REGEXP '^(SET|SHOW|COMMIT|ROLLBACK|START|BEGIN|EXPLAIN|ANALYZE|USE|SELECT @@|SELECT VERSION)'))
         ORDER BY {order} DESC LIMIT ?"
    );
    let query = sqlx::query(AssertSqlSafe(sql)).bind(&wanted.schema_filter).bind(&wanted.schema_filter);
    let query = query.bind(wanted.time_range_minutes).bind(wanted.time_range_minutes.unwrap_or_default());
    let rows = query.bind(wanted.exclude_sys).bind(wanted.limit).fetch_all(&mut *tx).await?;
    if wanted.time_range_minutes.is_some() {
        notes.push("Statements of that time are listed; their numbers count since the server started.".into());
    }
    if wanted.module_filter.is_some() {
        notes.push("Digests record no program: module_filter was not applied.".into());
    }
    let queries = rows.iter().map(stat).collect::<Result<_, _>>()?;
    Ok(Top { source: "performance_schema".into(), queries, notes })
}

fn stat(row: &MySqlRow) -> Result<QueryStat, sqlx::Error> {
    Ok(QueryStat {
        sql_id: text(row, 0)?,
        query: text(row, 1)?.unwrap_or_default(),
        executions: float(row, 2)?,
        elapsed_ms: float(row, 3)?,
        avg_ms: float(row, 4)?,
        max_ms: float(row, 5)?,
        cpu_ms: float(row, 6)?,
        rows_examined: float(row, 7)?,
        rows_returned: float(row, 8)?,
        share_percent: float(row, 9)?,
        last_seen: text(row, 10)?,
        ..QueryStat::default()
    })
}

/// What runs now, the longest first.
async fn running(tx: &mut MySqlConnection, wanted: &TopArguments) -> Result<Top, Trouble> {
    let rows = sqlx::query(
        "SELECT INFO, TIME * 1e3 FROM information_schema.PROCESSLIST
         WHERE INFO IS NOT NULL AND ID <> CONNECTION_ID() AND (? IS NULL OR DB = ?) ORDER BY TIME DESC LIMIT ?",
    );
    let rows = rows.bind(&wanted.schema_filter).bind(&wanted.schema_filter).bind(wanted.limit);
    let rows = rows.fetch_all(&mut *tx).await?;
    let stat = |row: &MySqlRow| {
        Ok(QueryStat { query: text(row, 0)?.unwrap_or_default(), elapsed_ms: float(row, 1)?, ..QueryStat::default() })
    };
    let queries = rows.iter().map(stat).collect::<Result<_, sqlx::Error>>()?;
    let notes = vec![
        format!("This server records no statements: performance_schema is off. {HOW}"),
        "Until then only what runs at this moment can be told, the longest first.".into(),
    ];
    Ok(Top { source: "the process list, what runs now".into(), queries, notes })
}

/// Status variables by name, as numbers.
pub(super) async fn status(tx: &mut MySqlConnection) -> Result<HashMap<String, f64>, sqlx::Error> {
    variables(&sqlx::query("SHOW GLOBAL STATUS").fetch_all(&mut *tx).await?)
}

/// Settings by name, those that are numbers.
pub(super) async fn settings(tx: &mut MySqlConnection) -> Result<HashMap<String, f64>, sqlx::Error> {
    variables(&sqlx::query("SHOW GLOBAL VARIABLES").fetch_all(&mut *tx).await?)
}

fn variables(rows: &[MySqlRow]) -> Result<HashMap<String, f64>, sqlx::Error> {
    let mut variables = HashMap::new();
    for row in rows {
        let value = text(row, 1)?.unwrap_or_default();
        let value = match value.as_str() {
            "ON" => Some(1.0),
            "OFF" => Some(0.0),
            other => other.parse().ok(),
        };
        if let (Some(name), Some(value)) = (text(row, 0)?, value) {
            variables.insert(name, value);
        }
    }
    Ok(variables)
}

/// The counters of the server now.
pub(super) async fn sample(tx: &mut MySqlConnection) -> Result<Sample, Trouble> {
    let status = status(tx).await?;
    let of = |name: &str| status.get(name).copied();
    let reads = of("Innodb_buffer_pool_read_requests");
    let mut sample = Sample {
        // This very statement is one of them.
        active_sessions: of("Threads_running").map(|running| (running - 1.0).max(0.0)),
        cache_hits: reads.zip(of("Innodb_buffer_pool_reads")).map(|(reads, misses)| (reads - misses).max(0.0)),
        cache_reads: reads,
        executions: of("Questions"),
        ..Sample::default()
    };
    if is_recording(tx).await? {
        digests(tx, &mut sample).await?;
    }
    Ok(sample)
}

async fn digests(tx: &mut MySqlConnection, sample: &mut Sample) -> Result<(), Trouble> {
    let all = sqlx::query(
        "SELECT SUM(COUNT_STAR) + 0e0, SUM(SUM_TIMER_WAIT) / 1e9, SUM(SUM_ROWS_EXAMINED) + 0e0
         FROM performance_schema.events_statements_summary_by_digest",
    );
    let all = all.fetch_one(&mut *tx).await?;
    sample.executions = float(&all, 0)?;
    sample.elapsed_ms = float(&all, 1)?;
    sample.rows_examined = float(&all, 2)?;
    let rows = sqlx::query(
        "SELECT DIGEST, SUM(COUNT_STAR) + 0e0, SUM(SUM_TIMER_WAIT) / 1e9, SUM(SUM_ROWS_EXAMINED) + 0e0
         FROM performance_schema.events_statements_summary_by_digest WHERE DIGEST IS NOT NULL
         GROUP BY DIGEST ORDER BY 3 DESC LIMIT ?",
    );
    for row in rows.bind(MAX_QUERIES as u32).fetch_all(&mut *tx).await? {
        let counters = QuerySample {
            executions: float(&row, 1)?,
            elapsed_ms: float(&row, 2)?,
            rows_examined: float(&row, 3)?,
            ..QuerySample::default()
        };
        if let Some(id) = text(&row, 0)? {
            sample.queries.insert(id, counters);
        }
    }
    Ok(())
}
