//! Where records are brought to be written. Whoever brings one writes it, and what others brought meanwhile: between
//! a caller and the file stands no task, and nobody waits for another thread to wake. One task does what takes
//! longer than a moment.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
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

    /// Writes what waits. Whoever holds the writer looks once more after letting go of it, so that what was brought
    /// meanwhile is not forgotten.
    fn write(&self) {
        for _ in 0..TURNS {
            // Held by somebody who will look again; or by one who panicked: then nothing is safe any more.
            let Ok(mut writer) = self.writer.try_lock() else { return };
            let Some(own) = writer.as_mut() else { return };
            if !own.is_ready() {
                break;
            }
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
        locked(&self.writer).take()
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

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
