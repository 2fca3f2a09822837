//! Exact limits that several processes share, in the SQL database that they share anyway.
//!
//! Whoever takes from a count locks its row first, all rows in one order, so that two reservations
//! decide one after the other and never wait for each other in a circle. Times are the database's.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use futures::future::BoxFuture;
use tokio::{
    sync::OnceCell,
    time::{Instant, sleep, timeout},
};

use super::{Charge, LimitError, RateLimiter, Refusal, Reservation, ReservationId, Reserve, Settle, Standing};
use crate::{
    db::{Db, DbError},
    people::Tables,
    registry::{BuildError, Registry},
};

mod reserve;
mod rows;
mod settle;

#[cfg(test)]
mod tests;

/// How long an operation may take, its repetitions included.
pub(super) const OPERATION: Duration = Duration::from_secs(9);
/// How often an operation is tried when others are in its way.
const ATTEMPTS: u32 = 8;
/// Most rows of each table that one operation removes; the next one goes on.
const SWEPT_AT_ONCE: u64 = 1_000;
/// How often what is over is removed.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// Counts in a database. What it knows is known to every process that uses the database.
pub struct SqlLimiter {
    db: Db,
    /// Whether the tables are there.
    ready: Arc<OnceCell<()>>,
    /// When what is over was removed; a process that begins does so first, for it may be a short one.
    swept: Mutex<Option<Instant>>,
}

impl fmt::Debug for SqlLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqlLimiter").field("dialect", &self.db.dialect()).finish_non_exhaustive()
    }
}

/// Why one attempt came to nothing.
enum Failed {
    Refused(Box<Refusal>),
    Db(DbError),
}

impl From<DbError> for Failed {
    fn from(error: DbError) -> Self {
        Self::Db(error)
    }
}

impl SqlLimiter {
    /// A limiter in a database, which need not be there yet. It brings the tables up to date when
    /// it is first asked.
    #[must_use]
    pub fn new(db: Db) -> Self {
        Self::over(db, Arc::default())
    }

    fn over(db: Db, ready: Arc<OnceCell<()>>) -> Self {
        Self { db, ready, swept: Mutex::new(None) }
    }

    /// Carries out an operation, again when other transactions are in its way.
    async fn run<'a, T>(
        &'a self,
        attempt: impl Fn() -> BoxFuture<'a, Result<T, Failed>> + Send + Sync,
    ) -> Result<T, LimitError> {
        let running = async {
            self.ready.get_or_try_init(|| self.db.migrate()).await?;
            self.sweep().await;
            for tried in 1..ATTEMPTS {
                match attempt().await {
                    Err(Failed::Db(DbError::Contended { .. })) => sleep(Duration::from_millis(5) * tried).await,
                    other => return other,
                }
            }
            attempt().await
        };
        match timeout(OPERATION, running).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(Failed::Refused(refusal))) => Err(LimitError::Refused(refusal)),
            Ok(Err(Failed::Db(error))) => Err(LimitError::Unavailable { message: error.to_string() }),
            Err(_) => Err(LimitError::Unavailable { message: "the database did not answer in time".into() }),
        }
    }

    /// Removes what is over, from time to time and not much at once: somebody waits for it. A count's
    /// row goes when nothing of it is left; it may be made again at any moment.
    async fn sweep(&self) {
        if !self.is_time_to_sweep() {
            return;
        }
        // As a query of its own the time is one value, so that an index finds what is over.
        let now = format!("(SELECT {})", self.db.dialect().now());
        let is_over = format!("ends <= {now}");
        let is_free = format!(
            "{is_over} AND NOT EXISTS (SELECT 1 FROM limit_entries AS e \
             WHERE e.tenant = limit_counts.tenant AND e.name = limit_counts.name AND e.kind = limit_counts.kind)"
        );
        let sweeps = [
            ("limit_entries", "id", &is_over),
            ("limit_reservations", "id", &is_over),
            ("limit_counts", "tenant, name, kind", &is_free),
        ];
        for (table, key, goes) in sweeps {
            // Asked twice: a row may have been locked and changed since it was chosen.
            let sweep = format!(
                "DELETE FROM {table} WHERE {goes} AND ({key}) IN (SELECT {key} FROM {table} WHERE {goes} LIMIT ?)"
            );
            match self.db.execute(&sweep, &[SWEPT_AT_ONCE.into()]).await {
                Ok(removed) if removed >= SWEPT_AT_ONCE => self.sweep_again(),
                Ok(_) => {}
                Err(error) => tracing::debug!(%error, "old counts of the limiter are removed later"),
            }
        }
    }

    fn sweep_again(&self) {
        *self.swept.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn is_time_to_sweep(&self) -> bool {
        let mut swept = self.swept.lock().unwrap_or_else(PoisonError::into_inner);
        let is_time = swept.is_none_or(|swept| swept.elapsed() >= SWEEP_EVERY);
        if is_time {
            *swept = Some(Instant::now());
        }
        is_time
    }
}

#[async_trait]
impl RateLimiter for SqlLimiter {
    async fn reserve(&self, request: &Reserve) -> Result<Reservation, LimitError> {
        self.run(|| Box::pin(reserve::reserve(&self.db, request))).await
    }

    async fn settle(&self, settle: &Settle) -> Result<(), LimitError> {
        self.run(|| Box::pin(settle::settle(&self.db, settle))).await
    }

    async fn renew(&self, id: &ReservationId) -> Result<(), LimitError> {
        self.run(|| Box::pin(settle::renew(&self.db, id))).await
    }

    async fn peek(&self, charges: &[Charge]) -> Result<Vec<Standing>, LimitError> {
        self.run(|| Box::pin(reserve::peek(&self.db, charges))).await
    }
}

/// Adds the kind `sql`: counts in the ledger's database.
pub fn register(registry: &mut Registry) {
    registry.limiters.register("sql", |config| {
        Box::pin(async move {
            let Some(tables) = Tables::of_config(&config) else {
                let kind = &config.audit.kind;
                let message = format!("the limiter `sql` needs a database, and the ledger's kind is {kind:?}");
                return Err(BuildError::invalid(message));
            };
            let opened = match config.audit.kind.as_str() {
                // Those who wait for a row's lock take nobody's connection but its own.
                "postgres" => Db::lazy(&config.audit.url).await.map(|db| (db, Arc::default())),
                _ => tables.opened().await,
            };
            let (db, ready) = opened.map_err(|error| BuildError::invalid(error.to_string()))?;
            Ok(Arc::new(SqlLimiter::over(db, ready)) as Arc<dyn RateLimiter>)
        })
    });
}
