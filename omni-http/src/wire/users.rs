//! Who one is, and who there is.

use omni_core::omni::{People, Profile};
use serde::Serialize;
use utoipa::ToSchema;

/// A person.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct User {
    pub(crate) email: String,
    pub(crate) name: String,
    pub(crate) role: Option<String>,
    /// `"*"`, or the servers of which they may use something.
    pub(crate) allowed_mcps: AllOrSome,
    /// Whether they may use something of every server.
    pub(crate) allow_all_mcps: bool,
    /// `"*"`, or the domains of knowledge that the model may answer them from.
    pub(crate) allowed_domains: AllOrSome,
    /// Their teams. They grant nothing.
    pub(crate) teams: Vec<String>,
    pub(crate) slack_user_id: Option<String>,
    /// Whether nobody named them, so that they are what anybody is.
    pub(crate) is_default: bool,
    /// `active`, `blocked`, `pending`, `unknown`.
    pub(crate) status: &'static str,
}

/// `"*"` for everything, or a list.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum AllOrSome {
    /// Always `*`.
    All(&'static str),
    /// Only these.
    Some(Vec<String>),
}

/// The people of whom the caller may know.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UserList {
    /// How many there are.
    pub(crate) total_users: usize,
    pub(crate) super_admins: usize,
    pub(crate) regular_users: usize,
    /// By address.
    pub(crate) users: Vec<UserEntry>,
    /// What `after` has to be for the next page; `null` at the end.
    pub(crate) next: Option<String>,
}

/// A person in a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UserEntry {
    pub(crate) email: String,
    pub(crate) name: String,
    pub(crate) role: Option<String>,
    pub(crate) teams: Vec<String>,
}

impl From<Option<Vec<String>>> for AllOrSome {
    fn from(list: Option<Vec<String>>) -> Self {
        list.map_or(Self::All("*"), Self::Some)
    }
}

impl From<Profile> for User {
    fn from(person: Profile) -> Self {
        Self {
            email: person.email,
            name: person.name,
            role: person.role,
            allow_all_mcps: person.servers.is_none(),
            allowed_mcps: person.servers.into(),
            allowed_domains: person.domains.into(),
            teams: person.teams,
            slack_user_id: person.slack_user_id,
            is_default: person.is_default,
            status: person.status.as_str(),
        }
    }
}

impl From<People> for UserList {
    fn from(people: People) -> Self {
        let entry = |person: Profile| UserEntry {
            email: person.email,
            name: person.name,
            role: person.role,
            teams: person.teams,
        };
        Self {
            total_users: people.total,
            super_admins: people.super_admins,
            regular_users: people.total - people.super_admins,
            users: people.page.into_iter().map(entry).collect(),
            next: people.next,
        }
    }
}
