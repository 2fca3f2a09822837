//! Proves that nobody altered, removed or reordered what a store holds, and that the tables which
//! people query say what the records say.
//!
//! What proves it is the key: whoever has it can forge, so it belongs outside the database. A
//! chain's end is proved by the next chain that begins, which names its last seal; until one does,
//! only by a head that was exported, or that the process left beside its write-ahead files. A chain
//! whose beginning was pruned begins at its signed checkpoint.

use std::{collections::HashMap, fmt};

use subtle::ConstantTimeEq;
use uuid::Uuid;

use super::{
    ChainHead, Checkpoint, Event, KeyId, Record, SealKey, SealKeys,
    dead::Head,
    seal::{Place, seal},
};
use crate::{
    audit::{AuditError, LedgerStore, SealedRecord},
    hex::from_hex,
};

mod ends;
mod last;
mod one;

use ends::Ends;

pub use last::{LastSeal, LastSeals};
pub use one::verify_record;

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
    /// The chain says that it was sealed with this key, which is not at hand: an older one, or that of
    /// another host.
    UnknownKey(KeyId),
    /// The chain names a chain before it that the store does not have.
    PreviousMissing,
    /// The chain before has lost its end: the last seal that this chain names is not in it.
    PreviousCut,
    /// The checkpoint from which the chain begins was not signed with this key.
    CheckpointForged,
    /// A record stands before the checkpoint: what was pruned is gone, so somebody put it there.
    BelowCheckpoint,
    /// A head that was exported, or left in the data directory, is not in the chain: its end was removed, or replaced.
    HeadMissing,
    /// A row of the tables that people query does not say what the record says, or is missing.
    RowDiffers,
    /// Those tables have a row for a record that is not there, or a file has a line that is none of its chain.
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

impl Break {
    /// The key that would tell, where only that is wrong.
    #[must_use]
    pub fn missing_key(&self) -> Option<KeyId> {
        match self.fault {
            Fault::UnknownKey(id) => Some(id),
            _ => None,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownKey(id) => {
                return write!(f, "it was sealed with the key {id}, which is not at hand: add it to audit.verify_keys");
            }
            Self::Missing => "the record is missing",
            Self::Altered => "the record was altered, or sealed with another key",
            Self::PreviousMissing => "the chain before it is missing",
            Self::PreviousCut => "the chain before it has lost its end",
            Self::CheckpointForged => "the checkpoint before it was not signed with this key",
            Self::BelowCheckpoint => "a record stands before the checkpoint from which the chain begins",
            Self::HeadMissing => "the exported head, or the one in the data directory, is not in the chain",
            Self::RowDiffers => "its row in audit_logs or tool_calls does not say what the record says",
            Self::RowStray => "a row of audit_logs or tool_calls, or a line of the file, stands there for no record",
        })
    }
}

impl fmt::Display for Break {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}: {}", self.chain_id, self.seq, self.fault)
    }
}

/// What a verification saw.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verified {
    /// How many chains were read, of which there is a key.
    pub chains: usize,
    /// How many records of them were read.
    pub records: u64,
    /// How many chains begin at a checkpoint.
    pub pruned: usize,
    /// How many rows of the tables that people query were there before omni, and no record proves.
    pub unproved: u64,
    /// How many rows of these tables came since, and no record proves: another program's, or forged ones.
    pub beside: u64,
    /// How many last seals lie in the directory that are of other stores; nothing looked for them.
    pub elsewhere: usize,
    /// Files in the directory, by their names, that hold what did not reach the store as it was written.
    pub set_aside: Vec<String>,
    /// Chains that say that they were sealed, or pruned, with keys that are not at hand: nothing of them is
    /// proved, and nothing disproved.
    pub not_provable: Vec<Break>,
    /// The first break, if there is one.
    pub first_break: Option<Break>,
    /// How many there are. Of the records of one chain only the first one counts: behind it nothing is proved.
    pub breaks: usize,
}

impl Verified {
    /// Whether all that there is was proved.
    #[must_use]
    pub fn is_proved(&self) -> bool {
        let is_whole = self.first_break.is_none() && self.set_aside.is_empty();
        is_whole && self.not_provable.is_empty() && self.beside == 0 && !self.is_gone()
    }

    /// Whether there is nothing at all, though the directory tells of records that are, or were, somewhere.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.elsewhere > 0 && self.chains == 0 && self.pruned == 0 && self.not_provable.is_empty()
    }
}

/// Reads every chain of a store, each up to its first break. Chains of keys that are not at hand are
/// counted apart and hold nothing up.
///
/// # Errors
/// An [`AuditError`] when the store cannot be read. A break is not an error.
pub async fn verify(store: &dyn LedgerStore, keys: impl Into<SealKeys>) -> Result<Verified, AuditError> {
    verify_against(store, keys, &[]).await
}

/// The same, and every chain must still hold the head that was exported of it.
///
/// # Errors
/// As [`verify`].
pub async fn verify_against(
    store: &dyn LedgerStore,
    keys: impl Into<SealKeys>,
    exported: &[ChainHead],
) -> Result<Verified, AuditError> {
    verify_up_to(store, keys, exported, &LastSeals::default()).await
}

/// The same, and the store must still hold the seals that were left beside it.
///
/// # Errors
/// As [`verify`].
pub async fn verify_up_to(
    store: &dyn LedgerStore,
    keys: impl Into<SealKeys>,
    exported: &[ChainHead],
    last: &LastSeals,
) -> Result<Verified, AuditError> {
    let keys = &keys.into();
    let checkpoints = store.checkpoints().await?;
    let (unproved, beside) = (store.unproved().await?, store.beside().await?);
    let mut verified = Verified {
        pruned: checkpoints.len(),
        unproved: unproved.saturating_sub(beside),
        beside,
        elsewhere: last.elsewhere,
        set_aside: last.set_aside.clone(),
        ..Verified::default()
    };
    // A chain of which nothing is left but its checkpoint is in no head.
    let mut breaks = bad_checkpoints(store, keys, &checkpoints, &mut verified.not_provable).await?;
    let checkpoints = by_chain(checkpoints);
    let mut ends = Ends { checkpoints, ..Ends::default() };
    for head in store.heads().await? {
        // One whose checkpoint is bad is broken there.
        if let Some(broken) = read_chain(store, keys, head, &mut ends, &mut verified).await?
            && breaks.iter().all(|known| known.chain_id != broken.chain_id)
        {
            breaks.push(broken);
        }
    }
    breaks.extend(ends.unlinked(store).await?);
    breaks.extend(ends.without_end(store, exported, &last.own).await?);
    breaks.extend(stray(store).await?);
    verified.breaks = breaks.len();
    verified.first_break = breaks.into_iter().next();
    Ok(verified)
}

/// Reads the chain of a head; what is wrong with it, unless no key of it is at hand.
async fn read_chain(
    store: &dyn LedgerStore,
    keys: &SealKeys,
    head: ChainHead,
    ends: &mut Ends,
    verified: &mut Verified,
) -> Result<Option<Break>, AuditError> {
    let chain_id = head.chain_id;
    let (chain, broken) = whole_chain(store, keys, head, ends.checkpoints.get(&chain_id).copied()).await?;
    match broken {
        Some(broken) if broken.missing_key().is_some() => {
            // A later chain may name it all the same.
            ends.last.insert(chain_id, Place { seq: head.seq.saturating_add(1), previous: head.mac });
            if verified.not_provable.iter().all(|known| known.chain_id != chain_id) {
                verified.not_provable.push(broken);
            }
            Ok(None)
        }
        broken => {
            verified.chains += 1;
            verified.records += chain.seen;
            ends.links.extend(chain.named.into_iter().map(|named| (chain_id, named)));
            ends.last.insert(chain_id, chain.at);
            Ok(broken)
        }
    }
}

/// Reads one chain, and stops at the first break, or where a key is missing.
///
/// # Errors
/// An [`AuditError`] when the store cannot be read. A break is not an error.
pub async fn verify_chain(
    store: &dyn LedgerStore,
    keys: impl Into<SealKeys>,
    chain_id: Uuid,
) -> Result<Option<Break>, AuditError> {
    let keys = &keys.into();
    let checkpoint = by_chain(store.checkpoints().await?).remove(&chain_id);
    match store.heads().await?.into_iter().find(|head| head.chain_id == chain_id) {
        Some(head) => Ok(whole_chain(store, keys, head, checkpoint).await?.1),
        None => Ok(None),
    }
}

pub(super) fn by_chain(checkpoints: Vec<Checkpoint>) -> HashMap<Uuid, Checkpoint> {
    checkpoints.into_iter().map(|checkpoint| (checkpoint.chain_id, checkpoint)).collect()
}

/// The checkpoints that were not signed, or before which there is something. Those of keys that are not at hand go to
/// `not_provable`.
async fn bad_checkpoints(
    store: &dyn LedgerStore,
    keys: &SealKeys,
    checkpoints: &[Checkpoint],
    not_provable: &mut Vec<Break>,
) -> Result<Vec<Break>, AuditError> {
    let mut bad = Vec::new();
    for checkpoint in checkpoints {
        let Checkpoint { chain_id, next_seq, .. } = *checkpoint;
        match checkpoint.fault(keys).map(|fault| Break { chain_id, seq: next_seq, fault }) {
            Some(unknown) if unknown.missing_key().is_some() => {
                not_provable.push(unknown);
                continue;
            }
            Some(forged) => {
                bad.push(forged);
                continue;
            }
            None => {}
        }
        let first = store.read(chain_id, 0, 1).await?;
        if let Some(first) = first.first().filter(|first| first.seq < next_seq) {
            bad.push(Break { chain_id, seq: first.seq, fault: Fault::BelowCheckpoint });
        }
    }
    Ok(bad)
}

/// A chain up to the head that it had at the start: one that is written meanwhile has no end.
async fn whole_chain<'a>(
    store: &dyn LedgerStore,
    keys: &'a SealKeys,
    head: ChainHead,
    mut checkpoint: Option<Checkpoint>,
) -> Result<(Chain<'a>, Option<Break>), AuditError> {
    loop {
        let mut chain = Chain::new(keys, head.chain_id);
        if let Some(fault) = chain.begin_at(checkpoint.as_ref()) {
            let broken = chain.broken(fault);
            return Ok((chain, Some(broken)));
        }
        let broken = chain.read(store, head.seq).await?;
        // Somebody may have pruned in the meantime: rows and records, or the rows of records read before.
        if broken.as_ref().is_some_and(|found| matches!(found.fault, Fault::Missing | Fault::RowDiffers)) {
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
pub(super) struct Chain<'a> {
    keys: &'a SealKeys,
    /// The keys that may have sealed it, until the first record tells which one did.
    keyed: Vec<(&'a SealKey, hmac::Hmac<sha2::Sha256>)>,
    chain_id: Uuid,
    pub(super) at: Place,
    pub(super) seen: u64,
    /// The chains before that it names.
    named: Vec<Head>,
}

impl<'a> Chain<'a> {
    pub(super) fn new(keys: &'a SealKeys, chain_id: Uuid) -> Self {
        let keyed = keys.iter().map(|key| (key, key.keyed())).collect();
        Self { keys, keyed, chain_id, at: Place::START, seen: 0, named: Vec::new() }
    }

    /// The key that sealed what was read, or that seals now where nothing was.
    pub(super) fn key(&self) -> &'a SealKey {
        self.keyed.first().map_or(self.keys.own(), |(key, _)| key)
    }

    /// Begins where the checkpoint says, if it is to be believed.
    pub(super) fn begin_at(&mut self, checkpoint: Option<&Checkpoint>) -> Option<Fault> {
        let checkpoint = checkpoint?;
        self.at = Place { seq: checkpoint.next_seq, previous: checkpoint.mac };
        checkpoint.fault(self.keys)
    }

    pub(super) fn broken(&self, fault: Fault) -> Break {
        Break { chain_id: self.chain_id, seq: self.at.seq, fault }
    }

    async fn read(&mut self, store: &dyn LedgerStore, last: u64) -> Result<Option<Break>, AuditError> {
        while self.at.seq <= last {
            let page = store.read(self.chain_id, self.at.seq, PAGE).await?;
            // There is a head, and nothing by the chain's name that leads to it.
            if page.is_empty() {
                return Ok(Some(self.broken(Fault::Missing)));
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
        let sealed_with = |(_, keyed): &(&SealKey, hmac::Hmac<sha2::Sha256>)| {
            let expected = seal(keyed, &previous, self.chain_id, seq, &record.bytes);
            bool::from(expected.ct_eq(&record.mac))
        };
        let Some(at) = self.keyed.iter().position(sealed_with) else {
            return Some(not_proved(self.keys, record));
        };
        // A chain has one key.
        self.keyed.swap(0, at);
        self.keyed.truncate(1);
        if seq == 0 {
            self.named = named_previous(record);
        }
        self.seen += 1;
        self.at = Place { seq: seq + 1, previous: record.mac };
        None
    }
}

/// Why a record that no key proves is none of the ledger's: the first one says with what it was sealed.
fn not_proved(keys: &SealKeys, record: &SealedRecord) -> Fault {
    let opened = serde_json::from_slice::<Record>(&record.bytes).ok().map(|record| record.event);
    match opened {
        Some(Event::ChainOpened { key: Some(id), .. }) if record.seq == 0 && keys.by_id(id).is_none() => {
            Fault::UnknownKey(id)
        }
        _ => Fault::Altered,
    }
}

/// The chains before, as the first record of a chain names them.
pub(super) fn named_previous(record: &SealedRecord) -> Vec<Head> {
    match serde_json::from_slice::<Record>(&record.bytes).map(|record| record.event) {
        Ok(Event::ChainOpened { previous, also, .. }) => {
            let named = previous.into_iter().chain(also);
            named.filter_map(|(chain_id, hex)| Some((chain_id, from_hex(&hex)?))).collect()
        }
        _ => Vec::new(),
    }
}

async fn stray(store: &dyn LedgerStore) -> Result<Option<Break>, AuditError> {
    let stray = store.stray().await?;
    Ok(stray.map(|(chain_id, seq)| Break { chain_id, seq, fault: Fault::RowStray }))
}
