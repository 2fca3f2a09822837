//! Where a server is and what is sent to it with every request.

use std::{
    fmt,
    str::FromStr,
    sync::{Arc, OnceLock},
};

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::{
    config::{
        PassThrough, ServerAuth, ServerConfig,
        secrets::{in_address, named, of_server, queried},
    },
    loopback::is_loopback,
    mcp::{CallContext, CredentialSource, McpError, tap::words},
    net::{self, ClientOptions},
    redact::Redactor,
    registry::BuildError,
};

/// JSON-RPC: the server, or omni in its place, cannot do it.
const INTERNAL: i64 = -32_603;

/// An address, credentials, headers, and the client that is shared by all connections to it.
#[derive(Clone)]
pub(in crate::mcp) struct Endpoint {
    url: Url,
    auth: ServerAuth,
    headers: Vec<(String, SecretString)>,
    credentials: Option<Arc<dyn CredentialSource>>,
    /// Knows the secrets of the configuration.
    known: Redactor,
    client: Arc<OnceLock<reqwest::Client>>,
}

impl Endpoint {
    pub(in crate::mcp) fn new(url: &str) -> Result<Self, BuildError> {
        let is_fit = |url: &Url| matches!(url.scheme(), "http" | "https") && url.host().is_some();
        // It is not told: what is no address may be a password.
        let parsed = Url::parse(url).ok().filter(is_fit).ok_or_else(|| {
            BuildError::invalid("the address of a server is that of a host and begins with http:// or https://")
        })?;
        let (headers, known, client) = (Vec::new(), Redactor::new(), Arc::default());
        Ok(Self { url: parsed, auth: ServerAuth::None, headers, credentials: None, known, client })
    }

    /// The endpoint of a configuration entry; its headers are checked here and now.
    pub(in crate::mcp) fn from_config(config: &ServerConfig) -> Result<Self, BuildError> {
        let (name, kind) = (&config.name, &config.kind);
        let missing = || BuildError::invalid(format!("the server {name:?} of kind {kind} needs the key `url`"));
        let url = config.url.as_deref().filter(|url| !url.trim().is_empty()).ok_or_else(missing)?;
        let wrong = |error: &dyn fmt::Display| BuildError::invalid(format!("the server {name:?}: {error}"));
        let mut endpoint = Self::new(url).map_err(|error| wrong(&error))?;
        endpoint.set_auth(config.auth.clone());
        endpoint.headers = config.headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        endpoint.header_map().map_err(|error| wrong(&error))?;
        endpoint.credentials.clone_from(&config.credentials);
        endpoint.known = of_server(config).iter().fold(Redactor::new(), |known, secret| known.with_value(secret));
        if matches!(config.auth, ServerAuth::OAuth(_)) && endpoint.credentials.is_none() {
            return Err(wrong(&"this build has no OAuth for servers (feature mcp-oauth)"));
        }
        Ok(endpoint)
    }

    pub(in crate::mcp) fn url(&self) -> &Url {
        &self.url
    }

    pub(in crate::mcp) fn set_auth(&mut self, auth: ServerAuth) {
        self.auth = auth;
    }

    pub(in crate::mcp) fn add_header(&mut self, name: String, value: SecretString) {
        self.headers.push((name, value));
    }

    pub(in crate::mcp) fn set_credentials(&mut self, source: Arc<dyn CredentialSource>) {
        self.credentials = Some(source);
    }

    /// Where credentials come from that are asked for with every request.
    pub(in crate::mcp) fn credentials(&self) -> Option<&Arc<dyn CredentialSource>> {
        self.credentials.as_ref()
    }

    /// The client, built at first use: a connection that is never made costs nothing.
    pub(in crate::mcp) fn client(&self) -> Result<reqwest::Client, McpError> {
        if let Some(client) = self.client.get() {
            return Ok(client.clone());
        }
        let client = net::client(&ClientOptions::for_url(&self.url))
            .map_err(|error| McpError::Connect { message: error.to_string() })?;
        Ok(self.client.get_or_init(|| client).clone())
    }

    /// Knows the secrets that are sent there: a server may well repeat them in its errors.
    pub(in crate::mcp) fn redactor(&self) -> Redactor {
        let auth = self.auth.secrets().into_iter().map(|secret| secret.expose_secret().to_owned());
        let in_headers = named(self.headers.iter().map(|(name, value)| (name, value)));
        let values = auth.chain(in_headers).chain(queried(&self.url));
        let values = values.chain(in_address(self.url.as_str())).chain(self.basic_value());
        values.fold(self.known.clone(), |redactor, secret| redactor.with_value(&secret))
    }

    /// The same, with the credentials that a connection is made with.
    pub(in crate::mcp) fn redactor_of(&self, cx: &CallContext) -> Redactor {
        own_secrets(cx).iter().fold(self.redactor(), |redactor, secret| redactor.with_value(secret))
    }

    /// Whether a caller's credentials may be sent there: over https, or to this machine.
    pub(in crate::mcp) fn may_carry(&self, cx: &CallContext) -> Result<(), McpError> {
        if cx.credentials.is_none() || self.url.scheme() == "https" || is_loopback(&self.url) {
            return Ok(());
        }
        let message = "a caller's token is sent over https only, or to this machine";
        Err(McpError::Unauthorized { message: message.into() })
    }

    /// Whether whoever calls is let in by their own token.
    pub(in crate::mcp) fn is_for_callers(&self) -> bool {
        matches!(self.auth, ServerAuth::PassThrough(_))
    }

    /// Whether omni itself has a token then, to ask what there is.
    pub(in crate::mcp) fn has_discovery_token(&self) -> bool {
        matches!(&self.auth, ServerAuth::PassThrough(own) if own.discovery_token.is_some())
    }

    /// User name and password as they are sent.
    fn basic_value(&self) -> Option<String> {
        let ServerAuth::Basic { .. } = &self.auth else { return None };
        let headers = self.header_map().ok()?;
        let (_, value) = headers.get(http::header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
        Some(value.to_owned())
    }

    /// Credentials and headers as they are sent.
    pub(in crate::mcp) fn header_map(&self) -> Result<HeaderMap, McpError> {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            insert(&mut headers, name, value.expose_secret())?;
        }
        match &self.auth {
            ServerAuth::None
            | ServerAuth::OAuth(_)
            | ServerAuth::PassThrough(PassThrough { discovery_token: None, .. }) => {}
            ServerAuth::Bearer(token) | ServerAuth::PassThrough(PassThrough { discovery_token: Some(token), .. }) => {
                insert(&mut headers, "authorization", &format!("Bearer {}", token.expose_secret()))?;
            }
            ServerAuth::Basic { username, password } => {
                let value = basic(&self.client()?, self.url.clone(), username, password)?;
                headers.insert(http::header::AUTHORIZATION, value);
            }
            ServerAuth::Header { name, value } => insert(&mut headers, name, value.expose_secret())?,
        }
        Ok(headers)
    }
}

/// What nobody may see of a caller's own credentials: the values, and what stands behind the scheme in them.
pub(super) fn own_secrets(cx: &CallContext) -> Vec<String> {
    let values = cx.credentials.iter().flatten().map(|(_, value)| value.expose_secret());
    values.map(|value| value.split_once(' ').map_or(value, |(_, secret)| secret).to_owned()).collect()
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // User info and query of an address may be credentials.
        let place = format!("{}{}", self.url.origin().ascii_serialization(), self.url.path());
        f.debug_struct("Endpoint").field("url", &place).finish_non_exhaustive()
    }
}

fn insert(headers: &mut HeaderMap, name: &str, value: &str) -> Result<(), McpError> {
    const OURS: [&str; 5] = ["accept", "content-type", "mcp-session-id", "mcp-protocol-version", "last-event-id"];
    let wrong = |what: &str| McpError::Connect { message: format!("the header {name:?} {what}") };
    let key = HeaderName::from_str(name).map_err(|_| wrong("has no usable name"))?;
    if OURS.contains(&key.as_str()) {
        return Err(wrong("belongs to the protocol and cannot be set"));
    }
    let mut value = HeaderValue::from_str(value).map_err(|_| wrong("has a value that cannot be sent"))?;
    value.set_sensitive(true);
    headers.insert(key, value);
    Ok(())
}

/// reqwest encodes it for us, on a request that is never sent.
fn basic(client: &reqwest::Client, url: Url, user: &str, password: &SecretString) -> Result<HeaderValue, McpError> {
    let request = client.get(url).basic_auth(user, Some(password.expose_secret())).build().ok();
    request
        .and_then(|request| request.headers().get(http::header::AUTHORIZATION).cloned())
        .ok_or_else(|| McpError::Connect { message: "the user name and password cannot be sent".into() })
}

/// What a failed request means. Without a connection nothing was sent.
pub(in crate::mcp) fn send_error(error: &reqwest::Error) -> McpError {
    McpError::Closed { message: words(&net::describe(error)), unsent: error.is_connect() }
}

/// That a request or its answer is larger than omni, the server or something before it takes. Nothing is wrong with the
/// connection: whatever others ask for is not as large.
pub(super) fn too_large(message: String) -> McpError {
    McpError::rpc(INTERNAL, message)
}

/// What a status that is no success means; `body` is the server's explanation.
pub(in crate::mcp) fn status_error(status: StatusCode, body: &str) -> McpError {
    const TOO_LARGE: [StatusCode; 3] =
        [StatusCode::PAYLOAD_TOO_LARGE, StatusCode::URI_TOO_LONG, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE];
    let body = words(body.trim());
    let message = if body.is_empty() { format!("HTTP {status}") } else { format!("HTTP {status}: {body}") };
    if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
        return McpError::Unauthorized { message };
    }
    if TOO_LARGE.contains(&status) {
        return too_large(message);
    }
    // The request went out whole, also where the answer is a redirect.
    let message = match status.is_redirection() {
        true => format!("{message}: it redirects elsewhere; configure the address it redirects to"),
        false => message,
    };
    McpError::Closed { message, unsent: false }
}
