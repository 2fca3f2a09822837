//! Whether anybody uses a session any more. Its transport lives by whatever passes it, which is also what a client is
//! told unasked: one that went without a word would be told for ever.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use rmcp::model::RequestId;
use tokio_util::sync::CancellationToken;

/// The longest that a call may take, as no time-out of a configuration is longer: what has no answer by then gets none,
/// for whatever should give it has failed.
const LONGEST_CALL: Duration = Duration::from_secs(24 * 60 * 60);

/// How a session is used, and its end when it is not.
pub(super) struct Used {
    idle: Duration,
    state: Mutex<State>,
    ended: CancellationToken,
}

struct State {
    /// When its client was there, or something of its ended.
    last: Instant,
    /// Streams that are open, and requests that run outside the transport.
    held: usize,
    /// Requests that came by the transport and have no answer yet, and when they came.
    unanswered: HashMap<RequestId, Instant>,
}

impl Used {
    /// A session that ends when it is not used for so long.
    pub(super) fn new(idle: Duration) -> Self {
        let state = State { last: Instant::now(), held: 0, unanswered: HashMap::new() };
        Self { idle, state: Mutex::new(state), ended: CancellationToken::new() }
    }

    /// Its client is there again; whether the session still is.
    pub(super) fn again(&self) -> bool {
        let mut state = self.state();
        state.last = Instant::now();
        !self.ended.is_cancelled()
    }

    /// Its client waits for an answer.
    pub(super) fn asks(&self, id: RequestId) {
        self.state().unanswered.insert(id, Instant::now());
    }

    /// Its client waits for an answer no more.
    pub(super) fn answered(&self, id: &RequestId) {
        let mut state = self.state();
        if state.unanswered.remove(id).is_some() {
            state.last = Instant::now();
        }
    }

    /// Whether its client waits for an answer to this.
    pub(super) fn waits_for(&self, id: &RequestId) -> bool {
        self.state().unanswered.contains_key(id)
    }

    /// Ends it where nobody used it for too long; whether it has ended.
    pub(super) fn ends_if_abandoned(&self, now: Instant) -> bool {
        let mut state = self.state();
        state.unanswered.retain(|_, came| now.saturating_duration_since(*came) < LONGEST_CALL);
        let is_idle = now.saturating_duration_since(state.last) >= self.idle;
        if is_idle && state.held == 0 && state.unanswered.is_empty() {
            self.ended.cancel();
        }
        self.ended.is_cancelled()
    }

    /// Waits for its end.
    pub(super) async fn ended(&self) {
        self.ended.cancelled().await;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Something of a client's that goes on. While it is there its session is used.
pub(super) struct Held(Arc<Used>);

impl Held {
    pub(super) fn of(used: &Arc<Used>) -> Self {
        used.state().held += 1;
        Self(used.clone())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.held -= 1;
        state.last = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Duration = Duration::from_secs(60);

    fn later() -> Instant {
        Instant::now() + IDLE
    }

    #[test]
    fn a_session_that_nobody_uses_for_long_enough_ends_and_does_not_come_back() {
        let used = Used::new(IDLE);
        assert!(!used.ends_if_abandoned(Instant::now()) && !used.ends_if_abandoned(Instant::now() + IDLE / 2));
        assert!(used.ends_if_abandoned(later()));
        assert!(!used.again() && used.ends_if_abandoned(Instant::now()));
    }

    #[test]
    fn a_session_is_used_while_something_of_its_client_goes_on_and_begins_to_idle_after_that() {
        let used = Arc::new(Used::new(IDLE));
        let (one, other) = (Held::of(&used), Held::of(&used));
        drop(one);
        assert!(!used.ends_if_abandoned(later()));
        drop(other);
        used.asks(RequestId::Number(1));
        used.answered(&RequestId::Number(2));
        assert!(!used.ends_if_abandoned(later()));
        used.answered(&RequestId::Number(1));
        assert!(used.again() && !used.ends_if_abandoned(Instant::now()));
        assert!(used.ends_if_abandoned(later()));
    }

    #[test]
    fn a_request_that_is_never_answered_keeps_its_session_no_longer_than_a_call_may_take() {
        let used = Used::new(IDLE);
        used.asks(RequestId::Number(1));
        assert!(!used.ends_if_abandoned(Instant::now() + LONGEST_CALL - IDLE));
        assert!(used.ends_if_abandoned(Instant::now() + LONGEST_CALL));
    }
}
