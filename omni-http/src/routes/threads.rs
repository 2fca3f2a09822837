//! One's own conversations.

use axum::{extract::State, http::StatusCode};
use omni_core::Source;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    caller::Caller,
    error::ApiError,
    extract::{Json, Path},
    state::App,
    wire::{Thread, Threads},
};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(delete))
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
