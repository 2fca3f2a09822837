//! One server.

use axum::response::Response;
use chrono::Utc;
use omni_core::analytics::overview::Stretch;

use crate::{
    error::ApiError,
    ui::{
        answer::{AsJson, Frame, moved, shown},
        fields::link,
        person::{Person, Posted},
        view::server,
    },
};

pub(in crate::ui) async fn show(as_json: AsJson, person: Person) -> Result<Response, ApiError> {
    let name = person.query.text("name");
    let found = person.admin.servers().await?.into_iter().find(|server| *server.view.name == *name);
    let found = found.ok_or_else(|| ApiError::not_found(format!("there is no server {name:?}")))?;
    let pins = person.admin.pins(Some(&name), None).await?;
    let now = Utc::now();
    let spells = person.admin.spells(Stretch::Month.since(now), Some(&name)).await?;
    shown(as_json, server::of(Frame::of(&person), &found, pins, &spells, now))
}

/// Agrees to what a tool has become, if it still is what was looked at.
pub(in crate::ui) async fn approve(Posted(person, fields): Posted) -> Result<Response, ApiError> {
    let (server, tool) = (fields.text("server"), fields.text("tool"));
    person.admin.approve_tool(&server, &tool, Some(&fields.text("digest"))).await?;
    moved(&link("server", &[("name", &server), ("notice", "approved")]))
}
