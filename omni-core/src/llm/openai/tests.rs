use std::{sync::Arc, time::Duration};

use serde_json::{Value, json, value::RawValue};

use super::*;
use crate::llm::{
    Block, Message, ResultPart, Speaker, StopReason, ToolChoice, Usage,
    vendor::fake::{Canned, Fake, LIMITS, Seen, decode, tools, turn},
};

mod requests;
mod streams;

/// A provider for `fake` that does not wait long before it tries again.
fn provider(fake: &Fake) -> OpenAi {
    let made = OpenAi::from_config(&fake.config("openai")).unwrap();
    let inner = Arc::into_inner(made.inner).unwrap();
    OpenAi { inner: Arc::new(Inner { endpoint: inner.endpoint.impatient(LIMITS), ..inner }) }
}

fn ask() -> ChatRequest {
    ChatRequest::new("gpt-6-luna", vec![Message::user("hello")], 64)
}

const HELLO: &str = r#"data: {"choices":[{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"finish_reason":null}],"usage":null}

data: {"choices":[{"index":0,"delta":{"content":"Hel"},"finish_reason":null}],"usage":null}

data: {"choices":[{"index":0,"delta":{"content":"lo"},"finish_reason":null}],"usage":null}

data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":null}

data: {"choices":[],"usage":{"prompt_tokens":1200,"completion_tokens":3,"prompt_tokens_details":{"cached_tokens":1024}}}

data: [DONE]

"#;

#[tokio::test]
async fn a_turn_is_asked_for_with_a_bearer_key_and_streamed() {
    let fake = Fake::start(vec![Canned::events(HELLO)]).await;

    let seen = turn(&provider(&fake), ask()).await;

    assert_eq!((seen.text.as_str(), seen.stop), ("Hello", Some(StopReason::EndTurn)));
    let (head, body) = fake.asked().remove(0);
    assert!(head.starts_with("post /v1/chat/completions http/1.1"), "{head}");
    assert!(head.contains("authorization: bearer test-key"), "{head}");
    assert_eq!(body["stream_options"], json!({"include_usage": true}));
}

#[tokio::test]
async fn a_server_of_ones_own_needs_no_key() {
    let fake = Fake::start(vec![Canned::events(HELLO)]).await;
    let provider = OpenAi::builder().base_url(&fake.url).model("llama3").build().unwrap();

    let seen = turn(&provider, ChatRequest { model: String::new(), ..ask() }).await;

    assert_eq!(seen.text, "Hello");
    let (head, body) = fake.asked().remove(0);
    assert!(!head.contains("authorization"), "{head}");
    assert_eq!(body["model"], "llama3");
}

#[tokio::test]
async fn a_spent_quota_is_not_tried_again_and_a_passing_limit_is() {
    let error = |code: &str| json!({"error": {"message": "no", "type": code, "code": code}}).to_string();
    let fake = Fake::start(vec![Canned::json(429, &error("insufficient_quota"))]).await;
    assert!(matches!(turn(&provider(&fake), ask()).await.error, Some(LlmError::Quota { .. })));

    let limited = Canned::json(429, &error("rate_limit_exceeded")).header("retry-after-ms", "20");
    let fake = Fake::start(vec![limited, Canned::json(503, &error("server_error")), Canned::events(HELLO)]).await;
    assert_eq!(turn(&provider(&fake), ask()).await.text, "Hello");
}

#[tokio::test]
async fn a_server_that_does_not_stream_is_understood() {
    let call = json!({"id": "c1", "type": "function", "function": {"name": "db__query", "arguments": "{\"sql\":1}"}});
    let whole = json!({"object": "chat.completion", "choices": [
        {"index": 0, "message": {"role": "assistant", "content": null, "tool_calls": [call]}, "finish_reason": "tool_calls"},
    ], "usage": {"prompt_tokens": 5, "completion_tokens": 7}});
    let fake = Fake::start(vec![Canned::json(200, &whole.to_string())]).await;

    let seen = turn(&provider(&fake), ask()).await;

    assert_eq!(seen.shown(), [r#"call c1 db__query {"sql":1}"#]);
    assert_eq!((seen.stop, seen.usage), (Some(StopReason::ToolUse), Usage::new(5, 7)));
}

#[tokio::test]
async fn a_call_that_has_begun_is_not_asked_for_again() {
    let call =
        r#"data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"x"}}]}}]}"#;
    let fake = Fake::start(vec![Canned::Cut(vec![format!("{call}\n\n")]), Canned::events(HELLO)]).await;
    let seen = turn(&provider(&fake), ask()).await;
    assert!(matches!(seen.error, Some(LlmError::Cut { .. })), "{seen:?}");
    assert_eq!(fake.asked().len(), 1);
}

#[tokio::test]
async fn a_stream_that_ends_before_it_says_anything_is_not_asked_for_again_here() {
    let role = &HELLO[..HELLO.find("\n\n").unwrap() + 2];
    let fake = Fake::start(vec![Canned::events(role), Canned::events(HELLO)]).await;
    let error = provider(&fake).stream(ask()).await.err();
    assert!(matches!(error, Some(LlmError::Cut { .. })), "{error:?}");
    assert_eq!(fake.asked().len(), 1);
}

#[tokio::test]
async fn a_vendor_may_have_time_without_an_end() {
    let fake = Fake::start(vec![Canned::events(HELLO)]).await;
    let mut config = fake.config("openai");
    config.timeout = Duration::MAX;
    let seen = turn(&OpenAi::from_config(&config).unwrap(), ask()).await;
    assert_eq!((seen.text.as_str(), seen.stop), ("Hello", Some(StopReason::EndTurn)), "{:?}", seen.error);
}

/// A chunk in which the model thinks aloud.
fn thinking(delta: &str) -> String {
    format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"role\":\"assistant\",{delta}}}}}]}}\n\n")
}

#[tokio::test]
async fn a_model_that_thinks_aloud_longer_than_the_time_to_begin_is_not_given_up() {
    let pause = Duration::from_millis(600);
    let mut pieces = vec![thinking(r#""reasoning_content":"Hm. ""#); 6];
    pieces.push(HELLO.into());
    let fake = Fake::start(vec![Canned::Drip(pieces, pause)]).await;
    let mut config = fake.config("openai");
    config.timeout = pause * 5;
    let seen = turn(&OpenAi::from_config(&config).unwrap(), ask()).await;
    assert_eq!((seen.text.as_str(), seen.stop), ("Hello", Some(StopReason::EndTurn)), "{:?}", seen.error);
}

#[tokio::test]
async fn what_breaks_off_while_the_model_thinks_aloud_is_asked_for_once() {
    let error = r#"data: {"error":{"message":"The server had an error","type":"server_error","code":null}}"#;
    for (delta, times) in [
        (r#""reasoning_content":"Hm. ""#, 1),
        (r#""reasoning":"Hm. ","content":"""#, 1),
        (r#""reasoning_content":null,"reasoning":null"#, 2),
    ] {
        let broken = format!("{}{error}\n\n", thinking(delta));
        let fake = Fake::start(vec![Canned::events(&broken), Canned::events(HELLO)]).await;
        let seen = turn(&provider(&fake), ask()).await;
        assert_eq!((seen.error.is_some(), fake.asked().len()), (times == 1, times), "{delta}: {seen:?}");
    }
}

#[tokio::test]
async fn a_document_that_is_no_answer_is_no_empty_answer() {
    let fake = Fake::start(vec![Canned::json(200, r#"{"status":"ok"}"#)]).await;
    assert!(matches!(turn(&provider(&fake), ask()).await.error, Some(LlmError::Protocol { .. })));
    let fake = Fake::start(vec![Canned::json(200, r#"{"error":{"message":"boo","code":"model_not_found"}}"#)]).await;
    assert!(matches!(turn(&provider(&fake), ask()).await.error, Some(LlmError::UnknownModel { .. })));
}

#[tokio::test]
async fn the_kind_is_built_from_the_registry() {
    let mut registry = Registry::empty();
    register(&mut registry);
    let mut config = LlmConfig::new("openai");
    config.base_url = Some("http://localhost:11434/v1".into());
    config.model = Some("llama3".into());
    let provider = registry.llm.build("openai", config).await.unwrap();
    assert_eq!((provider.models()[0].id.as_str(), provider.models()[0].tool_name_len), ("llama3", 64));
}
