//! Arguments that are headers too: whatever stands before omni may have gone by the headers.

use omni_core::OmniBuilder;
use omni_tests::{
    door::{Door, Reply},
    server::{FakeServer, text},
};
use serde_json::{Value, json};

use super::modern::{Modern, TASKS};

fn lab(builder: OmniBuilder) -> OmniBuilder {
    let schema = json!({ "type": "object", "properties": {
        "region": { "type": "string", "x-mcp-header": "Region" },
        "count": { "type": "integer", "x-mcp-header": "Count" },
        "in": { "type": "object", "properties": { "deep": { "type": "boolean", "x-mcp-header": "Deep" } } },
        "query": { "type": "string" } } });
    let lab = FakeServer::new().tool("run", schema, |_| Box::pin(async { Ok(text("ran")) }));
    builder.server("lab", lab.clone()).server("other", FakeServer::echo())
}

/// The code with which a call is refused that has these headers; `None` where it ran.
async fn refusal(client: &Modern<'_>, arguments: &Value, headers: &[(&str, &str)]) -> Option<i64> {
    let request = client.request("tools/call", json!({ "name": "lab__run", "arguments": arguments }));
    let reply = Reply::of(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))).await;
    let answer = super::modern::message(&reply);
    let code = answer["error"]["code"].as_i64();
    assert_eq!(reply.status, if code.is_some() { 400 } else { 200 }, "{reply:?}");
    assert!(code.is_some() || answer["result"]["content"][0]["text"] == "ran", "{answer}");
    code
}

/// By the short way and by rmcp's, which a client takes that can be asked something.
#[tokio::test(flavor = "multi_thread")]
async fn a_header_that_does_not_say_what_its_argument_says_is_refused_by_either_way() {
    for can in [json!({}), json!({ "elicitation": {}, "extensions": { TASKS: {} } })] {
        let door = Door::with(|_| {}, lab).await;
        let client = Modern::new(&door, can.clone()).await;
        let all = json!({ "region": "eu", "count": 42, "in": { "deep": true }, "query": "q" });
        let right = [("mcp-param-region", "eu"), ("Mcp-Param-Count", "42"), ("mcp-param-deep", "true")];
        assert_eq!(refusal(&client, &all, &right).await, None, "{can}");
        assert_eq!(refusal(&client, &json!({ "query": "q" }), &[]).await, None, "no argument, no header");
        assert_eq!(
            refusal(&client, &json!({ "region": "\u{e4}" }), &[("mcp-param-region", "=?base64?w6Q=?=")]).await,
            None
        );
        assert_eq!(refusal(&client, &json!({ "count": 42 }), &[("mcp-param-count", "42.0")]).await, None);
        for (arguments, headers) in [
            (&all, &right[1..]),
            (&all, &[right[0], right[1], ("mcp-param-deep", "false")]),
            (&json!({ "region": "eu" }), &[("mcp-param-region", "us")]),
            (&json!({ "region": "eu" }), &[("mcp-param-region", "eu"), ("mcp-param-region", "us")]),
            (&json!({ "region": "eu" }), &[("mcp-param-region", "=?base64?dXM=?=")]),
            (&json!({ "region": "eu" }), &[("mcp-param-region", "=?base64?!?=")]),
            (&json!({ "count": 42 }), &[("mcp-param-count", "42.5")]),
            (&json!({ "region": "42" }), &[("mcp-param-region", "42.0")]),
            (&json!({}), &[("mcp-param-region", "eu")]),
        ] {
            assert_eq!(refusal(&client, arguments, headers).await, Some(-32_020), "{can} {arguments} {headers:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_tool_wants_in_headers_is_told_to_nobody_who_may_not_use_it() {
    let door = Door::with(|_| {}, lab).await;
    let client = Modern::new(&door, json!({})).await;
    for tool in ["lab__none", "other__none"] {
        let answer = client.ask("tools/call", json!({ "name": tool, "arguments": { "region": "eu" } })).await;
        assert_eq!(answer["error"]["code"], -32_602, "{answer}");
    }
    let encoded = client.request("tools/call", json!({ "name": "lab__run", "arguments": {} }));
    let (http, built) = encoded.build_split();
    let mut request = built.unwrap();
    request.headers_mut().insert("mcp-name", "=?base64?b3RoZXI=?=".parse().unwrap());
    let refused = http.execute(request).await.unwrap();
    assert_eq!(refused.status(), 400, "a name in another form is no way around");
}
