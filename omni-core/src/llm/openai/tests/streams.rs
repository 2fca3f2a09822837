//! Recorded answers.

use super::*;

/// As a gateway sends it: the first call has the index 1, and pieces of two calls alternate.
const CALLS: &str = r#": OPENROUTER PROCESSING

data: {"choices":[{"index":0,"delta":{"role":"assistant","content":"Let me look, žluťoučký 🐎."}}]}

data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":1,"id":"c1","type":"function","function":{"name":"db__query","arguments":""}}]}}]}

data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":2,"id":"c2","type":"function","function":{"name":"db__list","arguments":""}}]}}]}

data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":1,"function":{"arguments":"{\"sql\":"}}]}}]}

data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":2,"function":{"arguments":"{}"}},{"index":1,"function":{"arguments":" 1}"}}]}}]}

data: {"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}

data: {"choices":[],"usage":{"prompt_tokens":10,"completion_tokens":20}}

data: [DONE]

"#;

async fn read(body: &str) -> Seen {
    decode(stream::Completion::new("m", 300), &[body.as_bytes()]).await
}

fn finished(reason: &str, delta: &str) -> String {
    format!(
        "data: {{\"choices\":[{{\"index\":0,\"delta\":{delta},\"finish_reason\":\"{reason}\"}}]}}\n\ndata: [DONE]\n\n"
    )
}

#[tokio::test]
async fn calls_are_put_together_by_their_index_wherever_the_body_is_split() {
    let body = CALLS.as_bytes();
    for cut in 0..=body.len() {
        let seen = decode(stream::Completion::new("m", 300), &[&body[..cut], &body[cut..]]).await;
        assert_eq!(
            seen.shown(),
            ["text Let me look, žluťoučký 🐎.", r#"call c1 db__query {"sql": 1}"#, "call c2 db__list {}"],
            "{cut}"
        );
        assert_eq!((seen.stop, seen.usage), (Some(StopReason::ToolUse), Usage::new(10, 20)));
    }
}

#[tokio::test]
async fn cached_tokens_are_not_counted_twice() {
    let usage = read(HELLO).await.usage;
    assert_eq!((usage.input, usage.cache_read, usage.output, usage.prompt()), (176, 1_024, 3, 1_200));
}

#[tokio::test]
async fn every_reason_to_stop_has_its_meaning() {
    let text = r#"{"content":"x"}"#;
    let call = r#"{"tool_calls":[{"index":0,"id":"a","function":{"name":"n","arguments":"{}"}}]}"#;
    let refusal = r#"{"refusal":"I can't."}"#;
    let cases = [
        ("stop", text, StopReason::EndTurn),
        ("stop", call, StopReason::ToolUse),
        ("stop", refusal, StopReason::Refusal),
        ("tool_calls", call, StopReason::ToolUse),
        ("tool_calls", text, StopReason::EndTurn),
        ("function_call", call, StopReason::ToolUse),
        ("length", text, StopReason::MaxTokens),
        ("length", call, StopReason::MaxTokens),
        ("content_filter", text, StopReason::Refusal),
        ("tired", text, StopReason::Other("tired".into())),
    ];
    for (word, delta, reason) in cases {
        assert_eq!(read(&finished(word, delta)).await.stop, Some(reason), "{word} {delta}");
    }
    let both = read(&finished("stop", r#"{"content":"Hm. ","refusal":"I can't."}"#)).await;
    assert_eq!((both.text.as_str(), both.shown()), ("Hm. I can't.", vec!["text Hm. I can't.".to_owned()]));
}

#[tokio::test]
async fn calls_without_an_index_or_an_id_stay_apart_and_get_an_id() {
    let same_index = r#"{"tool_calls":[{"index":0,"id":"a","function":{"name":"x","arguments":"{}"}},{"index":0,"id":"b","function":{"name":"y","arguments":"{}"}}]}"#;
    assert_eq!(read(&finished("stop", same_index)).await.shown(), ["call a x {}", "call b y {}"]);

    let no_id =
        r#"{"tool_calls":[{"index":0,"function":{"name":"x","arguments":""}},{"index":1,"function":{"name":"y"}}]}"#;
    let seen = read(&finished("stop", no_id)).await;
    let ids: Vec<&str> =
        seen.blocks.iter().map(|block| if let Block::ToolUse { id, .. } = block { id.as_str() } else { "" }).collect();
    assert!(ids[0].starts_with("call_") && ids[0] != ids[1], "{ids:?}");
}

#[tokio::test]
async fn calls_without_any_mark_are_told_apart_by_where_a_name_stands() {
    let chunk = |pieces: &[(&str, &str)], mark: &str| {
        let call = |(name, arguments): &(&str, &str)| {
            format!(r#"{{{mark}"function":{{"name":{name},"arguments":"{arguments}"}}}}"#)
        };
        let calls: Vec<String> = pieces.iter().map(call).collect();
        format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"tool_calls\":[{}]}}}}]}}\n\n", calls.join(","))
    };
    for mark in ["", r#""index":0,"id":"","#] {
        let whole = chunk(&[("\"x\"", "{}"), ("\"x\"", "{}"), ("\"y\"", "{}")], mark);
        let seen = read(&format!("{whole}{}", finished("stop", "{}"))).await;
        let names: Vec<String> = seen.shown().iter().map(|call| call[call.len() - 4..].to_owned()).collect();
        assert_eq!(names, ["x {}", "x {}", "y {}"], "{mark}");

        let pieces =
            [chunk(&[("\"x\"", "{\\\"a\\\"")], mark), chunk(&[("\"x\"", ":1}")], mark), chunk(&[("null", "")], mark)];
        let seen = read(&format!("{}{}", pieces.concat(), finished("stop", "{}"))).await;
        assert_eq!(seen.blocks.len(), 1, "{mark} {:?}", seen.shown());
        assert!(seen.shown()[0].ends_with(r#"x {"a":1}"#), "{mark} {:?}", seen.shown());
    }
}

#[tokio::test]
async fn text_in_parts_and_a_chunk_with_both_forms_are_understood() {
    let parts =
        r#"{"content":[{"type":"text","text":"Hel"},{"type":"text","text":"lo"}]},"message":{"content":"Hello"}"#;
    let seen = read(&finished("stop", parts)).await;
    assert_eq!((seen.text.as_str(), seen.stop), ("Hello", Some(StopReason::EndTurn)), "{:?}", seen.error);
}

#[tokio::test]
async fn arguments_that_are_no_json_are_kept_as_text() {
    let half = r#"{"tool_calls":[{"index":0,"id":"a","function":{"name":"x","arguments":"{\"query\": \"unf"}}]}"#;
    assert_eq!(read(&finished("length", half)).await.shown(), [r#"call a x "{\"query\": \"unf""#]);
}

#[tokio::test]
async fn a_server_that_does_not_count_is_estimated_and_marked() {
    let usage = read(&finished("stop", r#"{"content":"123456"}"#)).await.usage;
    assert_eq!((usage.input, usage.output, usage.estimated), (100, 2, true));
}

#[tokio::test]
async fn an_end_without_a_reason_is_a_cut_and_one_without_the_last_word_is_not() {
    let without_done = HELLO.strip_suffix("data: [DONE]\n\n").unwrap();
    assert_eq!(read(without_done).await.stop, Some(StopReason::EndTurn));
    let cut = &HELLO[..HELLO.find(r#"data: {"choices":[{"index":0,"delta":{},"#).unwrap()];
    let seen = read(cut).await;
    assert_eq!(seen.text, "Hello");
    assert!(matches!(seen.error, Some(LlmError::Cut { .. })));
}

#[tokio::test]
async fn an_error_in_the_middle_of_a_stream_has_its_meaning() {
    let start = HELLO.split_inclusive("\n\n").take(2).collect::<String>();
    let error = r#"data: {"error":{"message":"The server had an error","type":"server_error","code":null}}"#;
    let seen = read(&format!("{start}{error}\n\n")).await;
    assert_eq!(seen.text, "Hel");
    assert!(matches!(seen.error, Some(LlmError::Unavailable { .. })), "{:?}", seen.error);
    assert!(matches!(read("data: {\"choi\n\n").await.error, Some(LlmError::Protocol { .. })));
}
