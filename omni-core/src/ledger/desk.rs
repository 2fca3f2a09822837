//! Where records are brought to be written. Whoever brings one writes it, and what others brought meanwhile: between
//! a caller and the file stands no task, and nobody waits for another thread to wake. One task does what takes
//! longer than a moment.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError},
};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{
    shared::Shared,
    writer::{Accepted, BATCH, Ended, Writer},
};
use crate::audit::AuditError;

/// How often one who brings a record writes for others before the task does.
const TURNS: usize = 4;

pub(crate) struct Desk {
    shared: Arc<Shared>,
    waiting: Mutex<Waiting>,
    /// Gone while the task has it.
    writer: Mutex<Option<Writer>>,
    /// Rings for the task.
    ring: Notify,
}

impl std::fmt::Debug for Desk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Desk").finish_non_exhaustive()
    }
}

/// What is not written yet, in the order in which it came.
#[derive(Debug, Default)]
struct Waiting {
    records: VecDeque<Accepted>,
    is_closed: bool,
}

impl Desk {
    pub(crate) fn new(shared: Arc<Shared>, writer: Writer) -> Self {
        Self { shared, waiting: Mutex::default(), writer: Mutex::new(Some(writer)), ring: Notify::new() }
    }

    /// Takes a record; it is written now, or as soon as that can be.
    ///
    /// # Errors
    /// [`AuditError::Closed`] when no more are taken.
    pub(crate) fn bring(&self, accepted: Accepted) -> Result<(), AuditError> {
        {
            let mut waiting = locked(&self.waiting);
            if waiting.is_closed {
                return Err(AuditError::Closed);
            }
            self.shared.take(accepted.bytes.len());
            waiting.records.push_back(accepted);
        }
        self.write();
        Ok(())
    }

    /// Writes the chain's opening record, where nothing is written yet. Not while the task has the writer, which it says.
    pub(crate) fn open_chain(&self) -> bool {
        let mut own = self.writer.lock().unwrap_or_else(broken);
        let is_here = own.as_mut().map(Writer::open_chain).is_some();
        drop(own);
        // What somebody brought meanwhile and could not write.
        self.write();
        is_here
    }

    /// Writes what waits. Whoever holds the writer looks once more after letting go of it, so that what was brought
    /// meanwhile is not forgotten.
    fn write(&self) {
        for _ in 0..TURNS {
            let mut writer = match self.writer.try_lock() {
                Ok(writer) => writer,
                // Whoever holds it will look again.
                Err(TryLockError::WouldBlock) => return,
                Err(TryLockError::Poisoned(left)) => broken(left),
            };
            let Some(own) = writer.as_mut() else { return };
            if !own.is_ready() {
                break;
            }
            let _rings = RingsWhenItPanics(&self.ring);
            own.commit(self.next(), Vec::new(), false);
            drop(writer);
            if locked(&self.waiting).records.is_empty() {
                return;
            }
        }
        self.ring.notify_one();
    }

    fn next(&self) -> VecDeque<Accepted> {
        let mut waiting = locked(&self.waiting);
        if waiting.records.len() <= BATCH {
            return std::mem::take(&mut waiting.records);
        }
        waiting.records.drain(..BATCH).collect()
    }

    /// Does what takes longer, until `close`; then writes what was brought before.
    pub(crate) async fn run(&self, close: CancellationToken) -> Option<Ended> {
        loop {
            tokio::select! {
                () = close.cancelled() => break,
                () = self.ring.notified() => {}
                () = self.shared.gap.notified() => {}
            }
            let Some(mut writer) = self.take() else { continue };
            writer.get_ready().await;
            writer.commit(self.next(), Vec::new(), false);
            *locked(&self.writer) = Some(writer);
            self.write();
        }
        locked(&self.waiting).is_closed = true;
        // Nobody else takes it for good.
        let writer = self.take()?;
        let ended = self.finish(writer).await;
        self.shared.closing.cancel();
        Some(ended)
    }

    fn take(&self) -> Option<Writer> {
        self.writer.lock().unwrap_or_else(broken).take()
    }

    async fn finish(&self, mut writer: Writer) -> Ended {
        loop {
            writer.get_ready().await;
            let batch = self.next();
            if batch.is_empty() {
                break;
            }
            writer.commit(batch, Vec::new(), false);
        }
        writer.close_open_requests().await;
        // A record that found no room on its way to the sink would be missing there, with those after it in place.
        writer.get_ready().await;
        writer.commit(VecDeque::new(), Vec::new(), true);
        writer.end()
    }
}

/// Has somebody look, and refuse what was brought meanwhile, where whoever writes panics.
struct RingsWhenItPanics<'a>(&'a Notify);

impl Drop for RingsWhenItPanics<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.notify_one();
        }
    }
}

/// What somebody had who panicked. Nobody knows how far they came, so that nothing is safe to write any more: what waits,
/// and what comes, is refused.
fn broken(left: PoisonError<MutexGuard<'_, Option<Writer>>>) -> MutexGuard<'_, Option<Writer>> {
    let mut writer = left.into_inner();
    if let Some(own) = writer.as_mut() {
        let message = "whoever wrote to the ledger's chain panicked; it takes nothing before the next start";
        own.broken.get_or_insert_with(|| AuditError::Unavailable { message: message.into() });
    }
    writer
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::thread;

    use crate::ledger::{AskRecord, Event, Ledger, Outcome, Record};

    #[tokio::test]
    async fn after_a_panic_in_the_middle_of_a_write_records_are_refused_and_nobody_waits() {
        let (ledger, sink) = Ledger::in_memory();
        let desk = ledger.inner.desk.clone();
        let panics = move || {
            let _writer = desk.writer.lock().unwrap();
            panic!("it broke");
        };
        assert!(thread::spawn(panics).join().is_err());
        let ask = Event::Ask(Box::new(AskRecord::new("Who am I?", Outcome::Success)));
        let refused = ledger.write(Record::new(uuid::Uuid::now_v7(), None, ask)).await.unwrap_err();
        assert!(refused.to_string().contains("panicked"), "{refused}");
        ledger.shutdown().await;
        assert_eq!((ledger.backlog(), sink.records().len()), (0, 0));
    }
}
