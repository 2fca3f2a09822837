//! The legacy SSE transport against servers that misbehave in one way each.

use std::{
    convert::Infallible,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::get,
};
use omni_core::{
    SecretString,
    config::ServerAuth,
    mcp::{CallContext, Connector, McpError, McpTransport, sse::SseServer},
};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::{
    mcp_http::{LONG, call, is_call, listen},
    mcp_in_process::eventually,
};

/// What comes of a call: the POST's answer, and events on the stream.
type Called = fn(&Value, &Wire) -> Response;

/// The server's end of the stream.
struct Wire {
    events: Mutex<Option<mpsc::UnboundedSender<Bytes>>>,
}

impl Wire {
    fn send(&self, text: impl Into<Bytes>) {
        if let Some(events) = &*self.events.lock().unwrap() {
            let _ = events.send(text.into());
        }
    }

    fn answer(&self, message: &Value, result: &Value) {
        let answer = json!({ "jsonrpc": "2.0", "id": message["id"], "result": result });
        self.send(format!("data: {answer}\n\n"));
    }

    /// Ends the stream.
    fn cut(&self) {
        self.events.lock().unwrap().take();
    }
}

/// A server that speaks well until a tool is called.
struct Fake {
    called: Called,
    wire: Wire,
    seen: Mutex<Vec<HeaderMap>>,
    methods: Mutex<Vec<String>>,
    hanging: Arc<AtomicUsize>,
}

async fn serve(called: Called) -> (String, Arc<Fake>) {
    let wire = Wire { events: Mutex::default() };
    let fake =
        Arc::new(Fake { called, wire, seen: Mutex::default(), methods: Mutex::default(), hanging: Arc::default() });
    let app = Router::new().route("/sse", get(stream).post(message)).with_state(fake.clone());
    (format!("{}/sse", listen(app).await), fake)
}

async fn stream(State(fake): State<Arc<Fake>>, headers: HeaderMap) -> Response {
    fake.seen.lock().unwrap().push(headers);
    let (events, receiver) = mpsc::unbounded_channel();
    events.send("event: endpoint\ndata: /sse\n\n".into()).unwrap();
    *fake.wire.events.lock().unwrap() = Some(events);
    let events = futures::stream::unfold(receiver, |mut receiver| async {
        receiver.recv().await.map(|event| (Ok::<_, Infallible>(event), receiver))
    });
    ([("content-type", "text/event-stream")], Body::from_stream(events)).into_response()
}

async fn message(State(fake): State<Arc<Fake>>, headers: HeaderMap, body: Bytes) -> Response {
    fake.seen.lock().unwrap().push(headers);
    let message: Value = serde_json::from_slice(&body).unwrap();
    fake.methods.lock().unwrap().push(message["method"].as_str().unwrap_or_default().to_owned());
    if message["method"] == "initialize" {
        let info = json!({ "name": "f", "version": "1" });
        fake.wire.answer(&message, &json!({ "protocolVersion": "2024-11-05", "capabilities": {}, "serverInfo": info }));
    }
    if !is_call(&message) {
        return StatusCode::ACCEPTED.into_response();
    }
    let response = (fake.called)(&message, &fake.wire);
    if response.status() == StatusCode::REQUEST_TIMEOUT {
        fake.hanging.fetch_add(1, SeqCst);
        let _gone = Gone(fake.hanging.clone());
        std::future::pending::<()>().await;
    }
    response
}

struct Gone(Arc<AtomicUsize>);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

async fn connect(url: &str) -> Arc<dyn McpTransport> {
    SseServer::new(url).unwrap().connect(&CallContext::within(LONG)).await.unwrap()
}

/// The error of a call, which must come long before the call's own time is up.
async fn error_of(called: Called) -> McpError {
    let (url, _) = serve(called).await;
    let transport = connect(&url).await;
    let error = call(&*transport, Duration::from_secs(3_600)).await.unwrap_err();
    transport.close().await;
    error
}

#[tokio::test]
async fn credentials_go_with_the_stream_and_with_every_message() {
    let (url, fake) = serve(|m, wire| {
        wire.answer(m, &json!({ "content": [{ "type": "text", "text": "done" }] }));
        StatusCode::ACCEPTED.into_response()
    })
    .await;
    let secret = |text: &str| SecretString::from(text.to_owned());
    let server = SseServer::new(&url).unwrap().with_auth(ServerAuth::Bearer(secret("t0k")));
    let server = server.with_header("X-Team", secret("red"));
    let transport = server.connect(&CallContext::within(LONG)).await.unwrap();
    assert_eq!(call(&*transport, LONG).await.unwrap().for_person(), "done");
    let seen = fake.seen.lock().unwrap().clone();
    assert_eq!(seen.len(), 4, "the stream, the handshake's two messages and the call");
    assert!(seen.iter().all(|headers| headers["authorization"] == "Bearer t0k" && headers["x-team"] == "red"));
    transport.close().await;
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let error =
        error_of(|_, _| (StatusCode::TEMPORARY_REDIRECT, [("location", "http://127.0.0.1:1/")]).into_response());
    let error = error.await;
    assert!(matches!(&error, McpError::Closed { message, unsent: false } if message.contains("redirects")), "{error}");
}

#[tokio::test]
async fn an_event_without_measure_ends_the_connection() {
    let error = error_of(|_, wire| {
        for _ in 0..17 {
            wire.send(vec![b'x'; 1024 * 1024]);
        }
        StatusCode::ACCEPTED.into_response()
    })
    .await;
    assert!(matches!(&error, McpError::Closed { message, .. } if message.contains("an event of more than")), "{error}");
}

#[tokio::test]
async fn a_stream_that_is_cut_in_mid_call_fails_it_at_once() {
    let error = error_of(|_, wire| {
        wire.cut();
        StatusCode::ACCEPTED.into_response()
    })
    .await;
    assert!(
        matches!(&error, McpError::Closed { message, unsent: false } if message.contains("ended the stream")),
        "{error}"
    );
}

#[tokio::test]
async fn a_message_that_cannot_be_posted_ends_with_its_caller() {
    let (url, fake) = serve(|_, _| StatusCode::REQUEST_TIMEOUT.into_response()).await;
    let transport = connect(&url).await;
    let error = call(&*transport, Duration::from_millis(300)).await.unwrap_err();
    assert!(matches!(error, McpError::Timeout { .. }), "{error}");
    eventually(|| fake.hanging.load(SeqCst) == 0).await;
    transport.close().await;
}

#[tokio::test]
async fn a_request_that_times_out_is_cancelled_at_the_server() {
    let (url, fake) = serve(|_, _| StatusCode::ACCEPTED.into_response()).await;
    let transport = connect(&url).await;
    let error = call(&*transport, Duration::from_millis(300)).await.unwrap_err();
    assert!(matches!(error, McpError::Timeout { .. }), "{error}");
    eventually(|| fake.methods.lock().unwrap().iter().any(|method| method == "notifications/cancelled")).await;
    transport.close().await;
}

#[tokio::test]
async fn a_stream_that_wants_requests_elsewhere_is_refused() {
    let stream = |endpoint: &'static str| {
        let answer = move || async move {
            ([("content-type", "text/event-stream")], format!("event: endpoint\ndata: {endpoint}\n\n")).into_response()
        };
        Router::new().route("/sse", get(answer))
    };
    for elsewhere in ["http://evil.example/collect", "//evil.example/collect", "http://127.0.0.1:9/x", "file:///etc"] {
        let url = format!("{}/sse", listen(stream(elsewhere)).await);
        let server = SseServer::new(url).unwrap().with_auth(ServerAuth::Bearer(SecretString::from("t".to_owned())));
        let error = server.connect(&CallContext::within(LONG)).await.unwrap_err();
        assert!(error.to_string().contains("not where it comes from"), "{elsewhere}: {error}");
    }
}

#[tokio::test]
async fn a_stream_that_never_says_where_to_post_costs_the_deadline() {
    let endless = || async {
        (
            [("content-type", "text/event-stream")],
            Body::from_stream(futures::stream::pending::<Result<Bytes, std::io::Error>>()),
        )
            .into_response()
    };
    let url = format!("{}/sse", listen(Router::new().route("/sse", get(endless))).await);
    let error =
        SseServer::new(url).unwrap().connect(&CallContext::within(Duration::from_millis(300))).await.unwrap_err();
    assert!(matches!(error, McpError::Timeout { .. }), "{error}");
}
