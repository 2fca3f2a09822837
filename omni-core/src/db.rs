//! The SQL databases: one way to SQLite and PostgreSQL, so that a store is written once.
//!
//! Statements are written with `?` for each value, in the SQL that both understand; what differs is
//! in [`Dialect`]. Values are always bound, never pasted.

use std::{sync::Arc, time::Duration};

use sqlx::SqlSafeStr as _;
use tokio::sync::Mutex;

mod error;
mod migrate;
mod open;
mod row;
mod sql;
mod together;
mod tx;
mod value;

#[cfg(test)]
mod tests;

pub use error::DbError;
pub use migrate::{MigrationStatus, script};
pub use row::Row;
pub use sql::{insert_many, placeholders};
pub(crate) use together::{Together, Writes};
pub use tx::Tx;
pub use value::Val;

/// How long anything waits for a connection.
const ACQUIRE: Duration = Duration::from_secs(15);

/// How a transaction begins, by when its commit returns. What writes says so each time: SQLite keeps the last word for its
/// connection.
#[derive(Debug, Clone, Copy)]
enum Commit {
    /// When what was written survives a power cut.
    Durable,
    /// When what was written survives this process.
    Relaxed,
}

impl Commit {
    #[cfg(feature = "sqlite")]
    fn sqlite(self) -> &'static str {
        match self {
            Self::Durable => "PRAGMA synchronous = FULL; BEGIN IMMEDIATE",
            Self::Relaxed => "PRAGMA synchronous = NORMAL; BEGIN IMMEDIATE",
        }
    }

    #[cfg(feature = "postgres")]
    fn postgres(self) -> &'static str {
        match self {
            Self::Durable => "BEGIN",
            Self::Relaxed => "BEGIN; SET LOCAL synchronous_commit = off",
        }
    }
}

/// What the two databases say differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// SQLite: times and lists are text, and there is one writer at a time.
    Sqlite,
    /// PostgreSQL.
    Postgres,
}

impl Dialect {
    /// The database's present time, as its tables hold times.
    #[must_use]
    pub fn now(self) -> &'static str {
        match self {
            Self::Sqlite => "strftime('%Y-%m-%d %H:%M:%f000', 'now')",
            Self::Postgres => "clock_timestamp()",
        }
    }

    /// What makes a row that was read stay as it is until the transaction ends. SQLite has locked
    /// the whole database by then.
    #[must_use]
    pub fn for_update(self) -> &'static str {
        match self {
            Self::Sqlite => "",
            Self::Postgres => " FOR UPDATE",
        }
    }

    /// A list of texts as a table `one` with the column `value`; `list` is a column, or what stands for a bound value.
    #[must_use]
    pub fn each_text(self, list: &str) -> String {
        match self {
            Self::Sqlite => format!("json_each({list}) AS one"),
            Self::Postgres => format!("unnest({list}) AS one(value)"),
        }
    }

    /// A text in the order of its bytes, which is Rust's and SQLite's; PostgreSQL's is that of the database's language.
    #[must_use]
    pub fn by_bytes(self, text: &str) -> String {
        match self {
            Self::Sqlite => text.to_owned(),
            Self::Postgres => format!("{text} COLLATE \"C\""),
        }
    }

    /// Most values of one statement.
    fn max_values(self) -> usize {
        match self {
            Self::Sqlite => 32_766,
            Self::Postgres => 65_535,
        }
    }
}

/// A database. Clones share its connections.
#[derive(Debug, Clone)]
pub struct Db {
    pool: Pool,
    place: Arc<str>,
    /// Held while the tables are brought up to date.
    migrating: Arc<Mutex<()>>,
}

#[derive(Debug, Clone)]
enum Pool {
    #[cfg(feature = "sqlite")]
    Sqlite(Sqlite),
    #[cfg(feature = "postgres")]
    Postgres(sqlx::PgPool),
}

/// Connections to an SQLite database. There is one that writes: whoever waits for it is woken when their turn comes,
/// whereas SQLite's own lock is looked at from time to time. What it has read stays in its cache, which every other
/// connection loses whenever somebody writes.
#[cfg(feature = "sqlite")]
#[derive(Debug, Clone)]
struct Sqlite {
    writes: sqlx::SqlitePool,
    reads: sqlx::SqlitePool,
}

#[cfg(feature = "sqlite")]
impl Sqlite {
    /// The connections for a statement.
    fn of(&self, sql: &str) -> &sqlx::SqlitePool {
        // `WITH` may end in a statement that writes.
        if sql::first_word_is(sql, &["SELECT"]) { &self.reads } else { &self.writes }
    }
}

impl Db {
    /// Which database it is.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        match &self.pool {
            #[cfg(feature = "sqlite")]
            Pool::Sqlite(_) => Dialect::Sqlite,
            #[cfg(feature = "postgres")]
            Pool::Postgres(_) => Dialect::Postgres,
        }
    }

    /// Where it is, without user and password: what has the same place is one database.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Begins a transaction that writes. In SQLite it has the write lock from the start: one that is
    /// taken in the middle can fail at once.
    ///
    /// # Errors
    /// [`DbError::Unavailable`].
    pub async fn begin(&self) -> Result<Tx, DbError> {
        self.begin_as(Commit::Durable).await
    }

    /// The same, whose commit does not wait for the disk: a power cut takes what was written in the last moment, but no
    /// part of it alone.
    ///
    /// # Errors
    /// [`DbError::Unavailable`].
    pub(crate) async fn begin_relaxed(&self) -> Result<Tx, DbError> {
        self.begin_as(Commit::Relaxed).await
    }

    async fn begin_as(&self, commit: Commit) -> Result<Tx, DbError> {
        Ok(match &self.pool {
            #[cfg(feature = "sqlite")]
            Pool::Sqlite(pools) => Tx::Sqlite(pools.writes.begin_with(commit.sqlite()).await?),
            #[cfg(feature = "postgres")]
            Pool::Postgres(pool) => Tx::Postgres(pool.begin_with(commit.postgres()).await?),
        })
    }

    /// Runs a statement; returns how many rows it changed.
    ///
    /// # Errors
    /// A [`DbError`].
    pub async fn execute(&self, sql: &str, values: &[Val<'_>]) -> Result<u64, DbError> {
        match &self.pool {
            #[cfg(feature = "sqlite")]
            Pool::Sqlite(_) => {
                let mut tx = self.begin().await?;
                let changed = tx.execute(sql, values).await?;
                tx.commit().await?;
                Ok(changed)
            }
            #[cfg(feature = "postgres")]
            Pool::Postgres(pool) => {
                let query = sqlx::query_with(sql::numbered(sql).into_sql_str(), value::postgres(values)?);
                Ok(query.execute(pool).await?.rows_affected())
            }
        }
    }

    /// All rows of a query.
    ///
    /// # Errors
    /// A [`DbError`].
    pub async fn fetch_all(&self, sql: &str, values: &[Val<'_>]) -> Result<Vec<Row>, DbError> {
        match &self.pool {
            #[cfg(feature = "sqlite")]
            Pool::Sqlite(_) if sql::first_word_is(sql, &["INSERT", "UPDATE", "DELETE"]) => {
                let mut tx = self.begin().await?;
                let rows = tx.fetch_all(sql, values).await?;
                tx.commit().await?;
                Ok(rows)
            }
            #[cfg(feature = "sqlite")]
            Pool::Sqlite(pools) => {
                let query = sqlx::query_with(sql::safe(sql).into_sql_str(), value::sqlite(values)?);
                Ok(query.fetch_all(pools.of(sql)).await?.into_iter().map(Row::from).collect())
            }
            #[cfg(feature = "postgres")]
            Pool::Postgres(pool) => {
                let query = sqlx::query_with(sql::numbered(sql).into_sql_str(), value::postgres(values)?);
                Ok(query.fetch_all(pool).await?.into_iter().map(Row::from).collect())
            }
        }
    }

    /// The first row of a query, if there is one.
    ///
    /// # Errors
    /// A [`DbError`].
    pub async fn fetch_optional(&self, sql: &str, values: &[Val<'_>]) -> Result<Option<Row>, DbError> {
        Ok(self.fetch_all(sql, values).await?.into_iter().next())
    }

    /// Gives all connections back.
    pub async fn close(&self) {
        match &self.pool {
            #[cfg(feature = "sqlite")]
            Pool::Sqlite(pools) => {
                pools.reads.close().await;
                pools.writes.close().await;
            }
            #[cfg(feature = "postgres")]
            Pool::Postgres(pool) => pool.close().await,
        }
    }
}
