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
    verify::named_previous(&first).first().map(|(chain_id, _)| *chain_id)
}

/// The first end that a store lacks of those that were left beside it.
async fn lacks(sink: &MemorySink, last: &LastSeals) -> Option<Break> {
    verify_up_to(sink, &key(), &[], last).await.unwrap().first_break
}

/// The same store without one of its chains.
async fn without(sink: &MemorySink, gone: Uuid) -> MemorySink {
    let left = MemorySink::default();
    for chain in sink.chains().await.unwrap().into_iter().filter(|chain| *chain != gone) {
        left.append(&sink.read(chain, 0, 100).await.unwrap()).await.unwrap();
    }
    left
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
    assert_eq!(LastSeals::read(dir.path(), &store).unwrap(), LastSeals::default());
    run(dir.path(), &store, "1").await;
    run(dir.path(), &store, "2").await;
    let last = LastSeals::read(dir.path(), &store).unwrap();
    let whole = &store.flaky.sink;
    let youngest = whole.chains().await.unwrap()[1];
    assert_eq!((last.own.len(), last.own[0].chain_id, lacks(whole, &last).await), (1, youngest, None));
    let (empty, cut) = (MemorySink::default(), without(whole, youngest).await);
    for (sink, records) in [(&empty, 0), (&cut, 2)] {
        assert_verifies(sink, records).await;
        let missing = Break { chain_id: youngest, seq: 0, fault: Fault::HeadMissing };
        assert_eq!(lacks(sink, &last).await, Some(missing));
    }
    // What was left of one store says nothing of another, save that it is there.
    let others = LastSeals::read(dir.path(), &other).unwrap();
    assert_eq!((others.own.len(), others.elsewhere), (0, 1));
    let verified = verify_up_to(&empty, &key(), &[], &others).await.unwrap();
    assert_eq!((verified.first_break.is_none(), verified.is_gone(), verified.is_proved()), (true, true, false));
    assert!(verify_up_to(&cut, &key(), &[], &others).await.unwrap().is_proved());
}

#[tokio::test]
async fn every_chain_that_lost_something_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let store = at("one");
    for question in ["1", "2", "3"] {
        run(dir.path(), &store, question).await;
    }
    let (chains, cut) = (store.flaky.sink.chains().await.unwrap(), MemorySink::default());
    for chain in &chains {
        let records = store.flaky.sink.read(*chain, 0, 100).await.unwrap();
        cut.append(&records[..1]).await.unwrap();
    }
    let last = LastSeals::read(dir.path(), &store).unwrap();
    let verified = verify_up_to(&cut, &key(), &[], &last).await.unwrap();
    let first = Break { chain_id: chains[1], seq: 0, fault: Fault::PreviousCut };
    assert_eq!((verified.first_break, verified.breaks, verified.records), (Some(first), 3, 3));
}

#[tokio::test]
async fn a_store_is_not_proved_while_a_file_that_was_set_aside_for_it_lies_in_the_directory() {
    let dir = tempfile::tempdir().unwrap();
    let store = at("one");
    run(dir.path(), &store, "1").await;
    let tag = |place| StoreTag::of(&at(place), None).unwrap();
    let name = |place, extension| format!("{}.000000.{}.{extension}", Uuid::now_v7(), tag(place));
    let (damaged, conflict) = (name("one", "damaged"), name("one", "conflict"));
    for file in [&*damaged, &*conflict, &*name("two", "damaged"), "notes.damaged"] {
        fs::write(dir.path().join(file), "").unwrap();
    }
    let last = LastSeals::read(dir.path(), &store).unwrap();
    assert_eq!(last.set_aside, [damaged, conflict]);
    let verified = verify_up_to(&store.flaky.sink, &key(), &[], &last).await.unwrap();
    assert_eq!((&verified.first_break, verified.is_proved()), (&None, false));
    for file in last.set_aside {
        fs::remove_file(dir.path().join(file)).unwrap();
    }
    let last = LastSeals::read(dir.path(), &store).unwrap();
    assert!(verify_up_to(&store.flaky.sink, &key(), &[], &last).await.unwrap().is_proved());
}

#[tokio::test]
async fn the_end_of_a_service_is_known_though_younger_chains_ended_before_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = at("one");
    let service = open(options(dir.path()), store.clone()).await;
    service.write(ask("service")).await.unwrap();
    run(dir.path(), &store, "1").await;
    run(dir.path(), &store, "2").await;
    service.shutdown().await;
    let (sink, own) = (&store.flaky.sink, service.chain_id());
    let last = LastSeals::read(dir.path(), &store).unwrap();
    let mut others = sink.chains().await.unwrap();
    others.retain(|chain_id| *chain_id != own);
    assert_eq!((others.len(), lacks(sink, &last).await), (2, None));
    let cut = without(sink, own).await;
    assert_verifies(&cut, 4).await;
    assert_eq!(lacks(&cut, &last).await, Some(Break { chain_id: own, seq: 0, fault: Fault::HeadMissing }));

    // The next chain names both ends, and its own is the only one that has to be kept.
    run(dir.path(), &store, "3").await;
    let youngest = sink.chains().await.unwrap()[3];
    let named = verify::named_previous(&sink.read(youngest, 0, 1).await.unwrap()[0]);
    assert!(named.iter().map(|(chain_id, _)| *chain_id).eq([others[1], own]), "{named:?}");
    let last = LastSeals::read(dir.path(), &store).unwrap();
    assert!(last.own.iter().map(|last| last.chain_id).eq([youngest]), "{last:?}");
    assert_verifies(sink, 8).await;
    let fault = verify(&without(sink, own).await, &key()).await.unwrap().first_break;
    assert_eq!(fault, Some(Break { chain_id: youngest, seq: 0, fault: Fault::PreviousMissing }));
}

#[test]
fn ends_that_come_at_once_are_all_kept_and_never_more_than_there_is_room_for() {
    let dir = tempfile::tempdir().unwrap();
    let write = || ends::write(dir.path(), None, (Uuid::now_v7(), [7; 32]), &[]).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..4).for_each(|_| write()));
        }
    });
    assert_eq!(ends::read(dir.path(), None).unwrap().len(), 16);
    let lines: Vec<String> = (0..ends::MOST).map(|_| format!("{} {}\n", Uuid::now_v7(), to_hex([7; 32]))).collect();
    fs::write(dir.path().join("head"), lines.concat()).unwrap();
    let before = ends::read(dir.path(), None).unwrap();
    write();
    let kept = ends::read(dir.path(), None).unwrap();
    assert_eq!((before.len(), kept.len()), (ends::MOST, ends::MOST));
    assert_eq!(kept[..ends::MOST - 1], before[1..]);
}

#[tokio::test]
async fn the_end_of_a_store_in_the_directory_is_found_where_that_was_moved_and_by_its_name_of_before() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let inside = |dir: &tempfile::TempDir| {
        let path = dir.path().canonicalize().unwrap().join("omni.db");
        at(format!("sqlite:{}", path.display()).leak())
    };
    let (store, moved) = (inside(&here), inside(&there));
    let head = |dir: &tempfile::TempDir, tag: &StoreTag| dir.path().join(format!("head.{tag}"));
    let inner = StoreTag::of(&store, Some(here.path())).unwrap();
    let whole = StoreTag::of(&store, None).unwrap();
    run(here.path(), &store, "1").await;
    let known = LastSeals::read(here.path(), &store).unwrap();
    assert_eq!((known.own.len(), known.elsewhere), (1, 0));
    fs::copy(head(&here, &inner), head(&there, &inner)).unwrap();
    assert_eq!(LastSeals::read(there.path(), &moved).unwrap(), known);

    fs::rename(head(&here, &inner), head(&here, &whole)).unwrap();
    assert_eq!(LastSeals::read(here.path(), &store).unwrap(), known);
    fs::rename(head(&there, &inner), head(&there, &whole)).unwrap();
    let seen = LastSeals::read(there.path(), &moved).unwrap();
    assert_eq!((seen.own.len(), seen.elsewhere), (0, 1), "whose it was cannot be told");
    run(here.path(), &store, "2").await;
    assert!(head(&here, &inner).exists() && !head(&here, &whole).exists());
    assert_eq!(previous(&store, 1).await, Some(known.own[0].chain_id));
}

#[tokio::test]
async fn a_store_in_memory_lacks_nothing_of_a_process_before() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(options(dir.path()), MemorySink::default()).await;
    ledger.write(ask("1")).await.unwrap();
    ledger.shutdown().await;
    assert_eq!(LastSeals::read(dir.path(), &MemorySink::default()).unwrap(), LastSeals::default());
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
