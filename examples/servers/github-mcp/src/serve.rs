//! The server on a wire.

use std::{io, net::SocketAddr};

use axum::{Json, Router, routing::get};
use rmcp::{
    ServiceExt as _,
    transport::streamable_http_server::{self as wire, session::never::NeverSessionManager},
};
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::server::GithubServer;

/// Most bytes of a request; arguments are short.
const MAX_REQUEST: usize = 256 * 1024;
/// By which names this machine calls itself.
const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// Serves whoever is at standard input and output, until the input ends or `stop`.
///
/// # Errors
/// When what comes is not the protocol.
pub async fn stdio(server: GithubServer, stop: CancellationToken) -> io::Result<()> {
    use rmcp::service::ServerInitializeError as Begin;
    match server.serve_with_ct(rmcp::transport::stdio(), stop).await {
        Ok(running) => running.waiting().await.map(|_| ()).map_err(io::Error::other),
        // Whoever goes before they said anything wanted nothing.
        Err(Begin::ConnectionClosed(_) | Begin::Cancelled) => Ok(()),
        Err(error) => Err(io::Error::other(format!("the client does not begin as the protocol says: {error}"))),
    }
}

/// `/mcp` over streamable HTTP, without sessions, and `/health`. Requests have to name this machine or one of `hosts`;
/// no web page sends them but one of the server's own origin.
pub fn router(server: GithubServer, port: u16, hosts: &[String], stop: CancellationToken) -> Router {
    let names = LOOPBACK.iter().map(|name| (*name).to_owned()).chain(hosts.iter().cloned());
    let origins = ["localhost", "127.0.0.1", "[::1]"].map(|name| format!("http://{name}:{port}"));
    let rules = wire::StreamableHttpServerConfig::default()
        .with_allowed_hosts(names)
        .with_allowed_origins(origins)
        .enforce_origin_validation()
        .with_legacy_session_mode(false)
        .with_json_response(true)
        .with_max_request_body_bytes(MAX_REQUEST)
        .with_cancellation_token(stop);
    let service =
        wire::StreamableHttpService::new(move || Ok(server.clone()), NeverSessionManager::default().into(), rules);
    let health = || async { Json(json!({ "status": "ok" })) };
    Router::new().route_service("/mcp", service).route("/health", get(health)).route("/healthz", get(health))
}

/// Serves [`router`] at an address until `stop`. Where others can reach it, `hosts` has to say by which names: the
/// server asks nobody who they are, and all use its token.
///
/// # Errors
/// When the address is taken, or is open to others without names.
pub async fn http(
    server: GithubServer,
    address: SocketAddr,
    hosts: &[String],
    stop: CancellationToken,
) -> io::Result<()> {
    if !address.ip().is_loopback() && hosts.is_empty() {
        return Err(io::Error::other(format!(
            "{address} is open to other machines, who would use this server's token: name it with --allow-host"
        )));
    }
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    tracing::info!("listening at http://{address}/mcp");
    if !address.ip().is_loopback() {
        tracing::warn!(?hosts, "other machines can reach this server, which asks nobody who they are");
    }
    let router = router(server, address.port(), hosts, stop.clone());
    axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await
}
