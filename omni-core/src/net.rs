//! The one place where HTTP clients are built, with a preconfigured ring TLS configuration, so that
//! no process-wide crypto provider is needed.
//!
//! Redirects are off: a redirect would carry credentials to a host that nobody configured.
//! Certificates are checked against the roots of the platform, which are read at the first https
//! connection: a host without roots can still talk plain http on loopback.

use std::{error::Error as _, time::Duration};

use reqwest::{Client, ClientBuilder, redirect::Policy};
use url::Url;

#[cfg(any(feature = "mcp-http", feature = "oidc"))]
pub(crate) mod body;
#[cfg(any(feature = "mcp-oauth", feature = "oidc"))]
pub(crate) mod egress;
mod tls;

pub use crate::loopback::is_loopback;
#[cfg(any(feature = "mcp-oauth", feature = "oidc"))]
pub use egress::EgressError;

/// Why a client could not be built.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum NetError {
    /// The HTTP client cannot be built from the platform's settings.
    #[error("cannot build the HTTP client: {message}")]
    Build {
        /// What went wrong.
        message: String,
    },
}

/// How a client behaves. The defaults suit APIs that stream.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ClientOptions {
    /// How long a connection, TLS included, may take to be made.
    pub connect_timeout: Duration,
    /// How long an unused connection is kept.
    pub pool_idle_timeout: Duration,
    /// Most unused connections kept for one host.
    pub pool_max_idle: usize,
    /// Whether `HTTPS_PROXY` and its like count. Off for loopback.
    pub system_proxy: bool,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            pool_idle_timeout: Duration::from_secs(30),
            // As many as calls run at once: one that is closed because there are too many is made anew for the next call.
            pool_max_idle: 256,
            system_proxy: true,
        }
    }
}

impl ClientOptions {
    /// The defaults for talking to `url`: no proxy stands between this process and loopback.
    #[must_use]
    pub fn for_url(url: &Url) -> Self {
        Self { system_proxy: !is_loopback(url), ..Self::default() }
    }

    /// The same with another bound on making a connection.
    #[must_use]
    pub fn with_connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }
}

/// An HTTP client for `http` and `https`. It bounds connecting only; whoever sends a request bounds the rest.
///
/// A clone of a client shares its connections: build one and clone it.
///
/// # Errors
/// [`NetError::Build`] when the platform's settings, such as a proxy's address, cannot be used.
pub fn client(options: &ClientOptions) -> Result<Client, NetError> {
    build(builder(options)?)
}

/// The same with names resolved by `resolver`, whose word is the connection's.
#[cfg(any(feature = "mcp-oauth", feature = "oidc"))]
fn client_resolving<R>(options: &ClientOptions, resolver: std::sync::Arc<R>) -> Result<Client, NetError>
where
    R: reqwest::dns::Resolve + 'static,
{
    build(builder(options)?.dns_resolver(resolver))
}

fn build(builder: ClientBuilder) -> Result<Client, NetError> {
    builder.build().map_err(|error| NetError::Build { message: describe(&error) })
}

fn builder(options: &ClientOptions) -> Result<ClientBuilder, NetError> {
    let tls = tls::config().map_err(|error| NetError::Build { message: error.to_string() })?;
    #[allow(clippy::disallowed_methods, reason = "this is the one place that builds clients")]
    let mut builder = Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(Policy::none())
        .referer(false)
        .user_agent(concat!("omni/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(options.connect_timeout)
        .pool_idle_timeout(options.pool_idle_timeout)
        .pool_max_idle_per_host(options.pool_max_idle)
        .tcp_nodelay(true)
        .tcp_keepalive(Duration::from_secs(30));
    if !options.system_proxy {
        builder = builder.no_proxy();
    }
    Ok(builder)
}

/// What went wrong with a request, with its causes and without its URL, which may hold credentials.
#[must_use]
pub fn describe(error: &reqwest::Error) -> String {
    let mut words: Vec<String> = Vec::new();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        // Wrapping errors repeat the text of what they wrap.
        if words.last().is_none_or(|last| !last.contains(&text)) {
            words.push(text);
        }
        cause = error.source();
    }
    if words.is_empty() { kind(error).to_owned() } else { words.join(": ") }
}

fn kind(error: &reqwest::Error) -> &'static str {
    if error.is_timeout() {
        "timed out"
    } else if error.is_connect() {
        "cannot connect"
    } else if error.is_body() || error.is_decode() {
        "the body cannot be read"
    } else {
        "the request failed"
    }
}

#[cfg(test)]
mod tests;
