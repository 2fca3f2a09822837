//! Conversations in a list.

use std::sync::Mutex;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use omni_core::{
    ThreadStore,
    testing::{shared_thread_store_contract, thread_store_contract},
    thread::{
        Append, ChannelKey, KeptTurn, MAX_SUMMARY_BYTES, MAX_THREAD_BYTES, MAX_TURNS, Most, SWEPT_AT_ONCE, Summary,
        ThreadEntry, ThreadError, ThreadKey, Turn,
    },
};

/// The conversation that was used last is the last one.
#[derive(Debug, Default)]
struct Threads(Mutex<Vec<Thread>>);

#[derive(Debug)]
struct Thread {
    key: ThreadKey,
    title: String,
    /// How many turns and bytes there were, also of what is gone.
    turns: u64,
    bytes: u64,
    rows: Vec<Row>,
    /// What a summary says, and of which turns.
    summary: Option<(String, u64, DateTime<Utc>)>,
    created_at: DateTime<Utc>,
    used_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
}

#[derive(Debug)]
struct Row {
    number: u64,
    begins: u64,
    at: DateTime<Utc>,
    text: String,
}

impl Row {
    fn turn(&self) -> Result<KeptTurn, ThreadError> {
        let turn = Turn::decode(&self.text)?;
        Ok(KeptTurn::stored(self.number, self.begins, self.text.len() as u64, self.at, turn))
    }
}

impl Thread {
    fn begin(append: &Append<'_>, now: DateTime<Utc>) -> Self {
        Self {
            key: append.key.clone(),
            title: append.turn.title(),
            turns: 0,
            bytes: 0,
            rows: Vec::new(),
            summary: None,
            created_at: now,
            used_at: now,
            expires_at: now,
        }
    }

    fn is_known(&self) -> bool {
        Utc::now() < self.expires_at
    }

    fn add(&mut self, text: String, now: DateTime<Utc>) {
        let begins = self.bytes;
        (self.turns, self.bytes) = (self.turns + 1, self.bytes + text.len() as u64);
        self.rows.push(Row { number: self.turns, begins, at: now, text });
        let (gone, first) = (self.turns.saturating_sub(MAX_TURNS), self.bytes.saturating_sub(MAX_THREAD_BYTES));
        self.rows.retain(|row| row.number > gone && row.begins >= first);
    }

    fn entry(&self) -> ThreadEntry {
        let (key, title) = (self.key.clone(), self.title.clone());
        ThreadEntry::stored(key, title, self.turns, self.created_at, self.used_at, self.expires_at)
    }
}

impl Threads {
    /// Looks at a conversation that is known.
    fn with<T>(&self, key: &ThreadKey, look: impl FnOnce(&mut Thread) -> T) -> Option<T> {
        let mut threads = self.0.lock().unwrap();
        threads.iter_mut().find(|thread| thread.key == *key && thread.is_known()).map(look)
    }
}

#[async_trait]
impl ThreadStore for Threads {
    async fn history(&self, key: &ThreadKey, most: Most) -> Result<Vec<KeptTurn>, ThreadError> {
        let read = |thread: &mut Thread| -> Result<Vec<KeptTurn>, ThreadError> {
            let (gone, first) = (thread.turns.saturating_sub(most.turns), thread.bytes.saturating_sub(most.bytes));
            let newest = thread.rows.iter().filter(|row| row.number > gone && row.begins >= first);
            newest.map(Row::turn).collect()
        };
        Ok(self.with(key, read).transpose()?.unwrap_or_default())
    }

    async fn append(&self, append: Append<'_>) -> Result<u64, ThreadError> {
        let text = append.turn.encode()?;
        let (mut threads, now) = (self.0.lock().unwrap(), Utc::now());
        let old = threads.iter().position(|thread| thread.key == *append.key).map(|at| threads.remove(at));
        let mut thread = old.filter(Thread::is_known).unwrap_or_else(|| Thread::begin(&append, now));
        thread.add(text, now);
        (thread.used_at, thread.expires_at) = (now, now + append.keep());
        let number = thread.turns;
        threads.push(thread);
        Ok(number)
    }

    async fn list(&self, channel: &ChannelKey, limit: usize) -> Result<Vec<ThreadEntry>, ThreadError> {
        let threads = self.0.lock().unwrap();
        let known = threads.iter().rev().filter(|thread| channel.has(&thread.key) && thread.is_known());
        Ok(known.take(limit).map(Thread::entry).collect())
    }

    async fn delete(&self, key: &ThreadKey) -> Result<bool, ThreadError> {
        let mut threads = self.0.lock().unwrap();
        let known = threads.iter().position(|thread| thread.key == *key && thread.is_known());
        Ok(known.map(|at| threads.remove(at)).is_some())
    }

    async fn sweep(&self) -> Result<u64, ThreadError> {
        let mut removed = 0;
        self.0.lock().unwrap().retain(|thread| {
            let goes = removed < SWEPT_AT_ONCE && !thread.is_known();
            removed += u64::from(goes);
            !goes
        });
        Ok(removed)
    }

    async fn summary(&self, key: &ThreadKey) -> Result<Option<Summary>, ThreadError> {
        let kept = self.with(key, |thread| thread.summary.clone()).flatten();
        Ok(kept.map(|(text, through, at)| Summary::stored(text, through, at)))
    }

    async fn summarize(&self, key: &ThreadKey, summary: &Summary) -> Result<bool, ThreadError> {
        if summary.text.len() > MAX_SUMMARY_BYTES {
            return Err(ThreadError::new("a summary is too long to be kept"));
        }
        let keep = |thread: &mut Thread| {
            let is_there = thread.rows.iter().any(|row| (row.number, row.at) == (summary.through, summary.at));
            let tells_more = thread.summary.as_ref().is_none_or(|(_, through, _)| *through < summary.through);
            if is_there && tells_more {
                thread.summary = Some((summary.text.clone(), summary.through, summary.at));
            }
            is_there && tells_more
        };
        Ok(self.with(key, keep).unwrap_or(false))
    }
}

#[tokio::test]
async fn conversations_of_a_programs_own_keep_the_contract() {
    let threads = Threads::default();
    thread_store_contract(&threads).await;
    shared_thread_store_contract(&threads, &threads).await;
}
