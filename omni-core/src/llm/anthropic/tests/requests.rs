//! What goes over the wire, as golden JSON.

use super::*;

fn raw(json: &str) -> Box<RawValue> {
    RawValue::from_string(json.into()).unwrap()
}

fn call(id: &str, input: &str) -> Block {
    Block::ToolUse { id: id.into(), name: "db__query".into(), input: raw(input) }
}

fn result(id: &str, text: &str, is_error: bool) -> Block {
    Block::ToolResult { id: id.into(), content: vec![ResultPart::Text { text: text.into() }], is_error }
}

fn thinking() -> Block {
    let raw = raw(r#"{"type":"thinking", "thinking":"Hm.","signature":"c2ln"}"#);
    Block::Opaque { provider: "anthropic".into(), model: "claude-haiku-5-5".into(), raw }
}

fn first_turn() -> ChatRequest {
    let mut request = ChatRequest::new("claude-haiku-5-5", vec![Message::user("Which are slow?")], 1024);
    request.system = "You are omni.".into();
    request.tools = tools(&[
        ("db", "query", "Runs SQL.", r#"{"type":"object","properties":{"sql":{"type":"string"}},"required":["sql"]}"#),
        ("db", "list", "", r#"{"type":"object","properties":{}}"#),
    ]);
    request
}

pub(super) fn second_turn() -> ChatRequest {
    let mut request = first_turn();
    let mut messages = (*request.messages).clone();
    messages.push(Message::assistant(vec![
        thinking(),
        Block::text("Let me look."),
        call("t1", r#"{"sql":  1}"#),
        call("t2", "{}"),
    ]));
    messages.push(Message {
        speaker: Speaker::User,
        blocks: vec![
            Block::text("(mind the load)"),
            result("t1", "3 rows", false),
            result("t2", "no such table", true),
        ],
    });
    request.messages = Arc::new(messages);
    request
}

fn body(request: &ChatRequest) -> String {
    made(request).0
}

fn made(request: &ChatRequest) -> (String, Vec<String>) {
    let made = request::make(request, &request.model, DEFAULT_API_VERSION, request.extra.clone()).unwrap();
    (String::from_utf8(made.body).unwrap(), made.warnings)
}

fn json(request: &ChatRequest) -> Value {
    serde_json::from_str(&body(request)).unwrap()
}

#[test]
fn a_first_turn_with_tools_and_caching() {
    insta::assert_json_snapshot!(json(&first_turn()));
}

#[test]
fn a_second_turn_after_parallel_results_one_of_them_an_error() {
    insta::assert_json_snapshot!(json(&second_turn())["messages"]);
}

#[test]
fn opaque_blocks_are_replayed_byte_for_byte_to_the_same_model_only() {
    let mut request = second_turn();
    assert!(body(&request).contains(r#"{"type":"thinking", "thinking":"Hm.","signature":"c2ln"}"#));
    assert!(body(&request).contains(r#""input":{"sql":  1}"#));
    request.model = "claude-sonnet-5-5".into();
    assert!(!body(&request).contains("thinking"));
}

#[test]
fn the_prefix_of_two_turns_is_the_same_on_the_wire() {
    let marker = r#","cache_control":{"type":"ephemeral"}"#;
    let plain = |request: &ChatRequest| body(request).replace(marker, "");
    let first = plain(&first_turn());
    let prefix = first.split_once(r#"],"stream""#).unwrap().0;
    assert!(prefix.contains("Which are slow?"));
    assert!(plain(&second_turn()).starts_with(prefix));
}

#[test]
fn there_are_never_more_than_four_cache_markers() {
    let mut request = second_turn();
    let mut messages = (*request.messages).clone();
    for _ in 0..5 {
        messages.push(Message::assistant(vec![Block::text("done")]));
        messages.push(Message::user("and now?"));
    }
    request.messages = Arc::new(messages);
    let count = |request: &ChatRequest| body(request).matches("cache_control").count();
    assert_eq!(count(&request), 4);
    request.cache = CachePlan::off();
    assert_eq!(count(&request), 0);
    request.cache.prefix = true;
    assert_eq!(count(&request), 2);
}

#[test]
fn blank_text_and_empty_messages_are_left_out_and_neighbours_joined() {
    let mut request = first_turn();
    request.messages = Arc::new(vec![
        Message::user("one"),
        Message::assistant(vec![Block::text(""), Block::text(" \n")]),
        Message::user("two"),
        Message::user("three"),
    ]);
    request.cache = CachePlan::off();
    let texts = ["one", "two", "three"].map(|text| json!({"type": "text", "text": text}));
    assert_eq!(json(&request)["messages"], json!([{"role": "user", "content": texts}]));
}

#[test]
fn results_are_never_empty_and_errors_are_only_text() {
    let picture = |mime: &str| ResultPart::Image { mime: mime.into(), data: "AAAA".into() };
    let result = |id: &str, content: Vec<ResultPart>, is_error| Block::ToolResult { id: id.into(), content, is_error };
    let mut request = second_turn();
    request.cache = CachePlan::off();
    request.messages = Arc::new(vec![
        Message::user("go"),
        Message::assistant(vec![call("a", "{}"), call("b", "{}"), call("c", "{}")]),
        Message {
            speaker: Speaker::User,
            blocks: vec![
                result("a", vec![ResultPart::Text { text: String::new() }], false),
                result("b", vec![picture("image/png"), picture("image/svg+xml")], false),
                result("c", vec![picture("image/png")], true),
            ],
        },
    ]);
    insta::assert_json_snapshot!(json(&request)["messages"][2]);
}

#[test]
fn a_call_that_was_no_json_is_replayed_as_an_object_with_legal_names() {
    let mut request = second_turn();
    let odd = Block::ToolUse { id: "call:1".into(), name: "no such tool!".into(), input: raw(r#""{\"sql""#) };
    request.messages = Arc::new(vec![
        Message::user("go"),
        Message::assistant(vec![odd]),
        Message { speaker: Speaker::User, blocks: vec![result("call:1", "there is no such tool", true)] },
    ]);
    let json = json(&request);
    let call = &json["messages"][1]["content"][0];
    assert_eq!(call["input"], json!({"input": "{\"sql"}));
    assert_eq!((&call["id"], &call["name"]), (&json!("call_1"), &json!("no_such_tool_")));
    assert_eq!(json["messages"][2]["content"][0]["tool_use_id"], "call_1");
}

#[test]
fn a_name_that_the_model_made_up_may_be_as_long_as_the_vendor_takes() {
    let mut request = second_turn();
    let odd = Block::ToolUse { id: "t1".into(), name: "x".repeat(200), input: raw("{}") };
    request.messages = Arc::new(vec![Message::user("go"), Message::assistant(vec![odd])]);
    assert_eq!(json(&request)["messages"][1]["content"][0]["name"], "x".repeat(128));
}

#[test]
fn without_tools_earlier_calls_are_told_in_words() {
    let mut request = second_turn();
    request.tools = Arc::new(crate::catalog::ToolSet::empty());
    request.tool_choice = ToolChoice::None;
    let body = body(&request);
    for absent in ["tool_use", "tool_result", "tools", "tool_choice"] {
        assert!(!body.contains(&format!("\"{absent}\"")), "{body}");
    }
    assert!(body.contains("[the tool answered: 3 rows]"));
}

#[test]
fn tools_stay_in_a_request_that_may_not_use_them() {
    let mut request = first_turn();
    request.tool_choice = ToolChoice::None;
    let none = json(&request);
    assert_eq!(none["tool_choice"], json!({"type": "none"}));
    assert_eq!(none["tools"], json(&first_turn())["tools"]);
}

#[test]
fn a_tool_that_cannot_be_offered_is_left_out_alone_and_told_every_time() {
    let mut request = first_turn();
    request.tools = tools(&[
        ("db", "good", "Works.", r#"{"type":"object","properties":{}}"#),
        (
            "db",
            "odd",
            "Is repaired.",
            r#"{"anyOf":[{"type":"object","properties":{"a":{"type":"string"}}},{"type":"object"}]}"#,
        ),
        ("db", "bad", "Is no schema.", "7"),
    ]);
    for _ in 0..2 {
        let (body, warnings) = made(&request);
        let body: Value = serde_json::from_str(&body).unwrap();
        let tools = body["tools"].as_array().unwrap();
        let names: Vec<_> = tools.iter().map(|tool| tool["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["db__good", "db__odd"]);
        assert_eq!(tools[1]["input_schema"]["type"], "object");
        assert!(tools[1]["input_schema"].get("anyOf").is_none());
        let told = |what: &str| warnings.iter().any(|warning| warning.contains(what));
        assert!(told("db.odd") && told("db.bad is left out"), "{warnings:?}");
    }
}

#[test]
fn the_operators_parameters_are_sent_but_for_those_that_are_refused() {
    let extra = json!({"temperature": 0.2, "top_k": 5, "metadata": {"user_id": "u"}, "stream": false});
    let send = |model: &str, version: &str| {
        let request = ChatRequest::new(model, vec![Message::user("x")], 8);
        let made = request::make(&request, model, version, extra.as_object().unwrap().clone()).unwrap();
        (serde_json::from_slice::<Value>(&made.body).unwrap(), made.warnings)
    };
    let (old, warnings) = send("claude-haiku-4-5-20251001", "2023-06-01");
    assert_eq!((&old["temperature"], &old["top_k"]), (&json!(0.2), &json!(5)));
    assert_eq!((&old["metadata"]["user_id"], &old["stream"]), (&json!("u"), &json!(true)));
    assert_eq!(warnings.len(), 1, "{warnings:?}");

    for (model, version) in [
        ("claude-haiku-5-5", "2023-06-01"),
        ("claude-opus-4-7", "2023-06-01"),
        ("claude-sonnet-5-20260801", "2023-06-01"),
        ("claude-mythos-preview", "2023-06-01"),
        ("claude-haiku-4-5", "2026-10-21"),
    ] {
        let (body, warnings) = send(model, version);
        assert!(body.get("temperature").is_none() && body.get("top_k").is_none(), "{model}");
        assert!(warnings.iter().any(|warning| warning.contains("temperature")), "{warnings:?}");
    }
    assert!(send("claude-3-5-haiku-20241022", "2023-06-01").0.get("temperature").is_some());
}
