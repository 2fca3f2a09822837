//! What was asked and called, page by page.

use axum::response::Response;
use chrono::Utc;
use omni_core::Error;
use serde_json::json;

use crate::{
    error::ApiError,
    ui::{
        answer::{AsJson, Frame, shown},
        fields::Fields,
        person::Person,
        view::audit,
    },
    wire::LogQuery,
};

/// Entries of a page where nobody says, and at most.
const PAGE: usize = 50;
const MOST: usize = 200;

pub(in crate::ui) async fn show(as_json: AsJson, person: Person) -> Result<Response, ApiError> {
    let mut query = log_query(&person.query).read(MOST)?;
    query.limit.get_or_insert(PAGE);
    let page = person.admin.audit()?.logs(&query).await.map_err(Error::from)?;
    shown(as_json, audit::of(Frame::of(&person), page, &person.query, Utc::now()))
}

/// What is looked for; a day that is no day is none.
fn log_query(fields: &Fields) -> LogQuery {
    let set = |name: &str| Some(fields.text(name)).filter(|text| !text.is_empty());
    let moment = |name: &str| set(name).and_then(|text| serde_json::from_value(json!(text)).ok());
    LogQuery {
        user_id: set("user"),
        status: set("status"),
        mcp_name: set("server"),
        tool: set("tool"),
        request_type: set("type"),
        since: moment("since"),
        until: moment("until"),
        days: set("days").and_then(|days| days.parse().ok()),
        limit: set("limit").and_then(|limit| limit.parse().ok()),
        after: set("after"),
        ..LogQuery::default()
    }
}
