//! Which statements take most, by `V$SQL`, and the counters of the instance.

use oracle::{Connection, Row, sql_type::ToSql};

use super::{super::session::Trouble, Top};
use crate::{
    args::{Ranking, TopArguments},
    history::{MAX_QUERIES, QuerySample, Sample},
    report::QueryStat,
};

pub(super) fn top(connection: &Connection, wanted: &TopArguments) -> Result<Top, Trouble> {
    let mut notes = Vec::new();
    let order = match wanted.metric {
        Ranking::Elapsed => "elapsed_time",
        Ranking::Average => "elapsed_time / GREATEST(executions, 1)",
        Ranking::Cpu => "cpu_time",
        Ranking::Reads => "disk_reads",
        Ranking::BufferGets => "buffer_gets",
        Ranking::Executions => "executions",
        Ranking::RowsExamined => {
            notes.push("Oracle does not record rows_examined: statements are ranked by buffer_gets.".into());
            "buffer_gets"
        }
    };
    let sql = format!(
        "SELECT sql_id, SUBSTR(sql_text, 1, 1000), executions, elapsed_time / 1000, cpu_time / 1000, rows_processed,
           buffer_gets, disk_reads, 100 * RATIO_TO_REPORT(elapsed_time) OVER (),
           TO_CHAR(CAST(SYS_EXTRACT_UTC(CAST(last_active_time AS TIMESTAMP WITH LOCAL TIME ZONE)) AS DATE), \
         'YYYY-MM-DD HH24:MI:SS'), module
         FROM v$sql
         WHERE (:1 IS NULL OR last_active_time >= SYSDATE - :2 / 1440)
           AND (:3 = 0 OR parsing_schema_name NOT IN ('SYS', 'SYSTEM', 'DBSNMP', 'SYSMAN', 'XDB', 'MDSYS'))
           AND (:4 IS NULL OR parsing_schema_name = UPPER(:5)) AND (:6 IS NULL OR module = :7)
         ORDER BY {order} DESC NULLS LAST FETCH FIRST {} ROWS ONLY",
        wanted.limit
    );
    let (minutes, own) = (wanted.time_range_minutes, i32::from(wanted.exclude_sys));
    let (schema, module) = (&wanted.schema_filter, &wanted.module_filter);
    let values: [&dyn ToSql; 7] = [&minutes, &minutes, &own, schema, schema, module, module];
    let rows = connection.query(&sql, &values)?;
    let queries = rows.map(|row| stat(&row?)).collect::<Result<_, Trouble>>()?;
    Ok(Top { source: "V$SQL".into(), queries, notes })
}

fn stat(row: &Row) -> Result<QueryStat, Trouble> {
    let (executions, elapsed): (Option<f64>, Option<f64>) = (row.get(2)?, row.get(3)?);
    Ok(QueryStat {
        sql_id: row.get(0)?,
        query: row.get::<_, Option<String>>(1)?.unwrap_or_default(),
        executions,
        elapsed_ms: elapsed,
        avg_ms: elapsed.zip(executions).map(|(elapsed, executions)| elapsed / executions.max(1.0)),
        cpu_ms: row.get(4)?,
        rows_returned: row.get(5)?,
        buffer_gets: row.get(6)?,
        reads: row.get(7)?,
        share_percent: row.get(8)?,
        last_seen: row.get(9)?,
        module: row.get(10)?,
        ..QueryStat::default()
    })
}

/// A counter of the instance.
pub(super) fn counter(connection: &Connection, name: &str) -> Result<Option<f64>, Trouble> {
    let mut rows = connection.query_as::<Option<f64>>("SELECT value FROM v$sysstat WHERE name = :1", &[&name])?;
    Ok(rows.next().transpose()?.flatten())
}

/// How busy the processors of the host are, as the instance measures it.
pub(super) fn cpu_percent(connection: &Connection) -> Result<Option<f64>, Trouble> {
    let mut rows = connection.query_as::<Option<f64>>(
        "SELECT value FROM v$sysmetric WHERE metric_name = 'Host CPU Utilization (%)' ORDER BY intsize_csec FETCH FIRST 1 ROWS ONLY",
        &[],
    )?;
    Ok(rows.next().transpose()?.flatten())
}

pub(super) fn active(connection: &Connection) -> Result<f64, Trouble> {
    let sql = "SELECT COUNT(*) FROM v$session WHERE status = 'ACTIVE' AND type = 'USER'
         AND sid <> SYS_CONTEXT('USERENV', 'SID')";
    Ok(connection.query_row_as::<f64>(sql, &[])?)
}

/// The counters of the instance now.
pub(super) fn sample(connection: &Connection) -> Result<Sample, Trouble> {
    let reads = counter(connection, "session logical reads")?;
    let physical = counter(connection, "physical reads cache")?;
    let mut sample = Sample {
        active_sessions: Some(active(connection)?),
        cpu_percent: cpu_percent(connection)?,
        cache_hits: reads.zip(physical).map(|(reads, physical)| (reads - physical).max(0.0)),
        cache_reads: reads,
        executions: counter(connection, "execute count")?,
        // In hundredths of a second.
        elapsed_ms: counter(connection, "DB time")?.map(|hundredths| hundredths * 10.0),
        cpu_ms: counter(connection, "CPU used by this session")?.map(|hundredths| hundredths * 10.0),
        ..Sample::default()
    };
    let sql = format!(
        "SELECT sql_id, executions, elapsed_time / 1000, cpu_time / 1000 FROM v$sqlstats
         ORDER BY elapsed_time DESC FETCH FIRST {MAX_QUERIES} ROWS ONLY"
    );
    for row in connection.query(&sql, &[])? {
        let row = row?;
        let counters = QuerySample {
            executions: row.get(1)?,
            elapsed_ms: row.get(2)?,
            cpu_ms: row.get(3)?,
            ..QuerySample::default()
        };
        sample.queries.insert(row.get(0)?, counters);
    }
    Ok(sample)
}
