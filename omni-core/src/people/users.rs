//! What administrators do with people.

use chrono::{DateTime, Utc};

use super::{Tables, normalise, raise_version, user_id, write::block};
use crate::{
    db::{DbError, Row, Tx},
    identity::DEFAULT_TENANT,
};

/// Who has an account.
const ACCOUNTS: &str = "tenant = ? AND email <> '' AND email NOT LIKE 'local:%'";

/// How a person came into the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum UserState {
    /// An administrator gave them a role.
    Assigned,
    /// They asked once.
    Seen,
}

/// A person of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct KnownUser {
    /// The e-mail address, in lower case.
    pub email: String,
    /// The name.
    pub name: String,
    /// The role that an administrator gave them, or that they had when they last asked.
    pub role: Option<String>,
    /// Which of the two.
    pub state: UserState,
    /// When something of them changed, or they last asked.
    pub updated_at: DateTime<Utc>,
}

impl Tables {
    /// People by address, `limit` at most, those after `after`.
    ///
    /// # Errors
    /// A [`DbError`].
    pub async fn users(&self, after: &str, limit: u32) -> Result<Vec<KnownUser>, DbError> {
        let sql = "SELECT email, name, role, role_source, updated_at FROM users
                   WHERE tenant = ? AND email > ? ORDER BY email LIMIT ?";
        let rows = self.db().await?.fetch_all(sql, &[DEFAULT_TENANT.into(), after.into(), limit.into()]).await?;
        rows.iter().map(known).collect()
    }

    /// Addresses of people, `limit` at most, those after `after`. Whoever sits at a terminal without being
    /// mapped has no account here.
    ///
    /// # Errors
    /// A [`DbError`].
    pub async fn addresses(&self, after: &str, limit: u32) -> Result<Vec<String>, DbError> {
        let db = self.db().await?;
        // Whoever puts them together with others compares bytes.
        let email = db.dialect().by_bytes("email");
        let sql = format!("SELECT email FROM users WHERE {ACCOUNTS} AND {email} > ? ORDER BY {email} LIMIT ?");
        let rows = db.fetch_all(&sql, &[DEFAULT_TENANT.into(), after.into(), limit.into()]).await?;
        rows.iter().map(|row| row.text("email")).collect()
    }

    /// How many people there are, with those that `others` adds.
    ///
    /// # Errors
    /// A [`DbError`].
    pub async fn count_with(&self, others: &[&str]) -> Result<u64, DbError> {
        let db = self.db().await?;
        // In one statement: whoever asks for the first time meanwhile is counted once, or not yet.
        let sql = format!(
            "SELECT (SELECT count(*) FROM users WHERE {ACCOUNTS}) + (SELECT count(*) FROM {} WHERE NOT EXISTS
                 (SELECT 1 FROM users WHERE {ACCOUNTS} AND email = one.value)) AS n",
            db.dialect().each_text("?")
        );
        let others = others.iter().map(|email| (*email).to_owned()).collect::<Vec<_>>();
        let values = [DEFAULT_TENANT.into(), others.into(), DEFAULT_TENANT.into()];
        db.fetch_optional(&sql, &values).await?.map_or(Ok(0), |row| row.unsigned("n"))
    }

    /// Gives somebody a role, whether or not they ever asked, and lifts what keeps them out. Whether anything did.
    ///
    /// # Errors
    /// A [`DbError`].
    pub async fn assign(&self, email: &str, name: Option<&str>, role: &str) -> Result<bool, DbError> {
        let email = normalise(email);
        let mut tx = self.db().await?.begin().await?;
        let id = user_id(&mut tx, &email, name).await?;
        let sql = "UPDATE users SET role = ?, role_source = 'assigned', is_super_admin = ? WHERE id = ?";
        let is_super_admin = role == crate::policy::Role::super_admin().name.as_ref();
        tx.execute(sql, &[role.into(), is_super_admin.into(), id.into()]).await?;
        let was_out = let_in(&mut tx, &email).await?;
        raise_version(&mut tx).await?;
        tx.commit().await?;
        Ok(was_out)
    }

    /// Keeps somebody out, whoever they are to the policy; `message` is what they read.
    ///
    /// # Errors
    /// A [`DbError`].
    pub async fn disable(&self, email: &str, message: Option<&str>, by: &str) -> Result<(), DbError> {
        let mut tx = self.db().await?.begin().await?;
        block(&mut tx, email, message, by).await?;
        raise_version(&mut tx).await?;
        tx.commit().await
    }

    /// Lets somebody in again. Whether they were kept out.
    ///
    /// # Errors
    /// A [`DbError`].
    pub async fn enable(&self, email: &str) -> Result<bool, DbError> {
        let mut tx = self.db().await?.begin().await?;
        let was_out = let_in(&mut tx, &normalise(email)).await?;
        raise_version(&mut tx).await?;
        tx.commit().await?;
        Ok(was_out)
    }
}

/// Lifts what keeps somebody out. Whether anything did.
async fn let_in(tx: &mut Tx, email: &str) -> Result<bool, DbError> {
    let values = [DEFAULT_TENANT.into(), email.into()];
    let unblocked = tx.execute("DELETE FROM user_blocks WHERE tenant = ? AND email = ?", &values).await?;
    let [tenant, email] = values;
    let sql = "UPDATE users SET is_active = ? WHERE tenant = ? AND email = ? AND is_active IS NOT TRUE";
    let activated = tx.execute(sql, &[true.into(), tenant, email]).await?;
    Ok(unblocked + activated > 0)
}

fn known(row: &Row) -> Result<KnownUser, DbError> {
    let state = if row.text("role_source")? == "assigned" { UserState::Assigned } else { UserState::Seen };
    Ok(KnownUser {
        email: row.text("email")?,
        name: row.text("name")?,
        role: row.optional_text("role")?,
        state,
        updated_at: row.time("updated_at")?,
    })
}
