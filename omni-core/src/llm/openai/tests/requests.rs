//! What goes over the wire, as golden JSON.

use super::*;

fn raw(json: &str) -> Box<RawValue> {
    RawValue::from_string(json.into()).unwrap()
}

fn call(id: &str, input: &str) -> Block {
    Block::ToolUse { id: id.into(), name: "db__query".into(), input: raw(input) }
}

fn conversation() -> ChatRequest {
    let opaque = raw(r#"{"type":"thinking"}"#);
    let picture = ResultPart::Image { mime: "image/png".into(), data: "A".repeat(4_000) };
    let text = |text: &str| ResultPart::Text { text: text.into() };
    let result = |id: &str, content, is_error| Block::ToolResult { id: id.into(), content, is_error };
    let mut request = ChatRequest::new("gpt-6-luna", vec![Message::user("Which are slow?")], 1024);
    request.system = "You are omni.".into();
    request.tools =
        tools(&[("db", "query", "Runs SQL.", r#"{"type":"object","properties":{"sql":{"type":"string"}}}"#)]);
    request.messages = Arc::new(vec![
        Message::user("Which are slow?"),
        Message::assistant(vec![
            Block::Opaque { provider: "openai".into(), model: "gpt-6-luna".into(), raw: opaque },
            Block::text("Let me look."),
            call("t1", r#"{"sql":  1}"#),
            call("t2", r#""{\"sql\":""#),
            call("t3", "{}"),
        ]),
        Message {
            speaker: Speaker::User,
            blocks: vec![
                Block::text("Mind the load."),
                result("t1", vec![text("3 rows"), picture], false),
                result("t2", vec![text("no such table")], true),
                result("t3", vec![], false),
            ],
        },
    ]);
    request
}

fn made(request: &ChatRequest, host: &str) -> (Value, Vec<String>) {
    let made = request::make(request, &request.model, host, request.extra.clone()).unwrap();
    (serde_json::from_slice(&made.body).unwrap(), made.warnings)
}

#[test]
fn a_second_turn_after_parallel_results() {
    insta::assert_json_snapshot!(made(&conversation(), "api.openai.com").0);
}

#[test]
fn an_id_goes_back_to_an_openai_server_byte_for_byte() {
    let signed = "call_1__thought__CiQB/x+9Zw==";
    let result = |id: &str| Block::ToolResult { id: id.into(), content: vec![], is_error: false };
    let mut request = conversation();
    request.messages = Arc::new(vec![
        Message::user("go"),
        Message::assistant(vec![call(signed, "{}"), call("", "{}")]),
        Message { speaker: Speaker::User, blocks: vec![result(signed), result("")] },
    ]);
    let (body, _) = made(&request, "localhost");
    for (at, id) in [(0_usize, signed), (1, "call")] {
        assert_eq!(body["messages"][2]["tool_calls"][at]["id"], id);
        assert_eq!(body["messages"][3 + at]["tool_call_id"], id);
    }
}

#[test]
fn a_long_name_that_the_model_made_up_is_sent_back_no_longer_than_the_vendor_takes() {
    let odd = Block::ToolUse { id: "t1".into(), name: "x".repeat(100), input: raw("{}") };
    let mut request = conversation();
    request.messages = Arc::new(vec![Message::user("go"), Message::assistant(vec![odd])]);
    let (body, _) = made(&request, "localhost");
    assert_eq!(body["messages"][2]["tool_calls"][0]["function"]["name"], "x".repeat(64));
}

#[test]
fn the_output_limit_has_the_name_that_the_host_knows() {
    let request = conversation();
    for (host, name, other) in [
        ("api.openai.com", "max_completion_tokens", "max_tokens"),
        ("mine.openai.azure.com", "max_completion_tokens", "max_tokens"),
        ("localhost", "max_tokens", "max_completion_tokens"),
    ] {
        let (body, _) = made(&request, host);
        assert_eq!((&body[name], body.get(other)), (&json!(1024), None), "{host}");
    }
}

#[test]
fn the_operator_may_name_the_output_limit_and_omni_sets_it() {
    let mut request = conversation();
    for (host, name) in [("localhost", "max_completion_tokens"), ("api.openai.com", "max_tokens")] {
        request.extra = json!({ name: 1 }).as_object().unwrap().clone();
        let (body, _) = made(&request, host);
        let limits: Vec<_> =
            ["max_tokens", "max_completion_tokens"].iter().filter(|key| !body[**key].is_null()).collect();
        assert_eq!((limits, &body[name]), (vec![&name], &json!(1024)), "{host}");
    }
}

#[test]
fn tools_beyond_the_128th_are_left_out_and_told() {
    let names: Vec<String> = (0..130).map(|n| format!("tool{n}")).collect();
    let all: Vec<_> = names.iter().map(|name| ("db", name.as_str(), "", r#"{"type":"object"}"#)).collect();
    let mut request = conversation();
    request.tools = tools(&all);
    let (body, warnings) = made(&request, "localhost");
    assert_eq!(body["tools"].as_array().unwrap().len(), 128);
    assert!(warnings.iter().any(|warning| warning.contains("2 tools are left out")), "{warnings:?}");
}

#[test]
fn an_answer_without_text_and_calls_is_not_sent_and_neither_are_empty_lists() {
    let mut request = ChatRequest::new(
        "m",
        vec![Message::user("a"), Message::assistant(vec![Block::text(" ")]), Message::user("b")],
        8,
    );
    request.tool_choice = ToolChoice::None;
    let (body, _) = made(&request, "localhost");
    assert_eq!(body["messages"], json!([{"role": "user", "content": "a\n\nb"}]));
    assert!(body.get("tools").is_none() && body.get("tool_choice").is_none());
}

#[test]
fn the_operators_parameters_are_sent_but_for_those_that_are_refused() {
    let mut request = ChatRequest::new("gpt-6-sol", vec![Message::user("a")], 8);
    request.extra =
        json!({"temperature": 0.1, "seed": 7, "max_tokens": 9, "stream": false}).as_object().unwrap().clone();
    let (body, warnings) = made(&request, "localhost");
    assert_eq!((&body["temperature"], &body["seed"]), (&json!(0.1), &json!(7)));
    assert_eq!((&body["max_tokens"], &body["stream"]), (&json!(8), &json!(true)));
    assert_eq!(warnings.len(), 1, "{warnings:?}");

    request.model = "o4-mini".into();
    let (body, warnings) = made(&request, "localhost");
    assert!(body.get("temperature").is_none() && warnings.iter().any(|warning| warning.contains("temperature")));
}
