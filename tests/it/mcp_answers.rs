//! Streamable HTTP: which answer belongs to which request, and what is sent how often.

use std::{
    future::ready,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use omni_core::{
    SecretString,
    config::ServerAuth,
    mcp::{CallContext, Connector, McpError, http::HttpServer},
};
use serde_json::{Value, json, value::to_raw_value};

use crate::{
    mcp_http::{Answer, LONG, call, connect, error_of, insistent, is_call, json_text, listen, serve, silence},
    mcp_in_process::eventually,
};

fn done(id: &Value) -> String {
    json!({ "jsonrpc": "2.0", "id": id, "result": { "content": [{ "type": "text", "text": "done" }] } }).to_string()
}

fn events(text: &str) -> Response {
    ([("content-type", "text/event-stream")], format!("data: {text}\n\n")).into_response()
}

#[tokio::test]
async fn an_answer_to_another_request_is_an_error_at_once() {
    for answer in [
        (|m| is_call(m).then(|| json_text(StatusCode::OK, done(&json!(999))))) as Answer,
        |m| is_call(m).then(|| json_text(StatusCode::OK, done(&json!(null)))),
        |m| is_call(m).then(|| json_text(StatusCode::OK, done(&json!("other")))),
        |m| is_call(m).then(|| events(&done(&json!(999)))),
        |m| is_call(m).then(|| events(&done(&json!(null)))),
    ] {
        let error = error_of(answer).await;
        assert!(matches!(error, McpError::Protocol { .. }), "{error}");
    }
}

#[tokio::test]
async fn an_id_that_comes_back_as_a_string_is_the_same() {
    for answer in [(|m| m["id"].is_u64().then(|| with_string_id(m)).flatten()) as Answer, |m| {
        is_call(m).then(|| events(&done(&json!(m["id"].to_string()))))
    }] {
        let (url, _) = serve(answer).await;
        let transport = connect(&url).await.unwrap();
        assert_eq!(call(&*transport, LONG).await.unwrap().for_person(), "done");
        transport.close().await;
    }
}

fn with_string_id(message: &Value) -> Option<Response> {
    let result = match message["method"].as_str()? {
        "initialize" => json!({
            "protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": { "name": "f", "version": "1" }
        }),
        "tools/call" => json!({ "content": [{ "type": "text", "text": "done" }] }),
        _ => return None,
    };
    let id = message["id"].to_string();
    Some(json_text(StatusCode::OK, json!({ "jsonrpc": "2.0", "id": id, "result": result }).to_string()))
}

/// The first call hangs; the second is answered by what should be the first one's answer.
#[tokio::test]
async fn a_request_is_never_answered_in_the_answer_to_another() {
    for stream in [false, true] {
        let answer: Answer =
            if stream { |m| crossed(m, events) } else { |m| crossed(m, |text| json_text(StatusCode::OK, text.into())) };
        let (url, fake) = serve(answer).await;
        let transport = connect(&url).await.unwrap();
        let arguments = |hang: bool| to_raw_value(&json!({ "name": "t", "arguments": { "hang": hang } })).unwrap();
        let ask = async |hang: bool, within| {
            let request = omni_core::mcp::McpRequest::new("tools/call", Some(arguments(hang)));
            transport.request(request, &CallContext::within(within)).await
        };
        let second = async {
            eventually(|| fake.count("tools/call") == 1).await;
            ask(false, LONG).await
        };
        let (first, second) = tokio::join!(ask(true, Duration::from_secs(1)), second);
        assert!(matches!(first, Err(McpError::Timeout { .. })), "{first:?}");
        assert!(matches!(second, Err(McpError::Protocol { .. })), "{second:?}");
        transport.close().await;
    }
}

fn crossed(message: &Value, form: fn(&str) -> Response) -> Option<Response> {
    if !is_call(message) {
        return None;
    }
    if message["params"]["arguments"]["hang"] == true {
        return Some(silence());
    }
    Some(form(&done(&json!(message["id"].as_u64()? - 1))))
}

#[tokio::test]
async fn a_stream_that_ends_before_its_answer_is_a_lost_connection_at_once() {
    let error = error_of(|m| is_call(m).then(|| events(r#"{"jsonrpc":"2.0","method":"notifications/x"}"#))).await;
    assert!(matches!(error, McpError::Closed { unsent: false, .. }), "{error}");
}

/// A server whose second call is answered on a stream that ends too early, and goes on where it is asked to.
async fn breaking_off() -> String {
    let (calls, waiting) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Value::Null)));
    let asked = waiting.clone();
    let post = move |body: Bytes| {
        let message: Value = serde_json::from_slice(&body).unwrap();
        let answer = match message["method"].as_str().unwrap_or_default() {
            "initialize" => ([("mcp-session-id", "one")], with_string_id(&message).unwrap()).into_response(),
            "server/discover" => StatusCode::BAD_REQUEST.into_response(),
            "tools/call" if calls.fetch_add(1, SeqCst) == 0 => json_text(StatusCode::OK, done(&message["id"])),
            "tools/call" => {
                *waiting.lock().unwrap() = message["id"].clone();
                let event = "id: e1\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/x\"}\n\n";
                ([("content-type", "text/event-stream")], event).into_response()
            }
            _ => StatusCode::ACCEPTED.into_response(),
        };
        ready(answer)
    };
    let get = move |headers: HeaderMap| {
        let is_ours = headers.get("last-event-id").is_some_and(|id| id == "e1") && headers["mcp-session-id"] == "one";
        ready(match is_ours {
            true => events(&done(&asked.lock().unwrap())),
            false => StatusCode::METHOD_NOT_ALLOWED.into_response(),
        })
    };
    format!("{}/mcp", listen(Router::new().route("/mcp", axum::routing::post(post).get(get))).await)
}

#[tokio::test]
async fn a_stream_that_ends_before_its_answer_is_gone_on_with_where_the_server_said_where_it_was() {
    let transport = connect(&breaking_off().await).await.unwrap();
    for _ in 0..2 {
        assert_eq!(call(&*transport, LONG).await.unwrap().for_person(), "done");
    }
    transport.close().await;
}

#[tokio::test]
async fn a_call_that_is_redirected_goes_out_once() {
    for status in [StatusCode::SEE_OTHER, StatusCode::TEMPORARY_REDIRECT] {
        let answer: Answer = match status {
            StatusCode::SEE_OTHER => |m| is_call(m).then(|| redirect(StatusCode::SEE_OTHER)),
            _ => |m| is_call(m).then(|| redirect(StatusCode::TEMPORARY_REDIRECT)),
        };
        let (url, fake) = serve(answer).await;
        let pool = insistent(&url);
        let arguments = to_raw_value(&json!({})).unwrap();
        let error = pool.call("s", "t", &arguments, &CallContext::within(LONG)).await.unwrap_err();
        assert!(error.to_string().contains("redirects"), "{error}");
        assert_eq!(fake.count("tools/call"), 1, "{status}");
        pool.shutdown().await;
    }
}

fn redirect(status: StatusCode) -> Response {
    (status, [("location", "/elsewhere")]).into_response()
}

/// It answers every request of a session that it has forgotten with the request's own id.
#[tokio::test]
async fn a_restarted_server_that_knows_the_id_but_not_the_session_is_connected_to_anew() {
    static FORGOTTEN: AtomicBool = AtomicBool::new(false);
    let (url, fake) = serve(|m| {
        if m["method"] == "initialize" {
            FORGOTTEN.store(false, SeqCst);
        }
        let known = !FORGOTTEN.load(SeqCst) || m["id"].is_null();
        let error = json!({ "code": -32000, "message": "no such session" });
        let body = json!({ "jsonrpc": "2.0", "id": m["id"], "error": error }).to_string();
        (!known).then(|| json_text(StatusCode::BAD_REQUEST, body))
    })
    .await;
    let pool = insistent(&url);
    let arguments = to_raw_value(&json!({})).unwrap();
    let call = || async { pool.call("s", "t", &arguments, &CallContext::within(LONG)).await };
    call().await.unwrap();
    FORGOTTEN.store(true, SeqCst);
    let error = call().await.unwrap_err();
    assert!(matches!(&error, McpError::Closed { message, .. } if message.contains("no such session")), "{error}");
    assert_eq!(call().await.unwrap().for_person(), "done");
    assert_eq!(fake.count("initialize"), 2);
    pool.shutdown().await;
}

#[tokio::test]
async fn a_handshake_that_is_given_up_leaves_no_connection() {
    let (url, fake) = serve(|_| Some(silence())).await;
    let server = HttpServer::new(&url).unwrap();
    let error = server.connect(&CallContext::within(Duration::from_millis(300))).await.unwrap_err();
    assert!(matches!(error, McpError::Timeout { .. }), "{error}");
    assert!(fake.count("server/discover") == 1);
    eventually(|| fake.open() == 0).await;
}

#[tokio::test]
async fn a_host_that_cannot_be_reached_is_dialled_once() {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("https://{}/mcp", listener.local_addr().unwrap());
    let dialled = Arc::new(AtomicUsize::new(0));
    let count = dialled.clone();
    // No TLS is spoken here, so no connection comes about.
    tokio::spawn(async move {
        while listener.accept().await.is_ok() {
            count.fetch_add(1, SeqCst);
        }
    });
    let error = HttpServer::new(url).unwrap().connect(&CallContext::within(LONG)).await.unwrap_err();
    assert!(matches!(error, McpError::Connect { .. }), "{error}");
    assert_eq!(dialled.load(SeqCst), 1);
}

#[tokio::test]
async fn credentials_that_a_server_repeats_are_in_no_error() {
    let refuse: Answer = |_| Some((StatusCode::UNAUTHORIZED, "the token t0k-of-omni is old").into_response());
    let (url, _) = serve(refuse).await;
    let secret = || SecretString::from("t0k-of-omni".to_owned());
    let server = HttpServer::new(&url).unwrap().with_auth(ServerAuth::Bearer(secret()));
    let error = server.connect(&CallContext::within(LONG)).await.unwrap_err();
    assert!(error.to_string().contains("the token [redacted] is old"), "{error}");

    let later: Answer = |m| is_call(m).then(|| (StatusCode::FORBIDDEN, "t0k-of-omni and t0k-of-ann").into_response());
    let (url, _) = serve(later).await;
    let server: Arc<dyn Connector> = Arc::new(HttpServer::new(&url).unwrap().with_auth(ServerAuth::Bearer(secret())));
    let transport = server.connect(&CallContext::within(LONG)).await.unwrap();
    let mut cx = CallContext::within(LONG);
    cx.credentials = Some([("X-Person".to_owned(), SecretString::from("t0k-of-ann".to_owned()))].into());
    let params = to_raw_value(&json!({ "name": "t", "arguments": {} })).unwrap();
    let error = transport.request(omni_core::mcp::McpRequest::new("tools/call", Some(params)), &cx).await.unwrap_err();
    assert!(error.to_string().contains("[redacted] and [redacted]"), "{error}");
    transport.close().await;
}
