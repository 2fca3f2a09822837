//! What seals: order, places and chain are right because one at a time has it.

use std::{collections::VecDeque, sync::Arc};

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use super::{
    Event, KeyId, Record, canonical,
    dead::Head,
    drain::Pending,
    files,
    seal::{Place, Sealer},
    shared::Shared,
    unsettled::{Role, Unsettled},
    wal::{Segment, Wal},
};
use crate::{
    audit::{AuditError, Said, SealedRecord},
    config::Ack,
    hex::to_hex,
};

/// Most records of one write.
pub(crate) const BATCH: usize = 256;
/// What one write hands on at most: its batch, and the chain's own records.
const HANDED_ON: usize = BATCH + 2;

/// Tells whoever wrote a record what became of it.
pub(crate) type Done = oneshot::Sender<Result<(), AuditError>>;

/// A record on its way into the chain.
#[derive(Debug)]
pub(crate) struct Accepted {
    pub(crate) request_id: Uuid,
    pub(crate) role: Role,
    pub(crate) bytes: Bytes,
    /// What they say, for a sink that takes it soon.
    pub(crate) said: Option<Said>,
    pub(crate) ack: Ack,
    pub(crate) done: Done,
}

/// A waiter for the disk: what must be synced first, and whom to tell.
pub(crate) type Sync = (Arc<Segment>, Done);

pub(crate) struct Writer {
    pub(crate) shared: Arc<Shared>,
    pub(crate) sealer: Sealer,
    /// Which key that is done with.
    pub(crate) key: KeyId,
    pub(crate) wal: Option<Wal>,
    /// The chains before, for this chain's first record: the youngest first.
    pub(crate) named: Vec<Head>,
    pub(crate) unsettled: Unsettled,
    pub(crate) sync: mpsc::Sender<Sync>,
    pub(crate) drain: mpsc::Sender<Pending>,
    /// The last record, for the next segment.
    pub(crate) last: Option<SealedRecord>,
    /// Why nothing can be written any more.
    pub(crate) broken: Option<AuditError>,
    /// Why nothing can be written until there is a new file.
    pub(crate) stuck: Option<AuditError>,
}

/// What a writer leaves when it ends.
pub(crate) struct Ended {
    pub(crate) wal: Option<Wal>,
    pub(crate) at: Place,
    /// The chains that it names.
    pub(crate) named: Vec<Head>,
}

impl Writer {
    /// What is left of it.
    pub(crate) fn end(self) -> Ended {
        Ended { wal: self.wal, at: self.sealer.place(), named: self.named }
    }

    /// Whether a write takes no more than a moment: nothing has to be made room for.
    pub(crate) fn is_ready(&self) -> bool {
        let is_full = self.wal.as_ref().is_some_and(Wal::is_full);
        // A drain that has ended takes nothing any more; the records are in the file then.
        let has_room = self.drain.capacity() >= HANDED_ON || self.drain.is_closed();
        !is_full && has_room && self.sync.capacity() >= BATCH
    }

    /// Makes room, or keeps in mind why there is none.
    pub(crate) async fn get_ready(&mut self) {
        self.stuck = self.rotate_if_full().await.err();
        let _ = self.drain.reserve_many(HANDED_ON).await;
        let _ = self.sync.reserve_many(BATCH).await;
    }

    /// Closes what went without a last word: a task that was killed, a closing that found no room.
    pub(crate) async fn close_open_requests(&mut self) {
        let mut closings = std::mem::take(&mut self.unsettled).closings();
        if !closings.is_empty() {
            tracing::warn!(records = closings.len(), "requests without an end are closed as unknown");
        }
        while !closings.is_empty() {
            let rest = closings.split_off(closings.len().min(BATCH));
            self.get_ready().await;
            self.commit(VecDeque::new(), std::mem::replace(&mut closings, rest), true);
        }
    }

    /// Seals a batch, after the chain's `own` records and those that are due, and hands it on; or
    /// none of it.
    pub(crate) fn commit(&mut self, batch: VecDeque<Accepted>, own: Vec<Record>, at_the_end: bool) {
        let gap = self.shared.take_gap(at_the_end);
        if !batch.is_empty() || !own.is_empty() || gap.is_some() {
            self.put(batch, own, gap);
        }
    }

    /// Writes the chain's opening record, where nothing is written yet.
    pub(crate) fn open_chain(&mut self) {
        if self.sealer.place() == Place::START {
            self.put(VecDeque::new(), Vec::new(), None);
        }
    }

    fn put(&mut self, batch: VecDeque<Accepted>, own: Vec<Record>, gap: Option<u64>) {
        let place = self.sealer.place();
        match self.write(&batch, own, gap) {
            Ok(sealed) => self.hand_on(batch, sealed),
            Err(error) => {
                self.sealer.rewind(place);
                self.shared.lose(gap.unwrap_or(0));
                self.refuse(batch, &error);
            }
        }
    }

    fn write(
        &mut self,
        batch: &VecDeque<Accepted>,
        own: Vec<Record>,
        gap: Option<u64>,
    ) -> Result<Vec<SealedRecord>, AuditError> {
        if let Some(error) = self.broken.as_ref().or(self.stuck.as_ref()) {
            return Err(error.clone());
        }
        let mut sealed = Vec::with_capacity(batch.len() + own.len() + 2);
        let due = self.due(gap).into_iter().map(|event| Record::new(Uuid::nil(), None, event));
        for record in due.chain(own) {
            sealed.push(self.sealer.seal(canonical::canonical(&record)?));
        }
        sealed.extend(batch.iter().map(|accepted| {
            let record = self.sealer.seal(accepted.bytes.clone());
            SealedRecord { said: accepted.said.clone(), ..record }
        }));
        if let Some(wal) = &mut self.wal {
            // A write to the page cache takes microseconds: less than a hop to another thread.
            wal.append(&sealed)?;
        }
        Ok(sealed)
    }

    /// The chain's own records: its opening is its first one, whatever else comes.
    fn due(&mut self, gap: Option<u64>) -> Vec<Event> {
        let opening = (self.sealer.place() == Place::START).then(|| self.opening());
        opening.into_iter().chain(gap.map(|count| Event::Gap { count })).collect()
    }

    fn opening(&self) -> Event {
        let mut named = self.named.iter().map(|(chain_id, seal)| (*chain_id, to_hex(seal)));
        let previous = named.next();
        Event::ChainOpened { previous, also: named.collect(), key: Some(self.key) }
    }

    async fn rotate_if_full(&mut self) -> Result<(), AuditError> {
        let Some(mut wal) = self.wal.take_if(|wal| wal.is_full()) else { return Ok(()) };
        let mut carried = self.unsettled.records();
        carried.extend(self.last.clone().filter(|last| carried.iter().all(|record| record.seq != last.seq)));
        let next = self.last.as_ref().map_or(0, |last| last.seq + 1);
        let work = files::blocking(move || {
            let rotated = wal.rotate(next, &carried);
            Ok((wal, rotated))
        });
        match work.await {
            Ok((wal, rotated)) => {
                self.wal = Some(wal);
                rotated
            }
            // The file went with the task that had it; without one no record would be safe.
            Err(error) => {
                self.broken = Some(error.clone());
                Err(error)
            }
        }
    }

    fn hand_on(&mut self, mut batch: VecDeque<Accepted>, sealed: Vec<SealedRecord>) {
        self.shared.report_file(None);
        self.last = sealed.last().map(SealedRecord::bare).or(self.last.take());
        let own = sealed.len() - batch.len();
        for (index, record) in sealed.into_iter().enumerate() {
            let accepted = if index < own { None } else { batch.pop_front() };
            let of_chain = accepted.is_none();
            let done = match accepted {
                Some(accepted) => {
                    self.unsettled.observe(accepted.request_id, accepted.role, &record);
                    self.assure(accepted)
                }
                None => None,
            };
            let is_awaited = done.is_some();
            // The drain ends before this task only when its time is up; the record is in the file then.
            let _ = self.drain.try_send(Pending { record, of_chain, done });
            if is_awaited {
                self.shared.hurry.notify_one();
            }
        }
        if let Some(wal) = &mut self.wal {
            wal.forget(self.shared.stored());
        }
    }

    /// Tells the writer of a record that it is as safe as it asked for, or leaves that to the
    /// disk or to the sink.
    fn assure(&self, accepted: Accepted) -> Option<Done> {
        match (accepted.ack, &self.wal) {
            (Ack::Local, _) => {
                let _ = accepted.done.send(Ok(()));
                None
            }
            (Ack::Fsync, Some(wal)) => {
                let _ = self.sync.try_send((wal.segment(), accepted.done));
                None
            }
            (Ack::Fsync, None) | (Ack::Database, _) => Some(accepted.done),
        }
    }

    fn refuse(&self, batch: VecDeque<Accepted>, error: &AuditError) {
        tracing::error!(%error, records = batch.len(), "the ledger cannot write");
        self.shared.report_file(Some(error.clone()));
        let bytes = batch.iter().map(|accepted| accepted.bytes.len()).sum();
        self.shared.finish(batch.len(), bytes);
        if !self.shared.is_required() {
            self.shared.lose(batch.len() as u64);
        }
        for accepted in batch {
            let answer = if self.shared.is_required() { Err(error.clone()) } else { Ok(()) };
            let _ = accepted.done.send(answer);
        }
    }
}

/// Syncs segments, each once for all who wait for it. One that cannot be synced is not written to
/// again: what the disk did not take once it does not take the next time either, and says it did.
pub(crate) async fn sync(mut waiters: mpsc::Receiver<Sync>, shared: Arc<Shared>) {
    let mut waiting = Vec::new();
    while waiters.recv_many(&mut waiting, 1024).await > 0 {
        let mut rest = std::mem::take(&mut waiting);
        while let Some((segment, _)) = rest.first() {
            let segment = segment.clone();
            let (same, others): (Vec<_>, Vec<_>) =
                rest.into_iter().partition(|(other, _)| Arc::ptr_eq(other, &segment));
            rest = others;
            let synced = files::blocking(move || segment.sync()).await;
            if let Err(error) = &synced {
                tracing::error!(%error, "the ledger's file cannot be made durable");
                shared.report_file(Some(error.clone()));
            }
            for (_, done) in same {
                let _ = done.send(synced.clone());
            }
        }
    }
}
