//! The tables `mcp_servers` and `mcp_tools`: how servers do, and what they offer. The counters in
//! them are the ledger's matter.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use chrono::Utc;

use super::{Health, ServerView, ToolDef};
use crate::{
    db::{DbError, Tx, Val, insert_many},
    people::Tables,
};

/// Who writes these rows.
const WRITER: &str = "omni";
/// Most characters of a name, and of a place, in the original's tables.
const MAX_NAME: usize = 255;
const MAX_PLACE: usize = 500;

/// What was seen of one server.
pub(super) struct Seen<'a> {
    pub(super) view: &'a ServerView,
    /// Where it is, without credentials.
    pub(super) place: String,
    /// Its tools, where they are to be written.
    pub(super) tools: Option<&'a Vec<Arc<ToolDef>>>,
}

/// Writes what was seen, all of it or nothing.
pub(super) async fn keep(tables: &Tables, seen: &[Seen<'_>]) -> Result<(), DbError> {
    let seen: Vec<&Seen<'_>> = seen.iter().filter(|seen| fits(&seen.view.name)).collect();
    let mut tx = tables.db().await?.begin().await?;
    let ids = servers(&mut tx, &seen).await?;
    for seen in &seen {
        let Some((id, counted)) = ids.get(&*seen.view.name) else { continue };
        if let Some(tools) = seen.tools {
            replace_tools(&mut tx, *id, tools).await?;
        }
        if *counted == 0 {
            count_before(&mut tx, *id, &seen.view.name).await?;
        }
    }
    tx.commit().await
}

fn fits(name: &str) -> bool {
    name.chars().count() <= MAX_NAME
}

/// The servers' rows, in the order of their names as everybody takes them; by name their numbers, and
/// how many requests were counted of each.
async fn servers(tx: &mut Tx, seen: &[&Seen<'_>]) -> Result<HashMap<String, (i64, i64)>, DbError> {
    const INTO: &str = "INSERT INTO mcp_servers (name, url, is_enabled, is_healthy, last_health_check, last_seen,
        consecutive_failures, updated_at, written_by) VALUES";
    const REST: &str = "ON CONFLICT (name) DO UPDATE SET url = excluded.url, is_enabled = excluded.is_enabled,
        is_healthy = excluded.is_healthy, written_by = excluded.written_by,
        last_health_check = coalesce(excluded.last_health_check, mcp_servers.last_health_check),
        last_seen = coalesce(excluded.last_seen, mcp_servers.last_seen),
        consecutive_failures = excluded.consecutive_failures, updated_at = excluded.updated_at
        RETURNING id, name, total_requests";
    let rows: Vec<_> = seen.iter().map(|seen| server_row(seen)).collect();
    let mut ids = HashMap::new();
    for (sql, values) in insert_many(tx.dialect(), INTO, rows, REST) {
        for row in tx.fetch_all(&sql, &values).await? {
            ids.insert(row.text("name")?, (row.int("id")?, row.int("total_requests")?));
        }
    }
    Ok(ids)
}

fn server_row<'a>(seen: &Seen<'a>) -> Vec<Val<'a>> {
    let view = seen.view;
    let place: String = seen.place.chars().take(MAX_PLACE).collect();
    vec![
        view.name.to_string().into(),
        place.into(),
        (view.health != Health::Disabled).into(),
        view.health.is_healthy().into(),
        Val::Time(view.checked_at),
        Val::Time(view.last_seen),
        i64::from(view.failures).into(),
        Utc::now().into(),
        WRITER.into(),
    ]
}

/// Switches off what a configuration has no more, of what omni wrote. Rows in the order of their names, as
/// everybody takes them; where there are none, which is nearly always, nothing is locked.
pub(super) async fn disable_others(tables: &Tables, names: &BTreeSet<Arc<str>>) -> Result<(), DbError> {
    const DISABLE: &str = "UPDATE mcp_servers SET is_enabled = ?, is_healthy = ?, updated_at = ? WHERE id = ?";
    let db = tables.db().await?;
    let order = db.dialect().by_bytes("name");
    let known = format!("SELECT id, name FROM mcp_servers WHERE is_enabled AND written_by = ? ORDER BY {order}");
    let mut gone = Vec::new();
    for row in db.fetch_all(&known, &[WRITER.into()]).await? {
        if !names.contains(&*row.text("name")?) {
            gone.push(row.int("id")?);
        }
    }
    if gone.is_empty() {
        return Ok(());
    }
    let mut tx = db.begin().await?;
    for id in gone {
        tx.execute(DISABLE, &[false.into(), false.into(), Utc::now().into(), id.into()]).await?;
    }
    tx.commit().await
}

/// The tools that a server has now; those that it has no more go.
async fn replace_tools(tx: &mut Tx, server: i64, tools: &[Arc<ToolDef>]) -> Result<(), DbError> {
    const INTO: &str =
        "INSERT INTO mcp_tools (mcp_server_id, name, description, input_schema, is_dangerous, discovered_at) VALUES";
    const REST: &str = "ON CONFLICT (mcp_server_id, name) DO UPDATE SET description = excluded.description,
        input_schema = excluded.input_schema, is_dangerous = excluded.is_dangerous";
    let of_server = [server.into()];
    let known = tx.fetch_all("SELECT name FROM mcp_tools WHERE mcp_server_id = ? ORDER BY name", &of_server).await?;
    for row in known {
        let name = row.text("name")?;
        if !tools.iter().any(|tool| *tool.name == *name) {
            let gone = [server.into(), name.into()];
            tx.execute("DELETE FROM mcp_tools WHERE mcp_server_id = ? AND name = ?", &gone).await?;
        }
    }
    let rows: Vec<_> = tools.iter().filter(|tool| fits(&tool.name)).map(|tool| tool_row(server, tool)).collect();
    tx.insert_many(INTO, rows, REST).await.map(drop)
}

/// Counts the calls that were stored before the server and its tools had rows.
async fn count_before(tx: &mut Tx, id: i64, server: &str) -> Result<(), DbError> {
    const SERVER: &str = "UPDATE mcp_servers SET total_requests = c.total, successful_requests = c.good,
        failed_requests = c.total - c.good, avg_response_time_ms = c.duration_ms
        FROM (SELECT count(*) AS total, sum(CASE WHEN status = 'success' THEN 1 ELSE 0 END) AS good,
            CAST(avg(duration_ms) AS INTEGER) AS duration_ms FROM tool_calls WHERE server = ? AND sent) c
        WHERE mcp_servers.id = ? AND c.total > 0";
    const TOOLS: &str = "UPDATE mcp_tools SET call_count = c.total, success_count = c.good,
        failure_count = c.total - c.good, avg_duration_ms = c.duration_ms, last_called = c.last
        FROM (SELECT tool, count(*) AS total, sum(CASE WHEN status = 'success' THEN 1 ELSE 0 END) AS good,
            CAST(avg(duration_ms) AS INTEGER) AS duration_ms, max(created_at) AS last
            FROM tool_calls WHERE server = ? AND sent GROUP BY tool) c
        WHERE mcp_tools.mcp_server_id = ? AND mcp_tools.name = c.tool";
    for sql in [SERVER, TOOLS] {
        tx.execute(sql, &[server.into(), id.into()]).await?;
    }
    Ok(())
}

fn tool_row(server: i64, tool: &ToolDef) -> Vec<Val<'_>> {
    vec![
        server.into(),
        tool.name.to_string().into(),
        (&tool.description).into(),
        serde_json::from_str::<serde_json::Value>(tool.input_schema.get()).ok().into(),
        tool.rule_ref().is_destructive.into(),
        Utc::now().into(),
    ]
}

#[cfg(test)]
mod tests;
