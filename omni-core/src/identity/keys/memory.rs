//! Keys held in memory.

use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::{ApiKey, KeyError, KeyStore};

/// Most keys that are kept.
const MAX_KEYS: usize = 10_000;

/// Keys for as long as the process lives, for embedders and tests.
#[derive(Debug, Default)]
pub struct MemoryKeys(Mutex<Vec<ApiKey>>);

impl MemoryKeys {
    /// No key.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn keys(&self) -> MutexGuard<'_, Vec<ApiKey>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl KeyStore for MemoryKeys {
    async fn find(&self, prefix: &str) -> Result<Vec<ApiKey>, KeyError> {
        Ok(self.keys().iter().filter(|key| key.prefix == prefix).cloned().collect())
    }

    async fn get(&self, id: i64) -> Result<Option<ApiKey>, KeyError> {
        Ok(self.keys().iter().find(|key| key.id == id).cloned())
    }

    async fn list(&self, owner: Option<&str>, before: Option<i64>, limit: u32) -> Result<Vec<ApiKey>, KeyError> {
        let keys = self.keys();
        let is_wanted =
            |key: &&ApiKey| owner.is_none_or(|owner| key.owner == owner) && before.is_none_or(|before| key.id < before);
        let wanted = keys.iter().rev().filter(is_wanted);
        Ok(wanted.take(limit as usize).cloned().collect())
    }

    async fn insert(&self, key: &ApiKey) -> Result<i64, KeyError> {
        let mut keys = self.keys();
        if keys.len() >= MAX_KEYS {
            return Err(KeyError::new(format!("there are {MAX_KEYS} keys already")));
        }
        let id = keys.len() as i64 + 1;
        keys.push(ApiKey { id, ..key.clone() });
        Ok(id)
    }

    async fn revoke(&self, id: i64, _by: &str) -> Result<Option<ApiKey>, KeyError> {
        let mut keys = self.keys();
        let Some(key) = keys.iter_mut().find(|key| key.id == id) else { return Ok(None) };
        key.revoked_at.get_or_insert_with(Utc::now);
        Ok(Some(key.clone()))
    }

    async fn touch(&self, id: i64, at: DateTime<Utc>) -> Result<(), KeyError> {
        if let Some(key) = self.keys().iter_mut().find(|key| key.id == id) {
            key.last_used = Some(at);
        }
        Ok(())
    }
}
