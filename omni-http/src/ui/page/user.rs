//! One person: what they may do, and why.

use axum::response::Response;
use chrono::Utc;
use omni_core::ErrorKind;
use serde_json::{Map, Value};

use crate::{
    error::ApiError,
    ui::{
        answer::{AsJson, Frame, moved, shown},
        fields::{Fields, link},
        person::{Person, Posted},
        view::user::{self, Seen, Why},
    },
};

pub(in crate::ui) async fn show(as_json: AsJson, person: Person) -> Result<Response, ApiError> {
    let (admin, query) = (&person.admin, &person.query);
    let email = query.text("email");
    let profile = admin.profile_of(&email).await?;
    let rights = admin.rights_of(&email).await?;
    let standings = match admin.standings_of(&email).await {
        Err(error) if error.kind() == ErrorKind::Denied => Vec::new(),
        standings => standings?,
    };
    let why = match asked(query) {
        None => None,
        Some(Err(wrong)) => Some(Why::Unread(wrong)),
        Some(Ok((server, tool, arguments))) => {
            let arguments = arguments.map(Value::Object);
            Some(Why::Decided(admin.explain(&email, &server, &tool, arguments.as_ref()).await?))
        }
    };
    shown(as_json, user::of(Frame::of(&person), Seen { profile, rights, standings, why }, query, Utc::now()))
}

type Asked = (String, String, Option<Map<String, Value>>);

/// The call that is asked about, if one is.
fn asked(query: &Fields) -> Option<Result<Asked, String>> {
    let (server, tool) = (query.text("server"), query.text("tool"));
    if server.is_empty() || tool.is_empty() {
        return None;
    }
    let arguments = query.of("arguments").filter(|text| !text.trim().is_empty()).map(serde_json::from_str);
    Some(match arguments.transpose() {
        Ok(arguments) => Ok((server, tool, arguments)),
        Err(error) => Err(format!("the arguments are no JSON object: {error}")),
    })
}

/// Changes how they stand.
pub(in crate::ui) async fn change(Posted(person, fields): Posted) -> Result<Response, ApiError> {
    let (admin, email) = (&person.admin, fields.text("email"));
    let notice = match fields.of("do") {
        Some("role") => match admin.add_user(&email, None, &fields.text("role")).await? {
            true => "role-let-in",
            false => "role",
        },
        Some("disable") => {
            admin.disable_user(&email, fields.of("message")).await?;
            "disabled"
        }
        Some("enable") => {
            admin.enable_user(&email).await?;
            "enabled"
        }
        Some("approve") => {
            admin.approve_user(&email, fields.of("role")).await?;
            "let-in"
        }
        _ => return Err(ApiError::denied("there is no such change")),
    };
    moved(&link("user", &[("email", &email), ("notice", notice)]))
}
