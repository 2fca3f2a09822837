//! The time of the workspace: the real one, and more where a test lets more pass.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::watch;

#[derive(Debug)]
pub(super) struct Clock {
    began: Instant,
    began_unix: Duration,
    set: watch::Sender<Set>,
}

/// What a test did to it.
#[derive(Debug, Clone, Copy, Default)]
struct Set {
    passed: Duration,
    /// When it was stopped.
    stopped: Option<Duration>,
}

impl Clock {
    pub(super) fn new() -> Self {
        let began_unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { began: Instant::now(), began_unix, set: watch::Sender::default() }
    }

    /// Since the workspace began.
    pub(super) fn now(&self) -> Duration {
        let set = *self.set.borrow();
        set.stopped.unwrap_or_else(|| self.real()) + set.passed
    }

    /// The same by the real time alone.
    pub(super) fn real(&self) -> Duration {
        self.began.elapsed()
    }

    /// Since 1970.
    pub(super) fn unix(&self) -> Duration {
        self.began_unix + self.now()
    }

    pub(super) fn passes(&self, time: Duration) {
        self.set.send_modify(|set| set.passed += time);
    }

    pub(super) fn stops(&self) {
        let now = self.real();
        self.set.send_modify(|set| set.stopped = set.stopped.or(Some(now)));
    }

    pub(super) async fn sleep_until(&self, at: Duration) {
        let mut set = self.set.subscribe();
        loop {
            let now = self.now();
            if now >= at {
                return;
            }
            let _ = tokio::time::timeout(at - now, set.changed()).await;
        }
    }
}
