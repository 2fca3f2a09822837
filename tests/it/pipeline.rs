//! The invariants of the pipeline, seen from outside, by every way that an ask can end.

use std::{sync::Arc, time::Duration};

use omni_core::{
    AnswerEvent, Ask, Error, ErrorKind, OmniBuilder, Principal,
    answer::{CallStatus, Status},
    ask::{AskOptions, DirectCall},
    cost::{NanoUsd, Price, Rates},
    ledger::{Event, Outcome},
    llm::{ChatEvent, LlmError, ModelInfo, ResultPart, scripted::Scripted},
    mcp::{McpError, ServerOptions},
    policy::{AskBounds, Quota, Role, RuleSet, memory::MemoryPolicy},
    redact::Redactor,
};
use omni_tests::{
    rig::{Rig, until},
    server::{FakeServer, any, text},
};
use serde_json::{json, value::RawValue};

fn ada() -> Principal {
    Principal::email("Ada@Company.com ")
}

fn ask(question: &str) -> Ask {
    Ask::new(ada(), question)
}

fn options(change: impl FnOnce(&mut AskOptions)) -> AskOptions {
    let mut options = AskOptions::default();
    change(&mut options);
    options
}

fn raw(value: &serde_json::Value) -> Box<RawValue> {
    RawValue::from_string(value.to_string()).unwrap()
}

async fn rig(llm: Scripted, server: FakeServer, change: impl FnOnce(OmniBuilder) -> OmniBuilder) -> Rig {
    Rig::new(llm, server, change).await
}

fn same(builder: OmniBuilder) -> OmniBuilder {
    builder
}

#[tokio::test]
async fn a_question_that_needs_a_tool_is_answered_with_its_result() {
    let llm = Scripted::new().call(&[("lab__echo", json!({ "message": "hi" }))]).say("It said hi.");
    let rig = rig(llm.clone(), FakeServer::echo(), same).await;
    let (answer, closings, recorder) = rig.run(ask("Say hi")).await;
    let answer = answer.unwrap();
    assert_eq!((answer.text.as_str(), answer.status, answer.iterations), ("It said hi.", Status::Completed, 2));
    assert_eq!(answer.user, "ada@company.com");
    assert_eq!(answer.tool_calls[0].status, CallStatus::Ok);
    assert_eq!(closings, [Outcome::Success]);
    assert_eq!(recorder.tool_calls(answer.request_id), [("echo".to_owned(), Outcome::Success)]);
    let last = llm.requests().pop().unwrap();
    let result = format!("{:?}", last.messages.last().unwrap());
    assert!(result.contains("hi") && result.contains("tool_output"), "{result}");
}

#[tokio::test]
async fn text_events_join_to_the_text_of_the_answer() {
    let mut first = vec![ChatEvent::Text("Let me ".into()), ChatEvent::Text("see.".into())];
    first.push(ChatEvent::Block(omni_core::llm::Block::text("Let me see.")));
    first.extend(omni_core::llm::scripted::call_turn(0, &[("lab__echo", json!({ "message": "x" }))]));
    let rig = rig(Scripted::new().turn(first).say("Done."), FakeServer::echo(), same).await;
    let mut stream = rig.omni.ask_stream(ask("q"));
    let (mut joined, mut order) = (String::new(), Vec::new());
    while let Some(event) = stream.next().await {
        match event {
            AnswerEvent::Text { text } => joined.push_str(&text),
            AnswerEvent::ToolStarted { .. } => order.push("start"),
            AnswerEvent::ToolFinished(_) => order.push("end"),
            AnswerEvent::Done(answer) => assert_eq!(answer.text, joined),
            _ => {}
        }
    }
    assert_eq!((joined.as_str(), order), ("Let me see.\n\nDone.", vec!["start", "end"]));
}

#[tokio::test]
async fn parallel_calls_run_at_the_same_time_and_are_reported_in_order() {
    let barrier = Arc::new(tokio::sync::Barrier::new(3));
    let server = FakeServer::new().tool("meet", any(), move |_| {
        let barrier = barrier.clone();
        Box::pin(async move {
            barrier.wait().await;
            Ok(text("met"))
        })
    });
    let calls = [("lab__meet", json!({ "n": 1 })), ("lab__meet", json!({ "n": 2 })), ("lab__meet", json!({ "n": 3 }))];
    let rig = rig(Scripted::new().call(&calls).say("ok"), server, same).await;
    let (answer, _, _) = rig.run(ask("q").with_options(options(|o| o.timeout = Some(Duration::from_secs(20))))).await;
    let answer = answer.unwrap();
    let numbers: Vec<_> = answer.tool_calls.iter().map(|call| call.arguments["n"].as_u64().unwrap()).collect();
    assert_eq!((answer.status, numbers), (Status::Completed, vec![1, 2, 3]));
}

#[tokio::test]
async fn a_name_that_is_no_tool_is_an_error_for_the_model_and_not_for_the_asker() {
    let llm = Scripted::new().call(&[("lab__ehco", json!({}))]).say("Sorry.");
    let rig = rig(llm.clone(), FakeServer::echo(), same).await;
    let (answer, _, _) = rig.run(ask("q")).await;
    assert_eq!(answer.unwrap().text, "Sorry.");
    let told = format!("{:?}", llm.requests()[1].messages.last().unwrap());
    assert!(told.contains("lab__echo") && told.contains("is_error: true"), "{told}");
}

#[tokio::test]
async fn arguments_are_checked_against_the_schema_before_the_call() {
    let llm = Scripted::new().call(&[("lab__echo", json!({ "message": 5 }))]).say("ok");
    let rig = rig(llm.clone(), FakeServer::echo(), same).await;
    let server = rig.server.clone();
    rig.run(ask("q")).await.0.unwrap();
    assert_eq!(server.calls(), 0);
    let told = format!("{:?}", llm.requests()[1].messages.last().unwrap());
    assert!(told.contains("message") && told.contains("string"), "{told}");
}

fn only_echo() -> MemoryPolicy {
    let rules = RuleSet::builder().allow("lab", "echo").build().unwrap();
    MemoryPolicy::new().with_subject("ada@company.com", Role::new("reader"), rules, Quota::default())
}

#[tokio::test]
async fn no_tool_runs_unless_the_grant_allows_it_and_a_hidden_tool_is_unknown() {
    let server = FakeServer::echo().tool("drop_all", any(), |_| Box::pin(async { Ok(text("gone")) }));
    let llm = Scripted::new().call(&[("lab__drop_all", json!({}))]).say("I cannot.");
    let rig = rig(llm.clone(), server, |b| b.policy(only_echo())).await;
    let server = rig.server.clone();
    let (answer, _, recorder) = rig.run(ask("drop everything")).await;
    let answer = answer.unwrap();
    assert_eq!(server.calls(), 0);
    assert_eq!((answer.denials.len(), answer.denials[0].tool.as_str()), (1, "drop_all"));
    assert_eq!(recorder.tool_calls(answer.request_id), [("drop_all".to_owned(), Outcome::Denied)]);
    let offered: Vec<_> = llm.requests()[0].tools.tools().iter().map(|tool| tool.llm_name.to_string()).collect();
    assert_eq!(offered, ["lab__echo"]);
    let told = format!("{:?}", llm.requests()[1].messages.last().unwrap());
    assert!(told.contains("There is no tool"), "{told}");
}

#[tokio::test]
async fn a_direct_call_passes_the_same_policy_and_leaves_one_record() {
    let server = FakeServer::echo().tool("drop_all", any(), |_| Box::pin(async { Ok(text("gone")) }));
    let rig = rig(Scripted::new(), server, |b| b.policy(only_echo())).await;
    let allowed = DirectCall::new(ada(), "lab", "echo", raw(&json!({ "message": "hi" })));
    let denied = DirectCall::new(ada(), "lab", "drop_all", raw(&json!({})));
    let misfit = DirectCall::new(ada(), "lab", "echo", raw(&json!({ "message": 1 })));
    let ids = [allowed.request_id, denied.request_id, misfit.request_id];
    assert_eq!(rig.omni.call_tool(allowed).await.unwrap().text(), "hi");
    assert_eq!(rig.omni.call_tool(denied).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(rig.omni.call_tool(misfit).await.unwrap_err().kind(), ErrorKind::Invalid);
    rig.omni.shutdown().await;
    assert_eq!(rig.server.calls(), 1);
    assert_eq!(
        ids.map(|id| rig.recorder.closings(id)),
        [vec![Outcome::Success], vec![Outcome::Denied], vec![Outcome::Error]]
    );
}

#[tokio::test]
async fn somebody_unknown_is_denied_and_recorded() {
    let rig = rig(Scripted::new().say("never"), FakeServer::echo(), |b| b.policy(MemoryPolicy::new())).await;
    let (answer, closings, _) = rig.run(ask("q")).await;
    assert_eq!(answer.unwrap_err().0, ErrorKind::Denied);
    assert_eq!(closings, [Outcome::Denied]);
}

#[tokio::test]
async fn what_a_door_refuses_is_one_record_without_secrets_and_nothing_is_asked_or_counted() {
    let llm = Scripted::new().say("ok");
    let mut quota = Quota::default();
    quota.per_hour = Some(1);
    let policy = MemoryPolicy::new().with_subject("ada@company.com", Role::new("reader"), RuleSet::allow_all(), quota);
    let redactor = Redactor::new().with_value("s3cr3t-value-of-the-config");
    let rig = rig(llm.clone(), FakeServer::echo(), |b| b.policy(policy).redactor(redactor)).await;
    let question = format!("{} s3cr3t-value-of-the-config {}", "Where?", "x".repeat(100_000));
    for who in [ada(), Principal::email("eve@elsewhere.com")] {
        let why = Error::Denied { message: format!("not here, s3cr3t-value-of-the-config {}", "y".repeat(10_000)) };
        rig.omni.refuse(Ask::new(who, &*question), why).await;
    }
    let (answer, _, recorder) = rig.run(ask("And now?")).await;
    assert_eq!(answer.unwrap().text, "ok", "what was refused counts nothing");
    assert_eq!(llm.requests().len(), 1);
    let refused: Vec<_> = recorder
        .records()
        .into_iter()
        .filter_map(|record| match (record.event, record.party) {
            (Event::Ask(ask), Some(party)) if ask.outcome == Outcome::Denied => Some((party.subject, party.role, ask)),
            _ => None,
        })
        .collect();
    let parties: Vec<_> = refused.iter().map(|(subject, role, _)| (subject.as_str(), role.as_deref())).collect();
    assert_eq!(parties, [("ada@company.com", Some("reader")), ("eve@elsewhere.com", None)]);
    for (_, _, ask) in &refused {
        let why = ask.error.as_deref().unwrap();
        assert!(ask.question.starts_with("Where?") && why.starts_with("not here"), "{why}");
        assert!(!format!("{ask:?}").contains("s3cr3t"), "a secret is kept");
        assert!(ask.question.len() < 40_000 && why.len() < 3_000, "{} and {}", ask.question.len(), why.len());
    }
}

#[tokio::test]
async fn n_allowed_means_n_and_the_refusal_says_when_to_come_back() {
    let quota = {
        let mut quota = Quota::default();
        quota.per_hour = Some(2);
        quota
    };
    let policy = MemoryPolicy::new().with_subject("ada@company.com", Role::new("r"), RuleSet::allow_all(), quota);
    let llm = Scripted::from_fn(|_| Ok(omni_core::llm::scripted::text_turn("ok")));
    let rig = rig(llm, FakeServer::echo(), |b| b.policy(policy)).await;
    let asks: Vec<_> = (0..5).map(|_| ask("q")).collect();
    let ids: Vec<_> = asks.iter().map(|ask| ask.request_id).collect();
    let results = futures::future::join_all(asks.into_iter().map(|ask| rig.omni.ask(ask))).await;
    let refused: Vec<_> = results.into_iter().filter_map(Result::err).collect();
    assert_eq!(refused.len(), 3);
    assert!(refused[0].to_string().starts_with("Rate limit exceeded. You've made 2/2 requests in the last hour."));
    assert!(refused[0].retry_after().unwrap() > Duration::from_secs(3500));
    rig.omni.shutdown().await;
    let mut closings: Vec<_> = ids.iter().map(|id| rig.recorder.closings(*id)).collect();
    closings.sort_by_key(|of_one| of_one[0] == Outcome::RateLimited);
    let (allowed, refused) = (vec![Outcome::Success], vec![Outcome::RateLimited]);
    assert_eq!(closings, [allowed.clone(), allowed, refused.clone(), refused.clone(), refused]);
}

#[tokio::test]
async fn a_dropped_ask_stops_its_call_and_is_recorded_as_cancelled() {
    let llm = Scripted::new().call(&[("lab__hang", json!({}))]).say("never");
    let rig = rig(llm, FakeServer::new().hanging("hang"), same).await;
    let ask = ask("q");
    let id = ask.request_id;
    let mut stream = rig.omni.ask_stream(ask);
    while let Some(event) = stream.next().await {
        if matches!(event, AnswerEvent::ToolStarted { .. }) {
            break;
        }
    }
    until(|| rig.server.running() == 1).await;
    drop(stream);
    until(|| rig.server.running() == 0).await;
    rig.omni.shutdown().await;
    assert_eq!(rig.recorder.closings(id), [Outcome::Cancelled]);
    assert_eq!(rig.recorder.tool_calls(id), [("hang".to_owned(), Outcome::Cancelled)]);
}

#[tokio::test]
async fn an_ask_that_runs_out_of_time_answers_with_what_there_was() {
    let server = FakeServer::echo().hanging("hang");
    let llm = Scripted::new()
        .call(&[("lab__echo", json!({ "message": "found it" }))])
        .call(&[("lab__hang", json!({}))])
        .say("never");
    let rig = rig(llm, server, same).await;
    let (answer, closings, recorder) =
        rig.run(ask("q").with_options(options(|o| o.timeout = Some(Duration::from_millis(400))))).await;
    let answer = answer.unwrap();
    assert_eq!(answer.status, Status::Timeout);
    assert!(answer.text.contains("found it"), "{}", answer.text);
    assert_eq!(answer.warnings[0].code, "timeout");
    assert_eq!(closings, [Outcome::Warning]);
    assert_eq!(recorder.tool_calls(answer.request_id)[1], ("hang".to_owned(), Outcome::Timeout));
}

#[tokio::test]
async fn the_bound_on_turns_returns_results_with_a_warning() {
    let calls = |n: u32| [("lab__echo", json!({ "message": format!("result {n}") }))];
    let llm = Scripted::new().call(&calls(1)).call(&calls(2)).say("never");
    let rig = rig(llm, FakeServer::echo(), same).await;
    let (answer, closings, _) = rig.run(ask("q").with_options(options(|o| o.max_turns = Some(2)))).await;
    let answer = answer.unwrap();
    assert_eq!((answer.warnings[0].code.as_str(), answer.iterations), ("max_iterations_reached", 2));
    assert!(answer.text.contains("result 1") && answer.text.contains("result 2"), "{}", answer.text);
    assert_eq!(closings, [Outcome::Warning]);
}

#[tokio::test]
async fn a_loop_of_identical_calls_is_broken_after_three() {
    let llm = Scripted::from_fn(|_| {
        Ok(omni_core::llm::scripted::call_turn(0, &[("lab__echo", json!({ "message": "again" }))]))
    });
    let rig = rig(llm, FakeServer::echo(), same).await;
    let server = rig.server.clone();
    let (answer, _, _) = rig.run(ask("q")).await;
    assert_eq!(answer.unwrap().warnings[0].code, "tool_loop");
    assert_eq!(server.calls(), 3);
}

fn priced() -> ModelInfo {
    let mut model = ModelInfo::new("scripted", "priced");
    model.price = Some(Price::flat(Rates::new(1_000, 5_000, 0, 0, 0)));
    model
}

#[tokio::test]
async fn a_cost_limit_stops_before_the_turn_that_it_cannot_pay() {
    let llm = Scripted::new().with_model(priced()).call(&[("lab__echo", json!({ "message": "x" }))]).say("never");
    let rig = rig(llm.clone(), FakeServer::echo(), same).await;
    let bound = NanoUsd::from_usd(0.0028);
    let (answer, _, _) = rig.run(ask("q").with_options(options(|o| o.max_cost = Some(bound)))).await;
    let answer = answer.unwrap();
    assert!(answer.cost.unwrap() <= bound, "{:?}", answer.cost);
    assert!(llm.requests().iter().all(|request| request.max_tokens < 4_096));
}

#[tokio::test]
async fn the_bound_on_tokens_leaves_no_turn_whose_prompt_alone_passes_it() {
    let call = [("lab__echo", json!({ "message": "x".repeat(16_000) }))];
    let llm = Scripted::new().call(&call).say("never");
    let mut bounds = AskBounds::default();
    bounds.max_tokens = Some(3_000);
    let rig = rig(llm.clone(), FakeServer::echo(), |builder| builder.bounds(bounds)).await;
    let (answer, _, _) = rig.run(ask("q")).await;
    let answer = answer.unwrap();
    assert_eq!((answer.status, answer.warnings[0].code.as_str()), (Status::RateLimited, "max_tokens_budget"));
    assert_eq!((answer.tool_calls[0].status, llm.requests().len()), (CallStatus::Ok, 1));
    assert!(answer.text.contains("leaves nothing for another turn") && answer.text.contains("xxx"), "{}", answer.text);
}

#[tokio::test]
async fn a_question_that_takes_more_than_an_ask_may_is_said_to_do_that_and_asked_of_nobody() {
    let llm = Scripted::new().say("never");
    let mut bounds = AskBounds::default();
    bounds.max_tokens = Some(20);
    let rig = rig(llm.clone(), FakeServer::echo(), |builder| builder.bounds(bounds)).await;
    let (answer, _, _) = rig.run(ask(&"why? ".repeat(100))).await;
    let answer = answer.unwrap();
    assert_eq!((answer.status, llm.requests().len()), (Status::RateLimited, 0));
    assert!(answer.text.contains("takes more tokens than an ask may"), "{}", answer.text);
}

#[tokio::test]
async fn a_model_without_a_price_is_refused_under_a_cost_limit() {
    let rig = rig(Scripted::new().say("never"), FakeServer::echo(), same).await;
    let limit = options(|o| o.max_cost = Some(NanoUsd::from_usd(1.0)));
    let (answer, closings, _) = rig.run(ask("q").with_options(limit)).await;
    assert_eq!((answer.unwrap_err().0, closings), (ErrorKind::Denied, vec![Outcome::Denied]));
}

#[tokio::test]
async fn a_model_that_fails_is_one_error_with_what_there_was() {
    let llm = Scripted::new().call(&[("lab__echo", json!({ "message": "x" }))]).fail(LlmError::Unavailable {
        provider: "scripted",
        status: "529".into(),
        message: "overloaded".into(),
    });
    let rig = rig(llm, FakeServer::echo(), same).await;
    let (answer, closings, _) = rig.run(ask("q")).await;
    let (kind, partial) = answer.unwrap_err();
    assert_eq!((kind, partial.tool_calls.len(), closings), (ErrorKind::Unavailable, 1, vec![Outcome::Error]));
}

#[tokio::test]
async fn a_stream_that_breaks_off_keeps_its_text_and_settles_at_its_bound() {
    let cut = vec![ChatEvent::Text("The answer is".into())];
    let rig = rig(Scripted::new().with_model(priced()).turn(cut), FakeServer::echo(), same).await;
    let (answer, closings, _) = rig.run(ask("q")).await;
    let (_, partial) = answer.unwrap_err();
    assert_eq!(partial.text, "The answer is");
    assert!(partial.usage.estimated && partial.usage.input > 0 && partial.cost.unwrap() > NanoUsd(0));
    assert_eq!(closings, [Outcome::Error]);
}

#[tokio::test]
async fn a_panic_fails_that_call_or_that_ask_only() {
    let server = FakeServer::echo().tool("boom", any(), |_| Box::pin(async { panic!("boom") }));
    let llm = Scripted::new().call(&[("lab__boom", json!({}))]).say("It broke.");
    let broken = rig(llm, server, same).await;
    let (answer, closings, _) = broken.run(ask("q")).await;
    assert_eq!((answer.unwrap().text.as_str(), closings), ("It broke.", vec![Outcome::Success]));

    let panicking = rig(Scripted::from_fn(|_| panic!("in the provider")), FakeServer::echo(), same).await;
    let (answer, closings, _) = panicking.run(ask("q")).await;
    assert_eq!((answer.unwrap_err().0, closings), (ErrorKind::Failed, vec![Outcome::Error]));
}

#[tokio::test]
async fn a_tool_that_may_destroy_something_does_not_run_when_nobody_can_be_asked() {
    let server = FakeServer::new()
        .tool("wipe", any(), |_| Box::pin(async { Ok(text("wiped")) }))
        .annotated("wipe", json!({ "destructiveHint": true }));
    let llm = Scripted::new().call(&[("lab__wipe", json!({}))]).say("Not done.");
    let rig = rig(llm, server, same).await;
    let server = rig.server.clone();
    let (answer, _, _) = rig.run(ask("wipe it")).await;
    let answer = answer.unwrap();
    assert_eq!((server.calls(), answer.denials[0].reason.as_str()), (0, "approval"));
    assert!(answer.denials[0].rule.contains("destructiveHint"), "what asks for a human decided: {answer:?}");
    assert_eq!(answer.tool_calls[0].status, CallStatus::Declined);
}

#[tokio::test]
async fn a_server_that_fails_or_flood_costs_that_call_only() {
    let server = FakeServer::echo()
        .tool("lost", any(), |_| Box::pin(async { Err(McpError::Closed { message: "reset".into(), unsent: false }) }))
        .tool("flood", any(), |_| Box::pin(async { Ok(text(&"x".repeat(3_000_000))) }));
    let calls = [("lab__lost", json!({})), ("lab__flood", json!({})), ("lab__echo", json!({ "message": "hi" }))];
    let llm = Scripted::new().call(&calls).say("ok");
    let rig = rig(llm.clone(), server, same).await;
    let answer = rig.run(ask("q")).await.0.unwrap();
    let statuses: Vec<_> = answer.tool_calls.iter().map(|call| call.status).collect();
    assert_eq!(statuses, [CallStatus::Error, CallStatus::Ok, CallStatus::Ok]);
    let size: usize = llm.requests()[1]
        .messages
        .iter()
        .flat_map(|message| &message.blocks)
        .filter_map(|block| match block {
            omni_core::llm::Block::ToolResult { content, .. } => Some(content),
            _ => None,
        })
        .flatten()
        .map(|part| match part {
            ResultPart::Text { text } => text.len(),
            _ => 0,
        })
        .sum();
    assert!(size < 120_000, "{size} bytes went to the model");
}

#[tokio::test]
async fn after_shutdown_new_asks_are_refused() {
    let rig = rig(Scripted::new(), FakeServer::echo(), same).await;
    rig.omni.shutdown().await;
    assert_eq!(rig.omni.ask(ask("q")).await.unwrap_err().kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn a_preview_is_refused_for_what_its_ask_would_be_refused_for() {
    let rig = rig(Scripted::new(), FakeServer::echo(), same).await;
    let refused = async |ask: Ask| rig.omni.preview(ask).await.unwrap_err().kind();
    let limit = options(|o| o.max_cost = Some(NanoUsd::from_usd(1.0)));
    assert_eq!(refused(ask("q").with_options(limit)).await, ErrorKind::Denied, "nobody knows what the model costs");
    assert_eq!(refused(ask("q").with_session(" ")).await, ErrorKind::Invalid, "a conversation has a name");
    let long = options(|o| o.timeout = Some(Duration::MAX));
    assert_eq!(rig.omni.preview(ask("q").with_options(long)).await.unwrap().tools.tools().len(), 1);
    rig.omni.shutdown().await;
    assert_eq!(refused(ask("q")).await, ErrorKind::Unavailable, "nothing new begins");
}

#[tokio::test]
async fn whoever_wants_no_bound_on_time_sets_one_without_an_end() {
    let (mut bounds, mut patient, mut quota) = (AskBounds::default(), ServerOptions::default(), Quota::default());
    (bounds.timeout, quota.concurrent) = (Duration::MAX, Some(1));
    (patient.call_timeout, patient.connect_timeout, patient.retry_delay) =
        (Duration::MAX, Duration::MAX, Duration::MAX);
    (patient.keep_alive, patient.idle_close) = (Some(Duration::MAX), Some(Duration::MAX));
    (patient.max_age, patient.refresh) = (Some(Duration::MAX), Some(Duration::MAX));
    let policy = MemoryPolicy::new().with_subject("ada@company.com", Role::new("r"), RuleSet::allow_all(), quota);
    let llm = Scripted::new().call(&[("lab__echo", json!({ "message": "hi" }))]).say("It said hi.");
    let set = |builder: OmniBuilder| builder.bounds(bounds).policy(policy);
    let rig = rig(llm, FakeServer::new(), |b| set(b).server_with("lab", FakeServer::echo(), patient)).await;
    rig.omni.preview(ask("q")).await.unwrap();
    let echo = DirectCall::new(ada(), "lab", "echo", raw(&json!({ "message": "hi" })));
    assert_eq!(rig.omni.call_tool(echo).await.unwrap().text(), "hi");
    let (answer, closings, _) = rig.run(ask("Say hi")).await;
    assert_eq!((answer.unwrap().text.as_str(), closings), ("It said hi.", vec![Outcome::Success]));
}

#[tokio::test]
async fn an_empty_question_is_refused_in_words() {
    let rig = rig(Scripted::new(), FakeServer::echo(), same).await;
    let (answer, closings, _) = rig.run(ask("  ")).await;
    assert_eq!((answer.unwrap_err().0, closings), (ErrorKind::Invalid, vec![Outcome::Error]));
}
