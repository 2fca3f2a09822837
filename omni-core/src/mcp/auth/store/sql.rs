//! Tokens in the table `server_tokens`.

use async_trait::async_trait;
use uuid::Uuid;

use super::{Lease, StoredTokens, TokenKey, TokenStore, TokenStoreError};
use crate::{
    db::{DbError, Dialect},
    people::Tables,
};

/// Tokens in a database.
#[derive(Debug, Clone)]
pub struct SqlTokens {
    tables: Tables,
}

impl SqlTokens {
    /// The tokens of these tables.
    #[must_use]
    pub fn new(tables: Tables) -> Self {
        Self { tables }
    }
}

impl From<DbError> for TokenStoreError {
    fn from(error: DbError) -> Self {
        Self::new(error.to_string())
    }
}

/// The database's time in so many seconds, as its tables hold times.
fn in_seconds(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Sqlite => "strftime('%Y-%m-%d %H:%M:%f000', 'now', printf('+%.3f seconds', ?))",
        Dialect::Postgres => "clock_timestamp() + make_interval(secs => ?)",
    }
}

#[async_trait]
impl TokenStore for SqlTokens {
    async fn get(&self, key: &TokenKey) -> Result<Option<StoredTokens>, TokenStoreError> {
        let sql = "SELECT revision, url, issuer, sealed FROM server_tokens WHERE server = ? AND subject = ?";
        let values = [key.server.as_str().into(), key.subject.as_str().into()];
        let Some(row) = self.tables.db().await?.fetch_optional(sql, &values).await? else { return Ok(None) };
        let revision = row.text("revision")?.parse();
        Ok(Some(StoredTokens {
            revision: revision.map_err(|_| TokenStoreError::new("a row of server_tokens has no revision"))?,
            url: row.text("url")?,
            issuer: row.text("issuer")?,
            sealed: row.bytes("sealed")?,
        }))
    }

    async fn put(
        &self,
        key: &TokenKey,
        tokens: &StoredTokens,
        expected: Option<Uuid>,
    ) -> Result<bool, TokenStoreError> {
        let db = self.tables.db().await?;
        let now = db.dialect().now();
        let revision = tokens.revision.to_string();
        let mut values = vec![
            revision.as_str().into(),
            tokens.url.as_str().into(),
            tokens.issuer.as_str().into(),
            tokens.sealed.as_slice().into(),
            key.server.as_str().into(),
            key.subject.as_str().into(),
        ];
        let changed = match expected.map(|expected| expected.to_string()) {
            Some(expected) => {
                values.push(expected.into());
                let sql = format!(
                    "UPDATE server_tokens SET revision = ?, url = ?, issuer = ?, sealed = ?, leased_by = NULL,
                         leased_until = NULL, updated_at = {now}
                     WHERE server = ? AND subject = ? AND revision = ?"
                );
                db.execute(&sql, &values).await?
            }
            None => {
                let sql = format!(
                    "INSERT INTO server_tokens (revision, url, issuer, sealed, server, subject, updated_at)
                     VALUES (?, ?, ?, ?, ?, ?, {now}) ON CONFLICT (server, subject) DO NOTHING"
                );
                db.execute(&sql, &values).await?
            }
        };
        Ok(changed > 0)
    }

    async fn lease(&self, key: &TokenKey, lease: &Lease) -> Result<bool, TokenStoreError> {
        let db = self.tables.db().await?;
        let (now, until) = (db.dialect().now(), in_seconds(db.dialect()));
        let sql = format!(
            "UPDATE server_tokens SET leased_by = ?, leased_until = {until}
             WHERE server = ? AND subject = ? AND revision = ?
               AND (leased_by IS NULL OR leased_by = ? OR leased_until <= {now})"
        );
        let (holder, revision) = (lease.holder.to_string(), lease.revision.to_string());
        let values = [
            holder.as_str().into(),
            Some(lease.ttl.as_secs_f64()).into(),
            key.server.as_str().into(),
            key.subject.as_str().into(),
            revision.as_str().into(),
            holder.as_str().into(),
        ];
        Ok(db.execute(&sql, &values).await? > 0)
    }

    async fn remove(&self, key: &TokenKey) -> Result<bool, TokenStoreError> {
        let sql = "DELETE FROM server_tokens WHERE server = ? AND subject = ?";
        let values = [key.server.as_str().into(), key.subject.as_str().into()];
        Ok(self.tables.db().await?.execute(sql, &values).await? > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{shared_token_store_contract, token_store_contract};

    #[cfg(feature = "sqlite")]
    #[tokio::test]
    async fn tokens_in_sqlite_keep_the_contract() {
        let dir = tempfile::tempdir().unwrap();
        let store = || SqlTokens::new(Tables::at(format!("sqlite:{}", dir.path().join("t.db").display())));
        token_store_contract(&store()).await;
        shared_token_store_contract(&store(), &store()).await;
    }

    #[cfg(feature = "postgres")]
    #[tokio::test]
    async fn tokens_in_postgres_keep_the_contract() {
        let Some(url) = crate::testing::postgres_schema().await else { return };
        let store = || SqlTokens::new(Tables::at(&url));
        token_store_contract(&store()).await;
        shared_token_store_contract(&store(), &store()).await;
    }
}
