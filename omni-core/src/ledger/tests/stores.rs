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
