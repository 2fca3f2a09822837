//! Tokens in files: one a server, which only its owner may read, under one lock for all processes.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Write as _},
    path::{Path, PathBuf},
    time::Duration,
};

use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tokio::{
    task::spawn_blocking,
    time::{Instant, sleep},
};
use uuid::Uuid;

use super::{Lease, StoredTokens, TokenKey, TokenStore, TokenStoreError};
use crate::{clock, hex::to_hex, ledger::files};

/// The folder in the data directory.
const DIR: &str = "tokens";
/// Largest file that is read, in bytes.
const MAX_FILE: u64 = 256 << 10;
/// How long the lock is waited for, and how often it is looked whether it is free.
const LOCK_WITHIN: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(10);

/// Tokens in a directory.
#[derive(Debug, Clone)]
pub struct FileTokens {
    dir: PathBuf,
}

/// What stands in a file.
#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    server: String,
    subject: String,
    url: String,
    issuer: String,
    revision: Uuid,
    sealed: String,
    #[serde(default)]
    leased: Option<(Uuid, DateTime<Utc>)>,
}

impl FileTokens {
    /// Tokens in `data_dir/tokens`. Nothing is made before something is kept.
    #[must_use]
    pub fn new(data_dir: impl AsRef<Path>) -> Self {
        Self { dir: data_dir.as_ref().join(DIR) }
    }

    /// Does something with an entry, alone among all processes; what it leaves is written where it says so.
    async fn with<T: Send + 'static>(
        &self,
        key: &TokenKey,
        change: impl FnOnce(&mut Option<Entry>) -> Change<T> + Send + 'static,
    ) -> Result<T, TokenStoreError> {
        let done = self.changed(key.clone(), change).await;
        done.map_err(|error| TokenStoreError::new(format!("{}: {error}", self.dir.display())))
    }

    async fn changed<T: Send + 'static>(
        &self,
        key: TokenKey,
        change: impl FnOnce(&mut Option<Entry>) -> Change<T> + Send + 'static,
    ) -> io::Result<T> {
        let (lock, dir) = (self.lock().await?, self.dir.clone());
        let work = move || {
            // Until all is written.
            let _lock = lock;
            let path = dir.join(name(&key));
            let mut entry = read(&path, &key)?;
            match change(&mut entry) {
                Change::Nothing(result) => Ok(result),
                Change::Write(result) => write(&dir, &path, entry.as_ref()).map(|()| result),
            }
        };
        blocking(work).await
    }

    /// The lock of all processes, which ends with the file. One that hangs holds nobody up for good.
    async fn lock(&self) -> io::Result<File> {
        let (dir, until) = (self.dir.clone(), Instant::now() + LOCK_WITHIN);
        let open = move || {
            files::create_dir(&dir).map_err(|error| io::Error::other(error.to_string()))?;
            files::private(OpenOptions::new().create(true).truncate(false).write(true)).open(dir.join(".lock"))
        };
        let file = blocking(open).await?;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::WouldBlock) if Instant::now() < until => sleep(LOOK).await,
                Err(TryLockError::WouldBlock) => {
                    let seconds = LOCK_WITHIN.as_secs();
                    let message = format!("another process has held the lock for more than {seconds} s");
                    return Err(io::Error::new(io::ErrorKind::TimedOut, message));
                }
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}

/// What came of a change.
enum Change<T> {
    Nothing(T),
    Write(T),
}

/// A name that no server's name can make a path of.
fn name(key: &TokenKey) -> String {
    let digest = Sha256::new().chain_update(&key.server).chain_update([0]).chain_update(&key.subject).finalize();
    format!("{}.json", to_hex(&digest[..16]))
}

fn read(path: &Path, key: &TokenKey) -> io::Result<Option<Entry>> {
    match fs::metadata(path) {
        Ok(found) if found.len() > MAX_FILE => return Err(io::Error::other("a file of tokens is too large")),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    }
    let unreadable = || io::Error::other(format!("{} is no file of tokens", path.display()));
    let entry: Entry = serde_json::from_slice(&fs::read(path)?).map_err(|_| unreadable())?;
    if entry.server == key.server && entry.subject == key.subject { Ok(Some(entry)) } else { Err(unreadable()) }
}

/// Whole or not at all, also when the power goes.
fn write(dir: &Path, path: &Path, entry: Option<&Entry>) -> io::Result<()> {
    let Some(entry) = entry else {
        fs::remove_file(path)?;
        return files::sync_dir(dir);
    };
    let draft = dir.join(format!("{}.draft", Uuid::new_v4()));
    let drafted = files::private(OpenOptions::new().write(true).create_new(true)).open(&draft);
    let written = drafted.and_then(|mut file: File| {
        file.write_all(&serde_json::to_vec(entry)?)?;
        file.sync_all()
    });
    let renamed = written.and_then(|()| fs::rename(&draft, path));
    if renamed.is_err() {
        let _ = fs::remove_file(&draft);
    }
    renamed.and_then(|()| files::sync_dir(dir))
}

#[async_trait]
impl TokenStore for FileTokens {
    async fn get(&self, key: &TokenKey) -> Result<Option<StoredTokens>, TokenStoreError> {
        if !self.dir.exists() {
            return Ok(None);
        }
        let found = self.with(key, |entry| Change::Nothing(entry.take())).await?;
        let Some(entry) = found else { return Ok(None) };
        let sealed = STANDARD.decode(&entry.sealed).map_err(|_| TokenStoreError::new("a file of tokens is broken"))?;
        Ok(Some(StoredTokens { revision: entry.revision, url: entry.url, issuer: entry.issuer, sealed }))
    }

    async fn put(
        &self,
        key: &TokenKey,
        tokens: &StoredTokens,
        expected: Option<Uuid>,
    ) -> Result<bool, TokenStoreError> {
        let new = Entry {
            server: key.server.clone(),
            subject: key.subject.clone(),
            url: tokens.url.clone(),
            issuer: tokens.issuer.clone(),
            revision: tokens.revision,
            sealed: STANDARD.encode(&tokens.sealed),
            leased: None,
        };
        let put = move |entry: &mut Option<Entry>| {
            if entry.as_ref().map(|entry| entry.revision) != expected {
                return Change::Nothing(false);
            }
            *entry = Some(new);
            Change::Write(true)
        };
        self.with(key, put).await
    }

    async fn lease(&self, key: &TokenKey, lease: &Lease) -> Result<bool, TokenStoreError> {
        let lease = lease.clone();
        let take = move |entry: &mut Option<Entry>| {
            let now = Utc::now();
            let Some(entry) = entry.as_mut().filter(|entry| entry.revision == lease.revision) else {
                return Change::Nothing(false);
            };
            if entry.leased.is_some_and(|(holder, until)| holder != lease.holder && until > now) {
                return Change::Nothing(false);
            }
            entry.leased = Some((lease.holder, now + lease.ttl.min(clock::FAR)));
            Change::Write(true)
        };
        self.with(key, take).await
    }

    async fn remove(&self, key: &TokenKey) -> Result<bool, TokenStoreError> {
        if !self.dir.exists() {
            return Ok(false);
        }
        self.with(key, |entry| match entry.take() {
            Some(_) => Change::Write(true),
            None => Change::Nothing(false),
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{shared_token_store_contract, token_store_contract};

    #[tokio::test]
    async fn tokens_in_files_keep_the_contract() {
        let dir = tempfile::tempdir().unwrap();
        token_store_contract(&FileTokens::new(dir.path())).await;
        shared_token_store_contract(&FileTokens::new(dir.path()), &FileTokens::new(dir.path())).await;
    }

    #[tokio::test]
    async fn a_lease_without_an_end_is_nobody_elses() {
        let dir = tempfile::tempdir().unwrap();
        let (store, key) = (FileTokens::new(dir.path()), TokenKey::shared("a"));
        let tokens = StoredTokens::new("u", "i", vec![1]);
        assert!(store.put(&key, &tokens, None).await.unwrap());
        for is_first in [true, false] {
            let lease = Lease::new(tokens.revision, Uuid::new_v4(), Duration::MAX);
            assert_eq!(store.lease(&key, &lease).await.unwrap(), is_first);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_process_that_never_gives_the_lock_back_is_not_waited_for_without_end() {
        let dir = tempfile::tempdir().unwrap();
        let (store, key) = (FileTokens::new(dir.path()), TokenKey::shared("a"));
        assert!(store.put(&key, &StoredTokens::new("u", "i", vec![1]), None).await.unwrap());
        let lock = OpenOptions::new().write(true).open(dir.path().join(DIR).join(".lock")).unwrap();
        lock.lock().unwrap();
        let error = store.get(&key).await.unwrap_err().to_string();
        assert!(error.contains("another process has held the lock"), "{error}");
        drop(lock);
        assert!(store.get(&key).await.unwrap().is_some());
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn nobody_but_the_owner_may_read_them_and_looking_makes_nothing() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let (store, key) = (FileTokens::new(dir.path()), TokenKey::shared("../../etc/passwd"));
        assert!(store.get(&key).await.unwrap().is_none() && !store.remove(&key).await.unwrap());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        assert!(store.put(&key, &StoredTokens::new("u", "i", vec![1]), None).await.unwrap());
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&dir.path().join(DIR)), 0o700);
        let files: Vec<_> = fs::read_dir(dir.path().join(DIR)).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(files.len(), 2, "the tokens and the lock: {files:?}");
        assert!(files.iter().all(|path| mode(path) == 0o600));
    }
}
