//! Proves that nobody altered, removed or reordered what a store holds.
//!
//! What proves it is the key: whoever has it can forge, so it belongs outside the database. A
//! chain's end is proved by the next chain, which names its last seal; the end of the youngest
//! chain, and of those that ran beside another, only by a head that was exported.

use std::{collections::HashMap, fmt};

use subtle::ConstantTimeEq;
use uuid::Uuid;

use super::{
    Event, Record, SealKey,
    dead::Head,
    seal::{Place, Seal, from_hex, seal},
};
use crate::audit::{AuditError, AuditReader, SealedRecord};

/// Records read at once.
const PAGE: usize = 500;

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

impl fmt::Display for Break {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fault = match self.fault {
            Fault::Missing => "the record is missing",
            Fault::Altered => "the record was altered, or sealed with another key",
            Fault::PreviousMissing => "the chain before it is missing",
            Fault::PreviousCut => "the chain before it has lost its end",
        };
        write!(f, "{}/{}: {fault}", self.chain_id, self.seq)
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
    /// The first break, if there is one.
    pub first_break: Option<Break>,
}

/// Reads every chain of a store, and stops at the first break.
///
/// # Errors
/// An [`AuditError`] when the store cannot be read. A break is not an error.
pub async fn verify(reader: &dyn AuditReader, key: &SealKey) -> Result<Verified, AuditError> {
    let mut verified = Verified { chains: 0, records: 0, first_break: None };
    let mut links: HashMap<Uuid, Option<Head>> = HashMap::new();
    for chain_id in reader.chains().await? {
        let mut chain = Chain::new(key, chain_id);
        verified.chains += 1;
        let broken = chain.read(reader).await?;
        verified.records += chain.at.seq;
        if broken.is_some() {
            return Ok(Verified { first_break: broken, ..verified });
        }
        links.insert(chain_id, chain.previous);
    }
    verified.first_break = first_unlinked(reader, &links).await?;
    Ok(verified)
}

/// Reads one chain, and stops at the first break.
///
/// # Errors
/// An [`AuditError`] when the store cannot be read. A break is not an error.
pub async fn verify_chain(
    reader: &dyn AuditReader,
    key: &SealKey,
    chain_id: Uuid,
) -> Result<Option<Break>, AuditError> {
    Chain::new(key, chain_id).read(reader).await
}

/// A chain on its way through the verification.
struct Chain {
    keyed: hmac::Hmac<sha2::Sha256>,
    chain_id: Uuid,
    at: Place,
    previous: Option<Head>,
}

impl Chain {
    fn new(key: &SealKey, chain_id: Uuid) -> Self {
        Self { keyed: key.keyed(), chain_id, at: Place::START, previous: None }
    }

    async fn read(&mut self, reader: &dyn AuditReader) -> Result<Option<Break>, AuditError> {
        loop {
            let page = reader.read(self.chain_id, self.at.seq, PAGE).await?;
            if page.is_empty() {
                return Ok(None);
            }
            for record in page {
                if let Some(fault) = self.check(&record) {
                    return Ok(Some(Break { chain_id: self.chain_id, seq: self.at.seq, fault }));
                }
            }
        }
    }

    fn check(&mut self, record: &SealedRecord) -> Option<Fault> {
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
        self.at = Place { seq: seq + 1, previous: record.mac };
        None
    }
}

fn named_previous(record: &SealedRecord) -> Option<Head> {
    match serde_json::from_slice::<Record>(&record.bytes).ok()?.event {
        Event::ChainOpened { previous: Some((chain_id, hex)) } => Some((chain_id, from_hex(&hex)?)),
        _ => None,
    }
}

/// The first chain whose predecessor is not there, or not whole.
async fn first_unlinked(
    reader: &dyn AuditReader,
    links: &HashMap<Uuid, Option<Head>>,
) -> Result<Option<Break>, AuditError> {
    let mut named: Vec<_> = links.iter().filter_map(|(id, link)| Some((*id, (*link)?))).collect();
    named.sort_by_key(|(id, _)| *id);
    for (chain_id, (previous, head)) in named {
        let fault = if !links.contains_key(&previous) {
            Fault::PreviousMissing
        } else if !holds_seal(reader, previous, &head).await? {
            Fault::PreviousCut
        } else {
            continue;
        };
        return Ok(Some(Break { chain_id, seq: 0, fault }));
    }
    Ok(None)
}

/// Whether the chain has a record with this seal. Its file may have lost in a power cut what the
/// store has, so the seal need not be the last.
async fn holds_seal(reader: &dyn AuditReader, chain_id: Uuid, head: &Seal) -> Result<bool, AuditError> {
    let mut from = 0;
    loop {
        let page = reader.read(chain_id, from, PAGE).await?;
        let Some(last) = page.last() else { return Ok(false) };
        if page.iter().any(|record| record.mac == *head) {
            return Ok(true);
        }
        from = last.seq + 1;
    }
}
