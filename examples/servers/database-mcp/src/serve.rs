//! The server for others: over standard input and output, or over streamable HTTP at `/mcp`.

use std::{net::SocketAddr, sync::Arc};

use anyhow::ensure;
use axum::{
    Router,
    extract::Request,
    http::{HeaderValue, StatusCode, header},
    middleware::{Next, from_fn},
    response::{IntoResponse, Response},
    routing::get,
};
use rmcp::{
    ServiceExt as _,
    transport::streamable_http_server::{
        StreamableHttpServerConfig, StreamableHttpService, session::local::LocalSessionManager,
    },
};
use secrecy::{ExposeSecret as _, SecretString};
use subtle::ConstantTimeEq as _;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{DatabaseServer, HttpConfig};

/// Serves one client over standard input and output, until either ends or `stop`.
///
/// # Errors
/// When the client does not begin as MCP does.
pub async fn stdio(server: DatabaseServer, stop: CancellationToken) -> anyhow::Result<()> {
    let running = server.serve_with_ct(rmcp::transport::stdio(), stop).await?;
    running.waiting().await?;
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
    tracing::info!("database-mcp listens at http://{}/mcp", listener.local_addr()?);
    let router = router(server, config, stop.clone());
    axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await?;
    Ok(())
}

/// `/mcp`, and `/health` and `/healthz`, which everybody may ask. `Host` has to name this machine or one of
/// `allowed_hosts`, and `Origin`, where a page calls, likewise.
pub fn router(server: DatabaseServer, config: &HttpConfig, stop: CancellationToken) -> Router {
    let own =
        |beginning: &str, end: &str| ["localhost", "127.0.0.1", "[::1]"].map(|host| format!("{beginning}{host}{end}"));
    let hosts = own("", "").into_iter().chain(["::1".into()]).chain(config.allowed_hosts.clone());
    let origins = own("http://", ":*").into_iter().chain(config.allowed_origins.clone());
    let settings = StreamableHttpServerConfig::default()
        .with_allowed_hosts(hosts)
        .with_allowed_origins(origins)
        .enforce_origin_validation()
        .with_cancellation_token(stop);
    let sessions = Arc::<LocalSessionManager>::default();
    let service = StreamableHttpService::new(move || Ok(server.clone()), sessions, settings);
    let token = config.bearer_token.clone();
    let guard = move |request: Request, next: Next| guarded(token.clone(), request, next);
    Router::new()
        .route_service("/mcp", service)
        .layer(from_fn(guard))
        .route("/health", get("ok"))
        .route("/healthz", get("ok"))
}

async fn guarded(token: Option<SecretString>, request: Request, next: Next) -> Response {
    let brought = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let brought = brought.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
    let is_known = token.is_none_or(|token| token.expose_secret().as_bytes().ct_eq(brought.as_bytes()).into());
    if is_known {
        return next.run(request).await;
    }
    let challenge = HeaderValue::from_static("Bearer");
    (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, challenge)], "a token is needed\n").into_response()
}
