//! Streamable HTTP against rmcp's own server, which speaks 2026-07-28 without sessions.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering::SeqCst},
    time::Duration,
};

use axum::Router;
use futures::{StreamExt, future::join_all};
use omni_core::mcp::{
    CallContext, Connector, McpError, McpEvent, McpTransport, McpTransportExt, Pool, ServerOptions, http::HttpServer,
    pool::ServerEntry,
};
use rmcp::transport::streamable_http_server::{
    StreamableHttpServerConfig, StreamableHttpService, session::local::LocalSessionManager,
};

use crate::mcp_in_process::{Seen, Server, call, eventually};

const LONG: Duration = Duration::from_secs(30);

async fn connect() -> (Arc<dyn McpTransport>, Arc<Seen>) {
    let (url, seen) = serve().await;
    (HttpServer::new(url).unwrap().connect(&CallContext::within(LONG)).await.unwrap(), seen)
}

async fn serve() -> (String, Arc<Seen>) {
    let seen = Arc::new(Seen::default());
    let server = Server(seen.clone());
    let service = StreamableHttpService::new(
        move || Ok(server.clone()),
        Arc::<LocalSessionManager>::default(),
        StreamableHttpServerConfig::default(),
    );
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, Router::new().nest_service("/mcp", service)).await });
    (url, seen)
}

#[tokio::test]
async fn what_a_server_tells_of_is_in_the_catalog_without_anybody_asking() {
    let (url, seen) = serve().await;
    let entry = ServerEntry { connector: Arc::new(HttpServer::new(url).unwrap()), options: ServerOptions::default() };
    let pool = Pool::new(BTreeMap::from([("s".to_owned(), entry)]));
    assert!(pool.discover().await.tool("s", "more").is_none());
    let mut changes = pool.changes();
    seen.has_more.store(true, SeqCst);
    seen.changed.notify_one();
    tokio::time::timeout(LONG, changes.changed()).await.unwrap().unwrap();
    assert!(pool.catalog().tool("s", "more").is_some());
    pool.shutdown().await;
}

#[tokio::test]
async fn tools_are_listed_and_called() {
    let (transport, _) = connect().await;
    let tools = transport.list_tools(&Arc::from("s"), &CallContext::within(LONG)).await.unwrap();
    assert_eq!(&*tools[0].name, "echo");
    let texts: Vec<String> = (0..50).map(|i| format!("{i}-{}", "x".repeat(i % 11))).collect();
    let answers = join_all(texts.iter().map(|text| call(&*transport, "echo", text, LONG))).await;
    assert_eq!(answers.into_iter().map(Result::unwrap).collect::<Vec<_>>(), texts);
    transport.close().await;
}

#[tokio::test]
async fn a_request_that_times_out_is_cancelled_at_the_server() {
    let (transport, seen) = connect().await;
    let error = call(&*transport, "hang", "", Duration::from_millis(300)).await.unwrap_err();
    assert!(matches!(error, McpError::Timeout { .. }), "{error}");
    eventually(|| seen.cancelled.load(SeqCst)).await;
}

#[tokio::test]
async fn a_server_is_asked_to_tell_when_its_tools_change() {
    let (transport, seen) = connect().await;
    let mut events = transport.events();
    seen.changed.notify_one();
    let event = tokio::time::timeout(LONG, events.next()).await.unwrap();
    assert!(matches!(event, Some(McpEvent::ToolsChanged)), "{event:?}");
    transport.close().await;
}

#[tokio::test]
async fn a_server_that_ends_the_telling_of_changes_is_asked_to_go_on() {
    let (transport, seen) = connect().await;
    seen.ends_telling.store(true, SeqCst);
    let mut events = transport.events();
    seen.changed.notify_one();
    for _ in 0..2 {
        // The second one stands for whatever changed while nothing was told.
        let event = tokio::time::timeout(LONG, events.next()).await.unwrap();
        assert!(matches!(event, Some(McpEvent::ToolsChanged)), "{event:?}");
    }
    transport.close().await;
}
