//! A directory whose ledger goes to one store, and then to another.

use super::*;

/// A store at a place, which may be away.
#[derive(Debug, Clone)]
struct At {
    place: &'static str,
    flaky: Flaky,
}

#[async_trait]
impl AuditSink for At {
    async fn append(&self, batch: &[SealedRecord]) -> Result<(), AuditError> {
        self.flaky.append(batch).await
    }

    fn place(&self) -> Option<String> {
        Some(self.place.into())
    }
}

fn at(place: &'static str) -> At {
    At { place, flaky: Flaky::default() }
}

/// One process: it asks, and ends.
async fn run(dir: &Path, store: &At, question: &str) {
    let ledger = open(options(dir), store.clone()).await;
    ledger.write(ask(question)).await.unwrap();
    ledger.shutdown().await;
}

async fn previous(store: &At, chain: usize) -> Option<Uuid> {
    let sink = &store.flaky.sink;
    let first = sink.read(sink.chains().await.unwrap()[chain], 0, 1).await.unwrap().remove(0);
    verify::named_previous(&first).map(|(chain_id, _)| chain_id)
}

#[tokio::test]
async fn a_chain_names_the_one_before_it_in_its_own_store() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (at("one"), at("two"));
    for (store, question) in [(&one, "1"), (&two, "2"), (&one, "3"), (&two, "4")] {
        run(dir.path(), store, question).await;
    }
    for store in [&one, &two] {
        let chains = store.flaky.sink.chains().await.unwrap();
        assert_eq!((previous(store, 0).await, previous(store, 1).await), (None, Some(chains[0])));
        assert_verifies(&store.flaky.sink, 4).await;
    }
}

#[tokio::test]
async fn a_store_that_was_emptied_or_cut_does_not_hold_the_seal_that_was_left_beside_it() {
    let dir = tempfile::tempdir().unwrap();
    let (store, other) = (at("one"), at("two"));
    assert_eq!(LastSeal::read(dir.path(), &store), None);
    run(dir.path(), &store, "1").await;
    run(dir.path(), &store, "2").await;
    let last = LastSeal::read(dir.path(), &store);
    let check = async |sink: &MemorySink| verify_up_to(sink, &key(), &[], last).await.unwrap().first_break;
    let whole = &store.flaky.sink;
    let youngest = whole.chains().await.unwrap()[1];
    assert_eq!((last.map(|last| last.chain_id), check(whole).await), (Some(youngest), None));
    let (empty, cut) = (MemorySink::default(), MemorySink::default());
    let older = whole.read(whole.chains().await.unwrap()[0], 0, 100).await.unwrap();
    cut.append(&older).await.unwrap();
    for (sink, records) in [(&empty, 0), (&cut, older.len() as u64)] {
        assert_verifies(sink, records).await;
        assert_eq!(check(sink).await, Some(Break { chain_id: youngest, seq: 0, fault: Fault::HeadMissing }));
    }
    // What was left of one store says nothing of another.
    assert_eq!(LastSeal::read(dir.path(), &other), None);
}

#[tokio::test]
async fn a_store_in_memory_lacks_nothing_of_a_process_before() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(options(dir.path()), MemorySink::default()).await;
    ledger.write(ask("1")).await.unwrap();
    ledger.shutdown().await;
    assert_eq!(LastSeal::read(dir.path(), &MemorySink::default()), None);
}

#[tokio::test]
async fn what_was_on_its_way_to_another_store_waits_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (at("one"), at("two"));
    one.flaky.go(true);
    run(dir.path(), &one, "1").await;
    assert_eq!(files_of(dir.path()).len(), 1);
    run(dir.path(), &two, "2").await;
    assert_eq!((questions(&two.flaky.sink), files_of(dir.path()).len()), (vec!["2".into()], 1));
    assert_verifies(&two.flaky.sink, 2).await;
    one.flaky.go(false);
    run(dir.path(), &one, "3").await;
    assert_eq!((questions(&one.flaky.sink), files_of(dir.path()).len()), (vec!["1".into(), "3".into()], 0));
    assert_verifies(&one.flaky.sink, 4).await;
}

#[tokio::test]
async fn files_tell_nothing_of_where_the_store_is() {
    let dir = tempfile::tempdir().unwrap();
    let store = at("postgres://secret-host/db");
    store.flaky.go(true);
    run(dir.path(), &store, "1").await;
    let names = format!("{:?}", files_of(dir.path()));
    assert!(names.contains(".wal") && !names.contains("secret"), "{names}");
}

#[tokio::test]
async fn a_sink_that_panics_is_one_that_is_away_for_a_moment() {
    let flaky = Flaky::default();
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(options(dir.path()), flaky.clone()).await;
    ledger.write(ask("before")).await.unwrap();
    ledger.flush(SOON).await.unwrap();
    flaky.panics.store(true, Ordering::SeqCst);
    ledger.write_with(ask("broken"), Ack::Fsync).await.unwrap();
    ledger.write(ask("after")).await.unwrap();
    ledger.flush(SOON).await.unwrap();
    assert_eq!(questions(&flaky.sink), ["before", "broken", "after"]);
    assert!(!flaky.panics.load(Ordering::SeqCst));
    ledger.shutdown().await;
}

/// A store that never comes to an end with more than so many records.
#[derive(Debug, Clone)]
struct Slow {
    sink: MemorySink,
    most: usize,
    attempts: Arc<AtomicUsize>,
}

#[async_trait]
impl AuditSink for Slow {
    async fn append(&self, batch: &[SealedRecord]) -> Result<(), AuditError> {
        self.attempts.fetch_add(1, Ordering::SeqCst);
        if batch.len() > self.most {
            return std::future::pending().await;
        }
        self.sink.append(batch).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_takes_no_large_batch_in_time_is_brought_small_ones_and_then_larger_ones_again() {
    let slow = Slow { sink: MemorySink::default(), most: 7, attempts: Arc::default() };
    let ledger = Ledger::start(LedgerOptions::new(key()), Arc::new(slow.clone()), Uuid::now_v7(), Found::default());
    for index in 0..400 {
        ledger.write(ask(&index.to_string())).await.unwrap();
    }
    assert!(ledger.flush(Duration::from_secs(31)).await.is_err() && ledger.sink_fault().is_some());
    ledger.flush(Duration::from_secs(3_600)).await.unwrap();
    assert!(ledger.sink_fault().is_none());
    assert!(questions(&slow.sink).into_iter().eq((0..400).map(|index| index.to_string())));
    assert_verifies(&slow.sink, 401).await;
    let attempts = slow.attempts.load(Ordering::SeqCst);
    assert!((58..400).contains(&attempts), "{attempts} attempts");
}
