//! Where tokens for this endpoint come from, as OAuth clients ask for it (RFC 9728).

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, header},
};
use serde_json::{Value, json};

use super::PATH;
use crate::{caller::names_here, error::ApiError, extract::Json, state::App};

/// The document of the whole service.
pub(crate) const METADATA: &str = "/.well-known/oauth-protected-resource";
/// The same where clients look for the endpoint's.
pub(crate) const METADATA_OF_ENDPOINT: &str = "/.well-known/oauth-protected-resource/mcp";

/// Who gives out tokens for this endpoint; where nobody does there is no such document.
pub(super) async fn of_service(State(app): State<App>, headers: HeaderMap) -> Result<Json<Value>, ApiError> {
    let issuer = app.omni.token_issuer().ok_or_else(|| ApiError::not_found("no tokens are taken here"))?;
    let endpoint = endpoint(&app, &headers).ok_or_else(|| ApiError::not_found("the endpoint has no name here"))?;
    Ok(Json(json!({
        "resource": endpoint,
        "authorization_servers": [issuer],
        "bearer_methods_supported": ["header"],
        "resource_name": "omni",
    })))
}

/// What a request without a credential is told, where tokens are taken.
pub(super) fn challenge(app: &App, request: &Request) -> Option<HeaderValue> {
    app.omni.token_issuer()?;
    let endpoint = endpoint(app, request.headers())?;
    let base = endpoint.strip_suffix(PATH).unwrap_or(&endpoint);
    let place = format!("{}{METADATA_OF_ENDPOINT}", base.trim_end_matches('/'));
    HeaderValue::from_str(&format!("Bearer realm=\"omni\", resource_metadata=\"{place}\"")).ok()
}

/// The endpoint's address: as configured, else as the request knows it, which is secure unless it is on
/// this machine.
fn endpoint(app: &App, headers: &HeaderMap) -> Option<String> {
    if let Some(url) = &app.config.gateway.url {
        return Some(url.clone());
    }
    if let Some(url) = &app.config.public_url {
        return Some(format!("{url}{PATH}"));
    }
    let host = headers.get(header::HOST)?.to_str().ok()?;
    let host: http::uri::Authority = host.parse().ok()?;
    let scheme = if names_here(host.as_str()) { "http" } else { "https" };
    Some(format!("{scheme}://{host}{PATH}"))
}
