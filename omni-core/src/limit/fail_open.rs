//! Lets asks pass when the limiter is away, where the operator prefers that to refusing them.

use std::time::Duration;

use async_trait::async_trait;
use tokio::time::timeout;

use super::{Charge, LimitError, RateLimiter, Reservation, ReservationId, Reserve, Settle, Standing};
use crate::parts::STEP_TIMEOUT;

/// How long a limiter that does not answer is waited for: within the time of its step, and longer than
/// any backend takes that is there and busy. One that is only slow still refuses.
const PATIENCE: Duration = Duration::from_millis(9_500);

const _: () = assert!(PATIENCE.as_millis() < STEP_TIMEOUT.as_millis());
#[cfg(any(feature = "sqlite", feature = "postgres"))]
const _: () = assert!(super::sql::OPERATION.as_millis() < PATIENCE.as_millis());
#[cfg(feature = "redis")]
const _: () = assert!(super::redis::OPERATION.as_millis() < PATIENCE.as_millis());

/// A limiter whose absence lets everything pass. What it can still refuse, it refuses.
#[derive(Debug)]
pub struct FailOpen<L> {
    inner: L,
}

impl<L: RateLimiter> FailOpen<L> {
    /// Wraps a limiter.
    #[must_use]
    pub fn new(inner: L) -> Self {
        Self { inner }
    }
}

#[async_trait]
impl<L: RateLimiter> RateLimiter for FailOpen<L> {
    async fn reserve(&self, request: &Reserve) -> Result<Reservation, LimitError> {
        let message = match timeout(PATIENCE, self.inner.reserve(request)).await {
            Ok(Err(LimitError::Unavailable { message })) => message,
            Ok(decided) => return decided,
            Err(_) => "no answer in time".into(),
        };
        tracing::warn!(message, "the rate limiter is away and lets an ask pass unlimited");
        Ok(Reservation::new(request.id.clone(), Vec::new()))
    }

    async fn settle(&self, settle: &Settle) -> Result<(), LimitError> {
        self.inner.settle(settle).await
    }

    async fn renew(&self, id: &ReservationId) -> Result<(), LimitError> {
        self.inner.renew(id).await
    }

    async fn peek(&self, charges: &[Charge]) -> Result<Vec<Standing>, LimitError> {
        self.inner.peek(charges).await
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;
    use crate::limit::{Limit, LimitKey, memory::MemoryLimiter};

    #[derive(Debug)]
    struct Away;

    #[async_trait]
    impl RateLimiter for Away {
        async fn reserve(&self, _: &Reserve) -> Result<Reservation, LimitError> {
            Err(LimitError::Unavailable { message: "connection refused".into() })
        }

        async fn settle(&self, _: &Settle) -> Result<(), LimitError> {
            Ok(())
        }

        async fn renew(&self, _: &ReservationId) -> Result<(), LimitError> {
            Ok(())
        }
    }

    #[derive(Debug)]
    struct Hung;

    #[async_trait]
    impl RateLimiter for Hung {
        async fn reserve(&self, _: &Reserve) -> Result<Reservation, LimitError> {
            std::future::pending().await
        }

        async fn settle(&self, _: &Settle) -> Result<(), LimitError> {
            Ok(())
        }

        async fn renew(&self, _: &ReservationId) -> Result<(), LimitError> {
            Ok(())
        }
    }

    /// As slow as a backend under load may be.
    #[derive(Debug)]
    struct Busy(MemoryLimiter);

    #[async_trait]
    impl RateLimiter for Busy {
        async fn reserve(&self, request: &Reserve) -> Result<Reservation, LimitError> {
            sleep(Duration::from_secs(9)).await;
            self.0.reserve(request).await
        }

        async fn settle(&self, settle: &Settle) -> Result<(), LimitError> {
            self.0.settle(settle).await
        }

        async fn renew(&self, id: &ReservationId) -> Result<(), LimitError> {
            self.0.renew(id).await
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_limiter_that_is_busy_still_refuses() {
        let charge = Charge { key: LimitKey::new("t", "k"), limit: Limit::Concurrent { max: 0 }, amount: 1 };
        let refused = FailOpen::new(Busy(MemoryLimiter::new())).reserve(&Reserve::new(vec![charge])).await;
        assert!(matches!(refused, Err(LimitError::Refused(_))), "{refused:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_limiter_that_hangs_is_away_too() {
        assert!(FailOpen::new(Hung).reserve(&Reserve::new(Vec::new())).await.is_ok());
    }

    #[tokio::test]
    async fn a_limiter_that_is_away_lets_pass_and_one_that_is_there_still_refuses() {
        let charge = Charge { key: LimitKey::new("t", "k"), limit: Limit::Concurrent { max: 0 }, amount: 1 };
        let request = Reserve::new(vec![charge]);
        assert!(FailOpen::new(Away).reserve(&request).await.is_ok());
        assert!(FailOpen::new(MemoryLimiter::new()).reserve(&request).await.is_err());
    }
}
