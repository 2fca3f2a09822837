//! The stream on which a server speaks unasked: up to 2025-11-25 a session has one, which may break and come back.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use http::StatusCode;
use rmcp::transport::common::client_side_sse::ExponentialBackoff;
use tokio::time::{Instant, sleep_until};

/// How long after it was asked for it is asked for again at the soonest, and at the latest where it does not come.
const AGAIN: Duration = Duration::from_secs(1);
const AGAIN_AT_LAST: Duration = Duration::from_secs(30);

/// What became of a connection's stream so far.
#[derive(Debug, Default)]
pub(super) struct Unasked {
    /// When it may be asked for; `None` before the first time.
    next: Mutex<Option<Instant>>,
    was_open: AtomicBool,
}

impl Unasked {
    /// Waits until it may be asked for; whether that is the first time. One that breaks as soon as it is open is not
    /// asked for as fast as it breaks.
    pub(super) async fn turn(&self) -> bool {
        let due = self.due(Instant::now());
        if let Some(at) = due {
            sleep_until(at).await;
        }
        due.is_none()
    }

    /// When it is asked for, if not for the first time.
    fn due(&self, now: Instant) -> Option<Instant> {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let at = next.map(|at| at.max(now));
        *next = Some(at.unwrap_or(now) + AGAIN);
        at
    }

    /// It is there.
    pub(super) fn opens(&self) {
        self.was_open.store(true, Relaxed);
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
    async fn a_stream_that_breaks_at_once_is_asked_for_once_a_second() {
        let (unasked, began) = (Unasked::default(), Instant::now());
        assert!(unasked.turn().await);
        for seconds in 1..4 {
            assert!(!unasked.turn().await);
            assert_eq!(began.elapsed().as_secs(), seconds);
        }
        tokio::time::sleep(AGAIN * 60).await;
        let later = Instant::now();
        assert!(!unasked.turn().await);
        assert!(later.elapsed() < AGAIN, "it held for a minute");
    }

    #[test]
    fn one_that_never_comes_is_asked_for_without_an_end() {
        for times in [0, 1, 10, 1_000] {
            assert!(again().retry(times).is_some_and(|wait| (AGAIN..=AGAIN_AT_LAST).contains(&wait)), "{times}");
        }
    }

    #[test]
    fn a_server_that_had_one_has_it_whatever_fails() {
        let unasked = Unasked::default();
        let may_come = |status: u16| unasked.may_come(StatusCode::from_u16(status).unwrap());
        assert!([429, 502, 503, 504].into_iter().all(may_come), "what stands before a server says so");
        assert!(![400, 404, 405, 500, 501].into_iter().any(may_come), "it has none");
        unasked.opens();
        assert!([429, 500, 502, 503].into_iter().all(may_come) && ![404, 405].into_iter().any(may_come));
    }
}
