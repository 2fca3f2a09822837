//! What was taken in already: Slack delivers again what it is not sure of.

use std::time::Duration;

use moka::{policy::EvictionPolicy, sync::Cache};

/// How long something is known again: duplicates come minutes later.
const FOR: Duration = Duration::from_secs(2 * 60 * 60);
/// Most that is known at a time.
const MOST: u64 = 100_000;

/// What this process took in.
#[derive(Debug, Clone)]
pub(super) struct Seen(Cache<String, ()>);

impl Default for Seen {
    fn default() -> Self {
        Self(Cache::builder().max_capacity(MOST).eviction_policy(EvictionPolicy::lru()).time_to_live(FOR).build())
    }
}

impl Seen {
    /// Whether something comes for the first time; from now on it was there.
    pub(super) fn is_new(&self, key: String) -> bool {
        self.0.entry(key).or_insert(()).is_fresh()
    }

    /// It was not there after all.
    pub(super) fn forget(&self, key: &str) {
        self.0.invalidate(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_again_is_known_again() {
        let seen = Seen::default();
        assert!(seen.is_new("a".into()) && !seen.is_new("a".into()) && seen.is_new("b".into()));
    }
}
