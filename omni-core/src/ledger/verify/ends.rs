//! Whether chains are there to their ends, as far as something else tells where these are.

use std::collections::HashMap;

use uuid::Uuid;

use super::{Break, Fault, LastSeal, PAGE};
use crate::{
    audit::{AuditError, LedgerStore},
    ledger::{
        ChainHead, Checkpoint,
        dead::Head,
        seal::{Place, Seal},
    },
};

/// Where all chains begin and end, and which chain each one names.
#[derive(Default)]
pub(super) struct Ends {
    pub(super) checkpoints: HashMap<Uuid, Checkpoint>,
    pub(super) last: HashMap<Uuid, Place>,
    pub(super) links: Vec<(Uuid, Head)>,
}

impl Ends {
    /// The chains whose predecessor is not there, or not whole.
    pub(super) async fn unlinked(&self, store: &dyn LedgerStore) -> Result<Vec<Break>, AuditError> {
        let mut unlinked = Vec::new();
        for (chain_id, (previous, head)) in &self.links {
            let fault = if !self.last.contains_key(previous) && !self.checkpoints.contains_key(previous) {
                Fault::PreviousMissing
            } else if !self.holds(store, *previous, head).await? {
                Fault::PreviousCut
            } else {
                continue;
            };
            unlinked.push(Break { chain_id: *chain_id, seq: 0, fault });
        }
        Ok(unlinked)
    }

    /// Whether the chain has, or had before it was pruned, a record with this seal. Its file may have
    /// lost in a power cut what the store has, so the seal need not be the last.
    async fn holds(&self, store: &dyn LedgerStore, chain_id: Uuid, head: &Seal) -> Result<bool, AuditError> {
        let pruned = self.checkpoints.get(&chain_id);
        if self.last.get(&chain_id).is_some_and(|last| last.previous == *head)
            || pruned.is_some_and(|pruned| pruned.mac == *head || pruned.named.as_ref() == Some(head))
        {
            return Ok(true);
        }
        let mut from = pruned.map_or(0, |pruned| pruned.next_seq);
        loop {
            let page = store.read(chain_id, from, PAGE).await?;
            let Some(last) = page.last() else { return Ok(false) };
            if page.iter().any(|record| record.mac == *head) {
                return Ok(true);
            }
            // Who forges a chain may have given it a record of the last place that there is.
            let Some(next) = last.seq.checked_add(1) else { return Ok(false) };
            from = next;
        }
    }

    /// The ends that are known from elsewhere and that their chains do not hold any more.
    pub(super) async fn without_end(
        &self,
        store: &dyn LedgerStore,
        exported: &[ChainHead],
        last: &[LastSeal],
    ) -> Result<Vec<Break>, AuditError> {
        let mut without = self.without_head(store, exported).await?;
        for LastSeal { chain_id, mac } in last {
            let is_known = without.iter().any(|known| known.chain_id == *chain_id);
            if !is_known && !self.holds(store, *chain_id, mac).await? {
                // Its place is not known; it came after all that is there.
                let seq = self.last.get(chain_id).map_or(0, |place| place.seq);
                without.push(Break { chain_id: *chain_id, seq, fault: Fault::HeadMissing });
            }
        }
        Ok(without)
    }

    /// The exported heads that their chains do not hold any more.
    async fn without_head(&self, store: &dyn LedgerStore, exported: &[ChainHead]) -> Result<Vec<Break>, AuditError> {
        let mut without = Vec::new();
        for head in exported {
            let pruned = self.checkpoints.get(&head.chain_id);
            let holds = match pruned {
                Some(pruned) if head.seq + 1 == pruned.next_seq => pruned.mac == head.mac,
                // What was pruned before it was checked then.
                Some(pruned) if head.seq < pruned.next_seq => true,
                Some(_) | None => {
                    let record = store.read(head.chain_id, head.seq, 1).await?;
                    record.first().is_some_and(|record| record.seq == head.seq && record.mac == head.mac)
                }
            };
            if !holds {
                without.push(Break { chain_id: head.chain_id, seq: head.seq, fault: Fault::HeadMissing });
            }
        }
        Ok(without)
    }
}
