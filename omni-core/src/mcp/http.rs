//! MCP servers over streamable HTTP.

use std::{error::Error, sync::Arc, time::Duration};

use async_trait::async_trait;
use rmcp::transport::streamable_http_client::{
    StreamableHttpClientTransport, StreamableHttpClientTransportConfig, StreamableHttpError,
};
use secrecy::SecretString;
use tokio::time::{Instant, timeout, timeout_at};

use super::{
    CallContext, Connector, CredentialSource, McpError, McpTransport,
    client::{Client, Lifecycle, millis, refused},
    tap::{Fault, MAX_MESSAGE_BYTES, Reach, Tap, words},
};
use crate::{
    config::{ServerAuth, ServerConfig},
    registry::{BuildError, Registry},
};

pub(super) mod admit;
pub(super) mod capped;
pub(super) mod endpoint;
mod short;
mod unasked;
mod wire;

use endpoint::Endpoint;
use short::Short;
use wire::Wire;

/// Longest wait for an answer to the first question of the new protocol, which old servers may
/// leave unanswered.
const PROBE: Duration = Duration::from_secs(5);

/// What a server means that knows nothing of a session.
const FORGOTTEN: &str = "the server has forgotten the session";

/// Requests that may be on their way at once; the pool's own bound is lower.
const MAX_REQUESTS: usize = 256;

/// A server at a URL.
#[derive(Debug, Clone)]
pub struct HttpServer {
    endpoint: Endpoint,
}

impl HttpServer {
    /// A server from its `http` or `https` address, taken as it is.
    ///
    /// # Errors
    /// [`BuildError::Invalid`] when that is no such address.
    pub fn new(url: impl AsRef<str>) -> Result<Self, BuildError> {
        Ok(Self { endpoint: Endpoint::new(url.as_ref())? })
    }

    /// The same with credentials.
    #[must_use]
    pub fn with_auth(mut self, auth: ServerAuth) -> Self {
        self.endpoint.set_auth(auth);
        self
    }

    /// The same with one header more.
    #[must_use]
    pub fn with_header(mut self, name: impl Into<String>, value: SecretString) -> Self {
        self.endpoint.add_header(name.into(), value);
        self
    }

    /// The same with credentials that are asked for with every request.
    #[must_use]
    pub fn with_credentials(mut self, source: Arc<dyn CredentialSource>) -> Self {
        self.endpoint.set_credentials(source);
        self
    }

    /// `server/discover` first; whoever does not know it is asked to `initialize`, on a connection
    /// of its own, since the first one may still wait for an answer.
    async fn start(&self, cx: &CallContext) -> Result<Client, McpError> {
        if let Some(source) = self.endpoint.credentials() {
            // Before the first question, whose time is not that of whoever gives out tokens.
            source.credential().await?;
        }
        match timeout(PROBE, self.begin(Lifecycle::Modern, cx)).await {
            Ok(Ok(client)) => Ok(client),
            Ok(Err(error @ (McpError::Unauthorized { .. } | McpError::Closed { unsent: true, .. }))) => Err(error),
            Ok(Err(_)) | Err(_) => self.begin(Lifecycle::Legacy, cx).await,
        }
    }

    async fn begin(&self, lifecycle: Lifecycle, cx: &CallContext) -> Result<Client, McpError> {
        let tap = Tap::new(self.endpoint.redactor(), Reach::of(cx, Reach::ByStream));
        let wire = Wire::new(&self.endpoint, tap.clone(), cx)?;
        // The session is not renewed behind the pool's back: that would send a call twice.
        let mut config = StreamableHttpClientTransportConfig::with_uri(self.endpoint.url().as_str())
            .max_sse_event_size(MAX_MESSAGE_BYTES)
            .max_concurrent_requests(MAX_REQUESTS)
            .reinit_on_expired_session(false);
        config.retry_config = Arc::new(unasked::again());
        let short = Short::new(wire.clone(), self.endpoint.url().clone());
        let client = Client::start(StreamableHttpClientTransport::with_client(wire, config), tap, lifecycle).await?;
        Ok(client.with_short_way(short))
    }
}

#[async_trait]
impl Connector for HttpServer {
    fn kind(&self) -> &'static str {
        "http"
    }

    async fn connect(&self, cx: &CallContext) -> Result<Arc<dyn McpTransport>, McpError> {
        let started = Instant::now();
        self.endpoint.may_carry(cx)?;
        match timeout_at(cx.deadline, Box::pin(self.start(cx))).await {
            Ok(client) => Ok(Arc::new(client.map_err(|error| refused(error, &self.endpoint.redactor_of(cx)))?)),
            Err(_) => Err(McpError::Timeout { after_ms: millis(started.elapsed()) }),
        }
    }

    fn has_discovery_token(&self) -> bool {
        self.endpoint.has_discovery_token()
    }

    async fn settle(&self) {
        if let Some(source) = self.endpoint.credentials() {
            source.settle().await;
        }
    }
}

/// Adds the kind `http`.
pub fn register(registry: &mut Registry) {
    registry.transports.register("http", |config: ServerConfig| {
        Box::pin(async move {
            let endpoint = Endpoint::from_config(&config)?;
            Ok(Arc::new(HttpServer { endpoint }) as Arc<dyn Connector>)
        })
    });
}

/// What an error of rmcp's HTTP transport means.
pub(super) fn meaning(error: &(dyn Error + 'static)) -> Option<McpError> {
    let error = error.downcast_ref::<StreamableHttpError<Fault>>()?;
    Some(match error {
        StreamableHttpError::Client(Fault(fault)) => fault.clone(),
        StreamableHttpError::SessionExpired => lost(FORGOTTEN),
        StreamableHttpError::UnexpectedServerResponse(_)
        | StreamableHttpError::UnexpectedContentType(_)
        | StreamableHttpError::Deserialize(_)
        | StreamableHttpError::ResponseBodyTooLarge { .. } => McpError::Protocol { message: words(&error.to_string()) },
        other => lost(&other.to_string()),
    })
}

fn lost(message: &str) -> McpError {
    McpError::Closed { message: words(message), unsent: false }
}

#[cfg(test)]
mod tests;
