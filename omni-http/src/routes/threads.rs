//! One's own conversations, and the calls that wait for a human.

use axum::{extract::State, http::StatusCode};
use omni_core::Source;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    caller::Caller,
    error::ApiError,
    extract::{Json, Path},
    state::App,
    wire::{Confirmations, Decision, Thread, Threads},
};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(delete))
        .routes(routes!(confirmations))
        .routes(routes!(confirmation, confirm))
}

/// List one's conversations
#[utoipa::path(get, path = "/threads", tag = "threads", responses((status = 200, body = Threads)))]
async fn list(State(app): State<App>, caller: Caller) -> Result<Json<Threads>, ApiError> {
    let threads = app.omni.threads(caller.credential(None), Source::Http).await?;
    Ok(Json(Threads { threads: threads.into_iter().map(Thread::from).collect() }))
}

/// Forget a conversation
#[utoipa::path(delete, path = "/threads/{id}", tag = "threads",
    params(("id" = String, Path, description = "Its `thread_id`")), responses(
    (status = 204, description = "It is forgotten"),
    (status = 404, description = "There is none, or it is somebody else's"),
))]
async fn delete(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Result<StatusCode, ApiError> {
    app.omni.delete_thread(caller.credential(None), Source::Http, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// List calls that wait for a human
///
/// None does: an ask by this door has nobody whom it could wait for, so a call that needs a human is
/// declined.
#[utoipa::path(get, path = "/confirmations", tag = "threads", responses((status = 200, body = Confirmations)))]
async fn confirmations(_: Caller) -> Json<Confirmations> {
    Json(Confirmations { confirmations: Vec::new() })
}

/// A call that waits for a human
#[utoipa::path(get, path = "/confirmations/{id}", tag = "threads",
    params(("id" = String, Path, description = "Its id")),
    responses((status = 404, description = "No such call waits")))]
async fn confirmation(_: Caller, Path(id): Path<String>) -> ApiError {
    nothing_waits(&id)
}

/// Decide on a call that waits for a human
#[utoipa::path(post, path = "/confirmations/{id}", tag = "threads",
    params(("id" = String, Path, description = "Its id")), request_body = Decision,
    responses((status = 404, description = "No such call waits")))]
async fn confirm(_: Caller, Path(id): Path<String>, Json(decision): Json<Decision>) -> ApiError {
    tracing::debug!(approve = decision.approve, "a decision came for a call that does not wait");
    nothing_waits(&id)
}

fn nothing_waits(id: &str) -> ApiError {
    ApiError::not_found(format!("no call {id:?} waits for a decision"))
}
