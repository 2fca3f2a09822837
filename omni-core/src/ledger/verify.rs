//! Proves that nobody altered, removed or reordered what a store holds, and that the tables which
//! people query say what the records say.
//!
//! What proves it is the key: whoever has it can forge, so it belongs outside the database. A
//! chain's end is proved by the next chain, which names its last seal; the end of the youngest
//! chain, and of those that ran beside another, only by a head that was exported. A chain whose
//! beginning was pruned begins at its signed checkpoint.

use std::{collections::HashMap, fmt};

use subtle::ConstantTimeEq;
use uuid::Uuid;

use super::{
    ChainHead, Checkpoint, Event, Record, SealKey,
    dead::Head,
    seal::{Place, Seal, from_hex, seal},
};
use crate::audit::{AuditError, LedgerStore, SealedRecord};

/// Records read at once.
pub(super) const PAGE: usize = 500;

/// What is wrong at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The record of this place is not there, though a later one is.
    Missing,
    /// The record was altered, or sealed with another key.
    Altered,
    /// The chain names a chain before it that the store does not have.
    PreviousMissing,
    /// The chain before has lost its end: the last seal that this chain names is not in it.
    PreviousCut,
    /// The checkpoint from which the chain begins was not signed with this key.
    CheckpointForged,
    /// A head that was exported is not in the chain: its end was removed, or replaced.
    HeadMissing,
    /// A row of the tables that people query does not say what the record says, or is missing.
    RowDiffers,
    /// Those tables have a row for a record that is not there.
    RowStray,
}

/// The first place where a store is not what the ledger wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Break {
    /// The chain.
    pub chain_id: Uuid,
    /// The place in it.
    pub seq: u64,
    /// What is wrong there.
    pub fault: Fault,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "the record is missing",
            Self::Altered => "the record was altered, or sealed with another key",
            Self::PreviousMissing => "the chain before it is missing",
            Self::PreviousCut => "the chain before it has lost its end",
            Self::CheckpointForged => "the checkpoint before it was not signed with this key",
            Self::HeadMissing => "the exported head is not in the chain",
            Self::RowDiffers => "its row in audit_logs or tool_calls does not say what the record says",
            Self::RowStray => "audit_logs or tool_calls has a row for it, and there is no record",
        })
    }
}

impl fmt::Display for Break {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}: {}", self.chain_id, self.seq, self.fault)
    }
}

/// What a verification saw.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verified {
    /// How many chains were read.
    pub chains: usize,
    /// How many records were read.
    pub records: u64,
    /// How many chains begin at a checkpoint.
    pub pruned: usize,
    /// The first break, if there is one.
    pub first_break: Option<Break>,
}

/// Reads every chain of a store, and stops at the first break.
///
/// # Errors
/// An [`AuditError`] when the store cannot be read. A break is not an error.
pub async fn verify(store: &dyn LedgerStore, key: &SealKey) -> Result<Verified, AuditError> {
    verify_against(store, key, &[]).await
}

/// The same, and every chain must still hold the head that was exported of it.
///
/// # Errors
/// As [`verify`].
pub async fn verify_against(
    store: &dyn LedgerStore,
    key: &SealKey,
    exported: &[ChainHead],
) -> Result<Verified, AuditError> {
    let checkpoints = by_chain(store.checkpoints().await?);
    let mut verified = Verified { chains: 0, records: 0, pruned: checkpoints.len(), first_break: None };
    let mut ends = Ends { checkpoints, ..Ends::default() };
    for head in store.heads().await? {
        let chain_id = head.chain_id;
        verified.chains += 1;
        let (chain, broken) = whole_chain(store, key, head, ends.checkpoints.get(&chain_id).copied()).await?;
        verified.records += chain.seen;
        if broken.is_some() {
            return Ok(Verified { first_break: broken, ..verified });
        }
        ends.links.push((chain_id, chain.previous));
        ends.last.insert(chain_id, chain.at);
    }
    verified.first_break = match ends.first_unlinked(store).await? {
        Some(found) => Some(found),
        None => match ends.first_without_head(store, exported).await? {
            Some(found) => Some(found),
            None => stray(store).await?,
        },
    };
    Ok(verified)
}

/// Reads one chain, and stops at the first break.
///
/// # Errors
/// An [`AuditError`] when the store cannot be read. A break is not an error.
pub async fn verify_chain(store: &dyn LedgerStore, key: &SealKey, chain_id: Uuid) -> Result<Option<Break>, AuditError> {
    let checkpoint = by_chain(store.checkpoints().await?).remove(&chain_id);
    match store.heads().await?.into_iter().find(|head| head.chain_id == chain_id) {
        Some(head) => Ok(whole_chain(store, key, head, checkpoint).await?.1),
        None => Ok(None),
    }
}

pub(super) fn by_chain(checkpoints: Vec<Checkpoint>) -> HashMap<Uuid, Checkpoint> {
    checkpoints.into_iter().map(|checkpoint| (checkpoint.chain_id, checkpoint)).collect()
}

/// A chain up to the head that it had at the start: one that is written meanwhile has no end.
async fn whole_chain(
    store: &dyn LedgerStore,
    key: &SealKey,
    head: ChainHead,
    mut checkpoint: Option<Checkpoint>,
) -> Result<(Chain, Option<Break>), AuditError> {
    loop {
        let mut chain = Chain::new(key, head.chain_id);
        if let Some(fault) = chain.begin_at(key, checkpoint.as_ref()) {
            let broken = chain.broken(fault);
            return Ok((chain, Some(broken)));
        }
        let broken = chain.read(store, head.seq).await?;
        // Somebody may have pruned in the meantime.
        if broken.as_ref().is_some_and(|found| found.fault == Fault::Missing) {
            let present = by_chain(store.checkpoints().await?).remove(&head.chain_id);
            if present != checkpoint {
                checkpoint = present;
                continue;
            }
        }
        return Ok((chain, broken));
    }
}

/// A chain on its way through the verification.
pub(super) struct Chain {
    keyed: hmac::Hmac<sha2::Sha256>,
    chain_id: Uuid,
    pub(super) at: Place,
    pub(super) seen: u64,
    previous: Option<Head>,
}

impl Chain {
    pub(super) fn new(key: &SealKey, chain_id: Uuid) -> Self {
        Self { keyed: key.keyed(), chain_id, at: Place::START, seen: 0, previous: None }
    }

    /// Begins where the checkpoint says, if it is to be believed.
    pub(super) fn begin_at(&mut self, key: &SealKey, checkpoint: Option<&Checkpoint>) -> Option<Fault> {
        let checkpoint = checkpoint?;
        self.at = Place { seq: checkpoint.next_seq, previous: checkpoint.mac };
        (!checkpoint.is_signed(key)).then_some(Fault::CheckpointForged)
    }

    pub(super) fn broken(&self, fault: Fault) -> Break {
        Break { chain_id: self.chain_id, seq: self.at.seq, fault }
    }

    async fn read(&mut self, store: &dyn LedgerStore, last: u64) -> Result<Option<Break>, AuditError> {
        while self.at.seq <= last {
            let page = store.read(self.chain_id, self.at.seq, PAGE).await?;
            if page.is_empty() {
                break;
            }
            for record in &page {
                if let Some(fault) = self.check(record) {
                    return Ok(Some(self.broken(fault)));
                }
            }
            if let Some(seq) = store.differing(&page).await? {
                return Ok(Some(Break { chain_id: self.chain_id, seq, fault: Fault::RowDiffers }));
            }
        }
        Ok(None)
    }

    pub(super) fn check(&mut self, record: &SealedRecord) -> Option<Fault> {
        let Place { seq, previous } = self.at;
        if record.seq != seq {
            return Some(Fault::Missing);
        }
        let expected = seal(&self.keyed, &previous, self.chain_id, seq, &record.bytes);
        if !bool::from(expected.ct_eq(&record.mac)) {
            return Some(Fault::Altered);
        }
        if seq == 0 {
            self.previous = named_previous(record);
        }
        self.seen += 1;
        self.at = Place { seq: seq + 1, previous: record.mac };
        None
    }
}

/// The chain before, as the first record of a chain names it.
pub(super) fn named_previous(record: &SealedRecord) -> Option<Head> {
    match serde_json::from_slice::<Record>(&record.bytes).ok()?.event {
        Event::ChainOpened { previous: Some((chain_id, hex)) } => Some((chain_id, from_hex(&hex)?)),
        _ => None,
    }
}

/// Where all chains begin and end, and which chain each one names.
#[derive(Default)]
struct Ends {
    checkpoints: HashMap<Uuid, Checkpoint>,
    last: HashMap<Uuid, Place>,
    links: Vec<(Uuid, Option<Head>)>,
}

impl Ends {
    /// The first chain whose predecessor is not there, or not whole.
    async fn first_unlinked(&self, store: &dyn LedgerStore) -> Result<Option<Break>, AuditError> {
        for (chain_id, link) in &self.links {
            let Some((previous, head)) = link else { continue };
            let fault = if !self.last.contains_key(previous) && !self.checkpoints.contains_key(previous) {
                Fault::PreviousMissing
            } else if !self.holds(store, *previous, head).await? {
                Fault::PreviousCut
            } else {
                continue;
            };
            return Ok(Some(Break { chain_id: *chain_id, seq: 0, fault }));
        }
        Ok(None)
    }

    /// Whether the chain has, or had before it was pruned, a record with this seal. Its file may have
    /// lost in a power cut what the store has, so the seal need not be the last.
    async fn holds(&self, store: &dyn LedgerStore, chain_id: Uuid, head: &Seal) -> Result<bool, AuditError> {
        let pruned = self.checkpoints.get(&chain_id);
        if self.last.get(&chain_id).is_some_and(|last| last.previous == *head)
            || pruned.is_some_and(|pruned| pruned.mac == *head || pruned.named.as_ref() == Some(head))
        {
            return Ok(true);
        }
        let mut from = pruned.map_or(0, |pruned| pruned.next_seq);
        loop {
            let page = store.read(chain_id, from, PAGE).await?;
            let Some(last) = page.last() else { return Ok(false) };
            if page.iter().any(|record| record.mac == *head) {
                return Ok(true);
            }
            from = last.seq + 1;
        }
    }

    /// The first exported head that its chain does not hold any more.
    async fn first_without_head(
        &self,
        store: &dyn LedgerStore,
        exported: &[ChainHead],
    ) -> Result<Option<Break>, AuditError> {
        for head in exported {
            let pruned = self.checkpoints.get(&head.chain_id);
            let holds = match pruned {
                Some(pruned) if head.seq + 1 == pruned.next_seq => pruned.mac == head.mac,
                // What was pruned before it was checked then.
                Some(pruned) if head.seq < pruned.next_seq => true,
                Some(_) | None => {
                    let record = store.read(head.chain_id, head.seq, 1).await?;
                    record.first().is_some_and(|record| record.seq == head.seq && record.mac == head.mac)
                }
            };
            if !holds {
                return Ok(Some(Break { chain_id: head.chain_id, seq: head.seq, fault: Fault::HeadMissing }));
            }
        }
        Ok(None)
    }
}

async fn stray(store: &dyn LedgerStore) -> Result<Option<Break>, AuditError> {
    let stray = store.stray().await?;
    Ok(stray.map(|(chain_id, seq)| Break { chain_id, seq, fault: Fault::RowStray }))
}
