//! Servers, and all their tools.

use axum::extract::State;
use omni_core::Error;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{super::named, admin};
use crate::{
    caller::Caller,
    error::ApiError,
    extract::{Json, Query},
    state::App,
    wire::{AdminServer, AdminTool, ListAdminTools, RefreshedServers, all_tools},
};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(servers)).routes(routes!(tools)).routes(routes!(refresh))
}

/// List servers
///
/// How each is reached, without secrets, and how it is doing.
#[utoipa::path(get, path = "/admin/mcps", tag = "admin", responses((status = 200, body = Vec<AdminServer>)))]
async fn servers(State(app): State<App>, caller: Caller) -> Result<Json<Vec<AdminServer>>, ApiError> {
    let servers = admin(&app, &caller).await?.servers().await?;
    Ok(Json(servers.iter().map(Into::into).collect()))
}

/// List tools
///
/// All that the servers have, whoever may use them; those that are kept back say why.
#[utoipa::path(get, path = "/admin/tools", tag = "admin", params(ListAdminTools), responses(
    (status = 200, body = Vec<AdminTool>),
    (status = 404, description = "There is no such server"),
))]
async fn tools(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<ListAdminTools>,
) -> Result<Json<Vec<AdminTool>>, ApiError> {
    let mut servers = admin(&app, &caller).await?.servers().await?;
    if let Some(name) = named(query.mcp) {
        servers.retain(|server| *server.view.name == *name);
        if servers.is_empty() {
            return Err(ApiError::not_found(format!("there is no server {name:?}")));
        }
    }
    Ok(Json(servers.iter().flat_map(all_tools).collect()))
}

/// Read the configuration again, and ask every server for its tools again
///
/// A configuration that cannot be used changes nothing, and nobody is asked then.
#[utoipa::path(post, path = "/admin/tools/refresh", tag = "admin", responses(
    (status = 200, body = RefreshedServers),
    (status = 409, description = "The configuration cannot be used: it says why, with file and line"),
))]
async fn refresh(State(app): State<App>, caller: Caller) -> Result<Json<RefreshedServers>, ApiError> {
    match admin(&app, &caller).await?.refresh_servers(app.reloader.as_ref()).await {
        Ok(refreshed) => Ok(Json(refreshed.into())),
        Err(error @ (Error::Config(_) | Error::Build(_))) => Err(ApiError::unusable(&error)),
        Err(error) => Err(error.into()),
    }
}
