//! Policy from the database: the tables hold what `users.yaml` holds, and are compiled by the same
//! code. What servers allow stands with the servers, in `mcps.yaml`.
//!
//! Whoever changes the tables raises the number in `policy_version`, in the same transaction; every
//! instance looks at it once a second.

use std::{
    panic::AssertUnwindSafe,
    sync::{Arc, Weak},
    time::Duration,
};

use async_trait::async_trait;
use futures::FutureExt as _;
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep, timeout},
};
use tokio_util::task::AbortOnDropHandle;

use super::{
    Grant, PolicyError, PolicyStore, PolicyVersion, Role, Standing,
    yaml::{Live, Origin, Rows, Sources},
};
use crate::{
    config::{Config, ConfigError},
    db::DbError,
    identity::Principal,
    people::{Stored, Tables},
    registry::{BuildError, Registry},
};

#[cfg(test)]
mod tests;

/// How often changes by other instances are looked for.
const EVERY: Duration = Duration::from_secs(1);
/// How long the tables may take to say what is asked of them in one look.
const LOOK: Duration = Duration::from_secs(5);
/// How long the last look counts while the database is away.
const MAX_STALE: Duration = Duration::from_secs(60);

/// Adds the kind `sql`.
pub fn register(registry: &mut Registry) {
    registry.policies.register("sql", |config| {
        Box::pin(async move {
            let Some(tables) = Tables::of_config(&config) else {
                return Err(BuildError::invalid(
                    "the policy `sql` needs a database; set database.url in settings.yaml",
                ));
            };
            let policy = SqlPolicy::new(&config, tables).map_err(|error| BuildError::invalid(error.to_string()))?;
            Ok(Arc::new(policy) as Arc<dyn PolicyStore>)
        })
    });
}

/// Who may do what, by the database's tables and `mcps.yaml`.
#[derive(Debug)]
pub struct SqlPolicy {
    live: Arc<Live>,
    table: Table,
}

impl SqlPolicy {
    /// The policy of these tables. They are read when somebody asks first. Must be called within a
    /// Tokio runtime.
    ///
    /// # Errors
    /// A pattern of `mcps.yaml` that cannot be used.
    pub fn new(config: &Config, tables: Tables) -> Result<Self, ConfigError> {
        let sources = Sources { config: Arc::new(config.clone()), table: None, origin: Origin::Table };
        let live = Arc::new(Live::new(sources)?);
        Ok(Self { table: Table::follow(tables, &live), live })
    }

    /// Takes the servers' rules of a newer configuration; a bad one changes nothing.
    ///
    /// # Errors
    /// A pattern that cannot be used.
    pub fn reload(&self, config: &Config) -> Result<PolicyVersion, ConfigError> {
        self.live.update(|sources| sources.config = Arc::new(config.clone()))
    }
}

#[async_trait]
impl PolicyStore for SqlPolicy {
    async fn resolve(&self, principal: &Principal) -> Result<Arc<Grant>, PolicyError> {
        self.table.is_fresh().await?;
        self.live.people().grant(principal).map(Arc::new)
    }

    fn version(&self) -> watch::Receiver<PolicyVersion> {
        self.live.version()
    }

    async fn refresh(&self) -> Result<(), PolicyError> {
        self.table.look().await
    }

    fn standing(&self, principal: &Principal) -> Standing {
        self.live.people().standing(principal)
    }

    fn role(&self, name: &str) -> Option<Role> {
        self.live.people().role(name)
    }

    fn named(&self) -> Vec<String> {
        self.live.people().named()
    }
}

/// Follows the tables, and makes a new policy whenever they change.
#[derive(Debug)]
pub(in crate::policy) struct Table {
    looks: watch::Receiver<Looks>,
    wanted: Arc<Notify>,
    _following: AbortOnDropHandle<()>,
}

/// The looks at the tables so far.
#[derive(Debug, Clone, Default)]
struct Looks {
    started: u64,
    finished: u64,
    /// When the tables last answered.
    seen: Option<Instant>,
    /// Why they did not, the last time.
    failure: Option<String>,
}

impl Table {
    pub(in crate::policy) fn follow(tables: Tables, live: &Arc<Live>) -> Self {
        let (sender, looks) = watch::channel(Looks::default());
        let wanted = Arc::new(Notify::new());
        let following = tokio::spawn(follow(tables, Arc::downgrade(live), sender, wanted.clone()));
        Self { looks, wanted, _following: AbortOnDropHandle::new(following) }
    }

    /// Whether what is known of the tables may be trusted. Waits for the first look.
    pub(in crate::policy) async fn is_fresh(&self) -> Result<(), PolicyError> {
        let is_old = |looks: &Looks| looks.seen.is_none_or(|seen| seen.elapsed() > MAX_STALE);
        if !is_old(&self.looks.borrow()) {
            return Ok(());
        }
        let looks = self.wait(|looks| looks.finished > 0).await?;
        if is_old(&looks) { Err(away(looks.failure.as_deref())) } else { Ok(()) }
    }

    /// Looks now.
    pub(in crate::policy) async fn look(&self) -> Result<(), PolicyError> {
        // A look that runs already may have begun before what is looked for.
        let before = self.looks.borrow().started;
        self.wanted.notify_one();
        let looks = self.wait(|looks| looks.finished > before).await?;
        match looks.failure {
            None => Ok(()),
            failure => Err(away(failure.as_deref())),
        }
    }

    async fn wait(&self, until: impl FnMut(&Looks) -> bool) -> Result<Looks, PolicyError> {
        let mut looks = self.looks.clone();
        let found = looks.wait_for(until).await.map(|looks| looks.clone());
        found.map_err(|_| away(None))
    }
}

fn away(failure: Option<&str>) -> PolicyError {
    PolicyError::Unavailable { message: failure.unwrap_or("nobody follows the database any more").into() }
}

/// Looks again and again, for as long as anybody holds the policy.
async fn follow(tables: Tables, live: Weak<Live>, looks: watch::Sender<Looks>, wanted: Arc<Notify>) {
    let mut known = None;
    let mut was_away = false;
    loop {
        looks.send_modify(|looks| looks.started += 1);
        let Some(live) = live.upgrade() else { return };
        let failure = look(&tables, &live, &mut known).await.err();
        drop(live);
        match &failure {
            Some(failure) if !was_away => {
                tracing::warn!(failure, "who may do what cannot be read from the database; it is tried again");
            }
            None if was_away => tracing::info!("who may do what is read from the database again"),
            Some(_) | None => {}
        }
        was_away = failure.is_some();
        looks.send_modify(|looks| {
            looks.finished = looks.started;
            looks.seen = if failure.is_none() { Some(Instant::now()) } else { looks.seen };
            looks.failure = failure;
        });
        tokio::select! {
            () = sleep(EVERY) => {}
            () = wanted.notified() => {}
        }
    }
}

/// Takes what the tables say, if it is something new.
async fn look(tables: &Tables, live: &Arc<Live>, known: &mut Option<i64>) -> Result<(), String> {
    let Some(stored) = ended(news(tables, *known)).await? else { return Ok(()) };
    let version = stored.version;
    // Many people take a while to compile. That is none of the database's time: what was read counts, however long it
    // takes to make a policy of it.
    compiled(stored, live.clone()).await?;
    *known = Some(version);
    Ok(())
}

/// How reading ends. That which panics has failed like any other: the next look may go well, and until
/// then what was seen counts for as long as it may.
async fn ended<T>(reading: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    match timeout(LOOK, AssertUnwindSafe(reading).catch_unwind()).await {
        Ok(Ok(read)) => read,
        Ok(Err(_)) => Err("reading it panicked".into()),
        Err(_) => Err("the database did not answer in time".into()),
    }
}

/// What the tables say, if it is not what is known.
async fn news(tables: &Tables, known: Option<i64>) -> Result<Option<Stored>, String> {
    let said = |error: DbError| error.to_string();
    let version = tables.version().await.map_err(said)?;
    if known == Some(version) {
        return Ok(None);
    }
    tables.read().await.map(Some).map_err(said)
}

/// Makes a policy of it, which is the one that holds from then on. One that panics is an error of the task's.
async fn compiled(stored: Stored, live: Arc<Live>) -> Result<(), String> {
    let rows = Arc::new(Rows { broken_roles: stored.broken_roles().cloned().collect(), users: stored.users });
    let updating = tokio::task::spawn_blocking(move || live.update(|sources| sources.table = Some(rows)));
    let updated = updating.await.map_err(|error| error.to_string())?;
    updated.map(drop).map_err(|error| error.to_string())
}
