//! The server for others: over standard input and output, or over streamable HTTP at `/mcp`.

use std::net::SocketAddr;

use anyhow::ensure;
use axum::{Router, middleware::from_fn_with_state, routing::get};
use rmcp::{
    ServiceExt as _,
    service::ServerInitializeError as Begin,
    transport::streamable_http_server::{
        StreamableHttpServerConfig, StreamableHttpService, session::never::NeverSessionManager,
    },
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{DatabaseServer, HttpConfig};

mod guard;

/// By which names this machine calls itself.
const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];
/// Most bytes of a request: two long queries.
const MAX_REQUEST: usize = 1 << 20;

/// Serves one client over standard input and output, until either ends or `stop`.
///
/// # Errors
/// When the client does not begin as MCP does.
pub async fn stdio(server: DatabaseServer, stop: CancellationToken) -> anyhow::Result<()> {
    match server.serve_with_ct(rmcp::transport::stdio(), stop).await {
        Ok(running) => running.waiting().await.map(|_| ())?,
        // Whoever goes before they said anything wanted nothing.
        Err(Begin::ConnectionClosed(_) | Begin::Cancelled) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

/// Serves streamable HTTP at an address, until `stop`.
///
/// # Errors
/// When the address is taken, or others than this machine could call without a token.
pub async fn http(
    server: DatabaseServer,
    at: SocketAddr,
    config: &HttpConfig,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let is_guarded = at.ip().is_loopback() || config.bearer_token.is_some();
    ensure!(is_guarded, "{at} is beyond this machine: set http.bearer_token, or listen at 127.0.0.1");
    let listener = TcpListener::bind(at).await?;
    let at = listener.local_addr()?;
    tracing::info!("database-mcp listens at http://{at}/mcp");
    let router = router(server, config, at.port(), stop.clone());
    axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await?;
    Ok(())
}

/// `/mcp`, and `/health` and `/healthz`, which everybody may ask. `Host` has to name this machine or one of
/// `allowed_hosts`; a page that calls has to be of this very server, or of one of `allowed_origins`.
pub fn router(server: DatabaseServer, config: &HttpConfig, port: u16, stop: CancellationToken) -> Router {
    let hosts = LOOPBACK.map(str::to_owned).into_iter().chain(config.allowed_hosts.clone());
    let origins =
        LOOPBACK.map(|host| format!("http://{host}:{port}")).into_iter().chain(config.allowed_origins.clone());
    let settings = StreamableHttpServerConfig::default()
        .with_allowed_hosts(hosts)
        .with_allowed_origins(origins)
        .enforce_origin_validation()
        .with_legacy_session_mode(false)
        .with_json_response(true)
        .with_max_request_body_bytes(MAX_REQUEST)
        .with_cancellation_token(stop);
    let make = move || Ok(server.clone());
    let service = StreamableHttpService::new(make, NeverSessionManager::default().into(), settings);
    Router::new()
        .route_service("/mcp", service)
        .layer(from_fn_with_state(config.bearer_token.clone(), guard::guarded))
        .route("/health", get("ok"))
        .route("/healthz", get("ok"))
}
