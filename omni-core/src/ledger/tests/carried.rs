//! Records that are carried to the sink as values.

use std::sync::Mutex;

use super::*;

/// A sink that is away at first, and keeps in mind how what it was given came.
#[derive(Debug, Clone, Default)]
struct Looking {
    is_back: Arc<AtomicBool>,
    taken: Arc<Mutex<Vec<SealedRecord>>>,
}

#[async_trait]
impl AuditSink for Looking {
    async fn append(&self, batch: &[SealedRecord]) -> Result<(), AuditError> {
        if !self.is_back.load(Ordering::SeqCst) {
            return Err(AuditError::Unavailable { message: "gone fishing".into() });
        }
        self.taken.lock().unwrap().extend_from_slice(batch);
        Ok(())
    }
}

#[tokio::test]
async fn short_records_are_carried_as_values_while_few_wait() {
    let sink = Looking::default();
    let ledger = open(LedgerOptions::new(key()), sink.clone()).await;
    ledger.write(ask("short")).await.unwrap();
    ledger.write(ask(&"x".repeat(CARRIED_BYTES))).await.unwrap();
    for _ in 0..CARRIED_RECORDS {
        ledger.write(ask("more")).await.unwrap();
    }
    ledger.write(ask("last")).await.unwrap();
    sink.is_back.store(true, Ordering::SeqCst);
    ledger.flush(SOON).await.unwrap();
    let taken = sink.taken.lock().unwrap().clone();
    let is_carried = |question: &str| {
        let is_it = |record: &Record| matches!(&record.event, Event::Ask(ask) if ask.question.starts_with(question));
        let found = taken.iter().find(|sealed| is_it(&Record::read(&sealed.bytes).unwrap())).unwrap();
        found.said.is_some()
    };
    assert_eq!(["short", "xxx", "more", "last"].map(is_carried), [true, false, true, false]);
    for sealed in &taken {
        assert_eq!(whole(sealed), Some(Record::read(&sealed.bytes).unwrap()));
    }
}

fn whole(sealed: &SealedRecord) -> Option<Record> {
    match sealed.read().unwrap() {
        Said::Whole(record) => Some(Record::clone(&record)),
        Said::Nothing(_) => None,
    }
}

#[tokio::test]
async fn of_what_nobody_is_told_the_time_alone_is_carried() {
    let sink = Looking::default();
    sink.is_back.store(true, Ordering::SeqCst);
    let ledger = open(LedgerOptions::new(key()), sink.clone()).await;
    let begun = Record::new(Uuid::now_v7(), Some(party()), Event::AskStarted { question: "Who?".into() });
    ledger.write(begun.clone()).await.unwrap();
    ledger.flush(SOON).await.unwrap();
    let taken = sink.taken.lock().unwrap().clone();
    let sealed = taken.iter().find(|sealed| Record::read(&sealed.bytes).unwrap() == begun).unwrap();
    assert!(matches!(sealed.read().unwrap(), Said::Nothing(at) if at == begun.at));
}
