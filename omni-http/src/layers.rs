//! What every request passes, from the outside in: it gets an id and a span; answers get their
//! headers; what went wrong gets its body; there has to be time and room; and somebody has to be let
//! in ([`caller::admit`](crate::caller::admit)).
//!
//! These are functions within each other in place of layers around each other: axum boxes a layer, and each request
//! makes a copy of every layer that lies below it.

use std::{any::Any, panic::AssertUnwindSafe};

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request, State},
    middleware::{Next, from_fn, from_fn_with_state},
    response::{IntoResponse as _, Response},
};
use futures::FutureExt as _;
use tower::ServiceBuilder;
use tower_http::compression::CompressionLayer;

use crate::{caller, error::ApiError, mcp, state::App};

pub(crate) mod bounds;
mod headers;
mod render;
mod request_id;

pub(crate) use request_id::RequestId;

/// Everything around the routes.
pub(crate) fn around(routes: Router<App>, app: &App) -> Router<App> {
    // As one: axum boxes what it is given to put around its routes, and what that answers.
    let all = ServiceBuilder::new()
        .layer(from_fn(outermost))
        .option_layer(headers::cors(&app.config))
        .layer(CompressionLayer::new().gzip(true))
        .layer(from_fn_with_state(app.clone(), within));
    routes.layer(all)
}

async fn outermost(mut request: Request, next: Next) -> Response {
    headers::hide(request.headers_mut());
    request_id::identify(request, |request| headers::secure(next.run(request))).await
}

async fn within(State(app): State<App>, mut request: Request, next: Next) -> Response {
    DefaultBodyLimit::max(app.config.max_body_bytes).apply(&mut request);
    // Whoever is not let in learns of no route, and takes no room. In a box: each function around it would move it.
    let admitted = |request| {
        Box::pin(async {
            let request = caller::admit(&app, request).await?;
            bounds::admit(&app, request, next).await
        })
    };
    let guarded = |request| mcp::guard(&app, request, admitted);
    render::render(&app, request, |request| caught(bounds::keep(&app.config, request, guarded))).await
}

/// A panic is that request's failure only.
async fn caught(answering: impl Future<Output = Result<Response, ApiError>>) -> Response {
    let answered = AssertUnwindSafe(answering).catch_unwind().await;
    answered.unwrap_or_else(|panic| Err(panicked(&*panic))).into_response()
}

fn panicked(panic: &(dyn Any + Send)) -> ApiError {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    ApiError::internal(&format!("a handler panicked: {}", text.unwrap_or_default()))
}
