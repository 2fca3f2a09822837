//! API keys.

use chrono::{DateTime, TimeDelta, Utc};
use omni_core::{
    ExposeSecret as _,
    identity::{ApiKey, Scope, keys::IssuedKey},
    omni::NewKey,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// The longest that a key may last, in days.
const MAX_DAYS: u32 = 3_650;

/// Whose keys are listed.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListKeys {
    /// An e-mail address. Absent: everybody's.
    #[serde(default)]
    pub(crate) user: Option<String>,
}

/// A key to be made.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct CreateKey {
    /// Whose it will be: an e-mail address.
    pub(crate) user: String,
    /// What it may be used for.
    pub(crate) scopes: Vec<KeyScope>,
    /// What it is for.
    #[serde(default)]
    pub(crate) name: Option<String>,
    /// Whom it may act for: e-mail addresses, `role:<name>`, or `*`. Empty: anybody, where it has the
    /// scope `act_as`.
    #[serde(default)]
    pub(crate) act_as: Vec<String>,
    /// A role that its rights never exceed. Absent: none, and the owner's for one that may act for others.
    #[serde(default)]
    pub(crate) ceiling_role: Option<String>,
    /// When it ends, in days. Absent: never.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 3650)]
    pub(crate) expires_days: Option<u32>,
}

/// What a key may be used for.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum KeyScope {
    /// Ask questions.
    Ask,
    /// List and call tools directly.
    Mcp,
    /// Read what others asked, where the owner's role allows it.
    Audit,
    /// Use admin operations, where the owner's role allows them.
    Admin,
    /// Act for others.
    ActAs,
}

/// A key, of which nothing can be read that opens anything.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct KeyEntry {
    pub(crate) id: i64,
    /// The characters by which it is found.
    pub(crate) prefix: String,
    /// What it is for.
    pub(crate) name: Option<String>,
    /// Whose it is.
    pub(crate) user: String,
    pub(crate) scopes: Vec<&'static str>,
    /// Whom it may act for.
    pub(crate) act_as: Vec<String>,
    pub(crate) ceiling_role: Option<String>,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) created_by: Option<String>,
    pub(crate) expires_at: Option<DateTime<Utc>>,
    pub(crate) revoked_at: Option<DateTime<Utc>>,
    /// When it was last used, to a minute.
    pub(crate) last_used: Option<DateTime<Utc>>,
}

/// A key that was just made.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CreatedKey {
    /// The key. This is the only time that it can be read.
    pub(crate) key: String,
    #[serde(flatten)]
    pub(crate) entry: KeyEntry,
}

impl From<KeyScope> for Scope {
    fn from(scope: KeyScope) -> Self {
        match scope {
            KeyScope::Ask => Self::Ask,
            KeyScope::Mcp => Self::Tools,
            KeyScope::Audit => Self::Audit,
            KeyScope::Admin => Self::Admin,
            KeyScope::ActAs => Self::ActAs,
        }
    }
}

impl CreateKey {
    /// When it ends, if it may last so long.
    pub(crate) fn expires_at(&self) -> Result<Option<DateTime<Utc>>, String> {
        match self.expires_days {
            Some(days) if !(1..=MAX_DAYS).contains(&days) => Err(format!("a key lasts 1 to {MAX_DAYS} days")),
            days => Ok(days.map(|days| Utc::now() + TimeDelta::days(days.into()))),
        }
    }

    /// What the core is asked for.
    pub(crate) fn into_new(self, expires_at: Option<DateTime<Utc>>) -> NewKey {
        let mut new = NewKey::new(self.user, self.scopes.into_iter().map(Scope::from).collect());
        new.name = self.name;
        new.act_as = self.act_as;
        new.ceiling_role = self.ceiling_role;
        new.expires_at = expires_at;
        new
    }
}

impl From<ApiKey> for KeyEntry {
    fn from(key: ApiKey) -> Self {
        Self {
            id: key.id,
            prefix: key.prefix,
            name: key.name,
            user: key.owner,
            scopes: key.scopes.iter().map(Scope::as_str).collect(),
            act_as: key.act_as,
            ceiling_role: key.ceiling_role,
            created_at: key.created_at,
            created_by: key.created_by,
            expires_at: key.expires_at,
            revoked_at: key.revoked_at,
            last_used: key.last_used,
        }
    }
}

impl From<IssuedKey> for CreatedKey {
    fn from(issued: IssuedKey) -> Self {
        Self { key: issued.secret.expose_secret().to_owned(), entry: issued.key.into() }
    }
}
