//! A method of which Slack wants no more for a while.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// Until when it is left alone.
#[derive(Debug, Default)]
pub(super) struct Rest(Mutex<Option<Instant>>);

impl Rest {
    /// It is left alone for so long.
    pub(super) fn begins(&self, pause: Duration) {
        let mut until = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let end = Instant::now() + pause;
        *until = Some(until.map_or(end, |until| until.max(end)));
    }

    /// For how long it is still left alone, if it is.
    pub(super) fn left(&self) -> Option<Duration> {
        let until = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        until.map(|until| until.saturating_duration_since(Instant::now())).filter(|left| !left.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_rest_ends_by_itself_and_the_longest_counts() {
        let rest = Rest::default();
        assert_eq!(rest.left(), None);
        rest.begins(Duration::from_secs(30));
        rest.begins(Duration::from_secs(3));
        assert_eq!(rest.left(), Some(Duration::from_secs(30)));
        tokio::time::advance(Duration::from_secs(30)).await;
        assert_eq!(rest.left(), None);
    }
}
