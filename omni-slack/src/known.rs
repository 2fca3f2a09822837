//! What Slack was asked and said, for some minutes.

use std::{sync::Arc, time::Duration};

use moka::sync::Cache;
use tokio::sync::OnceCell;

use crate::port::SlackError;

/// Answers by what was asked. Whoever wants to know the same meanwhile waits for the one answer; an error is theirs alone
/// who waited for it.
#[derive(Debug, Clone)]
pub(crate) struct Known<T: Clone + Send + Sync + 'static>(Cache<String, Asked<T>>);

type Asked<T> = Arc<OnceCell<Result<T, SlackError>>>;

impl<T: Clone + Send + Sync + 'static> Known<T> {
    /// At most so many, each for so long.
    pub(crate) fn new(most: u64, lasts: Duration) -> Self {
        Self(Cache::builder().max_capacity(most).time_to_live(lasts).build())
    }

    /// What is known, or is found out now.
    pub(crate) async fn of(
        &self,
        key: &str,
        ask: impl Future<Output = Result<T, SlackError>>,
    ) -> Result<T, SlackError> {
        let asked = self.0.get_with_by_ref(key, Arc::default);
        let answer = asked.get_or_init(|| ask).await.clone();
        if answer.is_err() {
            self.0.invalidate(key);
        }
        answer
    }

    /// What is known by now.
    pub(crate) fn now(&self, key: &str) -> Option<T> {
        self.0.get(key)?.get()?.clone().ok()
    }

    /// It is asked anew next.
    pub(crate) fn forget(&self, key: &str) {
        self.0.invalidate(key);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_asks_the_same_at_once_waits_for_one_answer_and_an_error_is_not_kept() {
        let (known, asks) = (Known::new(10, Duration::from_secs(60)), AtomicUsize::new(0));
        let ask = async |answer: Result<u8, SlackError>| {
            asks.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_secs(1)).await;
            answer
        };
        let error = || SlackError::api("users.info", "internal_error");
        let failed = || known.of("a", ask(Err(error())));
        assert_eq!(tokio::join!(failed(), failed(), failed()), (Err(error()), Err(error()), Err(error())));
        assert_eq!(asks.load(Ordering::SeqCst), 1);
        assert_eq!(known.now("a"), None);
        let told = || known.of("a", ask(Ok(7)));
        assert_eq!(tokio::join!(told(), told(), told()), (Ok(7), Ok(7), Ok(7)));
        assert_eq!((asks.load(Ordering::SeqCst), known.now("a")), (2, Some(7)));
        known.forget("a");
        assert_eq!((known.of("a", ask(Ok(8))).await, asks.load(Ordering::SeqCst)), (Ok(8), 3));
    }
}
