//! Ends and beginnings of chains: heads, which are exported, and checkpoints, which pruning leaves.

use chrono::{DateTime, SubsecRound as _, Utc};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;
use uuid::Uuid;

use super::{
    KeyId, SealKey, SealKeys,
    seal::{Seal, sign},
    verify::Fault,
};
use crate::audit::{AuditError, LedgerStore};

/// The last record of a chain at some moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ChainHead {
    /// The chain.
    pub chain_id: Uuid,
    /// The record's place.
    pub seq: u64,
    /// Its seal.
    #[serde(with = "hex")]
    pub mac: [u8; 32],
}

impl ChainHead {
    /// A head.
    #[must_use]
    pub fn new(chain_id: Uuid, seq: u64, mac: [u8; 32]) -> Self {
        Self { chain_id, seq, mac }
    }
}

/// The heads of all chains as a document to keep elsewhere: up to them nobody can shorten the
/// ledger unseen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Heads {
    /// `omni.heads/1`.
    pub schema: HeadsSchema,
    /// When they were read.
    pub at: DateTime<Utc>,
    /// The heads, the oldest chain first.
    pub heads: Vec<ChainHead>,
}

/// The document's version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum HeadsSchema {
    /// The first one.
    #[serde(rename = "omni.heads/1")]
    V1,
}

impl Heads {
    /// Where all chains of a store end.
    ///
    /// # Errors
    /// What the store says.
    pub async fn read(store: &dyn LedgerStore) -> Result<Self, AuditError> {
        Ok(Self { schema: HeadsSchema::V1, at: Utc::now(), heads: store.heads().await? })
    }
}

/// Where a chain begins since its beginning was pruned; signed, so that nobody else can prune.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Checkpoint {
    /// The chain.
    pub chain_id: Uuid,
    /// The first place that is still there.
    pub next_seq: u64,
    /// The seal of the record before it.
    pub mac: [u8; 32],
    /// The seal among those that were pruned by which a later chain names this one.
    pub named: Option<[u8; 32]>,
    /// When it was made.
    pub at: DateTime<Utc>,
    /// HMAC-SHA-256 over all of this.
    pub signature: [u8; 32],
    /// Which key signed it, as its signer says: the one that its chain is sealed with. Not signed: it says
    /// only which key would tell.
    pub key: Option<KeyId>,
}

impl Checkpoint {
    /// Signs one.
    pub(crate) fn sign(key: &SealKey, chain_id: Uuid, next_seq: u64, mac: Seal, named: Option<Seal>) -> Self {
        let at = Utc::now().trunc_subsecs(6);
        let mut checkpoint = Self { chain_id, next_seq, mac, named, at, signature: [0; 32], key: Some(key.id()) };
        checkpoint.signature = checkpoint.expected(key);
        checkpoint
    }

    /// One that a store kept, as it is.
    #[must_use]
    pub fn stored(
        chain_id: Uuid,
        next_seq: u64,
        mac: [u8; 32],
        named: Option<[u8; 32]>,
        at: DateTime<Utc>,
        signature: [u8; 32],
        key: Option<KeyId>,
    ) -> Self {
        Self { chain_id, next_seq, mac, named, at, signature, key }
    }

    /// What is wrong with it, unless whoever made it had one of the keys.
    pub(crate) fn fault(&self, keys: &SealKeys) -> Option<Fault> {
        if keys.iter().any(|key| self.expected(key).ct_eq(&self.signature).into()) {
            return None;
        }
        let unknown = self.key.filter(|id| keys.by_id(*id).is_none());
        Some(unknown.map_or(Fault::CheckpointForged, Fault::UnknownKey))
    }

    fn expected(&self, key: &SealKey) -> Seal {
        let named = self.named.unwrap_or_default();
        let parts: [&[u8]; 6] = [
            self.chain_id.as_bytes(),
            &self.next_seq.to_be_bytes(),
            &self.mac,
            &[u8::from(self.named.is_some())],
            &named,
            &self.at.timestamp_micros().to_be_bytes(),
        ];
        sign(key, b"omni checkpoint 1", &parts)
    }
}

/// Seals in hex.
mod hex {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    use super::Seal;
    use crate::hex::{from_hex, to_hex};

    pub(super) fn serialize<S: Serializer>(seal: &Seal, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&to_hex(seal))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Seal, D::Error> {
        let text = String::deserialize(deserializer)?;
        from_hex(&text).ok_or_else(|| D::Error::custom("a seal has 64 hex digits"))
    }
}
