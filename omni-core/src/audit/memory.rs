//! A sink in memory, bounded; for embedders without a database and for tests.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use futures::FutureExt;
use uuid::Uuid;

use super::{
    AuditBackend, AuditError, AuditQuery, AuditReader, AuditSink, AuditStats, CallEntry, LedgerStore, LogEntry,
    LogPage, SealedRecord,
    scan::{Counting, Paging, call_of},
};
use crate::{
    Registry,
    ledger::{ChainHead, Checkpoint, Record},
};

/// Where it is.
pub(crate) const PLACE: &str = "memory";

/// Keeps the newest records of all chains. Clones share them.
#[derive(Debug, Clone)]
pub struct MemorySink {
    kept: Arc<Mutex<Kept>>,
    max_records: usize,
}

#[derive(Debug, Default)]
struct Kept {
    chains: Vec<Uuid>,
    records: BTreeMap<(Uuid, u64), SealedRecord>,
    order: VecDeque<(Uuid, u64)>,
    /// How many went before the first of `order`.
    gone: i64,
    checkpoints: BTreeMap<Uuid, Checkpoint>,
}

impl Default for MemorySink {
    fn default() -> Self {
        Self::new(10_000)
    }
}

impl MemorySink {
    /// A sink that forgets the oldest records beyond `max_records`.
    #[must_use]
    pub fn new(max_records: usize) -> Self {
        Self { kept: Arc::default(), max_records }
    }

    /// All records kept, in the order in which they came.
    #[must_use]
    pub fn records(&self) -> Vec<Record> {
        let kept = self.kept();
        let sealed = kept.order.iter().filter_map(|place| kept.records.get(place));
        sealed.filter_map(|sealed| serde_json::from_slice(&sealed.bytes).ok()).collect()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// Whether the record is new; other bytes in its place are a conflict.
    fn is_new(&self, record: &SealedRecord) -> Result<bool, AuditError> {
        let is_pruned = |checkpoint: &Checkpoint| record.seq < checkpoint.next_seq;
        match self.records.get(&(record.chain_id, record.seq)) {
            None => Ok(!self.checkpoints.get(&record.chain_id).is_some_and(is_pruned)),
            Some(known) if known == record => Ok(false),
            Some(_) => Err(AuditError::Conflict { chain_id: record.chain_id, seq: record.seq }),
        }
    }

    fn keep(&mut self, record: &SealedRecord) {
        let place = (record.chain_id, record.seq);
        if !self.chains.contains(&record.chain_id) {
            self.chains.push(record.chain_id);
        }
        self.order.push_back(place);
        self.records.insert(place, record.bare());
    }

    /// Records by the number that each keeps as long as it is here.
    fn numbered(&self) -> impl Iterator<Item = (i64, &SealedRecord)> {
        let places = (self.gone..).zip(&self.order);
        places.filter_map(|(id, place)| Some((id, self.records.get(place)?)))
    }

    fn of_number(&self, number: i64) -> Option<SealedRecord> {
        self.numbered().find(|(id, _)| *id == number).map(|(_, record)| record.clone())
    }

    fn forget(&mut self, checkpoint: &Checkpoint) -> u64 {
        let Checkpoint { chain_id, next_seq, .. } = *checkpoint;
        if self.checkpoints.get(&chain_id).is_none_or(|known| known.next_seq < next_seq) {
            self.checkpoints.insert(chain_id, *checkpoint);
        }
        let before = self.records.len();
        self.records.retain(|place, _| place.0 != chain_id || place.1 >= next_seq);
        if self.records.range((chain_id, 0)..=(chain_id, u64::MAX)).next().is_none() {
            self.chains.retain(|chain| *chain != chain_id);
        }
        (before - self.records.len()) as u64
    }

    fn forget_oldest(&mut self) {
        let Some(place) = self.order.pop_front() else { return };
        self.gone += 1;
        self.records.remove(&place);
        let left = self.records.range((place.0, 0)..=(place.0, u64::MAX)).next().is_some();
        if !left {
            self.chains.retain(|chain| *chain != place.0);
        }
    }
}

#[async_trait]
impl AuditSink for MemorySink {
    async fn append(&self, batch: &[SealedRecord]) -> Result<(), AuditError> {
        let mut kept = self.kept();
        let mut new = Vec::with_capacity(batch.len());
        for record in batch {
            if kept.is_new(record)? {
                new.push(record);
            }
        }
        for record in new {
            kept.keep(record);
        }
        while kept.order.len() > self.max_records {
            kept.forget_oldest();
        }
        Ok(())
    }

    fn place(&self) -> Option<String> {
        Some(PLACE.into())
    }
}

#[async_trait]
impl LedgerStore for MemorySink {
    async fn read(&self, chain_id: Uuid, from_seq: u64, limit: usize) -> Result<Vec<SealedRecord>, AuditError> {
        let kept = self.kept();
        let chain = kept.records.range((chain_id, from_seq)..=(chain_id, u64::MAX));
        Ok(chain.take(limit).map(|(_, record)| record.clone()).collect())
    }

    async fn heads(&self) -> Result<Vec<ChainHead>, AuditError> {
        let kept = self.kept();
        let last = |chain: &Uuid| Some(kept.records.range((*chain, 0)..=(*chain, u64::MAX)).next_back()?.1);
        let last = kept.chains.iter().filter_map(last);
        Ok(last.map(|record| ChainHead::new(record.chain_id, record.seq, record.mac)).collect())
    }

    async fn checkpoints(&self) -> Result<Vec<Checkpoint>, AuditError> {
        Ok(self.kept().checkpoints.values().copied().collect())
    }

    async fn differing(&self, _: &[SealedRecord]) -> Result<Option<u64>, AuditError> {
        Ok(None)
    }

    async fn stray(&self) -> Result<Option<(Uuid, u64)>, AuditError> {
        Ok(None)
    }

    async fn forget(&self, checkpoint: &Checkpoint) -> Result<u64, AuditError> {
        Ok(self.kept().forget(checkpoint))
    }
}

#[async_trait]
impl AuditReader for MemorySink {
    async fn logs(&self, query: &AuditQuery) -> Result<LogPage, AuditError> {
        let mut paging = Paging::new(query.clone());
        self.kept().numbered().for_each(|(id, record)| paging.see(id, record));
        Ok(paging.page())
    }

    async fn stats(&self, query: &AuditQuery) -> Result<AuditStats, AuditError> {
        let mut counting = Counting::new(query.clone());
        self.kept().numbered().for_each(|(_, record)| counting.see(record));
        Ok(counting.stats())
    }

    async fn sealed(&self, entry: &LogEntry) -> Result<Option<SealedRecord>, AuditError> {
        Ok(self.kept().of_number(entry.id))
    }

    async fn sealed_call(&self, call: &CallEntry) -> Result<Option<SealedRecord>, AuditError> {
        Ok(self.kept().of_number(call.id))
    }

    async fn calls(&self, request_id: Uuid) -> Result<Vec<CallEntry>, AuditError> {
        let mut calls = Vec::new();
        self.kept().numbered().for_each(|(id, record)| call_of(request_id, id, record, &mut calls));
        Ok(calls)
    }
}

/// Adds the kind `memory`.
pub fn register(registry: &mut Registry) {
    registry.audit.register("memory", |_| async { Ok(AuditBackend::new(MemorySink::default())) }.boxed());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{
        audit_prune_contract, audit_reader_contract, audit_sink_contract, sealed, shared_audit_sink_contract,
    };

    #[tokio::test]
    async fn the_memory_sink_keeps_the_contracts() {
        let sink = MemorySink::default();
        audit_sink_contract(&sink, &sink).await;
        shared_audit_sink_contract(&sink, &sink.clone(), &sink).await;
        audit_reader_contract(&sink, &sink).await;
        audit_prune_contract(&sink, &sink).await;
    }

    #[tokio::test]
    async fn the_oldest_records_are_forgotten_first() {
        let sink = MemorySink::new(3);
        let old = sealed(2);
        let new = sealed(3);
        sink.append(&old).await.unwrap();
        sink.append(&new).await.unwrap();
        assert_eq!(sink.chains().await.unwrap(), [new[0].chain_id]);
        assert_eq!(sink.read(new[0].chain_id, 0, 10).await.unwrap(), new);
        assert_eq!(sink.records().len(), 3);
    }
}
