//! The ledger in SQLite.
//!
//! The table `ledger` is the truth; `audit_logs`, `tool_calls` and `users` are projections that are
//! written in the same transaction.

use std::{
    fs::OpenOptions,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::FutureExt;
use sqlx::{
    Row, Sqlite, SqlitePool, Transaction,
    migrate::{Migration, MigrationType, Migrator},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteRow, SqliteSynchronous},
};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::{AuditError, AuditReader, AuditSink, SealedRecord};
use crate::{
    Registry,
    ledger::{Record, files},
    registry::BuildError,
};

mod project;

#[cfg(test)]
mod tests;

/// How long a writer waits for another process that writes.
const BUSY: Duration = Duration::from_secs(10);
/// How long anything waits for a connection.
const ACQUIRE: Duration = Duration::from_secs(15);

/// Stores and reads the ledger in an SQLite database.
#[derive(Debug, Clone)]
pub struct SqliteSink {
    pool: SqlitePool,
}

impl SqliteSink {
    /// Opens a database and brings its tables up to date. `url` is `sqlite:<path>`, a path, or
    /// `sqlite::memory:`. A file that is not there is made, for its owner alone.
    ///
    /// # Errors
    /// [`AuditError::File`] with the path when it cannot be opened or written.
    pub async fn open(url: &str) -> Result<Self, AuditError> {
        let target = Target::parse(url);
        let options = target.options()?;
        let since = Instant::now();
        loop {
            match target.connect(options.clone()).await {
                Ok(pool) => return Ok(Self { pool }),
                // SQLite does not wait by itself while another process switches the journal's mode.
                Err(error) if is_busy(&error) && since.elapsed() < BUSY => sleep(Duration::from_millis(20)).await,
                Err(error) => return Err(target.failed(&error.to_string())),
            }
        }
    }

    /// The database, for whoever reads the projections.
    #[must_use]
    pub fn pool(&self) -> &SqlitePool {
        &self.pool
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Target {
    Memory,
    File(PathBuf),
}

impl Target {
    fn parse(url: &str) -> Self {
        let path = url.strip_prefix("sqlite://").or_else(|| url.strip_prefix("sqlite:")).unwrap_or(url);
        // Options such as `?mode=rwc` of other tools' URLs do not change what omni needs.
        let path = path.split('?').next().unwrap_or(path);
        if path == ":memory:" { Self::Memory } else { Self::File(path.into()) }
    }

    async fn connect(&self, options: SqliteConnectOptions) -> Result<SqlitePool, sqlx::Error> {
        // SQLite has one writer at a time; in memory there is one database a connection.
        let connections = if *self == Self::Memory { 1 } else { 4 };
        let pool = SqlitePoolOptions::new().max_connections(connections).acquire_timeout(ACQUIRE);
        let pool = pool.idle_timeout(None).max_lifetime(None).connect_with(options).await?;
        migrate(&pool).await?;
        Ok(pool)
    }

    fn failed(&self, message: &str) -> AuditError {
        let path = match self {
            Self::Memory => ":memory:".into(),
            Self::File(path) => path.display().to_string(),
        };
        AuditError::File { path, message: message.into() }
    }

    fn options(&self) -> Result<SqliteConnectOptions, AuditError> {
        let options = SqliteConnectOptions::new().foreign_keys(true).busy_timeout(BUSY);
        let Self::File(path) = self else { return Ok(options.in_memory(true)) };
        make(path)?;
        // A record counts as stored when it survives a power cut: its write-ahead file goes then.
        let durable = options.journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Full);
        Ok(durable.filename(path))
    }
}

/// Makes the file, or finds out that it cannot be written, before SQLite says so less clearly.
fn make(path: &Path) -> Result<(), AuditError> {
    if let Some(dir) = path.parent().filter(|dir| !dir.as_os_str().is_empty()) {
        files::create_dir(dir)?;
    }
    let opened = files::private(OpenOptions::new().append(true).create(true)).open(path);
    opened.map(drop).map_err(|error| files::failed(path, &error))
}

fn is_busy(error: &sqlx::Error) -> bool {
    // The low byte of SQLite's extended codes is the primary one; 5 is SQLITE_BUSY.
    let code = error.as_database_error().and_then(|error| error.code()?.parse::<u32>().ok());
    code.is_some_and(|code| code & 0xff == 5)
}

async fn migrate(pool: &SqlitePool) -> Result<(), sqlx::migrate::MigrateError> {
    let sql = include_str!("../../migrations/sqlite/0001_ledger.sql");
    let ledger = Migration::new(1, "ledger".into(), MigrationType::Simple, sqlx::SqlSafeStr::into_sql_str(sql), false);
    // Under the write lock: two processes may bring a database up to date at once.
    let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
    // (`run` does the same for connections that are Send for one lifetime only.)
    let mut migrator = Migrator::with_migrations(vec![ledger]);
    // Tables of other rooms are theirs.
    migrator.set_ignore_missing(true);
    migrator.run_direct(None, &mut *transaction, false).await?;
    Ok(transaction.commit().await?)
}

fn away(error: sqlx::Error) -> AuditError {
    let message = match error {
        sqlx::Error::Database(error) => error.message().to_owned(),
        other => other.to_string(),
    };
    AuditError::Unavailable { message }
}

/// A time as the tables hold it: as SQLite's own functions write it, so that texts compare as times.
fn stamp(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%S%.6f").to_string()
}

#[async_trait]
impl AuditSink for SqliteSink {
    async fn append(&self, batch: &[SealedRecord]) -> Result<(), AuditError> {
        // The write lock comes first: one that is taken in the middle can fail at once.
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await.map_err(away)?;
        for sealed in batch {
            store(&mut transaction, sealed).await?;
        }
        transaction.commit().await.map_err(away)
    }
}

async fn store(transaction: &mut Transaction<'static, Sqlite>, sealed: &SealedRecord) -> Result<(), AuditError> {
    // What a later build wrote into a file may be unknown here; the truth is stored all the same.
    let record: Option<Record> = serde_json::from_slice(&sealed.bytes).ok();
    let at = record.as_ref().map_or_else(Utc::now, |record| record.at);
    let inserted = sqlx::query(
        "INSERT INTO ledger (chain_id, seq, at, bytes, mac) VALUES (?, ?, ?, ?, ?) ON CONFLICT (chain_id, seq) DO NOTHING",
    )
    .bind(sealed.chain_id.to_string())
    .bind(place(sealed)?)
    .bind(stamp(at))
    .bind(&sealed.bytes[..])
    .bind(&sealed.mac[..])
    .execute(&mut **transaction)
    .await
    .map_err(away)?;
    if inserted.rows_affected() == 0 {
        return compare(transaction, sealed).await;
    }
    match record {
        Some(record) => project::project(transaction, sealed, &record).await.map_err(away),
        None => Ok(()),
    }
}

fn place(sealed: &SealedRecord) -> Result<i64, AuditError> {
    i64::try_from(sealed.seq).map_err(|error| AuditError::Invalid { message: error.to_string() })
}

async fn compare(transaction: &mut Transaction<'static, Sqlite>, sealed: &SealedRecord) -> Result<(), AuditError> {
    let known = sqlx::query("SELECT seq, bytes, mac FROM ledger WHERE chain_id = ? AND seq = ?")
        .bind(sealed.chain_id.to_string())
        .bind(place(sealed)?)
        .fetch_one(&mut **transaction)
        .await
        .map_err(away)?;
    if read_row(sealed.chain_id, &known)? == *sealed {
        return Ok(());
    }
    Err(AuditError::Conflict { chain_id: sealed.chain_id, seq: sealed.seq })
}

fn read_row(chain_id: Uuid, row: &SqliteRow) -> Result<SealedRecord, AuditError> {
    let mac: Vec<u8> = row.try_get("mac").map_err(away)?;
    let bytes: Vec<u8> = row.try_get("bytes").map_err(away)?;
    let seq: i64 = row.try_get("seq").map_err(away)?;
    // The table admits neither negative places nor seals of another length.
    let seal = mac.try_into().unwrap_or_default();
    Ok(SealedRecord { chain_id, seq: u64::try_from(seq).unwrap_or_default(), bytes: Bytes::from(bytes), mac: seal })
}

#[async_trait]
impl AuditReader for SqliteSink {
    async fn read(&self, chain_id: Uuid, from_seq: u64, limit: usize) -> Result<Vec<SealedRecord>, AuditError> {
        let rows =
            sqlx::query("SELECT seq, bytes, mac FROM ledger WHERE chain_id = ? AND seq >= ? ORDER BY seq LIMIT ?")
                .bind(chain_id.to_string())
                .bind(i64::try_from(from_seq).unwrap_or(i64::MAX))
                .bind(i64::try_from(limit).unwrap_or(i64::MAX))
                .fetch_all(&self.pool)
                .await
                .map_err(away)?;
        rows.iter().map(|row| read_row(chain_id, row)).collect()
    }

    async fn chains(&self) -> Result<Vec<Uuid>, AuditError> {
        // Ids of chains grow with time.
        let rows = sqlx::query_scalar::<_, String>("SELECT DISTINCT chain_id FROM ledger ORDER BY chain_id");
        let ids = rows.fetch_all(&self.pool).await.map_err(away)?;
        let parse =
            |id: String| id.parse().map_err(|_| AuditError::Unavailable { message: format!("{id:?} is no chain") });
        ids.into_iter().map(parse).collect()
    }
}

/// Adds the kind `sqlite`, to write and to read.
pub fn register(registry: &mut Registry) {
    registry.sinks.register("sqlite", |config| {
        async move { open(&config.url).await.map(|sink| Arc::new(sink) as Arc<dyn AuditSink>) }.boxed()
    });
    registry.readers.register("sqlite", |config| {
        async move { open(&config.url).await.map(|sink| Arc::new(sink) as Arc<dyn AuditReader>) }.boxed()
    });
}

async fn open(url: &str) -> Result<SqliteSink, BuildError> {
    SqliteSink::open(url)
        .await
        .map_err(|error| BuildError::invalid(format!("{error}; set the database's url to a file that omni may write")))
}
