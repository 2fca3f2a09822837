//! A method of which Slack wants no more for a while.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use moka::sync::Cache;
use serde_json::Value;
use tokio::{
    sync::{Mutex as Line, MutexGuard},
    time::{Instant, sleep},
};

/// The shortest pause, whatever Slack says.
const LEAST: Duration = Duration::from_millis(500);
/// How far apart what can wait is told after a first pause, and at most.
const FIRST_GAP: Duration = Duration::from_millis(1_400);
const LONGEST_GAP: Duration = Duration::from_secs(20);
/// After so long without another pause that halves.
const CALM: Duration = Duration::from_secs(30);
/// How long a method is remembered, and how many are.
const REMEMBERED: Duration = Duration::from_secs(3_600);
const MOST: u64 = 10_000;

/// The rests of all methods.
#[derive(Debug)]
pub(super) struct Rests(Cache<String, Arc<Rest>>);

impl Default for Rests {
    fn default() -> Self {
        Self(Cache::builder().max_capacity(MOST).time_to_idle(REMEMBERED).build())
    }
}

impl Rests {
    /// What a call counts for: its method; messages are counted by their channel.
    pub(super) fn of(&self, method: &str, arguments: &Value) -> Arc<Rest> {
        match arguments["channel"].as_str() {
            Some(channel) if method == "chat.postMessage" => {
                self.0.get_with(format!("{method} {channel}"), Arc::default)
            }
            _ => self.0.get_with_by_ref(method, Arc::default),
        }
    }
}

/// Until when a method is left alone, and who waits for that.
#[derive(Debug, Default)]
pub(super) struct Rest {
    pauses: Mutex<Pauses>,
    line: Line<()>,
}

#[derive(Debug, Default)]
struct Pauses {
    /// When the last one ends.
    until: Option<Instant>,
    /// How far apart calls come that can wait, right after it.
    gap: Duration,
}

impl Pauses {
    fn left(&self, now: Instant) -> Option<Duration> {
        self.until.map(|until| until.saturating_duration_since(now)).filter(|left| !left.is_zero())
    }

    fn gap(&self, now: Instant) -> Duration {
        let Some(until) = self.until else { return Duration::ZERO };
        let calm = now.saturating_duration_since(until).as_secs() / CALM.as_secs();
        let gap = self.gap / (1 << calm.min(10));
        if gap < FIRST_GAP { Duration::ZERO } else { gap }
    }
}

impl Rest {
    /// It is left alone for so long.
    pub(super) fn begins(&self, pause: Duration) {
        let mut pauses = self.pauses.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        // Of calls that were refused together one counts.
        if pauses.left(now).is_none() {
            pauses.gap = (pauses.gap(now) * 2).clamp(FIRST_GAP, LONGEST_GAP);
        }
        let end = now + pause.max(LEAST);
        pauses.until = Some(pauses.until.map_or(end, |until| until.max(end)));
    }

    /// For how long it is still left alone, if it is.
    pub(super) fn left(&self) -> Option<Duration> {
        self.pauses.lock().unwrap_or_else(PoisonError::into_inner).left(Instant::now())
    }

    /// Whether what can wait may be told now, after it was told so last: not in a pause, not before those who wait for
    /// its end, and the further apart the more pauses there were of late.
    pub(super) fn may_again(&self, last: Instant) -> bool {
        let now = Instant::now();
        let (left, gap) = {
            let pauses = self.pauses.lock().unwrap_or_else(PoisonError::into_inner);
            (pauses.left(now), pauses.gap(now))
        };
        left.is_none() && now.saturating_duration_since(last) >= gap && self.line.try_lock().is_ok()
    }

    /// Waits until it is over. Who has waited calls one after the other: all at once would be refused again.
    pub(super) async fn over<'a>(&'a self, turn: &mut Option<MutexGuard<'a, ()>>) {
        if turn.is_none() {
            *turn = Some(self.line.lock().await);
        }
        while let Some(left) = self.left() {
            sleep(left).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_rest_ends_by_itself_and_the_longest_counts() {
        let rest = Rest::default();
        assert_eq!(rest.left(), None);
        rest.begins(Duration::from_secs(30));
        rest.begins(Duration::from_secs(3));
        assert_eq!(rest.left(), Some(Duration::from_secs(30)));
        advance(Duration::from_secs(30)).await;
        assert_eq!(rest.left(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn what_can_wait_comes_further_apart_with_every_pause_and_closer_again_in_calm() {
        let (rest, second) = (Rest::default(), Duration::from_secs(1));
        assert!(rest.may_again(Instant::now()));
        for gap in [FIRST_GAP, FIRST_GAP * 2, FIRST_GAP * 4] {
            rest.begins(second);
            assert!(!rest.may_again(Instant::now() - LONGEST_GAP), "it rests");
            advance(second).await;
            assert!(!rest.may_again(Instant::now() - gap + second / 10));
            assert!(rest.may_again(Instant::now() - gap));
        }
        advance(CALM).await;
        assert!(rest.may_again(Instant::now() - FIRST_GAP * 2));
        advance(CALM * 2).await;
        assert!(rest.may_again(Instant::now()));
    }

    #[tokio::test(start_paused = true)]
    async fn what_can_wait_does_not_go_before_those_who_wait() {
        let (rest, mut turn) = (Rest::default(), None);
        rest.over(&mut turn).await;
        assert!(!rest.may_again(Instant::now() - LONGEST_GAP));
        drop(turn);
        assert!(rest.may_again(Instant::now()));
    }
}
