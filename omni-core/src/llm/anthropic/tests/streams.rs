//! Recorded answers.

use super::*;

const EVERYTHING: &str = r#"event: message_start
data: {"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[],"stop_reason":null,"usage":{"input_tokens":12,"cache_creation_input_tokens":300,"cache_read_input_tokens":2000,"cache_creation":{"ephemeral_5m_input_tokens":100,"ephemeral_1h_input_tokens":200},"output_tokens":1,"service_tier":"standard"}}}

event: ping
data: {"type": "ping"}

event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"Let me "}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"think."}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"c2ln"}}

event: content_block_stop
data: {"type":"content_block_stop","index":0}

event: content_block_start
data: {"type":"content_block_start","index":1,"content_block":{"type":"redacted_thinking","data":"x1 =="}}

event: content_block_stop
data: {"type":"content_block_stop","index":1}

event: content_block_start
data: {"type":"content_block_start","index":2,"content_block":{"type":"text","text":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":2,"delta":{"type":"text_delta","text":"žluťoučký "}}

event: content_block_delta
data: {"type":"content_block_delta","index":2,"delta":{"type":"text_delta","text":"🐎\n"}}

event: content_block_stop
data: {"type":"content_block_stop","index":2}

event: content_block_start
data: {"type":"content_block_start","index":3,"content_block":{"type":"tool_use","id":"toolu_1","name":"db__query","input":{}}}

event: content_block_delta
data: {"type":"content_block_delta","index":3,"delta":{"type":"input_json_delta","partial_json":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":3,"delta":{"type":"input_json_delta","partial_json":"{\"sql\": \"sel"}}

event: content_block_delta
data: {"type":"content_block_delta","index":3,"delta":{"type":"input_json_delta","partial_json":"ect 1\"}"}}

event: content_block_stop
data: {"type":"content_block_stop","index":3}

event: content_block_start
data: {"type":"content_block_start","index":4,"content_block":{"type":"tool_use","id":"toolu_2","name":"db__list","input":{}}}

event: content_block_delta
data: {"type":"content_block_delta","index":4,"delta":{"type":"input_json_delta","partial_json":""}}

event: content_block_stop
data: {"type":"content_block_stop","index":4}

event: content_block_start
data: {"type":"content_block_start","index":5,"content_block":{"type":"text","text":""}}

event: content_block_stop
data: {"type":"content_block_stop","index":5}

event: something_new
data: {"type":"something_new","with":["any","thing"],"delta":"of a form of its own","usage":7}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"input_tokens":12,"cache_creation_input_tokens":300,"cache_read_input_tokens":2000,"output_tokens":89}}

event: message_stop
data: {"type":"message_stop"}

"#;

async fn read(body: &str) -> crate::llm::vendor::fake::Seen {
    decode(stream::Messages::new("m"), &[body.as_bytes()]).await
}

#[tokio::test]
async fn every_kind_of_event_is_understood_wherever_the_body_is_split() {
    let body = EVERYTHING.as_bytes();
    for cut in 0..=body.len() {
        let seen = decode(stream::Messages::new("m"), &[&body[..cut], &body[cut..]]).await;

        assert_eq!(seen.text, "žluťoučký 🐎\n", "{cut}");
        assert_eq!(
            seen.shown(),
            [
                r#"opaque anthropic m {"signature":"c2ln","thinking":"Let me think.","type":"thinking"}"#,
                r#"opaque anthropic m {"type":"redacted_thinking","data":"x1 =="}"#,
                "text žluťoučký 🐎\n",
                r#"call toolu_1 db__query {"sql": "select 1"}"#,
                "call toolu_2 db__list {}",
            ]
        );
        let usage = seen.usage;
        assert_eq!((usage.input, usage.output, usage.cache_read), (12, 89, 2_000));
        assert_eq!((usage.cache_write, usage.cache_write_1h, usage.prompt()), (100, 200, 2_312));
        assert_eq!((seen.stop, seen.warnings.len()), (Some(StopReason::ToolUse), 0));
    }
}

#[tokio::test]
async fn a_body_in_single_bytes_is_understood() {
    let bytes: Vec<&[u8]> = EVERYTHING.as_bytes().chunks(1).collect();
    let seen = decode(stream::Messages::new("m"), &bytes).await;
    assert_eq!((seen.blocks.len(), seen.stop), (5, Some(StopReason::ToolUse)));
}

#[tokio::test]
async fn a_body_that_ends_anywhere_before_its_end_is_never_a_whole_answer() {
    let end = EVERYTHING.find("event: message_delta").unwrap();
    for cut in (0..end).step_by(7) {
        let seen = decode(stream::Messages::new("m"), &[&EVERYTHING.as_bytes()[..cut]]).await;
        assert!(seen.stop.is_none(), "{cut}");
        assert!(matches!(seen.error, Some(LlmError::Cut { .. })), "{cut}: {:?}", seen.error);
    }
}

#[tokio::test]
async fn an_answer_without_a_goodbye_is_complete() {
    let end = HELLO.find("event: message_stop").unwrap();
    assert_eq!(read(&HELLO[..end]).await.stop, Some(StopReason::EndTurn));
}

#[tokio::test]
async fn every_reason_to_stop_has_its_meaning() {
    let cases = [
        ("end_turn", StopReason::EndTurn),
        ("tool_use", StopReason::ToolUse),
        ("max_tokens", StopReason::MaxTokens),
        ("stop_sequence", StopReason::StopSequence),
        ("refusal", StopReason::Refusal),
        ("pause_turn", StopReason::PauseTurn),
        ("model_context_window_exceeded", StopReason::ContextExceeded),
        ("tired", StopReason::Other("tired".into())),
    ];
    for (word, reason) in cases {
        let seen = read(&HELLO.replace("end_turn", word)).await;
        assert_eq!(seen.stop, Some(reason));
    }
}

#[tokio::test]
async fn a_refusal_says_why() {
    let details = r#""stop_reason":"refusal","stop_details":{"type":"refusal","explanation":"Not that."}"#;
    let seen = read(&HELLO.replace(r#""stop_reason":"end_turn""#, details)).await;
    assert_eq!(seen.stop, Some(StopReason::Refusal));
    assert!(seen.warnings[0].contains("Not that."));
}

#[tokio::test]
async fn arguments_that_are_no_json_are_kept_as_text() {
    let half = EVERYTHING.replace(r#"ect 1\"}"#, "");
    let seen = read(&half).await;
    assert_eq!(seen.shown()[3], r#"call toolu_1 db__query "{\"sql\": \"sel""#);
}

#[tokio::test]
async fn an_error_in_the_middle_of_a_stream_has_its_meaning() {
    let start = &HELLO[..HELLO.find("event: content_block_stop").unwrap()];
    let with = |kind: &str| {
        format!(
            "{start}event: error\ndata: {{\"type\":\"error\",\"error\":{{\"type\":\"{kind}\",\"message\":\"no\"}}}}\n\n"
        )
    };
    let overloaded = read(&with("overloaded_error")).await;
    assert_eq!(overloaded.text, "Hello");
    assert!(matches!(overloaded.error, Some(LlmError::Unavailable { status, .. }) if status == "overloaded_error"));
    assert!(matches!(read(&with("rate_limit_error")).await.error, Some(LlmError::RateLimited { .. })));
    assert!(matches!(read(&with("invalid_request_error")).await.error, Some(LlmError::InvalidRequest { .. })));
}

#[tokio::test]
async fn what_is_not_the_protocol_is_an_error_without_the_data() {
    for data in [r#"{"type":"content_block_delta","index":0,"delta":{"ty"#, r#"{"secret":1}"#, "[]", r#"{"type":5}"#] {
        let seen = read(&format!("event: x\ndata: {data}\n\n")).await;
        let error = seen.error.unwrap();
        assert!(matches!(error, LlmError::Protocol { .. }), "{error}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
    let stray = r#"{"type":"content_block_delta","index":3,"delta":{"type":"text_delta","text":"x"}}"#;
    assert!(matches!(read(&format!("data: {stray}\n\n")).await.error, Some(LlmError::Protocol { .. })));
}

#[tokio::test]
async fn a_server_that_counts_only_at_the_end_is_believed_and_one_that_counts_once_too() {
    let late = HELLO.replace(
        r#""usage":{"output_tokens":3}"#,
        r#""usage":{"input_tokens":1,"cache_read_input_tokens":34,"output_tokens":3}"#,
    );
    let usage = read(&late).await.usage;
    assert_eq!((usage.input, usage.cache_read, usage.output), (1, 34, 3));

    let zeros = HELLO.replace(
        r#""usage":{"output_tokens":3}"#,
        r#""usage":{"input_tokens":0,"cache_read_input_tokens":null,"output_tokens":3}"#,
    );
    assert_eq!(read(&zeros).await.usage, Usage::new(9, 3));
    assert_eq!(read(&HELLO.replace(r#","usage":{"output_tokens":3}"#, "")).await.usage, Usage::new(9, 1));
}
