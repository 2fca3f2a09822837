//! What tools returned to one's own questions, for as long as it is kept.

use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use omni_core::{
    Source,
    results::{KeptResult, ResultFilter, csv},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::named;
use crate::{
    caller::Caller,
    error::ApiError,
    extract::{Json, Path, Query},
    layers::RequestId,
    state::App,
    wire::{CallResponse, KeptResults, ListResults, ReadResult, ResultForm, ResultPage, Viewer},
};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(one)).routes(routes!(again))
}

/// List what tools returned
///
/// To one's own questions, by whichever door, the newest first: of tools that one may use by now.
#[utoipa::path(get, path = "/results", tag = "results", params(ListResults),
    responses((status = 200, body = KeptResults)))]
async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<ListResults>,
) -> Result<Json<KeptResults>, ApiError> {
    let filter = match named(query.thread_id) {
        Some(thread) => ResultFilter::at(Source::Http).in_thread(thread),
        None => ResultFilter::default(),
    };
    let calls = app.omni.results(caller.credential(named(query.user_id).as_deref()), &filter).await?;
    Ok(Json(KeptResults { results: calls.into_iter().map(Into::into).collect() }))
}

/// What a tool returned
///
/// A page of its text, and all of its structured form; with `format=text` the page alone, with `format=csv` all of
/// it as a table for spreadsheets, in which nothing is taken for a formula.
#[utoipa::path(get, path = "/results/{id}", tag = "results",
    params(("id" = String, Path, description = "Its `result_id`"), ReadResult), responses(
    (status = 200, content((ResultPage = "application/json"), (String = "text/plain"), (String = "text/csv"))),
    (status = 404, description = "There is none, its time is over, it is somebody else's, or of a tool that one may \
                                  no longer use"),
))]
async fn one(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Query(query): Query<ReadResult>,
) -> Result<Response, ApiError> {
    let kept = app.omni.result(caller.credential(named(query.user_id.clone()).as_deref()), &id).await?;
    match query.format {
        ResultForm::Json => Ok(Json(ResultPage::of(kept, &query)).into_response()),
        ResultForm::Text => Ok(query.page(&kept).text.to_owned().into_response()),
        ResultForm::Csv => as_csv(&kept),
    }
}

fn as_csv(kept: &KeptResult) -> Result<Response, ApiError> {
    let csv = csv::of(kept)?;
    let name = format!("attachment; filename=\"{}.csv\"", kept.call.id);
    let headers = [(header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()), (header::CONTENT_DISPOSITION, name)];
    Ok((headers, csv).into_response())
}

/// Make the same call again
///
/// As `POST /mcp/tools/call` makes one: policy, limits and approval are asked anew.
#[utoipa::path(post, path = "/results/{id}/again", tag = "results",
    params(("id" = String, Path, description = "The `result_id` of what it returned then"), Viewer), responses(
    (status = 200, body = CallResponse),
    (status = 404, description = "There is none, or not for the caller"),
    (status = 409, description = "Its arguments had a secret, which is not kept"),
))]
async fn again(
    State(app): State<App>,
    caller: Caller,
    request_id: RequestId,
    Path(id): Path<String>,
    Query(viewer): Query<Viewer>,
) -> Result<Json<CallResponse>, ApiError> {
    let who = caller.credential(named(viewer.user_id).as_deref());
    let mut call = app.omni.call_again(who, &id).await?.with_source(Source::Http).with_client(caller.client());
    call.request_id = request_id.ask();
    Ok(Json(CallResponse::new(request_id.ask(), app.omni.call_tool(call).await?)))
}
