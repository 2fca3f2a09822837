//! Streamable HTTP against servers that misbehave in one way each.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::post,
};
use omni_core::{
    SecretString,
    config::ServerAuth,
    mcp::{
        CallContext, Connector, McpError, McpTransport, McpTransportExt, Pool, ServerOptions, ToolOutput,
        http::HttpServer, pool::ServerEntry,
    },
};
use serde_json::{Value, json, value::to_raw_value};

use crate::mcp_in_process::eventually;

pub(crate) const LONG: Duration = Duration::from_secs(30);

pub(crate) type Answer = fn(&Value) -> Option<Response>;

/// A server that speaks 2025-11-25 well, except where `answer` says otherwise.
pub(crate) struct Fake {
    answer: Answer,
    /// Requests that it has not answered and whose connection is open.
    open: AtomicUsize,
    seen: Mutex<Vec<(HeaderMap, Value)>>,
}

impl Fake {
    fn methods(&self) -> Vec<String> {
        let method = |(_, message): &(HeaderMap, Value)| message["method"].as_str().unwrap_or_default().to_owned();
        self.seen.lock().unwrap().iter().map(method).collect()
    }

    pub(crate) fn count(&self, method: &str) -> usize {
        self.methods().iter().filter(|seen| *seen == method).count()
    }

    pub(crate) fn open(&self) -> usize {
        self.open.load(SeqCst)
    }
}

struct Open(Arc<Fake>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, SeqCst);
    }
}

pub(crate) async fn serve(answer: Answer) -> (String, Arc<Fake>) {
    let fake = Arc::new(Fake { answer, open: AtomicUsize::new(0), seen: Mutex::default() });
    let app = Router::new().route("/mcp", post(handle)).with_state(fake.clone());
    (format!("{}/mcp", listen(app).await), fake)
}

pub(crate) async fn listen(app: Router) -> String {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    format!("http://{address}")
}

async fn handle(State(fake): State<Arc<Fake>>, headers: HeaderMap, body: Bytes) -> Response {
    let message: Value = serde_json::from_slice(&body).unwrap();
    fake.seen.lock().unwrap().push((headers, message.clone()));
    fake.open.fetch_add(1, SeqCst);
    let _open = Open(fake.clone());
    if let Some(response) = (fake.answer)(&message) {
        return if response.status() == StatusCode::REQUEST_TIMEOUT { std::future::pending().await } else { response };
    }
    let result = match message["method"].as_str().unwrap() {
        "initialize" => {
            let result = json!({
                "protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": { "name": "f", "version": "1" }
            });
            return ([("mcp-session-id", "one")], rpc(&message, &result)).into_response();
        }
        "tools/list" => json!({ "tools": [{ "name": "t", "inputSchema": { "type": "object" } }] }),
        "tools/call" => json!({ "content": [{ "type": "text", "text": "done" }] }),
        "server/discover" => return idless(StatusCode::BAD_REQUEST, "no session"),
        _ => return StatusCode::ACCEPTED.into_response(),
    };
    rpc(&message, &result)
}

pub(crate) fn rpc(message: &Value, result: &Value) -> Response {
    json_text(StatusCode::OK, json!({ "jsonrpc": "2.0", "id": message["id"], "result": result }).to_string())
}

fn idless(status: StatusCode, text: &str) -> Response {
    json_text(status, json!({ "jsonrpc": "2.0", "id": null, "error": { "code": -32000, "message": text } }).to_string())
}

pub(crate) fn json_text(status: StatusCode, text: String) -> Response {
    (status, [("content-type", "application/json")], text).into_response()
}

/// Makes the fake keep silent.
pub(crate) fn silence() -> Response {
    StatusCode::REQUEST_TIMEOUT.into_response()
}

pub(crate) fn is_call(message: &Value) -> bool {
    message["method"] == "tools/call"
}

pub(crate) async fn connect(url: &str) -> Result<Arc<dyn McpTransport>, McpError> {
    HttpServer::new(url).unwrap().connect(&CallContext::within(LONG)).await
}

pub(crate) async fn call(transport: &dyn McpTransport, within: Duration) -> Result<ToolOutput, McpError> {
    transport.call_tool("t", &to_raw_value(&json!({})).unwrap(), 1_000, &CallContext::within(within)).await
}

/// The error of a call, which must come long before the call's own time is up.
pub(crate) async fn error_of(answer: Answer) -> McpError {
    let (url, _) = serve(answer).await;
    let transport = connect(&url).await.unwrap();
    let error = call(&*transport, Duration::from_secs(3_600)).await.unwrap_err();
    transport.close().await;
    error
}

#[tokio::test]
async fn a_400_without_an_id_is_an_answer_and_no_hang() {
    let error = error_of(|m| is_call(m).then(|| idless(StatusCode::BAD_REQUEST, "No valid session ID"))).await;
    assert!(
        matches!(&error, McpError::Closed { message, unsent: false } if message.contains("No valid session ID")),
        "{error}"
    );
}

#[tokio::test]
async fn an_id_less_error_with_status_200_is_an_answer() {
    let error = error_of(|m| is_call(m).then(|| idless(StatusCode::OK, "what?"))).await;
    assert!(matches!(&error, McpError::Rpc { message, .. } if message == "what?"), "{error}");
}

#[tokio::test]
async fn an_id_less_error_in_an_event_stream_is_an_answer() {
    let error = error_of(|m| {
        let event = "data: {\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32000,\"message\":\"what?\"}}\n\n";
        is_call(m).then(|| ([("content-type", "text/event-stream")], event).into_response())
    })
    .await;
    assert!(matches!(&error, McpError::Rpc { message, .. } if message == "what?"), "{error}");
}

#[tokio::test]
async fn refused_credentials_have_an_error_of_their_own() {
    let refuse: Answer = |_| Some((StatusCode::UNAUTHORIZED, "bad token").into_response());
    let (url, _) = serve(refuse).await;
    let error = connect(&url).await.unwrap_err();
    assert!(matches!(&error, McpError::Unauthorized { message } if message.contains("bad token")), "{error}");
    let later = error_of(|m| is_call(m).then(|| StatusCode::FORBIDDEN.into_response())).await;
    assert!(matches!(later, McpError::Unauthorized { .. }), "{later}");
}

#[tokio::test]
async fn a_failure_of_the_server_is_told_with_its_status() {
    let error = error_of(|m| is_call(m).then(|| (StatusCode::BAD_GATEWAY, "no upstream").into_response())).await;
    assert!(error.to_string().contains("502") && error.to_string().contains("no upstream"), "{error}");
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let error = error_of(|m| {
        is_call(m).then(|| (StatusCode::TEMPORARY_REDIRECT, [("location", "http://127.0.0.1:1/")]).into_response())
    })
    .await;
    assert!(error.to_string().contains("redirects"), "{error}");
}

#[tokio::test]
async fn what_is_not_the_protocol_is_told_as_such() {
    for answer in [(|m| is_call(m).then(|| json_text(StatusCode::OK, "<html>".into()))) as Answer, |m| {
        is_call(m).then(|| rpc(m, &json!({ "content": 7 })))
    }] {
        let error = error_of(answer).await;
        assert!(matches!(error, McpError::Protocol { .. }), "{error}");
    }
}

#[tokio::test]
async fn what_is_too_large_is_the_failure_of_its_call_and_not_of_the_connection() {
    const STREAM: [(&str, &str); 1] = [("content-type", "text/event-stream")];
    for answer in [
        (|m| is_call(m).then(|| (StatusCode::PAYLOAD_TOO_LARGE, "<html>entity too large").into_response())) as Answer,
        |m| is_call(m).then(|| StatusCode::URI_TOO_LONG.into_response()),
        |m| is_call(m).then(|| StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE.into_response()),
        |m| is_call(m).then(|| json_text(StatusCode::OK, too_much())),
        |m| is_call(m).then(|| (STREAM, format!("data: {}\n\n", too_much())).into_response()),
        |m| is_call(m).then(|| (STREAM, format!("id: 1\ndata: \n\ndata: {}\n\n", too_much())).into_response()),
    ] {
        let error = error_of(answer).await;
        assert!(matches!(error, McpError::Rpc { .. }), "{error}");
    }
}

/// More than a server may send at once.
fn too_much() -> String {
    "x".repeat(17 * 1024 * 1024)
}

#[tokio::test]
async fn a_server_that_keeps_silent_costs_the_deadline_and_is_told() {
    let (url, fake) = serve(|m| is_call(m).then(silence)).await;
    let transport = connect(&url).await.unwrap();
    let error = call(&*transport, Duration::from_millis(300)).await.unwrap_err();
    assert!(matches!(error, McpError::Timeout { .. }), "{error}");
    eventually(|| fake.count("notifications/cancelled") == 1).await;
}

#[tokio::test]
async fn an_old_server_that_leaves_the_probe_unanswered_is_usable() {
    let (url, fake) = serve(|m| (m["method"] == "server/discover").then(silence)).await;
    let transport = connect(&url).await.unwrap();
    call(&*transport, LONG).await.unwrap();
    assert_eq!(fake.count("initialize"), 1);
}

#[tokio::test]
async fn credentials_and_headers_go_with_every_request() {
    let (url, fake) = serve(|_| None).await;
    let secret = |text: &str| SecretString::from(text.to_owned());
    let server = HttpServer::new(&url)
        .unwrap()
        .with_auth(ServerAuth::Bearer(secret("t0k")))
        .with_header("X-Team", secret("red"));
    let transport = server.connect(&CallContext::within(LONG)).await.unwrap();
    let mut cx = CallContext::within(LONG);
    cx.credentials = Some(BTreeMap::from([("X-Person".to_owned(), secret("ann"))]));
    transport.call_tool("t", &to_raw_value(&json!({})).unwrap(), 100, &cx).await.unwrap();
    call(&*transport, LONG).await.unwrap();
    let seen = fake.seen.lock().unwrap();
    assert!(seen.iter().all(|(headers, _)| headers["authorization"] == "Bearer t0k" && headers["x-team"] == "red"));
    let persons: Vec<bool> =
        seen.iter().filter(|(_, m)| is_call(m)).map(|(headers, _)| headers.contains_key("x-person")).collect();
    assert_eq!(persons, [true, false], "one caller's credentials stay with that caller's call");
}

#[tokio::test]
async fn schemas_and_results_arrive_as_they_were_sent() {
    const TOOLS: &str = r#"{"tools":[{"name":"t","inputSchema":{"type":"object","x-order":["z"],"properties":{"z":{"type":"number","default":1.50},"a":{"const":12345678901234567890123}}}}]}"#;
    let (url, _) = serve(|m| {
        let body = format!(r#"{{"jsonrpc":"2.0","id":{},"result":{TOOLS}}}"#, m["id"]);
        (m["method"] == "tools/list").then(|| json_text(StatusCode::OK, body))
    })
    .await;
    let transport = connect(&url).await.unwrap();
    let tools = transport.list_tools(&Arc::from("s"), &CallContext::within(LONG)).await.unwrap();
    assert_eq!(
        tools[0].input_schema.get(),
        r#"{"type":"object","x-order":["z"],"properties":{"z":{"type":"number","default":1.50},"a":{"const":12345678901234567890123}}}"#
    );
}

/// A pool that makes a call up to five times, if it may.
pub(crate) fn insistent(url: &str) -> Pool {
    let mut options = ServerOptions::default();
    options.max_attempts = 5;
    let entry = ServerEntry { connector: Arc::new(HttpServer::new(url).unwrap()), options };
    Pool::new(BTreeMap::from([("s".to_owned(), entry)]))
}

#[tokio::test]
async fn a_call_to_a_forgotten_session_is_not_sent_twice_and_the_next_one_works() {
    let (url, fake) = serve(|m| {
        static FIRST: Mutex<bool> = Mutex::new(true);
        let first = is_call(m) && std::mem::take(&mut *FIRST.lock().unwrap());
        first.then(|| StatusCode::NOT_FOUND.into_response())
    })
    .await;
    let pool = insistent(&url);
    let call = || async { pool.call("s", "t", &to_raw_value(&json!({})).unwrap(), &CallContext::within(LONG)).await };
    let error = call().await.unwrap_err();
    assert!(matches!(error, McpError::Closed { unsent: false, .. }), "{error}");
    assert_eq!(fake.count("tools/call"), 1);
    assert_eq!(call().await.unwrap().for_person(), "done");
    pool.shutdown().await;
}
