//! Headers of answers: what browsers may do with them, and which pages may read them.

use std::time::Duration;

use axum::{
    http::{HeaderMap, HeaderName, HeaderValue, Method, header},
    response::Response,
};
use omni_core::config::HttpConfig;
use tower_http::cors::{Any, CorsLayer};

use super::request_id::{X_OMNI_REQUEST_ID, X_REQUEST_ID};
use crate::{
    caller::{X_API_KEY, X_SOURCE},
    mcp,
};

/// What every answer says that does not say otherwise itself.
const SECURE: [(HeaderName, &str); 5] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    (header::CACHE_CONTROL, "no-store"),
];

/// How long a browser need not ask again what a page may.
const ASKED_AGAIN: Duration = Duration::from_secs(600);

/// What no log shows.
const SECRET: [HeaderName; 3] = [header::AUTHORIZATION, header::COOKIE, X_API_KEY];

/// Marks what is secret, for whoever prints a request's headers.
pub(super) fn hide(headers: &mut HeaderMap) {
    for name in SECRET {
        if let header::Entry::Occupied(mut values) = headers.entry(name) {
            values.iter_mut().for_each(|value| value.set_sensitive(true));
        }
    }
}

pub(super) async fn secure(answering: impl Future<Output = Response>) -> Response {
    let mut response = answering.await;
    for (name, value) in SECURE {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

/// Lets pages of the configured origins call the service, with a key of their own; `None` where there
/// are none. Cookies are never theirs.
pub(super) fn cors(config: &HttpConfig) -> Option<CorsLayer> {
    let named = |name: &'static str| HeaderName::from_static(name);
    let asked = [
        header::AUTHORIZATION,
        header::CONTENT_TYPE,
        X_API_KEY,
        X_REQUEST_ID,
        X_SOURCE,
        named("last-event-id"),
        mcp::SESSION_ID,
        mcp::PROTOCOL_VERSION,
        mcp::METHOD,
        mcp::NAME,
    ];
    let told = [
        X_REQUEST_ID,
        X_OMNI_REQUEST_ID,
        // What a log or a result is to be called as a file.
        header::CONTENT_DISPOSITION,
        header::RETRY_AFTER,
        named("ratelimit-limit"),
        named("ratelimit-remaining"),
        named("ratelimit-reset"),
        named("x-next-after"),
        mcp::SESSION_ID,
    ];
    let layer = CorsLayer::new()
        .allow_methods([Method::GET, Method::POST, Method::DELETE])
        .allow_headers(asked)
        .expose_headers(told)
        .max_age(ASKED_AGAIN);
    let origins: Vec<HeaderValue> = config.cors_origins.iter().filter_map(|origin| origin.parse().ok()).collect();
    match config.cors_origins.iter().any(|origin| origin == "*") {
        true => Some(layer.allow_origin(Any)),
        false if origins.is_empty() => None,
        false => Some(layer.allow_origin(origins)),
    }
}
