//! Who used a connection lately: what a server says on nobody's stream may be about any of them.

use std::{collections::hash_map::RandomState, hash::BuildHasher as _, time::Duration};

use tokio::time::Instant;

use crate::identity::Principal;

/// How long somebody counts after their last request began or ended.
const LATELY: Duration = Duration::from_secs(60);
/// Most who are told apart; more are a crowd.
const MOST: usize = 16;

/// Somebody, as far as it takes to tell them from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Person(u64);

/// Those who used a connection.
#[derive(Debug, Default)]
pub(super) struct People {
    seen: Vec<(Person, Instant)>,
    /// Until when there are too many to tell them apart.
    crowded_until: Option<Instant>,
    hasher: RandomState,
}

impl People {
    pub(super) fn person(&self, principal: &Principal) -> Person {
        Person(self.hasher.hash_one((&principal.tenant, &principal.subject)))
    }

    /// Somebody's request began or ended.
    pub(super) fn saw(&mut self, person: Person, now: Instant) {
        match self.seen.iter_mut().find(|(known, _)| *known == person) {
            Some((_, at)) => *at = now,
            None => {
                self.seen.retain(|(_, at)| *at + LATELY > now);
                if self.seen.len() < MOST {
                    self.seen.push((person, now));
                } else {
                    self.crowded_until = Some(now + LATELY);
                }
            }
        }
    }

    /// Whether nobody else used the connection lately.
    pub(super) fn is_alone(&self, person: Person, now: Instant) -> bool {
        let is_lately_another = |(other, at): &(Person, Instant)| *other != person && *at + LATELY > now;
        self.crowded_until.is_none_or(|until| until <= now) && !self.seen.iter().any(is_lately_another)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn somebody_is_alone_once_nobody_else_was_there_for_a_minute() {
        let (mut people, begin) = (People::default(), Instant::now());
        let [ann, bob] = ["ann@x.org", "bob@x.org"].map(|who| people.person(&Principal::email(who)));
        people.saw(ann, begin);
        assert!(people.is_alone(ann, begin));
        people.saw(bob, begin + Duration::from_secs(1));
        assert!(!people.is_alone(ann, begin + LATELY) && !people.is_alone(bob, begin + Duration::from_secs(2)));
        assert!(people.is_alone(ann, begin + LATELY + Duration::from_secs(1)));
    }

    #[tokio::test(start_paused = true)]
    async fn among_too_many_nobody_is_alone() {
        let (mut people, now) = (People::default(), Instant::now());
        let all: Vec<_> = (0..=MOST).map(|n| people.person(&Principal::email(&format!("p{n}@x.org")))).collect();
        all.iter().for_each(|person| people.saw(*person, now));
        let soon = now + LATELY - Duration::from_millis(1);
        assert!(!people.is_alone(all[0], soon));
    }
}
