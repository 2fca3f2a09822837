//! Room and time for every request.

use std::time::Duration;

use axum::{
    body::{Body, HttpBody as _},
    extract::Request,
    http::StatusCode,
    middleware::Next,
    response::Response,
};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use omni_core::config::HttpConfig;
use tokio::time::timeout;

use crate::{error::ApiError, router, state::App};

/// How long a body may take to come.
const BODY_WITHIN: Duration = Duration::from_secs(30);

/// Most bytes of a body at a route for anybody: what a login brings. Whoever has no credential and takes no room by
/// being there is not to fill the memory either.
const OPEN_BODY_BYTES: usize = 8 << 10;

/// Refuses what is too long, and ends what takes too long.
pub(super) async fn keep<A: Future<Output = Result<Response, ApiError>>>(
    config: &HttpConfig,
    request: Request,
    answer: impl FnOnce(Request) -> A,
) -> Result<Response, ApiError> {
    let most = config.max_query_bytes;
    if request.uri().query().is_some_and(|query| query.len() > most) {
        return Err(ApiError::query_too_long(most));
    }
    let within = config.request_timeout;
    timeout(within, answer(request)).await.unwrap_or_else(|_| Err(ApiError::timeout(within)))
}

/// Gives a request room once all of it has come, so that nobody takes the room by being slow. Whoever only
/// looks how omni is doing finds room in any case; a stream needs none once it has begun.
pub(super) async fn admit(app: &App, request: Request, next: Next) -> Result<Response, ApiError> {
    let (method, route) = (request.method(), router::route(&request));
    let is_let_by = route.is_some_and(|route| router::is_let_by(method, route));
    let most = match route.is_some_and(|route| router::is_open(method, route)) {
        true => app.config.max_body_bytes.min(OPEN_BODY_BYTES),
        false => app.config.max_body_bytes,
    };
    let request = whole(request, most).await?;
    let _room = match is_let_by {
        true => None,
        false => Some(app.room.try_acquire().map_err(|_| ApiError::no_room())?),
    };
    Ok(next.run(request).await)
}

/// The request with its body, once that is here.
async fn whole(request: Request, most: usize) -> Result<Request, ApiError> {
    let size = request.body().size_hint();
    if size.lower() > most as u64 {
        return Err(ApiError::body_too_large(most));
    }
    if size.exact() == Some(0) {
        return Ok(request);
    }
    let (parts, body) = request.into_parts();
    let read = timeout(BODY_WITHIN, Limited::new(body, most).collect()).await.map_err(|_| ApiError::slow_body())?;
    let body = read.map_err(|error| match error.is::<LengthLimitError>() {
        true => ApiError::body_too_large(most),
        false => ApiError::of_status(StatusCode::BAD_REQUEST),
    })?;
    Ok(Request::from_parts(parts, Body::from(body.to_bytes())))
}
