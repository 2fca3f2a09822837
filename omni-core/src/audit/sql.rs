//! The ledger in SQLite and PostgreSQL.
//!
//! The table `ledger` is the truth; `audit_logs`, `tool_calls` and `users` are projections that are
//! written in the same transaction. A batch is a handful of statements, however many records it has.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures::FutureExt;
use tokio::sync::OnceCell;
use uuid::Uuid;

use super::{
    AuditBackend, AuditError, AuditQuery, AuditReader, AuditSink, AuditStats, CallEntry, LedgerStore, LogEntry,
    LogPage, SealedRecord,
};
use crate::{
    Registry,
    config::AuditConfig,
    db::{Db, DbError, Dialect},
    ledger::{ChainHead, Checkpoint},
    people::Tables,
    registry::BuildError,
};

mod counters;
mod log;
mod people;
pub(crate) mod stale;
mod truth;
mod write;

#[cfg(test)]
mod tests;

/// Stores and reads the ledger in an SQL database. Clones share its connections.
#[derive(Debug, Clone)]
pub struct SqlAudit {
    db: Db,
    /// The tables are there.
    ready: Arc<OnceCell<()>>,
    /// Those that others use too.
    tables: Option<Tables>,
}

impl SqlAudit {
    /// Opens the database of a URL, as [`Db::connect`] takes it. A PostgreSQL that is away does not
    /// matter yet: the first statement connects, and brings the tables up to date before it.
    ///
    /// # Errors
    /// A [`DbError`] when the URL cannot be used, or an SQLite database cannot be opened.
    pub async fn open(url: &str) -> Result<Self, DbError> {
        Self::of(&Tables::at(url)).await
    }

    /// The same in the database of these tables.
    ///
    /// # Errors
    /// As [`SqlAudit::open`].
    pub async fn of(tables: &Tables) -> Result<Self, DbError> {
        let (db, ready) = tables.opened().await?;
        let store = Self { db, ready, tables: Some(tables.clone()) };
        if store.db.dialect() == Dialect::Sqlite {
            store.ready().await?;
        }
        Ok(store)
    }

    /// Over a database that is open already.
    #[must_use]
    pub fn new(db: Db) -> Self {
        Self { db, ready: Arc::default(), tables: None }
    }

    /// The database, for whoever reads the projections.
    #[must_use]
    pub fn db(&self) -> &Db {
        &self.db
    }

    async fn ready(&self) -> Result<&Db, DbError> {
        if let Some(tables) = &self.tables {
            return tables.db().await;
        }
        self.ready.get_or_try_init(|| self.db.migrate()).await?;
        Ok(&self.db)
    }
}

impl From<DbError> for AuditError {
    fn from(error: DbError) -> Self {
        let message = error.to_string();
        match error {
            // The same will be refused again.
            DbError::Constraint { .. } | DbError::Schema { .. } => Self::Invalid { message },
            // That it is of a newer omni is no fault of the record: it goes there, with its rows, once it is another one.
            DbError::Newer { .. } | DbError::Unavailable { .. } | DbError::Contended { .. } | DbError::Url { .. } => {
                Self::Unavailable { message }
            }
        }
    }
}

#[async_trait]
impl AuditSink for SqlAudit {
    async fn append(&self, batch: &[SealedRecord]) -> Result<(), AuditError> {
        write::append(self.ready().await?, batch, true).await
    }

    async fn append_truth(&self, batch: &[SealedRecord]) -> Result<(), AuditError> {
        write::append(self.ready().await?, batch, false).await
    }

    fn place(&self) -> Option<String> {
        Some(self.db.place().to_owned())
    }
}

#[async_trait]
impl LedgerStore for SqlAudit {
    async fn read(&self, chain_id: Uuid, from_seq: u64, limit: usize) -> Result<Vec<SealedRecord>, AuditError> {
        truth::read(self.ready().await?, chain_id, from_seq, limit).await
    }

    async fn heads(&self) -> Result<Vec<ChainHead>, AuditError> {
        truth::heads(self.ready().await?).await
    }

    async fn checkpoints(&self) -> Result<Vec<Checkpoint>, AuditError> {
        truth::checkpoints(self.ready().await?).await
    }

    async fn differing(&self, records: &[SealedRecord]) -> Result<Option<u64>, AuditError> {
        log::differing(self.ready().await?, records).await
    }

    async fn stray(&self) -> Result<Option<(Uuid, u64)>, AuditError> {
        log::stray(self.ready().await?).await
    }

    async fn unproved(&self) -> Result<u64, AuditError> {
        log::unproved(self.ready().await?).await
    }

    async fn beside(&self) -> Result<u64, AuditError> {
        log::beside(self.ready().await?).await
    }

    async fn forget_unproved(&self, before: DateTime<Utc>) -> Result<u64, AuditError> {
        log::forget_unproved(self.ready().await?, before).await
    }

    async fn forget_feedback(&self, before: DateTime<Utc>) -> Result<(), AuditError> {
        log::forget_feedback(self.ready().await?, before).await
    }

    async fn forget(&self, checkpoint: &Checkpoint) -> Result<u64, AuditError> {
        truth::forget(self.ready().await?, checkpoint).await
    }
}

#[async_trait]
impl AuditReader for SqlAudit {
    async fn logs(&self, query: &AuditQuery) -> Result<LogPage, AuditError> {
        log::logs(self.ready().await?, query).await
    }

    async fn stats(&self, query: &AuditQuery) -> Result<AuditStats, AuditError> {
        log::stats(self.ready().await?, query).await
    }

    async fn count(&self, query: &AuditQuery) -> Result<u64, AuditError> {
        log::count(self.ready().await?, query).await
    }

    async fn sealed(&self, entry: &LogEntry) -> Result<Option<SealedRecord>, AuditError> {
        truth::of_row(self.ready().await?, "audit_logs", entry.id).await
    }

    async fn sealed_call(&self, call: &CallEntry) -> Result<Option<SealedRecord>, AuditError> {
        truth::of_row(self.ready().await?, "tool_calls", call.id).await
    }

    async fn calls(&self, request_id: Uuid) -> Result<Vec<CallEntry>, AuditError> {
        log::calls(self.ready().await?, request_id).await
    }
}

/// Adds the kinds `sqlite` and `postgres`, as far as this build has them.
pub fn register(registry: &mut Registry) {
    if cfg!(feature = "sqlite") {
        registry.audit.register("sqlite", |config| {
            open(config, "; set the database's url to a file that omni may write").boxed()
        });
    }
    if cfg!(feature = "postgres") {
        registry.audit.register("postgres", |config| open(config, "").boxed());
    }
}

async fn open(config: AuditConfig, advice: &'static str) -> Result<AuditBackend, BuildError> {
    let store = SqlAudit::of(&config.tables()).await;
    store.map(AuditBackend::new).map_err(|error| BuildError::invalid(format!("{error}{advice}")))
}
