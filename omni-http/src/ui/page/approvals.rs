//! Calls that wait for a human.

use axum::{extract::State, response::Response};
use chrono::Utc;
use omni_core::{Error, Source, audit::AuditQuery, confirm::Verdict, omni::Decider};
use uuid::Uuid;

use crate::{
    error::ApiError,
    state::App,
    ui::{
        answer::{AsJson, Frame, moved, shown},
        live,
        person::{Person, Posted},
        view::approvals,
    },
};

/// How many of the newest operations are gone through for what was decided.
const LOOKED_AT: usize = 100;

pub(in crate::ui) async fn show(State(app): State<App>, as_json: AsJson, person: Person) -> Result<Response, ApiError> {
    let seen = live::seen(&app, &person).await;
    let waiting = live::waiting(&app, &person.caller).await?;
    let mut decided = Vec::new();
    // A store that only takes records has nothing to show.
    if let Ok(access) = person.admin.audit() {
        let mut query = AuditQuery::default();
        (query.request_type, query.limit) = (Some("admin".into()), Some(LOOKED_AT));
        decided = access.logs(&query).await.map_err(Error::from)?.entries;
    }
    shown(as_json, approvals::of(Frame::of(&person), seen, waiting, &decided, Utc::now()))
}

/// Agrees to a call, or denies it. Its ask goes on whether somebody waits here or not.
pub(in crate::ui) async fn decide(
    State(app): State<App>,
    Posted(person, fields): Posted,
) -> Result<Response, ApiError> {
    let text = fields.text("id");
    let id: Uuid = text.parse().map_err(|_| ApiError::not_found(format!("no call {text:?} waits for a decision")))?;
    let (verdict, notice) = match fields.of("do") {
        Some("approve") => (Verdict::Approve, "agreed"),
        Some("deny") => (Verdict::Decline { reason: fields.text("reason") }, "denied"),
        _ => return Err(ApiError::denied("say yes or no")),
    };
    let by = Decider::new(person.caller.credential(None), Source::Http).with_client(person.caller.client());
    drop(app.omni.confirm(id, verdict, by).await?);
    moved(&format!("approvals?notice={notice}"))
}
