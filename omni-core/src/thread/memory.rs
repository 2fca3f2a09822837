//! Conversations in memory: bounded, and gone with the process.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use tokio::time::Instant;

use super::{
    Append, ChannelKey, KeptTurn, MAX_THREAD_BYTES, MAX_TURNS, Most, SWEPT_AT_ONCE, Summary, ThreadEntry, ThreadError,
    ThreadKey, ThreadStore, Turn,
};

/// Most conversations.
const MAX_THREADS: usize = 10_000;
/// Most bytes of all turns together.
const MAX_BYTES: u64 = 64 * 1024 * 1024;
/// What a conversation takes beside its turns, about.
const OVERHEAD: u64 = 512;

/// Conversations of one process. When there is no room for more, those go that were used longest ago.
pub struct MemoryThreads {
    state: Mutex<State>,
    max_threads: usize,
    max_bytes: u64,
}

#[derive(Default)]
struct State {
    threads: HashMap<ThreadKey, Thread>,
    /// The conversations by their last use.
    order: BTreeMap<u64, ThreadKey>,
    uses: u64,
    bytes: u64,
}

struct Thread {
    title: String,
    /// All turns, also those that are gone.
    turns: u64,
    /// Their bytes.
    bytes: u64,
    kept: VecDeque<Kept>,
    summary: Option<Summary>,
    used: u64,
    created_at: DateTime<Utc>,
    used_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
    /// The same by the clock that nobody sets.
    expires: Instant,
}

struct Kept {
    number: u64,
    begins: u64,
    at: DateTime<Utc>,
    text: String,
}

impl Default for MemoryThreads {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryThreads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryThreads").field("threads", &self.state().threads.len()).finish_non_exhaustive()
    }
}

impl MemoryThreads {
    /// Room for ten thousand conversations and 64 MiB of turns.
    #[must_use]
    pub fn new() -> Self {
        Self::with_room(MAX_THREADS, MAX_BYTES)
    }

    /// Other room.
    #[must_use]
    pub fn with_room(max_threads: usize, max_bytes: u64) -> Self {
        Self { state: Mutex::default(), max_threads, max_bytes }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn make_room(&self, state: &mut State) {
        while state.threads.len() > self.max_threads || state.bytes > self.max_bytes {
            let Some(oldest) = state.order.first_key_value().map(|(_, key)| key.clone()) else { break };
            state.forget(&oldest);
        }
    }
}

impl State {
    /// A conversation whose time is not over.
    fn known(&self, key: &ThreadKey) -> Option<&Thread> {
        self.threads.get(key).filter(|thread| thread.is_known())
    }

    fn forget(&mut self, key: &ThreadKey) -> Option<Thread> {
        let thread = self.threads.remove(key)?;
        self.order.remove(&thread.used);
        self.bytes -= thread.weight();
        Some(thread)
    }

    fn append(&mut self, append: Append<'_>, text: String) -> u64 {
        let old = self.forget(append.key).filter(Thread::is_known);
        let mut thread = old.unwrap_or_else(|| Thread::begin(append.turn.title()));
        self.uses += 1;
        thread.take(append, text, self.uses);
        let number = thread.turns;
        self.bytes += thread.weight();
        self.order.insert(thread.used, append.key.clone());
        self.threads.insert(append.key.clone(), thread);
        number
    }
}

impl Thread {
    fn begin(title: String) -> Self {
        let (now, expires) = (Utc::now(), Instant::now());
        Self {
            title,
            turns: 0,
            bytes: 0,
            kept: VecDeque::new(),
            summary: None,
            used: 0,
            created_at: now,
            used_at: now,
            expires_at: now,
            expires,
        }
    }

    fn is_known(&self) -> bool {
        Instant::now() < self.expires
    }

    fn take(&mut self, append: Append<'_>, text: String, used: u64) {
        let now = Utc::now();
        let begins = self.bytes;
        self.turns += 1;
        self.bytes += text.len() as u64;
        self.kept.push_back(Kept { number: self.turns, begins, at: now, text });
        let (gone, first) = (self.turns.saturating_sub(MAX_TURNS), self.bytes.saturating_sub(MAX_THREAD_BYTES));
        while self.kept.front().is_some_and(|turn| turn.number <= gone || turn.begins < first) {
            self.kept.pop_front();
        }
        (self.used, self.used_at) = (used, now);
        self.expires = Instant::now() + append.keep();
        self.expires_at = now + append.keep();
    }

    /// Whether it did take it.
    fn summarize(&mut self, summary: &Summary) -> bool {
        let is_there = self.kept.iter().any(|turn| turn.number == summary.through && turn.at == summary.at);
        let tells_more = self.summary.as_ref().is_none_or(|before| before.through < summary.through);
        if is_there && tells_more {
            self.summary = Some(summary.clone());
        }
        is_there && tells_more
    }

    fn weight(&self) -> u64 {
        let summary = self.summary.as_ref().map_or(0, |summary| summary.text.len() as u64);
        self.kept.iter().map(|turn| turn.text.len() as u64).sum::<u64>() + summary + OVERHEAD
    }

    fn entry(&self, key: &ThreadKey) -> ThreadEntry {
        let (title, turns) = (self.title.clone(), self.turns);
        ThreadEntry::stored(key.clone(), title, turns, self.created_at, self.used_at, self.expires_at)
    }
}

#[async_trait]
impl ThreadStore for MemoryThreads {
    async fn history(&self, key: &ThreadKey, most: Most) -> Result<Vec<KeptTurn>, ThreadError> {
        let state = self.state();
        let Some(thread) = state.known(key) else { return Ok(Vec::new()) };
        let (gone, first) = (thread.turns.saturating_sub(most.turns), thread.bytes.saturating_sub(most.bytes));
        let newest = thread.kept.iter().filter(|turn| turn.number > gone && turn.begins >= first);
        let read = |kept: &Kept| {
            let Kept { number, begins, at, text } = kept;
            let (bytes, turn) = (text.len() as u64, Turn::decode(text)?);
            Ok(KeptTurn::stored(*number, *begins, bytes, *at, turn))
        };
        newest.map(read).collect()
    }

    async fn append(&self, append: Append<'_>) -> Result<u64, ThreadError> {
        let text = append.turn.encode()?;
        let mut state = self.state();
        let number = state.append(append, text);
        self.make_room(&mut state);
        Ok(number)
    }

    async fn list(&self, channel: &ChannelKey, limit: usize) -> Result<Vec<ThreadEntry>, ThreadError> {
        let state = self.state();
        let newest = state.order.values().rev().filter(|key| channel.has(key));
        Ok(newest.filter_map(|key| Some(state.known(key)?.entry(key))).take(limit).collect())
    }

    async fn delete(&self, key: &ThreadKey) -> Result<bool, ThreadError> {
        Ok(self.state().forget(key).is_some_and(|thread| thread.is_known()))
    }

    async fn sweep(&self) -> Result<u64, ThreadError> {
        let mut state = self.state();
        let over = state.threads.iter().filter(|(_, thread)| !thread.is_known()).map(|(key, _)| key.clone());
        let over: Vec<ThreadKey> = over.take(usize::try_from(SWEPT_AT_ONCE).unwrap_or(usize::MAX)).collect();
        over.iter().for_each(|key| drop(state.forget(key)));
        Ok(over.len() as u64)
    }

    async fn summary(&self, key: &ThreadKey) -> Result<Option<Summary>, ThreadError> {
        Ok(self.state().known(key).and_then(|thread| thread.summary.clone()))
    }

    async fn summarize(&self, key: &ThreadKey, summary: &Summary) -> Result<bool, ThreadError> {
        summary.check()?;
        let mut guard = self.state();
        let state = &mut *guard;
        let Some(thread) = state.threads.get_mut(key).filter(|thread| thread.is_known()) else { return Ok(false) };
        let before = thread.weight();
        let did = thread.summarize(summary);
        state.bytes = state.bytes - before + thread.weight();
        self.make_room(state);
        Ok(did)
    }
}
