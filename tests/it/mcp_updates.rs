//! Resources whose contents change, told to whoever subscribed, in both ways of the protocol.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    convert::Infallible,
    future::ready,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    http::StatusCode,
    response::IntoResponse as _,
    routing::post,
};
use omni_core::mcp::{
    CallContext, Connector, Heard, Hearing, Pool, ServerOptions, http::HttpServer, in_process::InProcess,
    pool::ServerEntry,
};
use omni_tests::rig::until;
use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CallToolRequestParams, CallToolResponse, CallToolResult, ProtocolVersion, ResourceUpdatedNotificationParam,
        ServerCapabilities, ServerConfig, SubscribeRequestParams, SubscriptionFilter,
    },
    service::{RequestContext, SubscriptionContext},
    transport::streamable_http_server::{
        StreamableHttpServerConfig, StreamableHttpService, session::local::LocalSessionManager,
    },
};
use serde_json::{Value, json, value::to_raw_value};
use tokio::{sync::Notify, time::timeout};

use crate::mcp_http::{listen, rpc};

const LONG: Duration = Duration::from_secs(30);
const URI: &str = "file:///plan";

/// A server with one resource, which is another one after each call.
#[derive(Clone)]
struct Shelf {
    modern: bool,
    changed: Arc<Notify>,
    /// How often it ends the telling as soon as it began.
    ends: Arc<AtomicUsize>,
    /// What became of the telling.
    telling: Arc<Mutex<Vec<&'static str>>>,
}

impl Shelf {
    fn new(modern: bool) -> Self {
        Self { modern, changed: Arc::default(), ends: Arc::default(), telling: Arc::default() }
    }

    /// One that ends the telling so often as soon as it began.
    fn ending(times: usize) -> Self {
        Self { ends: Arc::new(times.into()), ..Self::new(true) }
    }

    fn telling(&self) -> Vec<&'static str> {
        self.telling.lock().unwrap().clone()
    }

    fn began(&self) -> usize {
        self.telling().iter().filter(|what| **what == "begins").count()
    }
}

impl ServerHandler for Shelf {
    fn get_info(&self) -> ServerConfig {
        let can = ServerCapabilities::builder().enable_tools().enable_resources().enable_resources_subscribe();
        ServerConfig::new(can.build())
    }

    fn supported_protocol_versions(&self) -> Cow<'static, [ProtocolVersion]> {
        let version = if self.modern { ProtocolVersion::V_2026_07_28 } else { ProtocolVersion::V_2025_11_25 };
        Cow::Owned(vec![version])
    }

    async fn subscribe(&self, _: SubscribeRequestParams, _: RequestContext<RoleServer>) -> Result<(), ErrorData> {
        assert!(!self.modern, "since 2026-07-28 there is no such method");
        Ok(())
    }

    fn accepted_subscription_filter(&self, requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        Some(requested.clone())
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        self.telling.lock().unwrap().push("begins");
        if self.ends.fetch_update(SeqCst, SeqCst, |times| times.checked_sub(1)).is_ok() {
            return Ok(());
        }
        loop {
            tokio::select! {
                () = context.cancelled() => {
                    self.telling.lock().unwrap().push("ends");
                    return Ok(());
                }
                () = self.changed.notified() => {
                    context.sink().notify_resource_updated(URI).await.unwrap();
                }
            }
        }
    }

    async fn call_tool(
        &self,
        _: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        if self.modern {
            self.changed.notify_one();
        } else {
            context.peer.notify_resource_updated(ResourceUpdatedNotificationParam::new(URI)).await.unwrap();
        }
        Ok(CallToolResult::success(Vec::new()).into())
    }
}

async fn serve(shelf: Shelf) -> Arc<dyn Connector> {
    let service = StreamableHttpService::new(
        move || Ok(shelf.clone()),
        Arc::<LocalSessionManager>::default(),
        StreamableHttpServerConfig::default(),
    );
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, Router::new().nest_service("/mcp", service)).await });
    Arc::new(HttpServer::new(url).unwrap())
}

fn pool(connector: Arc<dyn Connector>) -> Pool {
    let entry = ServerEntry { connector, options: ServerOptions::default() };
    Pool::new(BTreeMap::from([("s".to_owned(), entry)]))
}

async fn is_told(connector: Arc<dyn Connector>) {
    let pool = pool(connector);
    let cx = CallContext::within(LONG);
    let hearing = Arc::new(Hearing::default());
    let subscription = pool.subscribe("s", URI, &hearing, &cx).await.unwrap();
    let arguments = to_raw_value(&json!({})).unwrap();
    pool.call("s", "change", &arguments, &cx).await.unwrap();
    let update = timeout(LONG, hearing.next()).await.unwrap();
    assert_eq!((&**subscription.server(), &*update.0, update.1), ("s", URI, Heard::Updated));
    pool.shutdown().await;
}

#[tokio::test]
async fn an_update_reaches_whoever_looks_before_and_since_2026_07_28() {
    is_told(serve(Shelf::new(false)).await).await;
    is_told(serve(Shelf::new(true)).await).await;
    is_told(Arc::new(InProcess::new(|| Shelf::new(false)))).await;
}

/// A server of 2025-11-25 whose stream of changes ends at once, is refused by what stands before it, and then stays.
async fn breaking_off() -> Arc<dyn Connector> {
    const STREAM: [(&str, &str); 1] = [("content-type", "text/event-stream")];
    let asked = Arc::new(AtomicUsize::new(0));
    let get = move || {
        ready(match asked.fetch_add(1, SeqCst) {
            0 => (STREAM, ": hello\n\n").into_response(),
            1 => StatusCode::BAD_GATEWAY.into_response(),
            _ => {
                let silence = futures::stream::pending::<Result<Bytes, Infallible>>();
                (STREAM, Body::from_stream(silence)).into_response()
            }
        })
    };
    let answer = |body: Bytes| {
        let message: Value = serde_json::from_slice(&body).unwrap();
        ready(match message["method"].as_str().unwrap() {
            "server/discover" => StatusCode::BAD_REQUEST.into_response(),
            "initialize" => {
                let result = json!({
                    "protocolVersion": "2025-11-25",
                    "capabilities": { "resources": { "subscribe": true } },
                    "serverInfo": { "name": "s", "version": "1" },
                });
                ([("mcp-session-id", "one")], rpc(&message, &result)).into_response()
            }
            _ if message["id"].is_null() => StatusCode::ACCEPTED.into_response(),
            _ => rpc(&message, &json!({ "tools": [], "resources": [], "resourceTemplates": [] })),
        })
    };
    let url = format!("{}/mcp", listen(Router::new().route("/mcp", post(answer).get(get))).await);
    Arc::new(HttpServer::new(url).unwrap())
}

/// Whoever subscribed is told, although the server says nothing.
async fn is_told_of_what_may_be(connector: Arc<dyn Connector>) {
    let (pool, hearing) = (pool(connector), Arc::new(Hearing::default()));
    let subscription = pool.subscribe("s", URI, &hearing, &CallContext::within(LONG)).await.unwrap();
    assert_eq!(timeout(LONG, hearing.next()).await.unwrap(), (URI.to_owned(), Heard::Updated));
    drop(subscription);
    pool.shutdown().await;
}

#[tokio::test]
async fn what_may_have_changed_while_a_stream_of_changes_was_broken_is_told() {
    is_told_of_what_may_be(breaking_off().await).await;
}

#[tokio::test]
async fn what_may_have_changed_while_a_server_told_of_nothing_is_told() {
    is_told_of_what_may_be(serve(Shelf::ending(1)).await).await;
}

#[tokio::test]
async fn the_telling_goes_on_until_the_next_one_has_begun() {
    let shelf = Shelf::new(true);
    let (pool, hearing) = (pool(serve(shelf.clone()).await), Arc::new(Hearing::default()));
    let cx = CallContext::within(LONG);
    let one = pool.subscribe("s", URI, &hearing, &cx).await.unwrap();
    until(|| shelf.began() == 1).await;
    let other = pool.subscribe("s", "file:///other", &hearing, &cx).await.unwrap();
    until(|| shelf.telling().len() == 3).await;
    assert_eq!(shelf.telling(), ["begins", "begins", "ends"]);
    drop((one, other));
    pool.shutdown().await;
}
