//! Moments to come, however long a wait somebody names.

use std::time::Duration;

use tokio::time::Instant;

/// The longest wait there is, thirty years. Whoever names a longer one, such as [`Duration::MAX`], means one without an
/// end, and no clock goes that far.
pub(crate) const FAR: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);

/// The moment so long after another, [`FAR`] at most.
pub(crate) fn after(moment: Instant, wait: Duration) -> Instant {
    moment + wait.min(FAR)
}

/// The moment so long from now, [`FAR`] at most.
pub(crate) fn from_now(wait: Duration) -> Instant {
    after(Instant::now(), wait)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_without_an_end_leads_to_a_moment_after_which_there_are_others() {
        let now = Instant::now();
        assert_eq!(after(now, Duration::from_secs(7)), now + Duration::from_secs(7));
        let far = after(now, Duration::MAX);
        assert!(far > after(now, FAR / 2) && after(far, Duration::MAX) > far);
    }
}
