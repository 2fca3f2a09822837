//! How an Oracle instance is.

use oracle::Connection;

use super::{super::session::Trouble, Examined, statements};
use crate::{
    finding::{Finding, Severity},
    report::{Metric, Wait},
    text::{number, rounded},
};

/// Below this share of blocks found in memory it is worth looking.
const FEW_HITS: f64 = 90.0;
/// From this share on processors are busy.
const BUSY: f64 = 85.0;

pub(super) fn examine(connection: &Connection) -> Result<Examined, Trouble> {
    let mut examined = Examined { version: super::version(connection)?, ..Examined::default() };
    processors(connection, &mut examined)?;
    memory(connection, &mut examined)?;
    sessions(connection, &mut examined)?;
    waits(connection, &mut examined)?;
    Ok(examined)
}

fn processors(connection: &Connection, examined: &mut Examined) -> Result<(), Trouble> {
    let Some(cpu) = statements::cpu_percent(connection)? else { return Ok(()) };
    examined.metrics.push(Metric::new("cpu_usage", "Processors busy", cpu, "%"));
    if cpu >= BUSY {
        let message = format!("The host's processors are {} % busy.", number(rounded(cpu, 0)));
        let finding = Finding::new("cpu", Severity::High, message);
        examined.findings.push(finding.advice("See which queries take most CPU (get_top_queries by cpu)."));
    }
    Ok(())
}

fn memory(connection: &Connection, examined: &mut Examined) -> Result<(), Trouble> {
    let reads = statements::counter(connection, "session logical reads")?.unwrap_or_default();
    let physical = statements::counter(connection, "physical reads cache")?.unwrap_or_default();
    let hits = if reads > 0.0 { 100.0 * (1.0 - physical / reads) } else { 100.0 };
    examined.metrics.push(Metric::new("buffer_cache_hit_ratio", "Blocks found in memory", hits, "%"));
    if hits < FEW_HITS {
        let message = format!("Only {} % of blocks are found in memory.", number(rounded(hits, 1)));
        let finding = Finding::new("cache_hit_ratio", Severity::Medium, message);
        examined.findings.push(finding.advice("Enlarge the buffer cache (V$DB_CACHE_ADVICE), or spare full scans."));
    }
    Ok(())
}

fn sessions(connection: &Connection, examined: &mut Examined) -> Result<(), Trouble> {
    let active = statements::active(connection)?;
    let sql =
        "SELECT COUNT(*), COUNT(blocking_session), (SELECT TO_NUMBER(value) FROM v$parameter WHERE name = 'sessions')
         FROM v$session WHERE type = 'USER'";
    let (total, blocked, most) = connection.query_row_as::<(f64, f64, f64)>(sql, &[])?;
    examined.metrics.push(Metric::new("active_sessions", "Active sessions", active, ""));
    examined.metrics.push(Metric::new("sessions", "Sessions", total, ""));
    examined.metrics.push(Metric::new("max_sessions", "Most sessions", most, ""));
    examined.metrics.push(Metric::new("blocked_sessions", "Blocked sessions", blocked, ""));
    if blocked > 0.0 {
        let message = format!("{} sessions wait for others.", number(blocked));
        let finding = Finding::new("blocked", Severity::High, message);
        let statement = "SELECT sid, blocking_session, sql_id FROM v$session WHERE blocking_session IS NOT NULL;";
        examined.findings.push(finding.advice("See who blocks whom.").statement(statement));
    }
    Ok(())
}

fn waits(connection: &Connection, examined: &mut Examined) -> Result<(), Trouble> {
    let rows = connection.query_as::<(String, f64, f64)>(
        "SELECT event, total_waits, time_waited_micro / 1000 FROM v$system_event
         WHERE wait_class <> 'Idle' ORDER BY time_waited_micro DESC FETCH FIRST 5 ROWS ONLY",
        &[],
    )?;
    for row in rows {
        let (event, count, ms) = row?;
        examined.waits.push(Wait { event, count, total_ms: Some(rounded(ms, 1)) });
    }
    Ok(())
}
