//! A question whose answer nobody wants any more.

use axum::{extract::State, http::StatusCode};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    caller::Caller,
    error::ApiError,
    state::App,
    stream::{self, LastEventId},
};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(stop_stream))
}

/// Give a question up
///
/// At once, where closing its stream leaves it alone for a while. It is in the log as `cancelled`, and whoever still reads
/// the stream is told `error` as its end. What was agreed to is carried out: the answer to a decision cannot be stopped. What
/// ended before this stays as it ended, and a call that waits for a decision goes on waiting: refuse it at `/confirmations`.
#[utoipa::path(delete, path = "/chat/ask/stream", tag = "chat",
    params(("Last-Event-ID" = String, Header, description = "An event of its stream")),
    responses(
        (status = 204, description = "It is over, and takes no place any more"),
        (status = 409, description = "The stream is not here, or cannot be stopped"),
    ))]
async fn stop_stream(State(app): State<App>, caller: Caller, last: LastEventId) -> Result<StatusCode, ApiError> {
    stream::stop(&app, &caller, &last).await?;
    Ok(StatusCode::NO_CONTENT)
}
