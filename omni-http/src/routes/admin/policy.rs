//! What holds, and what was done.

use axum::{
    extract::State,
    http::{HeaderName, HeaderValue},
    response::{AppendHeaders, IntoResponse},
};
use omni_core::Error;
use serde_json::{Map, Value};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::admin;
use crate::{
    caller::Caller,
    error::ApiError,
    extract::{Invalid, Json, Query},
    state::App,
    wire::{Explain, Explanation, ListLogs, LogDetail, LogQuery},
};

/// Most entries of a page.
const MAX_LOGS: usize = 1_000;
/// Where the next page begins: an array has no room for it.
pub(super) const NEXT_AFTER: HeaderName = HeaderName::from_static("x-next-after");

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(logs)).routes(routes!(explain)).routes(routes!(config))
}

/// List what everybody asked and called
///
/// The newest first, with everything that is kept of it.
#[utoipa::path(get, path = "/admin/logs", tag = "admin", params(ListLogs), responses(
    (status = 200, body = Vec<LogDetail>, headers(
        ("X-Next-After" = Option<String>, description = "What `after` has to be for the next page, if there is one"),
    )),
))]
async fn logs(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<ListLogs>,
) -> Result<impl IntoResponse, ApiError> {
    let query = LogQuery::from(query).read(MAX_LOGS)?;
    let page = admin(&app, &caller).await?.audit()?.logs(&query).await.map_err(Error::from)?;
    let next = page.next.and_then(|next| HeaderValue::from_str(&next.to_string()).ok());
    let logs: Vec<LogDetail> = page.entries.into_iter().map(Into::into).collect();
    Ok((AppendHeaders(next.map(|next| (NEXT_AFTER, next))), Json(logs)))
}

/// Whether somebody may use a tool, and which rule decides
#[utoipa::path(get, path = "/admin/policy/explain", tag = "admin", params(Explain),
    responses((status = 200, body = Explanation)))]
async fn explain(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<Explain>,
) -> Result<Json<Explanation>, ApiError> {
    let arguments = query.arguments.as_deref().map(object).transpose()?;
    let admin = admin(&app, &caller).await?;
    let explained = admin.explain(&query.user, &query.server, &query.tool, arguments.as_ref()).await?;
    Ok(Json(Explanation::new(query, explained)))
}

fn object(text: &str) -> Result<Value, ApiError> {
    let invalid = |_| Invalid::new("json_invalid", "expected a JSON object").within("arguments").within("query").into();
    serde_json::from_str::<Map<String, Value>>(text).map(Value::Object).map_err(invalid)
}

/// The configuration that holds, with every secret hidden
#[utoipa::path(get, path = "/admin/config", tag = "admin", responses(
    (status = 200, body = Value),
    (status = 404, description = "There is none: a program built this service"),
))]
async fn config(State(app): State<App>, caller: Caller) -> Result<Json<Value>, ApiError> {
    Ok(Json(admin(&app, &caller).await?.config()?))
}
