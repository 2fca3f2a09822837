//! An MCP server over streamable HTTP that says what it is told to say, byte for byte, and remembers what it was asked.

use std::sync::{Arc, Mutex};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse as _, Response},
    routing::post,
};
use serde_json::{Value, json, value::RawValue};
use tokio::{net::TcpListener, task::JoinHandle};

use crate::agent::Speaks;

/// What a request is answered with.
#[derive(Debug, Clone)]
pub enum Answer {
    /// A result, as it is written.
    Result(String),
    /// An error with its code.
    Error(i64, &'static str),
    /// Notifications, and then a result.
    Stream(Vec<Value>, String),
}

impl Answer {
    /// A result.
    #[must_use]
    pub fn of(result: Value) -> Self {
        Self::Result(result.to_string())
    }

    /// There is no such method.
    #[must_use]
    pub fn unknown() -> Self {
        Self::Error(-32_601, "there is no such method")
    }
}

type Answers = dyn Fn(&str, &Value) -> Answer + Send + Sync;

struct Shared {
    speaks: Speaks,
    tools: Value,
    answers: Box<Answers>,
    asked: Mutex<Vec<(String, Value)>>,
}

/// A listening server, which ends with this value.
pub struct Wire {
    /// Where it is.
    pub url: String,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wire").field("url", &self.url).finish_non_exhaustive()
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Wire {
    /// A server with these tools; all that is not the protocol's own business is answered by `answers`, which gets
    /// method and parameters.
    ///
    /// # Panics
    /// When it cannot listen.
    pub async fn start(
        speaks: Speaks,
        tools: Value,
        answers: impl Fn(&str, &Value) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let shared = Arc::new(Shared { speaks, tools, answers: Box::new(answers), asked: Mutex::default() });
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}/mcp", listener.local_addr().unwrap());
        let router = Router::new().route("/mcp", post(serve)).with_state(shared.clone());
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, shared, serving }
    }

    /// The parameters of everything that it was asked or told by a method.
    ///
    /// # Panics
    /// When a request panicked.
    #[must_use]
    pub fn asked(&self, method: &str) -> Vec<Value> {
        let asked = self.shared.asked.lock().unwrap();
        asked.iter().filter(|(own, _)| own == method).map(|(_, params)| params.clone()).collect()
    }

    /// How many messages it was sent.
    ///
    /// # Panics
    /// When a request panicked.
    #[must_use]
    pub fn posts(&self) -> usize {
        self.shared.asked.lock().unwrap().len()
    }
}

#[derive(serde::Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(default)]
    method: String,
    #[serde(default)]
    params: Value,
}

async fn serve(State(shared): State<Arc<Shared>>, body: String) -> Response {
    let message: Message<'_> = serde_json::from_str(&body).unwrap();
    shared.asked.lock().unwrap().push((message.method.clone(), message.params.clone()));
    let Some(id) = message.id else { return StatusCode::ACCEPTED.into_response() };
    let written = |result: &str| format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#);
    let as_json = |text: String| ([(CONTENT_TYPE, "application/json")], text).into_response();
    match answer(&shared, &message) {
        Answer::Result(result) => as_json(written(&result)),
        Answer::Error(code, message) => {
            as_json(format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":{code},"message":{message:?}}}}}"#))
        }
        Answer::Stream(notes, result) => {
            let event = |text: &str| format!("data: {text}\n\n");
            let notes: String = notes.iter().map(|note| event(&note.to_string())).collect();
            ([(CONTENT_TYPE, "text/event-stream")], notes + &event(&written(&result))).into_response()
        }
    }
}

fn answer(shared: &Shared, message: &Message<'_>) -> Answer {
    let capabilities = json!({ "tools": {}, "logging": {}, "extensions": { "io.modelcontextprotocol/tasks": {} } });
    match (&*message.method, shared.speaks) {
        ("server/discover", Speaks::New) => Answer::of(json!({ "resultType": "complete", "ttlMs": 60_000,
            "supportedVersions": ["2026-07-28"], "capabilities": capabilities, "cacheScope": "private" })),
        ("initialize", Speaks::Old) => Answer::of(json!({ "protocolVersion": "2025-11-25",
            "capabilities": { "tools": {}, "logging": {}, "tasks": { "cancel": {}, "requests": { "tools": { "call": {} } } } },
            "serverInfo": { "name": "wire", "version": "1" } })),
        ("server/discover" | "initialize", _) => Answer::unknown(),
        ("ping" | "logging/setLevel", _) => Answer::of(json!({})),
        ("tools/list", _) => Answer::of(json!({ "resultType": "complete", "tools": shared.tools, "ttlMs": 60_000,
            "cacheScope": "private" })),
        (method, _) => (shared.answers)(method, &message.params),
    }
}

/// A tool without arguments.
#[must_use]
pub fn bare(name: &str) -> Value {
    json!({ "name": name, "inputSchema": { "type": "object" } })
}
