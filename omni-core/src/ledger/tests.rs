//! The ledger as its callers see it: through kill, torn files, sinks that are away, and forgers.

use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
};

use async_trait::async_trait;
use serde_json::json;

use super::{verify::*, *};
use crate::{
    Principal, Source,
    audit::{LedgerStore as _, Said, SealedRecord},
    hex::to_hex,
};

mod carried;
mod crash;
mod keys;
mod pruned;
mod stores;

const SOON: Duration = Duration::from_secs(20);

/// A memory sink that can go away, and that remembers every attempt.
#[derive(Debug, Clone, Default)]
struct Flaky {
    sink: MemorySink,
    away: Arc<AtomicBool>,
    attempts: Arc<AtomicUsize>,
    /// Whether it does at the next attempt.
    panics: Arc<AtomicBool>,
}

impl Flaky {
    fn away() -> Self {
        let flaky = Self::default();
        flaky.go(true);
        flaky
    }

    fn go(&self, away: bool) {
        self.away.store(away, Ordering::SeqCst);
    }

    fn attempts(&self) -> usize {
        self.attempts.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl AuditSink for Flaky {
    async fn append(&self, batch: &[SealedRecord]) -> Result<(), AuditError> {
        self.attempts.fetch_add(1, Ordering::SeqCst);
        if self.panics.swap(false, Ordering::SeqCst) {
            panic!("the sink broke");
        }
        if self.away.load(Ordering::SeqCst) {
            return Err(AuditError::Unavailable { message: "gone fishing".into() });
        }
        self.sink.append(batch).await
    }
}

fn key() -> SealKey {
    SealKey::from_bytes([7; 32])
}

fn options(dir: &Path) -> LedgerOptions {
    LedgerOptions::new(key()).with_dir(dir).with_shutdown_within(Duration::from_millis(200))
}

async fn open(options: LedgerOptions, sink: impl AuditSink + 'static) -> Ledger {
    Ledger::open(options, Arc::new(sink)).await.unwrap()
}

fn party() -> Party {
    Party::new(&Principal::email("dba@company.com"), Source::Cli)
}

fn ask(question: &str) -> Record {
    Record::new(Uuid::now_v7(), Some(party()), Event::Ask(Box::new(AskRecord::new(question, Outcome::Success))))
}

fn questions(sink: &MemorySink) -> Vec<String> {
    let question = |record: Record| match record.event {
        Event::Ask(ask) => Some(ask.question),
        _ => None,
    };
    sink.records().into_iter().filter_map(question).collect()
}

async fn assert_verifies(sink: &MemorySink, records: u64) {
    let verified = verify(sink, &key()).await.unwrap();
    assert_eq!((verified.first_break, verified.records), (None, records));
}

fn files_of(dir: &Path) -> Vec<String> {
    let names = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.filter(|name| !name.starts_with("head") && name != "ledger.key").collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_record_reaches_the_sink_after_the_chains_opening() {
    let (ledger, sink) = Ledger::in_memory();
    ledger.write(ask("Who am I?")).await.unwrap();
    ledger.flush(SOON).await.unwrap();
    assert_eq!(ledger.backlog(), 0);
    let records = sink.records();
    assert!(matches!(records[0].event, Event::ChainOpened { previous: None, .. }), "{records:?}");
    assert_eq!(questions(&sink), ["Who am I?"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_concurrent_writes_make_one_chain_without_gaps() {
    let dir = tempfile::tempdir().unwrap();
    let sink = MemorySink::default();
    let ledger = open(options(dir.path()), sink.clone()).await;
    let acks = [Ack::Local, Ack::Fsync, Ack::Database];
    let writes = (0..1_000).map(|index| {
        let ledger = ledger.clone();
        tokio::spawn(async move { ledger.write_with(ask(&index.to_string()), acks[index % 3]).await })
    });
    for written in futures::future::join_all(writes.collect::<Vec<_>>()).await {
        written.unwrap().unwrap();
    }
    ledger.flush(SOON).await.unwrap();
    let sealed = sink.read(ledger.chain_id(), 0, 2_000).await.unwrap();
    assert!(sealed.iter().map(|record| record.seq).eq(0..1_001));
    let mut asked: Vec<usize> = questions(&sink).iter().map(|question| question.parse().unwrap()).collect();
    asked.sort_unstable();
    assert!(asked.into_iter().eq(0..1_000));
    assert_verifies(&sink, 1_001).await;
    ledger.shutdown().await;
    assert_eq!(files_of(dir.path()), Vec::<String>::new());
}

#[tokio::test]
async fn a_sink_that_comes_back_gets_every_record_in_order() {
    let flaky = Flaky::away();
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(options(dir.path()), flaky.clone()).await;
    for index in 0..50 {
        ledger.write(ask(&index.to_string())).await.unwrap();
    }
    assert_eq!(ledger.backlog(), 50);
    assert!(matches!(ledger.flush(Duration::from_millis(20)).await, Err(AuditError::Unavailable { .. })));
    assert!(flaky.attempts() > 0 && flaky.sink.records().is_empty());
    flaky.go(false);
    ledger.flush(SOON).await.unwrap();
    assert!(questions(&flaky.sink).into_iter().eq((0..50).map(|index| index.to_string())));
    assert_verifies(&flaky.sink, 51).await;
}

#[tokio::test(start_paused = true)]
async fn records_that_nobody_waits_for_go_to_the_sink_together_and_one_that_is_waited_for_at_once() {
    let flaky = Flaky::default();
    let ledger = open(LedgerOptions::new(key()), flaky.clone()).await;
    for index in 0..50 {
        ledger.write_with(ask(&index.to_string()), Ack::Local).await.unwrap();
    }
    assert_eq!(flaky.attempts(), 0, "they wait for others");
    ledger.flush(SOON).await.unwrap();
    assert_eq!((flaky.attempts(), questions(&flaky.sink).len()), (1, 50));

    let before = tokio::time::Instant::now();
    ledger.write_with(ask("nobody waits"), Ack::Local).await.unwrap();
    ledger.write_with(ask("somebody waits"), Ack::Database).await.unwrap();
    assert_eq!(before.elapsed(), Duration::ZERO);
    assert_eq!(questions(&flaky.sink).len(), 52);
    ledger.write_with(ask("the last"), Ack::Local).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(questions(&flaky.sink).len(), 53, "nobody has to ask for it");
}

#[tokio::test]
async fn a_required_ledger_that_is_full_admits_nobody_but_lets_running_asks_end() {
    let flaky = Flaky::away();
    let ledger = open(LedgerOptions::new(key()).with_max_backlog(10), flaky.clone()).await;
    for index in 0..10 {
        ledger.admit().unwrap();
        ledger.write(ask(&index.to_string())).await.unwrap();
    }
    let error = ledger.admit().unwrap_err();
    assert!(matches!(error, AuditError::Full { .. }), "{error}");
    for index in 10..20 {
        ledger.write(ask(&index.to_string())).await.unwrap();
    }
    assert!(matches!(ledger.write(ask("too much")).await, Err(AuditError::Full { .. })));
    flaky.go(false);
    ledger.flush(SOON).await.unwrap();
    ledger.admit().unwrap();
    assert_eq!(questions(&flaky.sink).len(), 20);
}

#[tokio::test]
async fn the_refusal_of_a_full_ledger_says_why_and_what_to_do() {
    let ledger = open(LedgerOptions::new(key()).with_max_backlog(1), Flaky::away()).await;
    ledger.write(ask("1")).await.unwrap();
    let _ = ledger.flush(Duration::from_millis(200)).await;
    let error = ledger.admit().unwrap_err().to_string();
    assert!(error.contains("gone fishing") && error.contains("audit.required: false"), "{error}");
}

#[tokio::test]
async fn the_refusal_of_a_ledger_whose_store_holds_another_record_says_where_and_what_to_do() {
    let sink = MemorySink::default();
    let ledger = open(LedgerOptions::new(key()).with_max_backlog(1), sink.clone()).await;
    sink.append(&[SealedRecord::new(ledger.chain_id(), 0, "{}", [0; 32])]).await.unwrap();
    ledger.write(ask("1")).await.unwrap();
    let told = async {
        while ledger.sink_fault().is_none() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(SOON, told).await.unwrap();
    assert!(matches!(ledger.sink_fault(), Some(AuditError::Conflict { seq: 0, .. })), "{:?}", ledger.sink_fault());
    let error = ledger.admit().unwrap_err().to_string();
    assert!(error.contains("holds another record at") && error.contains("start omni again"), "{error}");
}

#[tokio::test]
async fn a_ledger_that_is_not_required_seals_the_number_of_what_it_dropped() {
    let flaky = Flaky::away();
    let options = LedgerOptions::new(key()).with_max_backlog(5).with_required(false);
    let ledger = open(options, flaky.clone()).await;
    for index in 0..20 {
        ledger.admit().unwrap();
        ledger.write(ask(&index.to_string())).await.unwrap();
    }
    flaky.go(false);
    ledger.flush(SOON).await.unwrap();
    ledger.shutdown().await;
    let gaps: Vec<u64> = flaky
        .sink
        .records()
        .iter()
        .filter_map(|record| match record.event {
            Event::Gap { count } => Some(count),
            _ => None,
        })
        .collect();
    let kept = questions(&flaky.sink).len() as u64;
    assert_eq!(gaps, [20 - kept]);
    assert_eq!(kept, 5);
    assert_verifies(&flaky.sink, kept + 2).await;
}

#[tokio::test]
async fn a_dropped_writer_does_not_take_its_record_back() {
    let flaky = Flaky::away();
    let ledger = open(LedgerOptions::new(key()), flaky.clone()).await;
    let write = ledger.write_with(ask("still there"), Ack::Database);
    assert!(time::timeout(Duration::from_millis(50), write).await.is_err());
    flaky.go(false);
    ledger.flush(SOON).await.unwrap();
    assert_eq!(questions(&flaky.sink), ["still there"]);
}

#[tokio::test]
async fn an_assurance_that_does_not_come_in_time_is_an_error() {
    let options = LedgerOptions::new(key()).with_ack(Ack::Database).with_ack_within(Duration::from_millis(30));
    let ledger = open(options, Flaky::away()).await;
    let error = ledger.write(ask("late")).await.unwrap_err().to_string();
    assert!(error.contains("the database") && error.contains("may still arrive"), "{error}");
}

#[tokio::test]
async fn without_a_file_fsync_waits_for_the_sink() {
    let options = LedgerOptions::new(key()).with_ack(Ack::Fsync).with_ack_within(Duration::from_millis(30));
    assert!(open(options.clone(), Flaky::away()).await.write(ask("1")).await.is_err());
    open(options, MemorySink::default()).await.write(ask("1")).await.unwrap();
}

#[tokio::test]
async fn a_closed_ledger_takes_nothing_more() {
    let (ledger, sink) = Ledger::in_memory();
    ledger.write(ask("1")).await.unwrap();
    ledger.shutdown().await;
    ledger.shutdown().await;
    assert_eq!(questions(&sink), ["1"]);
    assert!(matches!(ledger.write(ask("2")).await, Err(AuditError::Closed)));
    assert!(matches!(ledger.admit(), Err(AuditError::Closed)));
}

#[tokio::test]
async fn secrets_reach_neither_the_file_nor_the_sink() {
    let dir = tempfile::tempdir().unwrap();
    let flaky = Flaky::away();
    let redactor = Redactor::new().with_value("known-value");
    let ledger = open(options(dir.path()).with_redactor(redactor), flaky.clone()).await;
    let arguments = json!({ "password": "hunter2", "q": "known-value" });
    let call = CallRecord::new("db", "query", arguments, Outcome::Success);
    ledger.write(Record::new(Uuid::now_v7(), Some(party()), Event::DirectCall(call))).await.unwrap();
    let file = fs::read_to_string(dir.path().join(&files_of(dir.path())[0])).unwrap();
    assert!(file.contains("[redacted]") && !file.contains("hunter2") && !file.contains("known-value"), "{file}");
}

#[tokio::test]
async fn a_ledger_that_wrote_nothing_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let sink = MemorySink::default();
    open(options(dir.path()), sink.clone()).await.shutdown().await;
    assert!(sink.records().is_empty() && files_of(dir.path()).is_empty());
}

#[tokio::test]
async fn a_chain_names_the_one_before() {
    let dir = tempfile::tempdir().unwrap();
    let sink = MemorySink::default();
    for question in ["1", "2", "3"] {
        let ledger = open(options(dir.path()), sink.clone()).await;
        ledger.write(ask(question)).await.unwrap();
        ledger.shutdown().await;
    }
    let chains = sink.chains().await.unwrap();
    let second = sink.read(chains[1], 0, 1).await.unwrap();
    let first_head = sink.read(chains[0], 1, 1).await.unwrap()[0].mac;
    let opened: Record = serde_json::from_slice(&second[0].bytes).unwrap();
    assert_eq!(
        opened.event,
        Event::ChainOpened { previous: Some((chains[0], to_hex(first_head))), also: Vec::new(), key: Some(key().id()) }
    );
    assert_verifies(&sink, 6).await;
}

#[tokio::test]
async fn one_record_is_proved_by_itself_and_the_seal_before_it() {
    let dir = tempfile::tempdir().unwrap();
    let sink = MemorySink::default();
    let ledger = open(options(dir.path()), sink.clone()).await;
    for question in ["1", "2", "3"] {
        ledger.write(ask(question)).await.unwrap();
    }
    ledger.shutdown().await;
    let chain = sink.chains().await.unwrap()[0];
    let records = sink.read(chain, 0, 9).await.unwrap();
    for record in &records {
        assert_eq!(verify_record(&sink, &key(), record).await.unwrap(), None, "{}", record.seq);
    }
    let altered = SealedRecord { bytes: records[2].bytes.clone(), ..records[3].clone() };
    assert_eq!(verify_record(&sink, &key(), &altered).await.unwrap(), Some(Fault::Altered));
    let unknown = Some(Fault::UnknownKey(key().id()));
    for record in [&records[0], &records[2]] {
        let other = verify_record(&sink, &SealKey::generate(), record).await.unwrap();
        assert_eq!(other, unknown, "its chain names the key that would tell");
    }
    let torn = MemorySink::default();
    torn.append(&[&records[..2], &records[3..]].concat()).await.unwrap();
    assert_eq!(verify_record(&torn, &key(), &records[3]).await.unwrap(), Some(Fault::Missing));
}

#[tokio::test]
async fn every_kind_of_tampering_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let sink = MemorySink::default();
    for question in ["1", "2"] {
        let ledger = open(options(dir.path()), sink.clone()).await;
        ledger.write(ask(question)).await.unwrap();
        ledger.write(ask(question)).await.unwrap();
        ledger.shutdown().await;
    }
    let chains = sink.chains().await.unwrap();
    let first = sink.read(chains[0], 0, 9).await.unwrap();
    let second = sink.read(chains[1], 0, 9).await.unwrap();
    let fault = async |records: &[SealedRecord]| {
        let forged = MemorySink::default();
        forged.append(records).await.unwrap();
        let found = verify(&forged, &key()).await.unwrap().first_break?;
        Some((found.chain_id, found.seq, found.fault))
    };
    let all = [&first[..], &second[..]].concat();
    assert_eq!(fault(&all).await, None);

    let mut altered = all.clone();
    altered[1].bytes = second[1].bytes.clone();
    assert_eq!(fault(&altered).await, Some((chains[0], 1, Fault::Altered)));
    let mut swapped = all.clone();
    (swapped[1].bytes, swapped[2].bytes) = (all[2].bytes.clone(), all[1].bytes.clone());
    (swapped[1].mac, swapped[2].mac) = (all[2].mac, all[1].mac);
    assert_eq!(fault(&swapped).await, Some((chains[0], 1, Fault::Altered)));
    let removed: Vec<_> = all.iter().filter(|record| **record != first[1]).cloned().collect();
    assert_eq!(fault(&removed).await, Some((chains[0], 1, Fault::Missing)));
    let headless: Vec<_> = all.iter().filter(|record| **record != first[0]).cloned().collect();
    assert_eq!(fault(&headless).await, Some((chains[0], 0, Fault::Missing)));
    let cut: Vec<_> = all.iter().filter(|record| **record != first[2]).cloned().collect();
    assert_eq!(fault(&cut).await, Some((chains[1], 0, Fault::PreviousCut)));
    assert_eq!(fault(&second).await, Some((chains[1], 0, Fault::PreviousMissing)));

    let stranger = verify(&sink, &SealKey::generate()).await.unwrap();
    assert_eq!((stranger.first_break, stranger.chains, stranger.not_provable.len()), (None, 0, 2));
}

#[tokio::test]
async fn a_record_forged_into_the_sink_stops_the_chain_there() {
    let (ledger, sink) = Ledger::in_memory();
    let forged = SealedRecord::new(ledger.chain_id(), 0, "{}", [0; 32]);
    sink.append(&[forged]).await.unwrap();
    ledger.write(ask("1")).await.unwrap();
    assert!(ledger.flush(Duration::from_millis(100)).await.is_err());
    assert!(questions(&sink).is_empty());
}

#[tokio::test]
async fn long_runs_drop_the_segments_that_the_sink_has() {
    let dir = tempfile::tempdir().unwrap();
    let sink = MemorySink::new(100_000);
    let found = Found {
        wal: Some(Wal::create(dir.path(), Uuid::now_v7(), None).unwrap().with_limit(4_000)),
        ..Found::default()
    };
    let ledger = Ledger::start(options(dir.path()), Arc::new(sink.clone()), Uuid::now_v7(), found);
    for index in 0..500 {
        ledger.write(ask(&index.to_string())).await.unwrap();
        if index % 10 == 0 {
            ledger.flush(SOON).await.unwrap();
        }
    }
    assert!(files_of(dir.path()).len() <= 4, "{:?}", files_of(dir.path()));
    ledger.flush(SOON).await.unwrap();
    assert_verifies(&sink, 501).await;
    ledger.shutdown().await;
    assert_eq!(files_of(dir.path()), Vec::<String>::new());
}

#[tokio::test]
async fn a_write_that_fails_is_told_and_the_chain_goes_on_without_a_gap() {
    let dir = tempfile::tempdir().unwrap();
    let sink = MemorySink::default();
    let found = || {
        let wal = Wal::create(dir.path(), Uuid::now_v7(), None).unwrap().broken();
        Found { wal: Some(wal), ..Found::default() }
    };
    let ledger = Ledger::start(options(dir.path()), Arc::new(sink.clone()), Uuid::now_v7(), found());
    let error = ledger.write(ask("1")).await.unwrap_err();
    assert!(matches!(&error, AuditError::File { path, .. } if path.ends_with(".wal")), "{error}");
    assert!(matches!(ledger.admit(), Err(AuditError::File { .. })));
    ledger.write(ask("2")).await.unwrap();
    ledger.admit().unwrap();
    ledger.shutdown().await;
    assert_eq!(questions(&sink), ["2"]);
    assert_verifies(&sink, 2).await;

    let sink = MemorySink::default();
    let options = options(dir.path()).with_required(false);
    let ledger = Ledger::start(options, Arc::new(sink.clone()), Uuid::now_v7(), found());
    ledger.write(ask("1")).await.unwrap();
    ledger.write(ask("2")).await.unwrap();
    ledger.shutdown().await;
    assert_eq!(questions(&sink), ["2"]);
    assert!(sink.records().iter().any(|record| record.event == Event::Gap { count: 1 }));
}

#[tokio::test]
async fn a_ledger_that_nobody_holds_any_more_still_drains() {
    let dir = tempfile::tempdir().unwrap();
    let sink = MemorySink::default();
    let ledger = open(options(dir.path()), sink.clone()).await;
    ledger.write(ask("1")).await.unwrap();
    drop(ledger);
    let left = async {
        while !files_of(dir.path()).is_empty() {
            time::sleep(Duration::from_millis(5)).await;
        }
    };
    time::timeout(SOON, left).await.unwrap();
    assert_eq!(questions(&sink), ["1"]);
}

#[tokio::test]
async fn a_directory_that_cannot_be_made_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let error = Ledger::open(options(&file), Arc::new(MemorySink::default())).await.unwrap_err();
    assert!(matches!(&error, AuditError::File { path, .. } if *path == file.display().to_string()), "{error}");
}

#[test]
fn a_seal_is_hmac_sha256_over_previous_chain_place_and_bytes() {
    // Computed with Python: hmac.new(bytes([7]*32), bytes(32) + bytes(16) + bytes(8) + b"{}", "sha256").
    let seal = seal::seal(&key().keyed(), &[0; 32], Uuid::nil(), 0, b"{}");
    assert_eq!(to_hex(seal), "45b2cdc16515fd342f2ae5486136d9470cdd5b1a5e04e47d3b3f8855cd43561d");
}
