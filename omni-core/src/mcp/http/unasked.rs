//! The stream on which a server speaks unasked: up to 2025-11-25 a session has one, which may break and come back.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use http::StatusCode;
use rmcp::transport::common::client_side_sse::ExponentialBackoff;
use tokio::time::{Instant, sleep_until};

use crate::mcp::client::Pause;

/// How long after it was asked for it is asked for again at the soonest, and at the latest where it does not come.
const AGAIN: Duration = Duration::from_secs(1);
const AGAIN_AT_LAST: Duration = Duration::from_secs(30);

/// What became of a connection's stream so far.
#[derive(Debug, Default)]
pub(super) struct Unasked {
    turns: Mutex<Turns>,
    was_open: AtomicBool,
}

#[derive(Debug, Default)]
struct Turns {
    /// When it was asked for; `None` before the first time.
    asked: Option<Instant>,
    /// Until when a server that ended it is left alone.
    rests: Option<Instant>,
    pause: Pause,
}

/// A stream that is there, until this is dropped.
#[derive(Debug)]
pub(super) struct Open {
    unasked: Arc<Unasked>,
    began: Instant,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.unasked.ends(self.began);
    }
}

impl Unasked {
    /// Waits until it may be asked for; whether that is the first time. One that ends as soon as it is open is asked for
    /// less and less often, for all is read again then; but one that goes on where it ended as often as the server says.
    pub(super) async fn turn(&self, is_resumed: bool) -> bool {
        let due = self.due(Instant::now(), is_resumed);
        if let Some(at) = due {
            sleep_until(at).await;
        }
        due.is_none()
    }

    /// When it is asked for, if not for the first time.
    fn due(&self, now: Instant, is_resumed: bool) -> Option<Instant> {
        let mut turns = self.turns();
        let rests = turns.rests.filter(|_| !is_resumed).unwrap_or(now);
        let at = turns.asked.map(|asked| (asked + AGAIN).max(rests).max(now));
        turns.asked = Some(at.unwrap_or(now));
        at
    }

    /// It is there, for as long as this is kept.
    pub(super) fn opens(self: &Arc<Self>) -> Open {
        self.was_open.store(true, Relaxed);
        Open { unasked: self.clone(), began: Instant::now() }
    }

    fn ends(&self, began: Instant) {
        let (mut turns, now) = (self.turns(), Instant::now());
        turns.rests = Some(now + turns.pause.after(now - began));
    }

    fn turns(&self) -> MutexGuard<'_, Turns> {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it may come later, where a server or what stands before it answers like this. A server that has none
    /// says so in many ways; one that had it has it.
    pub(super) fn may_come(&self, status: StatusCode) -> bool {
        match status {
            StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => true,
            other => self.was_open.load(Relaxed) && other.is_server_error(),
        }
    }
}

/// How rmcp asks again where it was in vain: less and less often, and without an end.
pub(super) fn again() -> ExponentialBackoff {
    let mut again = ExponentialBackoff::default();
    (again.base_duration, again.max_delay) = (AGAIN, Some(AGAIN_AT_LAST));
    again
}

#[cfg(test)]
mod tests {
    use rmcp::transport::common::client_side_sse::SseRetryPolicy as _;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_does_not_come_is_asked_for_once_a_second_at_most() {
        let (unasked, began) = (Unasked::default(), Instant::now());
        assert!(unasked.turn(false).await);
        for seconds in 1..4 {
            assert!(!unasked.turn(false).await);
            assert_eq!(began.elapsed().as_secs(), seconds);
        }
        tokio::time::sleep(AGAIN * 60).await;
        let later = Instant::now();
        assert!(!unasked.turn(false).await);
        assert!(later.elapsed() < AGAIN, "it was asked for a minute ago");
    }

    /// How long it is waited for after it lasted so long.
    async fn waits(unasked: &Arc<Unasked>, lasts: Duration, is_resumed: bool) -> u64 {
        let open = unasked.opens();
        tokio::time::sleep(lasts).await;
        drop(open);
        let ended = Instant::now();
        assert!(!unasked.turn(is_resumed).await);
        ended.elapsed().as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_ends_at_once_is_asked_for_less_and_less_often_until_it_holds() {
        let unasked = Arc::new(Unasked::default());
        assert!(unasked.turn(false).await);
        for seconds in [1, 2, 4] {
            assert_eq!(waits(&unasked, Duration::ZERO, false).await, seconds);
        }
        assert_eq!(waits(&unasked, AGAIN * 60, false).await, 1, "it held for a minute");
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_goes_on_where_it_ended_is_asked_for_each_second() {
        let unasked = Arc::new(Unasked::default());
        assert!(unasked.turn(false).await);
        for _ in 0..4 {
            assert!(waits(&unasked, Duration::ZERO, true).await <= 1);
        }
    }

    #[test]
    fn one_that_never_comes_is_asked_for_without_an_end() {
        for times in [0, 1, 10, 1_000] {
            assert!(again().retry(times).is_some_and(|wait| (AGAIN..=AGAIN_AT_LAST).contains(&wait)), "{times}");
        }
    }

    #[test]
    fn a_server_that_had_one_has_it_whatever_fails() {
        let unasked = Arc::new(Unasked::default());
        let may_come = |status: u16| unasked.may_come(StatusCode::from_u16(status).unwrap());
        assert!([429, 502, 503, 504].into_iter().all(may_come), "what stands before a server says so");
        assert!(![400, 404, 405, 500, 501].into_iter().any(may_come), "it has none");
        drop(unasked.opens());
        assert!([429, 500, 502, 503].into_iter().all(may_come) && ![404, 405].into_iter().any(may_come));
    }
}
