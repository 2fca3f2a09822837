//! Answers as they come.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use futures::StreamExt as _;
use omni_core::{
    OmniBuilder,
    config::HttpConfig,
    identity::Scope,
    ledger::{Event, Outcome},
    limit::memory::MemoryLimiter,
    llm::scripted::{Scripted, call_turn, text_turn},
    policy::{Quota, Role, RuleSet, memory::MemoryPolicy},
};
use omni_tests::{
    door::{Door, Reply},
    rig::until,
    server::{FakeServer, any, text},
};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::ADA;

/// The events of a stream: number, name, data. All ids name the same ask.
fn events(text: &str) -> Vec<(u64, String, Value)> {
    let asks: BTreeSet<_> = text.lines().filter_map(|line| line.strip_prefix("id: ")?.split_once(':')).collect();
    assert!(asks.iter().map(|(ask, _)| ask).collect::<BTreeSet<_>>().len() <= 1, "{text}");
    let field = |event: &str, name: &str| {
        event.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).unwrap_or_default().to_owned()
    };
    let events = text.split("\n\n").filter(|event| event.contains("event: "));
    events
        .map(|event| {
            (
                field(event, "id").split_once(':').unwrap().1.parse().unwrap(),
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

/// A server whose tool hangs until it is let go.
fn gated() -> (FakeServer, Arc<Semaphore>) {
    let gate = Arc::new(Semaphore::new(0));
    let opened = gate.clone();
    let server = FakeServer::new().tool("wait", any(), move |_| {
        let opened = opened.clone();
        Box::pin(async move {
            opened.acquire().await.unwrap().forget();
            Ok(text("waited"))
        })
    });
    (server, gate)
}

/// A model that calls it, and then says something.
fn waiting() -> Scripted {
    Scripted::new().turn(call_turn(0, &[("lab__wait", json!({}))])).turn(text_turn("Paris."))
}

/// The id of an event.
fn id_of(event: &[u8]) -> String {
    let text = String::from_utf8(event.to_vec()).unwrap();
    text.lines().find_map(|line| line.strip_prefix("id: ")).unwrap().to_owned()
}

async fn stop(door: &Door, key: &str, last: &str) -> Reply {
    let request = door.request(Method::DELETE, "/chat/ask/stream").bearer_auth(key);
    Reply::of(request.header("last-event-id", last)).await
}

/// A door whose model calls a tool that hangs until it is let go, and a stream there whose first event came.
struct Broken {
    door: Door,
    server: FakeServer,
    /// Lets the tool return.
    gate: Arc<Semaphore>,
    key: String,
    /// The id of the first event.
    first: String,
}

impl Broken {
    /// A stream whose reader went away after the first event.
    async fn within(grace: Duration) -> Self {
        Self::of(grace, |builder| builder).await
    }

    /// The same with another pipeline.
    async fn of(grace: Duration, change: impl FnOnce(OmniBuilder) -> OmniBuilder) -> Self {
        let (server, gate) = gated();
        let set = |config: &mut HttpConfig| config.resume_grace = grace;
        let door = Door::with(set, |builder| change(builder.llm(waiting()).server("lab", server.clone()))).await;
        let key = door.key(ADA, &[Scope::Ask]).await;
        let request = door.request(Method::POST, "/chat/ask/stream").bearer_auth(&key);
        let response = request.json(&json!({ "message": "Wait" })).send().await.unwrap();
        let mut body = response.bytes_stream();
        let first = id_of(&body.next().await.unwrap().unwrap());
        until(|| server.running() == 1).await;
        Self { door, server, gate, key, first }
    }

    async fn resume(&self, method: Method, key: &str, last: &str) -> Reply {
        let request = self.door.request(method, "/chat/ask/stream").bearer_auth(key).header("last-event-id", last);
        Reply::of(request.json(&json!({ "message": "Wait" }))).await
    }

    async fn outcomes(self) -> Vec<Outcome> {
        let records = self.door.end().await.records();
        let asks = records.iter().filter_map(|record| match &record.event {
            Event::Ask(ask) => Some(ask.outcome),
            _ => None,
        });
        asks.collect()
    }
}

const LONG: Duration = Duration::from_secs(600);

#[tokio::test]
async fn a_reader_who_stays_away_gives_the_question_up() {
    let broken = Broken::within(Duration::from_millis(50)).await;
    until(|| broken.server.running() == 0).await;
    let gone = broken.resume(Method::GET, &broken.key, &broken.first).await;
    let detail = gone.error(409, "conflict");
    assert!(detail.as_str().unwrap().contains("/audit/logs/"), "{detail}");
    assert_eq!(broken.outcomes().await, [Outcome::Cancelled]);
}

#[tokio::test]
async fn a_reader_who_comes_back_goes_on_after_the_last_event_and_nothing_is_asked_anew() {
    for method in [Method::GET, Method::POST] {
        let broken = Broken::within(LONG).await;
        let (resumed, ()) = tokio::join!(broken.resume(method, &broken.key, &broken.first), async {
            broken.gate.add_permits(1);
        });
        let rest = events(&resumed.is(200).text);
        assert_eq!(
            rest.iter().map(|event| event.0).collect::<Vec<_>>(),
            (2..2 + rest.len() as u64).collect::<Vec<_>>()
        );
        assert_eq!((&*rest.last().unwrap().1, &rest.last().unwrap().2["answer"]), ("done", &json!("Paris.")));
        let again = broken.resume(Method::GET, &broken.key, &broken.first).await.is(200);
        assert_eq!(events(&again.text), rest, "its end can be read for a while");
        assert_eq!(broken.outcomes().await, [Outcome::Success]);
    }
}

#[tokio::test]
async fn a_stream_for_somebody_else_is_read_with_the_rights_that_it_was_begun_with() {
    let door = Door::with(|config| config.resume_grace = LONG, |builder| builder).await;
    let bot = door.key_for("bot@company.com", &[Scope::Ask, Scope::ActAs], &[ADA]).await;
    let reply = door.post_by(&bot, "/chat/ask/stream", &json!({ "message": "Hi", "user_id": ADA })).await.is(200);
    let first = reply.text.lines().find_map(|line| line.strip_prefix("id: ")).unwrap().to_owned();
    let resume = async |key: &str| {
        let request = door.request(Method::GET, "/chat/ask/stream").bearer_auth(key);
        Reply::of(request.header("last-event-id", &first)).await
    };
    resume(&bot).await.is(200);
    let without = door.key("bot@company.com", &[Scope::Ask]).await;
    let for_others = door.key_for("bot@company.com", &[Scope::Ask, Scope::ActAs], &["eve@company.com"]).await;
    let no_asker = door.key_for("bot@company.com", &[Scope::Audit, Scope::ActAs], &[ADA]).await;
    let herself = door.key(ADA, &[Scope::Ask]).await;
    for key in [without, for_others, no_asker, herself] {
        resume(&key).await.error(409, "conflict");
    }
}

#[tokio::test]
async fn another_key_of_the_same_person_does_not_go_on_with_a_stream() {
    let broken = Broken::within(LONG).await;
    let other = broken.door.key(ADA, &[Scope::Ask]).await;
    broken.gate.add_permits(1);
    broken.resume(Method::GET, &other, &broken.first).await.error(409, "conflict");
    broken.resume(Method::GET, &broken.key, &broken.first).await.is(200);
    broken.door.end().await;
}

#[tokio::test]
async fn nobody_else_reads_a_stream_by_its_id() {
    let broken = Broken::within(LONG).await;
    let other = broken.door.key("eve@company.com", &[Scope::Ask]).await;
    broken.resume(Method::GET, &other, &broken.first).await.error(409, "conflict");
    let unknown = "019a0000-0000-7000-8000-000000000000:1";
    broken.resume(Method::GET, &broken.key, unknown).await.error(409, "conflict");
    let detail = broken.resume(Method::GET, &broken.key, "7").await.error(422, "invalid");
    assert_eq!(detail[0]["loc"], json!(["header", "last-event-id"]));
    let without = Reply::of(broken.door.request(Method::GET, "/chat/ask/stream").bearer_auth(&broken.key)).await;
    assert_eq!(without.error(422, "invalid")[0]["type"], "missing");
    broken.gate.add_permits(1);
    broken.door.end().await;
}

#[tokio::test]
async fn who_wants_no_answer_any_more_stops_the_question_and_asks_the_next_one_at_once() {
    let mut quota = Quota::default();
    quota.concurrent = Some(1);
    let policy = MemoryPolicy::new().with_subject(ADA, Role::super_admin(), RuleSet::allow_all(), quota);
    let broken = Broken::of(LONG, |builder| builder.policy(policy).limiter(MemoryLimiter::new())).await;
    let ask = async || broken.door.post_by(&broken.key, "/chat/ask", &json!({ "message": "Next?" })).await;
    ask().await.error(429, "rate_limited");
    stop(&broken.door, &broken.key, &broken.first).await.is(204);
    assert_eq!(ask().await.is(200).json()["answer"], "Paris.");
    until(|| broken.server.running() == 0).await;
    let rest = events(&broken.resume(Method::GET, &broken.key, &broken.first).await.is(200).text);
    assert_eq!(rest.last().unwrap().1, "error", "whoever reads on is told how it ended: {rest:?}");
    stop(&broken.door, &broken.key, &broken.first).await.is(204);
    let outcomes = broken.outcomes().await;
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Outcome::Cancelled).count(), 1, "{outcomes:?}");
}

#[tokio::test]
async fn nobody_else_stops_a_question() {
    let broken = Broken::within(LONG).await;
    let other = broken.door.key(ADA, &[Scope::Ask]).await;
    let eve = broken.door.key("eve@company.com", &[Scope::Ask]).await;
    for key in [&other, &eve] {
        stop(&broken.door, key, &broken.first).await.error(409, "conflict");
    }
    stop(&broken.door, &broken.key, "019a0000-0000-7000-8000-000000000000:1").await.error(409, "conflict");
    let without = Reply::of(broken.door.request(Method::DELETE, "/chat/ask/stream").bearer_auth(&broken.key)).await;
    assert_eq!(without.error(422, "invalid")[0]["type"], "missing");
    broken.gate.add_permits(1);
    broken.resume(Method::GET, &broken.key, &broken.first).await.is(200);
    assert_eq!(broken.outcomes().await, [Outcome::Success]);
}

#[tokio::test]
async fn what_somebody_agreed_to_is_carried_out_and_cannot_be_stopped() {
    let (server, gate) = gated();
    let rules = RuleSet::builder().allow("lab", "*").confirm("lab", "wait").build().unwrap();
    let policy = MemoryPolicy::new().with_subject(ADA, Role::new("dba"), rules, Quota::default());
    let change = |builder: OmniBuilder| builder.llm(waiting()).server("lab", server.clone()).policy(policy);
    let door = Door::with(|_| {}, change).await;
    let key = door.key(ADA, &[Scope::Ask]).await;
    let asked = door.post_by(&key, "/chat/ask", &json!({ "message": "Wait" })).await.is(202).json();
    let request = door.request(Method::POST, asked["confirmations"][0]["url"].as_str().unwrap()).bearer_auth(&key);
    let request = request.header("accept", "text/event-stream").json(&json!({ "approve": true }));
    let mut body = request.send().await.unwrap().bytes_stream();
    let first = id_of(&body.next().await.unwrap().unwrap());
    until(|| server.running() == 1).await;
    stop(&door, &key, &first).await.error(409, "conflict");
    gate.add_permits(1);
    let mut rest = String::new();
    while let Some(part) = body.next().await {
        rest.push_str(&String::from_utf8_lossy(&part.unwrap()));
    }
    assert!(rest.contains("event: done") && rest.contains("Paris."), "{rest}");
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
