//! What somebody may use here, and how it is doing.

use omni_core::{
    catalog::{Health, ServerView, ToolDef},
    omni::OfferedServer,
    policy::Grant,
};

use super::Bot;
use crate::{
    api::Body,
    people::Person,
    view::{
        self,
        help::{Dot, Menu, Open, Page, Server, Tool},
        status::Status,
    },
};

impl Bot {
    /// The menu of the servers that somebody may use something of, perhaps with the tools of one under it.
    pub(super) async fn menu(&self, person: &Person, grant: &Grant, open: Option<Open>) -> Body {
        let offered = match self.omni().known_servers(person.credential()).await {
            Ok(offered) => offered,
            Err(error) => return Body::of(view::error::text(&error, None)),
        };
        let page = match &open {
            // Whoever looks at a server has it asked, if nobody did before.
            Some(open) => match self.omni().server(person.credential(), &open.server).await {
                Ok(server) => Some(page(&server, grant, open.page)),
                Err(error) => return Body::of(view::error::text(&error, None)),
            },
            None => None,
        };
        let menu = Menu {
            name: person.name.clone(),
            role: grant.role.name.to_string(),
            servers: offered.iter().map(|offered| server(&offered.view)).collect(),
        };
        view::help::menu(&menu, page.as_ref()).into()
    }

    /// How somebody and the servers stand.
    pub(super) async fn status(&self, person: &Person, grant: &Grant) -> Body {
        let offered = match self.omni().known_servers(person.credential()).await {
            Ok(offered) => offered,
            Err(error) => return Body::of(view::error::text(&error, None)),
        };
        let status = Status {
            name: person.name.clone(),
            role: grant.role.name.to_string(),
            quota: quota(grant),
            servers: offered.iter().map(|offered| server(&offered.view)).collect(),
            admin: grant.role.is_admin.then(|| self.inside()),
        };
        view::status::status(&status).into()
    }

    /// The servers that somebody may use something of.
    pub(super) async fn servers_of(&self, person: &Person) -> Vec<Server> {
        let offered = self.omni().known_servers(person.credential()).await.unwrap_or_default();
        offered.iter().map(|offered| server(&offered.view)).collect()
    }

    /// What administrators see beside it.
    fn inside(&self) -> Vec<String> {
        let models = match self.omni().models() {
            Ok(models) => models.first().map(|model| format!("Model: {}", model.id)).unwrap_or_default(),
            Err(error) => format!("There is no model: {error}"),
        };
        let ledger = match self.omni().admit() {
            Ok(()) => "The ledger takes records".into(),
            Err(error) => format!("Nobody is let in: {error}"),
        };
        vec![models, ledger, format!("Answers under way: {}", self.0.tasks.len())]
    }
}

/// How much somebody may ask.
pub(super) fn quota(grant: &Grant) -> Vec<String> {
    let per = [
        (grant.quota.per_hour, "questions an hour"),
        (grant.quota.per_minute, "questions a minute"),
        (grant.quota.concurrent, "at a time"),
    ];
    per.into_iter().filter_map(|(most, what)| Some(format!("{} {what}", most?))).collect()
}

fn dot(health: &Health) -> Dot {
    match health {
        Health::Healthy => Dot::Healthy,
        Health::Unhealthy { .. } => Dot::Away,
        Health::Disabled => Dot::Off,
        _ => Dot::Unknown,
    }
}

fn server(view: &ServerView) -> Server {
    Server {
        name: view.name.to_string(),
        display_name: view.display_name.clone(),
        description: view.description.clone(),
        health: dot(&view.health),
        tools: view.tools.len(),
    }
}

fn page(offered: &OfferedServer, grant: &Grant, page: usize) -> Page {
    let view = &offered.view;
    Page {
        server: view.name.to_string(),
        display_name: view.display_name.clone(),
        description: view.description.clone(),
        tools: view.tools.iter().map(|def| tool(def, grant)).collect(),
        page,
    }
}

fn tool(def: &ToolDef, grant: &Grant) -> Tool {
    Tool {
        name: def.name.to_string(),
        description: def.description.clone(),
        read_only: def.annotations.read_only_hint == Some(true),
        destructive: def.annotations.destructive_hint == Some(true),
        needs_approval: grant.decide_tool(def.rule_ref(), None).confirm,
    }
}
