//! Spells in the table `server_spells`, of every process that uses the database.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::{MAX_READ, SWEPT_AT_ONCE, Spell, UptimeError, UptimeStore};
use crate::{
    db::{Db, DbError, Row, Val},
    people::Tables,
};

/// Spells in a database.
#[derive(Debug)]
pub struct SqlUptime {
    tables: Tables,
}

impl From<DbError> for UptimeError {
    fn from(error: DbError) -> Self {
        Self::new(error.to_string())
    }
}

impl SqlUptime {
    /// The spells in the database of these tables. It is opened, and brought up to date, when it is used first.
    #[must_use]
    pub fn new(tables: Tables) -> Self {
        Self { tables }
    }

    /// The database, if there is one: whoever only reads makes none.
    async fn existing(&self) -> Result<Option<&Db>, UptimeError> {
        Ok(self.tables.existing().await?)
    }
}

#[async_trait]
impl UptimeStore for SqlUptime {
    async fn keep(&self, spells: &[Spell]) -> Result<(), UptimeError> {
        const INTO: &str = "INSERT INTO server_spells (server, watcher, began_at, last_at, is_up, reason) VALUES";
        const REST: &str = "ON CONFLICT (server, watcher, began_at)
            DO UPDATE SET last_at = excluded.last_at, is_up = excluded.is_up, reason = excluded.reason";
        let rows: Vec<_> = spells.iter().map(row).collect();
        let mut tx = self.tables.db().await?.begin().await?;
        tx.insert_many(INTO, rows, REST).await?;
        Ok(tx.commit().await?)
    }

    async fn since(&self, since: DateTime<Utc>, server: Option<&str>) -> Result<Vec<Spell>, UptimeError> {
        let Some(db) = self.existing().await? else { return Ok(Vec::new()) };
        let mut values: Vec<Val<'_>> = vec![since.into()];
        values.extend(server.map(Val::from));
        values.push(MAX_READ.into());
        let of_one = if server.is_some() { "AND server = ?" } else { "" };
        let sql = format!(
            "SELECT server, watcher, began_at, last_at, is_up, reason FROM server_spells
             WHERE last_at >= ? {of_one} ORDER BY last_at DESC, began_at DESC LIMIT ?"
        );
        db.fetch_all(&sql, &values).await?.iter().map(spell).collect()
    }

    async fn sweep(&self, before: DateTime<Utc>) -> Result<u64, UptimeError> {
        const SWEEP: &str = "DELETE FROM server_spells WHERE (server, watcher, began_at) IN
            (SELECT server, watcher, began_at FROM server_spells WHERE last_at < ? LIMIT ?)";
        let Some(db) = self.existing().await? else { return Ok(0) };
        Ok(db.execute(SWEEP, &[before.into(), SWEPT_AT_ONCE.into()]).await?)
    }
}

fn row(spell: &Spell) -> Vec<Val<'_>> {
    vec![
        spell.server.to_string().into(),
        spell.watcher.to_string().into(),
        spell.began_at.into(),
        spell.last_at.into(),
        spell.is_up.into(),
        spell.reason.as_deref().into(),
    ]
}

fn spell(row: &Row) -> Result<Spell, UptimeError> {
    Ok(Spell {
        server: row.text("server")?.into(),
        watcher: row.text("watcher")?.parse().map_err(|error| UptimeError::new(format!("a watcher: {error}")))?,
        began_at: row.time("began_at")?,
        last_at: row.time("last_at")?,
        is_up: row.bool("is_up")?,
        reason: row.optional_text("reason")?,
    })
}
