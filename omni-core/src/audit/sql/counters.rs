//! The counters of `mcp_servers` and `mcp_tools`, which grow with the calls that are stored.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::super::CallEntry;
use crate::db::{DbError, Tx, Val};

/// How far the original's columns count.
const MOST: i64 = 2_000_000_000;

/// What a batch says of a server or a tool.
#[derive(Default)]
struct Count {
    total: i64,
    good: i64,
    duration_ms: i64,
    last: DateTime<Utc>,
}

impl Count {
    fn add(&mut self, call: &CallEntry) {
        self.total += 1;
        self.good += i64::from(call.status == "success");
        self.duration_ms = self.duration_ms.saturating_add(i64::try_from(call.duration_ms).unwrap_or(i64::MAX));
        self.last = self.last.max(call.created_at);
    }

    fn values(&self) -> [Val<'_>; 5] {
        let Self { total, good, duration_ms, .. } = self;
        [(*total).into(), (*good).into(), (total - good).into(), (*duration_ms).into(), (*total).into()]
    }
}

/// Adds calls to the counters of servers and tools that are known: what a caller or a model made up has
/// none, and what omni refused says nothing of a server. Rows come in one order, so that two processes never wait for each other in a circle.
pub(super) async fn add<'a>(tx: &mut Tx, calls: impl Iterator<Item = &'a CallEntry>) -> Result<(), DbError> {
    let mut servers: BTreeMap<&str, Count> = BTreeMap::new();
    let mut tools: BTreeMap<(&str, &str), Count> = BTreeMap::new();
    for call in calls.filter(|call| call.sent && !call.server.is_empty()) {
        servers.entry(&call.server).or_default().add(call);
        tools.entry((&call.server, &call.tool)).or_default().add(call);
    }
    for (name, count) in servers {
        let mut values = count.values().to_vec();
        values.extend([name.into(), MOST.into()]);
        tx.execute(SERVER, &values).await?;
    }
    for ((server, tool), count) in tools {
        let mut values = count.values().to_vec();
        values.extend([count.last.into(), tool.into(), server.into(), MOST.into()]);
        tx.execute(TOOL, &values).await?;
    }
    Ok(())
}

const SERVER: &str = "UPDATE mcp_servers SET total_requests = total_requests + ?,
    successful_requests = successful_requests + ?, failed_requests = failed_requests + ?,
    avg_response_time_ms = (CAST(coalesce(avg_response_time_ms, 0) AS BIGINT) * total_requests + ?)
        / (total_requests + ?)
    WHERE name = ? AND total_requests < ?";

const TOOL: &str = "UPDATE mcp_tools SET call_count = call_count + ?, success_count = success_count + ?,
    failure_count = failure_count + ?,
    avg_duration_ms = (CAST(coalesce(avg_duration_ms, 0) AS BIGINT) * call_count + ?) / (call_count + ?),
    last_called = ?
    WHERE name = ? AND mcp_server_id = (SELECT id FROM mcp_servers s WHERE s.name = ?) AND call_count < ?";
