//! What frontends keep of their own: small JSON values by key, that outlive the process and are the same for all who
//! share a database. What somebody prefers, what is asked on schedule, what was taken in already.
//!
//! A value may be held for a while only: [`Kept::claim`] says to one of many that it is theirs.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use serde_json::Value;

use crate::error::Error;

#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub mod sql;

#[cfg(test)]
mod tests;

/// Most bytes of a key.
pub const MAX_KEY: usize = 300;
/// Most bytes of a value, as JSON.
pub const MAX_VALUE: usize = 64 << 10;
/// Most values of one list.
pub const MAX_LISTED: u64 = 10_000;
/// Most values that one sweep removes.
pub const SWEPT_AT_ONCE: u64 = 1_000;

/// Values could not be read or written.
#[derive(Debug, Clone, thiserror::Error)]
#[error("what a frontend keeps cannot be read or written: {message}")]
#[non_exhaustive]
pub struct KeptError {
    /// What went wrong.
    pub message: String,
}

impl KeptError {
    /// It could not be done.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }
}

/// Where values are kept.
///
/// # Contract
/// * Doors and keys are compared by their bytes, and nothing in a prefix has a meaning. Keys and values that do not fit
///   ([`MAX_KEY`], [`MAX_VALUE`], a character 0 in a key) do not come to a store. A value comes back as the JSON that
///   it was.
/// * Each method is atomic: of however many that replace the same value, or claim the same key, one is told `true`.
/// * What is over is not there for anybody, be it swept or not: neither read nor listed nor removed, and its key may be
///   claimed, or begun anew with `replace`. By whose clock, the store says; the clocks of those who share it agree.
/// * What is kept for good nobody can claim, and a sweep does not remove.
/// * **Cancel-safe**: callers stop waiting after seconds. What was dropped is done whole or not at all; a claim that
///   was may hold until its while is over.
/// * A failure is told as it is: what becomes of it is the frontend's matter. A sweep is asked for every ten minutes,
///   again as long as it removes [`SWEPT_AT_ONCE`], and the next time where it fails.
#[async_trait]
pub trait KeptStore: Send + Sync + fmt::Debug {
    /// The value of a key.
    ///
    /// # Errors
    /// A [`KeptError`], as of all others.
    async fn get(&self, door: &str, key: &str) -> Result<Option<Value>, KeptError>;

    /// Keeps a value for a while, or for good, in the place of whatever was there.
    async fn put(&self, door: &str, key: &str, value: &Value, lasting: Option<Duration>) -> Result<(), KeptError>;

    /// Keeps a value for good if the present one is `old`, or there is none for `None`; whether it was so.
    async fn replace(&self, door: &str, key: &str, old: Option<&Value>, new: &Value) -> Result<bool, KeptError>;

    /// Whether a key was there; it is no more.
    async fn remove(&self, door: &str, key: &str) -> Result<bool, KeptError>;

    /// Those whose keys begin with `prefix`, by key; at most [`MAX_LISTED`].
    async fn list(&self, door: &str, prefix: &str) -> Result<Vec<(String, Value)>, KeptError>;

    /// Whether a key was not there: from now on it is, for a while.
    async fn claim(&self, door: &str, key: &str, lasting: Duration) -> Result<bool, KeptError>;

    /// Removes what is over, at most [`SWEPT_AT_ONCE`]; how many there were.
    async fn sweep(&self) -> Result<u64, KeptError>;
}

#[async_trait]
impl<T: KeptStore + ?Sized> KeptStore for Arc<T> {
    async fn get(&self, door: &str, key: &str) -> Result<Option<Value>, KeptError> {
        (**self).get(door, key).await
    }

    async fn put(&self, door: &str, key: &str, value: &Value, lasting: Option<Duration>) -> Result<(), KeptError> {
        (**self).put(door, key, value, lasting).await
    }

    async fn replace(&self, door: &str, key: &str, old: Option<&Value>, new: &Value) -> Result<bool, KeptError> {
        (**self).replace(door, key, old, new).await
    }

    async fn remove(&self, door: &str, key: &str) -> Result<bool, KeptError> {
        (**self).remove(door, key).await
    }

    async fn list(&self, door: &str, prefix: &str) -> Result<Vec<(String, Value)>, KeptError> {
        (**self).list(door, prefix).await
    }

    async fn claim(&self, door: &str, key: &str, lasting: Duration) -> Result<bool, KeptError> {
        (**self).claim(door, key, lasting).await
    }

    async fn sweep(&self) -> Result<u64, KeptError> {
        (**self).sweep().await
    }
}

/// What one frontend keeps. Clones are the same.
#[derive(Debug, Clone)]
pub struct Kept {
    store: Arc<dyn KeptStore>,
    door: Arc<str>,
}

impl Kept {
    /// What a door keeps in a store.
    pub(crate) fn of(store: Arc<dyn KeptStore>, door: &str) -> Self {
        Self { store, door: door.into() }
    }

    /// The value of a key.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a key or a value that is too long, [`Error::Kept`] where the store fails, as of all
    /// others.
    pub async fn get(&self, key: &str) -> Result<Option<Value>, Error> {
        check_key(key)?;
        Ok(self.store.get(&self.door, key).await?)
    }

    /// Keeps a value for good, in the place of whatever was there.
    ///
    /// # Errors
    /// As [`Kept::get`].
    pub async fn put(&self, key: &str, value: &Value) -> Result<(), Error> {
        check(key, value)?;
        Ok(self.store.put(&self.door, key, value, None).await?)
    }

    /// The same for a while.
    ///
    /// # Errors
    /// As [`Kept::get`].
    pub async fn put_for(&self, key: &str, value: &Value, lasting: Duration) -> Result<(), Error> {
        check(key, value)?;
        Ok(self.store.put(&self.door, key, value, Some(lasting)).await?)
    }

    /// Keeps a value for good if the present one is `old`, or there is none for `None`; whether it was so.
    ///
    /// # Errors
    /// As [`Kept::get`].
    pub async fn replace(&self, key: &str, old: Option<&Value>, new: &Value) -> Result<bool, Error> {
        check(key, new)?;
        Ok(self.store.replace(&self.door, key, old, new).await?)
    }

    /// Whether a key was there; it is no more.
    ///
    /// # Errors
    /// As [`Kept::get`].
    pub async fn remove(&self, key: &str) -> Result<bool, Error> {
        check_key(key)?;
        Ok(self.store.remove(&self.door, key).await?)
    }

    /// Those whose keys begin with `prefix`, by key; at most [`MAX_LISTED`].
    ///
    /// # Errors
    /// As [`Kept::get`].
    pub async fn list(&self, prefix: &str) -> Result<Vec<(String, Value)>, Error> {
        check_key(prefix)?;
        Ok(self.store.list(&self.door, prefix).await?)
    }

    /// Whether nobody holds a key: from now on the caller does, for a while. The clocks of those who share a store
    /// need to agree as well as whiles are to be kept.
    ///
    /// # Errors
    /// As [`Kept::get`].
    pub async fn claim(&self, key: &str, lasting: Duration) -> Result<bool, Error> {
        check_key(key)?;
        Ok(self.store.claim(&self.door, key, lasting).await?)
    }

    /// Lets go of what was claimed.
    ///
    /// # Errors
    /// As [`Kept::get`].
    pub async fn release(&self, key: &str) -> Result<(), Error> {
        self.remove(key).await.map(drop)
    }
}

/// PostgreSQL's texts hold every character but one.
fn check_key(key: &str) -> Result<(), Error> {
    match key.len() <= MAX_KEY && !key.contains('\0') {
        true => Ok(()),
        false => Err(Error::Invalid { message: format!("a key has at most {MAX_KEY} bytes, and none that is zero") }),
    }
}

fn check(key: &str, value: &Value) -> Result<(), Error> {
    check_key(key)?;
    match value.to_string().len() <= MAX_VALUE {
        true => Ok(()),
        false => Err(Error::Invalid { message: format!("{key}: a value has at most {MAX_VALUE} bytes") }),
    }
}
