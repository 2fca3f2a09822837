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
use tokio::time::{interval_at, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::Bot;

/// How long something that Slack delivered is not taken in again by anybody: duplicates come minutes later.
const KNOWN_FOR: Duration = Duration::from_secs(2 * 60 * 60);
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
    kept: Option<(Kept, String)>,
    /// How often it could not be said that it is held.
    missed: Arc<AtomicU64>,
    _renewing: DropGuard,
}

impl Claim {
    fn of(kept: Option<(Kept, String)>) -> Self {
        let (stop, missed) = (CancellationToken::new(), Arc::new(AtomicU64::new(0)));
        if let Some((kept, key)) = kept.clone() {
            let (stopped, missed) = (stop.clone(), missed.clone());
            tokio::spawn(async move { stopped.run_until_cancelled(renew(&kept, &key, &missed)).await });
        }
        Self { kept, missed, _renewing: stop.drop_guard() }
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
        let Some((kept, key)) = &self.kept else { return };
        if let Err(error) = kept.put_for(key, &json!(true), KNOWN_FOR).await {
            tracing::warn!(%error, "another process may do again what is done");
        }
    }

    /// It is not done, and another one may do it.
    pub(super) async fn leave(self) {
        let Some((kept, key)) = &self.kept else { return };
        if let Err(error) = kept.release(key).await {
            tracing::warn!(%error, "what this process leaves is left to others only after a while");
        }
    }
}

async fn renew(kept: &Kept, key: &str, missed: &AtomicU64) {
    let mut ticks = interval_at(tokio::time::Instant::now() + RENEW_EVERY, RENEW_EVERY);
    loop {
        ticks.tick().await;
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
