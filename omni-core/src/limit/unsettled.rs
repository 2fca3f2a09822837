//! Reservations that could not be settled at once: tried again for as long as they can be settled, so
//! that a backend which was away for a moment keeps no budget until the end of its period.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures::FutureExt as _;
use tokio::{
    sync::Semaphore,
    time::{Instant, sleep, timeout, timeout_at},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{RateLimiter, Settle};
use crate::parts::STEP_TIMEOUT;

/// Most that are tried again at the same time; what is beyond lapses by itself.
const MOST: usize = 1_024;
/// How long the first pause between two tries is; each is twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// How long a pause is at most.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// What is to be settled yet.
#[derive(Debug)]
pub(crate) struct Unsettled {
    tasks: TaskTracker,
    room: Arc<Semaphore>,
    closing: CancellationToken,
}

impl Unsettled {
    pub(crate) fn new() -> Self {
        Self { tasks: TaskTracker::new(), room: Arc::new(Semaphore::new(MOST)), closing: CancellationToken::new() }
    }

    /// Tries to settle until it is done, or until `until`. Settling twice changes nothing.
    pub(crate) fn keep(&self, limiter: Arc<dyn RateLimiter>, settle: Settle, until: Instant) {
        let Ok(room) = self.room.clone().try_acquire_owned() else {
            tracing::warn!("a reservation is not settled: too many wait for it; it lapses by itself");
            return;
        };
        let closing = self.closing.clone();
        self.tasks.spawn(async move {
            let _room = room;
            match timeout_at(until, settled(&*limiter, &settle, &closing)).await {
                Ok(true) => tracing::info!("a reservation was settled late"),
                Ok(false) | Err(_) => tracing::warn!("a reservation was never settled; it lapses by itself"),
            }
        });
    }

    /// Tries each for the last time, and waits for that.
    pub(crate) async fn close(&self) {
        self.closing.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

impl Drop for Unsettled {
    fn drop(&mut self) {
        self.closing.cancel();
    }
}

/// Whether it was settled before the last try.
async fn settled(limiter: &dyn RateLimiter, settle: &Settle, closing: &CancellationToken) -> bool {
    let mut pause = FIRST_PAUSE;
    loop {
        let is_last = closing.run_until_cancelled(sleep(pause)).await.is_none();
        let settling = AssertUnwindSafe(limiter.settle(settle)).catch_unwind();
        match timeout(STEP_TIMEOUT, settling).await {
            Ok(Ok(Ok(()))) => return true,
            Ok(Err(_)) => return false,
            Ok(Ok(Err(_))) | Err(_) if is_last => return false,
            Ok(Ok(Err(_))) | Err(_) => pause = LONGEST_PAUSE.min(pause * 2),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use async_trait::async_trait;

    use super::*;
    use crate::limit::{LimitError, Reservation, ReservationId, Reserve};

    /// A limiter that settles at the `nth` try.
    #[derive(Debug)]
    struct AwayUntil {
        nth: u32,
        tries: AtomicU32,
    }

    impl AwayUntil {
        fn nth(nth: u32) -> Arc<Self> {
            Arc::new(Self { nth, tries: AtomicU32::new(0) })
        }

        fn tries(&self) -> u32 {
            self.tries.load(Ordering::SeqCst)
        }
    }

    #[async_trait]
    impl RateLimiter for AwayUntil {
        async fn reserve(&self, request: &Reserve) -> Result<Reservation, LimitError> {
            Ok(Reservation::new(request.id.clone(), Vec::new()))
        }

        async fn settle(&self, _: &Settle) -> Result<(), LimitError> {
            match self.tries.fetch_add(1, Ordering::SeqCst) + 1 < self.nth {
                true => Err(LimitError::Unavailable { message: "connection refused".into() }),
                false => Ok(()),
            }
        }

        async fn renew(&self, _: &ReservationId) -> Result<(), LimitError> {
            Ok(())
        }
    }

    fn settle() -> Settle {
        Settle::new(ReservationId::new("t"))
    }

    fn in_an_hour() -> Instant {
        Instant::now() + Duration::from_secs(3_600)
    }

    #[tokio::test(start_paused = true)]
    async fn a_reservation_is_settled_as_soon_as_the_limiter_is_back() {
        let (unsettled, limiter) = (Unsettled::new(), AwayUntil::nth(9));
        unsettled.keep(limiter.clone(), settle(), in_an_hour());
        unsettled.tasks.close();
        unsettled.tasks.wait().await;
        assert_eq!(limiter.tries(), 9, "not once more than it takes");
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_tried_when_it_cannot_be_settled_any_more() {
        let (unsettled, limiter) = (Unsettled::new(), AwayUntil::nth(u32::MAX));
        unsettled.keep(limiter.clone(), settle(), Instant::now() + Duration::from_secs(60));
        unsettled.tasks.close();
        unsettled.tasks.wait().await;
        assert!((2..=12).contains(&limiter.tries()), "{}", limiter.tries());
    }

    #[tokio::test(start_paused = true)]
    async fn what_waits_at_the_end_is_tried_once_more_and_there_is_no_more_of_it_than_there_is_room_for() {
        let (unsettled, limiter) = (Unsettled::new(), AwayUntil::nth(u32::MAX));
        for _ in 0..MOST + 5 {
            unsettled.keep(limiter.clone(), settle(), in_an_hour());
        }
        unsettled.close().await;
        assert_eq!(limiter.tries(), MOST as u32);
    }
}
