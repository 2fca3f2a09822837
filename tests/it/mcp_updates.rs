//! Resources whose contents change, told to whoever subscribed, in both ways of the protocol.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc, time::Duration};

use axum::Router;
use omni_core::mcp::{
    CallContext, Connector, Heard, Hearing, Pool, ServerOptions, http::HttpServer, in_process::InProcess,
    pool::ServerEntry,
};
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
use serde_json::{json, value::to_raw_value};
use tokio::{sync::Notify, time::timeout};

const LONG: Duration = Duration::from_secs(30);
const URI: &str = "file:///plan";

/// A server with one resource, which is another one after each call.
#[derive(Clone)]
struct Shelf {
    modern: bool,
    changed: Arc<Notify>,
}

impl Shelf {
    fn new(modern: bool) -> Self {
        Self { modern, changed: Arc::default() }
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
        loop {
            tokio::select! {
                () = context.cancelled() => return Ok(()),
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

async fn is_told(connector: Arc<dyn Connector>) {
    let entry = ServerEntry { connector, options: ServerOptions::default() };
    let pool = Pool::new(BTreeMap::from([("s".to_owned(), entry)]));
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
