//! Answers as they come.

use futures::StreamExt as _;
use omni_core::{
    identity::Scope,
    ledger::{Event, Outcome},
    llm::scripted::{Scripted, call_turn},
};
use omni_tests::{
    door::{Door, Reply},
    rig::until,
    server::FakeServer,
};
use reqwest::Method;
use serde_json::{Value, json};

use super::ADA;

/// The events of a stream: id, name, data.
fn events(text: &str) -> Vec<(u64, String, Value)> {
    let field = |event: &str, name: &str| {
        event.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).unwrap_or_default().to_owned()
    };
    let events = text.split("\n\n").filter(|event| event.contains("event: "));
    events
        .map(|event| {
            (
                field(event, "id").parse().unwrap(),
                field(event, "event"),
                serde_json::from_str(&field(event, "data")).unwrap(),
            )
        })
        .collect()
}

#[tokio::test]
async fn a_stream_has_numbered_events_and_ends_with_the_answer() {
    let door = Door::new().await;
    let key = door.key(ADA, &[Scope::Ask]).await;
    let reply = door.post_by(&key, "/chat/ask/stream", &json!({ "message": "The capital of France?" })).await.is(200);
    assert_eq!(reply.header("content-type"), "text/event-stream");
    assert_eq!((reply.header("x-accel-buffering"), reply.header("content-encoding")), ("no", ""));
    let events = events(&reply.text);
    assert_eq!(events.iter().map(|event| event.0).collect::<Vec<_>>(), (1..=events.len() as u64).collect::<Vec<_>>());
    let (_, first, started) = &events[0];
    assert_eq!((first.as_str(), &started["event"]), ("started", &json!("started")));
    assert!(events.iter().any(|(_, name, data)| name == "token" && data["text"] == "Paris."));
    let (_, last, done) = events.last().unwrap();
    assert_eq!((last.as_str(), &done["answer"]), ("done", &json!("Paris.")));
}

#[tokio::test]
async fn a_question_that_is_not_let_in_is_no_stream() {
    let door = Door::new().await;
    let key = door.key(ADA, &[Scope::Audit]).await;
    door.post_by(&key, "/chat/ask/stream", &json!({ "message": "Hi" })).await.error(403, "denied");
}

#[tokio::test]
async fn a_reader_who_goes_away_gives_the_question_up() {
    let server = FakeServer::new().hanging("wait");
    let llm = Scripted::from_fn(|_| Ok(call_turn(0, &[("lab__wait", json!({}))])));
    let door = Door::with(|_| {}, |builder| builder.llm(llm).server("lab", server.clone())).await;
    let key = door.key(ADA, &[Scope::Ask]).await;
    let request = door.request(Method::POST, "/chat/ask/stream").bearer_auth(&key).json(&json!({ "message": "Wait" }));
    let response = request.send().await.unwrap();
    let mut body = response.bytes_stream();
    assert!(body.next().await.unwrap().unwrap().starts_with(b"event: started"));
    until(|| server.running() == 1).await;
    drop(body);
    until(|| server.running() == 0).await;
    let records = door.end().await.records();
    let outcomes: Vec<_> = records
        .iter()
        .filter_map(|record| match &record.event {
            Event::Ask(ask) => Some(ask.outcome),
            _ => None,
        })
        .collect();
    assert_eq!(outcomes, [Outcome::Cancelled]);
}

#[tokio::test]
async fn whoever_waits_for_an_answer_and_goes_away_gives_the_question_up_too() {
    let server = FakeServer::new().hanging("wait");
    let llm = Scripted::from_fn(|_| Ok(call_turn(0, &[("lab__wait", json!({}))])));
    let door = Door::with(|_| {}, |builder| builder.llm(llm).server("lab", server.clone())).await;
    let key = door.key(ADA, &[Scope::Ask]).await;
    let request = door.request(Method::POST, "/chat/ask").bearer_auth(&key).json(&json!({ "message": "Wait" }));
    let asking = tokio::spawn(Reply::of(request));
    until(|| server.running() == 1).await;
    asking.abort();
    until(|| server.running() == 0).await;
}
