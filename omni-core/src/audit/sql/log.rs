//! The tables that people query: reading them, and comparing them with the records.

use std::{collections::BTreeMap, net::IpAddr};

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::{
    super::{
        AuditError, AuditQuery, AuditStats, CallEntry, FAILURES, LogEntry, LogPage, MAX_PAGE, SealedRecord,
        entry::Entries,
        query::{ADMIN, CHAT, Group, Sums},
    },
    stale, truth,
};
use crate::{
    db::{Db, DbError, Dialect, Row, Val},
    ledger::Record,
};

const LOG: &str =
    "l.id, l.request_id, l.created_at, l.tenant, l.user_email, l.user_role, l.actor, l.source, l.x_source,
    l.user_agent, CAST(l.ip_address AS TEXT) AS ip_address,
    l.slack_channel, l.slack_user_id, l.slack_message_ts, l.slack_thread_ts,
    l.request_type, l.message_preview, l.model, l.iterations, l.tool_calls_count, l.tools_used,
    l.mcps_accessed, l.tokens_input, l.tokens_output, l.tokens_cached, l.tokens_cache_write,
    CAST(l.cost_estimate AS DOUBLE PRECISION) AS cost_estimate, l.cost_nano_usd, l.cost_is_estimated, l.mcp_target,
    l.tool_called, l.success, l.status, l.warning, l.duration_ms, l.response_preview, l.error_message, l.was_blocked,
    l.block_reason";

/// What of an entry may be long, and what stands in its place where it is not wanted.
const LONG: &str = "l.message, l.tool_params";
const NOT_LONG: &str = "NULL AS message, NULL AS tool_params";

fn log_entry(row: &Row) -> Result<LogEntry, DbError> {
    let number = |column| Ok::<_, DbError>(row.optional_int(column)?.and_then(|n| u64::try_from(n).ok()));
    Ok(LogEntry {
        id: row.int("id")?,
        request_id: request_id(row)?,
        created_at: row.time("created_at")?,
        tenant: row.text("tenant")?,
        user_email: row.optional_text("user_email")?,
        user_role: row.optional_text("user_role")?,
        actor: row.optional_text("actor")?,
        source: row.optional_text("source")?,
        x_source: row.optional_text("x_source")?,
        user_agent: row.optional_text("user_agent")?,
        ip_address: row.optional_text("ip_address")?.as_deref().and_then(address),
        slack_channel: row.optional_text("slack_channel")?,
        slack_user_id: row.optional_text("slack_user_id")?,
        slack_message_ts: row.optional_text("slack_message_ts")?,
        slack_thread_ts: row.optional_text("slack_thread_ts")?,
        request_type: row.text("request_type")?,
        message: row.optional_text("message")?,
        message_preview: row.optional_text("message_preview")?,
        model: row.optional_text("model")?,
        iterations: number("iterations")?.unwrap_or(0),
        tool_calls_count: number("tool_calls_count")?.unwrap_or(0),
        tools_used: row.texts("tools_used")?,
        mcps_accessed: row.texts("mcps_accessed")?,
        tokens_input: number("tokens_input")?.unwrap_or(0),
        tokens_output: number("tokens_output")?.unwrap_or(0),
        tokens_cached: number("tokens_cached")?.unwrap_or(0),
        tokens_cache_write: number("tokens_cache_write")?.unwrap_or(0),
        cost_estimate: row.optional_float("cost_estimate")?,
        cost_nano_usd: number("cost_nano_usd")?,
        cost_is_estimated: row.bool("cost_is_estimated")?,
        mcp_target: row.optional_text("mcp_target")?,
        tool_called: row.optional_text("tool_called")?,
        tool_params: row.optional_json("tool_params")?,
        success: row.bool("success")?,
        status: row.text("status")?,
        warning: row.optional_text("warning")?,
        duration_ms: number("duration_ms")?.unwrap_or(0),
        response_preview: row.optional_text("response_preview")?,
        error_message: row.optional_text("error_message")?,
        was_blocked: row.bool("was_blocked")?,
        block_reason: row.optional_text("block_reason")?,
    })
}

const CALL: &str = "id, request_id, created_at, tenant, user_email, server, tool, arguments, status, rule, duration_ms,
    bytes, sent, CAST(cost_estimate AS DOUBLE PRECISION) AS cost_estimate, cost_nano_usd, error";

fn call_entry(row: &Row) -> Result<CallEntry, DbError> {
    let number = |column| Ok::<_, DbError>(row.optional_int(column)?.and_then(|n| u64::try_from(n).ok()));
    Ok(CallEntry {
        id: row.int("id")?,
        request_id: request_id(row)?,
        created_at: row.time("created_at")?,
        tenant: row.text("tenant")?,
        user_email: row.optional_text("user_email")?,
        server: row.text("server")?,
        tool: row.text("tool")?,
        arguments: row.optional_json("arguments")?.unwrap_or_default(),
        status: row.text("status")?,
        sent: row.bool("sent")?,
        rule: row.optional_text("rule")?,
        duration_ms: number("duration_ms")?.unwrap_or(0),
        bytes: number("bytes")?,
        cost_estimate: row.optional_float("cost_estimate")?,
        cost_nano_usd: number("cost_nano_usd")?,
        error: row.optional_text("error")?,
    })
}

/// PostgreSQL writes the mask of an address too.
fn address(text: &str) -> Option<IpAddr> {
    text.split('/').next()?.parse().ok()
}

/// Whether a text is the address of one host, as either database spells it.
fn is_host(text: &str) -> bool {
    let (host, mask) = text.split_once('/').map_or((text, None), |(host, mask)| (host, Some(mask)));
    let bits = |host: IpAddr| if host.is_ipv4() { "32" } else { "128" };
    host.parse().is_ok_and(|host| mask.is_none_or(|mask| mask == bits(host)))
}

/// Rows that are older than omni belong to no request that it knows.
fn request_id(row: &Row) -> Result<Uuid, DbError> {
    Ok(row.optional_text("request_id")?.and_then(|id| id.parse().ok()).unwrap_or_default())
}

/// Conditions, and what they are about.
struct Conditions<'a> {
    sql: Vec<String>,
    values: Vec<Val<'a>>,
}

impl<'a> Conditions<'a> {
    fn of(query: &'a AuditQuery, dialect: Dialect) -> Self {
        let mut all = Self { sql: Vec::new(), values: Vec::new() };
        let columns = [
            ("l.tenant", &query.tenant),
            ("l.user_email", &query.user),
            ("l.status", &query.status),
            ("l.request_type", &query.request_type),
            ("coalesce(l.source, 'unknown')", &query.source),
        ];
        for (column, wanted) in columns {
            if let Some(wanted) = wanted {
                all.add(format!("{column} = ?"), [wanted.into()]);
            }
        }
        if query.failed {
            all.add("l.status IN (?, ?, ?)".into(), FAILURES.map(Val::from));
        }
        if let Some(request_id) = query.request_id {
            all.add("l.request_id = ?".into(), [request_id.to_string().into()]);
        }
        if let Some(server) = &query.server {
            let used = holds(dialect, "l.mcps_accessed", "one.value = ?");
            all.add(format!("(l.mcp_target = ? OR {used})"), [server.into(), server.into()]);
        }
        if let Some(tool) = &query.tool {
            // LIKE would find other letters in SQLite, where upper and lower case are the same to it.
            let is_tool = |it: &str| format!("({it} = ? OR substr({it}, length({it}) - CAST(? AS INTEGER) + 1) = ?)");
            let (direct, used) = (is_tool("(l.mcp_target || '.' || l.tool_called)"), is_tool("one.value"));
            let end = format!(".{tool}");
            let [a, b, c] = [Val::from(tool), (end.chars().count() as u64).into(), end.into()];
            let values = [a.clone(), b.clone(), c.clone(), a, b, c];
            all.add(format!("({direct} OR {})", holds(dialect, "l.tools_used", &used)), values);
        }
        if let Some(since) = query.since {
            all.add("l.created_at >= ?".into(), [since.into()]);
        }
        if let Some(until) = query.until {
            all.add("l.created_at < ?".into(), [until.into()]);
        }
        all
    }

    fn add<const N: usize>(&mut self, sql: String, values: [Val<'a>; N]) {
        self.sql.push(sql);
        self.values.extend(values);
    }

    fn to_sql(&self) -> String {
        if self.sql.is_empty() { String::new() } else { format!("WHERE {}", self.sql.join(" AND ")) }
    }
}

/// Whether one of a list's texts is such.
fn holds(dialect: Dialect, list: &str, condition: &str) -> String {
    format!("EXISTS (SELECT 1 FROM {} WHERE {condition})", dialect.each_text(list))
}

pub(super) async fn logs(db: &Db, query: &AuditQuery) -> Result<LogPage, AuditError> {
    let (sql, values) = page(query, db.dialect());
    let rows = db.fetch_all(&sql, &values).await?;
    Ok(LogPage::new(rows.iter().map(log_entry).collect::<Result<_, _>>()?, query.page_size()))
}

/// The query of a page, with one entry more than fits.
pub(super) fn page(query: &AuditQuery, dialect: Dialect) -> (String, Vec<Val<'_>>) {
    let mut conditions = Conditions::of(query, dialect);
    let (before, order) = if query.order.is_ascending() { (">", "ASC") } else { ("<", "DESC") };
    let by_number = query.order.is_by_number();
    match query.after.map(super::super::Cursor::parts) {
        Some((_, id)) if by_number => conditions.add(format!("l.id {before} ?"), [id.into()]),
        // A comparison of rows is a range of the index; the same with OR is not.
        Some((at, id)) => conditions.add(format!("(l.created_at, l.id) {before} (?, ?)"), [at.into(), id.into()]),
        None => {}
    }
    let places = if by_number { format!("l.id {order}") } else { format!("l.created_at {order}, l.id {order}") };
    let limit = format!("LIMIT {} OFFSET {}", query.page_size() + 1, query.offset);
    let rest = format!("ORDER BY {places} {limit}");
    let long = if query.brief { NOT_LONG } else { LONG };
    (format!("SELECT {LOG}, {long} FROM audit_logs l {} {rest}", conditions.to_sql()), conditions.values)
}

pub(super) async fn count(db: &Db, query: &AuditQuery) -> Result<u64, AuditError> {
    let conditions = Conditions::of(query, db.dialect());
    let sql = format!("SELECT count(*) AS n FROM audit_logs l {}", conditions.to_sql());
    let row = db.fetch_optional(&sql, &conditions.values).await?;
    Ok(row.map(|row| row.unsigned("n")).transpose()?.unwrap_or(0))
}

pub(super) async fn stats(db: &Db, query: &AuditQuery) -> Result<AuditStats, AuditError> {
    let conditions = Conditions::of(query, db.dialect());
    let is_admin = format!("CASE WHEN l.request_type = '{ADMIN}' THEN 1 ELSE 0 END");
    let of_asks = |what: &str| format!("CASE WHEN l.request_type = '{CHAT}' THEN {what} ELSE 0 END");
    let sum = |what: &str, name: &str| format!("CAST(coalesce(sum({what}), 0) AS BIGINT) AS {name}");
    let sums = [
        "l.status".to_owned(),
        format!("{is_admin} AS is_admin"),
        "count(*) AS requests".to_owned(),
        sum("l.tool_calls_count", "calls"),
        sum(&of_asks("1"), "asks"),
        sum(&of_asks("l.iterations"), "iterations"),
        sum("l.duration_ms", "duration_ms"),
        sum("l.cost_nano_usd", "nano_usd"),
        sum("CASE WHEN l.model IS NOT NULL AND l.cost_nano_usd IS NULL THEN 1 ELSE 0 END", "unpriced"),
        sum("CASE WHEN l.cost_is_estimated THEN 1 ELSE 0 END", "estimated"),
        sum("l.tokens_input", "tokens_input"),
        sum("l.tokens_output", "tokens_output"),
        sum("l.tokens_cached", "tokens_cached"),
        sum("l.tokens_cache_write", "tokens_cache_write"),
        sum("CASE WHEN l.was_blocked THEN 1 ELSE 0 END", "blocked"),
    ];
    let (sums, found) = (sums.join(", "), conditions.to_sql());
    let sql = format!("SELECT {sums} FROM audit_logs l {found} GROUP BY l.status, {is_admin}");
    let rows = db.fetch_all(&sql, &conditions.values).await?;
    Ok(rows.iter().map(sums_of).collect::<Result<_, DbError>>()?)
}

fn sums_of(row: &Row) -> Result<(Group, Sums), DbError> {
    let tokens = |kind| row.unsigned(kind);
    let sums = Sums {
        requests: row.unsigned("requests")?,
        calls: row.unsigned("calls")?,
        asks: row.unsigned("asks")?,
        iterations: row.unsigned("iterations")?,
        duration_ms: row.unsigned("duration_ms")?,
        nano_usd: row.unsigned("nano_usd")?,
        unpriced: row.unsigned("unpriced")?,
        estimated: row.unsigned("estimated")?,
        tokens: [
            tokens("tokens_input")?,
            tokens("tokens_output")?,
            tokens("tokens_cached")?,
            tokens("tokens_cache_write")?,
        ],
        blocked: row.unsigned("blocked")?,
    };
    Ok(((row.text("status")?, row.int("is_admin")? == 1), sums))
}

pub(super) async fn calls(db: &Db, request_id: Uuid) -> Result<Vec<CallEntry>, AuditError> {
    let sql = format!("SELECT {CALL} FROM tool_calls WHERE request_id = ? ORDER BY chain_id, seq LIMIT {MAX_PAGE}");
    let rows = db.fetch_all(&sql, &[request_id.to_string().into()]).await?;
    Ok(rows.iter().map(call_entry).collect::<Result<_, _>>()?)
}

/// What omni never writes must not be there, and a row must belong to whom its record names: to nobody
/// once that person's row was deleted, also when they ask again and get another one.
const INTACT: &str = "CASE WHEN l.timestamp = l.created_at
    AND (l.user_id IS NULL OR (u.email = l.user_email AND u.tenant = l.tenant))
    AND coalesce(l.question, l.result_summary, l.error_id, l.llm_reasoning) IS NULL
    AND l.llm_confidence IS NULL AND l.llm_tokens_used IS NULL
    AND l.databases_accessed IS NULL
    AND coalesce(l.iterations, 0) >= 0 AND coalesce(l.tool_calls_count, 0) >= 0 AND coalesce(l.duration_ms, 0) >= 0
    AND coalesce(l.tokens_input, 0) >= 0 AND coalesce(l.tokens_output, 0) >= 0
    AND coalesce(l.tokens_cached, 0) >= 0 AND coalesce(l.tokens_cache_write, 0) >= 0
    AND coalesce(l.cost_nano_usd, 0) >= 0 THEN 1 ELSE 0 END AS intact";

/// What is less than nothing is read as if it were not there.
const INTACT_CALL: &str = "CASE WHEN coalesce(duration_ms, 0) >= 0 AND coalesce(bytes, 0) >= 0
    AND coalesce(cost_nano_usd, 0) >= 0 THEN 1 ELSE 0 END AS intact";

pub(super) async fn differing(db: &Db, records: &[SealedRecord]) -> Result<Option<u64>, AuditError> {
    let (Some(first), Some(last)) = (records.first(), records.last()) else { return Ok(None) };
    let values = [first.chain_id.to_string().into(), first.seq.into(), last.seq.into()];
    let range = "chain_id = ? AND seq BETWEEN ? AND ?";
    let logs = format!(
        "SELECT l.seq, {INTACT}, {LOG}, {LONG} FROM audit_logs l LEFT JOIN users u ON u.id = l.user_id WHERE l.{range}"
    );
    let calls = format!("SELECT seq, {INTACT_CALL}, {CALL} FROM tool_calls WHERE {range}");
    let (logs, calls) = (db.fetch_all(&logs, &values).await?, db.fetch_all(&calls, &values).await?);
    if let Some(seq) = doubled(&logs)?.into_iter().chain(doubled(&calls)?).min() {
        return Ok(Some(seq));
    }
    let (mut logs, mut calls) = (by_place(&logs)?, by_place(&calls)?);
    for sealed in records {
        let Ok(record) = serde_json::from_slice::<Record>(&sealed.bytes) else { continue };
        let says = Entries::of(&record);
        let (log, call) = (logs.remove(&sealed.seq), calls.remove(&sealed.seq));
        if !is_log(log, says.log.as_ref()) || !is_call(call, says.call.as_ref()) {
            return Ok(Some(sealed.seq));
        }
    }
    Ok(None)
}

/// The first place that has several rows; only one of them could say what the record says.
fn doubled(rows: &[Row]) -> Result<Option<u64>, DbError> {
    let mut places: Vec<u64> = rows.iter().map(|row| row.unsigned("seq")).collect::<Result<_, _>>()?;
    places.sort_unstable();
    Ok(places.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0]))
}

fn by_place(rows: &[Row]) -> Result<BTreeMap<u64, &Row>, DbError> {
    rows.iter().map(|row| Ok((row.unsigned("seq")?, row))).collect()
}

/// What cannot even be read does not say it.
fn is_log(row: Option<&Row>, says: Option<&LogEntry>) -> bool {
    match (row, says) {
        (Some(row), Some(says)) => {
            let address = row.optional_text("ip_address");
            matches!(row.int("intact"), Ok(1))
                && address.is_ok_and(|address| address.as_deref().is_none_or(is_host))
                && log_entry(row).is_ok_and(|entry| entry.says(says))
        }
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    }
}

fn is_call(row: Option<&Row>, says: Option<&CallEntry>) -> bool {
    match (row, says) {
        (Some(row), Some(says)) => {
            matches!(row.int("intact"), Ok(1)) && call_entry(row).is_ok_and(|entry| entry.says(says))
        }
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    }
}

/// Rows of the original, which wrote no ledger, and those that came [`beside`] it.
pub(super) async fn unproved(db: &Db) -> Result<u64, AuditError> {
    let row = db.fetch_optional("SELECT count(*) AS n FROM audit_logs WHERE chain_id IS NULL", &[]).await?;
    Ok(row.map(|row| row.unsigned("n")).transpose()?.unwrap_or(0))
}

/// Rows without a record that the original did not write before the ledger began: their numbers come after its first
/// one, or are none that the table gives, or they are of later. A day is left for what the original took for the hour.
pub(super) async fn beside(db: &Db) -> Result<u64, AuditError> {
    const FIRST: &str = "SELECT min(chain_id) AS chain_id FROM (SELECT min(chain_id) AS chain_id FROM ledger
        UNION ALL SELECT min(chain_id) AS chain_id FROM ledger_checkpoints) chains";
    const BESIDE: &str = "SELECT count(*) AS n FROM audit_logs WHERE chain_id IS NULL AND (id < 1
        OR id > (SELECT min(id) FROM audit_logs WHERE chain_id IS NOT NULL) OR created_at >= ?)";
    let first = db.fetch_optional(FIRST, &[]).await?.map(|row| row.optional_text("chain_id")).transpose()?.flatten();
    let Some(first) = first else { return Ok(0) };
    let since = begun(&first).and_then(|begun| begun.checked_add_signed(TimeDelta::days(1)));
    let row = db.fetch_optional(BESIDE, &[Val::Time(since)]).await?;
    Ok(row.map(|row| row.unsigned("n")).transpose()?.unwrap_or(0))
}

/// When a chain began, as its id tells.
fn begun(chain_id: &str) -> Option<DateTime<Utc>> {
    let (seconds, nanos) = chain_id.parse::<Uuid>().ok()?.get_timestamp()?.to_unix();
    DateTime::from_timestamp(i64::try_from(seconds).ok()?, nanos)
}

pub(super) async fn forget_unproved(db: &Db, before: DateTime<Utc>) -> Result<u64, AuditError> {
    const DELETE: &str = "DELETE FROM audit_logs WHERE chain_id IS NULL AND created_at < ?";
    let mut tx = db.begin().await?;
    stale::mark(&mut tx, "audit_logs", "chain_id IS NULL AND created_at < ?", &[before.into()]).await?;
    let gone = tx.execute(DELETE, &[before.into()]).await?;
    tx.commit().await?;
    Ok(gone)
}

pub(super) async fn forget_feedback(db: &Db, before: DateTime<Utc>) -> Result<(), AuditError> {
    db.execute("DELETE FROM ask_feedback WHERE created_at < ?", &[before.into()]).await?;
    Ok(())
}

pub(super) async fn stray(db: &Db) -> Result<Option<(Uuid, u64)>, AuditError> {
    for table in ["audit_logs", "tool_calls"] {
        let sql = format!(
            "SELECT p.chain_id, p.seq FROM {table} p WHERE p.chain_id IS NOT NULL AND NOT EXISTS
                 (SELECT 1 FROM ledger l WHERE l.chain_id = p.chain_id AND l.seq = p.seq)
             ORDER BY p.chain_id, p.seq LIMIT 1"
        );
        if let Some(row) = db.fetch_optional(&sql, &[]).await? {
            return Ok(Some((truth::chain(&row)?, row.unsigned("seq")?)));
        }
    }
    Ok(None)
}
