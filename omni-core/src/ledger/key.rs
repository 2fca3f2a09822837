//! The keys of the seals: the one that a ledger seals with, and those that prove what others sealed.

use std::{
    fmt,
    fs::{self, OpenOptions},
    io::Write,
    path::Path,
    str::FromStr,
};

use hmac::{Hmac, KeyInit};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{files, seal::sign};
use crate::{
    audit::AuditError,
    hex::{from_hex, to_hex},
};

/// Where a directory keeps its key.
const FILE: &str = "ledger.key";

/// The key of the seals.
#[derive(Clone)]
pub struct SealKey([u8; 32]);

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealKey([redacted])")
    }
}

/// A key of 64 hexadecimal digits.
impl FromStr for SealKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        from_hex(text.trim()).map(Self).ok_or_else(|| "not a key of 64 hexadecimal digits".into())
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
        Self::load_or_create_as(dir, FILE)
    }

    /// The same for a key of another use, in a file of its own.
    pub(crate) fn load_or_create_as(dir: &Path, file: &str) -> Result<Self, AuditError> {
        let path = dir.join(file);
        if !path.exists() {
            files::create_dir(dir)?;
            create_key(dir, &path)?;
        }
        Self::load_at(&path)
    }

    /// The key in `dir/ledger.key`.
    ///
    /// # Errors
    /// [`AuditError::File`] when there is none, or it cannot be used.
    pub fn load(dir: &Path) -> Result<Self, AuditError> {
        Self::load_at(&dir.join(FILE))
    }

    fn load_at(path: &Path) -> Result<Self, AuditError> {
        files::restrict(path)?;
        let text = fs::read_to_string(path).map_err(|error| files::failed(path, &error))?;
        from_hex(text.trim()).map(Self).ok_or_else(|| AuditError::File {
            path: path.display().to_string(),
            message: "it does not hold a key of 64 hex digits; restore it from a backup, or move it away to start anew"
                .into(),
        })
    }

    /// What names it.
    #[must_use]
    pub fn id(&self) -> KeyId {
        let [a, b, c, d, e, f, g, h, ..] = sign(self, b"omni key id 1", &[]);
        KeyId([a, b, c, d, e, f, g, h])
    }

    /// The key itself, as 64 hexadecimal digits: to show it once to whoever made it, and to keep it out
    /// of everything else.
    #[must_use]
    pub fn expose_hex(&self) -> String {
        to_hex(self.0)
    }

    /// What other keys are made of.
    #[cfg(feature = "mcp-oauth")]
    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    pub(crate) fn keyed(&self) -> Hmac<Sha256> {
        // HMAC pads shorter keys with zeros to the block's length.
        let mut block = [0; 64];
        block[..32].copy_from_slice(&self.0);
        Hmac::new(&block.into())
    }
}

/// Names a key without telling it: 16 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyId([u8; 8]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

impl FromStr for KeyId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let id = u64::from_str_radix(text, 16).ok().filter(|_| text.len() == 16);
        id.map(|id| Self(id.to_be_bytes())).ok_or_else(|| format!("{text:?} is not the id of a key"))
    }
}

impl TryFrom<String> for KeyId {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<KeyId> for String {
    fn from(id: KeyId) -> Self {
        id.to_string()
    }
}

/// The key that a ledger seals with, and those of other hosts and times, which prove what was sealed
/// with them.
#[derive(Debug, Clone)]
pub struct SealKeys {
    own: SealKey,
    others: Vec<SealKey>,
}

impl SealKeys {
    /// One key.
    #[must_use]
    pub fn new(own: SealKey) -> Self {
        Self { own, others: Vec::new() }
    }

    /// The same, and another key that proves.
    #[must_use]
    pub fn with_other(mut self, key: SealKey) -> Self {
        if self.by_id(key.id()).is_none() {
            self.others.push(key);
        }
        self
    }

    /// What seals in a directory: `own` where it is given, which several hosts may share, else the
    /// directory's own key, which is made where there is none. A directory's key proves in any case.
    ///
    /// # Errors
    /// As [`SealKey::load_or_create`].
    pub fn load_or_create(dir: &Path, own: Option<SealKey>) -> Result<Self, AuditError> {
        match own {
            Some(own) => Self::load(dir, Some(own)),
            None => Ok(Self::new(SealKey::load_or_create(dir)?)),
        }
    }

    /// The same, where nothing is made.
    ///
    /// # Errors
    /// As [`SealKey::load`].
    pub fn load(dir: &Path, own: Option<SealKey>) -> Result<Self, AuditError> {
        match own {
            Some(own) if dir.join(FILE).exists() => Ok(Self::new(own).with_other(SealKey::load(dir)?)),
            Some(own) => Ok(Self::new(own)),
            None => Ok(Self::new(SealKey::load(dir)?)),
        }
    }

    /// The key that seals.
    #[must_use]
    pub fn own(&self) -> &SealKey {
        &self.own
    }

    /// All keys, the one that seals first.
    pub fn iter(&self) -> impl Iterator<Item = &SealKey> {
        std::iter::once(&self.own).chain(&self.others)
    }

    pub(crate) fn by_id(&self, id: KeyId) -> Option<&SealKey> {
        self.iter().find(|key| key.id() == id)
    }
}

impl From<&SealKey> for SealKeys {
    fn from(key: &SealKey) -> Self {
        Self::new(key.clone())
    }
}

impl From<&Self> for SealKeys {
    fn from(keys: &Self) -> Self {
        keys.clone()
    }
}

/// Writes a new key beside `path` and links it there: of two processes one wins, and neither
/// ever reads half a key.
fn create_key(dir: &Path, path: &Path) -> Result<(), AuditError> {
    let draft = dir.join(format!("new.key.{}", Uuid::new_v4()));
    let written = files::private(OpenOptions::new().write(true).create_new(true)).open(&draft).and_then(|mut file| {
        file.write_all(to_hex(SealKey::generate().0).as_bytes())?;
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
