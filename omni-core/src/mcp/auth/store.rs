//! Where tokens are kept: encrypted, and by one at a time.

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use uuid::Uuid;

use super::{OAuthError, grant::Grant};
use crate::{
    config::{Config, TokensConfig},
    ledger::SealKey,
};

mod file;
mod memory;
mod seal;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod sql;

pub use file::FileTokens;
pub use memory::MemoryTokens;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub use sql::SqlTokens;

/// Whose tokens: omni's own at a server, or a person's there.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub struct TokenKey {
    /// The server's name.
    pub server: String,
    /// The person; empty for those that everybody's calls are made with.
    pub subject: String,
}

impl TokenKey {
    /// Tokens that everybody's calls are made with.
    #[must_use]
    pub fn shared(server: impl Into<String>) -> Self {
        Self { server: server.into(), subject: String::new() }
    }
}

/// Sealed tokens as a store has them.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredTokens {
    /// Another one with every change.
    pub revision: Uuid,
    /// The address of the server that they are for.
    pub url: String,
    /// Who gave them out.
    pub issuer: String,
    /// The tokens, encrypted.
    pub sealed: Vec<u8>,
}

impl StoredTokens {
    /// Tokens under a new revision.
    #[must_use]
    pub fn new(url: impl Into<String>, issuer: impl Into<String>, sealed: Vec<u8>) -> Self {
        Self { revision: Uuid::new_v4(), url: url.into(), issuer: issuer.into(), sealed }
    }
}

/// The right to renew tokens, for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lease {
    /// Which tokens.
    pub revision: Uuid,
    /// Who has it.
    pub holder: Uuid,
    /// For how long; zero gives it back.
    pub ttl: Duration,
}

impl Lease {
    /// A lease.
    #[must_use]
    pub fn new(revision: Uuid, holder: Uuid, ttl: Duration) -> Self {
        Self { revision, holder, ttl }
    }
}

/// A store that cannot be read or written.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
#[non_exhaustive]
pub struct TokenStoreError {
    /// What went wrong.
    pub message: String,
}

impl TokenStoreError {
    /// What went wrong.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }
}

impl From<TokenStoreError> for OAuthError {
    fn from(error: TokenStoreError) -> Self {
        Self::Store { message: error.message }
    }
}

/// Keeps sealed tokens.
///
/// # Contract
/// * `put` writes if what is stored has the revision `expected` (`None`: if nothing is stored), and says
///   whether it did. It ends any lease. Of many that put at once, one does.
/// * `lease` gives the right to renew a revision to one holder at a time, by the store's own clock; whoever
///   has it may take it again, or give it back. A revision that is not stored has none.
/// * All of it holds between processes that share the store. A store sees no token: it is given them sealed.
#[async_trait]
pub trait TokenStore: Send + Sync + fmt::Debug {
    /// What is stored.
    ///
    /// # Errors
    /// A [`TokenStoreError`].
    async fn get(&self, key: &TokenKey) -> Result<Option<StoredTokens>, TokenStoreError>;

    /// Stores tokens in the place of what has the revision `expected`; returns whether it did.
    ///
    /// # Errors
    /// A [`TokenStoreError`].
    async fn put(&self, key: &TokenKey, tokens: &StoredTokens, expected: Option<Uuid>)
    -> Result<bool, TokenStoreError>;

    /// Takes a lease, or gives it back; returns whether it was to be had.
    ///
    /// # Errors
    /// A [`TokenStoreError`].
    async fn lease(&self, key: &TokenKey, lease: &Lease) -> Result<bool, TokenStoreError>;

    /// Forgets tokens; returns whether there were any.
    ///
    /// # Errors
    /// A [`TokenStoreError`].
    async fn remove(&self, key: &TokenKey) -> Result<bool, TokenStoreError>;
}

#[async_trait]
impl<T: TokenStore + ?Sized> TokenStore for Arc<T> {
    async fn get(&self, key: &TokenKey) -> Result<Option<StoredTokens>, TokenStoreError> {
        (**self).get(key).await
    }

    async fn put(
        &self,
        key: &TokenKey,
        tokens: &StoredTokens,
        expected: Option<Uuid>,
    ) -> Result<bool, TokenStoreError> {
        (**self).put(key, tokens, expected).await
    }

    async fn lease(&self, key: &TokenKey, lease: &Lease) -> Result<bool, TokenStoreError> {
        (**self).lease(key, lease).await
    }

    async fn remove(&self, key: &TokenKey) -> Result<bool, TokenStoreError> {
        (**self).remove(key).await
    }
}

/// A store and the key to what is in it. Clones share both.
#[derive(Debug, Clone)]
pub struct Vault {
    store: Arc<dyn TokenStore>,
    key: Arc<Key>,
}

/// The key, or where it is made when it is needed first.
enum Key {
    Given(SealKey),
    In(PathBuf),
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl Vault {
    /// Tokens in `store`, encrypted with `key`.
    #[must_use]
    pub fn new(store: impl TokenStore + 'static, key: SealKey) -> Self {
        Self { store: Arc::new(store), key: Arc::new(Key::Given(key)) }
    }

    /// The same with the key of a directory, which is made where there is none.
    #[must_use]
    pub fn with_key_in(store: impl TokenStore + 'static, dir: impl Into<PathBuf>) -> Self {
        Self { store: Arc::new(store), key: Arc::new(Key::In(dir.into())) }
    }

    /// Tokens that end with the process.
    #[must_use]
    pub fn in_memory() -> Self {
        Self::new(MemoryTokens::default(), SealKey::generate())
    }

    /// Where a configuration keeps tokens.
    #[must_use]
    pub(super) fn of_config(config: &Config) -> Self {
        let TokensConfig { dir, key, .. } = &config.tokens;
        let key = key.clone().map_or_else(|| Key::In(dir.clone()), Key::Given);
        #[cfg(any(feature = "sqlite", feature = "postgres"))]
        if let Some(tables) = crate::people::Tables::of_config(config).filter(|_| config.tokens.in_database) {
            return Self { store: Arc::new(SqlTokens::new(tables)), key: Arc::new(key) };
        }
        Self { store: Arc::new(FileTokens::new(dir)), key: Arc::new(key) }
    }

    async fn seal_key(&self) -> Result<SealKey, OAuthError> {
        match &*self.key {
            Key::Given(key) => Ok(key.clone()),
            Key::In(dir) => {
                let dir = dir.clone();
                let made = tokio::task::spawn_blocking(move || SealKey::load_or_create_as(&dir, seal::FILE)).await;
                let failed = |message: String| OAuthError::Store { message };
                made.map_err(|error| failed(error.to_string()))?.map_err(|error| failed(error.to_string()))
            }
        }
    }

    /// What is kept for the server at `url`, and its revision.
    ///
    /// # Errors
    /// [`OAuthError::Store`], also where it was encrypted with another key.
    pub(super) async fn load(&self, key: &TokenKey, url: &str) -> Result<Option<(Uuid, Grant)>, OAuthError> {
        let Some(stored) = self.store.get(key).await? else { return Ok(None) };
        // Tokens go to the server that they were given for, whatever else has its name by now.
        if stored.url != url {
            return Ok(None);
        }
        let grant = seal::open(&self.seal_key().await?, key, &stored)?;
        Ok(Some((stored.revision, grant)))
    }

    /// Keeps a grant in the place of the revision `expected`; returns its own one, and `None` where that was
    /// not there.
    ///
    /// # Errors
    /// [`OAuthError::Store`].
    pub(super) async fn save(
        &self,
        key: &TokenKey,
        url: &str,
        grant: &Grant,
        expected: Option<Uuid>,
    ) -> Result<Option<Uuid>, OAuthError> {
        let stored = seal::seal(&self.seal_key().await?, key, url, grant)?;
        let is_kept = self.store.put(key, &stored, expected).await?;
        Ok(is_kept.then_some(stored.revision))
    }

    /// The revision that is stored, for whatever address.
    pub(super) async fn revision(&self, key: &TokenKey) -> Result<Option<Uuid>, OAuthError> {
        Ok(self.store.get(key).await?.map(|stored| stored.revision))
    }

    pub(super) async fn lease(&self, key: &TokenKey, lease: &Lease) -> Result<bool, OAuthError> {
        Ok(self.store.lease(key, lease).await?)
    }

    pub(super) async fn remove(&self, key: &TokenKey) -> Result<bool, OAuthError> {
        Ok(self.store.remove(key).await?)
    }
}
