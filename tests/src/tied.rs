//! A server that knows people by their tokens, and ties sessions to them, over streamable HTTP.

use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    sync::{Arc, Mutex},
};

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, Method, StatusCode, header::AUTHORIZATION},
    response::{IntoResponse as _, Response},
    routing::any,
};
use futures::StreamExt as _;
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::mpsc, task::JoinHandle};

/// What it knows.
#[derive(Debug, Default)]
struct Known {
    /// Whose a token is.
    names: BTreeMap<String, String>,
    /// Whether whoever has no token may begin and list.
    lists_to_all: bool,
    /// The token of each session.
    sessions: Vec<String>,
    /// Sessions that came with another token than they began with.
    crossed: usize,
    /// The methods of all requests, and whose they were.
    asked: Vec<(String, String)>,
    subscribed: BTreeSet<(usize, String)>,
    streams: Vec<(usize, mpsc::UnboundedSender<Value>)>,
}

type Shared = Arc<Mutex<Known>>;

/// It listens until it is dropped.
#[derive(Debug)]
pub struct TiedServer {
    /// Where it is.
    pub url: String,
    known: Shared,
    serving: JoinHandle<()>,
}

impl Drop for TiedServer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl TiedServer {
    /// Starts one that knows nobody.
    pub async fn start() -> Self {
        let known = Shared::default();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}/mcp", listener.local_addr().unwrap());
        let router = Router::new().route("/mcp", any(serve)).with_state(known.clone());
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, known, serving }
    }

    /// From now on a token is somebody's.
    pub fn knows(&self, token: &str, name: &str) {
        self.known().names.insert(token.into(), name.into());
    }

    /// Forgets whose a token is.
    pub fn forgets(&self, token: &str) {
        self.known().names.remove(token);
    }

    /// From now on it lists its tools to whoever has no token.
    pub fn lists_to_all(&self) {
        self.known().lists_to_all = true;
    }

    /// How many sessions began, and how many requests came to a session of another token.
    pub fn sessions(&self) -> (usize, usize) {
        let known = self.known();
        (known.sessions.len(), known.crossed)
    }

    /// Who asked for a method.
    pub fn who_asked(&self, method: &str) -> Vec<String> {
        self.known().asked.iter().filter(|(asked, _)| asked == method).map(|(_, who)| who.clone()).collect()
    }

    /// How many requests there were.
    pub fn asked(&self) -> usize {
        self.known().asked.len()
    }

    /// Tells somebody's sessions that subscribed to it that a resource changed.
    pub fn touch(&self, name: &str, uri: &str) {
        let known = self.known();
        let message =
            json!({ "jsonrpc": "2.0", "method": "notifications/resources/updated", "params": { "uri": uri } });
        for (session, stream) in &known.streams {
            let is_theirs = known.names.get(&known.sessions[*session]).is_some_and(|own| own == name);
            if is_theirs && known.subscribed.contains(&(*session, uri.to_owned())) {
                let _ = stream.send(message.clone());
            }
        }
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap()
    }
}

async fn serve(State(known): State<Shared>, method: Method, headers: HeaderMap, body: Bytes) -> Response {
    let mut known = known.lock().unwrap();
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let token = text(AUTHORIZATION.as_str()).and_then(|value| value.strip_prefix("Bearer ").map(str::to_owned));
    let name = token.as_ref().and_then(|token| known.names.get(token).cloned());
    let name = name.or_else(|| known.lists_to_all.then(|| "nobody".to_owned()).filter(|_| token.is_none()));
    let Some(name) = name else { return StatusCode::UNAUTHORIZED.into_response() };
    let session = text("mcp-session-id").and_then(|id| id.parse::<usize>().ok());
    if let Some(session) = session
        && known.sessions.get(session) != Some(&token.clone().unwrap_or_default())
    {
        known.crossed += 1;
        return StatusCode::FORBIDDEN.into_response();
    }
    match method {
        Method::POST => answer(&mut known, &name, token.unwrap_or_default(), session, &body),
        Method::GET => {
            let (told, mut tell) = mpsc::unbounded_channel();
            known.streams.push((session.unwrap_or_default(), told));
            let events = futures::stream::poll_fn(move |cx| tell.poll_recv(cx));
            let events = events.map(|message| Ok::<_, Infallible>(format!("data: {message}\n\n")));
            ([("content-type", "text/event-stream")], Body::from_stream(events)).into_response()
        }
        _ => StatusCode::OK.into_response(),
    }
}

fn answer(known: &mut Known, name: &str, token: String, session: Option<usize>, body: &[u8]) -> Response {
    let message: Value = serde_json::from_slice(body).unwrap();
    let method = message["method"].as_str().unwrap_or_default().to_owned();
    known.asked.push((method.clone(), name.to_owned()));
    let uri = || message["params"]["uri"].as_str().unwrap_or_default().to_owned();
    let result = match &*method {
        _ if message["id"].is_null() => return StatusCode::ACCEPTED.into_response(),
        "initialize" => {
            known.sessions.push(token);
            let can = json!({ "tools": {}, "resources": { "subscribe": true } });
            let result = json!({ "protocolVersion": "2025-11-25", "capabilities": can,
                "serverInfo": { "name": "tied", "version": "1" } });
            let reply = json!({ "jsonrpc": "2.0", "id": message["id"], "result": result });
            let id = (known.sessions.len() - 1).to_string();
            return ([("mcp-session-id", id)], Json(reply)).into_response();
        }
        "ping" => json!({}),
        "tools/list" => {
            let schema = json!({ "type": "object", "properties": {} });
            let tool = json!({ "name": "whoami", "description": "Says who calls", "inputSchema": schema });
            json!({ "tools": [tool] })
        }
        "resources/list" => json!({ "resources": [] }),
        "resources/templates/list" => json!({ "resourceTemplates": [] }),
        "tools/call" => json!({ "content": [{ "type": "text", "text": format!("you are {name}") }] }),
        "resources/subscribe" => {
            known.subscribed.insert((session.unwrap(), uri()));
            json!({})
        }
        "resources/unsubscribe" => {
            known.subscribed.remove(&(session.unwrap(), uri()));
            json!({})
        }
        _ => {
            let error = json!({ "code": -32601, "message": "there is no such method" });
            return Json(json!({ "jsonrpc": "2.0", "id": message["id"], "error": error })).into_response();
        }
    };
    Json(json!({ "jsonrpc": "2.0", "id": message["id"], "result": result })).into_response()
}
