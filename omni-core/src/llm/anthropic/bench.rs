//! What the benchmarks measure from outside: requests and streams without a network.

use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use tokio::time::Instant;

use super::{DEFAULT_API_VERSION, VENDOR, request, stream::Messages};
use crate::llm::{
    ChatRequest, LlmError,
    sse::{self, SseLimits},
    vendor::turn::Turn,
};

/// The body of a request, in bytes.
///
/// # Errors
/// An [`LlmError`] when the request cannot be written.
pub fn body(request: &ChatRequest) -> Result<Vec<u8>, LlmError> {
    Ok(request::make(request, &request.model, DEFAULT_API_VERSION, request.extra.clone())?.body)
}

/// A streamed answer of `deltas` pieces of text, as it comes over the wire.
#[must_use]
pub fn recorded_stream(deltas: usize) -> Bytes {
    let event = |name: &str, data: String| format!("event: {name}\ndata: {data}\n\n");
    let mut body = event(
        "message_start",
        r#"{"type":"message_start","message":{"id":"m","usage":{"input_tokens":10,"output_tokens":1}}}"#.into(),
    );
    let start = r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#;
    body.push_str(&event("content_block_start", start.into()));
    for delta in 0..deltas {
        let text = format!(r#"{{"type":"text_delta","text":"piece {delta} of it "}}"#);
        let data = format!(r#"{{"type":"content_block_delta","index":0,"delta":{text}}}"#);
        body.push_str(&event("content_block_delta", data));
    }
    body.push_str(&event("content_block_stop", r#"{"type":"content_block_stop","index":0}"#.into()));
    let end = r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":500}}"#;
    body.push_str(&event("message_delta", end.into()));
    body.push_str(&event("message_stop", r#"{"type":"message_stop"}"#.into()));
    Bytes::from(body)
}

/// Decodes a recorded stream, in pieces of the size that a network delivers; returns the number of events.
///
/// # Errors
/// An [`LlmError`] when it is no such stream.
pub async fn decode(body: Bytes) -> Result<usize, LlmError> {
    let pieces: Vec<_> = body.chunks(1_400).map(|piece| Ok(body.slice_ref(piece))).collect();
    let events = sse::events(VENDOR.kind, futures::stream::iter(pieces), SseLimits::default());
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut turn = Turn::events(VENDOR.kind, Some(deadline), events, Messages::new("bench")).into_stream();
    let mut count = 0;
    while let Some(event) = turn.next().await {
        event?;
        count += 1;
    }
    Ok(count)
}
