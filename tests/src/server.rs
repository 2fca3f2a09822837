//! An MCP server behind omni's own transport trait, for faults that a real server does not make on demand.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures::{future::BoxFuture, stream::BoxStream};
use omni_core::{
    McpTransport,
    mcp::{CallContext, Connector, McpError, McpEvent, McpReply, McpRequest},
};
use serde_json::{Value, json, value::RawValue};

/// What a tool does with its arguments.
pub type Handler = Arc<dyn Fn(Value) -> BoxFuture<'static, Result<Value, McpError>> + Send + Sync>;

struct Tool {
    definition: Value,
    handler: Handler,
}

/// A server whose tools are closures.
#[derive(Clone, Default)]
pub struct FakeServer {
    tools: Arc<Mutex<BTreeMap<String, Tool>>>,
    others: Arc<Mutex<BTreeMap<String, Handler>>>,
    calls: Arc<AtomicUsize>,
    running: Arc<AtomicUsize>,
    is_away: Arc<AtomicBool>,
    is_silent: Arc<AtomicBool>,
}

impl FakeServer {
    /// A server without tools.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A server with `echo` (returns its `message`).
    #[must_use]
    pub fn echo() -> Self {
        Self::new().tool(
            "echo",
            json!({ "type": "object", "properties": { "message": { "type": "string" } }, "required": ["message"] }),
            |arguments| Box::pin(async move { Ok(text(arguments["message"].as_str().unwrap_or_default())) }),
        )
    }

    /// Adds a tool.
    #[must_use]
    pub fn tool(
        self,
        name: &str,
        schema: Value,
        handler: impl Fn(Value) -> BoxFuture<'static, Result<Value, McpError>> + Send + Sync + 'static,
    ) -> Self {
        let definition = json!({ "name": name, "description": format!("The tool {name}."), "inputSchema": schema });
        self.tools.lock().unwrap().insert(name.into(), Tool { definition, handler: Arc::new(handler) });
        self
    }

    /// Adds hints to a tool.
    #[must_use]
    pub fn annotated(self, name: &str, annotations: Value) -> Self {
        if let Some(tool) = self.tools.lock().unwrap().get_mut(name) {
            tool.definition["annotations"] = annotations;
        }
        self
    }

    /// Says something else of a tool from now on.
    ///
    /// # Panics
    /// When there is no such tool.
    pub fn describe(&self, name: &str, description: &str) {
        self.tools.lock().unwrap().get_mut(name).unwrap().definition["description"] = description.into();
    }

    /// Answers nobody, until it comes back.
    pub fn leave(&self) {
        self.is_away.store(true, Ordering::SeqCst);
    }

    /// Takes what it is sent, and says nothing, until it comes back.
    pub fn fall_silent(&self) {
        self.is_silent.store(true, Ordering::SeqCst);
    }

    /// Answers again.
    pub fn come_back(&self) {
        self.is_away.store(false, Ordering::SeqCst);
        self.is_silent.store(false, Ordering::SeqCst);
    }

    async fn is_there(&self) -> Result<(), McpError> {
        if self.is_silent.load(Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_secs(600)).await;
        }
        match self.is_away.load(Ordering::SeqCst) {
            true => Err(McpError::Connect { message: "nobody listens".into() }),
            false => Ok(()),
        }
    }

    /// Adds a tool that never answers.
    #[must_use]
    pub fn hanging(self, name: &str) -> Self {
        self.tool(name, any(), |_| {
            Box::pin(async {
                tokio::time::sleep(Duration::from_secs(600)).await;
                Ok(text("never"))
            })
        })
    }

    /// Answers another method too, by what it makes of the parameters.
    ///
    /// # Panics
    /// When a request panicked.
    pub fn answering(
        &self,
        method: &str,
        handler: impl Fn(Value) -> BoxFuture<'static, Result<Value, McpError>> + Send + Sync + 'static,
    ) {
        self.others.lock().unwrap().insert(method.into(), Arc::new(handler));
    }

    /// How many calls reached a tool.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    /// How many calls are running now.
    #[must_use]
    pub fn running(&self) -> usize {
        self.running.load(Ordering::SeqCst)
    }

    fn list(&self) -> Value {
        let tools: Vec<Value> = self.tools.lock().unwrap().values().map(|tool| tool.definition.clone()).collect();
        json!({ "tools": tools })
    }

    async fn call(&self, params: Value) -> Result<Value, McpError> {
        let name = params["name"].as_str().unwrap_or_default();
        let handler = self.tools.lock().unwrap().get(name).map(|tool| tool.handler.clone());
        let Some(handler) = handler else {
            return Err(McpError::rpc(-32602, format!("unknown tool {name}")));
        };
        self.calls.fetch_add(1, Ordering::SeqCst);
        self.running.fetch_add(1, Ordering::SeqCst);
        let _running = Running(self.running.clone());
        handler(params["arguments"].clone()).await
    }
}

struct Running(Arc<AtomicUsize>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl std::fmt::Debug for FakeServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FakeServer").finish_non_exhaustive()
    }
}

#[async_trait::async_trait]
impl Connector for FakeServer {
    fn kind(&self) -> &'static str {
        "fake"
    }

    async fn connect(&self, _: &CallContext) -> Result<Arc<dyn McpTransport>, McpError> {
        self.is_there().await?;
        Ok(Arc::new(self.clone()))
    }
}

#[async_trait::async_trait]
impl McpTransport for FakeServer {
    async fn request(&self, request: McpRequest, cx: &CallContext) -> Result<McpReply, McpError> {
        let params: Value = request.params.map(|raw| serde_json::from_str(raw.get()).unwrap()).unwrap_or_default();
        let answer = async {
            self.is_there().await?;
            match &*request.method {
                "tools/list" => Ok(self.list()),
                "tools/call" => self.call(params).await,
                method => {
                    let handler = self.others.lock().unwrap().get(method).cloned();
                    match handler {
                        Some(handler) => handler(params).await,
                        None => Err(McpError::rpc(-32601, format!("no method {method}"))),
                    }
                }
            }
        };
        let after_ms = cx.deadline.saturating_duration_since(tokio::time::Instant::now()).as_millis() as u64;
        let answer = tokio::time::timeout_at(cx.deadline, answer).await;
        let answer = answer.map_err(|_| McpError::Timeout { after_ms })??;
        let raw = RawValue::from_string(answer.to_string()).unwrap();
        Ok(if answer["resultType"] == "task" { McpReply::Task(raw) } else { McpReply::Complete(raw) })
    }

    fn events(&self) -> BoxStream<'static, McpEvent> {
        Box::pin(futures::stream::pending())
    }

    async fn close(&self) {}
}

/// A text result.
#[must_use]
pub fn text(text: &str) -> Value {
    json!({ "content": [{ "type": "text", "text": text }] })
}

/// A schema that takes anything.
#[must_use]
pub fn any() -> Value {
    json!({ "type": "object", "properties": {} })
}
