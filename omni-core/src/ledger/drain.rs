//! The one task that feeds the sink: first what dead processes left, then this chain, in order.

use std::{
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures::FutureExt as _;
use tokio::{sync::mpsc, time};

use super::{dead::DeadChain, ends, files, shared::Shared, store::StoreTag, verify::named_previous, writer::Done};
use crate::{
    audit::{AuditError, AuditSink, SealedRecord},
    metrics,
};

/// Most records of one append.
const BATCH: usize = 512;
/// How long records that nobody waits for wait for others to go with: an append costs much, a record little.
const GATHER: Duration = Duration::from_millis(25);
/// How long one append may take.
const APPEND_WITHIN: Duration = Duration::from_secs(30);
/// The first and the longest pause after a failure.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));

/// How often the sink may refuse the same records before that is taken for its last word.
const MAX_REFUSALS: u32 = 3;

/// A record that the sink does not have yet, and who waits for that.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) record: SealedRecord,
    /// Whether it is the chain's own record, which nobody asked to write.
    pub(crate) of_chain: bool,
    pub(crate) done: Option<Done>,
}

pub(crate) struct Drain {
    pub(crate) shared: Arc<Shared>,
    pub(crate) sink: Arc<dyn AuditSink>,
    pub(crate) dir: Option<std::path::PathBuf>,
    /// Which store the sink is.
    pub(crate) store: Option<StoreTag>,
    /// How long the sink has once no more records come.
    pub(crate) within: Duration,
    pub(crate) most: Most,
}

/// How many records the sink is offered at once: fewer after it did not take as many in time, and by and by more again.
pub(crate) struct Most {
    now: AtomicUsize,
    /// How often it took as many since.
    taken: AtomicUsize,
}

/// How often the sink takes so many records in time before it is offered twice as many: what is too much costs half a minute.
const TAKEN: usize = 32;

impl Default for Most {
    fn default() -> Self {
        Self { now: AtomicUsize::new(BATCH), taken: AtomicUsize::new(0) }
    }
}

impl Most {
    fn now(&self) -> usize {
        self.now.load(Ordering::Relaxed)
    }

    fn took(&self, records: usize) {
        let now = self.now();
        if records < now || now == BATCH || self.taken.fetch_add(1, Ordering::Relaxed) + 1 < TAKEN {
            return;
        }
        self.set((2 * now).min(BATCH));
    }

    fn was_too_much(&self, records: usize) {
        self.set((records / 2).max(1));
    }

    fn set(&self, most: usize) {
        self.now.store(most, Ordering::Relaxed);
        self.taken.store(0, Ordering::Relaxed);
    }
}

impl Drain {
    /// Feeds the sink until no more records come and it has them all, or its time is up.
    pub(crate) async fn run(self, dead: Vec<DeadChain>, records: mpsc::Receiver<Pending>) {
        let late = async {
            self.shared.closing.cancelled().await;
            time::sleep(self.within).await;
        };
        tokio::select! {
            () = self.work(dead, records) => {}
            () = late => tracing::warn!("the audit store did not take every record in time; the next start brings the rest"),
        }
    }

    async fn work(&self, dead: Vec<DeadChain>, mut records: mpsc::Receiver<Pending>) {
        if !dead.is_empty() {
            self.shared.swept.cancelled().await;
        }
        for chain in dead {
            self.replay(chain).await;
        }
        self.shared.progress.send_modify(|progress| progress.replayed = true);
        let mut batch = Vec::with_capacity(BATCH);
        while records.recv_many(&mut batch, BATCH).await > 0 {
            self.gather(&mut batch, &mut records).await;
            self.deliver(std::mem::take(&mut batch)).await;
        }
    }

    /// Lets a batch grow for a moment, unless somebody waits for it.
    async fn gather(&self, batch: &mut Vec<Pending>, records: &mut mpsc::Receiver<Pending>) {
        if batch.len() >= BATCH || batch.iter().any(|pending| pending.done.is_some()) {
            return;
        }
        tokio::select! {
            () = self.shared.hurry.notified() => {}
            () = self.shared.closing.cancelled() => {}
            () = time::sleep(GATHER) => {}
        }
        while batch.len() < BATCH
            && let Ok(next) = records.try_recv()
        {
            batch.push(next);
        }
    }

    async fn deliver(&self, batch: Vec<Pending>) {
        let asked = || batch.iter().filter(|pending| !pending.of_chain);
        let (count, bytes) = (asked().count(), asked().map(|pending| pending.record.bytes.len()).sum());
        let (records, waiting): (Vec<_>, Vec<_>) =
            batch.into_iter().map(|pending| (pending.record, pending.done)).unzip();
        // Other bytes in the sink mean that somebody forged this chain: nothing of it goes on
        // until a human looked.
        while let Err(error) = self.append(&records).await {
            tracing::error!(%error, "the audit store holds what this ledger never wrote; nothing more is stored");
            self.shared.report_sink(Some(error));
            time::sleep(PAUSES.1).await;
        }
        if let Some(last) = records.last() {
            self.shared.store(last.seq + 1);
        }
        self.shared.finish(count, bytes);
        for done in waiting.into_iter().flatten() {
            let _ = done.send(Ok(()));
        }
    }

    /// Appends, and lets no record that the store refuses stop those after it: of that one the truth
    /// alone is stored, and the verification finds what is missing. Only a conflict comes back.
    async fn append(&self, records: &[SealedRecord]) -> Result<(), AuditError> {
        let mut left = records;
        while !left.is_empty() {
            let (now, rest) = left.split_at(self.most.now().min(left.len()));
            self.append_together(now).await?;
            left = rest;
        }
        Ok(())
    }

    async fn append_together(&self, records: &[SealedRecord]) -> Result<(), AuditError> {
        match self.offer(records, true).await {
            Err(AuditError::Invalid { .. }) => {}
            taken => return taken,
        }
        for record in records.chunks(1) {
            match self.offer(record, true).await {
                Err(error @ AuditError::Invalid { .. }) => {
                    let (chain_id, seq) = (record[0].chain_id, record[0].seq);
                    tracing::error!(%chain_id, seq, %error, "a record is stored without its row in audit_logs or tool_calls");
                    self.offer(record, false).await?;
                }
                taken => taken?,
            }
        }
        Ok(())
    }

    /// Offers records, again and again while the sink is away, and a few times where it refuses them.
    async fn offer(&self, records: &[SealedRecord], with_rows: bool) -> Result<(), AuditError> {
        let mut pause = PAUSES.0;
        let mut refusals = 0;
        loop {
            let offered = if with_rows { self.sink.append(records) } else { self.sink.append_truth(records) };
            let taken = time::timeout(APPEND_WITHIN, AssertUnwindSafe(offered).catch_unwind()).await;
            // What panics once may do better with the same records in a moment: the ledger goes on.
            let panicked = |_| Err(AuditError::Unavailable { message: "it panicked".into() });
            let taken = taken.map(|caught| caught.unwrap_or_else(panicked));
            if !matches!(taken, Ok(Ok(()))) {
                metrics::sink_failed();
            }
            let error = match taken {
                Ok(Ok(())) => {
                    self.shared.report_sink(None);
                    self.most.took(records.len());
                    return Ok(());
                }
                Ok(Err(error @ AuditError::Conflict { .. })) => return Err(error),
                Ok(Err(error @ AuditError::Invalid { .. })) if with_rows => {
                    refusals += 1;
                    if refusals == MAX_REFUSALS {
                        return Err(error);
                    }
                    error
                }
                Ok(Err(error)) => error,
                // The same would be too much for it again.
                Err(_) if records.len() > 1 => {
                    self.shared
                        .report_sink(Some(AuditError::Unavailable { message: "it did not answer in time".into() }));
                    let (first, rest) = records.split_at(records.len() / 2);
                    self.most.was_too_much(records.len());
                    tracing::warn!(records = records.len(), "the audit store does not take so many records in time");
                    Box::pin(self.offer(first, with_rows)).await?;
                    return Box::pin(self.offer(rest, with_rows)).await;
                }
                Err(_) => AuditError::Unavailable { message: "it did not answer in time".into() },
            };
            if pause == PAUSES.0 {
                tracing::warn!(%error, "the audit store does not take records; they wait");
            }
            self.shared.report_sink(Some(error));
            time::sleep(pause).await;
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    /// Brings the sink what a dead process left, and forgets the files then.
    async fn replay(&self, chain: DeadChain) {
        let chain = Arc::new(chain);
        let (mut head, mut named) = (None, Vec::new());
        for index in 0..chain.len() {
            let segment = chain.clone();
            let records = match files::blocking(move || segment.records(index)).await {
                Ok(records) => records,
                Err(error) => {
                    return tracing::error!(%error, "a write-ahead file cannot be read, or not be kept; it waits for the next start");
                }
            };
            if let Some(first) = records.first().filter(|first| first.seq == 0) {
                named = named_previous(first);
            }
            head = records.last().map(|record| (record.chain_id, record.mac)).or(head);
            for batch in records.chunks(BATCH) {
                if let Err(error) = self.append(batch).await {
                    tracing::error!(
                        %error,
                        "a write-ahead file contradicts the audit store; it is kept as .conflict: compare it with the \
                         store, and keep it elsewhere then; `omni audit verify` is not content before"
                    );
                    return Arc::into_inner(chain).into_iter().for_each(DeadChain::set_aside);
                }
            }
        }
        let (dir, store) = (self.dir.clone(), self.store.clone());
        let forget = move || {
            if let (Some(dir), Some(head)) = (dir, head) {
                ends::write(&dir, store.as_ref(), head, &named)?;
            }
            Arc::into_inner(chain).into_iter().for_each(DeadChain::remove);
            Ok(())
        };
        if let Err(error) = files::blocking(forget).await {
            tracing::error!(%error, "replayed write-ahead files stay until the next start");
        }
    }
}
