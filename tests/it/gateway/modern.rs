//! A client of 2026-07-28 that writes its own messages.

use omni_core::identity::Scope;
use omni_tests::door::{Door, Reply};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use super::http::ADA;

/// The extension by which a client takes tasks.
pub(super) const TASKS: &str = "io.modelcontextprotocol/tasks";

/// One client of a door.
pub(super) struct Modern<'a> {
    pub(super) door: &'a Door,
    pub(super) key: String,
    /// What it says that it can.
    pub(super) can: Value,
}

impl<'a> Modern<'a> {
    /// One that can this, of somebody.
    pub(super) async fn of(door: &'a Door, who: &str, can: Value) -> Self {
        Self { door, key: door.key(who, &[Scope::Tools]).await, can }
    }

    /// One of Ada's.
    pub(super) async fn new(door: &'a Door, can: Value) -> Self {
        Self::of(door, ADA, can).await
    }

    /// A request, with the headers that belong to it.
    pub(super) fn request(&self, method: &str, mut params: Value) -> RequestBuilder {
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": { "name": "t", "version": "1" },
            "io.modelcontextprotocol/clientCapabilities": self.can,
        });
        let request = self.door.request(Method::POST, "/mcp").bearer_auth(&self.key);
        let request = request.header("mcp-protocol-version", "2026-07-28").header("mcp-method", method);
        let name = ["name", "uri", "taskId"].iter().find_map(|key| params[*key].as_str());
        let request = match name {
            Some(name) => request.header("mcp-name", name),
            None => request,
        };
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        super::security::framed(request, &body.to_string())
    }

    /// What a request is answered with.
    pub(super) async fn ask(&self, method: &str, params: Value) -> Value {
        message(&Reply::of(self.request(method, params)).await)
    }

    /// The result of a request.
    pub(super) async fn result(&self, method: &str, params: Value) -> Value {
        let answer = self.ask(method, params).await;
        assert!(answer.get("error").is_none(), "{answer}");
        answer["result"].clone()
    }

    /// Calls a tool.
    pub(super) async fn call(&self, tool: &str, arguments: Value) -> Value {
        self.result("tools/call", json!({ "name": tool, "arguments": arguments })).await
    }
}

/// The last message of an answer: it is one JSON text, or a stream.
pub(super) fn message(reply: &Reply) -> Value {
    if reply.text.starts_with('{') {
        return reply.json();
    }
    let last =
        reply.text.lines().rev().filter_map(|line| line.strip_prefix("data:")).find(|data| !data.trim().is_empty());
    serde_json::from_str(last.unwrap_or_else(|| panic!("{reply:?}"))).unwrap()
}
