//! `cargo bench -p omni-benches --bench ledger`: records a second, on each part of their way.
//!
//! What goes to PostgreSQL goes to the one that `OMNI_TEST_POSTGRES_URL` names.
#![allow(missing_docs, clippy::unwrap_used, reason = "benchmarks may stop at a fault")]

use std::sync::Arc;

use divan::{Bencher, counter::ItemsCount};
use omni_core::{
    AuditSink, Principal, Source,
    audit::{AuditError, SealedRecord, sql::SqlAudit},
    config::Ack,
    ledger::{AskRecord, CallRecord, Event, Ledger, LedgerOptions, Outcome, Party, Record, SealKey, verify::verify},
    testing::{postgres_schema, sealed},
};
use serde_json::json;
use tokio::runtime::Runtime;
use uuid::Uuid;

/// Records of one run.
const RECORDS: usize = 8_192;
/// As many as the ledger gives its store at once.
const BATCH: usize = 256;
/// How many write at the same time.
const WRITERS: usize = 64;

fn main() {
    divan::main();
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// Takes everything and keeps nothing.
#[derive(Debug)]
struct Nowhere;

#[async_trait::async_trait]
impl AuditSink for Nowhere {
    async fn append(&self, _: &[SealedRecord]) -> Result<(), AuditError> {
        Ok(())
    }
}

/// What an ask with one call leaves, all but its last record.
fn events() -> [Event; 4] {
    let call = CallRecord::new("db", "query", json!({ "sql": "SELECT * FROM t WHERE id = 7" }), Outcome::Success);
    let mut ask = AskRecord::new("Which databases are up?", Outcome::Success);
    ask.answer = "All of them.".into();
    [
        Event::AskStarted { question: ask.question.clone() },
        Event::Started(call.clone()),
        Event::ToolCall(call),
        Event::Ask(Box::new(ask)),
    ]
}

async fn write_all(ledger: &Ledger, ack: Ack) {
    let writer = || {
        let ledger = ledger.clone();
        tokio::spawn(async move {
            let party = Party::new(&Principal::email("ada@company.com"), Source::Cli);
            for _ in 0..RECORDS / WRITERS / 4 {
                let request_id = Uuid::now_v7();
                for event in events() {
                    ledger.write_with(Record::new(request_id, Some(party.clone()), event), ack).await.unwrap();
                }
            }
        })
    };
    for written in (0..WRITERS).map(|_| writer()).collect::<Vec<_>>() {
        written.await.unwrap();
    }
}

fn options(key: &SealKey) -> LedgerOptions {
    LedgerOptions::new(key.clone()).with_max_backlog(10 * RECORDS)
}

/// Redact, seal, write to the file: what stands between a record and its `Local` assurance.
#[divan::bench(sample_count = 10)]
fn into_the_local_file(bencher: Bencher<'_, '_>) {
    let runtime = runtime();
    let dir = std::env::temp_dir().join(format!("omni-bench-ledger-{}", std::process::id()));
    let open = Ledger::open(options(&SealKey::generate()).with_dir(&dir), Arc::new(Nowhere));
    let ledger = runtime.block_on(open).unwrap();
    bencher.counter(ItemsCount::new(RECORDS)).bench_local(|| runtime.block_on(write_all(&ledger, Ack::Local)));
    runtime.block_on(ledger.shutdown());
    let _ = std::fs::remove_dir_all(dir);
}

/// A store of a kind; `None` where there is none.
fn store(runtime: &Runtime, kind: &str) -> Option<(SqlAudit, std::path::PathBuf)> {
    let dir = std::env::temp_dir().join(format!("omni-bench-{kind}-{}", std::process::id()));
    let url = match kind {
        "sqlite" => format!("sqlite:{}", dir.join("omni.db").display()),
        _ => runtime.block_on(postgres_schema())?,
    };
    Some((runtime.block_on(SqlAudit::open(&url)).unwrap(), dir))
}

/// Sealed records into a database, a batch at a time, each durable before the next: a third are asks,
/// a third are tool calls.
#[divan::bench(args = ["sqlite", "postgres"], sample_count = 10, sample_size = 1)]
fn drained_into(bencher: Bencher<'_, '_>, kind: &str) {
    let runtime = runtime();
    let Some((store, dir)) = store(&runtime, kind) else { return };
    let drain = |records: Vec<SealedRecord>| {
        runtime.block_on(async {
            for batch in records.chunks(BATCH) {
                store.append(batch).await.unwrap();
            }
        });
    };
    bencher.counter(ItemsCount::new(RECORDS)).with_inputs(|| sealed(RECORDS)).bench_local_values(drain);
    let _ = std::fs::remove_dir_all(dir);
}

/// From the writers through file and drain into a database, until it has the last one.
#[divan::bench(args = ["sqlite", "postgres"], sample_count = 5, sample_size = 1)]
fn end_to_end_into(bencher: Bencher<'_, '_>, kind: &str) {
    let runtime = runtime();
    let Some((store, dir)) = store(&runtime, kind) else { return };
    let options = options(&SealKey::generate()).with_dir(dir.join("wal"));
    let ledger = runtime.block_on(Ledger::open(options, Arc::new(store))).unwrap();
    bencher.counter(ItemsCount::new(RECORDS)).bench_local(|| {
        runtime.block_on(async {
            write_all(&ledger, Ack::Local).await;
            ledger.flush(std::time::Duration::from_secs(60)).await.unwrap();
        });
    });
    runtime.block_on(ledger.shutdown());
    let _ = std::fs::remove_dir_all(dir);
}

/// Seals, links and rows of everything that a database holds.
#[divan::bench(args = ["sqlite", "postgres"], sample_count = 5, sample_size = 1)]
fn verified_from(bencher: Bencher<'_, '_>, kind: &str) {
    let runtime = runtime();
    let Some((store, dir)) = store(&runtime, kind) else { return };
    let key = SealKey::generate();
    runtime.block_on(async {
        let ledger = Ledger::open(options(&key), Arc::new(store.clone())).await.unwrap();
        write_all(&ledger, Ack::Local).await;
        ledger.shutdown().await;
    });
    bencher.counter(ItemsCount::new(RECORDS)).bench_local(|| {
        let verified = runtime.block_on(verify(&store, &key)).unwrap();
        assert_eq!(verified.first_break, None);
    });
    let _ = std::fs::remove_dir_all(dir);
}
