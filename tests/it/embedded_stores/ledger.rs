//! A ledger in a list, with what it says made of its records.

use std::{
    cmp::Reverse,
    sync::{Arc, Mutex, MutexGuard},
};

use async_trait::async_trait;
use omni_core::{
    AuditSink,
    audit::{
        AuditBackend, AuditError, AuditQuery, AuditReader, AuditStats, CallEntry, Cursor, LedgerStore, LogEntry,
        LogPage, MAX_PAGE, Order, SealedRecord,
    },
    ledger::{ChainHead, Checkpoint, Record},
    testing::{audit_prune_contract, audit_reader_contract, audit_sink_contract, shared_audit_sink_contract},
};
use uuid::Uuid;

#[derive(Debug, Default)]
struct Ledger(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    /// By their numbers, which grow.
    records: Vec<(i64, SealedRecord)>,
    last: i64,
    checkpoints: Vec<Checkpoint>,
}

impl Kept {
    fn chain(&self, chain_id: Uuid) -> Vec<SealedRecord> {
        let of_chain = self.records.iter().filter(|(_, record)| record.chain_id == chain_id);
        let mut chain: Vec<SealedRecord> = of_chain.map(|(_, record)| record.clone()).collect();
        chain.sort_by_key(|record| record.seq);
        chain
    }

    /// Whether a record is new; other bytes in its place are a conflict.
    fn is_new(&self, record: &SealedRecord) -> Result<bool, AuditError> {
        let place = (record.chain_id, record.seq);
        let is_pruned = |one: &Checkpoint| one.chain_id == record.chain_id && record.seq < one.next_seq;
        match self.records.iter().find(|(_, known)| (known.chain_id, known.seq) == place) {
            None => Ok(!self.checkpoints.iter().any(is_pruned)),
            Some((_, known)) if known == record => Ok(false),
            Some(_) => Err(AuditError::Conflict { chain_id: record.chain_id, seq: record.seq }),
        }
    }
}

/// What a record says, under its number.
fn log((number, sealed): &(i64, SealedRecord)) -> Option<LogEntry> {
    let record: Record = serde_json::from_slice(&sealed.bytes).ok()?;
    let mut entry = LogEntry::of(&record)?;
    entry.id = *number;
    Some(entry)
}

fn call((number, sealed): &(i64, SealedRecord)) -> Option<CallEntry> {
    let record: Record = serde_json::from_slice(&sealed.bytes).ok()?;
    let mut entry = CallEntry::of(&record)?;
    entry.id = *number;
    Some(entry)
}

impl Ledger {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap()
    }

    fn found(&self, query: &AuditQuery) -> Vec<LogEntry> {
        self.kept().records.iter().filter_map(log).filter(|entry| query.finds(entry)).collect()
    }

    fn of_number(&self, number: i64) -> Option<SealedRecord> {
        self.kept().records.iter().find(|(id, _)| *id == number).map(|(_, record)| record.clone())
    }
}

#[async_trait]
impl AuditSink for Ledger {
    async fn append(&self, batch: &[SealedRecord]) -> Result<(), AuditError> {
        let mut kept = self.kept();
        let mut new = Vec::new();
        for record in batch {
            if kept.is_new(record)? {
                new.push(record.clone());
            }
        }
        for record in new {
            kept.last += 1;
            let number = kept.last;
            kept.records.push((number, record));
        }
        Ok(())
    }
}

#[async_trait]
impl LedgerStore for Ledger {
    async fn read(&self, chain_id: Uuid, from_seq: u64, limit: usize) -> Result<Vec<SealedRecord>, AuditError> {
        let chain = self.kept().chain(chain_id);
        Ok(chain.into_iter().filter(|record| record.seq >= from_seq).take(limit).collect())
    }

    async fn heads(&self) -> Result<Vec<ChainHead>, AuditError> {
        let kept = self.kept();
        let mut chains: Vec<Uuid> = Vec::new();
        for (_, record) in &kept.records {
            if !chains.contains(&record.chain_id) {
                chains.push(record.chain_id);
            }
        }
        let last = chains.into_iter().filter_map(|chain_id| kept.chain(chain_id).pop());
        Ok(last.map(|record| ChainHead::new(record.chain_id, record.seq, record.mac)).collect())
    }

    async fn checkpoints(&self) -> Result<Vec<Checkpoint>, AuditError> {
        Ok(self.kept().checkpoints.clone())
    }

    async fn differing(&self, _: &[SealedRecord]) -> Result<Option<u64>, AuditError> {
        Ok(None)
    }

    async fn stray(&self) -> Result<Option<(Uuid, u64)>, AuditError> {
        Ok(None)
    }

    async fn forget(&self, checkpoint: &Checkpoint) -> Result<u64, AuditError> {
        let mut kept = self.kept();
        let Checkpoint { chain_id, next_seq, .. } = *checkpoint;
        if !kept.checkpoints.iter().any(|one| one.chain_id == chain_id && one.next_seq >= next_seq) {
            kept.checkpoints.retain(|one| one.chain_id != chain_id);
            kept.checkpoints.push(*checkpoint);
        }
        let before = kept.records.len();
        kept.records.retain(|(_, record)| record.chain_id != chain_id || record.seq >= next_seq);
        Ok((before - kept.records.len()) as u64)
    }
}

#[async_trait]
impl AuditReader for Ledger {
    async fn logs(&self, query: &AuditQuery) -> Result<LogPage, AuditError> {
        let mut found = self.found(query);
        found.retain(|entry| query.follows(entry));
        match query.order {
            Order::NewestFirst => found.sort_by_key(|entry| Reverse(Cursor::of(entry))),
            Order::OldestFirst => found.sort_by_key(Cursor::of),
            Order::AsStored => found.sort_by_key(|entry| entry.id),
            Order::LastStoredFirst => found.sort_by_key(|entry| Reverse(entry.id)),
        }
        let mut page = found.split_off(query.offset.min(found.len()));
        if query.brief {
            page.iter_mut().for_each(|entry| (entry.message, entry.tool_params) = (None, None));
        }
        Ok(LogPage::new(page, query.page_size()))
    }

    async fn stats(&self, query: &AuditQuery) -> Result<AuditStats, AuditError> {
        let (admin, asked): (Vec<_>, Vec<_>) =
            self.found(query).into_iter().partition(|entry| entry.request_type == "admin");
        let sum = |of: fn(&LogEntry) -> u64| asked.iter().map(of).sum::<u64>();
        let mut stats = AuditStats::default();
        (stats.admin_count, stats.total_requests) = (admin.len() as u64, asked.len() as u64);
        stats.total_tool_calls = sum(|entry| entry.tool_calls_count);
        let chats = || asked.iter().filter(|entry| entry.request_type == "chat");
        let turns: u64 = chats().map(|entry| entry.iterations).sum();
        stats.avg_iterations = turns as f64 / chats().count().max(1) as f64;
        stats.avg_duration_ms = sum(|entry| entry.duration_ms) as f64 / asked.len().max(1) as f64;
        stats.total_cost = sum(|entry| entry.cost_nano_usd.unwrap_or(0)) as f64 / 1e9;
        stats.unpriced_count = sum(|entry| u64::from(entry.model.is_some() && entry.cost_nano_usd.is_none()));
        stats.estimated_count = sum(|entry| u64::from(entry.cost_is_estimated));
        stats.total_tokens_input = sum(|entry| entry.tokens_input);
        stats.total_tokens_output = sum(|entry| entry.tokens_output);
        stats.total_tokens_cached = sum(|entry| entry.tokens_cached);
        stats.total_tokens_cache_write = sum(|entry| entry.tokens_cache_write);
        stats.blocked_count = sum(|entry| u64::from(entry.was_blocked));
        for entry in &asked {
            *stats.by_status.entry(entry.status.clone()).or_default() += 1;
        }
        Ok(stats)
    }

    async fn sealed(&self, entry: &LogEntry) -> Result<Option<SealedRecord>, AuditError> {
        Ok(self.of_number(entry.id))
    }

    async fn sealed_call(&self, call: &CallEntry) -> Result<Option<SealedRecord>, AuditError> {
        Ok(self.of_number(call.id))
    }

    async fn calls(&self, request_id: Uuid) -> Result<Vec<CallEntry>, AuditError> {
        let kept = self.kept();
        let calls = kept.records.iter().filter_map(call).filter(|call| call.request_id == request_id);
        Ok(calls.take(MAX_PAGE).collect())
    }
}

/// Shared, as the two sides of a store are that cannot be cloned.
#[tokio::test]
async fn a_ledger_of_a_programs_own_keeps_the_contracts() {
    let ledger = Arc::new(Ledger::default());
    audit_sink_contract(&ledger, &ledger).await;
    shared_audit_sink_contract(&ledger, &ledger, &ledger).await;
    audit_reader_contract(&ledger, &ledger).await;
    audit_prune_contract(&ledger, &ledger).await;
    let backend = AuditBackend::new(ledger);
    assert!(!backend.reader.unwrap().chains().await.unwrap().is_empty(), "both sides are of one store");
}
