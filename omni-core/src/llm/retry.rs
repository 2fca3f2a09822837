//! Trying again, until one deadline: exponential pauses with jitter, or as long as the vendor says.

use std::{future::Future, time::Duration};

use backon::{ExponentialBuilder, Retryable};
use chrono::{DateTime, Utc};
use http::{HeaderMap, HeaderName, header::RETRY_AFTER};
use tokio::time::{Instant, timeout_at};

use super::LlmError;

/// Whether it makes sense to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Again {
    /// The same request will fail again.
    Never,
    /// After a pause.
    Later,
    /// Not before the vendor is ready.
    After(Duration),
}

/// A failed attempt.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) error: LlmError,
    pub(super) again: Again,
}

impl Failed {
    pub(super) fn never(error: LlmError) -> Self {
        Self { error, again: Again::Never }
    }

    pub(super) fn later(error: LlmError) -> Self {
        Self { error, again: Again::Later }
    }
}

/// How often and how soon to try again.
#[derive(Debug, Clone, Copy)]
pub(super) struct Retries {
    /// Most attempts beyond the first.
    pub(super) max: u32,
    /// The first pause; each one is about twice the one before, up to [`LONGEST_PAUSE`].
    pub(super) first_pause: Duration,
}

/// The longest pause that is not of the vendor's choosing.
const LONGEST_PAUSE: Duration = Duration::from_secs(8);

impl Retries {
    pub(super) fn new(max: u32) -> Self {
        Self { max, first_pause: Duration::from_millis(500) }
    }

    /// Makes attempts until one succeeds, all retries are used up, or `deadline`.
    ///
    /// A pause that would reach beyond the deadline is not begun: the error is there at once.
    pub(super) async fn run<T, F, Fut>(
        self,
        provider: &'static str,
        deadline: Instant,
        attempt: F,
    ) -> Result<T, LlmError>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T, Failed>>,
    {
        let pauses = ExponentialBuilder::default()
            .with_jitter()
            .with_min_delay(self.first_pause)
            .with_max_delay(LONGEST_PAUSE)
            .with_max_times(usize::try_from(self.max).unwrap_or(usize::MAX));
        let attempts = attempt
            .retry(pauses)
            .sleep(tokio::time::sleep)
            .when(|failed: &Failed| failed.again != Again::Never)
            .adjust(|failed, pause| within(deadline, pause_for(failed.again, pause?)))
            .notify(|failed, pause| {
                tracing::warn!(provider, error = %failed.error, pause_ms = crate::answer::millis(pause), "the model failed; trying again");
            });
        match timeout_at(deadline, attempts).await {
            Ok(result) => result.map_err(|failed| failed.error),
            Err(_) => Err(LlmError::Timeout { provider }),
        }
    }
}

/// Never earlier than the vendor says; the jitter keeps many clients from coming back at one moment.
fn pause_for(again: Again, jittered: Duration) -> Duration {
    match again {
        Again::After(at_least) => at_least.saturating_add(jittered / 8),
        Again::Later | Again::Never => jittered,
    }
}

fn within(deadline: Instant, pause: Duration) -> Option<Duration> {
    Instant::now().checked_add(pause).filter(|end| *end < deadline).map(|_| pause)
}

/// When the vendor says to come back: `retry-after-ms`, or `retry-after` in seconds or as a date.
pub(super) fn retry_after(headers: &HeaderMap, now: DateTime<Utc>) -> Option<Duration> {
    const RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    if let Some(ms) = text(RETRY_AFTER_MS).and_then(|ms| ms.parse().ok()) {
        return Some(Duration::from_millis(ms));
    }
    let text = text(RETRY_AFTER)?;
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let date = DateTime::parse_from_rfc2822(text).ok()?;
    Some((date.with_timezone(&Utc) - now).to_std().unwrap_or_default())
}

/// What the vendor says about trying again, where it says anything: `x-should-retry`.
pub(super) fn should_retry(headers: &HeaderMap) -> Option<bool> {
    match headers.get("x-should-retry")?.as_bytes() {
        b"true" => Some(true),
        b"false" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use http::HeaderValue;

    use super::*;

    const QUICK: Retries = Retries { max: 3, first_pause: Duration::from_millis(1) };

    fn overloaded() -> LlmError {
        LlmError::Unavailable { provider: "test", status: "529".into(), message: "Overloaded".into() }
    }

    /// Fails `times` times; gives the result and the number of attempts.
    async fn run(times: u32, again: Again, deadline: Duration) -> (Result<u32, LlmError>, u32) {
        let attempts = AtomicU32::new(0);
        let attempt = || {
            let n = attempts.fetch_add(1, Ordering::Relaxed);
            async move { if n < times { Err(Failed { error: overloaded(), again }) } else { Ok(n) } }
        };
        let result = QUICK.run("test", Instant::now() + deadline, attempt).await;
        (result, attempts.into_inner())
    }

    #[tokio::test]
    async fn a_passing_fault_is_retried_until_it_passes() {
        let (result, attempts) = run(2, Again::Later, Duration::from_secs(5)).await;
        assert_eq!((result.unwrap(), attempts), (2, 3));
    }

    #[tokio::test]
    async fn retries_end_with_the_last_error() {
        let (result, attempts) = run(u32::MAX, Again::Later, Duration::from_secs(5)).await;
        assert!(matches!(result, Err(LlmError::Unavailable { .. })));
        assert_eq!(attempts, 1 + QUICK.max);
    }

    #[tokio::test]
    async fn a_fault_that_stays_is_not_retried() {
        let (result, attempts) = run(u32::MAX, Again::Never, Duration::from_secs(5)).await;
        assert!(result.is_err());
        assert_eq!(attempts, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn the_vendors_pause_is_kept() {
        let start = Instant::now();
        let (result, _) = run(1, Again::After(Duration::from_millis(80)), Duration::from_secs(5)).await;
        assert!(result.is_ok());
        assert!(start.elapsed() >= Duration::from_millis(80));
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_beyond_the_deadline_is_not_begun() {
        let start = Instant::now();
        let (result, attempts) = run(1, Again::After(Duration::from_secs(60)), Duration::from_secs(5)).await;
        assert!(matches!(result, Err(LlmError::Unavailable { .. })));
        assert_eq!(attempts, 1);
        assert_eq!(start.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn an_attempt_that_hangs_ends_at_the_deadline() {
        let deadline = Instant::now() + Duration::from_millis(30);
        let result: Result<(), _> = QUICK.run("test", deadline, std::future::pending).await;
        assert!(matches!(result, Err(LlmError::Timeout { provider: "test" })));
    }

    #[test]
    fn retry_after_is_read_in_seconds_milliseconds_and_as_a_date() {
        let now = DateTime::parse_from_rfc3339("2026-11-20T10:00:00Z").unwrap().with_timezone(&Utc);
        let read = |name: &'static str, value: &'static str| {
            let headers = HeaderMap::from_iter([(HeaderName::from_static(name), HeaderValue::from_static(value))]);
            retry_after(&headers, now)
        };
        assert_eq!(read("retry-after", "7"), Some(Duration::from_secs(7)));
        assert_eq!(read("retry-after", " 0.5 "), Some(Duration::from_millis(500)));
        assert_eq!(read("retry-after-ms", "120"), Some(Duration::from_millis(120)));
        assert_eq!(read("retry-after", "Fri, 20 Nov 2026 10:00:30 GMT"), Some(Duration::from_secs(30)));
        assert_eq!(read("retry-after", "Fri, 20 Nov 2026 09:00:00 GMT"), Some(Duration::ZERO));
        for nonsense in ["soon", "-1", "NaN", "inf", ""] {
            assert_eq!(read("retry-after", nonsense), None, "{nonsense}");
        }
    }
}
