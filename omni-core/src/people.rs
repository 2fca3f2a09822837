//! The people whom a database knows: `users` and the tables around it.
//!
//! A row of `users` whose `role_source` is `assigned` is somebody to whom an administrator gave a
//! role; `seen` is somebody who asked once. Every change raises `policy_version` in the same
//! transaction, so that policy stores notice it.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::OnceCell;

use crate::{
    config::Config,
    db::{Db, DbError, Dialect, Tx},
    identity::DEFAULT_TENANT,
};

mod access;
mod import;
mod read;
mod users;
mod write;

#[cfg(test)]
mod tests;

pub use import::{Blocks, Imported};
pub(crate) use read::Stored;
pub use users::{KnownUser, UserState};

/// The tables of people, and all others of their database. They are opened, and brought up to date, when they are used
/// first. Clones share their connections.
#[derive(Clone)]
pub struct Tables {
    inner: Arc<Inner>,
}

struct Inner {
    url: String,
    db: OnceCell<Db>,
    /// They are up to date.
    ready: Arc<OnceCell<()>>,
}

impl fmt::Debug for Tables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tables").finish_non_exhaustive()
    }
}

impl Tables {
    /// The tables in the database of a URL; see [`Db::connect`].
    #[must_use]
    pub fn at(url: impl Into<String>) -> Self {
        Self { inner: Arc::new(Inner { url: url.into(), db: OnceCell::new(), ready: Arc::default() }) }
    }

    /// The tables where the configuration has its ledger, the same for all who ask; `None` where that is no database.
    #[must_use]
    pub fn of_config(config: &Config) -> Option<Self> {
        let built = [(Dialect::Sqlite, cfg!(feature = "sqlite")), (Dialect::Postgres, cfg!(feature = "postgres"))];
        built.contains(&(config.audit.dialect()?, true)).then(|| config.audit.tables())
    }

    /// The database. What failed is tried again the next time.
    ///
    /// # Errors
    /// As [`Db::open`].
    pub async fn db(&self) -> Result<&Db, DbError> {
        match self.inner.db.get() {
            Some(db) if self.inner.ready.initialized() => Ok(db),
            // In a box: whoever finds them open carries nothing of opening them.
            Some(_) | None => Box::pin(self.open()).await,
        }
    }

    async fn open(&self) -> Result<&Db, DbError> {
        let inner = &*self.inner;
        let db = self.lazy().await?;
        let brought = async {
            Db::probe(&inner.url).await?;
            db.migrate().await
        };
        inner.ready.get_or_try_init(|| brought).await?;
        Ok(db)
    }

    /// The database, which need not be there yet, and whether its tables are.
    pub(crate) async fn opened(&self) -> Result<(Db, Arc<OnceCell<()>>), DbError> {
        Ok((Box::pin(self.lazy()).await?.clone(), self.inner.ready.clone()))
    }

    async fn lazy(&self) -> Result<&Db, DbError> {
        self.inner.db.get_or_try_init(|| Db::lazy_for_all(&self.inner.url)).await
    }

    /// The database, if there is one: whoever only reads makes none.
    pub(crate) async fn existing(&self) -> Result<Option<&Db>, DbError> {
        if !self.inner.db.initialized() && !Db::is_there(&self.inner.url) {
            return Ok(None);
        }
        self.db().await.map(Some)
    }

    /// The number that grows with every change; 0 where there is no database yet.
    ///
    /// # Errors
    /// A [`DbError`].
    pub async fn version(&self) -> Result<i64, DbError> {
        let Some(db) = self.existing().await? else { return Ok(0) };
        let row = db.fetch_optional("SELECT version FROM policy_version WHERE id = 1", &[]).await?;
        row.map_or(Ok(0), |row| row.int("version"))
    }
}

/// The tables that a configuration names: opened once, for all who use it and its clones, and open for as long as there is
/// one of them. A clone of which the URL was changed has another database, and the two had better not take turns.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shared(Arc<Mutex<Option<Tables>>>);

impl Shared {
    /// The tables in the database of a URL.
    pub(crate) fn at(&self, url: &str) -> Tables {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*known {
            Some(tables) if tables.inner.url == url => tables.clone(),
            Some(_) | None => known.insert(Tables::at(url)).clone(),
        }
    }
}

/// The row of a person, made where there is none.
async fn user_id(tx: &mut Tx, email: &str, name: Option<&str>) -> Result<i64, DbError> {
    let now = tx.dialect().now();
    let short = email.strip_prefix("local:").unwrap_or(email).split('@').next().unwrap_or(email);
    let sql = format!(
        "INSERT INTO users (tenant, email, name, created_at, updated_at) VALUES (?, ?, ?, {now}, {now})
         ON CONFLICT (tenant, email) DO UPDATE SET updated_at = excluded.updated_at, name = coalesce(?, users.name)
         RETURNING id"
    );
    let values = [DEFAULT_TENANT.into(), email.into(), name.unwrap_or(short).into(), name.into()];
    let row = tx.fetch_optional(&sql, &values).await?;
    row.map_or_else(|| Err(DbError::Schema { message: "a row was not returned".into() }), |row| row.int("id"))
}

/// Lets every policy store know that something changed.
async fn raise_version(tx: &mut Tx) -> Result<(), DbError> {
    tx.execute("UPDATE policy_version SET version = version + 1 WHERE id = 1", &[]).await.map(drop)
}

fn normalise(email: &str) -> String {
    email.trim().to_lowercase()
}
