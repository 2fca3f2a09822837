//! All servers.

use axum::{extract::State, response::Response};
use chrono::Utc;
use omni_core::{Error, analytics::overview::Stretch, policy::Permission};

use crate::{
    error::ApiError,
    state::App,
    ui::{
        answer::{AsJson, Frame, moved, shown},
        person::{Person, Posted},
        view::servers,
    },
};

pub(in crate::ui) async fn show(as_json: AsJson, person: Person) -> Result<Response, ApiError> {
    let (admin, now) = (&person.admin, Utc::now());
    let usage = match admin.may(Permission::CanViewAuditLogs) {
        true => admin.overview(Stretch::Day, None, now).await?,
        false => None,
    };
    let portions = usage.map(|usage| usage.portions).unwrap_or_default();
    shown(as_json, servers::of(Frame::of(&person), &admin.servers().await?, &portions, now))
}

/// Reads the configuration again, and asks every server again.
pub(in crate::ui) async fn refresh(State(app): State<App>, Posted(person, _): Posted) -> Result<Response, ApiError> {
    match person.admin.refresh_servers(app.reloader.as_ref()).await {
        Ok(_) => moved("servers?notice=refreshed"),
        Err(error @ (Error::Config(_) | Error::Build(_))) => Err(ApiError::unusable(&error)),
        Err(error) => Err(error.into()),
    }
}
