//! The admin pages at `/ui`, rendered here: no script of anybody else's, no other host, and no page without its
//! document in JSON (`Accept: application/json`, or `.json` at the end of the path).
//!
//! The way of a request: [`session::admit`] finds who came, [`Person`](person::Person) is the one place that asks
//! whether they may see the page, a handler in `page` asks the core, a function in `view` makes what is shown of what
//! the core said, and a template writes it. Every text is escaped by the template; the one value that is not is a
//! [`chart`], which is made of numbers here.
//!
//! All pages lie beside each other, and links between them are relative: they work wherever a program mounts the door.

use axum::{
    Router,
    http::{StatusCode, header},
    routing::{MethodRouter, any, get, post},
};
use omni_core::{omni::Admin, policy::Permission};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::state::App;

mod answer;
mod assets;
mod chart;
mod cookie;
mod ended;
mod failed;
mod fields;
mod form;
mod live;
mod login;
#[cfg(feature = "oidc")]
mod oidc;
mod page;
mod person;
mod place;
pub(crate) mod session;
mod show;
mod view;

pub(crate) use failed::{Asked, failed, known};

/// Where the pages lie.
const ROOT: &str = "/ui";

/// What the pages of one door share.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    ended: ended::Ended,
    /// Room for those who come back from the issuer's page.
    #[cfg(feature = "oidc")]
    logins: oidc::Room,
    live: live::Live,
    /// Ends what tells pages of changes.
    stop: CancellationToken,
}

impl Shared {
    /// Ends every stream of changes.
    pub(crate) fn end(&self) {
        self.stop.cancel();
    }
}

/// A page of the menu, or one below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Page {
    Overview,
    Servers,
    Server,
    Tool,
    Users,
    User,
    Audit,
    Ask,
    Approvals,
    Limits,
    Keys,
    Settings,
}

impl Page {
    /// Those of the menu.
    const MENU: [Self; 8] = [
        Self::Overview,
        Self::Servers,
        Self::Users,
        Self::Audit,
        Self::Approvals,
        Self::Limits,
        Self::Keys,
        Self::Settings,
    ];
    const BELOW: [Self; 4] = [Self::Server, Self::Tool, Self::User, Self::Ask];

    /// The last part of its path.
    fn name(self) -> &'static str {
        match self {
            Self::Overview => "overview",
            Self::Servers => "servers",
            Self::Server => "server",
            Self::Tool => "tool",
            Self::Users => "users",
            Self::User => "user",
            Self::Audit => "audit",
            Self::Ask => "ask",
            Self::Approvals => "approvals",
            Self::Limits => "limits",
            Self::Keys => "keys",
            Self::Settings => "settings",
        }
    }

    /// What it is called in the menu and in the title.
    fn title(self) -> &'static str {
        match self {
            Self::Overview => "Overview",
            Self::Servers => "Servers & tools",
            Self::Server => "Server",
            Self::Tool => "Tool",
            Self::Users => "Users & policy",
            Self::User => "User",
            Self::Audit => "Audit",
            Self::Ask => "Trace",
            Self::Approvals => "Approvals",
            Self::Limits => "Limits & budgets",
            Self::Keys => "Keys",
            Self::Settings => "Settings",
        }
    }

    /// The entry of the menu that it belongs to.
    fn entry(self) -> Self {
        match self {
            Self::Server | Self::Tool => Self::Servers,
            Self::User => Self::Users,
            Self::Ask => Self::Audit,
            entry => entry,
        }
    }

    /// The page of a name.
    fn of(name: &str) -> Option<Self> {
        Self::MENU.into_iter().chain(Self::BELOW).find(|page| page.name() == name)
    }

    /// The page of a path, that of its document too.
    fn of_path(path: &str) -> Option<Self> {
        let name = path.rsplit('/').next()?;
        Self::of(name.strip_suffix(".json").unwrap_or(name))
    }

    /// Whether somebody may see it. The core asks again for everything that is on it.
    fn admits(self, admin: &Admin) -> bool {
        match self {
            Self::Servers | Self::Server | Self::Tool | Self::Settings => admin.may(Permission::CanModifyConfig),
            Self::Users | Self::User | Self::Limits | Self::Keys => admin.may(Permission::CanManageUsers),
            Self::Audit | Self::Ask => admin.may(Permission::CanViewAuditLogs),
            Self::Overview | Self::Approvals => {
                let any = [Permission::CanModifyConfig, Permission::CanManageUsers, Permission::CanViewAuditLogs];
                any.into_iter().any(|permission| admin.may(permission))
            }
        }
    }
}

/// Whether a route is one of the pages: only there a cookie is somebody's credential.
pub(crate) fn is_page(route: &str) -> bool {
    route.strip_prefix(ROOT).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

pub(crate) fn routes() -> Router<App> {
    let pages: [(Page, MethodRouter<App>); 12] = [
        (Page::Overview, get(page::overview::show)),
        (Page::Servers, get(page::servers::show).post(page::servers::refresh)),
        (Page::Server, get(page::server::show).post(page::server::approve)),
        (Page::Tool, get(page::tool::show).post(page::tool::call)),
        (Page::Users, get(page::users::show)),
        (Page::User, get(page::user::show).post(page::user::change)),
        (Page::Audit, get(page::audit::show)),
        (Page::Ask, get(page::ask::show)),
        (Page::Approvals, get(page::approvals::show).post(page::approvals::decide)),
        (Page::Limits, get(page::limits::show)),
        (Page::Keys, get(page::keys::show).post(page::keys::change)),
        (Page::Settings, get(page::settings::show)),
    ];
    let routes = Router::new()
        .route(ROOT, get(|| std::future::ready((StatusCode::SEE_OTHER, [(header::LOCATION, "ui/overview")]))))
        .route("/ui/", get(|| std::future::ready((StatusCode::SEE_OTHER, [(header::LOCATION, "overview")]))))
        .route("/ui/events", get(live::events))
        .route("/ui/assets/{name}", get(assets::one))
        .route("/ui/{page}", any(failed::nothing));
    #[cfg(feature = "oidc")]
    let routes = routes.route("/ui/oidc", get(oidc::begin)).route("/ui/callback", get(oidc::finish));
    let pages = pages.into_iter().map(|(page, methods)| (page.name(), methods));
    let doors = [("login", get(login::show).post(login::enter)), ("logout", post(login::leave))];
    pages.chain(doors).fold(routes, |routes, (name, methods)| {
        let path = format!("{ROOT}/{name}");
        routes.route(&format!("{path}.json"), methods.clone()).route(&path, methods)
    })
}

#[cfg(test)]
mod tests;
