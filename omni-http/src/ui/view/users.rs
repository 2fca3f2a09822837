//! People, by address.

use askama::Template;
use omni_core::omni::{People, Profile};
use serde::Serialize;

use super::written::Written;
use crate::{
    ui::{answer::Frame, fields::link, show},
    wire::AdminUser,
};

#[derive(Debug, Template, Serialize)]
#[template(path = "users.html")]
pub(in crate::ui) struct View {
    #[serde(skip)]
    frame: Frame,
    total: usize,
    super_admins: usize,
    users: Vec<AdminUser>,
    /// After whom the next page begins.
    next: Option<String>,
    #[serde(skip)]
    rows: Vec<Row>,
    #[serde(skip)]
    more: Option<String>,
    #[serde(skip)]
    written: Written,
}

#[derive(Debug)]
struct Row {
    email: String,
    name: String,
    to: String,
    role: String,
    status: &'static str,
    mark: &'static str,
    teams: String,
    servers: String,
    source: String,
}

pub(in crate::ui) fn of(frame: Frame, people: People, written: Written) -> View {
    View {
        frame,
        total: people.total,
        super_admins: people.super_admins,
        rows: people.page.iter().map(row).collect(),
        more: people.next.as_ref().map(|next| link("users", &[("after", next)])),
        next: people.next,
        users: people.page.into_iter().map(AdminUser::from).collect(),
        written,
    }
}

fn row(person: &Profile) -> Row {
    Row {
        email: person.email.clone(),
        name: person.name.clone(),
        to: link("user", &[("email", &person.email)]),
        role: person.role.clone().unwrap_or_else(|| show::NONE.into()),
        status: person.status.as_str(),
        mark: super::mark_of(person.status.as_str()),
        teams: person.teams.join(", "),
        servers: servers(person.servers.as_deref()),
        source: person.named_at.as_ref().map_or_else(|| "database".into(), ToString::to_string),
    }
}

/// The servers of which somebody may use something.
pub(super) fn servers(servers: Option<&[String]>) -> String {
    match servers {
        None => "all".into(),
        Some([]) => "none".into(),
        Some(some) => some.join(", "),
    }
}
