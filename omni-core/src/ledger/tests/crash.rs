//! What the next start finds after a process ended in the middle.

use super::*;

/// Runs `work` in a runtime of its own that is torn down at once, as `kill -9` tears a process down. The ledger that
/// it gives back goes when no task is left that could end it.
fn killed<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) {
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let result = runtime.block_on(work);
        // The ledger's tasks are dropped where they are; what the result holds of it dies with them.
        runtime.shutdown_timeout(Duration::from_secs(5));
        drop(result);
    });
    thread.join().unwrap()
}

/// Writes records with the sink away, and dies.
fn die_after(dir: &Path, records: Vec<Record>) {
    let options = options(dir);
    killed(async move {
        let ledger = open(options, Flaky::away()).await;
        for record in records {
            ledger.write(record).await.unwrap();
        }
        ledger
    });
}

fn started(request_id: Uuid, call_id: &str) -> Record {
    Record::new(request_id, Some(party()), Event::Started(call(call_id, Outcome::UnknownOutcome)))
}

fn ended(request_id: Uuid) -> Record {
    Record::new(request_id, Some(party()), Event::DirectCall(call("", Outcome::Success)))
}

fn call(call_id: &str, outcome: Outcome) -> CallRecord {
    let mut call = CallRecord::new("db", "drop_table", json!({ "table": "t" }), outcome);
    call.call_id = call_id.into();
    call
}

async fn next_start(dir: &Path, sink: &MemorySink) {
    let ledger = open(options(dir), sink.clone()).await;
    ledger.flush(SOON).await.unwrap();
    ledger.shutdown().await;
}

fn only_wal(dir: &Path) -> std::path::PathBuf {
    let names = files_of(dir);
    assert_eq!(names.len(), 1, "{names:?}");
    dir.join(&names[0])
}

#[tokio::test]
async fn records_of_a_killed_process_arrive_once_and_verify() {
    let dir = tempfile::tempdir().unwrap();
    die_after(dir.path(), vec![ask("1"), ask("2")]);
    assert_eq!(files_of(dir.path()).len(), 1);
    let sink = MemorySink::default();
    next_start(dir.path(), &sink).await;
    next_start(dir.path(), &sink).await;
    assert_eq!(questions(&sink), ["1", "2"]);
    assert_verifies(&sink, 3).await;
    assert_eq!(files_of(dir.path()), Vec::<String>::new());
}

#[tokio::test]
async fn records_that_the_sink_has_already_are_not_doubled() {
    let dir = tempfile::tempdir().unwrap();
    let sink = MemorySink::default();
    let (options, stored) = (options(dir.path()), sink.clone());
    killed(async move {
        let ledger = open(options, stored).await;
        ledger.write(ask("1")).await.unwrap();
        ledger.flush(SOON).await.unwrap();
        ledger
    });
    assert_eq!(files_of(dir.path()).len(), 1);
    next_start(dir.path(), &sink).await;
    assert_eq!(questions(&sink), ["1"]);
    let ledger = open(super::options(dir.path()), sink.clone()).await;
    ledger.write(ask("2")).await.unwrap();
    ledger.shutdown().await;
    assert_verifies(&sink, 4).await;
}

#[tokio::test]
async fn the_chain_after_a_crash_names_the_crashed_one() {
    let dir = tempfile::tempdir().unwrap();
    die_after(dir.path(), vec![ask("1")]);
    let sink = MemorySink::default();
    let ledger = open(options(dir.path()), sink.clone()).await;
    ledger.write(ask("2")).await.unwrap();
    ledger.shutdown().await;
    let chains = sink.chains().await.unwrap();
    let opened: Record = serde_json::from_slice(&sink.read(chains[1], 0, 1).await.unwrap()[0].bytes).unwrap();
    assert!(
        matches!(opened.event, Event::ChainOpened { previous: Some((id, _)), .. } if id == chains[0]),
        "{opened:?}"
    );
    assert_verifies(&sink, 4).await;
}

#[tokio::test]
async fn the_end_of_a_crashed_chain_stands_in_place_of_the_one_that_it_names() {
    let dir = tempfile::tempdir().unwrap();
    let flaky = Flaky::default();
    let ledger = open(options(dir.path()), flaky.clone()).await;
    ledger.write(ask("1")).await.unwrap();
    ledger.shutdown().await;
    let end = |ends: Vec<dead::Head>| ends.into_iter().map(|(chain_id, _)| chain_id).collect::<Vec<_>>();
    assert_eq!(end(ends::read(dir.path(), None).unwrap()), [ledger.chain_id()]);
    die_after(dir.path(), vec![ask("2")]);
    let next = open(options(dir.path()), flaky.clone()).await;
    next.flush(SOON).await.unwrap();
    next.shutdown().await;
    let chains = flaky.sink.chains().await.unwrap();
    assert_eq!(end(ends::read(dir.path(), None).unwrap()), [chains[1]]);
    assert_verifies(&flaky.sink, 4).await;
}

#[tokio::test]
async fn a_torn_last_line_is_dropped_and_the_rest_arrives() {
    for torn in [1, 30, 200] {
        let dir = tempfile::tempdir().unwrap();
        die_after(dir.path(), vec![ask("1"), ask("2")]);
        let path = only_wal(dir.path());
        let len = fs::metadata(&path).unwrap().len();
        fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(len - torn).unwrap();
        let sink = MemorySink::default();
        next_start(dir.path(), &sink).await;
        assert_eq!(questions(&sink), ["1"]);
        assert_verifies(&sink, 2).await;
        assert_eq!(files_of(dir.path()), Vec::<String>::new());
    }
}

#[tokio::test]
async fn zeros_after_a_power_cut_are_a_torn_end() {
    let dir = tempfile::tempdir().unwrap();
    die_after(dir.path(), vec![ask("1")]);
    let path = only_wal(dir.path());
    let len = fs::metadata(&path).unwrap().len();
    fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(len + 4_096).unwrap();
    let sink = MemorySink::default();
    next_start(dir.path(), &sink).await;
    assert_eq!(questions(&sink), ["1"]);
    assert_eq!(files_of(dir.path()), Vec::<String>::new());
}

#[tokio::test]
async fn what_follows_a_damaged_line_arrives_the_verification_finds_what_is_missing_and_the_file_is_kept_for_a_human() {
    let dir = tempfile::tempdir().unwrap();
    die_after(dir.path(), vec![ask("1"), ask("2"), ask("3")]);
    let path = only_wal(dir.path());
    let text = fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    fs::write(&path, format!("{}\n{}\nrubbish\n{}\n", lines[0], lines[1], lines[3])).unwrap();
    let sink = MemorySink::default();
    next_start(dir.path(), &sink).await;
    assert_eq!(questions(&sink), ["1", "3"]);
    let found = verify(&sink, &key()).await.unwrap().first_break.unwrap();
    assert_eq!((found.seq, found.fault), (2, Fault::Missing));
    let kept = only_wal(dir.path());
    assert!(kept.to_str().unwrap().ends_with(".damaged"), "{kept:?}");
    assert!(fs::read_to_string(&kept).unwrap().contains("\nrubbish\n"));
    #[cfg(unix)]
    assert_eq!(std::os::unix::fs::MetadataExt::mode(&fs::metadata(&kept).unwrap()) & 0o777, 0o600);
}

#[tokio::test]
async fn calls_and_asks_that_a_crash_left_open_end_as_unknown() {
    let dir = tempfile::tempdir().unwrap();
    let (open_ask, direct, done) = (Uuid::now_v7(), Uuid::now_v7(), Uuid::now_v7());
    let mut closing = ask("done");
    closing.request_id = done;
    let records = vec![
        started(open_ask, "1"),
        Record::new(open_ask, Some(party()), Event::ToolCall(call("1", Outcome::Success))),
        started(open_ask, "2"),
        started(direct, ""),
        started(done, "1"),
        closing,
    ];
    die_after(dir.path(), records);
    let sink = MemorySink::default();
    next_start(dir.path(), &sink).await;
    next_start(dir.path(), &sink).await;
    let of =
        |id| sink.records().into_iter().filter(|record| record.request_id == id).map(|record| record.event).collect();
    let events: Vec<Event> = of(open_ask);
    assert!(
        matches!(&events[3..], [Event::ToolCall(call), Event::Ask(ask)]
            if call.call_id == "2" && call.outcome == Outcome::UnknownOutcome && ask.outcome == Outcome::UnknownOutcome),
        "{events:?}"
    );
    let events: Vec<Event> = of(direct);
    assert!(matches!(&events[1..], [Event::DirectCall(call)] if call.outcome == Outcome::UnknownOutcome), "{events:?}");
    let events: Vec<Event> = of(done);
    assert!(matches!(&events[1..], [Event::Ask(ask)] if ask.outcome == Outcome::Success), "{events:?}");
    assert_verifies(&sink, 7 + 4).await;
}

#[tokio::test]
async fn a_second_crash_before_the_sink_is_back_closes_nothing_twice() {
    let dir = tempfile::tempdir().unwrap();
    let request_id = Uuid::now_v7();
    die_after(dir.path(), vec![started(request_id, "")]);
    // This start closes the call in its own file, and dies before the sink had anything.
    die_after(dir.path(), vec![]);
    assert_eq!(files_of(dir.path()).len(), 2);
    let sink = MemorySink::default();
    next_start(dir.path(), &sink).await;
    let closings = sink.records().into_iter().filter(|record| matches!(record.event, Event::DirectCall(_)));
    assert_eq!(closings.count(), 1);
    assert_verifies(&sink, 4).await;
}

#[tokio::test]
async fn an_open_call_outlives_its_segment() {
    let dir = tempfile::tempdir().unwrap();
    let (path, sink) = (dir.path().to_owned(), MemorySink::new(100_000));
    let stored = sink.clone();
    killed(async move {
        let chain_id = Uuid::now_v7();
        let wal = Wal::create(&path, chain_id, None).unwrap().with_limit(4_000);
        let found = Found { wal: Some(wal), ..Found::default() };
        let ledger = Ledger::start(options(&path), Arc::new(stored), chain_id, found);
        ledger.write(started(Uuid::now_v7(), "")).await.unwrap();
        for index in 0..100 {
            ledger.write(ask(&index.to_string())).await.unwrap();
            ledger.flush(SOON).await.unwrap();
        }
        ledger
    });
    assert!(!files_of(dir.path()).iter().any(|name| name.contains(".000000.")), "{:?}", files_of(dir.path()));
    next_start(dir.path(), &sink).await;
    let last = sink.records().pop().unwrap();
    assert!(matches!(&last.event, Event::DirectCall(call) if call.outcome == Outcome::UnknownOutcome), "{last:?}");
    assert_verifies(&sink, 102 + 2).await;
}

#[tokio::test]
async fn what_is_open_at_a_clean_end_is_closed_as_unknown() {
    let dir = tempfile::tempdir().unwrap();
    let sink = MemorySink::default();
    let ledger = open(options(dir.path()), sink.clone()).await;
    let (open_ask, closed) = (Uuid::now_v7(), Uuid::now_v7());
    for record in [started(open_ask, "1"), started(closed, ""), ended(closed)] {
        ledger.write(record).await.unwrap();
    }
    ledger.shutdown().await;
    let last: Vec<_> = sink.records().into_iter().skip(4).map(|record| (record.request_id, record.event)).collect();
    assert!(
        matches!(&last[..], [(call_of, Event::ToolCall(call)), (ask_of, Event::Ask(ask))]
            if [*call_of, *ask_of] == [open_ask; 2]
            && [call.outcome, ask.outcome] == [Outcome::UnknownOutcome; 2]),
        "{last:?}"
    );
    assert_eq!(files_of(dir.path()), Vec::<String>::new());
    assert_verifies(&sink, 6).await;
}

#[tokio::test]
async fn two_ledgers_in_one_directory_do_not_touch_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let flaky = Flaky::away();
    let first = open(options(dir.path()), flaky.clone()).await;
    let running = Uuid::now_v7();
    first.write(started(running, "")).await.unwrap();
    let second = open(options(dir.path()), flaky.clone()).await;
    second.write(ask("second")).await.unwrap();
    assert_eq!(files_of(dir.path()).len(), 2);
    second.shutdown().await;
    flaky.go(false);
    next_start(dir.path(), &flaky.sink).await;
    assert_eq!(questions(&flaky.sink), ["second"]);
    first.write(ask("first")).await.unwrap();
    first.write(ended(running)).await.unwrap();
    first.flush(SOON).await.unwrap();
    first.shutdown().await;
    assert_eq!(questions(&flaky.sink), ["second", "first"]);
    let unknown =
        |record: &Record| matches!(&record.event, Event::DirectCall(call) if call.outcome != Outcome::Success);
    assert!(!flaky.sink.records().iter().any(unknown), "nobody died");
    assert_eq!(verify(&flaky.sink, &key()).await.unwrap().first_break, None);
}

#[tokio::test]
async fn a_start_with_the_sink_away_works_and_brings_the_old_chain_first() {
    let dir = tempfile::tempdir().unwrap();
    die_after(dir.path(), vec![ask("old")]);
    let flaky = Flaky::away();
    let ledger = open(options(dir.path()), flaky.clone()).await;
    ledger.write(ask("new")).await.unwrap();
    flaky.go(false);
    ledger.flush(SOON).await.unwrap();
    assert_eq!(questions(&flaky.sink), ["old", "new"]);
    assert_verifies(&flaky.sink, 4).await;
}

#[tokio::test]
async fn a_file_that_contradicts_the_sink_is_set_aside() {
    let dir = tempfile::tempdir().unwrap();
    die_after(dir.path(), vec![ask("1")]);
    let name = files_of(dir.path())[0].clone();
    let chain_id = name.split('.').next().unwrap().parse().unwrap();
    let sink = MemorySink::default();
    sink.append(&[SealedRecord::new(chain_id, 1, "{}", [0; 32])]).await.unwrap();
    let ledger = open(options(dir.path()), sink.clone()).await;
    ledger.write(ask("2")).await.unwrap();
    ledger.flush(SOON).await.unwrap();
    ledger.shutdown().await;
    assert_eq!(questions(&sink), ["2"]);
    assert!(files_of(dir.path())[0].ends_with(".conflict"), "{:?}", files_of(dir.path()));
}
