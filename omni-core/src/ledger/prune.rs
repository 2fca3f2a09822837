//! Retention: what is older than it must be goes, and a signed checkpoint stays in its place.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::{
    Checkpoint, Record, SealKeys,
    seal::Seal,
    verify::{Break, Chain, Fault, PAGE, by_chain, named_previous},
};
use crate::audit::{AuditError, LedgerStore, SealedRecord};

/// What a pruning did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pruned {
    /// How many records went.
    pub records: u64,
    /// How many rows went that were there before omni, and that no record proves.
    pub unproved: u64,
    /// Chains that are not what the ledger wrote: nothing of them goes, so that the proof of it stays.
    pub refused: Vec<Break>,
    /// How many chains were left alone because they are sealed with keys that are not at hand: whoever has
    /// those prunes them.
    pub not_provable: usize,
}

/// The moment so many days ago, and never before 1970: nothing in a ledger is older.
#[must_use]
pub fn days_ago(days: u32) -> DateTime<Utc> {
    let before = Utc::now().checked_sub_signed(TimeDelta::days(days.into()));
    before.unwrap_or_default().max(DateTime::UNIX_EPOCH)
}

/// Removes what is older than `before`: what [`prune_proved`] does, and the rows that were there before omni.
///
/// # Errors
/// An [`AuditError`] when the store cannot be read or written; what went before stays gone.
pub async fn prune(
    store: &dyn LedgerStore,
    keys: impl Into<SealKeys>,
    before: DateTime<Utc>,
) -> Result<Pruned, AuditError> {
    let unproved = store.forget_unproved(before).await?;
    Ok(Pruned { unproved, ..prune_proved(store, keys, before).await? })
}

/// Removes what the ledger wrote and what is older than `before`, the beginnings of chains only, and nothing
/// that was not proved to be as the ledger wrote it. What people said of answers goes by its own age.
///
/// # Errors
/// As of [`prune`].
pub async fn prune_proved(
    store: &dyn LedgerStore,
    keys: impl Into<SealKeys>,
    before: DateTime<Utc>,
) -> Result<Pruned, AuditError> {
    let keys = &keys.into();
    let checkpoints = by_chain(store.checkpoints().await?);
    let chains = store.chains().await?;
    let mut named = HashMap::new();
    for chain_id in &chains {
        let first = store.read(*chain_id, 0, 1).await?;
        named.extend(first.iter().filter(|first| first.seq == 0).flat_map(named_previous));
    }
    store.forget_feedback(before).await?;
    let mut pruned = Pruned::default();
    for chain_id in chains {
        let pruning = Pruning { store, keys, before, chain_id, wanted: named.get(&chain_id).copied() };
        match pruning.run(checkpoints.get(&chain_id).copied(), &mut pruned.records).await? {
            Some(unknown) if unknown.missing_key().is_some() => pruned.not_provable += 1,
            Some(broken) => {
                tracing::error!(%broken, "the ledger is not what omni wrote; nothing of this chain is pruned");
                pruned.refused.push(broken);
            }
            None => {}
        }
    }
    if pruned.not_provable > 0 {
        let chains = pruned.not_provable;
        tracing::info!(chains, "chains of keys that are not at hand are left to those who have them");
    }
    Ok(pruned)
}

/// The pruning of one chain.
struct Pruning<'a> {
    store: &'a dyn LedgerStore,
    keys: &'a SealKeys,
    before: DateTime<Utc>,
    chain_id: Uuid,
    /// The seal by which a later chain names this one.
    wanted: Option<Seal>,
}

impl Pruning<'_> {
    async fn run(&self, mut checkpoint: Option<Checkpoint>, gone: &mut u64) -> Result<Option<Break>, AuditError> {
        loop {
            let broken = self.run_from(checkpoint.as_ref(), gone).await?;
            // Somebody else may have pruned in the meantime.
            if broken.as_ref().is_some_and(|found| found.fault == Fault::Missing) {
                let present = by_chain(self.store.checkpoints().await?).remove(&self.chain_id);
                if present != checkpoint {
                    checkpoint = present;
                    continue;
                }
            }
            return Ok(broken);
        }
    }

    async fn run_from(&self, checkpoint: Option<&Checkpoint>, gone: &mut u64) -> Result<Option<Break>, AuditError> {
        let mut chain = Chain::new(self.keys, self.chain_id);
        if let Some(fault) = chain.begin_at(checkpoint) {
            return Ok(Some(chain.broken(fault)));
        }
        // The seal that is wanted, once it was among what went.
        let mut named = checkpoint.and_then(|checkpoint| checkpoint.named);
        loop {
            let from = chain.at.seq;
            let page = self.store.read(self.chain_id, from, PAGE).await?;
            for record in page.iter().take_while(|record| self.before > age(record).unwrap_or(DateTime::<Utc>::MAX_UTC))
            {
                if let Some(fault) = chain.check(record) {
                    return Ok(Some(chain.broken(fault)));
                }
                named = named.or(self.wanted.filter(|wanted| *wanted == record.mac));
            }
            let next = chain.at;
            if next.seq == from {
                return Ok(None);
            }
            // With the key that proved it, so that one key is enough for all of a chain.
            let checkpoint = Checkpoint::sign(chain.key(), self.chain_id, next.seq, next.previous, named);
            *gone += self.store.forget(&checkpoint).await?;
        }
    }
}

/// When a record was written; what a later build wrote has no age yet.
fn age(sealed: &SealedRecord) -> Option<DateTime<Utc>> {
    serde_json::from_slice::<Record>(&sealed.bytes).ok().map(|record| record.at)
}
