//! Seals: a chain of HMACs that no one without the key can continue, alter or reorder.

use std::{
    fmt,
    fs::{self, OpenOptions},
    io::Write,
    path::Path,
};

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::files;
use crate::audit::{AuditError, SealedRecord};

/// A seal: HMAC-SHA-256.
pub(crate) type Seal = [u8; 32];

/// The key of the seals.
#[derive(Clone)]
pub struct SealKey([u8; 32]);

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealKey([redacted])")
    }
}

impl SealKey {
    /// A key that is kept elsewhere.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// A new random key.
    #[must_use]
    pub fn generate() -> Self {
        // Two random UUIDs carry 244 bits of the operating system's randomness.
        let random = Sha256::new().chain_update(Uuid::new_v4()).chain_update(Uuid::new_v4());
        Self(random.finalize().into())
    }

    /// The key in `dir/ledger.key`, which is made (readable by its owner alone) where there is none.
    ///
    /// # Errors
    /// [`AuditError::File`] when the file cannot be read or made, or holds something else.
    pub fn load_or_create(dir: &Path) -> Result<Self, AuditError> {
        let path = dir.join("ledger.key");
        if !path.exists() {
            files::create_dir(dir)?;
            create_key(dir, &path)?;
        }
        Self::load(dir)
    }

    /// The key in `dir/ledger.key`.
    ///
    /// # Errors
    /// [`AuditError::File`] when there is none, or it cannot be used.
    pub fn load(dir: &Path) -> Result<Self, AuditError> {
        let path = dir.join("ledger.key");
        files::restrict(&path)?;
        let text = fs::read_to_string(&path).map_err(|error| files::failed(&path, &error))?;
        from_hex(text.trim()).map(Self).ok_or_else(|| AuditError::File {
            path: path.display().to_string(),
            message: "it does not hold a key of 64 hex digits; restore it from a backup, or move it away to start anew"
                .into(),
        })
    }

    pub(crate) fn keyed(&self) -> Hmac<Sha256> {
        // HMAC pads shorter keys with zeros to the block's length.
        let mut block = [0; 64];
        block[..32].copy_from_slice(&self.0);
        Hmac::new(&block.into())
    }
}

/// Writes a new key beside `path` and links it there: of two processes one wins, and neither
/// ever reads half a key.
fn create_key(dir: &Path, path: &Path) -> Result<(), AuditError> {
    let draft = dir.join(format!("ledger.key.{}", Uuid::new_v4()));
    let written = files::private(OpenOptions::new().write(true).create_new(true)).open(&draft).and_then(|mut file| {
        file.write_all(to_hex(&SealKey::generate().0).as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()
    });
    let linked = written.and_then(|()| fs::hard_link(&draft, path));
    let _ = fs::remove_file(&draft);
    match linked {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(files::failed(path, &error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

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
        SealedRecord { chain_id: self.chain_id, seq, bytes, mac }
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

pub(crate) fn to_hex(seal: &Seal) -> String {
    seal.iter().fold(String::with_capacity(64), |mut hex, byte| {
        for digit in [byte >> 4, byte & 15] {
            hex.push(char::from(if digit < 10 { b'0' + digit } else { b'a' + digit - 10 }));
        }
        hex
    })
}

pub(crate) fn from_hex(hex: &str) -> Option<Seal> {
    let mut seal = [0; 32];
    if hex.len() != 64 || !hex.is_ascii() {
        return None;
    }
    for (byte, place) in seal.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(hex.get(place..place + 2)?, 16).ok()?;
    }
    Some(seal)
}

/// A chain of these records, for tests of what stores them.
#[cfg(any(test, feature = "testing"))]
pub(crate) fn seal_all(key: &SealKey, records: impl Iterator<Item = super::Record>) -> Vec<SealedRecord> {
    let mut sealer = Sealer::new(key, Uuid::now_v7());
    records.filter_map(|record| super::canonical::canonical(&record).ok()).map(|bytes| sealer.seal(bytes)).collect()
}
