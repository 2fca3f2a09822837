//! The rmcp client shared by every transport that it runs on.

use std::{
    collections::BTreeSet,
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use async_trait::async_trait;
use futures::stream::BoxStream;
use rmcp::{
    Peer, RoleClient,
    model::{
        CancelTaskParams, CancelledNotification, CancelledNotificationParam, ClientCapabilities, ClientConfig,
        GetExtensions, Implementation, ProgressToken, ProtocolVersion, RequestId,
    },
    service::{
        ClientInitializeError, ClientLifecycleMode, ClientServiceExt, PeerRequestOptions, RequestHandle,
        RunningService, ServiceError,
    },
    transport::Transport,
};
use secrecy::ExposeSecret;
use serde_json::value::to_raw_value;
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
    time::{Instant, timeout},
};

use super::{
    CallContext, McpError, McpEvent, McpReply, McpRequest, McpTransport, McpTransportExt,
    content::clean,
    tap::{Reach, Slot, Tap, Tapped, meaning, words},
};
use crate::{catalog::ServerCapabilities, redact::Redactor};

mod changes;
mod events;
mod handler;
mod pause;
mod request;
#[cfg(feature = "mcp-http")]
mod short;

use handler::Handler;
#[cfg(feature = "mcp-http")]
pub(super) use pause::Pause;
#[cfg(feature = "mcp-http")]
pub(super) use request::own_headers;
#[cfg(feature = "mcp-http")]
pub(super) use short::{ShortCall, ShortWay};

/// How long a server may take to end after it was told.
const CLOSE_WITHIN: Duration = Duration::from_secs(4);

/// Cancellations kept while the connection is busy; more are not worth telling.
const CANCELLATIONS: usize = 256;

/// Longest instructions that are taken from a server, in characters.
const MAX_INSTRUCTIONS: usize = 10_000;

/// JSON-RPC: the headers of a request do not say what its body does (2026-07-28). It did not run.
const HEADER_MISMATCH: i64 = -32_020;

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
    service: RunningService<RoleClient, Handler>,
    chores: JoinHandle<()>,
}

/// One connected server.
pub(super) struct Client {
    peer: Peer<RoleClient>,
    running: Mutex<Option<Running>>,
    cancellations: mpsc::Sender<Abandoned>,
    capabilities: Arc<ServerCapabilities>,
    /// Whether it is spoken to as since 2026-07-28.
    modern: bool,
    /// Whether its tools were listed on this connection: rmcp makes headers of their arguments.
    listed: AtomicBool,
    /// Resources whose changes are wanted.
    subscriptions: changes::Wanted,
    tap: Arc<Tap>,
    /// Whether it is told for whom requests are made.
    tells_caller: bool,
    /// How calls are made without rmcp, where the transport has such a way.
    #[cfg(feature = "mcp-http")]
    short: Option<Arc<dyn ShortWay>>,
}

impl Client {
    /// Runs the client on a transport. Dropping the future drops the transport.
    ///
    /// # Errors
    /// What the transport met, [`McpError::Connect`], also for a server that chose a revision which is not spoken here,
    /// or [`McpError::Rpc`] when the server answered and does not want to begin like this.
    pub(super) async fn start<T>(transport: T, tap: Arc<Tap>, lifecycle: Lifecycle) -> Result<Self, McpError>
    where
        T: Transport<RoleClient> + 'static,
    {
        let transport = Tapped::new(transport, tap.clone());
        let mut service = Handler::new(us(&tap, lifecycle), tap.clone())
            .serve_with_lifecycle(transport, lifecycle.mode())
            .await
            .map_err(|error| initialise_error(&error, &tap))?;
        let peer = service.peer().clone();
        let (cancellations, queue) = mpsc::channel(CANCELLATIONS);
        let (subscriptions, wanted) = watch::channel(BTreeSet::new());
        if let Some(fault) = unspoken(&peer) {
            let _ = service.close_with_timeout(CLOSE_WITHIN).await;
            return Err(fault);
        }
        let capabilities = Arc::new(capabilities(&peer));
        let modern = lifecycle == Lifecycle::Modern;
        // Ends with the connection, which ends with the service.
        let chores = tokio::spawn({
            let (peer, tap) = (peer.clone(), tap.clone());
            async move {
                let told = tell_abandoned(queue, &peer);
                let chores = async {
                    if modern {
                        tokio::join!(told, changes::hear(&peer, &tap, wanted));
                    } else {
                        told.await;
                    }
                };
                tap.closed().clone().run_until_cancelled(Box::pin(chores)).await;
            }
        });
        let running = Mutex::new(Some(Running { service, chores }));
        let listed = AtomicBool::new(false);
        Ok(Self {
            peer,
            running,
            cancellations,
            capabilities,
            modern,
            listed,
            subscriptions,
            tap,
            tells_caller: false,
            #[cfg(feature = "mcp-http")]
            short: None,
        })
    }

    /// The same client, which tells the server for whom requests are made: one in this process.
    pub(super) fn telling_caller(mut self) -> Self {
        self.tells_caller = true;
        self
    }

    /// A call is made anew whose headers the server found wrong: it did not run, and rmcp knows which
    /// arguments are headers only when the tools were listed on this very connection.
    async fn request_within(&self, request: McpRequest, cx: &CallContext) -> Result<McpReply, McpError> {
        #[cfg(feature = "mcp-http")]
        if let Some(answer) = self.short_exchange(&request, cx).await {
            return answer;
        }
        let again =
            (self.modern && request.method == "tools/call" && !self.listed.load(Relaxed)).then(|| request.clone());
        match (self.exchange(request, cx).await, again) {
            (Err(McpError::Rpc { code: HEADER_MISMATCH, .. }), Some(request)) => {
                self.list_tools(&"".into(), cx).await?;
                self.exchange(request, cx).await
            }
            (answer, _) => answer,
        }
    }

    async fn exchange(&self, request: McpRequest, cx: &CallContext) -> Result<McpReply, McpError> {
        if !self.modern && (matches!(self.tap.reach(), Reach::Own(_)) || !cx.peer.can().is_empty()) {
            self.tap.until_heard().await;
        }
        let lists_tools = request.method == "tools/list";
        let slot = Slot::new(cx, request::headers(cx)?, lists_tools);
        let mut message = request::typed(&request)?;
        message.extensions_mut().insert(slot.clone());
        let caller = cx.principal.as_ref().filter(|_| self.tells_caller);
        let options = PeerRequestOptions::no_options().with_meta(request::meta(cx, self.modern, caller));
        let handle = self.peer.send_cancellable_request(message, options).await.map_err(|_| self.tap.lost(true))?;
        if lists_tools {
            self.listed.store(true, Relaxed);
        }
        let token = Some(handle.progress_token.clone());
        let guard = Guard { client: self, id: handle.id.clone(), token, done: false };
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
        request::reply(raw)
    }

    /// Knows the secrets that the server was given, by whomever.
    fn redactor(&self, cx: &CallContext) -> Redactor {
        let own = cx.credentials.iter().flatten().map(|(_, value)| value.expose_secret());
        own.fold(self.tap.redactor(), Redactor::with_value)
    }

    fn service_error(&self, error: ServiceError) -> McpError {
        match error {
            ServiceError::McpError(error) => {
                McpError::rpc(i64::from(error.code.0), words(&error.message)).with_data(error.data)
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
        if let Some(reply) = changes::subscribed(&request, &self.subscriptions).filter(|_| self.modern) {
            return reply;
        }
        let started = Instant::now();
        // Boxed: rmcp's messages are large, and this future is held by every caller.
        match cx.in_time(Duration::ZERO, Box::pin(self.request_within(request, cx))).await {
            Ok(reply) => reply.map_err(|error| error.redacted(&self.redactor(cx))),
            Err(_) => Err(McpError::Timeout { after_ms: millis(started.elapsed()) }),
        }
    }

    fn events(&self) -> BoxStream<'static, McpEvent> {
        events::heard(self.tap.clone(), self.subscriptions.subscribe())
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
    token: Option<ProgressToken>,
    done: bool,
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.client.tap.forget(&self.id, self.token.as_ref());
        if !self.done {
            let _ = self.client.cancellations.try_send(Abandoned::Request(self.id.clone()));
        }
    }
}

async fn tell_abandoned(mut queue: mpsc::Receiver<Abandoned>, peer: &Peer<RoleClient>) {
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

/// Why a server is not used that chose a revision which nobody here speaks: what it means by its words is not known.
fn unspoken(peer: &Peer<RoleClient>) -> Option<McpError> {
    let chosen = peer.peer_info()?.protocol_version.clone();
    let message = || format!("the server wants to speak a revision that omni does not: {:?}", words(chosen.as_str()));
    (!ProtocolVersion::KNOWN_VERSIONS.contains(&chosen)).then(|| McpError::Connect { message: message() })
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

/// What is said of omni when a connection begins. Since 2026-07-28 each request says for itself what
/// whoever is behind it can.
fn us(tap: &Tap, lifecycle: Lifecycle) -> ClientConfig {
    let can = match lifecycle {
        Lifecycle::Legacy => serde_json::from_value(tap.reach().can().to_json()).unwrap_or_default(),
        Lifecycle::Modern => ClientCapabilities::default(),
    };
    ClientConfig::new(can, Implementation::new("omni", env!("CARGO_PKG_VERSION")))
        .with_protocol_version(ProtocolVersion::V_2025_11_25)
}

fn initialise_error(error: &ClientInitializeError, tap: &Tap) -> McpError {
    if let Some(fault) = meaning(error).or_else(|| cause(error)) {
        return fault;
    }
    match error {
        ClientInitializeError::JsonRpcError(error) => McpError::rpc(i64::from(error.code.0), words(&error.message)),
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

/// What a refusal to begin means to whoever connects, without the secrets that `redactor` knows.
pub(super) fn refused(error: McpError, redactor: &Redactor) -> McpError {
    match error.redacted(redactor) {
        McpError::Rpc { code, message, .. } => McpError::Connect { message: format!("{message} (code {code})") },
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
