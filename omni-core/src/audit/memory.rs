//! A sink in memory, bounded; for embedders without a database and for tests.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use futures::FutureExt;
use uuid::Uuid;

use super::{AuditError, AuditReader, AuditSink, SealedRecord};
use crate::{Registry, ledger::Record};

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
        match self.records.get(&(record.chain_id, record.seq)) {
            None => Ok(true),
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
        self.records.insert(place, record.clone());
    }

    fn forget_oldest(&mut self) {
        let Some(place) = self.order.pop_front() else { return };
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
}

#[async_trait]
impl AuditReader for MemorySink {
    async fn read(&self, chain_id: Uuid, from_seq: u64, limit: usize) -> Result<Vec<SealedRecord>, AuditError> {
        let kept = self.kept();
        let chain = kept.records.range((chain_id, from_seq)..=(chain_id, u64::MAX));
        Ok(chain.take(limit).map(|(_, record)| record.clone()).collect())
    }

    async fn chains(&self) -> Result<Vec<Uuid>, AuditError> {
        Ok(self.kept().chains.clone())
    }
}

/// Adds the kind `memory`.
pub fn register(registry: &mut Registry) {
    registry.sinks.register("memory", |_| async { Ok(Arc::new(MemorySink::default()) as Arc<dyn AuditSink>) }.boxed());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{audit_sink_contract, sealed};

    #[tokio::test]
    async fn the_memory_sink_keeps_the_contract() {
        let sink = MemorySink::default();
        audit_sink_contract(&sink, &sink).await;
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
