//! Rows on their way out of the database.

use chrono::{DateTime, NaiveDateTime, Utc};
use serde_json::Value;
use sqlx::Row as _;

use super::DbError;

/// A row. Columns are read by name; one that may be missing is an `Option`.
#[derive(Debug)]
pub struct Row(Inner);

enum Inner {
    #[cfg(feature = "sqlite")]
    Sqlite(sqlx::sqlite::SqliteRow),
    #[cfg(feature = "postgres")]
    Postgres(sqlx::postgres::PgRow),
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("row")
    }
}

#[cfg(feature = "sqlite")]
impl From<sqlx::sqlite::SqliteRow> for Row {
    fn from(row: sqlx::sqlite::SqliteRow) -> Self {
        Self(Inner::Sqlite(row))
    }
}

#[cfg(feature = "postgres")]
impl From<sqlx::postgres::PgRow> for Row {
    fn from(row: sqlx::postgres::PgRow) -> Self {
        Self(Inner::Postgres(row))
    }
}

fn unfit(column: &str, what: &str) -> DbError {
    DbError::Schema { message: format!("column {column:?} holds {what}") }
}

impl Row {
    /// Text.
    ///
    /// # Errors
    /// [`DbError::Schema`] when there is no such column, or something else in it; so for all of these.
    pub fn text(&self, column: &str) -> Result<String, DbError> {
        self.optional_text(column)?.ok_or_else(|| unfit(column, "nothing"))
    }

    /// Text, or nothing.
    ///
    /// # Errors
    /// As [`Row::text`].
    pub fn optional_text(&self, column: &str) -> Result<Option<String>, DbError> {
        Ok(match &self.0 {
            #[cfg(feature = "sqlite")]
            Inner::Sqlite(row) => row.try_get(column)?,
            #[cfg(feature = "postgres")]
            Inner::Postgres(row) => row.try_get(column)?,
        })
    }

    /// A whole number.
    ///
    /// # Errors
    /// As [`Row::text`].
    pub fn int(&self, column: &str) -> Result<i64, DbError> {
        self.optional_int(column)?.ok_or_else(|| unfit(column, "nothing"))
    }

    /// A whole number, or nothing.
    ///
    /// # Errors
    /// As [`Row::text`].
    pub fn optional_int(&self, column: &str) -> Result<Option<i64>, DbError> {
        Ok(match &self.0 {
            #[cfg(feature = "sqlite")]
            Inner::Sqlite(row) => row.try_get(column)?,
            // PostgreSQL knows whole numbers of several widths.
            #[cfg(feature = "postgres")]
            Inner::Postgres(row) => match row.try_get::<Option<i64>, _>(column) {
                Ok(number) => number,
                Err(_) => row.try_get::<Option<i32>, _>(column)?.map(i64::from),
            },
        })
    }

    /// A number that is not negative.
    ///
    /// # Errors
    /// As [`Row::text`].
    pub fn unsigned(&self, column: &str) -> Result<u64, DbError> {
        u64::try_from(self.int(column)?).map_err(|_| unfit(column, "a negative number"))
    }

    /// A number, or nothing.
    ///
    /// # Errors
    /// As [`Row::text`].
    pub fn optional_float(&self, column: &str) -> Result<Option<f64>, DbError> {
        Ok(match &self.0 {
            // SQLite gives whole numbers back where a sum is one.
            #[cfg(feature = "sqlite")]
            Inner::Sqlite(row) => row.try_get_unchecked(column)?,
            #[cfg(feature = "postgres")]
            Inner::Postgres(row) => row.try_get(column)?,
        })
    }

    /// Yes or no.
    ///
    /// # Errors
    /// As [`Row::text`].
    pub fn bool(&self, column: &str) -> Result<bool, DbError> {
        Ok(match &self.0 {
            #[cfg(feature = "sqlite")]
            Inner::Sqlite(row) => row.try_get_unchecked(column)?,
            #[cfg(feature = "postgres")]
            Inner::Postgres(row) => row.try_get(column)?,
        })
    }

    /// Yes, no, or nothing.
    ///
    /// # Errors
    /// As [`Row::text`].
    pub fn optional_bool(&self, column: &str) -> Result<Option<bool>, DbError> {
        Ok(match &self.0 {
            #[cfg(feature = "sqlite")]
            Inner::Sqlite(row) => row.try_get_unchecked(column)?,
            #[cfg(feature = "postgres")]
            Inner::Postgres(row) => row.try_get(column)?,
        })
    }

    /// Bytes.
    ///
    /// # Errors
    /// As [`Row::text`].
    pub fn bytes(&self, column: &str) -> Result<Vec<u8>, DbError> {
        Ok(match &self.0 {
            #[cfg(feature = "sqlite")]
            Inner::Sqlite(row) => row.try_get(column)?,
            #[cfg(feature = "postgres")]
            Inner::Postgres(row) => row.try_get(column)?,
        })
    }

    /// A moment.
    ///
    /// # Errors
    /// As [`Row::text`].
    pub fn time(&self, column: &str) -> Result<DateTime<Utc>, DbError> {
        self.optional_time(column)?.ok_or_else(|| unfit(column, "nothing"))
    }

    /// A moment, or nothing.
    ///
    /// # Errors
    /// As [`Row::text`].
    pub fn optional_time(&self, column: &str) -> Result<Option<DateTime<Utc>>, DbError> {
        match &self.0 {
            #[cfg(feature = "sqlite")]
            Inner::Sqlite(row) => {
                let text: Option<String> = row.try_get_unchecked(column)?;
                text.map(|text| parse_time(&text).ok_or_else(|| unfit(column, "no time"))).transpose()
            }
            #[cfg(feature = "postgres")]
            Inner::Postgres(row) => Ok(row.try_get(column)?),
        }
    }

    /// JSON, or nothing.
    ///
    /// # Errors
    /// As [`Row::text`].
    pub fn optional_json(&self, column: &str) -> Result<Option<Value>, DbError> {
        match &self.0 {
            #[cfg(feature = "sqlite")]
            Inner::Sqlite(row) => {
                let text: Option<String> = row.try_get(column)?;
                text.map(|text| serde_json::from_str(&text).map_err(|_| unfit(column, "no JSON"))).transpose()
            }
            #[cfg(feature = "postgres")]
            Inner::Postgres(row) => Ok(row.try_get(column)?),
        }
    }

    /// A list of texts; nothing is an empty list.
    ///
    /// # Errors
    /// As [`Row::text`].
    pub fn texts(&self, column: &str) -> Result<Vec<String>, DbError> {
        match &self.0 {
            #[cfg(feature = "sqlite")]
            Inner::Sqlite(row) => {
                let text: Option<String> = row.try_get(column)?;
                let list = text.map(|text| serde_json::from_str(&text).map_err(|_| unfit(column, "no list")));
                Ok(list.transpose()?.unwrap_or_default())
            }
            #[cfg(feature = "postgres")]
            Inner::Postgres(row) => Ok(row.try_get::<Option<Vec<String>>, _>(column)?.unwrap_or_default()),
        }
    }
}

/// A time as SQLite's own functions write it, with or without a fraction.
#[cfg(feature = "sqlite")]
fn parse_time(text: &str) -> Option<DateTime<Utc>> {
    let naive = NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f").ok()?;
    Some(naive.and_utc())
}
