use std::{sync::Mutex, time::Duration};

use async_trait::async_trait;
use futures::stream::{BoxStream, empty};
use serde_json::Value;

use super::{definition::MAX_SCHEMA_BYTES, *};
use crate::mcp::{McpEvent, McpTransportExt};

/// Answers each request with the next reply; the last one again and again.
#[derive(Debug)]
struct Replies {
    replies: Mutex<Vec<Value>>,
    asked: Mutex<Vec<String>>,
}

impl Replies {
    fn new(replies: Vec<Value>) -> Self {
        Self { replies: Mutex::new(replies), asked: Mutex::default() }
    }
}

#[async_trait]
impl McpTransport for Replies {
    async fn request(&self, request: McpRequest, _: &CallContext) -> Result<McpReply, McpError> {
        let params = request.params.map_or_else(String::new, |params| params.get().to_owned());
        self.asked.lock().unwrap().push(params);
        let mut replies = self.replies.lock().unwrap();
        let reply = if replies.len() > 1 { replies.remove(0) } else { replies[0].clone() };
        Ok(McpReply::Complete(to_raw_value(&reply).unwrap()))
    }

    fn events(&self) -> BoxStream<'static, McpEvent> {
        Box::pin(empty())
    }

    async fn close(&self) {}
}

async fn list(replies: Vec<Value>) -> (Vec<ToolDef>, Vec<String>) {
    let transport = Replies::new(replies);
    let tools = transport.list_tools(&Arc::from("s"), &CallContext::within(Duration::from_secs(5))).await.unwrap();
    (tools, transport.asked.into_inner().unwrap())
}

fn names(tools: &[ToolDef]) -> Vec<&str> {
    tools.iter().map(|tool| &*tool.name).collect()
}

#[tokio::test]
async fn all_pages_are_read() {
    let (tools, asked) = list(vec![
        json!({ "tools": [{ "name": "a", "inputSchema": {} }], "nextCursor": "2" }),
        json!({ "tools": [{ "name": "b", "inputSchema": {} }] }),
    ])
    .await;
    assert_eq!(names(&tools), ["a", "b"]);
    assert_eq!(asked, ["", r#"{"cursor":"2"}"#]);
}

#[tokio::test]
async fn a_list_that_is_null_has_no_entries_and_one_that_is_not_there_is_an_error() {
    assert!(list(vec![json!({ "tools": null, "nextCursor": null, "ttlMs": null })]).await.0.is_empty());
    let missing = Replies::new(vec![json!({ "prompts": null })]);
    let error = missing.list_tools(&Arc::from("s"), &CallContext::within(Duration::from_secs(5))).await.unwrap_err();
    assert!(error.to_string().contains("has no list"), "{error}");
}

#[tokio::test]
async fn for_how_long_a_list_holds_takes_no_tool_away_whatever_a_server_says_of_it() {
    for (ttl, fresh_for) in [
        (json!(-1), Some(Duration::ZERO)),
        (json!(2_500.9), Some(Duration::from_millis(2_500))),
        (json!("soon"), None),
        (json!({ "minutes": 5 }), None),
    ] {
        let listed = everything(json!({ "tools/list": { "tools": [{ "name": "t" }], "ttlMs": ttl } })).await;
        assert_eq!((listed.tools.len(), listed.fresh_for), (1, fresh_for), "{ttl}");
    }
}

#[tokio::test]
async fn a_list_that_goes_round_in_circles_ends() {
    let (tools, asked) =
        list(vec![json!({ "tools": [{ "name": "a", "inputSchema": {} }], "nextCursor": "again" })]).await;
    assert_eq!(names(&tools), ["a"]);
    assert_eq!(asked.len(), 2);
}

#[tokio::test]
async fn a_list_without_end_is_cut() {
    let mut pages: Vec<Value> = (0..200).map(|i| json!({ "tools": [], "nextCursor": i.to_string() })).collect();
    pages.push(json!({ "tools": [] }));
    assert_eq!(list(pages).await.1.len(), MAX_PAGES);
}

#[tokio::test]
async fn a_list_without_measure_is_cut() {
    let page = |n: usize| {
        let tool = |i: usize| json!({ "name": format!("{n}-{i}"), "description": "x".repeat(1024 * 1024) });
        json!({ "tools": (0..8).map(tool).collect::<Vec<_>>(), "nextCursor": n.to_string() })
    };
    let (tools, asked) = list((0..5).map(page).collect()).await;
    assert_eq!((tools.len(), asked.len()), (31, 4));
}

#[tokio::test]
async fn tools_that_cannot_be_used_are_left_out_alone() {
    let (tools, _) = list(vec![json!({ "tools": [
        { "name": "good", "inputSchema": {}, "annotations": "none" },
        { "name": "good", "description": "a second one", "inputSchema": {} },
        { "name": "", "inputSchema": {} },
        { "name": "hid\u{200B}den", "inputSchema": {} },
        { "name": 7 },
        { "name": "large", "inputSchema": { "description": "x".repeat(MAX_SCHEMA_BYTES) } },
        { "name": "list", "inputSchema": [] },
        { "name": "bare" },
    ] })])
    .await;
    assert_eq!(names(&tools), ["good", "bare"]);
    assert_eq!(tools[0].description, "");
}

#[tokio::test]
async fn a_definition_is_taken_over_whole() {
    let (tools, _) = list(vec![json!({ "tools": [{
        "name": "t", "title": "T", "description": "does\u{202E} it",
        "inputSchema": { "type": "object", "x-own": { "z": 1, "a": 2 } },
        "outputSchema": { "type": "object" },
        "annotations": { "readOnlyHint": true, "somethingNew": 1 },
    }] })])
    .await;
    let tool = &tools[0];
    assert_eq!((tool.title.as_deref(), &*tool.description), (Some("T"), "does it"));
    assert!(tool.input_schema.get().contains("x-own"));
    assert!(tool.output_schema.is_some());
    assert_eq!(tool.annotations.read_only_hint, Some(true));
}

#[test]
fn a_hint_of_the_wrong_shape_takes_no_other_hint_away() {
    for (hints, is_destructive, is_read_only) in [
        (r#"{"title":5,"destructiveHint":true}"#, Some(true), None),
        (r#"{"readOnlyHint":"false","destructiveHint":true}"#, Some(true), None),
        (r#"{"destructiveHint":true,"destructiveHint":false,"readOnlyHint":true}"#, Some(true), Some(true)),
        (r#"{"destructiveHint":false,"destructiveHint":null}"#, None, None),
        (r#"{"readOnlyHint":true,"readOnlyHint":false,"destructiveHint":false}"#, Some(false), None),
        (r#"{"readOnlyHint":true,"readOnlyHint":true,"idempotentHint":[]}"#, None, Some(true)),
        (r#"{"\ud800":1,"destructiveHint":true}"#, Some(true), None),
        (r#"["destructiveHint"]"#, None, None),
    ] {
        let raw = RawValue::from_string(format!(r#"{{"name":"t","inputSchema":{{}},"annotations":{hints}}}"#)).unwrap();
        let tool = ToolDef::read(&Arc::from("s"), raw).unwrap();
        let read = (tool.annotations.destructive_hint, tool.annotations.read_only_hint);
        assert_eq!(read, (is_destructive, is_read_only), "{hints}");
        assert_eq!(tool.annotations.title, None, "{hints}");
    }
}

/// Has a list for each method, and says that it has all of them.
#[derive(Debug)]
struct Offers(Value);

#[async_trait]
impl McpTransport for Offers {
    async fn request(&self, request: McpRequest, _: &CallContext) -> Result<McpReply, McpError> {
        match self.0.get(&*request.method) {
            Some(list) => Ok(McpReply::Complete(to_raw_value(list).unwrap())),
            None => Err(McpError::rpc(-32603, "broken")),
        }
    }

    fn capabilities(&self) -> Arc<ServerCapabilities> {
        Arc::new(ServerCapabilities::new("2025-11-25", json!({ "tools": {}, "prompts": {}, "resources": {} })))
    }

    fn events(&self) -> BoxStream<'static, McpEvent> {
        Box::pin(empty())
    }

    async fn close(&self) {}
}

async fn everything(offers: Value) -> Listed {
    let cx = CallContext::within(Duration::from_secs(5));
    Offers(offers).list_everything(&Arc::from("s"), &cx).await.unwrap()
}

#[tokio::test]
async fn prompts_and_resources_are_listed_with_what_omni_does_not_know_of_them() {
    let prompt = json!({ "name": "p", "title": "P", "description": "d", "icons": [{ "src": "i" }], "arguments": [] });
    let listed = everything(json!({
        "tools/list": { "tools": [{ "name": "t", "icons": [1], "_meta": { "a": 1 } }], "ttlMs": 9_000 },
        "prompts/list": { "prompts": [prompt, { "title": "no name" }], "ttlMs": 5_000, "cacheScope": "public" },
        "resources/list": { "resources": [{ "uri": "file:///a", "name": "a", "size": 7 }, { "name": "no uri" }] },
        "resources/templates/list": { "resourceTemplates": [{ "uriTemplate": "file:///{x}", "name": "x" }] },
    }))
    .await;
    let (prompt, resource) = (&listed.prompts[0], &listed.resources[0]);
    assert_eq!((&*prompt.name, prompt.title.as_deref(), &*prompt.description), ("p", Some("P"), "d"));
    assert!(prompt.raw.get().contains("icons") && resource.raw.get().contains("\"size\":7"));
    assert_eq!((&*resource.uri, &*listed.templates[0].uri_template), ("file:///a", "file:///{x}"));
    assert_eq!((listed.prompts.len(), listed.resources.len()), (1, 1));
    assert_eq!(listed.tools[0].definition().get(), r#"{"_meta":{"a":1},"icons":[1],"name":"t"}"#);
    assert_eq!(listed.fresh_for, Some(Duration::from_secs(5)), "the shortest counts");
}

#[tokio::test]
async fn a_server_whose_prompts_cannot_be_listed_keeps_its_tools() {
    let listed = everything(json!({ "tools/list": { "tools": [{ "name": "t" }] } })).await;
    assert_eq!((listed.tools.len(), listed.prompts.len(), listed.resources.len()), (1, 0, 0));
}
