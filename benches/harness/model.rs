//! A model that answers at once, as servers do that speak OpenAI's Chat Completions: to a question with one call of
//! `lab__echo`, to its result with a text, and to whoever says "Just talk" with a text at once. Always streamed.

use serde_json::{Value, json};

/// What a question says that is answered without a call.
pub(super) const TALK: &str = "Just talk";
/// What comes before the first text on the wire.
pub(super) const FIRST_TEXT: &[u8] = b"\"content\":\"";

/// An answer, head and all.
pub(super) fn handle(first: &str, body: &[u8]) -> String {
    let asked = std::str::from_utf8(body).unwrap_or_default();
    let body = match first.starts_with("POST /v1/chat/completions ") {
        true if asked.contains(r#""role":"tool""#) || asked.contains(TALK) => stream(&text(), "stop"),
        true => stream(&call(), "tool_calls"),
        false => return "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".to_owned(),
    };
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {length}\r\n\r\n{body}")
}

fn text() -> Value {
    json!({ "role": "assistant", "content": "It said hi." })
}

fn call() -> Value {
    let function = json!({ "name": "lab__echo", "arguments": r#"{"message":"hi"}"# });
    json!({ "role": "assistant", "tool_calls": [{ "index": 0, "id": "call_1", "type": "function", "function": function }] })
}

fn stream(delta: &Value, finish: &str) -> String {
    let chunk = |choices: &Value, usage: Option<Value>| {
        let mut chunk = json!({ "id": "c", "object": "chat.completion.chunk", "created": 1, "model": "instant", "choices": choices });
        if let Some(usage) = usage {
            chunk["usage"] = usage;
        }
        format!("data: {chunk}\n\n")
    };
    let said = chunk(&json!([{ "index": 0, "delta": delta, "finish_reason": null }]), None);
    let ended = chunk(&json!([{ "index": 0, "delta": {}, "finish_reason": finish }]), None);
    let usage = json!({ "prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15 });
    said + &ended + &chunk(&json!([]), Some(usage)) + "data: [DONE]\n\n"
}
