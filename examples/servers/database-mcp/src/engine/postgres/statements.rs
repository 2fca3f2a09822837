//! Which statements take most: by `pg_stat_statements` where it is there, else by what runs now.

use std::collections::HashMap;

use sqlx::{AssertSqlSafe, PgConnection, Row as _, postgres::PgRow};

use super::{super::session::Trouble, Top};
use crate::{
    args::{Ranking, TopArguments},
    history::{MAX_QUERIES, QuerySample, Sample},
    report::QueryStat,
};

/// How to turn it on.
pub(super) const HOW: &str = "To record statements, set shared_preload_libraries = 'pg_stat_statements' in \
     postgresql.conf, restart the server, and run CREATE EXTENSION pg_stat_statements in this database.";

/// What is known of the extension.
enum Extension {
    /// It records; this is its schema, quoted.
    Records(String),
    /// It does not, and this is why.
    Missing(String),
}

async fn extension(tx: &mut PgConnection) -> Result<Extension, sqlx::Error> {
    let row = sqlx::query(
        "SELECT quote_ident(n.nspname) AS schema, string_to_array(e.extversion, '.')::int[] >= ARRAY[1, 8] AS is_new,
           coalesce(current_setting('shared_preload_libraries', true), '') LIKE '%pg_stat_statements%' AS is_loaded
         FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'pg_stat_statements'",
    );
    let Some(row) = row.fetch_optional(&mut *tx).await? else {
        return Ok(Extension::Missing(format!("The extension pg_stat_statements is not installed here. {HOW}")));
    };
    if !row.try_get::<bool, _>("is_new")? {
        let why = "pg_stat_statements is older than 1.8: run ALTER EXTENSION pg_stat_statements UPDATE.";
        return Ok(Extension::Missing(why.into()));
    }
    if !row.try_get::<Option<bool>, _>("is_loaded")?.unwrap_or(false) {
        return Ok(Extension::Missing(format!("The library of pg_stat_statements is not loaded. {HOW}")));
    }
    Ok(Extension::Records(row.try_get("schema")?))
}

pub(super) async fn top(tx: &mut PgConnection, wanted: &TopArguments) -> Result<Top, Trouble> {
    let mut top = match extension(tx).await? {
        Extension::Records(schema) => recorded(tx, &schema, wanted).await?,
        Extension::Missing(why) => running(tx, wanted, why).await?,
    };
    if wanted.schema_filter.is_some() {
        top.notes.push("PostgreSQL records no schema for a statement: schema_filter was not applied.".into());
    }
    Ok(top)
}

async fn recorded(tx: &mut PgConnection, schema: &str, wanted: &TopArguments) -> Result<Top, Trouble> {
    let mut notes = Vec::new();
    let order = match wanted.metric {
        Ranking::Elapsed => "total_exec_time",
        Ranking::Average => "mean_exec_time",
        Ranking::Executions => "calls",
        Ranking::Reads => "shared_blks_read",
        Ranking::BufferGets => "shared_blks_hit + shared_blks_read",
        Ranking::Cpu | Ranking::RowsExamined => {
            notes.push(format!("PostgreSQL does not record {}: statements are ranked by time.", wanted.metric.id()));
            "total_exec_time"
        }
    };
    let sql = format!(
        "SELECT queryid::text AS sql_id, query, calls::float8 AS executions, total_exec_time AS elapsed_ms,
           mean_exec_time AS avg_ms, max_exec_time AS max_ms, rows::float8 AS rows_returned,
           (shared_blks_hit + shared_blks_read)::float8 AS buffer_gets, shared_blks_read::float8 AS reads,
           100 * total_exec_time / nullif(sum(total_exec_time) OVER (), 0) AS share_percent
         FROM {schema}.pg_stat_statements
         WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
           AND (NOT $1 OR query !~* '\\m(pg_catalog|pg_stat_\\w+|pg_class|pg_proc|pg_extension|pg_database)\\M'
             AND query !~* '^\\s*(BEGIN|COMMIT|ROLLBACK|SET|SHOW|RESET|DISCARD|EXPLAIN|PREPARE|DEALLOCATE|START)\\M')
         ORDER BY {order} DESC NULLS LAST LIMIT $2"
    );
    let rows = sqlx::query(AssertSqlSafe(sql)).bind(wanted.exclude_sys).bind(i64::from(wanted.limit));
    let rows = rows.fetch_all(&mut *tx).await?;
    if let Some(minutes) = wanted.time_range_minutes {
        notes.push(format!(
            "pg_stat_statements counts since it was last reset, so the last {minutes} minutes could not be told apart."
        ));
    }
    if wanted.module_filter.is_some() {
        notes.push("pg_stat_statements records no program: module_filter was not applied.".into());
    }
    let queries = rows.iter().map(stat).collect::<Result<_, _>>()?;
    Ok(Top { source: "pg_stat_statements".into(), queries, notes })
}

fn stat(row: &PgRow) -> Result<QueryStat, sqlx::Error> {
    Ok(QueryStat {
        sql_id: row.try_get("sql_id")?,
        query: row.try_get::<Option<String>, _>("query")?.unwrap_or_default(),
        executions: row.try_get("executions")?,
        elapsed_ms: row.try_get("elapsed_ms")?,
        avg_ms: row.try_get("avg_ms")?,
        max_ms: row.try_get("max_ms")?,
        rows_returned: row.try_get("rows_returned")?,
        buffer_gets: row.try_get("buffer_gets")?,
        reads: row.try_get("reads")?,
        share_percent: row.try_get("share_percent")?,
        ..QueryStat::default()
    })
}

/// What runs now, the longest first.
async fn running(tx: &mut PgConnection, wanted: &TopArguments, why: String) -> Result<Top, Trouble> {
    let rows = sqlx::query(
        "SELECT query, 1000 * extract(epoch FROM clock_timestamp() - query_start)::float8 AS elapsed_ms,
           nullif(application_name, '') AS module
         FROM pg_stat_activity
         WHERE state = 'active' AND pid <> pg_backend_pid() AND datname = current_database()
           AND backend_type = 'client backend' AND ($1::text IS NULL OR application_name = $1)
         ORDER BY query_start LIMIT $2",
    );
    let rows = rows.bind(&wanted.module_filter).bind(i64::from(wanted.limit)).fetch_all(&mut *tx).await?;
    let stat = |row: &PgRow| {
        Ok(QueryStat {
            query: row.try_get::<Option<String>, _>("query")?.unwrap_or_default(),
            elapsed_ms: row.try_get("elapsed_ms")?,
            module: row.try_get("module")?,
            ..QueryStat::default()
        })
    };
    let queries = rows.iter().map(stat).collect::<Result<_, sqlx::Error>>()?;
    let notes = vec![why, "Until then only what runs at this moment can be told, the longest first.".into()];
    Ok(Top { source: "pg_stat_activity, what runs now".into(), queries, notes })
}

/// The counters of the database now.
pub(super) async fn sample(tx: &mut PgConnection) -> Result<Sample, Trouble> {
    let row = sqlx::query(
        "SELECT (SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND datname = current_database()
             AND pid <> pg_backend_pid())::float8 AS active,
           blks_hit::float8 AS hits, (blks_hit + blks_read)::float8 AS reads, tup_returned::float8 AS rows_read
         FROM pg_stat_database WHERE datname = current_database()",
    );
    let row = row.fetch_one(&mut *tx).await?;
    let mut sample = Sample {
        active_sessions: row.try_get("active")?,
        cache_hits: row.try_get("hits")?,
        cache_reads: row.try_get("reads")?,
        rows_examined: row.try_get("rows_read")?,
        ..Sample::default()
    };
    if let Extension::Records(schema) = extension(tx).await? {
        counters(tx, &schema, &mut sample).await?;
    }
    Ok(sample)
}

async fn counters(tx: &mut PgConnection, schema: &str, sample: &mut Sample) -> Result<(), sqlx::Error> {
    let sql = format!(
        "SELECT queryid::text AS sql_id, calls::float8 AS executions, total_exec_time AS elapsed_ms,
           sum(calls::float8) OVER () AS all_executions, sum(total_exec_time) OVER () AS all_elapsed_ms
         FROM {schema}.pg_stat_statements
         WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
         ORDER BY total_exec_time DESC LIMIT $1"
    );
    let rows = sqlx::query(AssertSqlSafe(sql)).bind(MAX_QUERIES as i64).fetch_all(&mut *tx).await?;
    let mut queries = HashMap::new();
    for row in &rows {
        sample.executions = row.try_get("all_executions")?;
        sample.elapsed_ms = row.try_get("all_elapsed_ms")?;
        let counters = QuerySample {
            executions: row.try_get("executions")?,
            elapsed_ms: row.try_get("elapsed_ms")?,
            ..QuerySample::default()
        };
        if let Some(id) = row.try_get::<Option<String>, _>("sql_id")? {
            queries.insert(id, counters);
        }
    }
    sample.queries = queries;
    Ok(())
}
