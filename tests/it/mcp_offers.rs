//! Prompts, resources and what else servers offer beside tools, through the pool and over each transport.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use omni_core::mcp::{
    CallContext, Connector, McpError, McpReply, McpRequest, Pool, ServerOptions, http::HttpServer, pool::ServerEntry,
    sse::SseServer, stdio::StdioServer,
};
use omni_tests::parts::{Parts, base_env};
use serde_json::{Value, json, value::to_raw_value};
use tempfile::TempDir;

const LONG: Duration = Duration::from_secs(60);

fn pool(connector: Arc<dyn Connector>) -> Pool {
    let entry = ServerEntry { connector, options: ServerOptions::default() };
    Pool::new(BTreeMap::from([("s".to_owned(), entry)]))
}

fn child(parts: &Parts, args: [String; 2]) -> StdioServer {
    StdioServer::new(parts.node()).with_args(args).with_base_env(base_env())
}

async fn ask(pool: &Pool, method: &'static str, params: &Value) -> Result<Value, McpError> {
    let request = McpRequest::new(method, Some(to_raw_value(params).unwrap()));
    match pool.request("s", request, &CallContext::within(LONG)).await? {
        McpReply::Complete(raw) => Ok(serde_json::from_str(raw.get()).unwrap()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_server_everything_offers_is_listed_and_passed_through_over_each_transport() {
    let parts = Parts::find();
    let (http, sse) = (parts.serve_everything("streamableHttp"), parts.serve_everything("sse"));
    let connectors: [(&str, Arc<dyn Connector>); 3] = [
        ("stdio", Arc::new(child(&parts, [parts.everything().display().to_string(), "stdio".into()]))),
        ("sse", Arc::new(SseServer::new(sse.url("/sse")).unwrap())),
        ("http", Arc::new(HttpServer::new(http.url("/mcp")).unwrap())),
    ];
    for (kind, connector) in connectors {
        println!("{kind}");
        offers(&pool(connector)).await;
    }
}

async fn offers(pool: &Pool) {
    let catalog = pool.discover_server("s").await.unwrap();
    let view = catalog.server("s").unwrap();
    let can = &view.capabilities;
    assert!(can.prompts() && can.resources() && can.completions() && can.logging() && can.subscribe(), "{can:?}");
    assert!(can.protocol.as_deref() >= Some("2025-11-25") && can.instructions.is_some(), "{can:?}");
    let prompts: Vec<&str> = view.prompts.iter().map(|prompt| &*prompt.name).collect();
    assert!(prompts.contains(&"simple-prompt") && prompts.contains(&"args-prompt"), "{prompts:?}");
    assert!(!view.resources.is_empty() && !view.templates.is_empty(), "{view:?}");
    let raw: Value = serde_json::from_str(view.prompts[0].raw.get()).unwrap();
    assert_eq!(raw["name"], *view.prompts[0].name);

    let prompt = ask(pool, "prompts/get", &json!({ "name": "args-prompt", "arguments": { "city": "Bonn" } })).await;
    assert!(prompt.unwrap()["messages"][0]["content"]["text"].as_str().unwrap().contains("Bonn"));
    let uri = view.resources[0].uri.to_string();
    let read = ask(pool, "resources/read", &json!({ "uri": uri })).await.unwrap();
    assert_eq!(read["contents"][0]["uri"], uri);
    let argument = json!({ "name": "department", "value": "e" });
    let reference = json!({ "type": "ref/prompt", "name": "completable-prompt" });
    let completed = ask(pool, "completion/complete", &json!({ "ref": reference, "argument": argument })).await.unwrap();
    assert!(completed["completion"]["values"].is_array(), "{completed}");
    ask(pool, "logging/setLevel", &json!({ "level": "error" })).await.unwrap();
    for method in ["resources/subscribe", "resources/unsubscribe"] {
        ask(pool, method, &json!({ "uri": uri })).await.unwrap();
    }
    let unknown = ask(pool, "prompts/get", &json!({ "name": "no such prompt" })).await.unwrap_err();
    assert!(matches!(unknown, McpError::Rpc { .. }), "{unknown}");
    called_raw(pool).await;
    pool.shutdown().await;
}

async fn called_raw(pool: &Pool) {
    let params = json!({
        "name": "s__get-structured-content", "arguments": { "location": "Chicago" },
        "_meta": { "progressToken": "theirs", "io.modelcontextprotocol/clientInfo": { "name": "x", "version": "1" } },
    });
    let params = to_raw_value(&params).unwrap();
    let reply = pool.call_raw("s", "get-structured-content", &params, &CallContext::within(LONG)).await.unwrap();
    let McpReply::Complete(raw) = reply else { panic!("{reply:?}") };
    let result: Value = serde_json::from_str(raw.get()).unwrap();
    assert!(result["structuredContent"]["temperature"].is_number() && result["content"].is_array(), "{result}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_prompts_and_resources_has_none_and_its_tools_work() {
    let (parts, dir) = (Parts::find(), TempDir::new().unwrap());
    std::fs::write(dir.path().join("a.txt"), "found it").unwrap();
    let place = dir.path().canonicalize().unwrap().display().to_string();
    let pool = pool(Arc::new(child(&parts, [parts.filesystem().display().to_string(), place.clone()])));
    let catalog = pool.discover_server("s").await.unwrap();
    let view = catalog.server("s").unwrap();
    assert!(view.prompts.is_empty() && view.resources.is_empty() && !view.tools.is_empty());
    let arguments = to_raw_value(&json!({ "path": format!("{place}/a.txt") })).unwrap();
    let read = pool.call("s", "read_text_file", &arguments, &CallContext::within(LONG)).await.unwrap();
    assert!(read.for_person().contains("found it"), "{read:?}");
    let unknown = ask(&pool, "prompts/get", &json!({ "name": "x" })).await.unwrap_err();
    assert!(matches!(unknown, McpError::Rpc { .. }), "{unknown}");
    pool.shutdown().await;
}
