//! The contract of audit sinks, and of what gives their records back.

use chrono::{TimeDelta, Utc};
use serde_json::json;
use uuid::Uuid;

use crate::{
    Principal, Source,
    audit::{AuditError, AuditSink, LedgerStore, SealedRecord},
    ledger::{AskRecord, CallRecord, Event, Outcome, Party, Record, SealKey, seal_all},
};

/// A fresh chain of `count` records of several kinds, sealed with a random key.
#[must_use]
pub fn sealed(count: usize) -> Vec<SealedRecord> {
    let party = Party::new(&Principal::email("dba@company.com"), Source::Cli);
    let records = (0..count).map(|index| {
        let call = CallRecord::new("db", "query", json!({ "index": index }), Outcome::Success);
        let event = match index % 3 {
            0 => Event::ChainOpened { previous: None, key: None },
            1 => Event::ToolCall(call),
            _ => Event::Ask(Box::new(AskRecord::new("Which databases are up?", Outcome::Success))),
        };
        Record::new(Uuid::now_v7(), Some(party.clone()), event)
    });
    seal_all(&SealKey::generate(), records)
}

/// A chain of two records that a host with this key sealed so many days ago: its opening, and an ask.
#[must_use]
pub fn sealed_days_ago(key: &SealKey, days: u32) -> Vec<SealedRecord> {
    let party = Party::new(&Principal::email("dba@company.com"), Source::Cli);
    let opened = Event::ChainOpened { previous: None, key: Some(key.id()) };
    let asked = Event::Ask(Box::new(AskRecord::new("Which databases are up?", Outcome::Success)));
    let records = [(opened, None), (asked, Some(party))].map(|(event, party)| {
        let mut record = Record::new(Uuid::now_v7(), party, event);
        record.at = Utc::now() - TimeDelta::days(days.into());
        record
    });
    seal_all(key, records.into_iter())
}

/// Checks a sink, and what gives the records of the same store back.
///
/// # Panics
/// Where the contract is broken.
pub async fn audit_sink_contract(sink: &dyn AuditSink, reader: &dyn LedgerStore) {
    what_was_appended_can_be_read(sink, reader).await;
    the_same_batch_again_changes_nothing(sink, reader).await;
    other_bytes_in_the_same_place_are_a_conflict(sink, reader).await;
    a_batch_with_a_conflict_stores_nothing(sink, reader).await;
    chains_are_listed_oldest_first(sink, reader).await;
}

async fn read_all(reader: &dyn LedgerStore, chain_id: Uuid) -> Vec<SealedRecord> {
    let read = reader.read(chain_id, 0, 1_000).await;
    assert!(read.is_ok(), "a chain can be read: {read:?}");
    read.unwrap_or_default()
}

async fn stored(sink: &dyn AuditSink, batch: &[SealedRecord]) {
    let stored = sink.append(batch).await;
    assert!(stored.is_ok(), "a batch is stored: {stored:?}");
}

async fn what_was_appended_can_be_read(sink: &dyn AuditSink, reader: &dyn LedgerStore) {
    let chain = sealed(7);
    let chain_id = chain[0].chain_id;
    stored(sink, &[]).await;
    stored(sink, &chain[..3]).await;
    stored(sink, &chain[3..]).await;
    assert_eq!(read_all(reader, chain_id).await, chain, "records come back byte for byte, in order");
    let middle = reader.read(chain_id, 2, 3).await.unwrap_or_default();
    assert_eq!(middle, chain[2..5], "a read begins where it is told to, and ends at its limit");
    assert_eq!(read_all(reader, Uuid::new_v4()).await, [], "an unknown chain is empty");
}

async fn the_same_batch_again_changes_nothing(sink: &dyn AuditSink, reader: &dyn LedgerStore) {
    let chain = sealed(4);
    stored(sink, &chain[..3]).await;
    stored(sink, &chain[..2]).await;
    stored(sink, &chain[1..]).await;
    assert_eq!(read_all(reader, chain[0].chain_id).await, chain, "repeated records are stored once");
}

async fn other_bytes_in_the_same_place_are_a_conflict(sink: &dyn AuditSink, reader: &dyn LedgerStore) {
    let chain = sealed(2);
    stored(sink, &chain).await;
    let mut forged = chain[1].clone();
    forged.bytes = chain[0].bytes.clone();
    let answer = sink.append(&[forged]).await;
    let (chain_id, seq) = (chain[1].chain_id, chain[1].seq);
    assert!(
        matches!(&answer, Err(AuditError::Conflict { chain_id: c, seq: s }) if (*c, *s) == (chain_id, seq)),
        "other bytes are a conflict that names the place: {answer:?}"
    );
    let mut resealed = chain[1].clone();
    resealed.mac[0] ^= 1;
    let answer = sink.append(&[resealed]).await;
    assert!(matches!(answer, Err(AuditError::Conflict { .. })), "another seal is a conflict: {answer:?}");
    assert_eq!(read_all(reader, chain_id).await, chain, "a conflict alters nothing");
}

async fn a_batch_with_a_conflict_stores_nothing(sink: &dyn AuditSink, reader: &dyn LedgerStore) {
    let chain = sealed(4);
    stored(sink, &chain[..2]).await;
    let mut forged = chain[1].clone();
    forged.mac = [7; 32];
    let answer = sink.append(&[chain[2].clone(), forged, chain[3].clone()]).await;
    assert!(matches!(answer, Err(AuditError::Conflict { .. })), "the batch is refused: {answer:?}");
    assert_eq!(read_all(reader, chain[0].chain_id).await, chain[..2], "a batch is stored whole or not at all");
}

async fn chains_are_listed_oldest_first(sink: &dyn AuditSink, reader: &dyn LedgerStore) {
    let (old, new) = (sealed(2), sealed(2));
    stored(sink, &old).await;
    stored(sink, &new).await;
    let chains = reader.chains().await.unwrap_or_default();
    let place = |chain: &[SealedRecord]| chains.iter().position(|id| *id == chain[0].chain_id);
    assert!(place(&old).is_some() && place(&old) < place(&new), "both chains are listed, the older one first");
    let heads = reader.heads().await.unwrap_or_default();
    let head = heads.iter().find(|head| head.chain_id == old[0].chain_id).map(|head| (head.seq, head.mac));
    assert_eq!(head, Some((1, old[1].mac)), "a head is the last record of its chain");
}
