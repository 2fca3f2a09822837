//! What is changed of people.

use serde::Deserialize;
use utoipa::ToSchema;

/// Somebody who gets a role.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct AddUser {
    /// The e-mail address.
    pub(crate) email: String,
    #[serde(default)]
    pub(crate) name: Option<String>,
    pub(crate) role: String,
}

/// Another role.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct SetRole {
    pub(crate) role: String,
}

/// Why somebody is kept out.
#[derive(Debug, Default, Deserialize, ToSchema)]
pub(crate) struct Disable {
    /// What they read.
    #[serde(default)]
    pub(crate) message: Option<String>,
}

/// How somebody is let in.
#[derive(Debug, Default, Deserialize, ToSchema)]
pub(crate) struct Approve {
    /// Absent: the role that is on offer for them.
    #[serde(default)]
    pub(crate) role: Option<String>,
}
