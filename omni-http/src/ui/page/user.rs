//! One person: what they may do, and why.

use axum::response::Response;
use chrono::Utc;
use omni_core::{ErrorKind, omni::Admin};
use serde_json::{Map, Value};

use crate::{
    error::ApiError,
    ui::{
        answer::{AsJson, Frame, is_told_there, moved, refused, shown, told},
        fields::{Fields, link},
        page::users,
        person::{Person, Posted},
        view::{
            user::{self, Seen, Why},
            written::Written,
        },
    },
};

pub(in crate::ui) async fn show(as_json: AsJson, person: Person) -> Result<Response, ApiError> {
    let (admin, query) = (&person.admin, &person.query);
    let email = query.text("email");
    let mut seen = seen(admin, &email).await?;
    seen.why = match asked(query) {
        None => None,
        Some(Err(wrong)) => Some(Why::Unread(wrong)),
        Some(Ok((server, tool, arguments))) => {
            let arguments = arguments.map(Value::Object);
            Some(Why::Decided(admin.explain(&email, &server, &tool, arguments.as_ref()).await?))
        }
    };
    shown(as_json, user::of(Frame::of(&person), seen, query, Utc::now()))
}

/// What the core says of somebody.
async fn seen(admin: &Admin, email: &str) -> Result<Seen, omni_core::Error> {
    let profile = admin.profile_of(email).await?;
    let rights = admin.rights_of(email).await?;
    let standings = match admin.standings_of(email).await {
        Err(error) if error.kind() == ErrorKind::Denied => Vec::new(),
        standings => standings?,
    };
    Ok(Seen { profile, rights, standings, why: None, written: Written::default() })
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
pub(in crate::ui) async fn change(as_json: AsJson, Posted(person, fields): Posted) -> Result<Response, ApiError> {
    match changed(&person.admin, &fields).await {
        Ok(to) => moved(&to),
        Err(error) if is_told_there(as_json, &error) => not_changed(&person, &fields, error).await,
        Err(error) => Err(error),
    }
}

/// The form again: on their own page, or where people are let in whom nobody knows yet.
async fn not_changed(person: &Person, fields: &Fields, error: ApiError) -> Result<Response, ApiError> {
    let written = Written::of(fields, told(&error));
    match seen(&person.admin, &written.email).await {
        Ok(seen) => {
            let seen = Seen { written, ..seen };
            refused(user::of(Frame::of(person), seen, &Fields::default(), Utc::now()), &error)
        }
        Err(unknown) if unknown.kind() == ErrorKind::NotFound => {
            refused(users::refusing(person, written).await?, &error)
        }
        Err(_) => Err(error),
    }
}

/// Where it is seen.
async fn changed(admin: &Admin, fields: &Fields) -> Result<String, ApiError> {
    let email = fields.text("email");
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
            let known = admin.profile_of(&email).await;
            if known.is_err_and(|error| error.kind() == ErrorKind::NotFound) {
                return Ok(link("users", &[("notice", "unblocked")]));
            }
            "enabled"
        }
        Some("approve") => {
            admin.approve_user(&email, fields.of("role")).await?;
            "let-in"
        }
        _ => return Err(ApiError::denied("there is no such change")),
    };
    Ok(link("user", &[("email", &email), ("notice", notice)]))
}
