use std::{sync::Arc, time::Duration};

use serde_json::{Value, json, value::RawValue};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    time::Instant,
};

use super::*;
use crate::llm::{
    Block, CachePlan, Message, ResultPart, Speaker, StopReason, ToolChoice, Usage,
    vendor::fake::{Canned, Fake, LIMITS, decode, tools, turn},
};

mod requests;
mod streams;

/// A provider for `fake` that does not wait long before it tries again.
fn provider(fake: &Fake) -> Anthropic {
    let made = Anthropic::from_config(&fake.config("anthropic")).unwrap();
    let inner = Arc::into_inner(made.inner).unwrap();
    Anthropic { inner: Arc::new(Inner { endpoint: inner.endpoint.impatient(LIMITS), ..inner }) }
}

/// A provider for a server that is no [`Fake`].
fn provider_at(url: &str) -> Anthropic {
    Anthropic::builder().api_key("k").base_url(url).timeout(Duration::from_secs(3)).max_retries(0).build().unwrap()
}

fn ask() -> ChatRequest {
    ChatRequest::new("claude-haiku-5-5", vec![Message::user("hello")], 64)
}

const HELLO: &str = r#"event: message_start
data: {"type":"message_start","message":{"usage":{"input_tokens":9,"output_tokens":1}}}

event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hello"}}

event: content_block_stop
data: {"type":"content_block_stop","index":0}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":3}}

event: message_stop
data: {"type":"message_stop"}

"#;

#[tokio::test]
async fn a_turn_is_asked_for_with_key_and_version_and_streamed() {
    let fake = Fake::start(vec![Canned::events(HELLO)]).await;

    let seen = turn(&provider(&fake), ask()).await;

    assert_eq!((seen.text.as_str(), seen.stop), ("Hello", Some(StopReason::EndTurn)));
    assert_eq!(seen.usage, Usage::new(9, 3));
    let (head, body) = fake.asked().remove(0);
    assert!(head.starts_with("post /v1/messages http/1.1"), "{head}");
    for header in ["x-api-key: test-key", "anthropic-version: 2023-06-01", "content-type: application/json"] {
        assert!(head.contains(header), "{head}");
    }
    assert_eq!(body["stream"], true);
    assert!(body.get("temperature").is_none());
}

#[tokio::test]
async fn an_overloaded_vendor_is_asked_again() {
    let overloaded = r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;
    let fake = Fake::start(vec![
        Canned::json(529, overloaded),
        Canned::Whole(502, vec![("content-type", "text/html".into())], "<html>Bad Gateway</html>".into()),
        Canned::events(&format!("event: error\ndata: {overloaded}\n\n")),
        Canned::events(HELLO),
    ])
    .await;

    let seen = turn(&provider(&fake), ask()).await;

    assert_eq!(seen.text, "Hello", "{:?}", seen.error);
    let asked = fake.asked();
    assert_eq!(asked.len(), 4);
    assert!(asked.iter().all(|(_, body)| *body == asked[0].1));
}

#[tokio::test]
async fn a_rate_limit_is_waited_out() {
    let limited = Canned::json(429, r#"{"error":{"type":"rate_limit_error","message":"slow down"}}"#);
    let fake = Fake::start(vec![limited.header("retry-after", "0.05"), Canned::events(HELLO)]).await;

    let seen = turn(&provider(&fake), ask()).await;

    assert_eq!((seen.text.as_str(), fake.asked().len()), ("Hello", 2));
}

#[tokio::test]
async fn a_pause_beyond_the_deadline_is_an_error_at_once() {
    let limited = Canned::json(429, r#"{"error":{"type":"rate_limit_error","message":"slow down"}}"#);
    let fake = Fake::start(vec![limited.header("retry-after", "3600"), Canned::events(HELLO)]).await;

    let seen = turn(&provider(&fake), ask()).await;

    let Some(LlmError::RateLimited { retry_after, .. }) = seen.error else { panic!("{seen:?}") };
    assert_eq!(retry_after, Some(Duration::from_secs(3600)));
    assert_eq!(fake.asked().len(), 1);
}

#[tokio::test]
async fn a_rate_limit_without_a_pause_is_tried_max_retries_times() {
    let limited = Canned::json(429, r#"{"error":{"type":"rate_limit_error","message":"tier cap"}}"#);
    let fake = Fake::start(vec![limited; 9]).await;

    let seen = turn(&provider(&fake), ask()).await;

    assert!(matches!(seen.error, Some(LlmError::RateLimited { .. })));
    assert_eq!(fake.asked().len(), 1 + 3);
}

#[tokio::test]
async fn a_wrong_key_is_not_tried_again_and_names_the_variable() {
    let wrong = r#"{"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key"}}"#;
    let fake = Fake::start(vec![Canned::json(401, wrong), Canned::events(HELLO)]).await;

    let error = turn(&provider(&fake), ask()).await.error.unwrap().to_string();

    for part in ["ANTHROPIC_API_KEY", "llm.api_key in settings.yaml", "invalid x-api-key"] {
        assert!(error.contains(part), "{error}");
    }
    assert_eq!(fake.asked().len(), 1);
}

#[tokio::test]
async fn an_answer_that_is_cut_after_its_first_event_is_an_error_and_no_second_request() {
    let half = &HELLO[..HELLO.find("event: content_block_stop").unwrap()];
    let fake = Fake::start(vec![Canned::Cut(vec![half.into()]), Canned::events(HELLO)]).await;

    let seen = turn(&provider(&fake), ask()).await;

    assert_eq!(seen.text, "Hello");
    assert_eq!(seen.usage.input, 9);
    assert!(matches!(seen.error, Some(LlmError::Cut { .. })), "{:?}", seen.error);
    assert_eq!(fake.asked().len(), 1);
}

#[tokio::test]
async fn a_request_that_may_be_charged_is_made_again_by_who_pays_and_not_here() {
    for broken in [Canned::Cut(vec!["event: mess".into()]), Canned::Cut(Vec::new()), Canned::Close] {
        let fake = Fake::start(vec![broken.clone(), Canned::events(HELLO)]).await;
        let error = provider(&fake).stream(ask()).await.err();
        assert!(matches!(error, Some(LlmError::Cut { .. })), "{broken:?}: {error:?}");
        assert_eq!(fake.asked().len(), 1, "{broken:?}");
    }
}

#[tokio::test]
async fn whoever_pays_makes_nothing_again_where_no_retries_are_wanted() {
    let fake = Fake::start(Vec::new()).await;
    let mut config = fake.config("anthropic");
    for (max_retries, makes_again) in [(0, false), (1, true)] {
        config.max_retries = max_retries;
        let provider: Arc<dyn LlmProvider> = Arc::new(Anthropic::from_config(&config).unwrap());
        assert_eq!(LlmProvider::makes_again(&provider), makes_again, "through an Arc too");
    }
}

#[tokio::test]
async fn a_slow_drip_is_read_to_its_end() {
    let drops = HELLO.split_inclusive("\n\n").map(str::to_owned).collect();
    let fake = Fake::start(vec![Canned::Drip(drops, Duration::from_millis(30))]).await;
    let seen = turn(&provider(&fake), ask()).await;
    assert_eq!((seen.text.as_str(), seen.stop), ("Hello", Some(StopReason::EndTurn)));
}

#[tokio::test]
async fn silence_in_the_middle_ends_the_turn_after_the_configured_time() {
    let half = &HELLO[..HELLO.find("event: content_block_stop").unwrap()];
    let fake = Fake::start(vec![Canned::Stall(vec![half.into()])]).await;
    let mut config = fake.config("anthropic");
    config.timeout = Duration::from_secs(2);
    let seen = turn(&Anthropic::from_config(&config).unwrap(), ask()).await;
    assert_eq!(seen.text, "Hello");
    assert!(seen.error.unwrap().to_string().contains("nothing came for 2 s"));
}

#[tokio::test]
async fn an_answer_that_has_begun_may_take_longer_than_the_time_to_begin_it() {
    let drops: Vec<String> = HELLO.split_inclusive("\n\n").map(str::to_owned).collect();
    let pause = Duration::from_millis(400);
    let fake = Fake::start(vec![Canned::Drip(drops.clone(), pause)]).await;
    let mut config = fake.config("anthropic");
    config.timeout = pause * u32::try_from(drops.len()).unwrap() - pause;
    let seen = turn(&Anthropic::from_config(&config).unwrap(), ask()).await;
    assert_eq!((seen.text.as_str(), seen.stop), ("Hello", Some(StopReason::EndTurn)), "{:?}", seen.error);
}

#[tokio::test]
async fn a_key_that_a_server_repeats_is_not_passed_on() {
    let wrong =
        r#"{"type":"error","error":{"type":"authentication_error","message":"no such key: zebra-crossing-77"}}"#;
    let broken = format!("event: error\ndata: {wrong}\n\n");
    let half = &HELLO[..HELLO.find("event: content_block_stop").unwrap()];
    for canned in [Canned::json(401, wrong), Canned::events(&broken), Canned::events(&format!("{half}{broken}"))] {
        let fake = Fake::start(vec![canned]).await;
        let mut config = fake.config("anthropic");
        config.api_key = Some("zebra-crossing-77".into());
        let error = turn(&Anthropic::from_config(&config).unwrap(), ask()).await.error.unwrap().to_string();
        assert!(error.contains("no such key") && !error.contains("zebra"), "{error}");
    }
}

#[tokio::test]
async fn the_requests_deadline_bounds_a_vendor_that_hangs() {
    let fake = Fake::start(vec![Canned::Hang]).await;
    let mut config = fake.config("anthropic");
    config.timeout = Duration::from_secs(3_600);
    let mut request = ask();
    request.deadline = Some(Instant::now() + Duration::from_millis(100));

    let seen = turn(&Anthropic::from_config(&config).unwrap(), request).await;

    assert!(matches!(seen.error, Some(LlmError::Timeout { provider: "anthropic" })), "{:?}", seen.error);
}

#[tokio::test]
async fn a_stream_that_is_dropped_ends_the_request() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let provider = provider_at(&format!("http://{}", listener.local_addr().unwrap()));
    let gone = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        assert!(socket.read(&mut [0; 8192]).await.unwrap() > 0);
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
        let begin = &HELLO[..HELLO.find("event: content_block_start").unwrap()];
        socket.write_all(format!("{head}{begin}").as_bytes()).await.unwrap();
        // This ends when the client is gone, with or without a goodbye.
        let _ = socket.read_to_end(&mut Vec::new()).await;
    });

    drop(provider.stream(ask()).await.unwrap());

    tokio::time::timeout(Duration::from_secs(3), gone).await.unwrap().unwrap();
}

#[tokio::test]
async fn turns_share_a_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let provider = provider_at(&format!("http://{}", listener.local_addr().unwrap()));
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let chunks = format!("{:x}\r\n{HELLO}\r\n0\r\n\r\n", HELLO.len());
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
        // A request this small comes in one piece.
        while socket.read(&mut [0; 8192]).await.unwrap() > 0 {
            socket.write_all(format!("{head}{chunks}").as_bytes()).await.unwrap();
        }
    });

    for _ in 0..3 {
        assert_eq!(turn(&provider, ask()).await.text, "Hello");
    }
}

#[tokio::test]
async fn an_unreachable_host_is_named_without_credentials() {
    let mut config = LlmConfig::new("anthropic");
    config.api_key = Some("k".into());
    config.base_url = Some("http://me:secret@127.0.0.1:1/x".into());
    config.max_retries = 0;
    let provider = Anthropic::from_config(&config).unwrap();

    let error = turn(&provider, ask()).await.error.unwrap().to_string();

    assert!(error.contains("http://127.0.0.1:1/x/v1/messages"), "{error}");
    assert!(!error.contains("secret"), "{error}");
}

#[tokio::test]
async fn a_server_that_does_not_stream_is_understood() {
    let whole = json!({"type": "message", "content": [
        {"type": "text", "text": "Looking."},
        {"type": "tool_use", "id": "t1", "name": "db__query", "input": {"sql": "select 1"}},
    ], "stop_reason": "tool_use", "usage": {"input_tokens": 5, "output_tokens": 7}});
    let fake = Fake::start(vec![Canned::json(200, &whole.to_string())]).await;

    let seen = turn(&provider(&fake), ask()).await;

    assert_eq!(seen.shown(), ["text Looking.", r#"call t1 db__query {"sql":"select 1"}"#]);
    assert_eq!((seen.text.as_str(), seen.stop, seen.usage), ("Looking.", Some(StopReason::ToolUse), Usage::new(5, 7)));
}

#[tokio::test]
async fn a_web_page_in_place_of_an_answer_names_the_address() {
    let page = Canned::Whole(200, vec![("content-type", "text/html".into())], "<html>".into());
    let fake = Fake::start(vec![page]).await;
    let error = turn(&provider(&fake), ask()).await.error.unwrap();
    assert!(matches!(error, LlmError::NotAnApi { .. }) && error.to_string().contains(&fake.url), "{error}");
    assert!(!error.may_be_charged());
}

/// As the vendor words it.
fn another_conversation() -> Canned {
    let message = "messages.1.content.0: Invalid `signature` in `thinking` block. The block is bound to a different \
        conversation. Remove the block, or set `thinking.block_binding.prefix_mismatch_behavior` to \"drop_block\".";
    let body = json!({"type": "error", "error": {"type": "invalid_request_error", "message": message}});
    Canned::json(400, &body.to_string())
}

#[tokio::test]
async fn an_approved_run_whose_tool_list_changed_since_goes_on() {
    let fake = Fake::start(vec![another_conversation(), Canned::events(HELLO)]).await;

    let seen = turn(&provider(&fake), requests::second_turn()).await;

    assert_eq!((seen.text.as_str(), seen.stop), ("Hello", Some(StopReason::EndTurn)), "{:?}", seen.error);
    let bodies: Vec<String> = fake.asked().iter().map(|(_, body)| body.to_string()).collect();
    assert_eq!(bodies.len(), 2);
    assert!(bodies[0].contains("\"thinking\"") && !bodies[1].contains("\"thinking\""), "{bodies:?}");
    assert!(bodies[1].contains("Let me look.") && bodies[1].contains("tool_use"), "all else is said again");
}

#[tokio::test]
async fn a_turn_is_made_without_thoughts_once_and_for_no_other_refusal() {
    let other = r#"{"type":"error","error":{"type":"invalid_request_error","message":"tools.0: no"}}"#;
    for (refusal, request, times) in [
        (another_conversation(), requests::second_turn(), 2),
        (another_conversation(), ask(), 1),
        (Canned::json(400, other), requests::second_turn(), 1),
    ] {
        let fake = Fake::start(vec![refusal.clone(), refusal, Canned::events(HELLO)]).await;
        let seen = turn(&provider(&fake), request).await;
        assert!(matches!(seen.error, Some(LlmError::InvalidRequest { .. })), "{seen:?}");
        assert_eq!(fake.asked().len(), times);
    }
}

#[tokio::test]
async fn the_kind_is_built_from_the_registry() {
    let mut registry = Registry::empty();
    register(&mut registry);
    let mut config = LlmConfig::new("anthropic");
    config.api_key = Some("k".into());
    let provider = registry.llm.build("anthropic", config).await.unwrap();
    assert_eq!(provider.models()[0].id, "claude-haiku-5-5");
}
