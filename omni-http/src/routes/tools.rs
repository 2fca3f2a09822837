//! Tools without a model, and their servers: what the caller may not use is not there for them.

use std::collections::BTreeMap;

use axum::extract::State;
use chrono::Utc;
use omni_core::{Source, ask::DirectCall, catalog::Health, omni::OfferedServer};
use serde_json::{Value, value::to_raw_value};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::named;
use crate::{
    caller::Caller,
    error::ApiError,
    extract::{Json, Path, Query},
    layers::RequestId,
    state::App,
    wire::{
        CallRequest, CallResponse, ForUser, ListServers, ListTools, OneHealth, ServerEntry, ServerList, ServerListData,
        ServerSummary, ServerTools, ToolList, ToolListData, UserTools, tools_of,
    },
};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(call))
        .routes(routes!(servers))
        .routes(routes!(health))
        .routes(routes!(of_server))
}

/// List tools by their servers
///
/// Those that the caller may use. A server that is switched off is not among them.
#[utoipa::path(get, path = "/mcp/tools/list", tag = "tools", params(ListTools), responses(
    (status = 200, body = ToolList),
    (status = 404, description = "There is no such server, or not for the caller"),
))]
async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<ListTools>,
) -> Result<Json<ToolList>, ApiError> {
    let servers = match named(query.server) {
        Some(name) => vec![app.omni.server(caller.credential(None), &name).await?],
        None => app.omni.servers(caller.credential(None)).await?,
    };
    let servers: BTreeMap<_, _> = servers
        .iter()
        .filter(|server| is_on(server))
        .map(|server| (server.view.name.to_string(), server.into()))
        .collect();
    let total_tools = servers.values().map(|server: &ServerTools| server.tools.len()).sum();
    Ok(Json(ToolList { success: true, data: ToolListData { servers, total_tools, timestamp: Utc::now() } }))
}

/// Call a tool
///
/// A tool that says it failed is answered with 200 and `success: false`, and what it said. A server
/// that cannot be reached is another status, and so is a call that policy or a limit refuse: to whoever
/// may not use a tool there is none of that name.
#[utoipa::path(post, path = "/mcp/tools/call", tag = "tools", request_body = CallRequest, responses(
    (status = 200, body = CallResponse),
    (status = 404, description = "There is no such tool, or not for the caller"),
))]
async fn call(
    State(app): State<App>,
    caller: Caller,
    request_id: RequestId,
    Json(body): Json<CallRequest>,
) -> Result<Json<CallResponse>, ApiError> {
    // Written anew: what policy judges and what the server gets can be read in one way only.
    let arguments = to_raw_value(&Value::Object(body.arguments.unwrap_or_default()));
    let arguments = arguments.map_err(|_| ApiError::internal("arguments cannot be written"))?;
    let who = caller.credential(named(body.user_id).as_deref());
    let mut call =
        DirectCall::new(who, body.server, body.tool, arguments).with_source(Source::Http).with_client(caller.client());
    call.request_id = request_id.ask();
    Ok(Json(CallResponse::new(request_id.ask(), app.omni.call_tool(call).await?)))
}

/// List servers
///
/// Those of which the caller may use something; administrators of the tenant `default` see all, and how each is
/// reached.
#[utoipa::path(get, path = "/mcp/tools/servers", tag = "tools", params(ListServers),
    responses((status = 200, body = ServerList)))]
async fn servers(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<ListServers>,
) -> Result<Json<ServerList>, ApiError> {
    let known = match query.include_health {
        true => app.omni.servers(caller.credential(None)).await?,
        false => app.omni.known_servers(caller.credential(None)).await?,
    };
    let mut summary = ServerSummary { total_configured: known.len(), ..ServerSummary::default() };
    summary.protocols.extend(["http", "stdio", "sse"].map(|protocol| (protocol.to_owned(), 0)));
    let mut servers = Vec::new();
    for server in known.iter().filter(|server| server.options.enabled || !query.enabled_only) {
        summary.total += 1;
        *(if server.options.enabled { &mut summary.enabled } else { &mut summary.disabled }) += 1;
        *summary.protocols.entry(server.view.kind.clone()).or_default() += 1;
        let health = query.include_health.then(|| server.into());
        servers.push(ServerEntry { health, ..server.into() });
    }
    Ok(Json(ServerList { success: true, data: ServerListData { servers, summary } }))
}

/// How one server is doing
///
/// It is asked, if it was not yet.
#[utoipa::path(get, path = "/mcp/tools/health/{server}", tag = "tools",
    params(("server" = String, Path, description = "The server's name")), responses(
    (status = 200, body = OneHealth),
    (status = 404, description = "There is no such server, or not for the caller"),
))]
async fn health(State(app): State<App>, caller: Caller, Path(name): Path<String>) -> Result<Json<OneHealth>, ApiError> {
    let server = app.omni.server(caller.credential(None), &name).await?;
    Ok(Json(OneHealth { success: true, health: (&server).into(), server: name }))
}

/// List the tools that somebody may use of a server
#[utoipa::path(get, path = "/mcp/tools/mcps/{mcp_name}/tools", tag = "tools",
    params(("mcp_name" = String, Path, description = "The server's name"), ForUser), responses(
    (status = 200, body = UserTools),
    (status = 404, description = "There is no such server, or not for them"),
))]
async fn of_server(
    State(app): State<App>,
    caller: Caller,
    Path(name): Path<String>,
    Query(query): Query<ForUser>,
) -> Result<Json<UserTools>, ApiError> {
    let who = caller.credential(named(query.user_email).as_deref());
    let server = app.omni.server(who, &name).await?;
    let tools = tools_of(&server);
    Ok(Json(UserTools {
        success: true,
        mcp_name: name,
        description: server.view.description.clone(),
        total_available: server.total_tools,
        user_allowed: tools.len(),
        tools,
    }))
}

fn is_on(server: &OfferedServer) -> bool {
    server.view.health != Health::Disabled
}
