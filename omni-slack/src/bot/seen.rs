//! What was taken in already: Slack delivers again what it is not sure of.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, PoisonError},
    time::Instant,
};

use crate::event::KNOWN_FOR;

/// Most that is known at a time; the oldest goes first.
const MOST: usize = 100_000;

/// What this process took in.
#[derive(Debug, Default)]
pub(super) struct Seen(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    at: HashMap<String, Instant>,
    order: VecDeque<(Instant, String)>,
}

impl Seen {
    /// Whether something comes for the first time; from now on it was there.
    pub(super) fn is_new(&self, key: String) -> bool {
        let now = Instant::now();
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.forget_old(now);
        if known.at.contains_key(&key) {
            return false;
        }
        known.at.insert(key.clone(), now);
        known.order.push_back((now, key));
        true
    }

    /// Whether something was there.
    pub(super) fn knows(&self, key: &str) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.at.get(key).is_some_and(|at| at.elapsed() < KNOWN_FOR)
    }

    /// It was not there after all.
    pub(super) fn forget(&self, key: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).at.remove(key);
    }
}

impl Known {
    fn forget_old(&mut self, now: Instant) {
        while let Some((at, _)) = self.order.front() {
            if self.order.len() < MOST && now.duration_since(*at) < KNOWN_FOR {
                return;
            }
            let Some((at, key)) = self.order.pop_front() else { return };
            // One that was forgotten and came again is known from then on.
            if self.at.get(&key) == Some(&at) {
                self.at.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_again_is_known_again() {
        let seen = Seen::default();
        assert!(!seen.knows("a"));
        assert!(seen.is_new("a".into()) && !seen.is_new("a".into()) && seen.is_new("b".into()));
        assert!(seen.knows("a"));
        seen.forget("a");
        assert!(!seen.knows("a") && seen.knows("b"));
        assert!(seen.is_new("a".into()) && !seen.is_new("a".into()));
    }

    #[test]
    fn of_copies_that_come_at_the_same_moment_one_is_new() {
        let seen = Seen::default();
        for round in 0..200 {
            let new = std::thread::scope(|scope| {
                let takers: Vec<_> = (0..4).map(|_| scope.spawn(|| seen.is_new(format!("message {round}")))).collect();
                takers.into_iter().filter_map(|taker| taker.join().ok()).filter(|is_new| *is_new).count()
            });
            assert_eq!(new, 1);
        }
    }
}
