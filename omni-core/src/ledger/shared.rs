//! What the ledger's handle and its tasks know together.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{Notify, watch},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use super::LedgerOptions;
use crate::{audit::AuditError, metrics};

/// After a file failed, asks are refused for so long; then the next one finds out.
const REFUSE_AFTER_FAILURE: Duration = Duration::from_secs(2);

/// How far the sink has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Records that need nothing more: the sink has them, or their writers were told of a failure.
    pub(crate) done: u64,
    /// Whether the sink has what dead processes left.
    pub(crate) replayed: bool,
}

#[derive(Debug)]
pub(crate) struct Shared {
    required: bool,
    max_backlog: usize,
    max_bytes: usize,
    sent: AtomicU64,
    bytes: AtomicUsize,
    lost: AtomicU64,
    /// The sink has every record of this chain below this place.
    stored: AtomicU64,
    pub(crate) progress: watch::Sender<Progress>,
    /// Rings when a gap may be sealed.
    pub(crate) gap: Notify,
    /// Rings when somebody waits for what is on its way to the sink.
    pub(crate) hurry: Notify,
    /// What dead processes left open is closed in this chain's file.
    pub(crate) swept: CancellationToken,
    /// No more records come.
    pub(crate) closing: CancellationToken,
    /// What the file suffers from, since when.
    trouble: Mutex<Option<(Instant, AuditError)>>,
    /// What the sink said last.
    away: Mutex<Option<AuditError>>,
}

/// What becomes of a record that wants to be written.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// It is taken.
    Taken,
    /// It is dropped, and counted.
    Dropped,
}

impl Shared {
    pub(crate) fn new(options: &LedgerOptions) -> Self {
        Self {
            required: options.required,
            max_backlog: options.max_backlog.max(1),
            max_bytes: options.max_backlog_bytes.max(1),
            sent: AtomicU64::new(0),
            bytes: AtomicUsize::new(0),
            lost: AtomicU64::new(0),
            stored: AtomicU64::new(0),
            progress: watch::Sender::new(Progress::default()),
            gap: Notify::new(),
            hurry: Notify::new(),
            swept: CancellationToken::new(),
            closing: CancellationToken::new(),
            trouble: Mutex::new(None),
            away: Mutex::new(None),
        }
    }

    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Acquire)
    }

    pub(crate) fn backlog(&self) -> usize {
        // The other way round, `done` could be ahead of `sent`.
        let done = self.progress.borrow().done;
        usize::try_from(self.sent().saturating_sub(done)).unwrap_or(usize::MAX)
    }

    fn holds(&self, times: usize) -> bool {
        self.backlog() >= self.max_backlog.saturating_mul(times)
            || self.bytes.load(Ordering::Acquire) >= self.max_bytes.saturating_mul(times)
    }

    /// Whether a new ask may begin.
    pub(crate) fn admit(&self) -> Result<(), AuditError> {
        if self.closing.is_cancelled() {
            return Err(AuditError::Closed);
        }
        if !self.required {
            return Ok(());
        }
        match locked(&self.trouble).clone() {
            Some((at, error)) if at.elapsed() < REFUSE_AFTER_FAILURE => Err(error),
            Some(_) | None if self.holds(1) => Err(self.full()),
            Some(_) | None => Ok(()),
        }
    }

    /// Whether one more record may be taken. Of a required ledger, asks that run already may fill
    /// it twice over.
    pub(crate) fn place(&self) -> Result<Place, AuditError> {
        if self.closing.is_cancelled() {
            return Err(AuditError::Closed);
        }
        if self.required {
            return if self.holds(2) { Err(self.full()) } else { Ok(Place::Taken) };
        }
        if !self.holds(1) {
            return Ok(Place::Taken);
        }
        self.lose(1);
        Ok(Place::Dropped)
    }

    fn full(&self) -> AuditError {
        let fault = self.sink_fault();
        let cause = fault.as_ref().map(|error| format!(" ({error})")).unwrap_or_default();
        let advice = match fault {
            // It is there, and takes nothing more of this chain.
            Some(AuditError::Conflict { .. }) => {
                "see with `omni audit verify` what is wrong there, and start omni again"
            }
            Some(_) | None => "make it available again, or set audit.required: false",
        };
        let message = format!("{} records wait for the audit store{cause}; {advice}", self.backlog());
        AuditError::Full { message }
    }

    pub(crate) fn take(&self, bytes: usize) {
        self.sent.fetch_add(1, Ordering::AcqRel);
        metrics::backlog(1);
        self.bytes.fetch_add(bytes, Ordering::AcqRel);
    }

    /// `records` with `bytes` altogether need nothing more.
    pub(crate) fn finish(&self, records: usize, bytes: usize) {
        self.bytes.fetch_sub(bytes, Ordering::AcqRel);
        self.progress.send_modify(|progress| progress.done += records as u64);
        metrics::backlog(-i64::try_from(records).unwrap_or(i64::MAX));
        if self.lost.load(Ordering::Acquire) > 0 {
            self.gap.notify_one();
        }
    }

    pub(crate) fn lose(&self, records: u64) {
        if records > 0 && self.lost.fetch_add(records, Ordering::AcqRel) == 0 {
            tracing::warn!("the ledger drops records; it seals their number as a gap when it can");
        }
    }

    /// The number of lost records, once there is room to say so, or at the end.
    pub(crate) fn take_gap(&self, at_the_end: bool) -> Option<u64> {
        if self.lost.load(Ordering::Acquire) == 0 || (self.holds(1) && !at_the_end) {
            return None;
        }
        Some(self.lost.swap(0, Ordering::AcqRel)).filter(|count| *count > 0)
    }

    pub(crate) fn is_required(&self) -> bool {
        self.required
    }

    /// A file failed (`Some`), or works again.
    pub(crate) fn report_file(&self, error: Option<AuditError>) {
        *locked(&self.trouble) = error.map(|error| (Instant::now(), error));
    }

    /// The sink is away (`Some`), or back.
    pub(crate) fn report_sink(&self, error: Option<AuditError>) {
        *locked(&self.away) = error;
    }

    pub(crate) fn sink_fault(&self) -> Option<AuditError> {
        locked(&self.away).clone()
    }

    /// What the file suffers from, and since when.
    pub(crate) fn file_fault(&self) -> Option<(Instant, AuditError)> {
        locked(&self.trouble).clone()
    }

    /// The file would take something since it failed at that moment.
    pub(crate) fn forget_fault(&self, of: Instant) {
        drop(locked(&self.trouble).take_if(|(at, _)| *at == of));
    }

    pub(crate) fn stored(&self) -> u64 {
        self.stored.load(Ordering::Acquire)
    }

    /// The sink has every record of this chain below `next`.
    pub(crate) fn store(&self, next: u64) {
        self.stored.store(next, Ordering::Release);
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
