//! The issuer's keys, and what else it publishes, as they are known, and when it is asked for them again.
//!
//! One task asks, whoever waits: never two at a time, and never more often than it may, however many
//! tokens name keys that nobody knows.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::{
    sync::{Notify, watch},
    time::{Instant, timeout},
};
use tokio_util::task::AbortOnDropHandle;

use super::fetch::{Published, WITHIN};

/// How old keys may be before the issuer is asked again, while they go on counting: a key that was
/// taken back counts no longer than this.
const FRESH: Duration = Duration::from_secs(600);
/// How old keys may be at all, while the issuer is away: about as long as a token lives.
const MAX_STALE: Duration = Duration::from_secs(3600);

/// Who publishes it.
#[async_trait]
pub(super) trait Source: Send + Sync + fmt::Debug {
    /// What the issuer publishes now; the error says what is wrong, in words for the operator.
    async fn published(&self) -> Result<Published, String>;
}

/// The keys of one issuer.
#[derive(Debug)]
pub(super) struct Keyring {
    looks: watch::Receiver<Looks>,
    wanted: Arc<Notify>,
    min_refresh: Duration,
    _asking: AbortOnDropHandle<()>,
}

/// What came of asking so far.
#[derive(Debug, Clone, Default)]
struct Looks {
    started: u64,
    finished: u64,
    /// When the last one started.
    tried: Option<Instant>,
    /// The keys, and since when they are known.
    known: Option<(Instant, Arc<Published>)>,
    /// Why the last one gave none.
    failure: Option<String>,
}

impl Looks {
    fn may_ask(&self, min_refresh: Duration) -> bool {
        self.tried.is_none_or(|tried| tried.elapsed() >= min_refresh)
    }

    /// Keys that are at most this old.
    fn published(&self, max_age: Duration) -> Option<Arc<Published>> {
        self.known.as_ref().filter(|(since, _)| since.elapsed() < max_age).map(|(_, keys)| keys.clone())
    }
}

impl Keyring {
    /// Keys that nobody has asked for yet. Must be called within a Tokio runtime.
    pub(super) fn new(issuer: impl Source + 'static, min_refresh: Duration) -> Self {
        let (sender, looks) = watch::channel(Looks::default());
        let wanted = Arc::new(Notify::new());
        let asking = tokio::spawn(ask(issuer, sender, wanted.clone(), min_refresh));
        Self { looks, wanted, min_refresh, _asking: AbortOnDropHandle::new(asking) }
    }

    /// The keys that count. Nobody waits for newer ones while there are some.
    ///
    /// # Errors
    /// Why there are none.
    pub(super) async fn published(&self) -> Result<Arc<Published>, String> {
        let looks = self.looks.borrow().clone();
        if let Some(keys) = looks.published(FRESH) {
            return Ok(keys);
        }
        match looks.published(MAX_STALE) {
            Some(keys) => {
                self.want(&looks);
                Ok(keys)
            }
            None => self.look().await,
        }
    }

    /// The keys as the issuer says them now, or said them when it was last asked, if it may not be
    /// asked again yet.
    ///
    /// # Errors
    /// Why it said none.
    pub(super) async fn look(&self) -> Result<Arc<Published>, String> {
        let mut looks = self.looks.clone();
        let before = looks.borrow().clone();
        if self.want(&before) {
            let waiting = looks.wait_for(|looks| looks.finished > before.finished).await;
            waiting.map_err(|_| "nobody asks the issuer any more".to_owned())?;
        }
        let now = looks.borrow().clone();
        match (now.failure, now.known) {
            (None, Some((_, keys))) => Ok(keys),
            (failure, _) => Err(failure.unwrap_or_default()),
        }
    }

    /// Has the issuer asked, if it may be; whether somebody asks it.
    fn want(&self, looks: &Looks) -> bool {
        if looks.started > looks.finished {
            return true;
        }
        let may = looks.may_ask(self.min_refresh);
        if may {
            self.wanted.notify_one();
        }
        may
    }
}

/// Asks whenever somebody wants it, for as long as anybody holds the keyring.
async fn ask(issuer: impl Source, looks: watch::Sender<Looks>, wanted: Arc<Notify>, min_refresh: Duration) {
    loop {
        wanted.notified().await;
        // Who wanted it saw how things stood before the last time.
        if !looks.borrow().may_ask(min_refresh) {
            continue;
        }
        looks.send_modify(|looks| {
            looks.started += 1;
            looks.tried = Some(Instant::now());
        });
        let said =
            timeout(WITHIN, issuer.published()).await.unwrap_or_else(|_| Err("it did not answer in time".into()));
        let was_away = looks.borrow().failure.is_some();
        match &said {
            Err(failure) if !was_away => tracing::warn!(failure, "the issuer of tokens cannot be asked for its keys"),
            Ok(_) if was_away => tracing::info!("the issuer of tokens can be asked for its keys again"),
            Ok(_) | Err(_) => {}
        }
        looks.send_modify(|looks| {
            looks.finished = looks.started;
            match said {
                Ok(keys) => (looks.known, looks.failure) = (Some((Instant::now(), Arc::new(keys))), None),
                Err(failure) => looks.failure = Some(failure),
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use futures::future::join_all;
    use tokio::{task::yield_now, time::advance};

    use super::*;

    const EVERY: Duration = Duration::from_secs(10);

    /// An issuer that can go away, and counts how often it was asked.
    #[derive(Debug, Default, Clone)]
    struct Fake {
        asked: Arc<AtomicUsize>,
        away: Arc<AtomicBool>,
    }

    #[async_trait]
    impl Source for Fake {
        async fn published(&self) -> Result<Published, String> {
            self.asked.fetch_add(1, Ordering::SeqCst);
            yield_now().await;
            if self.away.load(Ordering::SeqCst) { Err("gone".into()) } else { Ok(Published::default()) }
        }
    }

    impl Fake {
        fn asked(&self) -> usize {
            self.asked.load(Ordering::SeqCst)
        }

        /// Waits until it was asked so often and has answered.
        async fn was_asked(&self, times: usize, ring: &Keyring) {
            let mut looks = ring.looks.clone();
            looks.wait_for(|looks| looks.finished as usize == times).await.unwrap();
            assert_eq!(self.asked(), times);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn old_keys_count_while_newer_ones_are_on_their_way() {
        let fake = Fake::default();
        let ring = Keyring::new(fake.clone(), EVERY);
        let first = ring.published().await.unwrap();
        advance(FRESH - Duration::from_secs(1)).await;
        ring.published().await.unwrap();
        assert_eq!(fake.asked(), 1);
        advance(Duration::from_secs(1)).await;
        assert!(Arc::ptr_eq(&ring.published().await.unwrap(), &first));
        fake.was_asked(2, &ring).await;
        assert!(!Arc::ptr_eq(&ring.published().await.unwrap(), &first));
    }

    #[tokio::test(start_paused = true)]
    async fn keys_count_for_an_hour_while_the_issuer_is_away_and_no_longer() {
        let fake = Fake::default();
        let ring = Keyring::new(fake.clone(), EVERY);
        ring.published().await.unwrap();
        fake.away.store(true, Ordering::SeqCst);
        advance(MAX_STALE - Duration::from_secs(1)).await;
        assert!(ring.published().await.is_ok());
        fake.was_asked(2, &ring).await;
        advance(Duration::from_secs(1)).await;
        assert_eq!(ring.published().await.unwrap_err(), "gone");
        fake.away.store(false, Ordering::SeqCst);
        advance(EVERY).await;
        assert!(ring.published().await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn the_issuer_is_asked_once_whoever_waits_and_not_again_for_a_while() {
        let fake = Fake { away: Arc::new(true.into()), ..Fake::default() };
        let ring = Keyring::new(fake.clone(), EVERY);
        for round in 1..4 {
            let all = join_all((0..20).map(|_| ring.look())).await;
            assert!(all.iter().all(Result::is_err) && ring.published().await.is_err());
            assert_eq!(fake.asked(), round);
            advance(EVERY).await;
        }
    }
}
