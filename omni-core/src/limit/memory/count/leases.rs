//! What is held of one key at the same time, by when it ends: however many hold something, one more costs the same.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use tokio::time::Instant;
use uuid::Uuid;

/// Leases by the reservation that took them.
#[derive(Debug, Default)]
pub(super) struct Leases {
    held: HashMap<Uuid, Lease>,
    /// The same, the next one to end first.
    ends: BTreeSet<(Instant, Uuid)>,
    total: u64,
}

#[derive(Debug)]
struct Lease {
    amount: u64,
    until: Instant,
}

impl Leases {
    /// How much is held, and when the next of it ends by itself.
    pub(super) fn standing(&mut self, now: Instant) -> (u64, Duration) {
        while let Some(&(until, id)) = self.ends.first()
            && until <= now
        {
            self.give_back(id);
        }
        let next = self.ends.first().map(|(until, _)| until.duration_since(now));
        (self.total, next.unwrap_or_default())
    }

    /// Takes more for a reservation, which holds it until then; one that holds something already keeps its end.
    pub(super) fn take(&mut self, id: Uuid, amount: u64, until: Instant) {
        let ends = &mut self.ends;
        let lease = self.held.entry(id).or_insert_with(|| {
            ends.insert((until, id));
            Lease { amount: 0, until }
        });
        // What does not fit is not taken, so that the sum is that of the parts.
        let amount = amount.min(u64::MAX - self.total);
        lease.amount += amount;
        self.total += amount;
    }

    pub(super) fn give_back(&mut self, id: Uuid) {
        if let Some(lease) = self.held.remove(&id) {
            self.ends.remove(&(lease.until, id));
            self.total -= lease.amount;
        }
    }

    pub(super) fn renew(&mut self, id: Uuid, until: Instant) {
        if let Some(lease) = self.held.get_mut(&id) {
            self.ends.remove(&(lease.until, id));
            self.ends.insert((until, id));
            lease.until = until;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone, Copy)]
    enum Step {
        Take { id: u128, amount: u64, secs: u64 },
        GiveBack { id: u128 },
        Renew { id: u128, secs: u64 },
        Wait { secs: u64 },
    }

    fn any_step() -> impl Strategy<Value = Step> {
        let id = || 0..6_u128;
        prop_oneof![
            (id(), prop_oneof![0..4_u64, Just(u64::MAX)], 1..20_u64).prop_map(|(id, amount, secs)| Step::Take {
                id,
                amount,
                secs
            }),
            id().prop_map(|id| Step::GiveBack { id }),
            (id(), 1..20_u64).prop_map(|(id, secs)| Step::Renew { id, secs }),
            (0..10_u64).prop_map(|secs| Step::Wait { secs }),
        ]
    }

    proptest! {
        /// The same as adding up, each time, what is held and has not ended.
        #[test]
        fn what_is_held_is_the_sum_of_what_was_taken_and_has_neither_ended_nor_come_back(
            steps in prop::collection::vec(any_step(), 0..60),
        ) {
            let (mut leases, mut now) = (Leases::default(), Instant::now());
            let mut plain: HashMap<u128, (u64, Instant)> = HashMap::new();
            for step in steps {
                let after = |secs| now + Duration::from_secs(secs);
                match step {
                    Step::Take { id, amount, secs } => {
                        leases.take(Uuid::from_u128(id), amount, after(secs));
                        let sum: u64 = plain.values().map(|(amount, _)| amount).sum();
                        plain.entry(id).or_insert((0, after(secs))).0 += amount.min(u64::MAX - sum);
                    }
                    Step::GiveBack { id } => {
                        leases.give_back(Uuid::from_u128(id));
                        plain.remove(&id);
                    }
                    Step::Renew { id, secs } => {
                        leases.renew(Uuid::from_u128(id), after(secs));
                        plain.entry(id).and_modify(|(_, until)| *until = after(secs));
                    }
                    Step::Wait { secs } => now = after(secs),
                }
                plain.retain(|_, (_, until)| *until > now);
                let sum: u64 = plain.values().map(|(amount, _)| amount).sum();
                let next = plain.values().map(|(_, until)| *until - now).min().unwrap_or_default();
                prop_assert_eq!(leases.standing(now), (sum, next));
                prop_assert_eq!(leases.ends.len(), leases.held.len());
            }
        }
    }
}
