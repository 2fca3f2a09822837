//! What the bot keeps beyond its own life: with all that are of the same app, workspace and database.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use omni_core::{Error, kept::Kept};
use serde_json::{Value, json};
use tokio::{
    task::JoinHandle,
    time::{interval_at, timeout},
};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::Bot;
use crate::event::KNOWN_FOR;

/// How long a claim outlives a process that ended without a word, and how often one that lives says so.
const LEASE: Duration = Duration::from_secs(60);
pub(super) const RENEW_EVERY: Duration = Duration::from_secs(20);
/// How long anybody waits to know whether something is theirs.
const PATIENCE: Duration = Duration::from_secs(2);

/// Whose something is.
pub(super) enum Whose {
    /// This process's, for as long as this is held.
    Ours(Claim),
    /// Another one does it, or ended while it did.
    Others,
    /// It is done.
    Done,
}

/// Something that this process does, and no other. Whoever drops it lets others do it after a while.
#[derive(Debug)]
pub(super) struct Claim {
    held: Option<Held>,
    /// How often it could not be said that it is held.
    missed: Arc<AtomicU64>,
}

/// What a claim holds, for as long as that is said again.
#[derive(Debug)]
struct Held {
    kept: Kept,
    key: String,
    stop: DropGuard,
    renewing: JoinHandle<()>,
}

impl Held {
    fn renewed(kept: Kept, key: String, missed: Arc<AtomicU64>) -> Self {
        let stop = CancellationToken::new();
        let (values, name, stopped) = (kept.clone(), key.clone(), stop.clone());
        let renewing = tokio::spawn(async move { renew(&values, &name, &missed, &stopped).await });
        Self { kept, key, stop: stop.drop_guard(), renewing }
    }

    /// It is not said again that it is held: not even by what was on its way to the database, which would stand there
    /// in the place of what comes next.
    async fn ends(self) -> (Kept, String) {
        let Self { kept, key, stop, renewing } = self;
        drop(stop);
        drop(renewing.await);
        (kept, key)
    }
}

impl Claim {
    fn of(kept: Option<(Kept, String)>) -> Self {
        let missed = Arc::new(AtomicU64::new(0));
        let held = kept.map(|(kept, key)| Held::renewed(kept, key, missed.clone()));
        Self { held, missed }
    }

    /// How often it could not be said that it is held: others may have taken it for left then.
    pub(super) fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }

    /// What nobody else can have: others look whether it is there.
    pub(super) async fn own(kept: Kept, key: &str) -> Self {
        let key = seen(key);
        if let Err(error) = in_time(kept.put_for(&key, &Value::Null, LEASE)).await {
            tracing::warn!(%error, "another process may take this one for ended");
        }
        Self::of(Some((kept, key)))
    }

    /// It is done: nobody does it again.
    pub(super) async fn done(self) {
        let Some(held) = self.held else { return };
        let (kept, key) = held.ends().await;
        if let Err(error) = in_time(kept.put_for(&key, &json!(true), KNOWN_FOR)).await {
            tracing::warn!(%error, "another process may do again what is done");
        }
    }

    /// It is not done, and another one may do it.
    pub(super) async fn leave(self) {
        let Some(held) = self.held else { return };
        let (kept, key) = held.ends().await;
        if let Err(error) = in_time(kept.release(&key)).await {
            tracing::warn!(%error, "what this process leaves is left to others only after a while");
        }
    }
}

/// Says every so often that something is held; what is being said when it stops is said to its end.
async fn renew(kept: &Kept, key: &str, missed: &AtomicU64, stop: &CancellationToken) {
    let mut ticks = interval_at(tokio::time::Instant::now() + RENEW_EVERY, RENEW_EVERY);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        // One that hangs is not to keep the next from being in time.
        if let Err(error) = in_time(kept.put_for(key, &Value::Null, LEASE)).await {
            missed.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(%error, "another process may take this one for ended");
        }
    }
}

impl Bot {
    /// Where the bots of this app and workspace keep what is theirs; `None` without a database.
    pub(crate) fn kept(&self) -> Option<Kept> {
        let me = self.me();
        self.omni().kept(&format!("slack:{}:{}", me.team, me.user))
    }

    /// Whether something that came in is this process's to do: Slack may deliver the same to another one too. What has no
    /// key is, and so is everything where it is not known in time: done twice is better than not at all.
    pub(super) async fn is_ours(&self, key: Option<&str>) -> bool {
        let (Some(key), Some(kept)) = (key, self.kept()) else { return true };
        match in_time(kept.claim(&seen(key), KNOWN_FOR)).await {
            Ok(is_ours) => is_ours,
            Err(error) => {
                tracing::warn!(%error, "it is not known whether another process takes this in too");
                true
            }
        }
    }

    /// Whose something is that this process does not take on.
    pub(super) async fn whose(&self, key: &str) -> Whose {
        match self.kept() {
            Some(kept) => whose(&kept, &seen(key)).await,
            None => Whose::Others,
        }
    }

    /// Takes something on that one process is to do.
    pub(super) async fn take_on(&self, key: &str) -> Whose {
        let Some(kept) = self.kept() else { return Whose::Ours(Claim::of(None)) };
        let key = seen(key);
        match in_time(kept.claim(&key, LEASE)).await {
            Ok(true) => Whose::Ours(Claim::of(Some((kept, key)))),
            Ok(false) => whose(&kept, &key).await,
            Err(error) => {
                tracing::warn!(%error, "it is not known whether another process does this");
                Whose::Ours(Claim::of(None))
            }
        }
    }
}

/// Whether nobody holds something.
pub(super) async fn is_free(kept: &Kept, key: &str) -> Result<bool, Error> {
    Ok(in_time(kept.get(&seen(key))).await?.is_none())
}

/// What somebody did takes `true` for its value.
async fn whose(kept: &Kept, key: &str) -> Whose {
    match in_time(kept.get(key)).await {
        Ok(Some(Value::Bool(true))) => Whose::Done,
        _ => Whose::Others,
    }
}

fn seen(key: &str) -> String {
    format!("seen/{key}")
}

/// What is not known within [`PATIENCE`] is not known.
pub(super) async fn in_time<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    timeout(PATIENCE, work).await.unwrap_or(Err(Error::Timeout { after: PATIENCE }))
}

#[cfg(test)]
mod tests {
    use std::{
        collections::BTreeMap,
        sync::{Mutex, MutexGuard},
    };

    use async_trait::async_trait;
    use omni_core::{
        Omni,
        kept::{KeptError, KeptStore},
    };
    use tokio::sync::{Semaphore, watch};

    use super::*;

    /// A store where it takes a while until something is held, whether or not anybody waits for that.
    #[derive(Debug)]
    struct Late {
        values: Arc<Mutex<BTreeMap<String, Value>>>,
        gate: Arc<Semaphore>,
        /// How often something was to be held, and how often it was.
        begun: watch::Sender<usize>,
        held: watch::Sender<usize>,
    }

    impl Late {
        /// One where that takes no time once.
        fn after_one() -> Self {
            let gate = Arc::new(Semaphore::new(1));
            Self { values: Arc::default(), gate, begun: watch::Sender::new(0), held: watch::Sender::new(0) }
        }

        fn values(&self) -> MutexGuard<'_, BTreeMap<String, Value>> {
            self.values.lock().unwrap()
        }
    }

    #[async_trait]
    impl KeptStore for Late {
        async fn get(&self, _: &str, key: &str) -> Result<Option<Value>, KeptError> {
            Ok(self.values().get(key).cloned())
        }

        async fn put(&self, _: &str, key: &str, value: &Value, _: Option<Duration>) -> Result<(), KeptError> {
            if !value.is_null() {
                self.values().insert(key.to_owned(), value.clone());
                return Ok(());
            }
            let (values, gate, held, key) = (self.values.clone(), self.gate.clone(), self.held.clone(), key.to_owned());
            let holding = tokio::spawn(async move {
                gate.acquire().await.unwrap().forget();
                values.lock().unwrap().insert(key, Value::Null);
                held.send_modify(|held| *held += 1);
            });
            self.begun.send_modify(|begun| *begun += 1);
            holding.await.map_err(|error| KeptError::new(error.to_string()))
        }

        async fn replace(&self, _: &str, _: &str, _: Option<&Value>, _: &Value) -> Result<bool, KeptError> {
            Ok(false)
        }

        async fn remove(&self, _: &str, key: &str) -> Result<bool, KeptError> {
            Ok(self.values().remove(key).is_some())
        }

        async fn list(&self, _: &str, _: &str) -> Result<Vec<(String, Value)>, KeptError> {
            Ok(Vec::new())
        }

        async fn claim(&self, _: &str, _: &str, _: Duration) -> Result<bool, KeptError> {
            Ok(false)
        }

        async fn sweep(&self) -> Result<u64, KeptError> {
            Ok(0)
        }
    }

    /// What is kept of a claim that ends while it is being said again that it is held.
    async fn kept_after(ends: impl AsyncFnOnce(Claim)) -> Option<Value> {
        let store = Arc::new(Late::after_one());
        let omni = Omni::builder().kept(store.clone()).build().await.unwrap();
        tokio::time::pause();
        let (mut begun, mut held) = (store.begun.subscribe(), store.held.subscribe());
        let claim = Claim::own(omni.kept("door").unwrap(), "it").await;
        begun.wait_for(|begun| *begun == 2).await.unwrap();
        tokio::join!(ends(claim), async { store.gate.add_permits(1) });
        held.wait_for(|held| *held == 2).await.unwrap();
        store.values().get("seen/it").cloned()
    }

    #[tokio::test]
    async fn what_is_done_is_not_held_again_by_what_was_said_before() {
        assert_eq!(kept_after(Claim::done).await, Some(json!(true)));
    }

    #[tokio::test]
    async fn what_is_left_is_not_held_again_by_what_was_said_before() {
        assert_eq!(kept_after(Claim::leave).await, None);
    }
}
