//! How much people may ask and call, seen from outside.

use std::sync::Arc;

use async_trait::async_trait;
use omni_core::{
    Ask, ErrorKind, OmniBuilder, Principal,
    answer::CallStatus,
    ask::DirectCall,
    audit::{AuditBackend, AuditQuery, memory::MemorySink},
    ledger::{Event, Outcome},
    limit::{LimitError, RateLimiter, Reservation, ReservationId, Reserve, Settle, fail_open::FailOpen},
    llm::{Speaker, scripted::Scripted, scripted::call_turn, scripted::text_turn},
    mcp::ServerOptions,
    policy::{Quota, Role, RuleSet, memory::MemoryPolicy},
};
use omni_tests::{
    recorder::Recorder,
    rig::Rig,
    server::{FakeServer, text},
};
use serde_json::{json, value::RawValue};
use tokio::sync::Semaphore;

fn quota(change: impl FnOnce(&mut Quota)) -> Quota {
    let mut quota = Quota::default();
    change(&mut quota);
    quota
}

fn limited(quota: Quota) -> impl FnOnce(OmniBuilder) -> OmniBuilder {
    let policy = MemoryPolicy::new().with_subject("ada@company.com", Role::new("dba"), RuleSet::allow_all(), quota);
    |builder| builder.policy(policy)
}

fn ask() -> Ask {
    Ask::new(Principal::email("ada@company.com"), "Say hi")
}

fn say_hi() -> Scripted {
    Scripted::from_fn(|_| Ok(text_turn("hi")))
}

fn call() -> DirectCall {
    let arguments = RawValue::from_string(json!({ "message": "hi" }).to_string()).unwrap();
    DirectCall::new(Principal::email("ada@company.com"), "lab", "echo", arguments)
}

/// Errors of the closing records with an outcome.
fn errors(recorder: &Recorder, of: Outcome) -> Vec<String> {
    let records = recorder.records().into_iter();
    records
        .filter_map(|record| match record.event {
            Event::Ask(ask) if ask.outcome == of => ask.error,
            Event::DirectCall(call) if call.outcome == of => call.error,
            _ => None,
        })
        .collect()
}

#[tokio::test]
async fn a_refusal_has_the_words_of_the_original_and_one_record() {
    let rig = Rig::new(say_hi(), FakeServer::echo(), limited(quota(|q| q.per_hour = Some(2)))).await;
    for _ in 0..2 {
        rig.omni.ask(ask()).await.unwrap();
    }
    let refused = rig.omni.ask(ask()).await.unwrap_err();
    let words =
        "Rate limit exceeded. You've made 2/2 requests in the last hour. Please try again in 60 minutes.".to_owned();
    assert_eq!((refused.kind(), refused.public_message()), (ErrorKind::RateLimited, words.clone()));
    let refusal = refused.refusal().unwrap();
    assert_eq!((refusal.max(), refusal.remaining()), (2, 0));
    assert!((1..=3_600).contains(&refusal.reset_seconds()) && refused.retry_after().is_some());
    rig.omni.shutdown().await;
    assert_eq!(errors(&rig.recorder, Outcome::RateLimited), [words]);
}

#[tokio::test]
async fn a_refusal_is_a_row_that_says_that_it_was_blocked_and_why() {
    let hour = limited(quota(|q| q.per_hour = Some(1)));
    let store = AuditBackend::new(MemorySink::default());
    let rig = Rig::new(say_hi(), FakeServer::echo(), |builder| hour(builder).audit_backend(store)).await;
    rig.omni.ask(ask()).await.unwrap();
    let words = rig.omni.ask(ask()).await.unwrap_err().public_message();
    rig.omni.call_tool(call()).await.unwrap_err();
    rig.omni.shutdown().await;
    let access = rig.omni.audit(Principal::email("ada@company.com")).await.unwrap();
    let rows = access.logs(&AuditQuery::default()).await.unwrap().entries;
    let rows: Vec<_> = rows.iter().rev().map(|row| (row.was_blocked, row.block_reason.as_deref())).collect();
    assert_eq!(rows, [(false, None), (true, Some(&*words)), (true, Some(&*words))]);
}

#[tokio::test]
async fn asks_and_direct_calls_draw_on_one_count_and_refusals_on_none() {
    let rig = Rig::new(say_hi(), FakeServer::echo(), limited(quota(|q| q.per_minute = Some(2)))).await;
    rig.omni.ask(ask()).await.unwrap();
    rig.omni.call_tool(call()).await.unwrap();
    for _ in 0..3 {
        let refused = rig.omni.call_tool(call()).await.unwrap_err();
        assert_eq!(refused.refusal().unwrap().used, 2, "a refusal counts nothing");
        assert!(refused.to_string().contains("2/2 requests in the last minute"), "{refused}");
    }
    rig.omni.tools(Principal::email("ada@company.com")).await.unwrap();
    rig.omni.shutdown().await;
    assert_eq!(errors(&rig.recorder, Outcome::RateLimited).len(), 3);
}

#[tokio::test]
async fn what_is_refused_counts_nothing_wherever_it_is_refused() {
    let one = || limited(quota(|q| q.per_hour = Some(1)));
    let rig = Rig::new(say_hi(), FakeServer::echo(), one()).await;
    let direct = |server: &str, tool: &str, arguments: serde_json::Value| {
        let arguments = RawValue::from_string(arguments.to_string()).unwrap();
        DirectCall::new(Principal::email("ada@company.com"), server, tool, arguments)
    };
    for refused in [
        direct("lab", "nothing_like_it", json!({})),
        direct("nowhere", "echo", json!({})),
        direct("lab", "echo", json!({ "message": 7 })),
    ] {
        let error = rig.omni.call_tool(refused).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Invalid), "{error}");
    }
    let twice = RawValue::from_string(r#"{"message":"secret","message":"ok"}"#.into()).unwrap();
    let twice = DirectCall::new(Principal::email("ada@company.com"), "lab", "echo", twice);
    let error = rig.omni.call_tool(twice).await.unwrap_err();
    assert!(error.kind() == ErrorKind::Invalid && error.to_string().contains("is twice"), "{error}");
    assert_eq!(rig.server.calls(), 0);
    let mut dear = ask();
    dear.options.max_cost = Some(omni_core::cost::NanoUsd(1));
    assert_eq!(rig.omni.ask(dear).await.unwrap_err().kind(), ErrorKind::Denied, "a model without a price");
    rig.omni.call_tool(call()).await.unwrap();
    assert_eq!(rig.omni.call_tool(call()).await.unwrap_err().kind(), ErrorKind::RateLimited, "the one is used");
    rig.omni.shutdown().await;
}

#[tokio::test]
async fn a_call_that_the_servers_own_limit_refuses_leaves_the_hour_as_it_was() {
    let hour = limited(quota(|q| q.per_hour = Some(3)));
    let rig = Rig::new(say_hi(), FakeServer::echo(), |b| server_limit(1)(hour(b))).await;
    rig.omni.call_tool(call()).await.unwrap();
    for _ in 0..3 {
        let refused = rig.omni.call_tool(call()).await.unwrap_err();
        assert!(refused.to_string().starts_with("lab: Rate limit exceeded"), "{refused}");
    }
    for _ in 0..2 {
        rig.omni.ask(ask()).await.unwrap();
    }
    assert!(rig.omni.ask(ask()).await.unwrap_err().to_string().contains("3/3 requests in the last hour"));
    rig.omni.shutdown().await;
}

#[tokio::test]
async fn more_in_a_second_than_the_burst_is_refused_in_its_own_words_with_a_record() {
    let rig = Rig::new(say_hi(), FakeServer::echo(), limited(quota(|q| q.burst = Some(2)))).await;
    let asks = (0..5).map(|_| rig.omni.ask(ask()));
    let ended = futures::future::join_all(asks).await;
    let refused: Vec<String> = ended.iter().filter_map(|end| Some(end.as_ref().err()?.public_message())).collect();
    assert!(!refused.is_empty() && refused.iter().all(|text| text.contains("2/2 requests")), "{refused:?}");
    rig.omni.shutdown().await;
    assert_eq!(errors(&rig.recorder, Outcome::RateLimited), refused);
}

#[tokio::test]
async fn one_more_at_the_same_time_than_allowed_is_refused_until_one_ends() {
    let gate = Arc::new(Semaphore::new(0));
    let waiting = gate.clone();
    let server = FakeServer::new().tool("wait", omni_tests::server::any(), move |_| {
        let waiting = waiting.clone();
        Box::pin(async move {
            waiting.acquire().await.unwrap().forget();
            Ok(text("done"))
        })
    });
    let llm = Scripted::from_fn(|request| {
        let answered = request.messages.iter().any(|message| message.speaker == Speaker::Assistant);
        Ok(if answered { text_turn("done") } else { call_turn(0, &[("lab__wait", json!({}))]) })
    });
    let rig = Rig::new(llm, server.clone(), limited(quota(|q| q.concurrent = Some(2)))).await;
    let start = |_| {
        let omni = rig.omni.clone();
        tokio::spawn(async move { omni.ask(ask()).await })
    };
    let running: Vec<_> = (0..2).map(start).collect();
    omni_tests::rig::until(|| server.calls() == 2).await;
    let refused = rig.omni.ask(ask()).await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "Too many requests at once: 2/2 of yours are still running. Please wait for one to finish."
    );
    gate.add_permits(3);
    for running in running {
        running.await.unwrap().unwrap();
    }
    rig.omni.ask(ask()).await.unwrap();
    rig.omni.shutdown().await;
}

fn server_limit(calls: u64) -> impl FnOnce(OmniBuilder) -> OmniBuilder {
    move |builder| {
        let mut options = ServerOptions::default();
        options.calls_per_minute = Some(calls);
        builder.server_with("lab", FakeServer::echo(), options)
    }
}

#[tokio::test]
async fn a_servers_limit_is_charged_at_the_call_and_the_model_is_told_when_to_come_back() {
    let calls = [1, 2, 3].map(|n| ("lab__echo", json!({ "message": n.to_string() })));
    let llm = Scripted::new().call(&calls).say("Two of three.");
    let rig = Rig::new(llm.clone(), FakeServer::echo(), server_limit(2)).await;
    let (answer, closings, recorder) = rig.run(ask()).await;
    let answer = answer.unwrap();
    let statuses: Vec<_> = answer.tool_calls.iter().map(|call| call.status).collect();
    assert_eq!(statuses.iter().filter(|status| **status == CallStatus::RateLimited).count(), 1, "{statuses:?}");
    assert_eq!(closings.len(), 1);
    let limited =
        recorder.tool_calls(answer.request_id).into_iter().filter(|(_, outcome)| *outcome == Outcome::RateLimited);
    assert_eq!(limited.count(), 1);
    let told = format!("{:?}", llm.requests()[1].messages.last().unwrap());
    assert!(told.contains("lab: Rate limit exceeded") && told.contains("Please try again in"), "{told}");
    assert!(told.contains("is_error: true"), "{told}");
}

#[tokio::test]
async fn a_servers_limit_is_one_count_for_asks_and_direct_calls_of_one_person() {
    let llm = Scripted::new().call(&[("lab__echo", json!({ "message": "hi" }))]).say("ok");
    let rig = Rig::new(llm, FakeServer::echo(), server_limit(2)).await;
    rig.omni.ask(ask()).await.unwrap();
    rig.omni.call_tool(call()).await.unwrap();
    let refused = rig.omni.call_tool(call()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::RateLimited);
    assert!(refused.public_message().starts_with("lab: Rate limit exceeded. You've made 2/2"), "{refused}");
    let mut other = call();
    other.credential = Principal::email("bob@company.com").into();
    rig.omni.call_tool(other).await.unwrap();
    rig.omni.shutdown().await;
    assert_eq!(errors(&rig.recorder, Outcome::RateLimited).len(), 1);
}

/// A limiter that is away.
#[derive(Debug)]
struct Away;

#[async_trait]
impl RateLimiter for Away {
    async fn reserve(&self, _: &Reserve) -> Result<Reservation, LimitError> {
        Err(LimitError::Unavailable { message: "connection refused".into() })
    }

    async fn settle(&self, _: &Settle) -> Result<(), LimitError> {
        Err(LimitError::Unavailable { message: "connection refused".into() })
    }

    async fn renew(&self, _: &ReservationId) -> Result<(), LimitError> {
        Err(LimitError::Unavailable { message: "connection refused".into() })
    }
}

#[tokio::test]
async fn a_call_that_cannot_be_counted_is_not_sent_unless_the_operator_prefers_it() {
    let llm = || Scripted::new().call(&[("lab__echo", json!({ "message": "hi" }))]).say("ok");
    let limit = server_limit(9);
    let shut = Rig::new(llm(), FakeServer::echo(), |b| limit(b).limiter(Away)).await;
    let refused = shut.omni.call_tool(call()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
    let (answer, ..) = shut.run(ask()).await;
    assert_eq!(answer.unwrap().tool_calls[0].status, CallStatus::Error);
    let limit = server_limit(9);
    let open = Rig::new(llm(), FakeServer::echo(), |b| limit(b).limiter(FailOpen::new(Away))).await;
    let (answer, ..) = open.run(ask()).await;
    assert_eq!(answer.unwrap().tool_calls[0].status, CallStatus::Ok);
}
