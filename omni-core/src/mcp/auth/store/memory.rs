//! Tokens in memory.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use async_trait::async_trait;
use tokio::time::Instant;
use uuid::Uuid;

use super::{Lease, StoredTokens, TokenKey, TokenStore, TokenStoreError};
use crate::clock;

/// Tokens that end with the process.
#[derive(Debug, Default)]
pub struct MemoryTokens {
    entries: Mutex<BTreeMap<TokenKey, Entry>>,
}

#[derive(Debug)]
struct Entry {
    tokens: StoredTokens,
    /// Who has the lease, and until when.
    leased: Option<(Uuid, Instant)>,
}

impl MemoryTokens {
    fn with<T>(&self, change: impl FnOnce(&mut BTreeMap<TokenKey, Entry>) -> T) -> T {
        change(&mut self.entries.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[async_trait]
impl TokenStore for MemoryTokens {
    async fn get(&self, key: &TokenKey) -> Result<Option<StoredTokens>, TokenStoreError> {
        Ok(self.with(|entries| entries.get(key).map(|entry| entry.tokens.clone())))
    }

    async fn put(
        &self,
        key: &TokenKey,
        tokens: &StoredTokens,
        expected: Option<Uuid>,
    ) -> Result<bool, TokenStoreError> {
        Ok(self.with(|entries| {
            let is_there = entries.get(key).map(|entry| entry.tokens.revision) == expected;
            if is_there {
                entries.insert(key.clone(), Entry { tokens: tokens.clone(), leased: None });
            }
            is_there
        }))
    }

    async fn lease(&self, key: &TokenKey, lease: &Lease) -> Result<bool, TokenStoreError> {
        Ok(self.with(|entries| {
            let now = Instant::now();
            let Some(entry) = entries.get_mut(key).filter(|entry| entry.tokens.revision == lease.revision) else {
                return false;
            };
            if entry.leased.is_some_and(|(holder, until)| holder != lease.holder && until > now) {
                return false;
            }
            entry.leased = Some((lease.holder, clock::after(now, lease.ttl)));
            true
        }))
    }

    async fn remove(&self, key: &TokenKey) -> Result<bool, TokenStoreError> {
        Ok(self.with(|entries| entries.remove(key).is_some()))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::testing::token_store_contract;

    #[tokio::test]
    async fn tokens_in_memory_keep_the_contract() {
        token_store_contract(&MemoryTokens::default()).await;
    }

    #[tokio::test]
    async fn a_lease_without_an_end_is_nobody_elses() {
        let (store, key) = (MemoryTokens::default(), TokenKey::shared("a"));
        let tokens = StoredTokens::new("u", "i", vec![1]);
        assert!(store.put(&key, &tokens, None).await.unwrap());
        for is_first in [true, false] {
            let lease = Lease::new(tokens.revision, Uuid::new_v4(), Duration::MAX);
            assert_eq!(store.lease(&key, &lease).await.unwrap(), is_first);
        }
    }
}
