//! What people say of answers.

use axum::{extract::State, http::StatusCode};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::named;
use crate::{caller::Caller, error::ApiError, extract::Json, state::App, wire::FeedbackRequest};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(keep))
}

/// Say whether an answer was of use
///
/// Once per person and answer: what is said again takes the place of what was said before. Administrators may judge
/// answers to others too.
#[utoipa::path(post, path = "/feedback", tag = "chat", request_body = FeedbackRequest, responses(
    (status = 204, description = "It is kept"),
    (status = 404, description = "There is no such ask, or it is somebody else's"),
))]
async fn keep(
    State(app): State<App>,
    caller: Caller,
    Json(body): Json<FeedbackRequest>,
) -> Result<StatusCode, ApiError> {
    let who = caller.credential(named(body.user_id.clone()).as_deref());
    app.omni.feedback(who, body.feedback()).await?;
    Ok(StatusCode::NO_CONTENT)
}
