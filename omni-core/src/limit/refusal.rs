//! What is said to whoever is refused.

use std::{fmt, time::Duration};

use super::{Limit, LimitKey};

/// A refused charge.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refusal {
    /// The count that was full.
    pub key: LimitKey,
    /// Its limit.
    pub limit: Limit,
    /// How much was taken before this ask.
    pub used: u64,
    /// When enough is free again.
    pub retry_after: Duration,
    /// The refusal in the words of whoever made the charge, where they know better than the limiter.
    text: Option<String>,
}

impl Refusal {
    /// A refusal.
    #[must_use]
    pub fn new(key: LimitKey, limit: Limit, used: u64, retry_after: Duration) -> Self {
        Self { key, limit, used, retry_after, text: None }
    }

    /// The same in other words.
    #[must_use]
    pub fn with_text(mut self, text: impl Into<String>) -> Self {
        self.text = Some(text.into());
        self
    }

    /// How much is allowed: `RateLimit-Limit`.
    #[must_use]
    pub fn max(&self) -> u64 {
        self.limit.max()
    }

    /// How much is left, too little for what was asked: `RateLimit-Remaining`.
    #[must_use]
    pub fn remaining(&self) -> u64 {
        self.max().saturating_sub(self.used)
    }

    /// Whole seconds until enough is free again, at least 1: `RateLimit-Reset`, `Retry-After`.
    #[must_use]
    pub fn reset_seconds(&self) -> u64 {
        rounded_up(self.retry_after, 1_000)
    }

    /// Whole minutes until enough is free again, at least 1.
    #[must_use]
    pub fn reset_minutes(&self) -> u64 {
        rounded_up(self.retry_after, 60_000)
    }
}

fn rounded_up(duration: Duration, unit_ms: u128) -> u64 {
    u64::try_from(duration.as_millis().div_ceil(unit_ms).max(1)).unwrap_or(u64::MAX)
}

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(text) = &self.text {
            return f.write_str(text);
        }
        let (used, max) = (self.used, self.max());
        match self.limit {
            // The words of the original, which people and programs know.
            Limit::Window { per: HOUR, .. } => write!(
                f,
                "Rate limit exceeded. You've made {used}/{max} requests in the last hour. Please try again in {} minutes.",
                self.reset_minutes()
            ),
            Limit::Window { per, .. } => {
                write!(f, "Rate limit exceeded. You've made {used}/{max} requests in the last ")?;
                match per {
                    SECOND => f.write_str("second")?,
                    MINUTE => f.write_str("minute")?,
                    other => write!(f, "{} seconds", other.as_secs())?,
                }
                write!(f, ". Please try again in {}.", seconds(self.reset_seconds()))
            }
            Limit::Concurrent { .. } => write!(
                f,
                "Too many requests at once: {used}/{max} of yours are still running. Please wait for one to finish."
            ),
            Limit::Budget { period, .. } => write!(
                f,
                "The budget of this {} is used up. It is renewed in {}.",
                period.as_str(),
                time(self.retry_after)
            ),
        }
    }
}

fn seconds(count: u64) -> String {
    counted(count, "second")
}

/// A time in the unit that people would take.
pub(crate) fn time(duration: Duration) -> String {
    match rounded_up(duration, 60_000) {
        minutes if minutes <= 120 => counted(minutes, "minute"),
        minutes if minutes <= 48 * 60 => counted(minutes.div_ceil(60), "hour"),
        minutes => counted(minutes.div_ceil(24 * 60), "day"),
    }
}

fn counted(count: u64, unit: &str) -> String {
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limit::Period;

    fn refusal(limit: Limit, used: u64, retry_after: Duration) -> Refusal {
        Refusal::new(LimitKey::new("default", "ask:hour:ada@company.com"), limit, used, retry_after)
    }

    #[test]
    fn the_hourly_refusal_has_the_words_of_the_original_and_at_least_one_minute() {
        let hour = Limit::Window { max: 20, per: HOUR };
        let text = |retry_after| refusal(hour, 20, retry_after).to_string();
        let expected = |minutes| {
            format!(
                "Rate limit exceeded. You've made 20/20 requests in the last hour. Please try again in {minutes} minutes."
            )
        };
        assert_eq!(text(Duration::from_secs(1_320)), expected(22));
        assert_eq!(text(Duration::from_secs(1_321)), expected(23), "rounded up");
        assert_eq!(text(Duration::from_secs(3)), expected(1));
        assert_eq!(text(Duration::ZERO), expected(1));
    }

    #[test]
    fn every_kind_of_limit_has_a_text_of_its_own() {
        let text = |limit, after| refusal(limit, 5, Duration::from_secs(after)).to_string();
        assert_eq!(
            text(Limit::Window { max: 5, per: MINUTE }, 12),
            "Rate limit exceeded. You've made 5/5 requests in the last minute. Please try again in 12 seconds."
        );
        assert_eq!(
            text(Limit::Window { max: 5, per: SECOND }, 0),
            "Rate limit exceeded. You've made 5/5 requests in the last second. Please try again in 1 second."
        );
        assert_eq!(
            text(Limit::Concurrent { max: 5 }, 1),
            "Too many requests at once: 5/5 of yours are still running. Please wait for one to finish."
        );
        let month = Limit::Budget { max: 5, period: Period::Month };
        assert_eq!(text(month, 3 * 86_400), "The budget of this month is used up. It is renewed in 3 days.");
    }

    #[test]
    fn a_refusal_says_limit_remaining_and_reset_for_headers() {
        let refusal = refusal(Limit::Window { max: 20, per: HOUR }, 18, Duration::from_millis(61_001));
        assert_eq!((refusal.max(), refusal.remaining(), refusal.reset_seconds()), (20, 2, 62));
    }
}
