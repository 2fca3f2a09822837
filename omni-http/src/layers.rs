//! What every request passes, from the outside in: it gets an id and a span; answers get their
//! headers; what went wrong gets its body; there has to be room and time; and somebody has to be let
//! in ([`caller::admit`](crate::caller::admit)).

use std::any::Any;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::header,
    middleware::{from_fn, from_fn_with_state},
    response::{IntoResponse as _, Response},
};
use tower_http::{
    catch_panic::CatchPanicLayer, compression::CompressionLayer, sensitive_headers::SetSensitiveRequestHeadersLayer,
};

use crate::{caller::X_API_KEY, error::ApiError, state::App};

pub(crate) mod bounds;
mod headers;
mod render;
mod request_id;

pub(crate) use request_id::RequestId;

/// All layers but the one that lets callers in. The last one is the outermost.
pub(crate) fn around(routes: Router<App>, app: &App) -> Router<App> {
    let secret = [header::AUTHORIZATION, header::COOKIE, header::HeaderName::from_static(X_API_KEY)];
    let routes = routes
        .layer(DefaultBodyLimit::max(app.config.max_body_bytes))
        .layer(from_fn_with_state(app.clone(), bounds::keep))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(app.clone(), render::render))
        .layer(CompressionLayer::new().gzip(true));
    let routes = match headers::cors(&app.config) {
        Some(cors) => routes.layer(cors),
        None => routes,
    };
    routes
        .layer(from_fn(headers::secure))
        .layer(from_fn(request_id::identify))
        .layer(SetSensitiveRequestHeadersLayer::new(secret))
}

/// A panic is that request's failure only.
#[expect(clippy::needless_pass_by_value, reason = "the layer hands it over")]
fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    ApiError::internal(&format!("a handler panicked: {}", text.unwrap_or_default())).into_response()
}
