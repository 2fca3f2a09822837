//! The pool against real MCP servers, over each transport.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use omni_core::mcp::{
    CallContext, Connector, McpError, Pool, ServerOptions, ToolOutput, http::HttpServer, pool::ServerEntry,
    sse::SseServer, stdio::StdioServer,
};
use omni_tests::parts::{Parts, base_env, free_port};
use serde_json::{Value, json, value::to_raw_value};

use crate::mcp_stdio::{processes, signal};

const LONG: Duration = Duration::from_secs(60);

fn options() -> ServerOptions {
    let mut options = ServerOptions::default();
    options.connect_timeout = LONG;
    options
}

fn pool(connector: impl Connector + 'static) -> Pool {
    pool_of([("s", Arc::new(connector) as Arc<dyn Connector>, options())])
}

fn pool_of<const N: usize>(servers: [(&str, Arc<dyn Connector>, ServerOptions); N]) -> Pool {
    let entry = |(name, connector, options): (&str, _, _)| (name.to_owned(), ServerEntry { connector, options });
    Pool::new(servers.into_iter().map(entry).collect::<BTreeMap<_, _>>())
}

async fn call(pool: &Pool, tool: &str, arguments: Value) -> Result<ToolOutput, McpError> {
    pool.call("s", tool, &to_raw_value(&arguments).unwrap(), &CallContext::within(LONG)).await
}

fn everything(marker: &str) -> StdioServer {
    let parts = Parts::find();
    let script = parts.everything().display().to_string();
    StdioServer::new(parts.node()).with_args([script.as_str(), "stdio", marker]).with_base_env(base_env())
}

/// What every transport must do with server-everything.
async fn talks_to_everything(pool: &Pool) {
    let catalog = pool.discover().await;
    assert!(catalog.servers[0].health.is_healthy(), "{:?}", catalog.servers[0].health);
    assert!(catalog.tools().count() >= 10);
    let echo = catalog.tool("s", "echo").unwrap();
    assert!(echo.input_schema.get().contains("\"message\""));
    assert_eq!(call(pool, "echo", json!({ "message": "hi" })).await.unwrap().for_person(), "Echo: hi");
    pictures_arrive(pool).await;
    progress_arrives(pool).await;
    pool.shutdown().await;
    assert!(call(pool, "echo", json!({ "message": "hi" })).await.is_err());
}

async fn pictures_arrive(pool: &Pool) {
    let picture = call(pool, "get-tiny-image", json!({})).await.unwrap();
    let image = |part: &omni_core::llm::ResultPart| matches!(part, omni_core::llm::ResultPart::Image { mime, .. } if mime == "image/png");
    assert!(picture.for_model().iter().any(image), "{picture:?}");
    let structured = call(pool, "get-structured-content", json!({ "location": "Chicago" })).await.unwrap();
    assert!(structured.structured.is_some(), "{structured:?}");
}

async fn progress_arrives(pool: &Pool) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let heard = seen.clone();
    let cx = CallContext::within(LONG)
        .with_progress(Arc::new(move |progress| heard.lock().unwrap().push(progress.progress)));
    let arguments = to_raw_value(&json!({ "duration": 1, "steps": 3 })).unwrap();
    pool.call("s", "trigger-long-running-operation", &arguments, &cx).await.unwrap();
    assert_eq!(*seen.lock().unwrap(), [1.0, 2.0, 3.0]);
}

#[tokio::test]
async fn server_everything_over_stdio() {
    talks_to_everything(&pool(everything("over-stdio"))).await;
    assert_eq!(processes("over-stdio"), [0_u32; 0], "shutdown leaves no process");
}

#[tokio::test]
async fn server_everything_over_streamable_http() {
    let server = Parts::find().serve_everything("streamableHttp");
    talks_to_everything(&pool(HttpServer::new(server.url("/mcp")).unwrap())).await;
}

#[tokio::test]
async fn server_everything_over_sse() {
    let server = Parts::find().serve_everything("sse");
    talks_to_everything(&pool(SseServer::new(server.url("/sse")).unwrap())).await;
}

#[tokio::test]
async fn server_filesystem_over_stdio() {
    let parts = Parts::find();
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("note.txt"), "from the file\n").unwrap();
    let args = [parts.filesystem().display().to_string(), dir.path().display().to_string()];
    let pool = pool(StdioServer::new(parts.node()).with_args(args).with_base_env(base_env()));
    assert!(pool.discover().await.tool("s", "read_text_file").is_some());
    let note = dir.path().join("note.txt");
    let output = call(&pool, "read_text_file", json!({ "path": note })).await.unwrap();
    assert_eq!(output.for_person().trim(), "from the file");
    let outside = call(&pool, "read_text_file", json!({ "path": "/etc/hostname" })).await.unwrap();
    assert!(outside.is_error, "{outside:?}");
    pool.shutdown().await;
}

#[tokio::test]
async fn mcp_server_time_over_stdio() {
    let parts = Parts::find();
    let env = base_env().into_iter().chain([("TZ".to_owned(), "UTC".to_owned())]);
    let pool = pool(StdioServer::new(parts.time().display().to_string()).with_base_env(env));
    assert!(pool.discover().await.tool("s", "get_current_time").is_some());
    let output = call(&pool, "get_current_time", json!({ "timezone": "UTC" })).await.unwrap();
    assert!(output.for_person().contains("UTC"), "{output:?}");
    pool.shutdown().await;
}

#[tokio::test]
async fn a_server_killed_in_mid_call_fails_that_call_at_once_and_comes_back() {
    let pool = Arc::new(pool(everything("killed-in-mid-call")));
    pool.discover().await;
    let running = tokio::spawn({
        let pool = pool.clone();
        async move { call(&pool, "trigger-long-running-operation", json!({ "duration": 50, "steps": 5 })).await }
    });
    tokio::time::sleep(Duration::from_millis(500)).await;
    let killed = processes("killed-in-mid-call");
    assert_eq!(killed.len(), 1);
    signal("-9", killed[0]);
    let error = running.await.unwrap().unwrap_err();
    assert!(matches!(error, McpError::Closed { unsent: false, .. }), "{error}");
    assert_eq!(call(&pool, "echo", json!({ "message": "again" })).await.unwrap().for_person(), "Echo: again");
    assert!(pool.discover().await.servers[0].health.is_healthy());
    pool.shutdown().await;
}

#[tokio::test]
async fn a_restarted_http_server_is_connected_to_anew() {
    let (parts, port) = (Parts::find(), free_port());
    for (mode, path) in [("streamableHttp", "/mcp"), ("sse", "/sse")] {
        let server = parts.serve_everything_at(mode, port);
        let url = server.url(path);
        let connector: Arc<dyn Connector> = match mode {
            "sse" => Arc::new(SseServer::new(url).unwrap()),
            _ => Arc::new(HttpServer::new(url).unwrap()),
        };
        let pool = pool_of([("s", connector, options())]);
        call(&pool, "echo", json!({ "message": "1" })).await.unwrap();
        drop(server);
        let server = parts.serve_everything_at(mode, port);
        // The first call may still go to the session that nobody knows any more; it does not hang.
        let second = call(&pool, "echo", json!({ "message": "2" })).await;
        assert!(!matches!(second, Err(McpError::Timeout { .. })), "{mode}: {second:?}");
        assert_eq!(call(&pool, "echo", json!({ "message": "3" })).await.unwrap().for_person(), "Echo: 3", "{mode}");
        pool.shutdown().await;
        drop(server);
    }
}

#[tokio::test]
async fn dead_and_hung_servers_cost_their_own_deadline_and_fail_nobody() {
    let mut short = options();
    short.connect_timeout = Duration::from_secs(3);
    let dead = HttpServer::new(format!("http://127.0.0.1:{}/mcp", free_port())).unwrap();
    let hung = StdioServer::new("/bin/sh").with_args(["-c", "sleep 600"]);
    let pool = pool_of([
        ("dead", Arc::new(dead), short.clone()),
        ("hung", Arc::new(hung), short),
        ("s", Arc::new(everything("beside-the-dead")), options()),
    ]);
    let catalog = pool.discover().await;
    let health: Vec<bool> = catalog.servers.iter().map(|server| server.health.is_healthy()).collect();
    assert_eq!(health, [false, false, true]);
    let reason = |n: usize| format!("{:?}", catalog.servers[n].health);
    assert!(reason(0).contains("cannot connect") && reason(1).contains("no answer within"), "{catalog:?}");
    assert_eq!(pool.discover().await.version, catalog.version, "a failure is remembered");
    assert_eq!(call(&pool, "echo", json!({ "message": "hi" })).await.unwrap().for_person(), "Echo: hi");
    pool.shutdown().await;
}

#[tokio::test]
async fn a_discovery_without_news_keeps_the_version() {
    let pool = pool(everything("without-news"));
    let first = pool.discover().await;
    assert_eq!(pool.discover().await.version, first.version);
    assert_eq!(pool.refresh().await.version, first.version);
    pool.shutdown().await;
}
