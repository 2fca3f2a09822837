//! What time it is.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::{sync::watch, time::sleep};

/// How long a minute is.
const MINUTE: i64 = 60_000;

/// What time it is for what is done on schedule, and for what is told of today.
#[derive(Debug, Clone, Default)]
pub struct Clock(Option<watch::Receiver<DateTime<Utc>>>);

impl Clock {
    /// A clock that somebody sets.
    #[must_use]
    pub fn told(by: watch::Receiver<DateTime<Utc>>) -> Self {
        Self(Some(by))
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.0.as_ref().map_or_else(Utc::now, |told| *told.borrow())
    }

    /// Waits for the next minute, or until somebody sets the clock.
    pub(crate) async fn ticks(&mut self) -> DateTime<Utc> {
        match &mut self.0 {
            None => {
                let left = MINUTE - Utc::now().timestamp_millis().rem_euclid(MINUTE);
                sleep(Duration::from_millis(left.unsigned_abs())).await;
            }
            Some(told) => {
                if told.changed().await.is_err() {
                    // Nobody is left who could.
                    std::future::pending::<()>().await;
                }
            }
        }
        self.now()
    }
}
