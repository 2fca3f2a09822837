//! Seals: a chain of HMACs that no one without the key can continue, alter or reorder.

use bytes::Bytes;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use uuid::Uuid;

use super::SealKey;
use crate::audit::SealedRecord;

/// A seal: HMAC-SHA-256.
pub(crate) type Seal = [u8; 32];

/// Seals the records of one chain, one after the other.
pub(crate) struct Sealer {
    keyed: Hmac<Sha256>,
    chain_id: Uuid,
    at: Place,
}

/// Where a chain stands: the next place, and the last seal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) seq: u64,
    pub(crate) previous: Seal,
}

impl Place {
    /// The beginning of every chain.
    pub(crate) const START: Self = Self { seq: 0, previous: [0; 32] };
}

impl Sealer {
    pub(crate) fn new(key: &SealKey, chain_id: Uuid) -> Self {
        Self { keyed: key.keyed(), chain_id, at: Place::START }
    }

    pub(crate) fn place(&self) -> Place {
        self.at
    }

    /// Goes back to `place`, because what was sealed since could not be written.
    pub(crate) fn rewind(&mut self, place: Place) {
        self.at = place;
    }

    pub(crate) fn seal(&mut self, bytes: Bytes) -> SealedRecord {
        let Place { seq, previous } = self.at;
        let mac = seal(&self.keyed, &previous, self.chain_id, seq, &bytes);
        self.at = Place { seq: seq + 1, previous: mac };
        SealedRecord::new(self.chain_id, seq, bytes, mac)
    }
}

/// The seal of one record. All parts but the last have a fixed length, so no two inputs run together.
pub(crate) fn seal(keyed: &Hmac<Sha256>, previous: &Seal, chain_id: Uuid, seq: u64, bytes: &[u8]) -> Seal {
    let mac = keyed.clone().chain_update(previous).chain_update(chain_id).chain_update(seq.to_be_bytes());
    mac.chain_update(bytes).finalize().into_bytes().into()
}

/// Signs something that is not a record. The label keeps one kind of signature from passing for another.
pub(crate) fn sign(key: &SealKey, label: &[u8], parts: &[&[u8]]) -> Seal {
    let labelled = key.keyed().chain_update(label);
    parts.iter().fold(labelled, |mac, part| mac.chain_update(part)).finalize().into_bytes().into()
}

/// A chain of these records, for made-up histories and tests of what stores them.
#[cfg(any(test, feature = "testing", feature = "analytics"))]
pub(crate) fn seal_all(key: &SealKey, records: impl Iterator<Item = super::Record>) -> Vec<SealedRecord> {
    let mut sealer = Sealer::new(key, Uuid::now_v7());
    records.filter_map(|record| super::canonical::canonical(&record).ok()).map(|bytes| sealer.seal(bytes)).collect()
}
