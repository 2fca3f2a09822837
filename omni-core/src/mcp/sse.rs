//! MCP servers over the legacy SSE transport: answers come on one stream, requests are posted to
//! the address that its first event names.

use std::{future::Future, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures::{StreamExt, stream::BoxStream};
use http::{HeaderMap, HeaderValue, header::ACCEPT};
use rmcp::{
    RoleClient,
    model::{ClientJsonRpcMessage, GetExtensions, JsonRpcMessage},
    service::{RxJsonRpcMessage, TxJsonRpcMessage},
    transport::Transport,
};
use secrecy::SecretString;
use sse_stream::{Error as SseError, Sse, SseStream};
use tokio::time::{Instant, timeout_at};
use url::Url;

use super::{
    CallContext, Connector, CredentialSource, McpError, McpTransport,
    client::{Client, Lifecycle, millis, refused},
    http::{
        admit::admitted,
        capped,
        endpoint::{Endpoint, status_error},
    },
    tap::{Fault, MAX_MESSAGE_BYTES, Reach, Slot, Tap, words},
};
use crate::{
    config::{ServerAuth, ServerConfig},
    net::body,
    registry::{BuildError, Registry},
};

/// Most of an error page that is read, in bytes.
const MAX_ERROR_BYTES: usize = 16 * 1024;

/// How long the posting of a message may take for whose answer nobody waits.
const POST_WITHIN: Duration = Duration::from_secs(30);

/// A server with a stream at a URL.
#[derive(Debug, Clone)]
pub struct SseServer {
    endpoint: Endpoint,
}

impl SseServer {
    /// A server from the `http` or `https` address of its stream, taken as it is.
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

    async fn start(&self, cx: &CallContext) -> Result<Client, McpError> {
        let tap = Tap::new(self.endpoint.redactor(), Reach::of(cx, Reach::Nobody));
        tap.hears();
        let stream = Stream::open(&self.endpoint, tap.clone()).await?;
        Client::start(stream, tap, Lifecycle::Legacy).await
    }
}

#[async_trait]
impl Connector for SseServer {
    fn kind(&self) -> &'static str {
        "sse"
    }

    async fn connect(&self, cx: &CallContext) -> Result<Arc<dyn McpTransport>, McpError> {
        let started = Instant::now();
        cx.must_be_shared()?;
        if self.endpoint.is_for_callers() {
            return Err(CallContext::only_over_http());
        }
        match timeout_at(cx.deadline, Box::pin(self.start(cx))).await {
            Ok(client) => Ok(Arc::new(client.map_err(|error| refused(error, &self.endpoint.redactor()))?)),
            Err(_) => Err(McpError::Timeout { after_ms: millis(started.elapsed()) }),
        }
    }

    async fn settle(&self) {
        if let Some(source) = self.endpoint.credentials() {
            source.settle().await;
        }
    }
}

/// Adds the kind `sse`.
pub fn register(registry: &mut Registry) {
    registry.transports.register("sse", |config: ServerConfig| {
        Box::pin(async move {
            let endpoint = Endpoint::from_config(&config)?;
            Ok(Arc::new(SseServer { endpoint }) as Arc<dyn Connector>)
        })
    });
}

type Events = BoxStream<'static, Result<Sse, SseError>>;

/// The transport.
struct Stream {
    client: reqwest::Client,
    headers: HeaderMap,
    credentials: Option<Arc<dyn CredentialSource>>,
    post_to: Url,
    events: Option<Events>,
    tap: Arc<Tap>,
}

impl Stream {
    async fn open(endpoint: &Endpoint, tap: Arc<Tap>) -> Result<Self, McpError> {
        let (client, headers) = (endpoint.client()?, endpoint.header_map()?);
        let credentials = endpoint.credentials().cloned();
        let request = client.get(endpoint.url().clone()).headers(headers.clone());
        let request = request.header(ACCEPT, HeaderValue::from_static("text/event-stream"));
        let response = checked(admitted(request, credentials.as_ref(), &tap).await?).await?;
        let chunks = capped::events(response.bytes_stream(), MAX_MESSAGE_BYTES);
        let mut events: Events = SseStream::from_bytes_stream(chunks).boxed();
        let post_to = post_address(&mut events, endpoint.url()).await?;
        Ok(Self { client, headers, credentials, post_to, events: Some(events), tap })
    }

    /// The next message's text; `None` at the end.
    async fn next(&mut self) -> Option<String> {
        let events = self.events.as_mut()?;
        loop {
            match events.next().await {
                Some(Ok(event)) if event.event.as_deref().is_none_or(|kind| kind == "message") => {
                    if let Some(data) = event.data.filter(|data| !data.trim().is_empty()) {
                        return Some(data);
                    }
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => {
                    self.tap.close(format!("the stream broke: {}", words(&error.to_string())));
                    return None;
                }
                None => {
                    self.tap.close("the server ended the stream");
                    return None;
                }
            }
        }
    }
}

/// Waits for the address that requests go to. It must be of the stream's own origin: elsewhere a
/// server could send credentials and arguments to anybody.
async fn post_address(events: &mut Events, stream: &Url) -> Result<Url, McpError> {
    let connect = |message: String| McpError::Connect { message };
    while let Some(event) = events.next().await {
        let event = event.map_err(|error| connect(format!("the stream broke: {}", words(&error.to_string()))))?;
        if event.event.as_deref() != Some("endpoint") {
            continue;
        }
        let address = event.data.unwrap_or_default();
        let url = stream.join(address.trim()).map_err(|_| connect("the stream names no address to post to".into()))?;
        if url.origin() != stream.origin() {
            return Err(connect(format!(
                "the stream wants requests posted to {}, which is not where it comes from",
                words(&url.origin().ascii_serialization())
            )));
        }
        return Ok(url);
    }
    Err(connect("the stream ended before it named the address to post to".into()))
}

async fn checked(response: reqwest::Response) -> Result<reqwest::Response, McpError> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let body = body::prefix(response, MAX_ERROR_BYTES).await.map(|(body, _)| body).unwrap_or_default();
    Err(status_error(status, &String::from_utf8_lossy(&body)))
}

impl Transport<RoleClient> for Stream {
    type Error = Fault;

    fn send(
        &mut self,
        item: TxJsonRpcMessage<RoleClient>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        let mut headers = self.headers.clone();
        if let Some(slot) = slot(&item) {
            headers.extend(slot.headers().clone());
        }
        let until = slot(&item).and_then(Slot::deadline).unwrap_or_else(|| Instant::now() + POST_WITHIN);
        let request = self.client.post(self.post_to.clone()).headers(headers).json(&item);
        let (tap, credentials) = (self.tap.clone(), self.credentials.clone());
        async move {
            let started = Instant::now();
            let post = async { checked(admitted(request, credentials.as_ref(), &tap).await?).await.map(drop) };
            let posted = match tap.closed().run_until_cancelled(timeout_at(until, post)).await {
                Some(Ok(posted)) => posted,
                Some(Err(_)) => Err(McpError::Timeout { after_ms: millis(started.elapsed()) }),
                None => Err(tap.lost(false)),
            };
            posted.map_err(|error| Fault(error.redacted(&tap.redactor())))
        }
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleClient>> {
        loop {
            let data = self.next().await?;
            match self.tap.decode(data.as_bytes()) {
                Ok(JsonRpcMessage::Error(error)) if error.id.is_none() => {
                    tracing::debug!(code = error.error.code.0, "a server sent an error that answers no request");
                }
                Ok(message) => return Some(message),
                Err(error) => tracing::debug!(%error, "a server sent an event that is no message"),
            }
        }
    }

    async fn close(&mut self) -> Result<(), Self::Error> {
        self.events = None;
        Ok(())
    }
}

fn slot(message: &ClientJsonRpcMessage) -> Option<&Slot> {
    match message {
        JsonRpcMessage::Request(request) => request.request.extensions().get::<Slot>(),
        JsonRpcMessage::Notification(_) | JsonRpcMessage::Response(_) | JsonRpcMessage::Error(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::PassThrough;

    #[tokio::test]
    async fn nobody_is_let_in_with_the_token_of_whoever_calls() {
        let own = ServerAuth::PassThrough(PassThrough::new("https://notes.example"));
        let server = SseServer::new("http://127.0.0.1:1/sse").unwrap().with_auth(own);
        let refused = server.connect(&CallContext::within(Duration::from_secs(5))).await.err().unwrap();
        assert!(matches!(refused, McpError::Unauthorized { .. }), "{refused}");
    }
}
