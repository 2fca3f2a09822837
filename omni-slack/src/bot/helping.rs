//! What somebody may use here, and how it is doing.

use chrono::{DateTime, TimeDelta, Utc};
use omni_core::{
    audit::{AuditQuery, AuditStats},
    catalog::{ServerView, ToolDef},
    omni::OfferedServer,
    policy::Grant,
};

use super::Bot;
use crate::{
    api::Body,
    people::Person,
    view::{
        self,
        help::{Dot, Menu, Server, Target, Tool},
        ids,
        status::{Operation, Quota, Standing, Status},
    },
};

/// What somebody looks at in the menu.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Open {
    server: String,
    page: usize,
}

impl Open {
    /// What a click in the menu opens; `None`: nothing. The outer one: it is no click in the menu.
    pub(super) fn clicked(id: &str, value: &str) -> Option<Option<Self>> {
        if let Some(server) = ids::explored(id) {
            return Some(Some(Self { server: server.to_owned(), page: 0 }));
        }
        match id {
            ids::HELP_SELECT => Some(Some(Self { server: value.to_owned(), page: 0 })),
            ids::HELP_BACK => Some(None),
            id if id.starts_with(ids::HELP_PAGE) => match Target::read(value)? {
                Target::Page { server, page } => Some(Some(Self { server, page })),
                Target::Tool { .. } => None,
            },
            _ => None,
        }
    }
}

impl Bot {
    /// The menu of the servers that somebody may use something of, perhaps with the tools of one under it.
    pub(super) async fn menu(&self, person: &Person, grant: &Grant, open: Option<Open>) -> Body {
        let mut menu = Menu { role: Some(grant.role.name.to_string()), ..Menu::default() };
        if let Some(open) = open {
            // Whoever looks at a server has it asked, if nobody did before.
            match self.omni().server(person.credential(), &open.server).await {
                Ok(server) => menu.tools = server.view.tools.iter().map(|def| tool(def, grant)).collect(),
                Err(error) => menu.problem = Some(view::error::text(&error, None)),
            }
            (menu.open, menu.page) = (Some(open.server), open.page);
        }
        match self.omni().known_servers(person.credential()).await {
            Ok(offered) => menu.servers = servers(&offered),
            Err(error) => return Body::of(&view::error::text(&error, None)),
        }
        view::help::menu(&menu)
    }

    /// How somebody and the servers stand.
    pub(super) async fn status(&self, person: &Person, grant: &Grant) -> Body {
        let offered = match self.omni().known_servers(person.credential()).await {
            Ok(offered) => offered,
            Err(error) => return Body::of(&view::error::text(&error, None)),
        };
        view::status::message(&Status {
            standing: self.standing(person, grant).await,
            servers: servers(&offered),
            operation: grant.role.is_admin.then(|| self.inside()),
        })
    }

    /// How somebody stands: what they may ask, and what they did by the ledger.
    pub(super) async fn standing(&self, person: &Person, grant: &Grant) -> Standing {
        let now = Utc::now();
        let (hour, day) = tokio::join!(
            self.asked_since(person, now - TimeDelta::hours(1)),
            self.asked_since(person, now - TimeDelta::days(1)),
        );
        let used = hour.map_or(0, |stats| stats.total_requests.saturating_sub(stats.blocked_count));
        Standing {
            name: person.name.clone(),
            role: Some(grant.role.name.to_string()),
            quota: grant.quota.per_hour.map(|limit| Quota { used, limit, resets_in: None }),
            cost_today_usd: day.as_ref().map(|stats| stats.total_cost),
            asked_today: day.map(|stats| stats.total_requests),
        }
    }

    /// What somebody did since then; `None` where the ledger cannot be read.
    async fn asked_since(&self, person: &Person, since: DateTime<Utc>) -> Option<AuditStats> {
        let log = self.omni().audit(person.credential()).await.ok()?;
        let mut query = AuditQuery::default();
        (query.user, query.since) = (Some(person.principal.subject.clone()), Some(since));
        log.stats(&query).await.ok()
    }

    /// The servers that somebody may use something of.
    pub(super) async fn servers_of(&self, person: &Person) -> Vec<Server> {
        servers(&self.omni().known_servers(person.credential()).await.unwrap_or_default())
    }

    /// What administrators see beside it.
    fn inside(&self) -> Operation {
        let provider = self.omni().models().ok().and_then(|models| Some((models.first()?.id.clone(), true)));
        Operation {
            version: env!("CARGO_PKG_VERSION").into(),
            uptime_s: self.0.began.elapsed().as_secs(),
            running: Some(self.0.running.count()),
            provider,
            ..Operation::default()
        }
    }
}

fn servers(offered: &[OfferedServer]) -> Vec<Server> {
    offered.iter().map(|offered| server(&offered.view)).collect()
}

fn server(view: &ServerView) -> Server {
    Server {
        name: view.name.to_string(),
        display_name: view.display_name.clone(),
        description: Some(view.description.clone()).filter(|text| !text.trim().is_empty()),
        dot: Dot::from(&view.health),
        tools: view.tools.len(),
    }
}

fn tool(def: &ToolDef, grant: &Grant) -> Tool {
    Tool {
        name: def.name.to_string(),
        description: Some(def.description.clone()).filter(|text| !text.trim().is_empty()),
        is_read_only: def.annotations.read_only_hint == Some(true),
        is_destructive: def.annotations.destructive_hint == Some(true),
        needs_approval: grant.decide_tool(def.rule_ref(), None).confirm,
    }
}
