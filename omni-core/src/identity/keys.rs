//! API keys: what they are, how they are made, and where they are kept.
//!
//! A key is `omni_`, eight characters that find it, and 256 random bits. Only its SHA-256 is kept;
//! with that many bits nothing slower is needed.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use moka::sync::Cache;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use tokio::{sync::Semaphore, task::JoinSet, time::timeout};
use uuid::Uuid;

use super::{DEFAULT_TENANT, Scopes};
use crate::hex::to_hex;

pub mod memory;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub mod sql;

/// What every key begins with.
const MARK: &str = "omni_";
/// How many characters after the mark find a key.
const PREFIX: usize = 8;
/// How many characters a key's secret part has: 32 bytes in hexadecimal.
const SECRET: usize = 64;
/// How long a key that was looked up counts: a revocation holds everywhere after that.
const RECENT: Duration = Duration::from_secs(1);
/// Most keys that count as looked up.
const MAX_RECENT: u64 = 10_000;
/// How many keys are looked for at once that did not count lately: fewer than any database has connections for, so that
/// whoever makes keys up does not take them all. How long any of them waits for its turn.
const FINDING: usize = 5;
const FIND_WITHIN: Duration = Duration::from_secs(1);
/// How long a key that counted waits for no turn.
const LATELY: Duration = Duration::from_secs(60);
/// How often the use of a key is written down at most.
const TOUCH_EVERY: Duration = Duration::from_secs(60);
/// How long writing that down may take, and how many such writings are under way at most.
const TOUCH_WITHIN: Duration = Duration::from_secs(10);
const MAX_TOUCHING: usize = 256;

/// A key, as far as it is kept. (A store of one's own begins with [`ApiKey::issue`] and puts in every field what it kept.)
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ApiKey {
    /// Its number; 0 until a store has it.
    pub id: i64,
    /// What finds it.
    pub prefix: String,
    /// The SHA-256 of the whole key, in hexadecimal.
    #[serde(skip)]
    pub hash: String,
    /// What it is for.
    pub name: Option<String>,
    /// The tenant.
    pub tenant: String,
    /// Whose it is: an e-mail address in lower case.
    pub owner: String,
    /// What it may be used for.
    pub scopes: Scopes,
    /// Whom it may act for: e-mail addresses, `role:<name>`, or `*`.
    pub act_as: Vec<String>,
    /// A role that its rights never exceed.
    pub ceiling_role: Option<String>,
    /// When it ends.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was taken back.
    pub revoked_at: Option<DateTime<Utc>>,
    /// When it was last used, to a minute.
    pub last_used: Option<DateTime<Utc>>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// Who made it.
    pub created_by: Option<String>,
}

/// A key that was just made: the only moment at which anybody can read it.
#[derive(Debug)]
#[non_exhaustive]
pub struct IssuedKey {
    /// What is kept of it.
    pub key: ApiKey,
    /// The key itself.
    pub secret: SecretString,
}

impl ApiKey {
    /// A new key of somebody.
    #[must_use]
    pub fn issue(owner: &str, scopes: Scopes) -> IssuedKey {
        let random = random();
        let text = format!("{MARK}{}{}", &random[..PREFIX], &random[PREFIX..]);
        let key = Self {
            id: 0,
            prefix: random[..PREFIX].into(),
            hash: hash(&text),
            name: None,
            tenant: DEFAULT_TENANT.into(),
            owner: super::normalise(owner),
            scopes,
            act_as: Vec::new(),
            ceiling_role: None,
            expires_at: None,
            revoked_at: None,
            last_used: None,
            created_at: Utc::now(),
            created_by: None,
        };
        IssuedKey { key, secret: text.into() }
    }

    /// Whether it counts at a moment.
    #[must_use]
    pub fn is_valid(&self, at: DateTime<Utc>) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| at < end)
    }
}

/// Eight characters to find a key by, and 256 bits that nobody guesses, in hexadecimal.
fn random() -> String {
    // A random UUID carries 122 bits of the operating system's randomness.
    let pool =
        Uuid::new_v4().into_bytes().into_iter().chain(Uuid::new_v4().into_bytes()).chain(Uuid::new_v4().into_bytes());
    let secret = Sha256::digest(pool.collect::<Vec<u8>>());
    let prefix = Uuid::new_v4().simple().to_string();
    format!("{}{}", &prefix[..PREFIX], to_hex(secret))
}

fn hash(text: &str) -> String {
    to_hex(Sha256::digest(text))
}

/// Whether a text wants to be a key of omni's.
pub(super) fn is_marked(text: &str) -> bool {
    text.starts_with(MARK)
}

/// What finds a key; `None` where the text is none that omni made.
fn prefix(text: &str) -> Option<&str> {
    let rest = text.strip_prefix(MARK)?;
    let is_whole = rest.len() == PREFIX + SECRET && rest.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_whole.then(|| &rest[..PREFIX])
}

/// Why keys cannot be looked up. Whoever comes with one is refused.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the keys cannot be looked up: {message}")]
#[non_exhaustive]
pub struct KeyError {
    /// What went wrong.
    pub message: String,
}

impl KeyError {
    /// Something went wrong.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }
}

/// Keeps keys.
///
/// # Contract
/// * `find` gives every key of that prefix, those that count no more too: the judge is [`Keys`].
/// * `insert` gives the key a number that no other key has or had.
/// * A revoked key stays revoked.
/// * All methods are cancel-safe.
#[async_trait]
pub trait KeyStore: Send + Sync + fmt::Debug {
    /// The keys of a prefix.
    ///
    /// # Errors
    /// A [`KeyError`]; so for all of these.
    async fn find(&self, prefix: &str) -> Result<Vec<ApiKey>, KeyError>;

    /// The key of a number; `None` where there is none.
    async fn get(&self, id: i64) -> Result<Option<ApiKey>, KeyError>;

    /// All keys, or one owner's, the newest first: those with a smaller number than `before`, `limit` at most.
    async fn list(&self, owner: Option<&str>, before: Option<i64>, limit: u32) -> Result<Vec<ApiKey>, KeyError>;

    /// Keeps a new key; returns its number.
    async fn insert(&self, key: &ApiKey) -> Result<i64, KeyError>;

    /// Takes a key back; `None` where there is none of that number.
    async fn revoke(&self, id: i64, by: &str) -> Result<Option<ApiKey>, KeyError>;

    /// Writes down that a key was used.
    async fn touch(&self, id: i64, at: DateTime<Utc>) -> Result<(), KeyError>;
}

#[async_trait]
impl<T: KeyStore + ?Sized> KeyStore for Arc<T> {
    async fn find(&self, prefix: &str) -> Result<Vec<ApiKey>, KeyError> {
        (**self).find(prefix).await
    }

    async fn get(&self, id: i64) -> Result<Option<ApiKey>, KeyError> {
        (**self).get(id).await
    }

    async fn list(&self, owner: Option<&str>, before: Option<i64>, limit: u32) -> Result<Vec<ApiKey>, KeyError> {
        (**self).list(owner, before, limit).await
    }

    async fn insert(&self, key: &ApiKey) -> Result<i64, KeyError> {
        (**self).insert(key).await
    }

    async fn revoke(&self, id: i64, by: &str) -> Result<Option<ApiKey>, KeyError> {
        (**self).revoke(id, by).await
    }

    async fn touch(&self, id: i64, at: DateTime<Utc>) -> Result<(), KeyError> {
        (**self).touch(id, at).await
    }
}

/// Judges keys, with a store behind it. Clones share what was looked up.
#[derive(Debug, Clone)]
pub struct Keys {
    store: Arc<dyn KeyStore>,
    /// By the SHA-256 of the key, so that no secret is kept.
    recent: Cache<String, Arc<ApiKey>>,
    /// Those that counted lately, likewise. They are looked up like any other, and do not wait for a turn.
    counted: Cache<String, ()>,
    finding: Arc<Semaphore>,
    touched: Cache<i64, ()>,
    touching: Arc<Mutex<JoinSet<()>>>,
}

impl Keys {
    /// The keys of a store.
    #[must_use]
    pub fn new(store: impl KeyStore + 'static) -> Self {
        Self {
            store: Arc::new(store),
            recent: Cache::builder().max_capacity(MAX_RECENT).time_to_live(RECENT).build(),
            counted: Cache::builder().max_capacity(MAX_RECENT).time_to_live(LATELY).build(),
            finding: Arc::new(Semaphore::new(FINDING)),
            touched: Cache::builder().max_capacity(MAX_RECENT).time_to_live(TOUCH_EVERY).build(),
            touching: Arc::default(),
        }
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &dyn KeyStore {
        &*self.store
    }

    /// Forgets what was looked up.
    pub fn forget(&self) {
        self.recent.invalidate_all();
    }

    /// The key that a text is, if it counts.
    ///
    /// # Errors
    /// A [`KeyError`] when the store cannot be asked.
    pub async fn judge(&self, text: &SecretString) -> Result<Option<Arc<ApiKey>>, KeyError> {
        let text = text.expose_secret();
        let Some(prefix) = prefix(text) else { return Ok(None) };
        let hash = hash(text);
        let key = match self.recent.get(&hash) {
            Some(key) => key,
            None => match self.look_up(prefix, &hash).await? {
                Some(key) => key,
                None => return Ok(None),
            },
        };
        if !key.is_valid(Utc::now()) {
            return Ok(None);
        }
        self.touch(key.id);
        Ok(Some(key))
    }

    async fn look_up(&self, prefix: &str, hash: &str) -> Result<Option<Arc<ApiKey>>, KeyError> {
        let candidates = self.find(prefix, hash).await?;
        // Every candidate is compared, in the time that all of them take.
        let is_same = |key: &ApiKey| bool::from(key.hash.as_bytes().ct_eq(hash.as_bytes()));
        let found = candidates.into_iter().filter(is_same).fold(None, |_, key| Some(Arc::new(key)));
        if let Some(key) = &found {
            self.recent.insert(hash.to_owned(), key.clone());
        }
        if found.as_ref().is_some_and(|key| key.is_valid(Utc::now())) {
            self.counted.insert(hash.to_owned(), ());
        } else {
            self.counted.invalidate(hash);
        }
        Ok(found)
    }

    async fn find(&self, prefix: &str, hash: &str) -> Result<Vec<ApiKey>, KeyError> {
        if self.counted.contains_key(hash) {
            return self.store.find(prefix).await;
        }
        let Ok(Ok(_turn)) = timeout(FIND_WITHIN, self.finding.acquire()).await else {
            return Err(KeyError::new("too many others are looked for"));
        };
        self.store.find(prefix).await
    }

    /// A use that cannot be written down is no reason to refuse it.
    /// Nobody waits for it either; what is under way ends with these keys.
    fn touch(&self, id: i64) {
        if self.touched.contains_key(&id) {
            return;
        }
        self.touched.insert(id, ());
        let store = self.store.clone();
        let mut touching = self.touching.lock().unwrap_or_else(PoisonError::into_inner);
        while touching.try_join_next().is_some() {}
        if touching.len() >= MAX_TOUCHING {
            return;
        }
        touching.spawn(async move {
            match timeout(TOUCH_WITHIN, store.touch(id, Utc::now())).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::debug!(id, %error, "the use of a key was not written down"),
                Err(_) => tracing::debug!(id, "the use of a key was not written down in time"),
            }
        });
    }
}

#[cfg(test)]
mod tests;
