//! Room and time for every request.

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use tokio::time::timeout;

use crate::{error::ApiError, router, state::App};

/// Refuses what is too long or too much, and ends what takes too long. Whoever only looks how omni is
/// doing finds room in any case; a stream needs none once it has begun.
pub(super) async fn keep(State(app): State<App>, request: Request, next: Next) -> Result<Response, ApiError> {
    let most = app.config.max_query_bytes;
    if request.uri().query().is_some_and(|query| query.len() > most) {
        return Err(ApiError::query_too_long(most));
    }
    let is_let_by = router::route(&request).is_some_and(|route| router::is_let_by(request.method(), route));
    let _room = match is_let_by {
        true => None,
        false => Some(app.room.try_acquire().map_err(|_| ApiError::no_room())?),
    };
    let within = app.config.request_timeout;
    timeout(within, next.run(request)).await.map_err(|_| ApiError::timeout(within))
}
