//! How lists of the log are read.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use omni_core::{
    audit::{
        AuditBackend, AuditError, AuditQuery, AuditReader, AuditStats, CallEntry, LedgerStore, LogEntry, LogPage,
        SealedRecord, memory::MemorySink,
    },
    identity::Scope,
    ledger::{ChainHead, Checkpoint},
};
use omni_tests::door::Door;
use uuid::Uuid;

use super::ADA;

/// A store that remembers what was read of the log.
#[derive(Debug, Clone, Default)]
struct Watched {
    store: MemorySink,
    read: Arc<Mutex<Vec<&'static str>>>,
}

impl Watched {
    fn note(&self, what: &'static str) {
        self.read.lock().unwrap().push(what);
    }

    /// What was read since this was asked last.
    fn take(&self) -> Vec<&'static str> {
        std::mem::take(&mut *self.read.lock().unwrap())
    }
}

#[async_trait]
impl LedgerStore for Watched {
    async fn read(&self, chain_id: Uuid, from_seq: u64, limit: usize) -> Result<Vec<SealedRecord>, AuditError> {
        self.store.read(chain_id, from_seq, limit).await
    }

    async fn heads(&self) -> Result<Vec<ChainHead>, AuditError> {
        self.store.heads().await
    }

    async fn checkpoints(&self) -> Result<Vec<Checkpoint>, AuditError> {
        self.store.checkpoints().await
    }

    async fn differing(&self, records: &[SealedRecord]) -> Result<Option<u64>, AuditError> {
        self.store.differing(records).await
    }

    async fn stray(&self) -> Result<Option<(Uuid, u64)>, AuditError> {
        self.store.stray().await
    }

    async fn forget(&self, checkpoint: &Checkpoint) -> Result<u64, AuditError> {
        self.store.forget(checkpoint).await
    }
}

#[async_trait]
impl AuditReader for Watched {
    async fn logs(&self, query: &AuditQuery) -> Result<LogPage, AuditError> {
        self.note(if query.brief { "a brief page" } else { "a page" });
        self.store.logs(query).await
    }

    async fn stats(&self, query: &AuditQuery) -> Result<AuditStats, AuditError> {
        self.store.stats(query).await
    }

    async fn count(&self, query: &AuditQuery) -> Result<u64, AuditError> {
        self.note("the count");
        self.store.count(query).await
    }

    async fn sealed(&self, entry: &LogEntry) -> Result<Option<SealedRecord>, AuditError> {
        self.store.sealed(entry).await
    }

    async fn sealed_call(&self, call: &CallEntry) -> Result<Option<SealedRecord>, AuditError> {
        self.store.sealed_call(call).await
    }

    async fn calls(&self, request_id: Uuid) -> Result<Vec<CallEntry>, AuditError> {
        self.store.calls(request_id).await
    }
}

#[tokio::test]
async fn who_waits_for_the_count_holds_no_page_and_a_list_reads_nothing_that_it_does_not_show() {
    let watched = Watched::default();
    let mut kept = AuditBackend::new(watched.store.clone());
    kept.reader = Some(Arc::new(watched.clone()));
    let door = Door::with(|_| {}, |builder| builder.audit_backend(kept)).await;
    let ada = door.key(ADA, &[Scope::Ask, Scope::Audit]).await;
    for (path, read) in [
        ("/audit/logs", &["the count", "a brief page"][..]),
        ("/audit/my-logs", &["the count", "a brief page"][..]),
        ("/audit/my-logs?format=ndjson", &["a page"][..]),
    ] {
        door.get_by(&ada, path).await.is(200);
        assert_eq!(watched.take(), read, "{path}");
    }
}
