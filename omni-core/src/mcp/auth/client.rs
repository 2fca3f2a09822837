//! Who omni is at an authorization server.

use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use serde_json::json;
use url::Url;

use super::{Hidden, OAuthError, metadata::ServerMetadata, words};
use crate::{config::OAuthConfig, net::egress::Egress, redact::Redactor};

/// Longest name and secret that are taken, in bytes.
const MAX_TEXT: usize = 4 << 10;

/// How a client shows that it is itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Method {
    #[serde(rename = "none")]
    None,
    #[serde(rename = "client_secret_basic")]
    Basic,
    #[serde(rename = "client_secret_post")]
    Post,
    #[serde(rename = "private_key_jwt")]
    Jwt,
}

impl Method {
    fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Basic => "client_secret_basic",
            Self::Post => "client_secret_post",
            Self::Jwt => "private_key_jwt",
        }
    }

    /// The way for a client with a secret. Where nothing is said of it, all know the first.
    fn with_secret(server: &ServerMetadata) -> Self {
        match &server.token_endpoint_auth_methods_supported {
            Some(known) if has(known, Self::Post) && !has(known, Self::Basic) => Self::Post,
            Some(_) | None => Self::Basic,
        }
    }

    /// The way that a client registers with which has no secret yet.
    fn to_register(server: &ServerMetadata) -> Self {
        match &server.token_endpoint_auth_methods_supported {
            Some(known) if !has(known, Self::None) => Self::with_secret(server),
            Some(_) | None => Self::None,
        }
    }
}

fn has(known: &[String], method: Method) -> bool {
    known.iter().any(|name| name == method.name())
}

/// A client as it is kept with what it was given. The operator's own secrets are not: they may change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Client {
    pub(super) id: String,
    pub(super) method: Method,
    /// What the authorization server gave it when it registered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) secret: Option<Hidden>,
}

impl Client {
    /// The client of a configuration, where it names one.
    pub(super) fn configured(config: &OAuthConfig, server: &ServerMetadata) -> Option<Self> {
        let id = config.client_id.clone()?;
        let method = match (&config.private_key, &config.client_secret) {
            (Some(_), _) => Method::Jwt,
            (None, Some(_)) => Method::with_secret(server),
            (None, None) => Method::None,
        };
        Some(Self { id, method, secret: None })
    }

    /// The client for a login: the configured one, else the document's, else one that registers now.
    pub(super) async fn for_login(
        egress: &Egress,
        config: &OAuthConfig,
        server: &ServerMetadata,
        redirect_uri: &str,
        scopes: &[String],
    ) -> Result<Self, OAuthError> {
        if let Some(client) = Self::configured(config, server) {
            return Ok(client);
        }
        if let Some(document) =
            config.client_metadata_url.as_ref().filter(|_| server.client_id_metadata_document_supported)
        {
            return Ok(Self { id: document.clone(), method: Method::None, secret: None });
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

    /// The secret to show, which the configuration may have.
    pub(super) fn secret(&self, config: &OAuthConfig) -> Option<String> {
        let own = config.client_secret.as_ref().filter(|_| config.client_id.as_ref() == Some(&self.id));
        own.map(|secret| secret.expose_secret().to_owned())
            .or_else(|| self.secret.as_ref().map(|secret| secret.0.clone()))
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
        "token_endpoint_auth_method": Method::to_register(server).name(),
        "application_type": "native",
    });
    if !scopes.is_empty() {
        wish["scope"] = scopes.join(" ").into();
    }
    let answer = egress.json(&url, &wish).await?;
    if !answer.status.is_success() {
        return Err(super::token::refusal(&answer, "register omni", &Redactor::new()));
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
