//! All servers, and how they are doing.

use askama::Template;
use chrono::{DateTime, Utc};
use omni_core::{analytics::overview::Portion, omni::OfferedServer};
use serde::Serialize;

use crate::{
    ui::{
        answer::Frame,
        chart::{self, Svg},
        fields::link,
        show,
    },
    wire::AdminServer,
};

#[derive(Debug, Template, Serialize)]
#[template(path = "servers.html")]
pub(in crate::ui) struct View {
    #[serde(skip)]
    frame: Frame,
    servers: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct Row {
    #[serde(flatten)]
    server: AdminServer,
    /// Tools that are kept back.
    held: usize,
    #[serde(skip)]
    name: String,
    #[serde(skip)]
    title: String,
    #[serde(skip)]
    description: String,
    #[serde(skip)]
    kind: String,
    #[serde(skip)]
    to: String,
    #[serde(skip)]
    mark: &'static str,
    #[serde(skip)]
    breaker_mark: &'static str,
    #[serde(skip)]
    latency: String,
    #[serde(skip)]
    checked: String,
    #[serde(skip)]
    strip: Option<Svg>,
    #[serde(skip)]
    note: &'static str,
}

pub(in crate::ui) fn of(frame: Frame, servers: &[OfferedServer], portions: &[Portion], now: DateTime<Utc>) -> View {
    View { frame, servers: servers.iter().map(|server| row(server, portions, now)).collect() }
}

fn row(offered: &OfferedServer, portions: &[Portion], now: DateTime<Utc>) -> Row {
    let (server, view) = (AdminServer::from(offered), &offered.view);
    let cells: Vec<_> = portions.iter().map(|portion| cell(portion, &view.name)).collect();
    let is_called = cells.iter().any(|(class, _)| *class != super::NO_CALL);
    Row {
        held: view.withheld.len(),
        name: view.name.to_string(),
        title: view.display_name.clone(),
        description: view.description.clone(),
        kind: view.kind.clone(),
        to: link("server", &[("name", &view.name)]),
        mark: super::mark_of(server.status),
        breaker_mark: super::mark_of(server.breaker),
        latency: show::duration_or_none(server.latency_ms),
        checked: server.last_check.map_or_else(|| "never".into(), |at| show::ago(at, now)),
        strip: (!cells.is_empty())
            .then(|| chart::strip(&format!("Calls of {} in the last 24 hours", view.name), &cells)),
        note: if is_called { "Calls of the last 24 hours" } else { "No calls in the last 24 hours" },
        server,
    }
}

fn cell(portion: &Portion, server: &str) -> (&'static str, String) {
    let name = portion.begins.format("%H:%M").to_string();
    super::cell(&name, portion.servers.get(server).copied().unwrap_or_default())
}
