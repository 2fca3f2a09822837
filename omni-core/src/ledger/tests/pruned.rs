//! Retention, where somebody else keeps it at the same time.

use chrono::{TimeDelta, Utc};

use super::*;
use crate::audit::LedgerStore;

/// A store that somebody else prunes right after it told which chains there are.
#[derive(Debug)]
struct Beside {
    sink: MemorySink,
    checkpoint: Checkpoint,
}

#[async_trait]
impl LedgerStore for Beside {
    async fn read(&self, chain_id: Uuid, from_seq: u64, limit: usize) -> Result<Vec<SealedRecord>, AuditError> {
        self.sink.read(chain_id, from_seq, limit).await
    }

    async fn heads(&self) -> Result<Vec<ChainHead>, AuditError> {
        let heads = self.sink.heads().await;
        self.sink.forget(&self.checkpoint).await?;
        heads
    }

    async fn checkpoints(&self) -> Result<Vec<Checkpoint>, AuditError> {
        self.sink.checkpoints().await
    }

    async fn differing(&self, records: &[SealedRecord]) -> Result<Option<u64>, AuditError> {
        self.sink.differing(records).await
    }

    async fn stray(&self) -> Result<Option<(Uuid, u64)>, AuditError> {
        self.sink.stray().await
    }

    async fn forget(&self, checkpoint: &Checkpoint) -> Result<u64, AuditError> {
        self.sink.forget(checkpoint).await
    }
}

#[tokio::test]
async fn who_prunes_beside_somebody_else_accuses_nobody() {
    let sink = MemorySink::default();
    let ledger = open(LedgerOptions::new(key()), sink.clone()).await;
    for question in ["1", "2", "3"] {
        ledger.write(ask(question)).await.unwrap();
    }
    ledger.shutdown().await;
    let second = sink.read(ledger.chain_id(), 1, 1).await.unwrap().remove(0);
    let checkpoint = Checkpoint::sign(&key(), second.chain_id, 2, second.mac, None);
    let store = Beside { sink, checkpoint };
    let pruned = prune::prune(&store, &key(), Utc::now() + TimeDelta::days(1)).await.unwrap();
    assert!(pruned.refused.is_empty() && pruned.records == 2, "{pruned:?}");
    assert_eq!(verify(&store.sink, &key()).await.unwrap().first_break, None);
}

#[tokio::test]
async fn a_record_that_nobody_pruned_is_missed_once() {
    let (ledger, sink) = Ledger::in_memory();
    ledger.write(ask("1")).await.unwrap();
    ledger.shutdown().await;
    let torn = MemorySink::default();
    torn.append(&sink.read(ledger.chain_id(), 1, 9).await.unwrap()).await.unwrap();
    let pruned = prune::prune(&torn, &key(), Utc::now() + TimeDelta::days(1)).await.unwrap();
    let faults: Vec<Fault> = pruned.refused.iter().map(|found| found.fault).collect();
    assert_eq!((faults, pruned.records), (vec![Fault::Missing], 0));
}

#[tokio::test]
async fn an_exported_head_that_was_pruned_since_must_be_the_one_that_the_checkpoint_goes_on_from() {
    let sink = MemorySink::default();
    let ledger = open(LedgerOptions::new(key()), sink.clone()).await;
    for question in ["1", "2"] {
        ledger.write(ask(question)).await.unwrap();
    }
    ledger.shutdown().await;
    let chain = sink.read(ledger.chain_id(), 0, 9).await.unwrap();
    sink.forget(&Checkpoint::sign(&key(), ledger.chain_id(), 2, chain[1].mac, None)).await.unwrap();
    for (mac, expected) in [(chain[1].mac, None), (chain[2].mac, Some((1, Fault::HeadMissing)))] {
        let heads = [ChainHead::new(ledger.chain_id(), 1, mac)];
        let found = verify_against(&sink, &key(), &heads).await.unwrap().first_break;
        assert_eq!(found.map(|found| (found.seq, found.fault)), expected);
    }
}
