//! A server that offers what the MCP conformance suite asks for by name, over streamable HTTP.
#![expect(deprecated, reason = "logging, sampling and subscriptions of resources are old, and servers have them")]

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, atomic::AtomicBool},
};

use axum::Router;
use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CallToolRequestParams, CallToolResponse, CompleteRequestParams, CompleteResult, GetPromptRequestParams,
        GetPromptResponse, Implementation, ListPromptsResult, ListResourceTemplatesResult, ListResourcesResult,
        ListToolsResult, PaginatedRequestParams, ProtocolVersion, ReadResourceRequestParams, ReadResourceResponse,
        ServerCapabilities, ServerConfig, SetLevelRequestMethod, SetLevelRequestParams, SubscribeRequestParams,
        SubscriptionFilter, UnsubscribeRequestParams,
    },
    service::{NotificationContext, Peer, RequestContext, SubscriptionContext},
    transport::streamable_http_server::{
        StreamableHttpServerConfig, StreamableHttpService, session::local::LocalSessionManager,
    },
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, runtime::Runtime, sync::broadcast};

mod calls;
mod lists;
mod rounds;
mod texts;

/// Which revision a fixture speaks.
pub use crate::agent::Speaks;

/// What changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    Tools,
    Prompts,
    Resource(String),
}

/// What all connections share.
#[derive(Debug)]
pub(crate) struct State {
    changes: broadcast::Sender<Change>,
    /// Whether the list has one more tool, or prompt.
    more_tools: AtomicBool,
    more_prompts: AtomicBool,
    /// Sessions, to be told of changes.
    sessions: Mutex<Vec<Peer<RoleServer>>>,
    subscribed: Mutex<BTreeSet<String>>,
    /// From which level on it is to log, as it was told last.
    level: Mutex<Option<String>>,
}

/// One connection of it.
#[derive(Debug, Clone)]
struct Fixture {
    state: Arc<State>,
    versions: &'static [ProtocolVersion],
}

/// A listening fixture, which ends with this value.
#[derive(Debug)]
pub struct FixtureServer {
    /// Where it is.
    pub url: String,
    state: Arc<State>,
    versions: &'static [ProtocolVersion],
    /// Its own, so that all connections end with it.
    runtime: Option<Runtime>,
}

impl Drop for FixtureServer {
    fn drop(&mut self) {
        self.stop();
    }
}

const OLD: [ProtocolVersion; 4] = [
    ProtocolVersion::V_2024_11_05,
    ProtocolVersion::V_2025_03_26,
    ProtocolVersion::V_2025_06_18,
    ProtocolVersion::V_2025_11_25,
];

impl FixtureServer {
    /// One that speaks all revisions.
    pub async fn start() -> Self {
        Self::of(ProtocolVersion::KNOWN_VERSIONS).await
    }

    /// One that speaks either the old revisions or the new one, and not the others.
    pub async fn speaking(speaks: Speaks) -> Self {
        const NEW: [ProtocolVersion; 1] = [ProtocolVersion::V_2026_07_28];
        Self::of(match speaks {
            Speaks::Old => &OLD,
            Speaks::New => &NEW,
        })
        .await
    }

    async fn of(versions: &'static [ProtocolVersion]) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}/mcp", listener.local_addr().unwrap());
        let mut server = Self { url, state: State::new(), versions, runtime: None };
        server.serve(listener.into_std().unwrap());
        server
    }

    fn serve(&mut self, listener: std::net::TcpListener) {
        let (state, versions) = (self.state.clone(), self.versions);
        let service = StreamableHttpService::new(
            move || Ok(Fixture { state: state.clone(), versions }),
            Arc::<LocalSessionManager>::default(),
            StreamableHttpServerConfig::default(),
        );
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.spawn(async move {
            let listener = TcpListener::from_std(listener).unwrap();
            axum::serve(listener, Router::new().route_service("/mcp", service)).await.unwrap();
        });
        self.runtime = Some(runtime);
    }

    fn stop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }

    /// Ends it with all of its connections, and begins anew in its place, knowing nothing of what was before.
    ///
    /// # Panics
    /// When the place is taken.
    pub async fn restart(&mut self) {
        self.stop();
        self.state = State::new();
        let place = self.url.trim_start_matches("http://").trim_end_matches("/mcp").to_owned();
        for _ in 0..500 {
            if let Ok(listener) = TcpListener::bind(&place).await {
                return self.serve(listener.into_std().unwrap());
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        panic!("{place} is taken");
    }

    /// The resources of which somebody wants to be told.
    pub fn subscribed(&self) -> Vec<String> {
        self.state.subscribed.lock().unwrap().iter().cloned().collect()
    }

    /// From which level on it is to log, as it was told last.
    pub fn level(&self) -> Option<String> {
        self.state.level.lock().unwrap().clone()
    }
}

/// A value of rmcp's, written as JSON.
fn of<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

/// Whether a request is of the revision that knows no sessions.
fn is_new(context: &RequestContext<RoleServer>) -> bool {
    context.protocol_version().is_some_and(|version| version >= ProtocolVersion::V_2026_07_28)
}

impl State {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            changes: broadcast::channel(64).0,
            more_tools: AtomicBool::default(),
            more_prompts: AtomicBool::default(),
            sessions: Mutex::default(),
            subscribed: Mutex::default(),
            level: Mutex::default(),
        })
    }

    /// Tells everybody who wants to hear it.
    async fn tell(&self, change: Change) {
        let _ = self.changes.send(change.clone());
        let sessions = self.sessions.lock().unwrap().clone();
        for peer in sessions {
            let _ = match &change {
                Change::Tools => peer.notify_tool_list_changed().await,
                Change::Prompts => peer.notify_prompt_list_changed().await,
                Change::Resource(uri) if self.subscribed.lock().unwrap().contains(uri) => {
                    peer.notify_resource_updated(of(json!({ "uri": uri }))).await
                }
                Change::Resource(_) => Ok(()),
            };
        }
    }
}

impl ServerHandler for Fixture {
    fn get_info(&self) -> ServerConfig {
        let capabilities: ServerCapabilities = of(json!({
            "tools": { "listChanged": true },
            "prompts": { "listChanged": true },
            "resources": { "listChanged": true, "subscribe": true },
            "completions": {},
            "logging": {},
        }));
        ServerConfig::new(capabilities).with_server_info(Implementation::new("fixture", "1"))
    }

    fn supported_protocol_versions(&self) -> std::borrow::Cow<'static, [ProtocolVersion]> {
        self.versions.into()
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(lists::tools(&self.state))
    }

    async fn call_tool(
        &self,
        params: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        if let Some(reply) = rounds::tool(&params, &context) {
            return reply;
        }
        calls::tool(&self.state, params, context).await
    }

    async fn list_prompts(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        Ok(lists::prompts(&self.state))
    }

    async fn get_prompt(
        &self,
        params: GetPromptRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        texts::prompt(&params)
    }

    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        Ok(lists::resources())
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        Ok(lists::templates())
    }

    async fn read_resource(
        &self,
        params: ReadResourceRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        texts::resource(&params.uri)
    }

    async fn complete(
        &self,
        params: CompleteRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        let values: Vec<_> = ["paris", "park", "party", "testing"]
            .into_iter()
            .filter(|word| word.starts_with(&params.argument.value))
            .collect();
        Ok(of(
            json!({ "resultType": "complete", "completion": { "values": values, "total": values.len(), "hasMore": false } }),
        ))
    }

    async fn set_level(
        &self,
        params: SetLevelRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        if is_new(&context) {
            return Err(ErrorData::method_not_found::<SetLevelRequestMethod>());
        }
        *self.state.level.lock().unwrap() = serde_json::to_value(params.level).unwrap().as_str().map(str::to_owned);
        Ok(())
    }

    async fn subscribe(&self, params: SubscribeRequestParams, _: RequestContext<RoleServer>) -> Result<(), ErrorData> {
        self.state.subscribed.lock().unwrap().insert(params.uri);
        Ok(())
    }

    async fn unsubscribe(
        &self,
        params: UnsubscribeRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.state.subscribed.lock().unwrap().remove(&params.uri);
        Ok(())
    }

    fn accepted_subscription_filter(&self, requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        Some(requested.clone())
    }

    async fn listen(&self, subscription: SubscriptionContext) -> Result<(), ErrorData> {
        let mut changes = self.state.changes.subscribe();
        let wanted = subscription.accepted().resource_subscriptions.clone().unwrap_or_default();
        self.state.subscribed.lock().unwrap().extend(wanted.iter().cloned());
        loop {
            let change = tokio::select! {
                change = changes.recv() => change,
                () = subscription.cancelled() => {
                    self.state.subscribed.lock().unwrap().retain(|uri| !wanted.contains(uri));
                    return Ok(());
                }
            };
            let sink = subscription.sink();
            // What nobody asked for is refused by the sink.
            let _ = match change {
                Ok(Change::Tools) => sink.notify_tool_list_changed().await,
                Ok(Change::Prompts) => sink.notify_prompt_list_changed().await,
                Ok(Change::Resource(uri)) => sink.notify_resource_updated(uri).await,
                Err(_) => return Ok(()),
            };
        }
    }

    async fn on_initialized(&self, context: NotificationContext<RoleServer>) {
        self.state.sessions.lock().unwrap().push(context.peer);
    }
}
