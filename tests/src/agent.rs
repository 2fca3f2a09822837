//! Another agent: a client of omni's MCP endpoint, of either revision.
#![expect(deprecated, reason = "sampling, roots and logging are old, and clients have them")]

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use omni_core::net::{self, ClientOptions};
use rmcp::{
    ClientHandler, RoleClient,
    model::{
        CallToolRequestParams, CallToolResult, ClientCapabilities, ClientConfig, CreateMessageRequestParams,
        CreateMessageResult, ElicitRequestParams, ElicitResult, ElicitationAction, ErrorData, Implementation,
        ListRootsResult, LoggingMessageNotificationParam, ProgressNotificationParam, ProtocolVersion,
        ResourceUpdatedNotificationParam, Root, SamplingMessage,
    },
    service::{
        ClientInitializeError, ClientLifecycleMode, ClientServiceExt as _, NotificationContext, RequestContext,
        RunningService, ServiceError,
    },
    transport::streamable_http_client::{StreamableHttpClientTransport, StreamableHttpClientTransportConfig},
};
use serde_json::{Value, json};

/// Which revision a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaks {
    /// `initialize` and a session: 2025-11-25.
    Old,
    /// Every request stands for itself: 2026-07-28.
    New,
}

/// What a client was told unasked.
#[derive(Debug, Default)]
pub struct Heard {
    /// How often the tools changed.
    pub tools_changed: AtomicUsize,
    /// How often the prompts changed.
    pub prompts_changed: AtomicUsize,
    /// How often the resources changed.
    pub resources_changed: AtomicUsize,
    /// Reports of progress.
    pub progress: Mutex<Vec<f64>>,
    /// Log messages.
    pub logs: Mutex<Vec<Value>>,
    /// Resources that changed.
    pub updated: Mutex<Vec<String>>,
    /// Questions to the person.
    pub asked: Mutex<Vec<String>>,
}

/// A client that hears everything, and says yes to every question.
#[derive(Debug, Clone)]
pub struct Handler {
    heard: Arc<Heard>,
    speaks: Speaks,
    /// What the person answers; `None` where nobody can be asked.
    answer: Option<Value>,
}

impl ClientHandler for Handler {
    fn get_info(&self) -> ClientConfig {
        let capabilities = match self.answer {
            Some(_) => {
                let all = json!({ "elicitation": {}, "sampling": {}, "roots": {} });
                serde_json::from_value(all).unwrap()
            }
            None => ClientCapabilities::default(),
        };
        let config = ClientConfig::new(capabilities, Implementation::new("agent", "1"));
        match self.speaks {
            Speaks::Old => config.with_protocol_version(ProtocolVersion::V_2025_11_25),
            Speaks::New => config,
        }
    }

    async fn create_elicitation(
        &self,
        params: ElicitRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        let params = serde_json::to_value(params).unwrap();
        self.heard.asked.lock().unwrap().push(params["message"].as_str().unwrap_or_default().into());
        let mut result = ElicitResult::new(ElicitationAction::Accept);
        result.content.clone_from(&self.answer);
        Ok(result)
    }

    async fn create_message(
        &self,
        _: CreateMessageRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<CreateMessageResult, ErrorData> {
        Ok(CreateMessageResult::new(SamplingMessage::assistant_text("sampled"), "a-model".into()))
    }

    async fn list_roots(&self, _: RequestContext<RoleClient>) -> Result<ListRootsResult, ErrorData> {
        Ok(ListRootsResult::new(vec![Root::new("file:///work")]))
    }

    async fn on_progress(&self, params: ProgressNotificationParam, _: NotificationContext<RoleClient>) {
        self.heard.progress.lock().unwrap().push(params.progress);
    }

    async fn on_logging_message(&self, params: LoggingMessageNotificationParam, _: NotificationContext<RoleClient>) {
        self.heard.logs.lock().unwrap().push(serde_json::to_value(params).unwrap());
    }

    async fn on_resource_updated(&self, params: ResourceUpdatedNotificationParam, _: NotificationContext<RoleClient>) {
        self.heard.updated.lock().unwrap().push(params.uri);
    }

    async fn on_tool_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.heard.tools_changed.fetch_add(1, Ordering::SeqCst);
    }

    async fn on_prompt_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.heard.prompts_changed.fetch_add(1, Ordering::SeqCst);
    }

    async fn on_resource_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.heard.resources_changed.fetch_add(1, Ordering::SeqCst);
    }
}

/// A connected client.
#[derive(Debug)]
pub struct Agent {
    /// What it was told.
    pub heard: Arc<Heard>,
    service: RunningService<RoleClient, Handler>,
}

impl std::ops::Deref for Agent {
    type Target = RunningService<RoleClient, Handler>;

    fn deref(&self) -> &Self::Target {
        &self.service
    }
}

impl Agent {
    /// Connects with a key.
    ///
    /// # Panics
    /// When it is not let in.
    pub async fn connect(url: &str, key: &str, speaks: Speaks) -> Self {
        Self::try_connect(url, Some(key), speaks, Some(json!({ "ok": true, "name": "Ada" }))).await.unwrap()
    }

    /// The same for somebody whom nobody can be asked for.
    ///
    /// # Panics
    /// When it is not let in.
    pub async fn unattended(url: &str, key: &str, speaks: Speaks) -> Self {
        Self::try_connect(url, Some(key), speaks, None).await.unwrap()
    }

    /// Connects, if it is let in.
    ///
    /// # Errors
    /// Why it is not.
    ///
    /// # Panics
    /// When no client can be made.
    pub async fn try_connect(
        url: &str,
        key: Option<&str>,
        speaks: Speaks,
        answer: Option<Value>,
    ) -> Result<Self, ClientInitializeError> {
        let client = net::client(&ClientOptions::for_url(&url.parse().unwrap())).unwrap();
        let mut config = StreamableHttpClientTransportConfig::with_uri(url.to_owned());
        config.custom_headers = HashMap::new();
        if let Some(key) = key {
            config = config.auth_header(key);
        }
        let transport = StreamableHttpClientTransport::with_client(client, config);
        let heard = Arc::new(Heard::default());
        let handler = Handler { heard: heard.clone(), speaks, answer };
        let lifecycle = match speaks {
            Speaks::Old => ClientLifecycleMode::Initialize,
            Speaks::New => ClientLifecycleMode::Discover { preferred_versions: vec![ProtocolVersion::V_2026_07_28] },
        };
        let service = handler.serve_with_lifecycle(transport, lifecycle).await?;
        Ok(Self { heard, service })
    }

    /// The names of all tools.
    ///
    /// # Panics
    /// When there is no list.
    pub async fn tool_names(&self) -> Vec<String> {
        self.service.peer().list_all_tools().await.unwrap().iter().map(|tool| tool.name.to_string()).collect()
    }

    /// Calls a tool.
    ///
    /// # Errors
    /// What the protocol says of it.
    pub async fn call(&self, tool: &str, arguments: Value) -> Result<CallToolResult, ServiceError> {
        let mut params = CallToolRequestParams::new(tool.to_owned());
        params.arguments = arguments.as_object().cloned();
        self.service.call_tool(params).await
    }

    /// The text of a tool's result.
    ///
    /// # Panics
    /// When there is none.
    pub async fn text(&self, tool: &str, arguments: Value) -> String {
        text_of(&self.call(tool, arguments).await.unwrap())
    }

    /// Goes.
    pub async fn leave(self) {
        let _ = self.service.cancel().await;
    }
}

/// All text of a result.
#[must_use]
pub fn text_of(result: &CallToolResult) -> String {
    result.content.iter().filter_map(|part| part.as_text()).map(|text| text.text.as_str()).collect()
}
