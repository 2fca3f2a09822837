//! Results in memory: bounded, and gone with the process.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use chrono::Utc;
use tokio::time::Instant;

use super::{
    KeptCall, KeptResult, MAX_EXPIRY, MAX_KEPT, MAX_KEPT_BYTES, Owner, ResultError, ResultFilter, ResultStore,
    SWEPT_AT_ONCE,
};

/// Most results of everybody together.
const MAX_RESULTS: usize = 10_000;
/// Most bytes of all of them.
const MAX_BYTES: u64 = 64 * 1024 * 1024;
/// What a result takes beside its bytes, about.
const OVERHEAD: u64 = 512;

/// Results of one process. When there is no room for more, the oldest go.
pub struct MemoryResults {
    state: Mutex<State>,
    max_results: usize,
    max_bytes: u64,
}

#[derive(Default)]
struct State {
    /// In the order in which they came.
    results: BTreeMap<u64, Kept>,
    next: u64,
    bytes: u64,
}

struct Kept {
    result: KeptResult,
    /// By the clock that nobody sets.
    expires: Instant,
}

impl Kept {
    fn is_known(&self) -> bool {
        Instant::now() < self.expires
    }

    fn weight(&self) -> u64 {
        self.result.call.bytes + self.result.call.arguments.get().len() as u64 + OVERHEAD
    }
}

impl Default for MemoryResults {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryResults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryResults").field("results", &self.state().results.len()).finish_non_exhaustive()
    }
}

impl MemoryResults {
    /// Room for ten thousand results and 64 MiB.
    #[must_use]
    pub fn new() -> Self {
        Self::with_room(MAX_RESULTS, MAX_BYTES)
    }

    /// Other room.
    #[must_use]
    pub fn with_room(max_results: usize, max_bytes: u64) -> Self {
        Self { state: Mutex::default(), max_results, max_bytes }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Somebody's own that are not over, the newest first.
    fn of<'a>(&'a self, owner: Owner<'a>) -> impl Iterator<Item = (u64, &'a Kept)> {
        let own = move |kept: &&'a Kept| kept.result.call.owner() == owner && kept.is_known();
        self.results.iter().rev().map(|(number, kept)| (*number, kept)).filter(move |(_, kept)| own(kept))
    }

    fn remove(&mut self, numbers: &[u64]) {
        for kept in numbers.iter().filter_map(|number| self.results.remove(number)) {
            self.bytes -= kept.weight();
        }
    }

    /// What is too much of one person.
    fn too_many(&self, owner: Owner<'_>) -> Vec<u64> {
        let (mut count, mut bytes) = (0, 0);
        let counted = self.of(owner).filter_map(|(number, kept)| {
            count += 1;
            bytes += kept.result.call.bytes;
            (count > MAX_KEPT || bytes > MAX_KEPT_BYTES).then_some(number)
        });
        counted.collect()
    }
}

#[async_trait]
impl ResultStore for MemoryResults {
    async fn keep(&self, result: &KeptResult, expiry: Duration) -> Result<(), ResultError> {
        let expiry = expiry.min(MAX_EXPIRY);
        let mut result = result.clone();
        result.call.created_at = Utc::now();
        result.call.expires_at = result.call.created_at + expiry;
        let kept = Kept { result, expires: Instant::now() + expiry };
        let mut state = self.state();
        if state.results.values().any(|other| other.result.call.id == kept.result.call.id) {
            return Err(ResultError::new("there is a result of that name"));
        }
        let number = state.next;
        (state.next, state.bytes) = (number + 1, state.bytes + kept.weight());
        let owner = kept.result.call.clone();
        state.results.insert(number, kept);
        let too_many = state.too_many(owner.owner());
        state.remove(&too_many);
        while state.results.len() > self.max_results || state.bytes > self.max_bytes {
            let Some(oldest) = state.results.first_key_value().map(|(number, _)| *number) else { break };
            state.remove(&[oldest]);
        }
        Ok(())
    }

    async fn read(&self, owner: Owner<'_>, id: &str) -> Result<Option<KeptResult>, ResultError> {
        let state = self.state();
        let found = state.of(owner).find(|(_, kept)| kept.result.call.id == id);
        Ok(found.map(|(_, kept)| kept.result.clone()))
    }

    async fn list(&self, owner: Owner<'_>, filter: &ResultFilter) -> Result<Vec<KeptCall>, ResultError> {
        let state = self.state();
        let calls = state.of(owner).map(|(_, kept)| &kept.result.call);
        Ok(calls.filter(|call| filter.takes(call)).cloned().collect())
    }

    async fn forget(&self, owner: Owner<'_>, filter: &ResultFilter) -> Result<u64, ResultError> {
        let mut state = self.state();
        let meant = state.of(owner).filter(|(_, kept)| filter.takes(&kept.result.call));
        let meant: Vec<u64> = meant.map(|(number, _)| number).collect();
        state.remove(&meant);
        Ok(meant.len() as u64)
    }

    async fn sweep(&self) -> Result<u64, ResultError> {
        let mut state = self.state();
        let over = state.results.iter().filter(|(_, kept)| !kept.is_known()).map(|(number, _)| *number);
        let over: Vec<u64> = over.take(usize::try_from(SWEPT_AT_ONCE).unwrap_or(usize::MAX)).collect();
        state.remove(&over);
        Ok(over.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;

    #[tokio::test]
    async fn when_there_is_no_room_for_more_the_oldest_go_whosever_they_are() {
        let store = MemoryResults::with_room(2, 10_000);
        let arguments = || RawValue::from_string("{}".into()).unwrap();
        for (subject, bytes) in [("ada", 10), ("eve", 10), ("bob", 9_000)] {
            let call = KeptCall::new(Owner::new("default", subject), "lab", "echo", arguments());
            store.keep(&KeptResult::new(call, "x".repeat(bytes), None), Duration::from_secs(9)).await.unwrap();
        }
        assert!(format!("{store:?}").contains("results: 1"), "{store:?}");
        let all = ResultFilter::default();
        assert_eq!(store.list(Owner::new("default", "bob"), &all).await.unwrap().len(), 1);
    }
}
