//! A small MCP server on the loopback interface, for a program in another process.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    thread::JoinHandle,
    time::Duration,
};

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Response},
    routing::post,
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::oneshot};

#[derive(Debug, Default)]
struct Seen {
    calls: Mutex<Vec<Value>>,
    traces: Mutex<Vec<Option<String>>>,
    /// What it says of tools in place of what it says at first.
    descriptions: Mutex<BTreeMap<String, String>>,
}

/// What answers know.
#[derive(Debug, Clone, Default)]
struct Server {
    seen: Arc<Seen>,
    has_wipe: bool,
}

/// Serves `get_health`, `drop_table`, `fail`, `hang` and `paint` over streamable HTTP until it is dropped.
#[derive(Debug)]
pub struct Loopback {
    url: String,
    seen: Arc<Seen>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Loopback {
    /// Starts it on a thread of its own.
    pub fn start() -> Self {
        Self::serving(Server::default())
    }

    /// The same with `wipe`, which says that it may destroy something.
    pub fn with_wipe() -> Self {
        Self::serving(Server { has_wipe: true, ..Server::default() })
    }

    fn serving(served: Server) -> Self {
        let seen = served.seen.clone();
        let (stop, stopped) = oneshot::channel();
        let (tell, told) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                tell.send(listener.local_addr().unwrap()).unwrap();
                let router = Router::new().route("/mcp", post(answer)).with_state(served);
                tokio::select! {
                    served = axum::serve(listener, router) => served.unwrap(),
                    _ = stopped => {}
                }
            });
        });
        let url = format!("http://{}/mcp", told.recv().unwrap());
        Self { url, seen, stop: Some(stop), thread: Some(thread) }
    }

    /// Its address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The parameters of every call, in order.
    pub fn calls(&self) -> Vec<Value> {
        self.seen.calls.lock().unwrap().clone()
    }

    /// Says something else of a tool from now on.
    pub fn describe(&self, tool: &str, description: &str) {
        self.seen.descriptions.lock().unwrap().insert(tool.into(), description.into());
    }

    /// The header `traceparent` of every call, in order.
    pub fn traces(&self) -> Vec<Option<String>> {
        self.seen.traces.lock().unwrap().clone()
    }

    /// `mcps.yaml` with this server as `db`, and more keys for it.
    pub fn mcps(&self, more: &str) -> String {
        format!("mcps:\n  - name: db\n    url: {}\n    protocol: http\n    enabled: true\n{more}", self.url)
    }
}

impl Drop for Loopback {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn answer(State(server): State<Server>, headers: HeaderMap, Json(message): Json<Value>) -> Response {
    let Some(id) = message.get("id").cloned() else { return StatusCode::ACCEPTED.into_response() };
    let result = match message["method"].as_str().unwrap_or_default() {
        "initialize" => json!({
            "protocolVersion": message["params"]["protocolVersion"],
            "capabilities": { "tools": {} },
            "serverInfo": { "name": "loopback", "version": "1" },
        }),
        "ping" => json!({}),
        "tools/list" => json!({ "tools": described(tools(server.has_wipe), &server.seen) }),
        "tools/call" => {
            let trace = headers.get("traceparent").map(|value| value.to_str().unwrap().to_owned());
            server.seen.traces.lock().unwrap().push(trace);
            server.seen.calls.lock().unwrap().push(message["params"].clone());
            take_time(&message["params"]["arguments"]["table"]).await;
            if message["params"]["name"] == "hang" {
                std::future::pending::<()>().await;
            }
            call(&message["params"])
        }
        _ => {
            let error = json!({ "code": -32601, "message": "method not found" });
            return Json(json!({ "jsonrpc": "2.0", "id": id, "error": error })).into_response();
        }
    };
    Json(json!({ "jsonrpc": "2.0", "id": id, "result": result })).into_response()
}

/// Some tables take a while to be dropped, and one takes for ever.
async fn take_time(table: &Value) {
    match table.as_str() {
        Some("slow") => tokio::time::sleep(Duration::from_secs(2)).await,
        Some("endless") => std::future::pending().await,
        Some(_) | None => {}
    }
}

fn described(mut tools: Value, seen: &Seen) -> Value {
    let descriptions = seen.descriptions.lock().unwrap();
    for tool in tools.as_array_mut().unwrap() {
        if let Some(description) = descriptions.get(tool["name"].as_str().unwrap()) {
            tool["description"] = description.as_str().into();
        }
    }
    tools
}

fn tools(has_wipe: bool) -> Value {
    let tool = |name: &str, description: &str, properties: Value| json!({ "name": name, "description": description, "inputSchema": { "type": "object", "properties": properties } });
    let mut tools = vec![
        tool(
            "get_health",
            "Health of the database: connections, locks and uptime.",
            json!({ "limit": { "type": "integer" } }),
        ),
        tool("drop_table", "Drops a table for ever.", json!({ "table": { "type": "string" } })),
        tool("fail", "Always fails on purpose.", json!({})),
        tool("hang", "Never ends.", json!({})),
        tool("paint", "Paints with terminal colours.", json!({})),
    ];
    if has_wipe {
        let mut wipe = tool("wipe", "Wipes the database.", json!({}));
        wipe["annotations"] = json!({ "destructiveHint": true });
        tools.push(wipe);
    }
    tools.into()
}

fn call(params: &Value) -> Value {
    let said =
        |text: &str, is_error: bool| json!({ "content": [{ "type": "text", "text": text }], "isError": is_error });
    match params["name"].as_str().unwrap_or_default() {
        "get_health" => said(&format!("all healthy, limit {}", params["arguments"]["limit"]), false),
        "drop_table" | "wipe" => said("dropped", false),
        "paint" => said("\u{1b}[31mred\u{1b}[0m", false),
        _ => said("it broke", true),
    }
}
