//! What was asked and called, page by page.

use std::str::FromStr;

use axum::{http::StatusCode, response::Response};
use chrono::Utc;
use omni_core::{
    Error,
    audit::{AuditQuery, LogPage},
};

use crate::{
    error::ApiError,
    ui::{
        answer::{AsJson, Frame, placed, shown},
        fields::Fields,
        person::Person,
        view::audit::{self, FAILED},
    },
    wire::{Detail, FieldError, LogQuery, Moment},
};

/// Entries of a page where nobody says, and at most.
const PAGE: usize = 50;
const MOST: usize = 200;

pub(in crate::ui) async fn show(as_json: AsJson, person: Person) -> Result<Response, ApiError> {
    let access = person.admin.audit()?;
    let (page, wrong) = match log_query(&person.query) {
        Ok(query) => (access.logs(&query).await.map_err(Error::from)?, Vec::new()),
        Err(wrong) => match wrong.detail() {
            // On the page it is told where it was written.
            Detail::Fields(fields) if !as_json.is_wanted() => (LogPage::default(), fields.iter().map(placed).collect()),
            _ => return Err(wrong),
        },
    };
    let is_wrong = !wrong.is_empty();
    let mut response = shown(as_json, audit::of(Frame::of(&person), page, &person.query, wrong, Utc::now()))?;
    if is_wrong {
        *response.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
    }
    Ok(response)
}

/// What is looked for.
///
/// # Errors
/// Every field that cannot be read.
fn log_query(fields: &Fields) -> Result<AuditQuery, ApiError> {
    let mut wrong = Vec::new();
    let set = |name: &str| Some(fields.text(name)).filter(|text| !text.is_empty());
    let status = set("status");
    let has_failed = status.as_deref() == Some(FAILED);
    let query = LogQuery {
        user_id: set("user"),
        status: status.filter(|_| !has_failed),
        mcp_name: set("server"),
        tool: set("tool"),
        source: set("source"),
        request_type: set("type"),
        since: read(fields, "since", moment, &mut wrong),
        until: read(fields, "until", moment, &mut wrong),
        days: read(fields, "days", number, &mut wrong),
        limit: read(fields, "limit", number, &mut wrong),
        after: set("after"),
        ..LogQuery::default()
    };
    if !wrong.is_empty() {
        return Err(ApiError::invalid(wrong));
    }
    let mut query = query.read(MOST)?;
    query.failed = has_failed;
    query.limit.get_or_insert(PAGE);
    Ok(query)
}

fn moment(text: &str) -> Result<Moment, String> {
    serde_json::from_value(text.into()).map_err(|error| error.to_string())
}

fn number<T: FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("expected a whole number, found {text:?}"))
}

/// What a field says, if it says something that can be read.
fn read<T>(
    fields: &Fields,
    name: &str,
    parse: fn(&str) -> Result<T, String>,
    wrong: &mut Vec<FieldError>,
) -> Option<T> {
    let text = Some(fields.text(name)).filter(|text| !text.is_empty())?;
    parse(&text).map_err(|message| wrong.push(FieldError::of(&["query", name], &message, "value_error"))).ok()
}
