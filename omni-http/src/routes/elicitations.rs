//! Answers to what servers ask in the middle of a call.

use axum::{extract::State, http::StatusCode};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    caller::Caller,
    error::ApiError,
    extract::{Json, Path},
    state::App,
    wire::ElicitationAnswer,
};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(answer))
}

/// Answer what a server asks in the middle of a call
///
/// The question is the event `elicitation` of a stream that was begun with `"elicitation": true`; it waits as long as
/// its call does, on the instance that has the stream, for whoever began it.
#[utoipa::path(post, path = "/elicitations/{id}", tag = "chat",
    params(("id" = String, Path, description = "The question's id")), request_body = ElicitationAnswer, responses(
    (status = 204, description = "The server has the answer"),
    (status = 404, description = "No server waits for it, or it is somebody else's"),
    (status = 422, description = "The values do not fit the form; the question still waits"),
))]
async fn answer(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Json(body): Json<ElicitationAnswer>,
) -> Result<StatusCode, ApiError> {
    let id = id.parse().map_err(|_| ApiError::not_found("no server waits for an answer under this id"))?;
    app.questions.answer(id, &caller.holder(), body.into())?;
    Ok(StatusCode::NO_CONTENT)
}
