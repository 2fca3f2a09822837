//! When GitHub wants to be left alone: who goes on asking is shut out for longer.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::error::{Error, Limited};

/// No window of GitHub's is longer.
const MAX_PAUSE: Duration = Duration::from_secs(60 * 60);

/// What GitHub counts together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bucket {
    /// Everything else.
    Core,
    /// Searches, of which there are fewer.
    Search,
}

#[derive(Debug, Clone)]
struct Pause {
    until: Instant,
    limited: Limited,
}

/// The pauses that GitHub asked for.
#[derive(Debug, Default)]
pub(super) struct Limits(Mutex<[Option<Pause>; 2]>);

impl Limits {
    /// # Errors
    /// [`Error::Limited`] while it is too early.
    pub(super) fn check(&self, bucket: Bucket) -> Result<(), Error> {
        let mut pauses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = &mut pauses[bucket as usize];
        let Some(pause) = slot else { return Ok(()) };
        let wait = pause.until.saturating_duration_since(Instant::now());
        if wait.is_zero() {
            *slot = None;
            return Ok(());
        }
        Err(Error::Limited(Limited { wait, ..pause.limited.clone() }))
    }

    pub(super) fn note(&self, bucket: Bucket, limited: &Limited) {
        let pause = Pause { until: Instant::now() + limited.wait.min(MAX_PAUSE), limited: limited.clone() };
        let mut pauses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Who asks too fast does so altogether.
        let all = [Bucket::Core, Bucket::Search];
        for bucket in all.into_iter().filter(|other| limited.is_secondary || *other == bucket) {
            pauses[bucket as usize] = Some(pause.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limited(is_secondary: bool, wait_s: u64) -> Limited {
        let until = chrono::DateTime::UNIX_EPOCH;
        Limited { is_secondary, limit: None, has_token: true, until, wait: Duration::from_secs(wait_s) }
    }

    #[tokio::test(start_paused = true)]
    async fn a_limit_closes_what_it_counts_and_opens_by_itself() {
        let limits = Limits::default();
        limits.note(Bucket::Search, &limited(false, 60));
        assert!(limits.check(Bucket::Core).is_ok());
        tokio::time::advance(Duration::from_secs(20)).await;
        let Err(Error::Limited(told)) = limits.check(Bucket::Search) else { panic!("it is open") };
        assert_eq!(told.wait, Duration::from_secs(40));
        tokio::time::advance(Duration::from_secs(40)).await;
        assert!(limits.check(Bucket::Search).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_is_for_everything_and_for_an_hour_at_most() {
        let limits = Limits::default();
        limits.note(Bucket::Core, &limited(true, 1_000_000));
        assert!(limits.check(Bucket::Core).is_err() && limits.check(Bucket::Search).is_err());
        tokio::time::advance(MAX_PAUSE).await;
        assert!(limits.check(Bucket::Core).is_ok() && limits.check(Bucket::Search).is_ok());
    }
}
