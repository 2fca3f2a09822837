//! The contract of audit sinks, and of what gives their records back.

use std::time::Duration;

use chrono::{TimeDelta, Utc};
use futures::future::join_all;
use serde_json::json;
use tokio::time::sleep;
use uuid::Uuid;

use crate::{
    Principal, Source,
    audit::{AuditError, AuditSink, LedgerStore, SealedRecord},
    ledger::{AskRecord, CallRecord, Event, Outcome, Party, Record, SealKey, seal_all},
};

/// How many want to store the same at once.
const CALLERS: usize = 8;
/// How often a batch is brought that cannot be stored at once.
const TRIES: u32 = 100;

/// A fresh chain of `count` records of several kinds, sealed with a random key.
#[must_use]
pub fn sealed(count: usize) -> Vec<SealedRecord> {
    let party = Party::new(&Principal::email("dba@company.com"), Source::Cli);
    let records = (0..count).map(|index| {
        let call = CallRecord::new("db", "query", json!({ "index": index }), Outcome::Success);
        let event = match index % 3 {
            0 => Event::ChainOpened { previous: None, also: Vec::new(), key: None },
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
    let opened = Event::ChainOpened { previous: None, also: Vec::new(), key: Some(key.id()) };
    let asked = Event::Ask(Box::new(AskRecord::new("Which databases are up?", Outcome::Success)));
    let records = [(opened, None), (asked, Some(party))].map(|(event, party)| {
        let mut record = Record::new(Uuid::now_v7(), party, event);
        record.at = Utc::now() - TimeDelta::days(days.into());
        record
    });
    seal_all(key, records.into_iter())
}

/// Checks a sink, and what gives the records of the same store back. It needs a store that answers, and room for some
/// hundred records in one that forgets the oldest.
///
/// # Panics
/// Where the contract is broken.
pub async fn audit_sink_contract(sink: &dyn AuditSink, reader: &dyn LedgerStore) {
    what_was_appended_can_be_read(sink, reader).await;
    the_same_batch_again_changes_nothing(sink, sink, reader).await;
    other_bytes_in_the_same_place_are_a_conflict(sink, sink, reader).await;
    a_batch_with_a_conflict_stores_nothing(sink, reader).await;
    the_truth_alone_is_a_record_like_any_other(sink, reader).await;
    chains_are_listed_oldest_first(sink, reader).await;
    what_comes_at_once_is_all_stored_and_once(sink, sink, reader).await;
}

/// Checks that two sinks over the same store, each opened for itself, are one: what a process has left, another one
/// brings. `reader` gives back what the store holds. Of a store that is for one process alone both sinks are the same.
///
/// # Panics
/// Where the contract is broken.
pub async fn shared_audit_sink_contract(one: &dyn AuditSink, other: &dyn AuditSink, reader: &dyn LedgerStore) {
    assert_eq!(one.place(), other.place(), "whoever is asked, the store is where it is");
    the_same_batch_again_changes_nothing(one, other, reader).await;
    the_same_batch_again_changes_nothing(other, one, reader).await;
    other_bytes_in_the_same_place_are_a_conflict(one, other, reader).await;
    neither_takes_for_new_what_the_other_has_stored(one, other, reader).await;
    what_comes_at_once_is_all_stored_and_once(one, other, reader).await;
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

/// What `one` stored, and `other` brings once more.
async fn the_same_batch_again_changes_nothing(one: &dyn AuditSink, other: &dyn AuditSink, reader: &dyn LedgerStore) {
    let chain = sealed(4);
    stored(one, &chain[..3]).await;
    stored(other, &chain[..2]).await;
    stored(other, &chain[1..]).await;
    stored(one, &chain).await;
    assert_eq!(read_all(reader, chain[0].chain_id).await, chain, "repeated records are stored once");
}

/// What `one` stored, and `other` would store otherwise.
async fn other_bytes_in_the_same_place_are_a_conflict(
    one: &dyn AuditSink,
    other: &dyn AuditSink,
    reader: &dyn LedgerStore,
) {
    let chain = sealed(2);
    stored(one, &chain).await;
    let mut forged = chain[1].clone();
    forged.bytes = chain[0].bytes.clone();
    let answer = other.append(&[forged]).await;
    let (chain_id, seq) = (chain[1].chain_id, chain[1].seq);
    assert!(
        matches!(&answer, Err(AuditError::Conflict { chain_id: c, seq: s }) if (*c, *s) == (chain_id, seq)),
        "other bytes are a conflict that names the place: {answer:?}"
    );
    let mut resealed = chain[1].clone();
    resealed.mac[0] ^= 1;
    let answer = other.append(&[resealed]).await;
    assert!(matches!(answer, Err(AuditError::Conflict { .. })), "another seal is a conflict: {answer:?}");
    assert_eq!(read_all(reader, chain_id).await, chain, "a conflict alters nothing");
}

async fn neither_takes_for_new_what_the_other_has_stored(
    one: &dyn AuditSink,
    other: &dyn AuditSink,
    reader: &dyn LedgerStore,
) {
    let chain = sealed(12);
    for (sink, until) in [(one, 3), (other, 6), (one, 9), (other, 12)] {
        stored(sink, &chain[..until]).await;
    }
    assert_eq!(read_all(reader, chain[0].chain_id).await, chain, "each record is there once");
}

async fn what_comes_at_once_is_all_stored_and_once(
    one: &dyn AuditSink,
    other: &dyn AuditSink,
    reader: &dyn LedgerStore,
) {
    let (sinks, same) = ([one, other], sealed(20));
    let own: Vec<_> = (0..CALLERS).map(|_| sealed(20)).collect();
    let all = (0..CALLERS).map(async |caller| {
        // Everybody brings what somebody left, and has records of their own.
        let (sink, chain) = (sinks[caller % 2], &own[caller]);
        stored_at_last(sink, &same).await;
        for batch in chain.chunks(7) {
            stored_at_last(sink, batch).await;
        }
    });
    join_all(all).await;
    for chain in own.iter().chain([&same]) {
        assert_eq!(read_all(reader, chain[0].chain_id).await, *chain, "everything is there, in its order");
    }
}

/// Stores a batch that others may be just storing too: one that is away is brought again.
async fn stored_at_last(sink: &dyn AuditSink, batch: &[SealedRecord]) {
    for _ in 0..TRIES {
        match sink.append(batch).await {
            Err(AuditError::Unavailable { .. }) => sleep(Duration::from_millis(10)).await,
            stored => return assert!(stored.is_ok(), "a batch is stored: {stored:?}"),
        }
    }
    assert_eq!(TRIES, 0, "a batch is stored at last");
}

async fn the_truth_alone_is_a_record_like_any_other(sink: &dyn AuditSink, reader: &dyn LedgerStore) {
    let chain = sealed(4);
    let truth = async |batch: &[SealedRecord]| {
        let stored = sink.append_truth(batch).await;
        assert!(stored.is_ok(), "the records alone are stored: {stored:?}");
    };
    stored(sink, &chain[..1]).await;
    truth(&chain[..3]).await;
    truth(&chain[..3]).await;
    stored(sink, &chain).await;
    assert_eq!(read_all(reader, chain[0].chain_id).await, chain, "each is stored once, however it came");
    let mut forged = chain[2].clone();
    forged.mac = [7; 32];
    let answer = sink.append_truth(&[forged]).await;
    assert!(matches!(answer, Err(AuditError::Conflict { seq: 2, .. })), "another seal is a conflict: {answer:?}");
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
