//! The contract of sources of model turns.

#![allow(clippy::expect_used, reason = "this is test code")]

use std::time::Duration;

use futures::{StreamExt as _, future::join_all};
use tokio::time::timeout;

use crate::llm::{Block, ChatEvent, ChatRequest, ChatStream, LlmError, LlmProvider};

/// Longer than any turn of a suite takes.
const LONG: Duration = Duration::from_secs(60);
/// How many turns are made at the same time.
const CALLERS: usize = 4;

/// Checks a provider by a request of which it makes a turn; it is asked for the same one eight times. What is true of
/// the wire alone (retries, bytes that stay, what the vendor is told) is not seen.
///
/// # Panics
/// Where the contract is broken.
pub async fn llm_provider_contract(provider: &dyn LlmProvider, request: &ChatRequest) {
    there_is_a_model_and_it_stays_the_first(provider);
    is_in_order(provider, &turn(provider, request).await);
    a_turn_that_is_dropped_keeps_nobody_waiting(provider, request).await;
    turns_are_made_at_the_same_time(provider, request).await;
    there_is_a_model_and_it_stays_the_first(provider);
}

/// Checks a provider by a request whose turn fails, at once or in the middle, and then by one of which it makes a turn.
///
/// # Panics
/// Where the contract is broken.
pub async fn llm_fault_contract(provider: &dyn LlmProvider, failing: &ChatRequest, sound: &ChatRequest) {
    if let Ok(stream) = begun(provider, failing).await {
        let mut items = items(stream).await;
        let last = items.pop();
        assert!(matches!(last, Some(Err(_))), "a fault is the stream's last item: {last:?}");
        let is_sound = |item: &Result<ChatEvent, LlmError>| matches!(item, Ok(event) if !is_done(event));
        assert!(items.iter().all(is_sound), "before it is no other one, and no end: {items:?}");
    }
    is_in_order(provider, &turn(provider, sound).await);
}

async fn begun(provider: &dyn LlmProvider, request: &ChatRequest) -> Result<ChatStream, LlmError> {
    timeout(LONG, provider.stream(request.clone())).await.expect("the provider answers")
}

async fn items(stream: ChatStream) -> Vec<Result<ChatEvent, LlmError>> {
    timeout(LONG, stream.collect()).await.expect("the stream ends")
}

/// The events of a turn.
async fn turn(provider: &dyn LlmProvider, request: &ChatRequest) -> Vec<ChatEvent> {
    let stream = begun(provider, request).await.expect("a turn is made");
    items(stream).await.into_iter().collect::<Result<_, _>>().expect("nothing of it fails")
}

fn is_done(event: &ChatEvent) -> bool {
    matches!(event, ChatEvent::Done(_))
}

fn there_is_a_model_and_it_stays_the_first(provider: &dyn LlmProvider) {
    let models = provider.models();
    let first = models.first().expect("there is a model");
    assert!(models.iter().all(|model| !model.id.is_empty()), "a model has an id: {models:?}");
    assert!(models.iter().all(|model| model.provider == first.provider), "all are the provider's: {models:?}");
    assert_eq!(provider.models(), models, "they are the same the next time");
}

/// What is said is told in order: text as it comes, blocks when they are complete, usage so far, the end last.
fn is_in_order(provider: &dyn LlmProvider, events: &[ChatEvent]) {
    let kind = provider.models().first().map(|model| model.provider);
    let (mut streamed, mut told, mut used) = (String::new(), String::new(), 0);
    for event in events {
        match event {
            ChatEvent::Text(text) => {
                assert!(!text.is_empty(), "empty text never comes: {events:?}");
                streamed.push_str(text);
            }
            ChatEvent::Block(Block::Text { text }) => {
                assert!(!text.is_empty(), "nor an empty block: {events:?}");
                told.push_str(text);
            }
            ChatEvent::Block(Block::ToolUse { id, name, .. }) => {
                assert!(!id.is_empty() && !name.is_empty(), "a call can be answered: {events:?}");
            }
            ChatEvent::Block(Block::Opaque { provider, .. }) => {
                assert_eq!(Some(provider.as_str()), kind, "what only a vendor understands is the vendor's");
            }
            ChatEvent::Usage(usage) => {
                assert!(usage.total() >= used, "usage is that so far: {events:?}");
                used = usage.total();
            }
            ChatEvent::Block(Block::ToolResult { .. }) | ChatEvent::Warning(_) | ChatEvent::Done(_) => {}
        }
    }
    assert!(streamed.is_empty() || streamed == told, "the whole text comes again in blocks: {events:?}");
    let end = events.iter().position(is_done);
    assert!(end.is_some() && end == events.len().checked_sub(1), "there is one end, and it comes last: {events:?}");
}

async fn a_turn_that_is_dropped_keeps_nobody_waiting(provider: &dyn LlmProvider, request: &ChatRequest) {
    drop(begun(provider, request).await);
    let mut stream = begun(provider, request).await.expect("a turn is made");
    let first = timeout(LONG, stream.next()).await.expect("the stream goes on");
    assert!(matches!(first, Some(Ok(_))), "a turn has a beginning: {first:?}");
    drop(stream);
    is_in_order(provider, &turn(provider, request).await);
}

/// Each begins before any goes on: none waits for what another one says to be read.
async fn turns_are_made_at_the_same_time(provider: &dyn LlmProvider, request: &ChatRequest) {
    let all = join_all((0..CALLERS).map(|_| begun(provider, request))).await;
    for stream in all {
        let items = items(stream.expect("a turn is made")).await;
        let events: Result<Vec<_>, _> = items.into_iter().collect();
        is_in_order(provider, &events.expect("nothing of it fails"));
    }
}
