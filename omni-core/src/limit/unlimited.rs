//! No limits: everything is granted and nothing is counted.

use async_trait::async_trait;

use super::{LimitError, RateLimiter, Reservation, ReservationId, Reserve, Settle};

/// For programs that want none.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unlimited;

#[async_trait]
impl RateLimiter for Unlimited {
    async fn reserve(&self, request: &Reserve) -> Result<Reservation, LimitError> {
        Ok(Reservation::new(request.id.clone(), Vec::new()))
    }

    async fn settle(&self, _: &Settle) -> Result<(), LimitError> {
        Ok(())
    }

    async fn renew(&self, _: &ReservationId) -> Result<(), LimitError> {
        Ok(())
    }
}
