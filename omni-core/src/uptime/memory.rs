//! Spells in memory: bounded, and gone with the process.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{MAX_READ, SWEPT_AT_ONCE, Spell, UptimeError, UptimeStore};

/// Most spells that are kept; when there are more, those go that were over first.
const MAX_SPELLS: usize = 10_000;

type Key = (Arc<str>, Uuid, DateTime<Utc>);

/// Spells of one process.
#[derive(Debug, Default)]
pub struct MemoryUptime(Mutex<BTreeMap<Key, Spell>>);

impl MemoryUptime {
    /// No spell.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<Key, Spell>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl UptimeStore for MemoryUptime {
    async fn keep(&self, spells: &[Spell]) -> Result<(), UptimeError> {
        let mut all = self.all();
        for spell in spells {
            all.insert((spell.server.clone(), spell.watcher, spell.began_at), spell.clone());
        }
        while all.len() > MAX_SPELLS {
            let Some(first) = all.iter().min_by_key(|(_, spell)| spell.last_at).map(|(key, _)| key.clone()) else {
                break;
            };
            all.remove(&first);
        }
        Ok(())
    }

    async fn since(&self, since: DateTime<Utc>, server: Option<&str>) -> Result<Vec<Spell>, UptimeError> {
        let is_wanted = |spell: &&Spell| spell.last_at >= since && server.is_none_or(|server| *spell.server == *server);
        let mut found: Vec<Spell> = self.all().values().filter(is_wanted).cloned().collect();
        found.sort_by_key(|spell| std::cmp::Reverse((spell.last_at, spell.began_at)));
        found.truncate(usize::try_from(MAX_READ).unwrap_or(usize::MAX));
        Ok(found)
    }

    async fn sweep(&self, before: DateTime<Utc>) -> Result<u64, UptimeError> {
        let mut all = self.all();
        let over = all.iter().filter(|(_, spell)| spell.last_at < before).map(|(key, _)| key.clone());
        let over: Vec<Key> = over.take(usize::try_from(SWEPT_AT_ONCE).unwrap_or(usize::MAX)).collect();
        over.iter().for_each(|key| drop(all.remove(key)));
        Ok(over.len() as u64)
    }
}
