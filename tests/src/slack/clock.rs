//! The time of the workspace: the real one, and more where a test lets more pass.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::watch;

#[derive(Debug)]
pub(super) struct Clock {
    began: Instant,
    began_unix: Duration,
    passed: watch::Sender<Duration>,
}

impl Clock {
    pub(super) fn new() -> Self {
        let began_unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { began: Instant::now(), began_unix, passed: watch::Sender::new(Duration::ZERO) }
    }

    /// Since the workspace began.
    pub(super) fn now(&self) -> Duration {
        self.began.elapsed() + *self.passed.borrow()
    }

    /// Since 1970.
    pub(super) fn unix(&self) -> Duration {
        self.began_unix + self.now()
    }

    pub(super) fn passes(&self, time: Duration) {
        self.passed.send_modify(|passed| *passed += time);
    }

    pub(super) async fn sleep_until(&self, at: Duration) {
        let mut passed = self.passed.subscribe();
        loop {
            let now = self.now();
            if now >= at {
                return;
            }
            let _ = tokio::time::timeout(at - now, passed.changed()).await;
        }
    }
}
