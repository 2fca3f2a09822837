//! PostgreSQL, stopped and started while omni works.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use omni_core::{
    Ask, ErrorKind,
    audit::LedgerStore as _,
    config::Ack,
    ledger::{Event, Outcome, Record},
};
use omni_tests::{postgres::Postgres, rig::until};

use super::*;

/// Calls of the smoke form, which always runs, and with `OMNI_TEST_FULL`.
const CALLS: (usize, usize) = (2_000, 10_000);
const WORKERS: usize = 16;
const SOON: Duration = Duration::from_secs(60);

fn calls() -> usize {
    if std::env::var_os("OMNI_TEST_FULL").is_some() { CALLS.1 } else { CALLS.0 }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_postgres_that_stops_in_mid_load_loses_and_doubles_nothing() {
    let Some(server) = Postgres::start() else { return };
    let dir = tempfile::tempdir().unwrap();
    let store = SqlAudit::open(&server.url()).await.unwrap();
    let omni = pipeline(dir.path(), &store).build().await.unwrap();
    let (wanted, done) = (calls(), shared(AtomicUsize::new(0)));
    let answered = shared(Mutex::new(HashSet::new()));
    let worker = || {
        let (omni, done, answered) = (omni.clone(), done.clone(), answered.clone());
        tokio::spawn(async move {
            while done.fetch_add(1, Ordering::SeqCst) < wanted {
                let id = answered_in_the_end(&omni).await;
                answered.lock().unwrap().insert(id);
            }
        })
    };
    let workers: Vec<_> = (0..WORKERS).map(|_| worker()).collect();
    until(|| done.load(Ordering::SeqCst) >= wanted * 4 / 10).await;
    server.stop();
    until(|| done.load(Ordering::SeqCst) >= wanted * 6 / 10).await;
    server.start_again();
    for worker in workers {
        worker.await.unwrap();
    }
    omni.ledger().flush(SOON).await.unwrap();
    omni.shutdown().await;
    let answered = answered.lock().unwrap().clone();
    assert_eq!(answered.len(), wanted);
    assert_whole(&store, dir.path(), &answered).await;
}

/// Makes a call, and another one as long as the ledger has no room for it; the one that was answered.
async fn answered_in_the_end(omni: &Omni) -> Uuid {
    loop {
        let call = echo();
        let id = call.request_id;
        match omni.call_tool(call).await {
            Ok(_) => return id,
            Err(error) => assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_postgres_that_is_away_at_the_start_gets_everything_when_it_comes() {
    let Some(server) = Postgres::start() else { return };
    server.stop();
    let dir = tempfile::tempdir().unwrap();
    let mut asked = HashSet::new();
    for _ in 0..2 {
        let store = SqlAudit::open(&server.url()).await.unwrap();
        let omni = pipeline(dir.path(), &store).build().await.unwrap();
        let ask = Ask::new(ada(), "Are you there?");
        asked.insert(ask.request_id);
        assert_eq!(omni.ask(ask).await.unwrap().text, "ok");
        omni.shutdown().await;
    }
    server.start_again();
    let store = SqlAudit::open(&server.url()).await.unwrap();
    let omni = pipeline(dir.path(), &store).build().await.unwrap();
    omni.ledger().flush(SOON).await.unwrap();
    omni.shutdown().await;
    assert_whole(&store, dir.path(), &asked).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_ack_database_nobody_sees_the_end_before_postgres_has_it() {
    let Some(server) = Postgres::start() else { return };
    let dir = tempfile::tempdir().unwrap();
    let store = SqlAudit::open(&server.url()).await.unwrap();
    let omni = pipeline(dir.path(), &store).ledger_ack(Ack::Database).build().await.unwrap();
    omni.ask(Ask::new(ada(), "one")).await.unwrap();
    assert_eq!(everything(&store).await.len(), 1);
    server.stop();
    let waiting = omni.clone();
    let ask = tokio::spawn(async move { waiting.ask(Ask::new(ada(), "two")).await });
    until(|| omni.ledger().backlog() > 0).await;
    assert!(!ask.is_finished());
    server.start_again();
    ask.await.unwrap().unwrap();
    assert_eq!(everything(&store).await.len(), 2);
    omni.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_audit_required_asks_go_on_and_the_gap_is_sealed() {
    let Some(server) = Postgres::start() else { return };
    let dir = tempfile::tempdir().unwrap();
    let store = SqlAudit::open(&server.url()).await.unwrap();
    server.stop();
    let omni = pipeline(dir.path(), &store).ledger_required(false).ledger_backlog(8).build().await.unwrap();
    for _ in 0..20 {
        omni.ask(Ask::new(ada(), "q")).await.unwrap();
    }
    server.start_again();
    omni.ledger().flush(SOON).await.unwrap();
    omni.shutdown().await;
    let chain = store.read(store.chains().await.unwrap()[0], 0, 100).await.unwrap();
    let (mut kept, mut lost) = (0, 0);
    for sealed in chain {
        match serde_json::from_slice::<Record>(&sealed.bytes).unwrap().event {
            Event::Gap { count } => lost += count,
            Event::AskStarted { .. } => kept += 1,
            // One whose own record was dropped is closed as unknown.
            Event::Ask(ask) if ask.outcome != Outcome::UnknownOutcome => kept += 1,
            _ => {}
        }
    }
    // Each ask has a beginning and an end.
    assert_eq!((kept + lost, lost > 0), (40, true), "{kept} kept, {lost} lost");
    assert_whole(&store, dir.path(), &HashSet::new()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_audit_required_a_full_ledger_refuses_what_is_new() {
    let Some(server) = Postgres::start() else { return };
    let dir = tempfile::tempdir().unwrap();
    let store = SqlAudit::open(&server.url()).await.unwrap();
    server.stop();
    let omni = pipeline(dir.path(), &store).ledger_backlog(8).build().await.unwrap();
    let mut answered = HashSet::new();
    let refused = loop {
        let ask = Ask::new(ada(), "q");
        let id = ask.request_id;
        match omni.ask(ask).await {
            Ok(_) => answered.insert(id),
            Err(error) => break error,
        };
    };
    assert_eq!(refused.kind(), ErrorKind::Unavailable, "{refused}");
    assert!(!answered.is_empty() && answered.len() < 20);
    server.start_again();
    omni.ledger().flush(SOON).await.unwrap();
    omni.ask(Ask::new(ada(), "again")).await.unwrap();
    omni.shutdown().await;
    assert_whole(&store, dir.path(), &answered).await;
}
