//! What a `users.yaml` says, in place of what the tables say.

use std::collections::BTreeSet;

use serde::Serialize;

use super::{
    Tables, normalise, raise_version,
    write::{block, insert_role, insert_settings, insert_team, insert_user},
};
use crate::{
    config::spec::{UserSpec, UsersSpec},
    db::{DbError, Tx},
    identity::DEFAULT_TENANT,
};

/// What becomes of those whom an administrator keeps out, and of whom the file does not say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blocks {
    /// They stay out: no list of people lets in whom somebody kept out on purpose.
    Stay,
    /// They are let in, as if the database had been empty.
    Go,
}

/// What an import did beside what the file says. People are named by address.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Imported {
    /// How many people the file names.
    pub people: usize,
    /// Who had a role and is not named any more: what is left to them is what anybody has.
    pub no_longer_named: Vec<String>,
    /// Who is still kept out, though the file does not say so.
    pub still_blocked: Vec<String>,
    /// Who was kept out and is not any more.
    pub let_in: Vec<String>,
}

impl Tables {
    /// Replaces everything but blocks that are to stay. Whoever is not named any more keeps their row
    /// as somebody who was seen.
    pub(crate) async fn replace(&self, spec: &UsersSpec, by: &str, blocks: Blocks) -> Result<Imported, DbError> {
        let mut tx = self.db().await?.begin().await?;
        let (assigned, out) = (assigned(&mut tx).await?, kept_out(&mut tx).await?);
        clear(&mut tx, blocks).await?;
        write(&mut tx, spec, by).await?;
        let (assigned_now, out_now) = (self::assigned(&mut tx).await?, kept_out(&mut tx).await?);
        raise_version(&mut tx).await?;
        tx.commit().await?;
        let said = said_out(spec);
        let still_out = out.intersection(&out_now).filter(|email| !said.contains(*email));
        Ok(Imported {
            people: spec.users.len() + spec.super_admins.len(),
            no_longer_named: assigned.difference(&assigned_now).cloned().collect(),
            still_blocked: still_out.cloned().collect(),
            let_in: out.difference(&out_now).cloned().collect(),
        })
    }
}

async fn write(tx: &mut Tx, spec: &UsersSpec, by: &str) -> Result<(), DbError> {
    for (name, role) in &spec.roles {
        insert_role(tx, name, role).await?;
    }
    for (name, team) in &spec.teams {
        insert_team(tx, name, team).await?;
    }
    // Super admins come last: who is in both lists is super admin.
    for (list, is_super_admin) in [(&spec.users, false), (&spec.super_admins, true)] {
        for user in list {
            insert_user(tx, user, is_super_admin).await?;
        }
    }
    for blocked in &spec.blocked_users {
        block(tx, &blocked.email, blocked.message.as_deref(), by).await?;
    }
    insert_settings(tx, spec).await
}

async fn clear(tx: &mut Tx, blocks: Blocks) -> Result<(), DbError> {
    for table in ["roles", "teams", "user_settings"] {
        tx.execute(&format!("DELETE FROM {table}"), &[]).await?;
    }
    for table in ["user_access", "user_mcp_permissions", "user_teams"] {
        let sql = format!("DELETE FROM {table} WHERE user_id IN (SELECT id FROM users WHERE tenant = ?)");
        tx.execute(&sql, &[DEFAULT_TENANT.into()]).await?;
    }
    if blocks == Blocks::Go {
        tx.execute("DELETE FROM user_blocks WHERE tenant = ?", &[DEFAULT_TENANT.into()]).await?;
        let sql = "UPDATE users SET is_active = ? WHERE tenant = ? AND is_active IS NOT TRUE";
        tx.execute(sql, &[true.into(), DEFAULT_TENANT.into()]).await?;
    }
    let sql = "UPDATE users SET role_source = 'seen', is_super_admin = ?, slack_user_id = NULL
               WHERE tenant = ? AND role_source = 'assigned'";
    tx.execute(sql, &[false.into(), DEFAULT_TENANT.into()]).await.map(drop)
}

/// Who has a role of their own.
async fn assigned(tx: &mut Tx) -> Result<BTreeSet<String>, DbError> {
    let sql = "SELECT email FROM users WHERE tenant = ? AND role_source = 'assigned'";
    let rows = tx.fetch_all(sql, &[DEFAULT_TENANT.into()]).await?;
    rows.iter().map(|row| row.text("email")).collect()
}

/// Who may not use omni.
async fn kept_out(tx: &mut Tx) -> Result<BTreeSet<String>, DbError> {
    let sql = "SELECT email FROM user_blocks WHERE tenant = ?
               UNION SELECT email FROM users WHERE tenant = ? AND is_active IS NOT TRUE";
    let rows = tx.fetch_all(sql, &[DEFAULT_TENANT.into(), DEFAULT_TENANT.into()]).await?;
    rows.iter().map(|row| row.text("email")).collect()
}

/// Whom the file keeps out.
fn said_out(spec: &UsersSpec) -> BTreeSet<String> {
    let is_out = |user: &&UserSpec| user.is_active == Some(false);
    let inactive = spec.users.iter().chain(&spec.super_admins).filter(is_out).map(|user| normalise(&user.email));
    spec.blocked_users.iter().map(|blocked| normalise(&blocked.email)).chain(inactive).collect()
}
