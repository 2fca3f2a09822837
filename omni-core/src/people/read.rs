//! From the tables to what `users.yaml` would say.

use std::collections::{BTreeMap, HashMap};

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{
    Tables,
    access::{Permission, mode_of, of_rows},
};
use crate::{
    config::spec::{AllowedMcps, BlockedSpec, RoleSpec, TeamSpec, UserSpec, UsersSpec},
    db::{DbError, Dialect, Row, Tx},
    identity::DEFAULT_TENANT,
};

impl Tables {
    /// Everything, as it was at one moment, and that moment's number.
    pub(crate) async fn read(&self) -> Result<(i64, UsersSpec), DbError> {
        let mut tx = self.db().await?.begin().await?;
        if tx.dialect() == Dialect::Postgres {
            tx.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY", &[]).await?;
        }
        let version = tx.fetch_optional("SELECT version FROM policy_version WHERE id = 1", &[]).await?;
        let version = version.map_or(Ok(0), |row| row.int("version"))?;
        let mut spec = UsersSpec { roles: roles(&mut tx).await?, teams: teams(&mut tx).await?, ..UsersSpec::default() };
        settings(&mut tx, &mut spec).await?;
        spec.blocked_users = blocks(&mut tx).await?;
        for (user, is_super_admin) in users(&mut tx).await? {
            if is_super_admin { spec.super_admins.push(user) } else { spec.users.push(user) }
        }
        Ok((version, spec))
    }
}

/// What does not fit denies: the rows of one person never keep the others out.
fn parsed<T: DeserializeOwned + Default>(what: &str, value: Value) -> Option<T> {
    match serde_json::from_value(value) {
        Ok(parsed) => Some(parsed),
        Err(error) => {
            tracing::warn!(what, %error, "a row of the policy is not what it should be; it grants nothing");
            None
        }
    }
}

async fn users(tx: &mut Tx) -> Result<Vec<(UserSpec, bool)>, DbError> {
    let mut permissions = permissions(tx).await?;
    let mut teams = user_teams(tx).await?;
    let rows = tx
        .fetch_all(
            "SELECT users.id, email, name, role, is_super_admin, is_active, slack_user_id, settings FROM users
             LEFT JOIN user_access ON user_access.user_id = users.id
             WHERE tenant = ? AND role_source = 'assigned' ORDER BY users.id",
            &[DEFAULT_TENANT.into()],
        )
        .await?;
    let mut users = Vec::with_capacity(rows.len());
    for row in rows {
        let id = row.int("id")?;
        let allowed = of_rows(permissions.remove(&id).unwrap_or_default());
        users.push((user(&row, allowed, teams.remove(&id).unwrap_or_default())?, row.bool("is_super_admin")?));
    }
    Ok(users)
}

fn user(row: &Row, allowed: Option<AllowedMcps>, teams: Vec<String>) -> Result<UserSpec, DbError> {
    let email = row.text("email")?;
    let mut settings = row.optional_json("settings")?.unwrap_or_else(|| Value::Object(Map::new()));
    settings["email"] = email.clone().into();
    // One whose settings cannot be read may do nothing at all.
    let broken = || UserSpec { is_active: Some(false), ..UserSpec::default() };
    let user = parsed::<UserSpec>("user", settings).unwrap_or_else(broken);
    let is_active = user.is_active.unwrap_or(true) && row.bool("is_active")?;
    Ok(UserSpec {
        name: row.optional_text("name")?,
        role: row.optional_text("role")?,
        slack_user_id: row.optional_text("slack_user_id")?,
        is_active: Some(is_active).filter(|is_active| !is_active),
        allowed_mcps: allowed,
        teams,
        email,
        ..user
    })
}

async fn permissions(tx: &mut Tx) -> Result<HashMap<i64, Vec<Permission>>, DbError> {
    let sql = "SELECT user_id, mcp_name, mode, allowed_tools, denied_tools FROM user_mcp_permissions ORDER BY mcp_name";
    let mut by_user: HashMap<i64, Vec<Permission>> = HashMap::new();
    for row in tx.fetch_all(sql, &[]).await? {
        by_user.entry(row.int("user_id")?).or_default().push(Permission {
            server: row.text("mcp_name")?,
            mode: mode_of(&row.text("mode")?),
            allowed: row.texts("allowed_tools")?,
            denied: row.texts("denied_tools")?,
        });
    }
    Ok(by_user)
}

async fn user_teams(tx: &mut Tx) -> Result<HashMap<i64, Vec<String>>, DbError> {
    let mut by_user: HashMap<i64, Vec<String>> = HashMap::new();
    for row in tx.fetch_all("SELECT user_id, team_name FROM user_teams ORDER BY id", &[]).await? {
        by_user.entry(row.int("user_id")?).or_default().push(row.text("team_name")?);
    }
    Ok(by_user)
}

async fn roles(tx: &mut Tx) -> Result<BTreeMap<String, RoleSpec>, DbError> {
    let mut roles = BTreeMap::new();
    let sql = "SELECT name, display_name, permissions, rate_limit, settings FROM roles ORDER BY name";
    for row in tx.fetch_all(sql, &[]).await? {
        let mut role = row.optional_json("settings")?.unwrap_or_else(|| Value::Object(Map::new()));
        for key in ["permissions", "rate_limit"] {
            role[key] = row.optional_json(key)?.unwrap_or_else(|| Value::Object(Map::new()));
        }
        role["display_name"] = row.optional_text("display_name")?.into();
        // Without its row the role is not known, and whoever has it is denied everything.
        if let Some(role) = parsed("role", role) {
            roles.insert(row.text("name")?, role);
        }
    }
    Ok(roles)
}

async fn teams(tx: &mut Tx) -> Result<BTreeMap<String, TeamSpec>, DbError> {
    let mut teams = BTreeMap::new();
    let sql = "SELECT name, display_name, description, slack_channel, notify_on_errors FROM teams ORDER BY name";
    for row in tx.fetch_all(sql, &[]).await? {
        let team = TeamSpec {
            name: row.optional_text("display_name")?,
            description: row.optional_text("description")?,
            slack_channel: row.optional_text("slack_channel")?,
            notify_on_errors: row.optional_bool("notify_on_errors")?,
        };
        teams.insert(row.text("name")?, team);
    }
    Ok(teams)
}

async fn settings(tx: &mut Tx, spec: &mut UsersSpec) -> Result<(), DbError> {
    let sql = "SELECT default_user, auto_provisioning FROM user_settings WHERE id = 1";
    let Some(row) = tx.fetch_optional(sql, &[]).await? else { return Ok(()) };
    spec.default_user = row.optional_json("default_user")?.and_then(|value| parsed("default_user", value));
    spec.auto_provisioning =
        row.optional_json("auto_provisioning")?.and_then(|value| parsed("auto_provisioning", value));
    Ok(())
}

async fn blocks(tx: &mut Tx) -> Result<Vec<BlockedSpec>, DbError> {
    // Somebody without a role of their own, whose row says that they are not active, is kept out too.
    let sql = "SELECT email, message FROM user_blocks WHERE tenant = ?
               UNION ALL
               SELECT email, NULL AS message FROM users WHERE tenant = ? AND role_source = 'seen' AND is_active = ?
               AND email NOT IN (SELECT email FROM user_blocks WHERE tenant = ?)
               ORDER BY email";
    let tenant = || DEFAULT_TENANT.into();
    let rows = tx.fetch_all(sql, &[tenant(), tenant(), false.into(), tenant()]).await?;
    let block = |row: &Row| Ok(BlockedSpec { email: row.text("email")?, message: row.optional_text("message")? });
    rows.iter().map(block).collect()
}
