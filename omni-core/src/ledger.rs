//! Step 11, the ledger: redact → seal → local write-ahead file → sink, in one order.
//!
//! Whoever brings a record seals it and appends it to the write-ahead file, one at a time and for all who wait;
//! one drain task brings the records to the [`AuditSink`]. A sink that is away makes the way longer, not
//! another one. Each process start is a chain of its own with files of its own, so processes that
//! share a directory never wait for each other; what one leaves behind when it dies, the next one
//! that starts brings home.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use arc_swap::ArcSwap;
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time,
};
use tokio_util::sync::{CancellationToken, DropGuard};
use uuid::Uuid;

use crate::{
    audit::{AuditError, AuditSink, Said, memory::MemorySink},
    config::{Ack, StoreContent},
    redact::Redactor,
};

mod canonical;
mod checkpoint;
mod dead;
mod desk;
mod drain;
mod ends;
pub(crate) mod files;
mod key;
mod options;
pub mod prune;
mod reading;
mod record;
mod seal;
mod shared;
mod spelling;
mod store;
mod unsettled;
pub mod verify;
mod wal;
mod writer;

#[cfg(test)]
mod tests;

pub use canonical::{MAX_ARGUMENTS, MAX_ERROR, MAX_REFUSED, MAX_TEXT};
pub use checkpoint::{ChainHead, Checkpoint, Heads};
pub use key::{KeyId, SealKey, SealKeys};
pub use options::LedgerOptions;
pub use record::{AdminRecord, AskRecord, CallRecord, Event, Outcome, Party, Record, TurnRecord};

#[cfg(all(test, any(feature = "sqlite", feature = "postgres")))]
pub(crate) use canonical::written;
#[cfg(any(test, feature = "testing", feature = "analytics"))]
pub(crate) use seal::seal_all;

use dead::{DeadChain, Head};
use desk::Desk;
use drain::{Drain, Most};
use seal::Sealer;
use shared::{Place, Shared};
use store::StoreTag;
use unsettled::{Orphans, Role, Unsettled};
use wal::Wal;
use writer::{Accepted, Ended, Writer};

/// Records that may wait for the disk, or for the sink beyond the longest backlog.
const QUEUE: usize = 1024;

/// Which records are carried to the sink as values beside their bytes: short ones, for a value may take a hundred times
/// its bytes, and while few wait.
const CARRIED_BYTES: usize = 4 << 10;
const CARRIED_RECORDS: usize = 512;

/// Tells when a record is as safe as was asked for, or why it is not.
type Assurance = oneshot::Receiver<Result<(), AuditError>>;

/// The one path of records. Clones are the same ledger.
#[derive(Debug, Clone)]
pub struct Ledger {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    chain_id: Uuid,
    dir: Option<PathBuf>,
    shared: Arc<Shared>,
    desk: Arc<Desk>,
    kept: ArcSwap<Kept>,
    ack: Ack,
    ack_within: Duration,
    shutdown_within: Duration,
    /// Ends the chain, also when the last handle goes.
    close: DropGuard,
    task: Mutex<Option<JoinHandle<()>>>,
}

/// How much of a record is kept.
#[derive(Debug)]
struct Kept {
    redactor: Redactor,
    content: StoreContent,
}

/// What the directory gave at the start.
#[derive(Debug, Default)]
struct Found {
    wal: Option<Wal>,
    dead: Vec<DeadChain>,
    /// The chains that ended, and that none names yet: the youngest first.
    named: Vec<Head>,
    orphans: Orphans,
}

impl Ledger {
    /// Opens a new chain. What dead processes left in the directory goes to the sink first, and
    /// their open requests are closed as [`Outcome::UnknownOutcome`] before this returns. A sink
    /// that is away does not keep a ledger from opening.
    ///
    /// # Errors
    /// [`AuditError::File`] when the directory cannot be used; it says which file.
    pub async fn open(options: LedgerOptions, sink: Arc<dyn AuditSink>) -> Result<Self, AuditError> {
        let chain_id = Uuid::now_v7();
        let store = StoreTag::of(&*sink, options.dir.as_deref());
        let mut found = match options.dir.clone() {
            Some(dir) => files::blocking(move || look_around(&dir, chain_id, store)).await?,
            None => Found::default(),
        };
        let closings = std::mem::take(&mut found.orphans).closings();
        let ledger = Self::start(options, sink, chain_id, found);
        for closing in closings {
            ledger.write_with(closing, Ack::Local).await?;
        }
        // Only now may go away what says that they were open.
        ledger.inner.shared.swept.cancel();
        Ok(ledger)
    }

    /// A ledger in memory, and where its records go: for tests, and where no record must outlive
    /// the process. Needs a Tokio runtime.
    #[must_use]
    pub fn in_memory() -> (Self, MemorySink) {
        let sink = MemorySink::default();
        let options = LedgerOptions::new(SealKey::generate());
        (Self::start(options, Arc::new(sink.clone()), Uuid::now_v7(), Found::default()), sink)
    }

    fn start(options: LedgerOptions, sink: Arc<dyn AuditSink>, chain_id: Uuid, found: Found) -> Self {
        let shared = Arc::new(Shared::new(&options));
        let (sync, syncs) = mpsc::channel(QUEUE);
        // Room for the longest backlog, so that the writer never waits for the sink.
        let (drain, pending) = mpsc::channel(options.max_backlog.clamp(1, 1 << 24) * 2 + QUEUE);
        let writer = Writer {
            shared: shared.clone(),
            sealer: Sealer::new(&options.key, chain_id),
            key: options.key.id(),
            wal: found.wal,
            named: found.named,
            unsettled: Unsettled::default(),
            sync,
            drain,
            last: None,
            broken: None,
            stuck: None,
        };
        let desk = Arc::new(Desk::new(shared.clone(), writer));
        let store = StoreTag::of(&*sink, options.dir.as_deref());
        let within = options.shutdown_within;
        let (dir, most) = (options.dir.clone(), Most::default());
        let drain = Drain { shared: shared.clone(), sink, dir, store: store.clone(), within, most };
        let close = CancellationToken::new();
        let (ending, dir, writing) = (close.clone(), options.dir.clone(), desk.clone());
        let dead = found.dead;
        let progress = shared.clone();
        let task = tokio::spawn(async move {
            let syncing = writer::sync(syncs, progress.clone());
            let (ended, ..) = tokio::join!(writing.run(ending), syncing, drain.run(dead, pending));
            let Some(ended) = ended else { return };
            let drained = progress.stored() == ended.at.seq;
            finish(ended, dir, store, chain_id, drained).await;
        });
        Self {
            inner: Arc::new(Inner {
                chain_id,
                dir: options.dir,
                shared,
                desk,
                kept: ArcSwap::from_pointee(Kept { redactor: options.redactor, content: options.content }),
                ack: options.ack,
                ack_within: options.ack_within,
                shutdown_within: options.shutdown_within,
                close: close.drop_guard(),
                task: Mutex::new(Some(task)),
            }),
        }
    }

    /// From now on, records are cleaned by another redactor and kept as `content` says.
    pub(crate) fn keep(&self, redactor: Redactor, content: StoreContent) {
        self.inner.kept.store(Arc::new(Kept { redactor, content }));
    }

    /// Whether a question or an answer is kept as it is.
    pub(crate) fn keeps_whole(&self, text: &str) -> bool {
        let kept = self.inner.kept.load();
        let is_short = text.chars().nth(canonical::MAX_TEXT).is_none();
        kept.content == StoreContent::Full && is_short && kept.redactor.text(text) == text
    }

    /// The chain of this process.
    #[must_use]
    pub fn chain_id(&self) -> Uuid {
        self.inner.chain_id
    }

    /// Whether a new ask may begin.
    ///
    /// # Errors
    /// [`AuditError::Full`] when the sink is too far behind, [`AuditError::File`] shortly after a
    /// write failed (both only where the ledger is required), [`AuditError::Closed`] after `shutdown`.
    pub fn admit(&self) -> Result<(), AuditError> {
        self.inner.shared.admit()
    }

    /// Writes a record with the assurance of the options.
    ///
    /// # Errors
    /// As [`Ledger::write_with`].
    pub async fn write(&self, record: Record) -> Result<(), AuditError> {
        self.write_with(record, self.inner.ack).await
    }

    /// Writes a record, and returns when it is as safe as `ack` says. Dropping the future does not
    /// take back a record that was accepted.
    ///
    /// # Errors
    /// [`AuditError::Full`] when even running asks have no room left, [`AuditError::File`] when the
    /// file cannot be written, [`AuditError::Unavailable`] when the assurance did not come in time
    /// (the record may still arrive), [`AuditError::Closed`] after `shutdown`. Where the ledger is
    /// not required, a record without room is counted and `Ok`.
    pub async fn write_with(&self, record: Record, ack: Ack) -> Result<(), AuditError> {
        let Some(wait) = self.bring(record, ack)? else { return Ok(()) };
        match time::timeout(self.inner.ack_within, wait).await {
            Ok(assured) => assured.unwrap_or(Err(AuditError::Closed)),
            Err(_) => Err(late(ack)),
        }
    }

    /// Writes a record of which nobody learns whether it is safe: it is accepted when this returns.
    ///
    /// # Errors
    /// As [`Ledger::write_with`], save what only shows later.
    pub(crate) fn leave(&self, record: Record) -> Result<(), AuditError> {
        self.bring(record, Ack::Local).map(drop)
    }

    /// Has a record accepted, and gives what tells when it is safe; `None` where there is no room for it and it is
    /// only counted.
    fn bring(&self, record: Record, ack: Ack) -> Result<Option<Assurance>, AuditError> {
        let inner = &self.inner;
        if inner.shared.place()? == Place::Dropped {
            return Ok(None);
        }
        let kept = inner.kept.load();
        let (record, bytes) = canonical::written(record, &kept.redactor, kept.content)?;
        drop(kept);
        let (done, wait) = oneshot::channel();
        let (request_id, role) = (record.request_id, Role::of(&record.event));
        let is_carried = bytes.len() <= CARRIED_BYTES && inner.shared.backlog() < CARRIED_RECORDS;
        let said = match record.event.is_told() {
            true => is_carried.then(|| Said::Whole(Arc::new(record))),
            false => Some(Said::Nothing(record.at)),
        };
        let accepted = Accepted { request_id, role, bytes, said, ack, done };
        inner.desk.bring(accepted)?;
        Ok(Some(wait))
    }

    /// Waits until the sink has every record that was accepted before the call, and those of dead
    /// processes.
    ///
    /// # Errors
    /// [`AuditError::Unavailable`] when that takes longer than `within`.
    pub async fn flush(&self, within: Duration) -> Result<(), AuditError> {
        let shared = &self.inner.shared;
        shared.gap.notify_one();
        shared.hurry.notify_one();
        let (target, mut progress) = (shared.sent(), shared.progress.subscribe());
        let arrived = progress.wait_for(|progress| progress.replayed && progress.done >= target);
        match time::timeout(within, arrived).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) | Err(_) => {
                Err(AuditError::Unavailable { message: format!("{} records still wait for it", shared.backlog()) })
            }
        }
    }

    /// Whether a record would be written, found out in the directory itself: a full disk shows only so. `Ok` without one.
    ///
    /// # Errors
    /// [`AuditError::File`] or [`AuditError::Full`] when the directory does not take one, and what keeps the ledger from
    /// writing whatever the directory takes.
    pub async fn try_file(&self) -> Result<(), AuditError> {
        let inner = &self.inner;
        let failed_at = match inner.shared.file_fault() {
            // It may have gone by since; of anything else the directory says nothing.
            Some((at, AuditError::File { .. } | AuditError::Full { .. })) => Some(at),
            Some((_, error)) => return Err(error),
            None => None,
        };
        let Some(dir) = &inner.dir else { return Ok(()) };
        let draft = dir.join(format!("{}.try.new", inner.chain_id));
        files::blocking(move || files::try_out(&draft)).await?;
        if let Some(at) = failed_at {
            inner.shared.forget_fault(at);
        }
        Ok(())
    }

    /// Whether records are taken, from the file to the sink: the chain's opening record is written where nothing is
    /// yet, and the sink must have everything within this time.
    ///
    /// # Errors
    /// As [`Ledger::try_file`]; as [`Ledger::admit`]; and what the sink said last, or [`AuditError::Unavailable`], when it
    /// does not take the records in time.
    pub async fn try_out(&self, within: Duration) -> Result<(), AuditError> {
        self.try_file().await?;
        self.admit()?;
        let shared = &self.inner.shared;
        let opened = async {
            while !self.inner.desk.open_chain() {
                time::sleep(Duration::from_millis(5)).await;
            }
        };
        let _ = time::timeout(within, opened).await;
        if let Some((_, error)) = shared.file_fault() {
            return Err(error);
        }
        let mut progress = shared.progress.subscribe();
        let arrived = async {
            let opened = progress.wait_for(|_| shared.stored() > 0).await.is_ok();
            opened && self.flush(within).await.is_ok()
        };
        match time::timeout(within, arrived).await {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => Err(shared.sink_fault().unwrap_or_else(|| AuditError::Unavailable {
                message: "it did not take the ledger's first record in time".into(),
            })),
        }
    }

    /// What the ledger's file suffers from since its last write that succeeded, or since its directory was found to take
    /// something.
    #[must_use]
    pub fn file_fault(&self) -> Option<AuditError> {
        self.inner.shared.file_fault().map(|(_, error)| error)
    }

    /// When the file failed that no write succeeded in since, where asks are refused for that.
    pub(crate) fn failed_at(&self) -> Option<time::Instant> {
        self.inner.shared.file_fault().filter(|_| self.is_required()).map(|(at, _)| at)
    }

    /// Whether asks are refused where nothing can be recorded.
    #[must_use]
    pub fn is_required(&self) -> bool {
        self.inner.shared.is_required()
    }

    /// Ends the chain: nothing more is accepted, the sink gets what waits for it within the bound
    /// of the options, and what it did not take is synced and left for the next start.
    pub async fn shutdown(&self) {
        self.inner.close.token().cancel();
        let task = self.inner.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(task) = task else { return };
        // The tasks keep the bound themselves; the rest is for their last file work.
        let within = self.inner.shutdown_within + Duration::from_secs(5);
        if time::timeout(within, task).await.is_err() {
            tracing::error!("the ledger did not come to its end in time");
        }
    }

    /// Why the sink does not take records at the moment, as far as is known.
    #[must_use]
    pub fn sink_fault(&self) -> Option<AuditError> {
        self.inner.shared.sink_fault()
    }

    /// How many records wait for the sink.
    #[must_use]
    pub fn backlog(&self) -> usize {
        self.inner.shared.backlog()
    }
}

fn late(ack: Ack) -> AuditError {
    let what = match ack {
        Ack::Local | Ack::Fsync => "the ledger's file",
        Ack::Database => "the database",
    };
    AuditError::Unavailable { message: format!("{what} did not take the record in time; it may still arrive") }
}

/// Finds out what there is in the directory, and makes this chain's first file.
fn look_around(dir: &std::path::Path, chain_id: Uuid, store: Option<StoreTag>) -> Result<Found, AuditError> {
    files::create_dir(dir)?;
    let dead = dead::find(dir, store.as_ref())?;
    let named = ends::read(dir, store.as_ref()).unwrap_or_else(|error| {
        tracing::error!(%error, "this chain names no ends of earlier ones; give the file to whoever runs omni");
        Vec::new()
    });
    let mut found = Found { dead, named, ..Found::default() };
    for chain in &found.dead {
        found.named.extend(chain.scan(&mut found.orphans)?);
    }
    // Ids of chains grow with time: the youngest one is the one before.
    found.named.sort_unstable();
    found.named.dedup();
    found.named.reverse();
    found.named.truncate(ends::MOST);
    found.wal = Some(Wal::create(dir, chain_id, store)?);
    Ok(found)
}

/// Leaves the directory as the next start wants it.
async fn finish(ended: Ended, dir: Option<PathBuf>, store: Option<StoreTag>, chain_id: Uuid, drained: bool) {
    let (Some(wal), Some(dir)) = (ended.wal, dir) else { return };
    let left = files::blocking(move || {
        if !drained {
            // Older segments were made durable before others followed them, or the log has why not.
            return wal.segment().sync();
        }
        if ended.at != seal::Place::START {
            ends::write(&dir, store.as_ref(), (chain_id, ended.at.previous), &ended.named)?;
        }
        wal.remove();
        Ok(())
    });
    if let Err(error) = left.await {
        tracing::error!(%error, "the ledger's directory could not be left in order");
    }
}
