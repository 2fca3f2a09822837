//! How omni is doing. No server is asked for it: what the pool and the ledger know is told, and what was found out a moment
//! ago, so that whoever asks often costs nobody anything.

use axum::{extract::State, http::StatusCode};
use chrono::Utc;
use omni_core::{
    Error, Source,
    catalog::{Catalog, Health as ServerHealth, ServerView},
    config::SecurityMode,
    omni::Inside,
};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    caller::{Caller, Visitor},
    error::ApiError,
    extract::{Json, Query},
    state::App,
    wire::{
        Cache, CachedServer, Database, DatabaseStatus, Health, Invalidate, Invalidated, Live, Ready, Server, Servers,
        ServersStatus, State as Status, server_status,
    },
};

const VERSION: &str = env!("CARGO_PKG_VERSION");

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(health))
        .routes(routes!(live))
        .routes(routes!(ready))
        .routes(routes!(cache))
        .routes(routes!(invalidate))
}

/// How omni is doing
///
/// Always 200. An administrator's key tells more.
#[utoipa::path(get, path = "/health", tag = "health", responses((status = 200, body = Health)))]
async fn health(State(app): State<App>, visitor: Visitor) -> Json<Health> {
    let is_admin = is_admin(&app, &visitor).await;
    let inside = app.omni.inside().filter(|_| is_admin);
    let database = database(&app, is_admin, inside.as_ref());
    let mcps = servers(&app.omni.known_catalog(), is_admin, inside.as_ref());
    Json(Health {
        environment: inside.map(|inside| inside.environment),
        status: overall(database.status, mcps.status),
        version: VERSION,
        timestamp: Utc::now(),
        database,
        mcps,
        uptime: app.started.elapsed().as_secs(),
    })
}

/// Whether this process answers
#[utoipa::path(get, path = "/health/live", tag = "health", responses((status = 200, body = Live)))]
async fn live() -> Json<Live> {
    Json(Live { alive: true, version: VERSION, timestamp: Utc::now() })
}

/// Whether questions are let in
#[utoipa::path(get, path = "/health/ready", tag = "health", responses(
    (status = 200, body = Ready),
    (status = 503, body = Ready, description = "Questions are not let in at the moment"),
))]
async fn ready(State(app): State<App>) -> (StatusCode, Json<Ready>) {
    match app.omni.not_ready(app.config.mode == SecurityMode::Keys).await {
        None => (StatusCode::OK, Json(Ready { ready: true, reason: None })),
        reason => (StatusCode::SERVICE_UNAVAILABLE, Json(Ready { ready: false, reason })),
    }
}

/// What is known of the servers' tools
#[utoipa::path(get, path = "/health/cache", tag = "health", responses((status = 200, body = Cache)))]
async fn cache(State(app): State<App>) -> Json<Cache> {
    let catalog = app.omni.known_catalog();
    let known = catalog.servers.iter().filter(|server| server.health.is_healthy());
    let servers = known.map(|server| {
        let age = server.checked_at.map(|at| (Utc::now() - at).num_seconds().max(0));
        let cached =
            CachedServer { age_seconds: age.unwrap_or(0), ttl_remaining: None, tool_count: server.tools.len() };
        (server.name.to_string(), cached)
    });
    let servers: std::collections::BTreeMap<_, _> = servers.collect();
    Json(Cache { success: true, cache_ttl_seconds: None, cached_servers: servers.len(), servers })
}

/// Ask for the servers' tools again
///
/// For administrators.
#[utoipa::path(post, path = "/health/cache/invalidate", tag = "health", params(Invalidate), responses(
    (status = 200, body = Invalidated),
    (status = 404, description = "There is no such server"),
))]
async fn invalidate(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<Invalidate>,
) -> Result<Json<Invalidated>, ApiError> {
    let admin = app.omni.admin(caller.credential(None), Source::Http).await?.with_client(caller.client());
    let server = query.server_name.filter(|name| !name.is_empty());
    admin.list_again(server.as_deref()).await?;
    let message = format!("Cache invalidated for {}", server.as_deref().unwrap_or("all servers"));
    Ok(Json(Invalidated { success: true, message }))
}

/// Whether somebody is told of the inside. Where that cannot be found out, they are not.
async fn is_admin(app: &App, visitor: &Visitor) -> bool {
    let Some(caller) = &visitor.0 else { return false };
    let grant = app.omni.grant(caller.credential(None)).await;
    grant.is_ok_and(|grant| grant.administers_all_tenants())
}

fn database(app: &App, is_admin: bool, inside: Option<&Inside>) -> Database {
    let ledger = app.omni.ledger();
    let refuses = match app.omni.admit() {
        Err(Error::Audit(error)) => Some(error),
        Ok(()) | Err(_) => ledger.file_fault().filter(|_| ledger.is_required()),
    };
    let (status, fault) = match (refuses, ledger.sink_fault().or_else(|| ledger.file_fault())) {
        (Some(error), _) => (DatabaseStatus::Unavailable, Some(error)),
        (None, Some(fault)) => (DatabaseStatus::Away, Some(fault)),
        (None, None) => (DatabaseStatus::Connected, None),
    };
    let error = fault.map(|fault| fault.to_string());
    let place = inside.and_then(|inside| inside.database.clone());
    let (database, host, port) = place.map(|it| (it.database, it.host, it.port)).unwrap_or_default();
    Database { status, backlog: ledger.backlog(), database, host, port, error: error.filter(|_| is_admin) }
}

fn servers(catalog: &Catalog, is_admin: bool, inside: Option<&Inside>) -> Servers {
    let count = |is: fn(&ServerHealth) -> bool| catalog.servers.iter().filter(|server| is(&server.health)).count();
    let enabled = count(|health| *health != ServerHealth::Disabled);
    let (healthy, unknown) = (count(ServerHealth::is_healthy), count(|health| *health == ServerHealth::Unknown));
    let status = match (enabled, healthy) {
        (0, _) => ServersStatus::NoServers,
        (all, healthy) if healthy == all => ServersStatus::Healthy,
        (all, _) if unknown == all => ServersStatus::Unknown,
        (_, 0) => ServersStatus::Unhealthy,
        (_, _) => ServersStatus::Degraded,
    };
    let servers = catalog.servers.iter().map(|view| server(view, is_admin, inside)).collect();
    Servers { status, healthy, enabled, configured: catalog.servers.len(), servers }
}

fn server(view: &ServerView, is_admin: bool, inside: Option<&Inside>) -> Server {
    let (status, error) = server_status(&view.health);
    Server {
        name: view.name.to_string(),
        status,
        tools: view.tools.len(),
        display_name: view.display_name.clone(),
        url: inside.and_then(|inside| inside.urls.get(&*view.name).cloned()),
        enabled: is_admin.then_some(view.health != ServerHealth::Disabled),
        protocol: is_admin.then(|| view.kind.clone()),
        error: error.filter(|_| is_admin),
    }
}

fn overall(database: DatabaseStatus, servers: ServersStatus) -> Status {
    match (database, servers) {
        (DatabaseStatus::Unavailable, _) => Status::Unhealthy,
        (DatabaseStatus::Away, _) | (_, ServersStatus::Degraded | ServersStatus::Unhealthy) => Status::Degraded,
        (_, ServersStatus::NoServers | ServersStatus::Unknown | ServersStatus::Healthy) => Status::Healthy,
    }
}
