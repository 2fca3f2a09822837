//! omni as a client that nobody registered: by a document's address, or by registering now.

use serde::Deserialize;
use serde_json::json;
use url::Url;

use super::{Hidden, OAuthError, words};
use crate::{
    config::OAuthConfig,
    net::egress::Egress,
    oauth::{
        client::{Client, Method, has},
        metadata::ServerMetadata,
        token::refusal,
    },
    redact::Redactor,
};

/// Longest name and secret that are taken, in bytes.
const MAX_TEXT: usize = 4 << 10;

/// The client for a login: the configured one, else the document's, else one that registers now.
pub(super) async fn client(
    egress: &Egress,
    config: &OAuthConfig,
    server: &ServerMetadata,
    redirect_uri: &str,
    scopes: &[String],
) -> Result<Client, OAuthError> {
    if let Some(client) = Client::configured(config, server) {
        return Ok(client);
    }
    if let Some(document) = config.client_metadata_url.as_ref().filter(|_| server.client_id_metadata_document_supported)
    {
        return Ok(Client { id: document.clone(), method: Method::None, secret: None });
    }
    match &server.registration_endpoint {
        Some(endpoint) => register(egress, endpoint, server, redirect_uri, scopes).await,
        None => Err(OAuthError::discovery(format!(
            "the authorization server {} lets no client register; register omni there, and put its client_id into \
             mcps.yaml",
            words(&server.issuer)
        ))),
    }
}

#[derive(Deserialize)]
struct Registered {
    client_id: String,
    #[serde(default)]
    client_secret: Option<Hidden>,
    #[serde(default)]
    token_endpoint_auth_method: Option<String>,
}

/// Registers omni (RFC 7591).
async fn register(
    egress: &Egress,
    endpoint: &str,
    server: &ServerMetadata,
    redirect_uri: &str,
    scopes: &[String],
) -> Result<Client, OAuthError> {
    let url = Url::parse(endpoint).map_err(|_| OAuthError::discovery("the registration endpoint is no address"))?;
    let mut wish = json!({
        "client_name": "omni",
        "redirect_uris": [redirect_uri],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": without_secret(server).name(),
        "application_type": "native",
    });
    if !scopes.is_empty() {
        wish["scope"] = scopes.join(" ").into();
    }
    let answer = egress.json(&url, &wish).await?;
    if !answer.status.is_success() {
        return Err(refusal(&answer, "register omni", &Redactor::new()));
    }
    let registered: Registered = answer.json(&url)?;
    let secret = registered.client_secret.filter(|secret| !secret.0.is_empty());
    let is_sound = !registered.client_id.is_empty() && registered.client_id.len() <= MAX_TEXT;
    if !is_sound || secret.as_ref().is_some_and(|secret| secret.0.len() > MAX_TEXT) {
        return Err(OAuthError::answer("the authorization server registered omni under no usable name"));
    }
    let method = match (&secret, registered.token_endpoint_auth_method.as_deref()) {
        (None, _) | (Some(_), Some("none")) => Method::None,
        (Some(_), Some("client_secret_post")) => Method::Post,
        (Some(_), Some("client_secret_basic")) => Method::Basic,
        (Some(_), Some(_) | None) => Method::with_secret(server),
    };
    Ok(Client { id: registered.client_id, method, secret })
}

/// The way that a client registers with which has no secret yet.
fn without_secret(server: &ServerMetadata) -> Method {
    match &server.token_endpoint_auth_methods_supported {
        Some(known) if !has(known, Method::None) => Method::with_secret(server),
        Some(_) | None => Method::None,
    }
}
