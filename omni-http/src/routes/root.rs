//! What this is.

use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{extract::Json, router::Mount, state::App, wire::Root};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(root))
}

/// What this is
#[utoipa::path(get, path = "/", tag = "health", responses((status = 200, body = Root)))]
async fn root(mount: Mount) -> Json<Root> {
    Json(Root {
        name: "omni",
        version: env!("CARGO_PKG_VERSION"),
        description: "Connects people and agents to many MCP servers through one door",
        docs: mount.path("/docs"),
        health: mount.path("/health"),
        status: "running",
    })
}
