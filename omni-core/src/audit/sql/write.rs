//! Appending: the record, and what follows from it, in one transaction.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{
    super::{AuditError, CallEntry, LogEntry, Said, SealedRecord, entry::Entries},
    counters,
    people::{People, people},
    truth,
};
use crate::db::{Db, DbError, Tx, Val};

/// A record and what it says.
struct Entry<'a> {
    sealed: &'a SealedRecord,
    at: DateTime<Utc>,
    entries: Entries,
}

impl<'a> Entry<'a> {
    fn new(sealed: &'a SealedRecord) -> Self {
        // What a later build wrote into a file may be unknown here; the truth is stored all the same.
        match sealed.read() {
            Ok(Said::Whole(record)) => Self { sealed, at: record.at, entries: Entries::of(&record) },
            Ok(Said::Nothing(at)) => Self { sealed, at, entries: Entries::default() },
            Err(_) => Self { sealed, at: Utc::now(), entries: Entries::default() },
        }
    }
}

/// Stores records, and what follows from them unless that cannot be stored.
pub(super) async fn append(db: &Db, batch: &[SealedRecord], with_rows: bool) -> Result<(), AuditError> {
    if let Some(bad) = batch.iter().find(|sealed| i64::try_from(sealed.seq).is_err()) {
        return Err(AuditError::Invalid { message: format!("{} is no place in a chain", bad.seq) });
    }
    let mut entries = entries_of(&batch.iter().collect::<Vec<_>>(), with_rows);
    if insert(db, &mut entries).await? {
        return Ok(());
    }
    let missing = missing(db, &entries).await?;
    if insert(db, &mut entries_of(&missing, with_rows)).await? {
        return Ok(());
    }
    Err(AuditError::Unavailable { message: "another process stores the same chain".into() })
}

fn entries_of<'a>(records: &[&'a SealedRecord], with_rows: bool) -> Vec<Entry<'a>> {
    let entry = |sealed: &&'a SealedRecord| {
        let entry = Entry::new(sealed);
        if with_rows { entry } else { Entry { entries: Entries::default(), ..entry } }
    };
    records.iter().map(entry).collect()
}

/// Leaves those out that were pruned: a file that is older than the pruning brings nothing back.
async fn leave_pruned(tx: &mut Tx, entries: &mut Vec<Entry<'_>>) -> Result<(), DbError> {
    const QUERY: &str = "SELECT next_seq FROM ledger_checkpoints WHERE chain_id = ?";
    let mut begins = HashMap::new();
    for chain_id in entries.iter().map(|entry| entry.sealed.chain_id).collect::<HashSet<_>>() {
        if let Some(row) = tx.fetch_optional(QUERY, &[chain_id.to_string().into()]).await? {
            begins.insert(chain_id, row.unsigned("next_seq")?);
        }
    }
    entries.retain(|entry| begins.get(&entry.sealed.chain_id).is_none_or(|next| entry.sealed.seq >= *next));
    Ok(())
}

/// Those that are not there yet. What is there must be the same.
async fn missing<'a>(db: &Db, entries: &[Entry<'a>]) -> Result<Vec<&'a SealedRecord>, AuditError> {
    let batch: Vec<_> = entries.iter().map(|entry| entry.sealed).collect();
    let mut known = HashMap::new();
    for chain_id in batch.iter().map(|sealed| sealed.chain_id).collect::<HashSet<_>>() {
        for sealed in present(db, chain_id, &batch).await? {
            known.insert((chain_id, sealed.seq), sealed);
        }
    }
    let mut missing = Vec::new();
    for sealed in batch {
        match known.get(&(sealed.chain_id, sealed.seq)) {
            Some(there) if there == sealed => {}
            Some(_) => return Err(AuditError::Conflict { chain_id: sealed.chain_id, seq: sealed.seq }),
            None => {
                known.insert((sealed.chain_id, sealed.seq), sealed.clone());
                missing.push(sealed);
            }
        }
    }
    Ok(missing)
}

async fn present(db: &Db, chain_id: Uuid, batch: &[&SealedRecord]) -> Result<Vec<SealedRecord>, AuditError> {
    const QUERY: &str = "SELECT seq, bytes, mac FROM ledger WHERE chain_id = ? AND seq BETWEEN ? AND ?";
    let places = || batch.iter().filter(|sealed| sealed.chain_id == chain_id).map(|sealed| sealed.seq);
    let (first, last) = (places().min().unwrap_or(0), places().max().unwrap_or(0));
    let rows = db.fetch_all(QUERY, &[chain_id.to_string().into(), first.into(), last.into()]).await?;
    Ok(rows.iter().map(|row| truth::sealed(chain_id, row)).collect::<Result<_, _>>()?)
}

/// Stores all of them that were not pruned, or none when one is there already.
async fn insert(db: &Db, entries: &mut Vec<Entry<'_>>) -> Result<bool, DbError> {
    const INTO: &str = "INSERT INTO ledger (chain_id, seq, at, bytes, mac) VALUES";
    // Everything on one connection: SQLite's others forget what they have read whenever one has written.
    let mut tx = db.begin().await?;
    leave_pruned(&mut tx, entries).await?;
    if entries.is_empty() {
        return Ok(true);
    }
    let rows: Vec<_> = entries.iter().map(record_row).collect();
    let stored = tx.insert_many(INTO, rows, "ON CONFLICT (chain_id, seq) DO NOTHING").await?;
    if stored != entries.len() as u64 {
        return Ok(false);
    }
    project(&mut tx, entries).await?;
    tx.commit().await?;
    Ok(true)
}

fn record_row<'a>(entry: &'a Entry<'_>) -> Vec<Val<'a>> {
    let sealed = entry.sealed;
    vec![
        sealed.chain_id.to_string().into(),
        sealed.seq.into(),
        entry.at.into(),
        sealed.bytes[..].into(),
        sealed.mac[..].into(),
    ]
}

async fn project(tx: &mut Tx, entries: &[Entry<'_>]) -> Result<(), DbError> {
    let people = people(tx, entries.iter().filter_map(|entry| entry.entries.log.as_ref())).await?;
    let logs = entries.iter().filter_map(|entry| Some((entry.sealed, entry.entries.log.as_ref()?)));
    let rows: Vec<_> = logs.map(|(sealed, log)| log_row(sealed, log, &people)).collect();
    tx.insert_many(LOG_INTO, rows, "").await?;
    let calls = entries.iter().filter_map(|entry| Some((entry.sealed, entry.entries.call.as_ref()?)));
    let rows: Vec<_> = calls.map(|(sealed, call)| call_row(sealed, call)).collect();
    tx.insert_many(CALL_INTO, rows, "").await?;
    counters::add(tx, entries.iter().filter_map(|entry| entry.entries.call.as_ref())).await
}

const LOG_INTO: &str = "INSERT INTO audit_logs (chain_id, seq, user_id, timestamp, created_at, request_id, tenant,
    user_email, user_role, actor, source, x_source, user_agent, ip_address,
    slack_channel, slack_user_id, slack_message_ts, slack_thread_ts, request_type, message, message_preview, model, iterations, tool_calls_count,
    tools_used, mcps_accessed, tokens_input, tokens_output, tokens_cached, tokens_cache_write, cost_estimate,
    cost_nano_usd, cost_is_estimated, mcp_target, tool_called, tool_params, success, status, warning, duration_ms,
    response_preview, error_message, was_blocked, block_reason) VALUES";

fn log_row<'a>(sealed: &SealedRecord, log: &'a LogEntry, people: &People) -> Vec<Val<'a>> {
    let person = log.user_email.as_ref().and_then(|email| people.get(&(log.tenant.clone(), email.clone())));
    vec![
        sealed.chain_id.to_string().into(),
        sealed.seq.into(),
        person.copied().into(),
        log.created_at.into(),
        log.created_at.into(),
        log.request_id.to_string().into(),
        (&log.tenant).into(),
        (&log.user_email).into(),
        (&log.user_role).into(),
        (&log.actor).into(),
        (&log.source).into(),
        (&log.x_source).into(),
        (&log.user_agent).into(),
        Val::Address(log.ip_address),
        (&log.slack_channel).into(),
        (&log.slack_user_id).into(),
        (&log.slack_message_ts).into(),
        (&log.slack_thread_ts).into(),
        (&log.request_type).into(),
        (&log.message).into(),
        (&log.message_preview).into(),
        (&log.model).into(),
        log.iterations.into(),
        log.tool_calls_count.into(),
        log.tools_used.as_slice().into(),
        log.mcps_accessed.as_slice().into(),
        log.tokens_input.into(),
        log.tokens_output.into(),
        log.tokens_cached.into(),
        log.tokens_cache_write.into(),
        log.cost_estimate.into(),
        log.cost_nano_usd.into(),
        log.cost_is_estimated.into(),
        (&log.mcp_target).into(),
        (&log.tool_called).into(),
        (&log.tool_params).into(),
        log.success.into(),
        (&log.status).into(),
        (&log.warning).into(),
        log.duration_ms.into(),
        (&log.response_preview).into(),
        (&log.error_message).into(),
        log.was_blocked.into(),
        (&log.block_reason).into(),
    ]
}

const CALL_INTO: &str =
    "INSERT INTO tool_calls (chain_id, seq, request_id, created_at, tenant, user_email, server, tool,
    arguments, status, sent, rule, duration_ms, bytes, cost_estimate, cost_nano_usd, error) VALUES";

fn call_row<'a>(sealed: &SealedRecord, call: &'a CallEntry) -> Vec<Val<'a>> {
    vec![
        sealed.chain_id.to_string().into(),
        sealed.seq.into(),
        call.request_id.to_string().into(),
        call.created_at.into(),
        (&call.tenant).into(),
        (&call.user_email).into(),
        (&call.server).into(),
        (&call.tool).into(),
        (&call.arguments).into(),
        (&call.status).into(),
        call.sent.into(),
        (&call.rule).into(),
        call.duration_ms.into(),
        call.bytes.into(),
        call.cost_estimate.into(),
        call.cost_nano_usd.into(),
        (&call.error).into(),
    ]
}
