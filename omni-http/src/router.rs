//! All routes, and what every request passes on its way to one.

use std::convert::Infallible;

use axum::{
    Json, Router,
    extract::{FromRequestParts, MatchedPath, NestedPath, Request},
    http::{Extensions, Method, request::Parts},
    routing::get,
};
use omni_core::Omni;
use serde_json::json;

#[cfg(feature = "dashboard")]
use crate::ui;
use crate::{docs, error::ApiError, layers, mcp, openapi, options::DoorOptions, state::App};

/// Who may ask nothing of somebody without a credential: every route that is not listed here.
const OPEN: [(Method, &str); 25] = [
    (Method::GET, "/"),
    (Method::GET, "/health"),
    (Method::GET, "/healthz"),
    (Method::GET, "/health/live"),
    (Method::GET, "/health/ready"),
    (Method::GET, "/health/cache"),
    (Method::GET, "/openapi.json"),
    (Method::GET, "/docs"),
    (Method::GET, "/docs/"),
    (Method::GET, "/docs/{*rest}"),
    (Method::GET, "/redoc"),
    (Method::GET, "/redoc/redoc.standalone.js"),
    (Method::GET, "/redoc/start.js"),
    (Method::GET, "/redoc/LICENSE"),
    (Method::GET, "/ui"),
    (Method::GET, "/ui/"),
    (Method::GET, "/ui/login"),
    (Method::GET, "/ui/login.json"),
    (Method::POST, "/ui/login"),
    (Method::POST, "/ui/login.json"),
    (Method::GET, "/ui/oidc"),
    (Method::GET, "/ui/callback"),
    (Method::GET, "/ui/assets/{name}"),
    (Method::GET, mcp::METADATA),
    (Method::GET, mcp::METADATA_OF_ENDPOINT),
];

/// Below which path a program mounts the door: a path as it stands, without parameters.
#[derive(Debug)]
pub(crate) struct Mount(String);

impl Mount {
    /// Where a path of the door's is.
    pub(crate) fn path(&self, own: &str) -> String {
        format!("{}{own}", self.0)
    }
}

impl<S: Sync> FromRequestParts<S> for Mount {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(mount(&parts.extensions).to_owned()))
    }
}

/// Empty where the door is mounted below no path.
fn mount(extensions: &Extensions) -> &str {
    extensions.get::<NestedPath>().map_or("", NestedPath::as_str).trim_end_matches('/')
}

/// The route of a request as it is listed here, wherever a program mounts the door; `None` where none matched.
pub(crate) fn route(request: &Request) -> Option<&str> {
    let matched = request.extensions().get::<MatchedPath>()?.as_str();
    match matched.strip_prefix(mount(request.extensions()))? {
        "" => Some("/"),
        own => Some(own),
    }
}

/// Whether a route is for anybody. `HEAD` is as `GET`.
pub(crate) fn is_open(method: &Method, path: &str) -> bool {
    let method = if method == Method::HEAD { &Method::GET } else { method };
    OPEN.iter().any(|(open, route)| open == method && *route == path)
}

/// Whether a request finds room when there is none: whoever looks how omni is doing wants to know most then.
pub(crate) fn is_let_by(method: &Method, path: &str) -> bool {
    is_open(method, path) || path == "/metrics"
}

/// The whole door as a value. A server that runs it should tell each request's peer, as
/// [`axum::extract::ConnectInfo`]; [`Server`](crate::Server) does.
pub fn router(omni: Omni, options: impl Into<DoorOptions>) -> Router {
    of(&App::new(omni, options.into()))
}

/// The same, for whoever has a hand in what its routes share.
pub(crate) fn of(app: &App) -> Router {
    let routes = if app.mcp_only { mcp_only() } else { everything(app) };
    layers::around(routes.fallback(nothing).method_not_allowed_fallback(no_method), app).with_state(app.clone())
}

/// MCP, and whether it is there.
fn mcp_only() -> Router<App> {
    let health = async || Json(json!({ "status": "ok" }));
    mcp::routes().route("/health", get(health)).route("/healthz", get(health))
}

fn everything(app: &App) -> Router<App> {
    let (routes, document) = openapi::routes().split_for_parts();
    let documentation = if app.config.docs { docs::routes(&openapi::complete(document)) } else { Router::new() };
    #[cfg(feature = "dashboard")]
    let documentation = if app.config.dashboard { documentation.merge(ui::routes()) } else { documentation };
    routes.merge(documentation).merge(mcp::routes())
}

async fn nothing() -> ApiError {
    ApiError::not_found("there is nothing at this path")
}

async fn no_method() -> ApiError {
    ApiError::method_not_allowed()
}
