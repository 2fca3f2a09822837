//! How often a method may be called.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

/// What Slack counts by.
const WINDOW: Duration = Duration::from_secs(60);
/// How many messages may follow each other at once in a channel, which fills again by one a second.
const BURST: f64 = 5.0;
/// Calls that were under way when the first was refused do not count as calls in spite of it.
const UNDER_WAY: Duration = Duration::from_millis(250);

#[derive(Debug)]
pub(super) struct Rates {
    pub(super) are_on: bool,
    windows: HashMap<String, VecDeque<Duration>>,
    channels: HashMap<String, (f64, Duration)>,
    /// When a refusal was given, and until when it holds.
    refused: HashMap<String, (Duration, Duration)>,
}

impl Rates {
    pub(super) fn new() -> Self {
        Self { are_on: true, windows: HashMap::new(), channels: HashMap::new(), refused: HashMap::new() }
    }

    /// Counts a call; says how long to wait when it is one too many in a minute.
    pub(super) fn call(&mut self, method: &str, per_minute: usize, now: Duration) -> Option<Duration> {
        let calls = self.windows.entry(method.to_owned()).or_default();
        while calls.front().is_some_and(|call| now.saturating_sub(*call) >= WINDOW) {
            calls.pop_front();
        }
        if self.are_on && calls.len() >= per_minute {
            let oldest = calls.front().copied().unwrap_or(now);
            return Some(whole_seconds(oldest + WINDOW - now));
        }
        calls.push_back(now);
        None
    }

    /// The same for a message in a channel: one a second, and a few at once.
    pub(super) fn post(&mut self, channel: &str, now: Duration) -> Option<Duration> {
        let (left, at) = self.channels.get(channel).copied().unwrap_or((BURST, now));
        let left = (left + now.saturating_sub(at).as_secs_f64()).min(BURST);
        if left < 1.0 {
            self.channels.insert(channel.to_owned(), (left, now));
            return self.are_on.then_some(Duration::from_secs(1));
        }
        self.channels.insert(channel.to_owned(), (left - 1.0, now));
        None
    }

    /// Remembers that `key` was told to wait.
    pub(super) fn refuse(&mut self, key: &str, now: Duration, wait: Duration) {
        self.refused.insert(key.to_owned(), (now, now + wait));
    }

    /// How much too early a call is that was told to wait.
    pub(super) fn too_early(&mut self, key: &str, now: Duration) -> Option<Duration> {
        let (told, until) = *self.refused.get(key)?;
        if now >= until {
            self.refused.remove(key);
            return None;
        }
        (now > told + UNDER_WAY).then(|| until - now)
    }
}

fn whole_seconds(time: Duration) -> Duration {
    Duration::from_secs(time.as_millis().div_ceil(1000).max(1) as u64)
}
