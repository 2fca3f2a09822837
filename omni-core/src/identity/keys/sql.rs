//! Keys in the table `api_keys`.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::{ApiKey, KeyError, KeyStore};
use crate::{
    db::{DbError, Row, Val},
    identity::Scope,
    people::Tables,
};

const COLUMNS: &str = "id, tenant, user_email, key_hash, key_prefix, name, scopes, act_as, ceiling_role, is_revoked, \
                       revoked_at, last_used, expires_at, created_by, created_at";

/// Keys in a database.
#[derive(Debug, Clone)]
pub struct SqlKeys {
    tables: Tables,
}

impl SqlKeys {
    /// The keys of these tables.
    #[must_use]
    pub fn new(tables: Tables) -> Self {
        Self { tables }
    }

    async fn rows(&self, rest: &str, values: &[Val<'_>]) -> Result<Vec<ApiKey>, KeyError> {
        let db = self.tables.db().await?;
        let rows = db.fetch_all(&format!("SELECT {COLUMNS} FROM api_keys {rest}"), values).await?;
        Ok(rows.iter().map(key).collect::<Result<_, DbError>>()?)
    }
}

impl From<DbError> for KeyError {
    fn from(error: DbError) -> Self {
        Self::new(error.to_string())
    }
}

fn key(row: &Row) -> Result<ApiKey, DbError> {
    // A scope that this build does not know opens nothing.
    let scopes = row.texts("scopes")?;
    let is_revoked = row.bool("is_revoked")?;
    let created_at = row.time("created_at")?;
    Ok(ApiKey {
        id: row.int("id")?,
        prefix: row.text("key_prefix")?,
        hash: row.text("key_hash")?,
        name: row.optional_text("name")?,
        tenant: row.text("tenant")?,
        owner: row.text("user_email")?,
        scopes: scopes.iter().filter_map(|scope| Scope::from_name(scope)).collect(),
        act_as: row.texts("act_as")?,
        ceiling_role: row.optional_text("ceiling_role")?,
        expires_at: row.optional_time("expires_at")?,
        revoked_at: row.optional_time("revoked_at")?.or(is_revoked.then_some(created_at)),
        last_used: row.optional_time("last_used")?,
        created_at,
        created_by: row.optional_text("created_by")?,
    })
}

#[async_trait]
impl KeyStore for SqlKeys {
    async fn find(&self, prefix: &str) -> Result<Vec<ApiKey>, KeyError> {
        self.rows("WHERE key_prefix = ?", &[prefix.into()]).await
    }

    async fn get(&self, id: i64) -> Result<Option<ApiKey>, KeyError> {
        Ok(self.rows("WHERE id = ?", &[id.into()]).await?.pop())
    }

    async fn list(&self, owner: Option<&str>, before: Option<i64>, limit: u32) -> Result<Vec<ApiKey>, KeyError> {
        let (mut conditions, mut values) = (vec!["id < ?"], vec![Val::from(before.unwrap_or(i64::MAX))]);
        if let Some(owner) = owner {
            conditions.push("user_email = ?");
            values.push(owner.into());
        }
        values.push(limit.into());
        self.rows(&format!("WHERE {} ORDER BY id DESC LIMIT ?", conditions.join(" AND ")), &values).await
    }

    async fn insert(&self, key: &ApiKey) -> Result<i64, KeyError> {
        let sql = "INSERT INTO api_keys (user_id, tenant, user_email, key_hash, key_prefix, name, scopes, act_as,
                       ceiling_role, expires_at, created_by, created_at)
                   VALUES ((SELECT id FROM users WHERE tenant = ? AND email = ?), ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                   RETURNING id";
        let scopes = key.scopes.iter().map(|scope| scope.as_str().to_owned()).collect::<Vec<_>>();
        let values: [Val<'_>; 13] = [
            (&key.tenant).into(),
            (&key.owner).into(),
            (&key.tenant).into(),
            (&key.owner).into(),
            (&key.hash).into(),
            (&key.prefix).into(),
            (&key.name).into(),
            scopes.into(),
            key.act_as.clone().into(),
            (&key.ceiling_role).into(),
            key.expires_at.into(),
            (&key.created_by).into(),
            key.created_at.into(),
        ];
        let row = self.tables.db().await?.fetch_optional(sql, &values).await?;
        let row = row.ok_or_else(|| KeyError::new("the database gave the key no number"))?;
        Ok(row.int("id")?)
    }

    async fn revoke(&self, id: i64, by: &str) -> Result<Option<ApiKey>, KeyError> {
        let db = self.tables.db().await?;
        let sql = format!(
            "UPDATE api_keys SET is_revoked = ?, revoked_at = {}, revoked_by_email = ? WHERE id = ? AND is_revoked = ?",
            db.dialect().now()
        );
        db.execute(&sql, &[true.into(), by.into(), id.into(), false.into()]).await?;
        self.get(id).await
    }

    async fn touch(&self, id: i64, at: DateTime<Utc>) -> Result<(), KeyError> {
        let sql = "UPDATE api_keys SET last_used = ?, usage_count = usage_count + 1 WHERE id = ?";
        self.tables.db().await?.execute(sql, &[at.into(), id.into()]).await?;
        Ok(())
    }
}
