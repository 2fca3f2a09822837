//! Lets asks pass when the limiter is away, where the operator prefers that to refusing them.

use std::time::Duration;

use async_trait::async_trait;
use tokio::time::timeout;

use super::{LimitError, RateLimiter, Reservation, ReservationId, Reserve, Settle};

/// How long a limiter that does not answer is waited for: well within the time of its step.
const PATIENCE: Duration = Duration::from_secs(3);

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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limit::{Charge, Limit, LimitKey, memory::MemoryLimiter};

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
