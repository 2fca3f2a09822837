//! The rmcp client shared by every transport that it runs on.

use std::{
    fmt,
    str::FromStr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use futures::stream::BoxStream;
use http::{HeaderMap, HeaderName, HeaderValue};
use rmcp::{
    Peer, RoleClient,
    model::{
        CallToolRequest, CallToolRequestParams, CancelTaskParams, CancelledNotification, CancelledNotificationParam,
        ClientCapabilities, ClientConfig, ClientRequest, GetExtensions, Implementation, ListToolsRequest,
        ProgressToken, ProtocolVersion, RequestId, RequestMetaObject, SubscriptionFilter,
    },
    service::{
        ClientInitializeError, ClientLifecycleMode, ClientServiceExt, PeerRequestOptions, RequestHandle,
        RunningService, ServiceError,
    },
    transport::Transport,
};
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::value::{RawValue, to_raw_value};
use tokio::{
    sync::{broadcast::error::RecvError, mpsc},
    task::JoinHandle,
    time::{Instant, sleep, timeout, timeout_at},
};

use super::{
    CallContext, McpError, McpEvent, McpReply, McpRequest, McpTransport,
    content::clean,
    ext::METHOD_NOT_FOUND,
    tap::{Slot, Tap, Tapped, meaning, words},
};
use crate::{catalog::ServerCapabilities, redact::Redactor};

/// How long a server may take to end after it was told.
const CLOSE_WITHIN: Duration = Duration::from_secs(4);

/// Cancellations kept while the connection is busy; more are not worth telling.
const CANCELLATIONS: usize = 256;

/// How long a server that ended the telling of changes is left alone at first, and at most.
const LISTEN_AGAIN: Duration = Duration::from_secs(1);
const LISTEN_AGAIN_AT_LAST: Duration = Duration::from_secs(300);

/// Longest instructions that are taken from a server, in characters.
const MAX_INSTRUCTIONS: usize = 10_000;

/// How a connection begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lifecycle {
    /// `initialize`, as up to 2025-11-25.
    Legacy,
    /// `server/discover`, since 2026-07-28.
    Modern,
}

impl Lifecycle {
    fn mode(self) -> ClientLifecycleMode {
        match self {
            Self::Legacy => ClientLifecycleMode::Initialize,
            Self::Modern => ClientLifecycleMode::Discover { preferred_versions: vec![ProtocolVersion::V_2026_07_28] },
        }
    }
}

/// What nobody waits for any more.
enum Abandoned {
    Request(RequestId),
    Task(String),
}

/// The tasks of a connection.
struct Running {
    service: RunningService<RoleClient, ClientConfig>,
    chores: JoinHandle<()>,
}

/// One connected server.
pub(super) struct Client {
    peer: Peer<RoleClient>,
    running: Mutex<Option<Running>>,
    cancellations: mpsc::Sender<Abandoned>,
    capabilities: Arc<ServerCapabilities>,
    tap: Arc<Tap>,
}

impl Client {
    /// Runs the client on a transport. Dropping the future drops the transport.
    ///
    /// # Errors
    /// What the transport met, [`McpError::Connect`], or [`McpError::Rpc`] when the server answered
    /// and does not want to begin like this.
    pub(super) async fn start<T>(transport: T, tap: Arc<Tap>, lifecycle: Lifecycle) -> Result<Self, McpError>
    where
        T: Transport<RoleClient> + 'static,
    {
        let transport = Tapped::new(transport, tap.clone());
        let service = us()
            .serve_with_lifecycle(transport, lifecycle.mode())
            .await
            .map_err(|error| initialise_error(&error, &tap))?;
        let peer = service.peer().clone();
        let (cancellations, queue) = mpsc::channel(CANCELLATIONS);
        // Ends with the connection, which ends with the service.
        let chores = tokio::spawn({
            let (peer, tap) = (peer.clone(), tap.clone());
            async move {
                let (closed, modern) = (tap.closed().clone(), lifecycle == Lifecycle::Modern);
                let chores =
                    async { tokio::join!(tell_cancellations(queue, &peer), hear_changes(&peer, &tap, modern)) };
                closed.run_until_cancelled(chores).await;
            }
        });
        let running = Mutex::new(Some(Running { service, chores }));
        let capabilities = Arc::new(capabilities(&peer));
        Ok(Self { peer, running, cancellations, capabilities, tap })
    }

    async fn exchange(&self, request: McpRequest, cx: &CallContext) -> Result<McpReply, McpError> {
        let slot = Slot::new(cx.progress.clone(), headers(cx)?, cx.deadline, request.method == "tools/list");
        let mut message = typed(&request)?;
        message.extensions_mut().insert(slot.clone());
        let options = match trace(cx) {
            Some(meta) => PeerRequestOptions::no_options().with_meta(meta),
            None => PeerRequestOptions::no_options(),
        };
        let handle = self.peer.send_cancellable_request(message, options).await.map_err(|_| self.tap.lost(true))?;
        let guard = Guard { client: self, id: handle.id.clone(), token: handle.progress_token.clone(), done: false };
        self.answer(handle, guard, &slot).await
    }

    async fn answer(
        &self,
        handle: RequestHandle<RoleClient>,
        mut guard: Guard<'_>,
        slot: &Slot,
    ) -> Result<McpReply, McpError> {
        let answer = tokio::select! {
            biased;
            answer = handle.await_response() => answer,
            // rmcp keeps requests waiting while it tidies up after a lost connection.
            () = self.tap.closed().cancelled() => Err(ServiceError::TransportClosed),
        };
        guard.done = true;
        let result = answer.map_err(|error| self.service_error(error))?;
        let raw = match slot.answer() {
            Some(answer) => answer?,
            None => to_raw_value(&result).map_err(|error| protocol(&error))?,
        };
        reply(raw)
    }

    /// Knows the secrets that the server was given, by whomever.
    fn redactor(&self, cx: &CallContext) -> Redactor {
        let own = cx.credentials.iter().flatten().map(|(_, value)| value.expose_secret());
        own.fold(self.tap.redactor().clone(), Redactor::with_value)
    }

    fn service_error(&self, error: ServiceError) -> McpError {
        match error {
            ServiceError::McpError(error) => {
                McpError::Rpc { code: i64::from(error.code.0), message: words(&error.message) }
            }
            ServiceError::TransportSend(error) => meaning(error.error.as_ref())
                .unwrap_or_else(|| McpError::Closed { message: words(&error.error.to_string()), unsent: false }),
            ServiceError::TransportClosed | ServiceError::Cancelled { .. } => self.tap.lost(false),
            other => protocol(&other),
        }
    }
}

#[async_trait]
impl McpTransport for Client {
    async fn request(&self, request: McpRequest, cx: &CallContext) -> Result<McpReply, McpError> {
        if self.tap.closed().is_cancelled() {
            return Err(self.tap.lost(true));
        }
        let started = Instant::now();
        // Boxed: rmcp's messages are large, and this future is held by every caller.
        match timeout_at(cx.deadline, Box::pin(self.exchange(request, cx))).await {
            Ok(reply) => reply.map_err(|error| error.redacted(&self.redactor(cx))),
            Err(_) => Err(McpError::Timeout { after_ms: millis(started.elapsed()) }),
        }
    }

    fn events(&self) -> BoxStream<'static, McpEvent> {
        let (mut events, tap) = (self.tap.events(), self.tap.clone());
        Box::pin(async_stream::stream! {
            loop {
                let event = tokio::select! {
                    biased;
                    event = events.recv() => event,
                    () = tap.closed().cancelled() => break,
                };
                match event {
                    Ok(event) => yield event,
                    // A change of the lists may have been among what was missed; of one all are asked for again.
                    Err(RecvError::Lagged(_)) => yield McpEvent::ToolsChanged,
                    Err(RecvError::Closed) => break,
                }
            }
            yield McpEvent::Closed { reason: tap.reason() };
        })
    }

    fn capabilities(&self) -> Arc<ServerCapabilities> {
        self.capabilities.clone()
    }

    fn abandon_task(&self, id: &str) {
        let _ = self.cancellations.try_send(Abandoned::Task(id.into()));
    }

    async fn close(&self) {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.tap.close("the connection was closed");
        if let Some(mut running) = running {
            let _ = running.service.close_with_timeout(CLOSE_WITHIN).await;
            let _ = timeout(CLOSE_WITHIN, running.chores).await;
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("tap", &self.tap).finish_non_exhaustive()
    }
}

/// Tells the server when nobody waits for a request any more.
struct Guard<'a> {
    client: &'a Client,
    id: RequestId,
    token: ProgressToken,
    done: bool,
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.client.tap.forget(&self.id, &self.token);
        if !self.done {
            let _ = self.client.cancellations.try_send(Abandoned::Request(self.id.clone()));
        }
    }
}

async fn tell_cancellations(mut queue: mpsc::Receiver<Abandoned>, peer: &Peer<RoleClient>) {
    const TELL_WITHIN: Duration = Duration::from_secs(5);
    while let Some(abandoned) = queue.recv().await {
        let told = async {
            match abandoned {
                Abandoned::Request(id) => {
                    let params = CancelledNotificationParam::new(Some(id), Some("nobody waits for it any more".into()));
                    peer.send_notification(CancelledNotification::new(params).into()).await
                }
                Abandoned::Task(id) => peer.cancel_task(CancelTaskParams::new(id)).await,
            }
        };
        let _ = timeout(TELL_WITHIN, told).await;
    }
}

/// Since 2026-07-28 a server tells of changes only whoever asks to be told. The tap hears them. A
/// server that ends the telling is asked again, less and less often.
async fn hear_changes(peer: &Peer<RoleClient>, tap: &Tap, modern: bool) {
    let Some((filter, events)) = peer.peer_info().map(|info| told_of(&info.capabilities)) else { return };
    if !modern || events.is_empty() {
        return;
    }
    let mut pause = LISTEN_AGAIN;
    loop {
        match peer.listen(filter.clone()).await {
            Ok(mut changes) => {
                if pause > LISTEN_AGAIN {
                    // What changed while nobody listened was not told.
                    events.iter().for_each(|event| tap.event(event.clone()));
                }
                while let Ok(Some(_)) = changes.next().await {}
            }
            Err(error) => {
                tracing::debug!(%error, "a server does not tell when its lists change");
                if matches!(&error, ServiceError::McpError(error) if i64::from(error.code.0) == METHOD_NOT_FOUND) {
                    return;
                }
            }
        }
        sleep(pause).await;
        pause = (pause * 2).min(LISTEN_AGAIN_AT_LAST);
    }
}

/// Which changes a server tells of, as a filter and as the events that these are.
fn told_of(capabilities: &rmcp::model::ServerCapabilities) -> (SubscriptionFilter, Vec<McpEvent>) {
    let told = [
        (capabilities.tools.as_ref().and_then(|tools| tools.list_changed), McpEvent::ToolsChanged),
        (capabilities.prompts.as_ref().and_then(|prompts| prompts.list_changed), McpEvent::PromptsChanged),
        (capabilities.resources.as_ref().and_then(|resources| resources.list_changed), McpEvent::ResourcesChanged),
    ];
    let mut filter = SubscriptionFilter::new();
    let [tools, prompts, resources] = [&told[0].0, &told[1].0, &told[2].0].map(|told| told.filter(|told| *told));
    (filter.tools_list_changed, filter.prompts_list_changed) = (tools, prompts);
    filter.resources_list_changed = resources;
    let events = told.into_iter().filter(|(told, _)| *told == Some(true)).map(|(_, event)| event).collect();
    (filter, events)
}

/// What the server said of itself when the connection began.
fn capabilities(peer: &Peer<RoleClient>) -> ServerCapabilities {
    let Some(info) = peer.peer_info() else { return ServerCapabilities::default() };
    let raw = serde_json::to_value(&info.capabilities).unwrap_or_default();
    let mut capabilities = ServerCapabilities::new(info.protocol_version.as_str(), raw);
    let named = info.server_info.as_ref().map(|own| format!("{} {}", own.name, own.version));
    capabilities.implementation = named.map(|named| words(&named));
    capabilities.instructions = info.instructions.as_deref().map(|text| clean(text, MAX_INSTRUCTIONS));
    capabilities
}

fn us() -> ClientConfig {
    ClientConfig::new(ClientCapabilities::default(), Implementation::new("omni", env!("CARGO_PKG_VERSION")))
        .with_protocol_version(ProtocolVersion::V_2025_11_25)
}

fn initialise_error(error: &ClientInitializeError, tap: &Tap) -> McpError {
    if let Some(fault) = meaning(error).or_else(|| cause(error)) {
        return fault;
    }
    match error {
        ClientInitializeError::JsonRpcError(error) => {
            McpError::Rpc { code: i64::from(error.code.0), message: words(&error.message) }
        }
        ClientInitializeError::ConnectionClosed(_) => McpError::Connect { message: tap.reason() },
        other => McpError::Connect { message: words(&other.to_string()) },
    }
}

fn cause(error: &ClientInitializeError) -> Option<McpError> {
    match error {
        ClientInitializeError::TransportError { error, .. } => meaning(error.error.as_ref()),
        _ => None,
    }
}

/// rmcp's form of a request.
fn typed(request: &McpRequest) -> Result<ClientRequest, McpError> {
    let params = request.params.as_deref();
    match (&*request.method, params) {
        ("tools/call", Some(params)) => {
            let params: CallToolRequestParams = serde_json::from_str(params.get()).map_err(|error| protocol(&error))?;
            Ok(ClientRequest::CallToolRequest(CallToolRequest::new(params)))
        }
        ("tools/list", None) => Ok(ClientRequest::ListToolsRequest(ListToolsRequest::default())),
        (method, params) => {
            let text = to_raw_value(&serde_json::json!({ "method": method, "params": params }))
                .map_err(|error| protocol(&error))?;
            serde_json::from_str(text.get()).map_err(|error| protocol(&error))
        }
    }
}

fn headers(cx: &CallContext) -> Result<HeaderMap, McpError> {
    let mut headers = HeaderMap::new();
    for (name, value) in cx.credentials.iter().flatten() {
        let (Ok(key), Ok(mut value)) = (HeaderName::from_str(name), HeaderValue::from_str(value.expose_secret()))
        else {
            return Err(McpError::Unauthorized { message: format!("the credential header {name:?} cannot be sent") });
        };
        value.set_sensitive(true);
        headers.insert(key, value);
    }
    // In the message as well: there the protocol has it, here whatever stands before the server.
    if let Some(trace) = cx.trace.as_deref().and_then(|trace| HeaderValue::from_str(trace).ok()) {
        headers.insert("traceparent", trace);
    }
    Ok(headers)
}

fn trace(cx: &CallContext) -> Option<RequestMetaObject> {
    let trace = cx.trace.as_ref()?;
    serde_json::from_value(serde_json::json!({ "traceparent": trace })).ok()
}

/// What kind of answer a result is (2026-07-28 says so in it).
fn reply(raw: Box<RawValue>) -> Result<McpReply, McpError> {
    #[derive(Deserialize)]
    struct Kind<'a> {
        #[serde(rename = "resultType", borrow, default)]
        kind: Option<std::borrow::Cow<'a, str>>,
    }
    let kind: Kind<'_> = serde_json::from_str(raw.get()).map_err(|error| protocol(&error))?;
    Ok(match kind.kind.as_deref() {
        Some("input_required") => McpReply::InputRequired(raw),
        Some("task") => McpReply::Task(raw),
        _ => McpReply::Complete(raw),
    })
}

/// What a refusal to begin means to whoever connects, without the secrets that `redactor` knows.
pub(super) fn refused(error: McpError, redactor: &Redactor) -> McpError {
    match error.redacted(redactor) {
        McpError::Rpc { code, message } => McpError::Connect { message: format!("{message} (code {code})") },
        McpError::Closed { message, .. } | McpError::Protocol { message } => McpError::Connect { message },
        other => other,
    }
}

pub(super) fn protocol(error: &dyn fmt::Display) -> McpError {
    McpError::Protocol { message: words(&error.to_string()) }
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
