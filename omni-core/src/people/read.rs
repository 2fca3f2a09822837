//! From the tables to what `users.yaml` would say.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
};

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

/// What the tables say, as it was at one moment.
#[derive(Debug, Default)]
pub(crate) struct Stored {
    /// That moment's number.
    pub(crate) version: i64,
    /// What a `users.yaml` would say.
    pub(crate) users: UsersSpec,
    /// Rows that are not what they should be. They grant nothing, and take nothing away either: what
    /// depends on them may not be used.
    pub(crate) broken: BTreeSet<Broken>,
}

impl Stored {
    /// Roles whose row cannot be read: what it would deny is not known, so nobody may have them.
    pub(crate) fn broken_roles(&self) -> impl Iterator<Item = &String> {
        self.broken.iter().filter_map(|broken| if let Broken::Role(name) = broken { Some(name) } else { None })
    }
}

/// A row that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Broken {
    Role(String),
    User(String),
    Setting(&'static str),
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Role(name) => write!(f, "the role {name}"),
            Self::User(email) => write!(f, "the user {email}"),
            Self::Setting(name) => write!(f, "the setting {name}"),
        }
    }
}

impl Tables {
    /// Everything; nothing where there is no database yet.
    pub(crate) async fn read(&self) -> Result<Stored, DbError> {
        let Some(db) = self.existing().await? else { return Ok(Stored::default()) };
        let mut tx = db.begin().await?;
        if tx.dialect() == Dialect::Postgres {
            tx.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY", &[]).await?;
        }
        let version = tx.fetch_optional("SELECT version FROM policy_version WHERE id = 1", &[]).await?;
        let mut stored = Stored { version: version.map_or(Ok(0), |row| row.int("version"))?, ..Stored::default() };
        roles(&mut tx, &mut stored).await?;
        settings(&mut tx, &mut stored).await?;
        stored.users.teams = teams(&mut tx).await?;
        stored.users.blocked_users = blocks(&mut tx).await?;
        users(&mut tx, &mut stored).await?;
        for broken in &stored.broken {
            tracing::warn!(%broken, "a row of the policy is not what it should be; nobody may use what depends on it");
        }
        Ok(stored)
    }
}

/// The object of a column; nothing is an empty one. `None` where the column holds something else.
fn object(row: &Row, column: &str) -> Option<Map<String, Value>> {
    match row.optional_json(column) {
        Ok(None) => Some(Map::new()),
        Ok(Some(Value::Object(object))) => Some(object),
        Ok(Some(_)) | Err(_) => None,
    }
}

fn parsed<T: DeserializeOwned>(object: Map<String, Value>) -> Option<T> {
    serde_json::from_value(Value::Object(object)).ok()
}

async fn users(tx: &mut Tx, stored: &mut Stored) -> Result<(), DbError> {
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
    for row in rows {
        let (id, email) = (row.int("id")?, row.text("email")?);
        let access = permissions.remove(&id).unwrap_or_else(|| Some(Vec::new()));
        let rest = object(&row, "settings").and_then(|settings| without_columns(&email, settings));
        let (rest, access) = rest.zip(access).unwrap_or_else(|| {
            stored.broken.insert(Broken::User(email.clone()));
            // Whose rows cannot be read may do nothing at all.
            (UserSpec { is_active: Some(false), ..UserSpec::default() }, Vec::new())
        });
        let user = user(&row, rest, of_rows(access), teams.remove(&id).unwrap_or_default())?;
        let is_super_admin = row.optional_bool("is_super_admin")?.unwrap_or(false);
        let list = if is_super_admin { &mut stored.users.super_admins } else { &mut stored.users.users };
        list.push(user);
    }
    Ok(())
}

/// What has no column.
fn without_columns(email: &str, mut settings: Map<String, Value>) -> Option<UserSpec> {
    settings.insert("email".into(), email.into());
    parsed(settings)
}

fn user(row: &Row, rest: UserSpec, allowed: Option<AllowedMcps>, teams: Vec<String>) -> Result<UserSpec, DbError> {
    let is_active = rest.is_active.unwrap_or(true) && row.optional_bool("is_active")?.unwrap_or(false);
    Ok(UserSpec {
        email: row.text("email")?,
        name: row.optional_text("name")?,
        role: row.optional_text("role")?,
        slack_user_id: row.optional_text("slack_user_id")?,
        is_active: Some(is_active).filter(|is_active| !is_active),
        allowed_mcps: allowed,
        teams,
        ..rest
    })
}

/// The rows of each person; `None` where one of them cannot be read.
async fn permissions(tx: &mut Tx) -> Result<HashMap<i64, Option<Vec<Permission>>>, DbError> {
    let sql = "SELECT user_id, mcp_name, mode, allowed_tools, denied_tools, beside FROM user_mcp_permissions
               ORDER BY mcp_name";
    let mut by_user: HashMap<i64, Option<Vec<Permission>>> = HashMap::new();
    for row in tx.fetch_all(sql, &[]).await? {
        let rows = by_user.entry(row.int("user_id")?).or_insert_with(|| Some(Vec::new()));
        match (permission(&row), rows.as_mut()) {
            (Some(permission), Some(rows)) => rows.push(permission),
            (Some(_), None) => {}
            (None, _) => *rows = None,
        }
    }
    Ok(by_user)
}

fn permission(row: &Row) -> Option<Permission> {
    Some(Permission {
        server: row.text("mcp_name").ok()?,
        mode: mode_of(&row.text("mode").ok()?),
        allowed: row.texts("allowed_tools").ok()?,
        denied: row.texts("denied_tools").ok()?,
        beside: parsed(object(row, "beside")?)?,
    })
}

async fn user_teams(tx: &mut Tx) -> Result<HashMap<i64, Vec<String>>, DbError> {
    let mut by_user: HashMap<i64, Vec<String>> = HashMap::new();
    for row in tx.fetch_all("SELECT user_id, team_name FROM user_teams ORDER BY id", &[]).await? {
        by_user.entry(row.int("user_id")?).or_default().push(row.text("team_name")?);
    }
    Ok(by_user)
}

async fn roles(tx: &mut Tx, stored: &mut Stored) -> Result<(), DbError> {
    let sql = "SELECT name, display_name, permissions, rate_limit, settings FROM roles ORDER BY name";
    for row in tx.fetch_all(sql, &[]).await? {
        let name = row.text("name")?;
        match role(&row) {
            Some(role) => drop(stored.users.roles.insert(name, role)),
            None => drop(stored.broken.insert(Broken::Role(name))),
        }
    }
    Ok(())
}

fn role(row: &Row) -> Option<RoleSpec> {
    let mut role = object(row, "settings")?;
    for key in ["permissions", "rate_limit"] {
        role.insert(key.into(), object(row, key)?.into());
    }
    role.insert("display_name".into(), row.optional_text("display_name").ok()?.into());
    parsed(role)
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

async fn settings(tx: &mut Tx, stored: &mut Stored) -> Result<(), DbError> {
    let sql = "SELECT default_user, auto_provisioning FROM user_settings WHERE id = 1";
    let Some(row) = tx.fetch_optional(sql, &[]).await? else { return Ok(()) };
    let default_user = setting(&row, "default_user", stored);
    let auto_provisioning = setting(&row, "auto_provisioning", stored);
    // Whoever waits for an approval is not let in as anybody because that cannot be read.
    if let (Ok(default_user), Ok(auto_provisioning)) = (default_user, auto_provisioning) {
        (stored.users.default_user, stored.users.auto_provisioning) = (default_user, auto_provisioning);
    }
    Ok(())
}

/// What a column says; `Err` where it cannot be read.
fn setting<T: DeserializeOwned>(row: &Row, column: &'static str, stored: &mut Stored) -> Result<Option<T>, ()> {
    match row.optional_json(column) {
        Ok(None | Some(Value::Null)) => return Ok(None),
        Ok(Some(Value::Object(object))) => {
            if let Some(setting) = parsed(object) {
                return Ok(Some(setting));
            }
        }
        Ok(Some(_)) | Err(_) => {}
    }
    stored.broken.insert(Broken::Setting(column));
    Err(())
}

async fn blocks(tx: &mut Tx) -> Result<Vec<BlockedSpec>, DbError> {
    // Somebody without a role of their own, whose row does not say that they are active, is kept out too.
    let sql = "SELECT email, message FROM user_blocks WHERE tenant = ?
               UNION ALL
               SELECT email, NULL AS message FROM users WHERE tenant = ? AND role_source = 'seen' AND is_active IS NOT TRUE
               AND email NOT IN (SELECT email FROM user_blocks WHERE tenant = ?)
               ORDER BY email";
    let tenant = || DEFAULT_TENANT.into();
    let rows = tx.fetch_all(sql, &[tenant(), tenant(), tenant()]).await?;
    let block = |row: &Row| Ok(BlockedSpec { email: row.text("email")?, message: row.optional_text("message")? });
    rows.iter().map(block).collect()
}
