//! From what `users.yaml` says to rows of the tables.

use serde::Serialize;
use serde_json::Value;

use super::{
    access::{Permission, mode_name, to_rows},
    normalise, user_id,
};
use crate::{
    config::spec::{RoleSpec, TeamSpec, UserSpec, UsersSpec},
    db::{DbError, Tx, Val},
    identity::DEFAULT_TENANT,
};

/// What is in columns of its own, or in other tables.
const OUTSIDE: [&str; 7] = ["email", "name", "role", "is_active", "allowed_mcps", "teams", "slack_user_id"];

pub(super) async fn insert_role(tx: &mut Tx, name: &str, role: &RoleSpec) -> Result<(), DbError> {
    let mut settings = object(role);
    let mut take = |key: &str| settings.as_object_mut().and_then(|settings| settings.remove(key));
    let (permissions, rate_limit) = (take("permissions"), take("rate_limit"));
    take("display_name");
    let empty = || Value::Object(serde_json::Map::new());
    let values: [Val<'_>; 5] = [
        name.into(),
        (&role.display_name).into(),
        permissions.unwrap_or_else(empty).into(),
        rate_limit.unwrap_or_else(empty).into(),
        settings.into(),
    ];
    let sql = "INSERT INTO roles (name, display_name, permissions, rate_limit, settings) VALUES (?, ?, ?, ?, ?)";
    tx.execute(sql, &values).await.map(drop)
}

pub(super) async fn insert_team(tx: &mut Tx, name: &str, team: &TeamSpec) -> Result<(), DbError> {
    let values = [
        name.into(),
        (&team.name).into(),
        (&team.description).into(),
        (&team.slack_channel).into(),
        Val::Bool(team.notify_on_errors),
    ];
    let sql =
        "INSERT INTO teams (name, display_name, description, slack_channel, notify_on_errors) VALUES (?, ?, ?, ?, ?)";
    tx.execute(sql, &values).await.map(drop)
}

pub(super) async fn insert_user(tx: &mut Tx, user: &UserSpec, is_super_admin: bool) -> Result<(), DbError> {
    let email = normalise(&user.email);
    if email.is_empty() {
        return Ok(());
    }
    let id = user_id(tx, &email, user.name.as_deref()).await?;
    // An id that is left empty is nobody's, however many have it.
    let slack_user_id = user.slack_user_id.as_deref().filter(|id| !id.trim().is_empty());
    let values = [
        (&user.role).into(),
        is_super_admin.into(),
        user.is_active.unwrap_or(true).into(),
        slack_user_id.into(),
        id.into(),
    ];
    let sql =
        "UPDATE users SET role_source = 'assigned', role = ?, is_super_admin = ?, is_active = ?, slack_user_id = ?
               WHERE id = ?";
    tx.execute(sql, &values).await?;
    for table in ["user_access", "user_mcp_permissions", "user_teams"] {
        tx.execute(&format!("DELETE FROM {table} WHERE user_id = ?"), &[id.into()]).await?;
    }
    let mut settings = object(user);
    if let Some(settings) = settings.as_object_mut() {
        settings.retain(|key, _| !OUTSIDE.contains(&key.as_str()));
    }
    tx.execute("INSERT INTO user_access (user_id, settings) VALUES (?, ?)", &[id.into(), settings.into()]).await?;
    for row in to_rows(user.allowed_mcps.as_ref()) {
        insert_permission(tx, id, row).await?;
    }
    for team in &user.teams {
        let sql = "INSERT INTO user_teams (user_id, team_name) VALUES (?, ?) ON CONFLICT DO NOTHING";
        tx.execute(sql, &[id.into(), team.into()]).await?;
    }
    Ok(())
}

async fn insert_permission(tx: &mut Tx, user_id: i64, row: Permission) -> Result<(), DbError> {
    let values: [Val<'_>; 6] = [
        user_id.into(),
        row.server.into(),
        mode_name(row.mode).into(),
        row.allowed.into(),
        row.denied.into(),
        object(&row.beside).into(),
    ];
    let sql = "INSERT INTO user_mcp_permissions (user_id, mcp_name, mode, allowed_tools, denied_tools, beside)
               VALUES (?, ?, ?, ?, ?, ?)";
    tx.execute(sql, &values).await.map(drop)
}

/// The one row of settings.
pub(super) async fn insert_settings(tx: &mut Tx, spec: &UsersSpec) -> Result<(), DbError> {
    let values = [json(&spec.default_user), json(&spec.auto_provisioning)];
    let sql = "INSERT INTO user_settings (id, default_user, auto_provisioning) VALUES (1, ?, ?)";
    tx.execute(sql, &values).await.map(drop)
}

/// Lets somebody not use omni.
pub(super) async fn block(tx: &mut Tx, email: &str, message: Option<&str>, by: &str) -> Result<(), DbError> {
    let sql = format!(
        "INSERT INTO user_blocks (tenant, email, message, blocked_by, blocked_at) VALUES (?, ?, ?, ?, {})
         ON CONFLICT (tenant, email) DO UPDATE SET message = excluded.message, blocked_by = excluded.blocked_by,
             blocked_at = excluded.blocked_at",
        tx.dialect().now()
    );
    let values = [DEFAULT_TENANT.into(), normalise(email).into(), message.into(), by.into()];
    tx.execute(&sql, &values).await.map(drop)
}

/// The keys of something, without those that are not set.
fn object(something: &impl Serialize) -> Value {
    serde_json::to_value(something).unwrap_or_default()
}

fn json<T: Serialize>(value: &Option<T>) -> Val<'static> {
    value.as_ref().map(object).into()
}
