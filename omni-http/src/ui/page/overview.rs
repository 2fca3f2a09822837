//! Everything at a glance.

use axum::{extract::State, response::Response};
use chrono::Utc;
use omni_core::{Error, analytics::overview::Stretch, audit::AuditQuery, policy::Permission};

use crate::{
    error::ApiError,
    state::App,
    ui::{
        answer::{AsJson, Frame, shown},
        live,
        person::Person,
        view::overview::{self, Seen},
    },
};

/// How many failures are listed.
const FAILURES: usize = 6;

pub(in crate::ui) async fn show(State(app): State<App>, as_json: AsJson, person: Person) -> Result<Response, ApiError> {
    let (now, stretch) = (Utc::now(), stretch(person.query.of("period")));
    let source = person.query.of("source").map(str::to_owned);
    let admin = &person.admin;
    let look = live::seen(&app, &person).await;
    let waiting = live::waiting(&app, &person.caller).await?.len();
    let mut seen = Seen { stretch, source, look, waiting, ..Seen::default() };
    if admin.may(Permission::CanViewAuditLogs) {
        seen.usage = admin.overview(stretch, seen.source.as_deref(), now).await?;
        // A store that only takes records has nothing to show.
        if let Ok(access) = admin.audit() {
            let mut failed = AuditQuery::default();
            (failed.failed, failed.limit) = (true, Some(FAILURES));
            failed.since = Some(stretch.since(now));
            failed.source = seen.source.as_deref().map(|source| overview::logged(source).to_owned());
            seen.failures = access.logs(&failed).await.map_err(Error::from)?.entries;
        }
    }
    if admin.may(Permission::CanModifyConfig) {
        seen.servers = Some(app.omni.known_catalog());
        seen.spells = admin.spells(stretch.since(now), None).await?;
    }
    shown(as_json, overview::of(Frame::of(&person), seen, now))
}

fn stretch(named: Option<&str>) -> Stretch {
    match named {
        Some("7d") => Stretch::Week,
        Some("30d") => Stretch::Month,
        _ => Stretch::Day,
    }
}
