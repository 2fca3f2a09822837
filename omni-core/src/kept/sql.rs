//! Values in the table `kept_values`, for every process that uses the database.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde_json::Value;

use super::{KeptError, KeptStore, MAX_LISTED, SWEPT_AT_ONCE};
use crate::{
    db::{Db, DbError, Row},
    people::Tables,
};

/// Greater than any character of a key.
const LAST: char = char::MAX;
/// The longest while; what is to be kept longer is kept for good.
const LONGEST: Duration = Duration::from_secs(10 * 366 * 24 * 60 * 60);

/// Values in a database.
#[derive(Debug)]
pub struct SqlKept {
    tables: Tables,
}

impl From<DbError> for KeptError {
    fn from(error: DbError) -> Self {
        Self::new(error.to_string())
    }
}

impl SqlKept {
    /// The values in the database of these tables. It is opened, and brought up to date, when it is used first.
    #[must_use]
    pub fn new(tables: Tables) -> Self {
        Self { tables }
    }

    /// The database, if there is one: whoever only reads makes none.
    async fn existing(&self) -> Result<Option<&Db>, KeptError> {
        Ok(self.tables.existing().await?)
    }

    async fn db(&self) -> Result<&Db, KeptError> {
        Ok(self.tables.db().await?)
    }
}

#[async_trait]
impl KeptStore for SqlKept {
    async fn get(&self, door: &str, key: &str) -> Result<Option<Value>, KeptError> {
        const GET: &str =
            "SELECT value FROM kept_values WHERE door = ? AND key = ? AND (expires_at IS NULL OR expires_at > ?)";
        let Some(db) = self.existing().await? else { return Ok(None) };
        let row = db.fetch_optional(GET, &[door.into(), key.into(), Utc::now().into()]).await?;
        row.map(|row| value(&row)).transpose()
    }

    async fn put(&self, door: &str, key: &str, value: &Value, lasting: Option<Duration>) -> Result<(), KeptError> {
        const PUT: &str = "INSERT INTO kept_values (door, key, value, expires_at) VALUES (?, ?, ?, ?)
            ON CONFLICT (door, key) DO UPDATE SET value = excluded.value, expires_at = excluded.expires_at";
        let values = [door.into(), key.into(), value.to_string().into(), lasting.map(until).into()];
        self.db().await?.execute(PUT, &values).await?;
        Ok(())
    }

    async fn replace(&self, door: &str, key: &str, old: Option<&Value>, new: &Value) -> Result<bool, KeptError> {
        const BEGIN: &str = "INSERT INTO kept_values (door, key, value) VALUES (?, ?, ?)
            ON CONFLICT (door, key) DO UPDATE SET value = excluded.value, expires_at = NULL
            WHERE kept_values.expires_at <= ?";
        const REPLACE: &str = "UPDATE kept_values SET value = ?, expires_at = NULL
            WHERE door = ? AND key = ? AND value = ? AND (expires_at IS NULL OR expires_at > ?)";
        let (db, now) = (self.db().await?, Utc::now());
        let changed = match old {
            None => db.execute(BEGIN, &[door.into(), key.into(), new.to_string().into(), now.into()]).await?,
            Some(old) => {
                let values = [new.to_string().into(), door.into(), key.into(), old.to_string().into(), now.into()];
                db.execute(REPLACE, &values).await?
            }
        };
        Ok(changed == 1)
    }

    async fn remove(&self, door: &str, key: &str) -> Result<bool, KeptError> {
        const REMOVE: &str =
            "DELETE FROM kept_values WHERE door = ? AND key = ? AND (expires_at IS NULL OR expires_at > ?)";
        let Some(db) = self.existing().await? else { return Ok(false) };
        Ok(db.execute(REMOVE, &[door.into(), key.into(), Utc::now().into()]).await? == 1)
    }

    async fn list(&self, door: &str, prefix: &str) -> Result<Vec<(String, Value)>, KeptError> {
        const LIST: &str = "SELECT key, value FROM kept_values WHERE door = ? AND key >= ? AND key < ?
            AND (expires_at IS NULL OR expires_at > ?) ORDER BY key LIMIT ?";
        let Some(db) = self.existing().await? else { return Ok(Vec::new()) };
        let end = format!("{prefix}{LAST}");
        let values = [door.into(), prefix.into(), end.into(), Utc::now().into(), MAX_LISTED.into()];
        let rows = db.fetch_all(LIST, &values).await?;
        rows.iter().map(|row| Ok((row.text("key")?, value(row)?))).collect()
    }

    async fn claim(&self, door: &str, key: &str, lasting: Duration) -> Result<bool, KeptError> {
        // Whoever comes second changes nothing, whatever happens between the two.
        const CLAIM: &str = "INSERT INTO kept_values (door, key, value, expires_at) VALUES (?, ?, 'null', ?)
            ON CONFLICT (door, key) DO UPDATE SET value = excluded.value, expires_at = excluded.expires_at
            WHERE kept_values.expires_at <= ?";
        let values = [door.into(), key.into(), until(lasting).into(), Utc::now().into()];
        Ok(self.db().await?.execute(CLAIM, &values).await? == 1)
    }

    async fn sweep(&self) -> Result<u64, KeptError> {
        const SWEEP: &str = "DELETE FROM kept_values WHERE (door, key) IN
            (SELECT door, key FROM kept_values WHERE expires_at <= ? LIMIT ?)";
        let Some(db) = self.existing().await? else { return Ok(0) };
        Ok(db.execute(SWEEP, &[Utc::now().into(), SWEPT_AT_ONCE.into()]).await?)
    }
}

/// When a while that begins now is over.
fn until(lasting: Duration) -> DateTime<Utc> {
    Utc::now() + lasting.min(LONGEST)
}

fn value(row: &Row) -> Result<Value, KeptError> {
    serde_json::from_str(&row.text("value")?).map_err(|error| KeptError::new(error.to_string()))
}
