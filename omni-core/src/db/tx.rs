//! A transaction.

use chrono::{DateTime, SubsecRound as _, Utc};
use sqlx::SqlSafeStr as _;

use super::{DbError, Dialect, Row, Val, sql, value};

/// A transaction. Dropped without [`Tx::commit`], it changes nothing.
#[derive(Debug)]
pub enum Tx {
    /// In SQLite.
    #[cfg(feature = "sqlite")]
    Sqlite(sqlx::Transaction<'static, sqlx::Sqlite>),
    /// In PostgreSQL.
    #[cfg(feature = "postgres")]
    Postgres(sqlx::Transaction<'static, sqlx::Postgres>),
}

impl Tx {
    /// Which database it is.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(_) => Dialect::Sqlite,
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => Dialect::Postgres,
        }
    }

    /// The database's present time. SQLite's is that of this machine, in milliseconds.
    ///
    /// # Errors
    /// A [`DbError`].
    pub async fn now(&mut self) -> Result<DateTime<Utc>, DbError> {
        if self.dialect() == Dialect::Sqlite {
            return Ok(Utc::now().trunc_subsecs(3));
        }
        let row = self.fetch_optional(&format!("SELECT {} AS now", self.dialect().now()), &[]).await?;
        row.map_or_else(|| Ok(Utc::now()), |row| row.time("now"))
    }

    /// Runs a statement; returns how many rows it changed.
    ///
    /// # Errors
    /// A [`DbError`].
    pub async fn execute(&mut self, sql: &str, values: &[Val<'_>]) -> Result<u64, DbError> {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(tx) => {
                let query = sqlx::query_with(sql::safe(sql).into_sql_str(), value::sqlite(values)?);
                Ok(query.execute(&mut **tx).await?.rows_affected())
            }
            #[cfg(feature = "postgres")]
            Self::Postgres(tx) => {
                let query = sqlx::query_with(sql::numbered(sql).into_sql_str(), value::postgres(values)?);
                Ok(query.execute(&mut **tx).await?.rows_affected())
            }
        }
    }

    /// Runs an insert of many rows; see [`insert_many`](super::insert_many). Returns how many rows it changed.
    ///
    /// # Errors
    /// A [`DbError`].
    pub async fn insert_many(&mut self, into: &str, rows: Vec<Vec<Val<'_>>>, rest: &str) -> Result<u64, DbError> {
        let mut changed = 0;
        for (sql, values) in sql::insert_many(self.dialect(), into, rows, rest) {
            changed += self.execute(&sql, &values).await?;
        }
        Ok(changed)
    }

    /// All rows of a query.
    ///
    /// # Errors
    /// A [`DbError`].
    pub async fn fetch_all(&mut self, sql: &str, values: &[Val<'_>]) -> Result<Vec<Row>, DbError> {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(tx) => {
                let query = sqlx::query_with(sql::safe(sql).into_sql_str(), value::sqlite(values)?);
                Ok(query.fetch_all(&mut **tx).await?.into_iter().map(Row::from).collect())
            }
            #[cfg(feature = "postgres")]
            Self::Postgres(tx) => {
                let query = sqlx::query_with(sql::numbered(sql).into_sql_str(), value::postgres(values)?);
                Ok(query.fetch_all(&mut **tx).await?.into_iter().map(Row::from).collect())
            }
        }
    }

    /// The first row of a query, if there is one.
    ///
    /// # Errors
    /// A [`DbError`].
    pub async fn fetch_optional(&mut self, sql: &str, values: &[Val<'_>]) -> Result<Option<Row>, DbError> {
        Ok(self.fetch_all(sql, values).await?.into_iter().next())
    }

    /// Makes it all true.
    ///
    /// # Errors
    /// A [`DbError`]; nothing was changed then, save where the connection broke in the middle.
    pub async fn commit(self) -> Result<(), DbError> {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(tx) => tx.commit().await?,
            #[cfg(feature = "postgres")]
            Self::Postgres(tx) => tx.commit().await?,
        }
        Ok(())
    }
}
