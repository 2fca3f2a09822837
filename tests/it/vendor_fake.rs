//! The stand-in for vendors refuses what a vendor refuses: else the tests that rely on it prove nothing.

#![expect(clippy::needless_pass_by_value, reason = "bodies read best when they are written in place")]

use omni_tests::vendor::{KEY, Mischief, Plan, Reply, Vendor};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const ANTHROPIC: &str = "/v1/messages";
const OPENAI: &str = "/v1/chat/completions";

/// Posts over a connection of its own; the answer's status and whatever came of its body.
async fn post_with(vendor: &Vendor, path: &str, key: &str, body: &Value) -> (u16, String) {
    let host = vendor.base_url().strip_prefix("http://").unwrap();
    let mut socket = TcpStream::connect(host).await.unwrap();
    let body = body.to_string();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-type: application/json\r\n\
         authorization: Bearer {key}\r\nanthropic-version: 2023-06-01\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    socket.write_all((head + &body).as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = socket.read_to_end(&mut answer).await;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, if head.contains("chunked") { dechunked(body) } else { body.to_owned() })
}

fn dechunked(mut body: &str) -> String {
    let mut whole = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap_or(0).min(rest.len());
        whole.push_str(&rest[..size]);
        body = rest[size..].strip_prefix("\r\n").unwrap_or_default();
    }
    whole
}

async fn post(vendor: &Vendor, path: &str, body: &Value) -> (u16, String) {
    post_with(vendor, path, KEY, body).await
}

/// The data of an event stream.
fn data(stream: &str) -> Vec<Value> {
    stream.lines().filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok()).collect()
}

fn tool() -> Value {
    json!({ "name": "s__echo", "description": "Echoes", "input_schema": { "type": "object", "properties": {} } })
}

fn anthropic(messages: Value) -> Value {
    json!({ "model": "claude-x", "max_tokens": 100, "stream": true, "messages": messages, "tools": [tool()] })
}

fn openai(messages: Value) -> Value {
    let function = json!({ "name": "s__echo", "parameters": { "type": "object", "properties": {} } });
    json!({
        "model": "gpt-x", "max_tokens": 100, "stream": true, "stream_options": { "include_usage": true },
        "messages": messages, "tools": [{ "type": "function", "function": function }]
    })
}

fn user(text: &str) -> Value {
    json!({ "role": "user", "content": text })
}

fn changed(mut body: Value, pointer: &str, value: Value) -> Value {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let parent = body.pointer_mut(parent).unwrap();
    match parent {
        Value::Array(list) => list[key.parse::<usize>().unwrap()] = value,
        parent => parent[key] = value,
    }
    body
}

#[tokio::test]
async fn good_request_is_answered_in_both_dialects() {
    let vendor = Vendor::start().await;
    let (status, stream) = post(&vendor, ANTHROPIC, &anthropic(json!([user("Hello #plain good day")]))).await;
    let text: String =
        data(&stream).iter().filter_map(|event| event["delta"]["text"].as_str().map(str::to_owned)).collect();
    assert_eq!((status, text.as_str()), (200, "good day"));
    let (status, stream) = post(&vendor, OPENAI, &openai(json!([user("#plain good day")]))).await;
    let chunks = data(&stream);
    let text: String =
        chunks.iter().filter_map(|c| c["choices"][0]["delta"]["content"].as_str().map(str::to_owned)).collect();
    assert_eq!((status, text.as_str()), (200, "good day"));
    assert!(chunks.last().unwrap()["usage"]["prompt_tokens"].as_u64().unwrap() > 0);
    assert!(stream.ends_with("data: [DONE]\n\n"));
    assert_eq!(vendor.violations(), Vec::<String>::new());
    assert_eq!(vendor.requests().len(), 2);
}

#[tokio::test]
async fn wrong_key_is_refused_but_is_no_violation() {
    let vendor = Vendor::start().await;
    for (path, body) in [(ANTHROPIC, anthropic(json!([user("x")]))), (OPENAI, openai(json!([user("x")])))] {
        assert_eq!(post_with(&vendor, path, "wrong", &body).await.0, 401);
    }
    assert!(vendor.violations().is_empty());
}

#[tokio::test]
async fn bad_request_to_anthropic_is_refused_and_kept() {
    let good = || anthropic(json!([user("x")]));
    let call =
        json!({ "role": "assistant", "content": [{ "type": "tool_use", "id": "t1", "name": "s__echo", "input": {} }] });
    let result = |id: &str| json!({ "type": "tool_result", "tool_use_id": id, "content": "ok" });
    let answered = |blocks: Value| anthropic(json!([user("x"), call.clone(), { "role": "user", "content": blocks }]));
    let text = json!({ "type": "text", "text": "and" });
    let marked = json!({ "type": "text", "text": "x", "cache_control": { "type": "ephemeral" } });
    let signed = json!({ "type": "thinking", "thinking": "hm", "signature": "forged" });
    let schema = |value: Value| changed(good(), "/tools/0/input_schema", value);
    for (body, reason) in [
        (changed(good(), "/stream", json!(false)), "stream"),
        (changed(good(), "/max_tokens", json!(null)), "max_tokens"),
        (changed(good(), "/unknown", json!(1)), "unknown: Extra inputs"),
        (changed(good(), "/messages", json!([])), "at least one message"),
        (changed(good(), "/messages/0/role", json!("assistant")), "first message"),
        (anthropic(json!([user("x"), user("y")])), "in a row"),
        (anthropic(json!([user("")])), "non-empty"),
        (anthropic(json!([user("x"), call.clone()])), "without `tool_result`"),
        (answered(json!([text, result("t1")])), "without `tool_result`"),
        (answered(json!([result("t1"), result("t1")])), "single result"),
        (answered(json!([result("t1"), result("t2")])), "unexpected `tool_use_id`"),
        (
            answered(json!([{ "type": "tool_result", "tool_use_id": "t1", "is_error": true, "content": [] }])),
            "cannot be empty",
        ),
        (anthropic(json!([user("x"), { "role": "assistant", "content": [signed] }, user("y")])), "signature"),
        (anthropic(json!([{ "role": "user", "content": [marked, marked, marked, marked, marked] }])), "Found 5"),
        (changed(good(), "/tools/0/name", json!("a.b")), "should match"),
        (changed(good(), "/tools/0/name", json!("x".repeat(129))), "at most 128"),
        (changed(good(), "/tools", json!([tool(), tool()])), "unique"),
        (schema(json!({ "properties": {} })), "type"),
        (schema(json!({ "type": "object", "anyOf": [] })), "top level"),
        (schema(json!({ "type": "object", "properties": { "a b": {} } })), "Property keys"),
        (schema(json!({ "type": "object", "properties": { "a": { "type": "x" } } })), "2020-12"),
    ] {
        let vendor = Vendor::start().await;
        let (status, answer) = post(&vendor, ANTHROPIC, &body).await;
        assert_eq!(status, 400, "{body}");
        assert!(answer.contains(&reason.replace('"', "\\\"")), "{answer}, not {reason}");
        assert_eq!(vendor.violations().len(), 1, "{body}");
    }
}

#[tokio::test]
async fn bad_request_to_openai_is_refused_and_kept() {
    let good = || openai(json!([user("x")]));
    let call = json!({ "id": "c1", "type": "function", "function": { "name": "s__echo", "arguments": "{}" } });
    let calls = json!({ "role": "assistant", "content": null, "tool_calls": [call] });
    let schema = |value: Value| changed(good(), "/tools/0/function/parameters", value);
    for (body, reason) in [
        (changed(good(), "/thinking", json!({})), "Unrecognized request argument"),
        (changed(good(), "/stream_options", json!(null)), "include_usage"),
        (openai(json!([user("x"), calls.clone()])), "without response messages"),
        (openai(json!([user("x"), calls.clone(), user("y")])), "without response messages"),
        (openai(json!([user("x"), { "role": "tool", "tool_call_id": "c9", "content": "ok" }])), "must answer"),
        (openai(json!([user("x"), { "role": "assistant", "content": "" }])), "expected a string"),
        (changed(good(), "/tools/0/function/name", json!("x".repeat(65))), "at most 64"),
        (schema(json!({ "type": "object" })), "missing properties"),
        (schema(json!({ "type": "object", "properties": {}, "not": {} })), "top level"),
        (schema(json!({ "type": "object", "properties": { "a": { "type": "array" } } })), "missing items"),
    ] {
        let vendor = Vendor::start().await;
        let (status, answer) = post(&vendor, OPENAI, &body).await;
        assert_eq!(status, 400, "{body}");
        assert!(answer.contains(reason), "{answer}, not {reason}");
        assert_eq!(vendor.violations().len(), 1, "{body}");
    }
}

#[tokio::test]
async fn call_is_answered_and_told() {
    let vendor = Vendor::start().await;
    let question = user("#tool s__echo {\"message\":\"hi\"}");
    let (_, stream) = post(&vendor, ANTHROPIC, &anthropic(json!([question]))).await;
    let events = data(&stream);
    let block =
        events.iter().find(|event| event["content_block"]["type"] == "tool_use").unwrap()["content_block"].clone();
    let input: String = events.iter().filter_map(|e| e["delta"]["partial_json"].as_str().map(str::to_owned)).collect();
    assert_eq!((block["name"].as_str().unwrap(), input.as_str()), ("s__echo", r#"{"message":"hi"}"#));
    let used = json!({ "type": "tool_use", "id": block["id"], "name": "s__echo", "input": { "message": "hi" } });
    let result = json!({ "type": "tool_result", "tool_use_id": block["id"], "content": [{ "type": "text", "text": "it said hi" }] });
    let history =
        json!([question, { "role": "assistant", "content": [used] }, { "role": "user", "content": [result] }]);
    let (_, stream) = post(&vendor, ANTHROPIC, &anthropic(history)).await;
    let text: String =
        data(&stream).iter().filter_map(|event| event["delta"]["text"].as_str().map(str::to_owned)).collect();
    assert_eq!(text, "Tool results: it said hi");
    assert!(vendor.violations().is_empty(), "{:?}", vendor.violations());
}

#[tokio::test]
async fn thought_must_come_back_as_and_where_it_was_while_its_question_runs() {
    let vendor = Vendor::start().await;
    let question = user("#thinktool s__echo");
    let (_, stream) = post(&vendor, ANTHROPIC, &anthropic(json!([question]))).await;
    let events = data(&stream);
    let joined =
        |key: &str| -> String { events.iter().filter_map(|e| e["delta"][key].as_str().map(str::to_owned)).collect() };
    let id = events.iter().find(|event| event["content_block"]["type"] == "tool_use").unwrap()["content_block"]["id"]
        .clone();
    let thought = json!({ "type": "thinking", "thinking": joined("thinking"), "signature": joined("signature") });
    let used = json!({ "type": "tool_use", "id": id, "name": "s__echo", "input": {} });
    let result = json!({ "type": "tool_result", "tool_use_id": id, "content": "ok" });
    let history = |blocks: Value| {
        anthropic(
            json!([question, { "role": "assistant", "content": blocks }, { "role": "user", "content": [result] }]),
        )
    };
    assert_eq!(post(&vendor, ANTHROPIC, &history(json!([thought, used]))).await.0, 200);
    assert_eq!(post(&vendor, ANTHROPIC, &history(json!([used]))).await.0, 400);
    let altered = changed(json!([thought, used]), "/0/thinking", json!("another thought"));
    assert_eq!(post(&vendor, ANTHROPIC, &history(altered)).await.0, 400);
    let elsewhere = changed(history(json!([thought, used])), "/system", json!("Another prompt."));
    let (status, refusal) = post(&vendor, ANTHROPIC, &elsewhere).await;
    assert!(status == 400 && refusal.contains("bound to a different conversation"), "{refusal}");
    let mut later = history(json!([used]));
    later["messages"].as_array_mut().unwrap().extend([json!({ "role": "assistant", "content": "ok" }), user("y")]);
    assert_eq!(post(&vendor, ANTHROPIC, &later).await.0, 200);
}

#[tokio::test]
async fn first_attempts_fail_and_then_it_recovers() {
    for path in [ANTHROPIC, OPENAI] {
        let vendor = Vendor::start().await;
        let ask =
            |text: &str| if path == ANTHROPIC { anthropic(json!([user(text)])) } else { openai(json!([user(text)])) };
        for (text, status) in [("#429 n=2", 429), ("#529 n=2", 529), ("#500 n=2", 500)] {
            for expected in [status, status, 200] {
                assert_eq!(post(&vendor, path, &ask(text)).await.0, expected, "{text}");
            }
        }
        assert_eq!(post(&vendor, path, &ask("#401")).await.0, 401);
        assert!(vendor.violations().is_empty());
    }
}

#[tokio::test]
async fn streams_break_as_told() {
    let vendor = Vendor::start().await;
    for path in [ANTHROPIC, OPENAI] {
        for (text, mark) in
            [("#cut", None), ("#malformed", Some("content_block_del\n")), ("#streamerror", Some("_error\""))]
        {
            let body = if path == ANTHROPIC { anthropic(json!([user(text)])) } else { openai(json!([user(text)])) };
            let (status, stream) = post(&vendor, path, &body).await;
            assert_eq!(status, 200);
            assert!(!stream.contains("message_stop") && !stream.contains("[DONE]"), "{stream}");
            assert!(data(&stream).len() >= 4, "{stream}");
            assert!(mark.is_none_or(|mark| stream.contains(mark)), "{stream}");
        }
    }
}

#[tokio::test]
async fn queued_answer_comes_before_any_scenario() {
    let vendor = Vendor::start().await;
    vendor.push(Reply::Turn(Plan::text("queued").with_usage(7, 3, 2)));
    vendor.push(Reply::Body(502, "text/html".into(), "<h1>Bad Gateway</h1>".into()));
    let (_, stream) = post(&vendor, ANTHROPIC, &anthropic(json!([user("#401")]))).await;
    let usage = data(&stream)[0]["message"]["usage"].clone();
    assert_eq!((usage["input_tokens"].as_u64(), usage["cache_read_input_tokens"].as_u64()), (Some(7), Some(2)));
    let answer = post(&vendor, OPENAI, &openai(json!([user("x")]))).await;
    assert_eq!(answer, (502, "<h1>Bad Gateway</h1>".into()));
}

#[tokio::test]
async fn changed_prefix_is_a_violation_once_it_is_watched() {
    let vendor = Vendor::start().await;
    let said = json!({ "role": "assistant", "content": "yes" });
    let first = anthropic(json!([user("x")]));
    let next = anthropic(json!([user("x"), said, user("y")]));
    let other_tools = changed(next.clone(), "/tools/0/description", json!("Other"));
    let other_past = changed(
        anthropic(json!([user("x"), { "role": "assistant", "content": "no" }, user("y")])),
        "/stream",
        json!(true),
    );
    vendor.check_prefixes();
    for (body, status) in [(&first, 200), (&next, 200), (&other_tools, 400), (&other_past, 400)] {
        assert_eq!(post(&vendor, ANTHROPIC, body).await.0, status, "{body}");
    }
    assert_eq!(vendor.violations().len(), 2, "{:?}", vendor.violations());
}

#[tokio::test]
async fn client_that_leaves_is_noticed() {
    let vendor = Vendor::start().await;
    vendor.push(Reply::Turn(Plan::text("a few words, enough for frames").with_mischief(Mischief::Hang)));
    let body = anthropic(json!([user("x")]));
    let left = tokio::time::timeout(std::time::Duration::from_secs(2), post(&vendor, ANTHROPIC, &body)).await;
    assert!(left.is_err(), "the stream hangs");
    for _ in 0..100 {
        if vendor.abandoned() == 1 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("the vendor did not notice");
}
