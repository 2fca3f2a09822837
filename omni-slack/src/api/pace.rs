//! One message a second into each channel: more Slack does not take for long.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use moka::sync::Cache;
use tokio::time::{Instant, sleep_until};

/// How long after one message the next may come.
const BETWEEN: Duration = Duration::from_millis(1_050);
/// How long a channel is remembered, and how many are.
const REMEMBERED: Duration = Duration::from_secs(600);
const MOST: u64 = 10_000;

/// When each channel's next message may go.
#[derive(Debug)]
pub(super) struct Pace(Cache<String, Arc<Mutex<Option<Instant>>>>);

impl Default for Pace {
    fn default() -> Self {
        Self(Cache::builder().max_capacity(MOST).time_to_idle(REMEMBERED).build())
    }
}

impl Pace {
    /// Waits for a channel's next turn, in the order of those who ask.
    pub(super) async fn turn(&self, channel: &str) {
        let next = self.0.get_with_by_ref(channel, Arc::default);
        let mine = {
            let mut next = next.lock().unwrap_or_else(PoisonError::into_inner);
            let mine = next.map_or_else(Instant::now, |at| at.max(Instant::now()));
            *next = Some(mine + BETWEEN);
            mine
        };
        sleep_until(mine).await;
    }

    /// Takes a channel's turn if it is there right now.
    pub(super) fn takes(&self, channel: &str) -> bool {
        let next = self.0.get_with_by_ref(channel, Arc::default);
        let mut next = next.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let is_free = next.is_none_or(|at| at <= now);
        if is_free {
            *next = Some(now + BETWEEN);
        }
        is_free
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_channel_takes_a_message_a_second_and_does_not_wait_for_others() {
        let (pace, began) = (Pace::default(), Instant::now());
        pace.turn("C1").await;
        pace.turn("C2").await;
        assert!(began.elapsed() < BETWEEN);
        pace.turn("C1").await;
        assert!(began.elapsed() >= BETWEEN && began.elapsed() < BETWEEN * 2);
    }
}
