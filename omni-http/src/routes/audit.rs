//! What was asked and called: one's own for everybody, all of it for whom may read that.

use axum::{
    extract::State,
    response::{IntoResponse as _, Response},
};
use omni_core::{
    Error,
    audit::{AuditAccess, AuditError, AuditQuery},
};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use super::named;
use crate::{
    caller::Caller,
    error::ApiError,
    extract::{Json, Path, Query},
    state::App,
    wire::{Format, LogDetail, LogList, LogQuery, LogWithCalls, MyLogQuery, MyStatsQuery, Stats, StatsQuery},
};

pub(super) mod export;

/// Most entries of a page, and how many it has where nobody says.
const LOGS: (usize, usize) = (1_000, 100);
const MY_LOGS: (usize, usize) = (500, 50);

/// What the original says to whoever asks for somebody else's entries and may not read them.
const OWN_LOGS: &str = "You can only view your own audit logs";
const OWN_STATS: &str = "You can only view your own statistics";

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(logs))
        .routes(routes!(one))
        .routes(routes!(stats))
        .routes(routes!(my_logs))
        .routes(routes!(my_stats))
}

/// List what was asked and called
///
/// The newest first. Everybody's takes the scope `audit` and the permission `can_view_audit_logs`.
#[utoipa::path(get, path = "/audit/logs", tag = "audit", params(LogQuery), responses(
    (status = 200, content(
        (LogList = "application/json"), (String = "text/csv"), (String = "application/x-ndjson"),
    )),
))]
async fn logs(State(app): State<App>, caller: Caller, Query(mut query): Query<LogQuery>) -> Result<Response, ApiError> {
    let who = caller.credential(named(query.requesting_user.take()).as_deref());
    let access = app.omni.audit(who).await?;
    page(access, &query, query.read(LOGS.0)?, LOGS.1).await
}

/// What is kept of one ask or call
///
/// With the calls that were made for it, and the whole answer where `audit.store_content` is `full`.
#[utoipa::path(get, path = "/audit/logs/{request_id}", tag = "audit",
    params(("request_id" = Uuid, Path, description = "The id that the ask or call was answered with")), responses(
    (status = 200, body = LogWithCalls),
    (status = 404, description = "There is none, or it is somebody else's"),
))]
async fn one(
    State(app): State<App>,
    caller: Caller,
    Path(request_id): Path<Uuid>,
) -> Result<Json<LogWithCalls>, ApiError> {
    let access = app.omni.audit(caller.credential(None)).await?;
    let entry = access.entry(request_id).await.map_err(Error::from)?;
    let entry = entry.ok_or_else(|| ApiError::not_found(format!("there is nothing of the request {request_id}")))?;
    let calls = access.calls(request_id).await.map_err(Error::from)?;
    let answer = access.answer(&entry).await.map_err(Error::from)?;
    Ok(Json(LogWithCalls { detail: entry.into(), answer, tool_calls: calls.into_iter().map(Into::into).collect() }))
}

/// Sum up what was asked and called
#[utoipa::path(get, path = "/audit/stats", tag = "audit", params(StatsQuery),
    responses((status = 200, body = Stats)))]
async fn stats(
    State(app): State<App>,
    caller: Caller,
    Query(mut query): Query<StatsQuery>,
) -> Result<Json<Stats>, ApiError> {
    let who = caller.credential(named(query.requesting_user.take()).as_deref());
    let access = app.omni.audit(who).await?;
    let (query, days) = query.read()?;
    sums(&access, &query, days).await
}

/// List what one asked and called oneself
#[utoipa::path(get, path = "/audit/my-logs", tag = "audit", params(MyLogQuery), responses(
    (status = 200, content(
        (LogList = "application/json"), (String = "text/csv"), (String = "application/x-ndjson"),
    )),
))]
async fn my_logs(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<MyLogQuery>,
) -> Result<Response, ApiError> {
    let mut query = LogQuery::from(query);
    let access = app.omni.audit(caller.credential(named(query.requesting_user.take()).as_deref())).await?;
    query.user_id = Some(access.subject().to_owned());
    page(access, &query, query.read(MY_LOGS.0)?, MY_LOGS.1).await
}

/// Sum up what one asked and called oneself
#[utoipa::path(get, path = "/audit/my-stats", tag = "audit", params(MyStatsQuery),
    responses((status = 200, body = Stats)))]
async fn my_stats(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<MyStatsQuery>,
) -> Result<Json<Stats>, ApiError> {
    let access = app.omni.audit(caller.credential(named(query.user_id).as_deref())).await?;
    let own = StatsQuery { user_id: Some(access.subject().to_owned()), days: query.days, requesting_user: None };
    let (query, days) = own.read()?;
    sums(&access, &query, days).await
}

/// A page of the log, or all of it in another form.
async fn page(
    access: AuditAccess,
    asked: &LogQuery,
    mut query: AuditQuery,
    default_size: usize,
) -> Result<Response, ApiError> {
    let form = match asked.format.unwrap_or_default() {
        Format::Json => None,
        Format::Csv => Some(export::Form::Csv),
        Format::Ndjson => Some(export::Form::Ndjson),
    };
    if let Some(form) = form {
        return export::respond(access, query, form).await;
    }
    let limit = *query.limit.get_or_insert(default_size);
    query.brief = true;
    // Before the page is read, so that nobody holds one while they wait. Whoever goes on by `after` was told before.
    let total = match query.after {
        None => Some(access.count(&query).await.map_err(|error| refused(error, OWN_LOGS))?),
        Some(_) => None,
    };
    let found = access.logs(&query).await.map_err(|error| refused(error, OWN_LOGS))?;
    let next = found.next.map(|next| next.to_string());
    let logs = found.entries.into_iter().map(Into::into).collect();
    Ok(Json(LogList { logs, total, limit, offset: query.offset, next }).into_response())
}

async fn sums(access: &AuditAccess, query: &AuditQuery, days: u32) -> Result<Json<Stats>, ApiError> {
    let stats = access.stats(query).await.map_err(|error| refused(error, OWN_STATS))?;
    Ok(Json(Stats::new(stats, days)))
}

/// Why the log was not read, to whoever asked for more than their own in the words of the original.
fn refused(error: AuditError, own: &str) -> ApiError {
    match error {
        AuditError::NotYours { .. } => ApiError::denied(own),
        other => Error::from(other).into(),
    }
}

/// An entry as a line of NDJSON, with its line end.
fn line(entry: omni_core::audit::LogEntry) -> Result<String, serde_json::Error> {
    serde_json::to_string(&LogDetail::from(entry)).map(|line| line + "\n")
}
