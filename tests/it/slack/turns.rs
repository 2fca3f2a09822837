//! Somebody who writes in several messages: each is answered after those before.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use omni_core::{
    llm::{
        Speaker,
        scripted::{Scripted, call_turn, text_turn},
    },
    mcp::http::HttpServer,
};
use omni_tests::{
    agent::Speaks,
    fixture::FixtureServer,
    rig::{until, until_some},
    server::{FakeServer, any, text},
    slack::Fault,
};
use serde_json::json;
use tokio::{sync::Semaphore, time::sleep};

use super::{ANN, BOB, Bot, GENERAL, lab, rig::Roles, same, workspace};

/// A server with a tool that ends when it may.
fn gated(gate: &Arc<Semaphore>) -> FakeServer {
    let gate = gate.clone();
    FakeServer::echo().tool("dig", any(), move |_| {
        let gate = gate.clone();
        Box::pin(async move {
            gate.acquire().await.unwrap().forget();
            Ok(text("gold"))
        })
    })
}

/// A model that digs where it is asked to, and answers everything else at once.
fn digs() -> Scripted {
    Scripted::from_fn(|request| {
        let is_to_dig = request.messages.last().unwrap().text().ends_with("Dig");
        Ok(if is_to_dig { call_turn(0, &[("lab__dig", json!({}))]) } else { text_turn("At once.") })
    })
}

/// What the model was told last with each request.
fn asked(llm: &Scripted) -> Vec<String> {
    llm.requests().iter().map(|request| request.messages.last().unwrap().text()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_writes_two_messages_is_answered_one_after_the_other_and_the_second_knows_the_first() {
    let gate = Arc::new(Semaphore::new(0));
    let llm = Scripted::new().call(&[("lab__dig", json!({}))]).say("First.").say("Second.");
    let bot = Bot::start(workspace().await, llm.clone(), gated(&gate), same, |_| {}).await;
    let first = bot.slack.dms(ANN, "Compare prod and test").await;
    until(|| bot.server.running() == 1).await;
    let second = bot.slack.dms(ANN, "Only for March").await;
    // That its answer comes is said at once.
    bot.said_to(ANN, &second.ts, "Processing your question").await;
    sleep(Duration::from_millis(500)).await;
    assert_eq!(llm.requests().len(), 1, "{:?}", asked(&llm));
    gate.add_permits(1);
    bot.said_to(ANN, &first.ts, "Second.").await;
    let last = llm.requests().pop().unwrap();
    let said: Vec<String> = last.messages.iter().map(|message| message.text()).collect();
    let at = |words: &str| said.iter().position(|one| one.contains(words));
    assert!(at("Compare prod and test").is_some() && at("Compare prod and test") < at("First."), "{said:#?}");
    assert_eq!(at("Only for March"), Some(said.len() - 1), "{said:#?}");
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_for_others_or_for_what_is_asked_elsewhere() {
    let gate = Arc::new(Semaphore::new(0));
    let bot = Bot::start(workspace().await, digs(), gated(&gate), same, |_| {}).await;
    let dig = bot.slack.mentions(ANN, GENERAL, "Dig").await;
    until(|| bot.server.running() == 1).await;
    let other = bot.slack.mentions(ANN, GENERAL, "Where?").await;
    bot.slack.answer_saying(&other, "At once.").await;
    let others = bot.slack.mentions_in(BOB, GENERAL, &dig.ts, "Where?").await;
    bot.slack.answer_saying(&others, "At once.").await;
    bot.slack.replies(ANN, GENERAL, &dig.ts, "!stop").await;
    until(|| bot.server.running() == 0).await;
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_stopped_holds_up_nothing_and_stops_what_waits_for_it_too() {
    let llm = Scripted::new().call(&[("lab__hang", json!({}))]).say("Here I am.");
    let bot = Bot::start(workspace().await, llm.clone(), lab().hanging("hang"), same, |_| {}).await;
    let first = bot.slack.dms(ANN, "Hang").await;
    until(|| bot.server.running() == 1).await;
    let second = bot.slack.dms(ANN, "And more").await;
    bot.said_to(ANN, &second.ts, "Processing your question").await;
    bot.slack.dms(ANN, "!stop").await;
    let direct = bot.slack.direct(ANN);
    let stopped = || bot.slack.messages(&direct).iter().filter(|one| one.says("Stopped.")).count();
    until(|| stopped() == 2).await;
    bot.slack.dms(ANN, "Are you there?").await;
    bot.said_to(ANN, &first.ts, "Here I am.").await;
    assert_eq!(llm.requests().len(), 2, "what waited was not asked: {:?}", asked(&llm));
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_to_agree_first_is_answered_meanwhile() {
    let server = lab().tool("wipe", any(), |_| Box::pin(async { Ok(text("wiped")) }));
    let llm = Scripted::new().call(&[("lab__wipe", json!({}))]).say("Tuesday.");
    let bot = Bot::start(workspace().await, llm, server, same, |_| {}).await;
    let first = bot.slack.dms(ANN, "Wipe the logs").await;
    bot.slack.dms(ANN, "What day is it?").await;
    bot.said_to(ANN, &first.ts, "Tuesday.").await;
    bot.said_to(ANN, &first.ts, "Approval needed").await;
    assert_eq!(bot.server.calls(), 0);
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn whom_a_server_asks_something_is_answered_meanwhile() {
    let fixture = FixtureServer::speaking(Speaks::New).await;
    let llm = Scripted::from_fn(|request| {
        let is_meanwhile = request.messages.last().unwrap().text().contains("What day is it?");
        let is_answered = request.messages.iter().any(|message| message.speaker == Speaker::Assistant);
        let call = ("fix__test_input_required_result_elicitation", json!({ "message": "Who are you?" }));
        Ok(if is_meanwhile || is_answered { text_turn("Tuesday.") } else { call_turn(0, &[call]) })
    });
    let server = HttpServer::new(&fixture.url).unwrap();
    let change = |builder: omni_core::OmniBuilder| {
        let policy: Arc<Roles> = Roles::of_all(&[("ann@company.com", "dba")]);
        builder.server("fix", server).policy(policy)
    };
    let bot = Bot::start(workspace().await, llm, lab(), change, |_| {}).await;
    let first = bot.slack.dms(ANN, "Ask me").await;
    bot.said_to(ANN, &first.ts, "asks you something").await;
    let second = bot.slack.dms(ANN, "What day is it?").await;
    bot.said_to(ANN, &second.ts, "Tuesday.").await;
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn that_an_answer_is_in_progress_is_told_to_no_model() {
    let (gate, heard) = (Arc::new(Semaphore::new(0)), Arc::new(Mutex::new(Vec::new())));
    let hears = heard.clone();
    let llm = Scripted::from_fn(move |request| {
        let told = request.messages.last().unwrap().text();
        let is_to_dig = told.ends_with("Dig");
        hears.lock().unwrap().push(told);
        Ok(if is_to_dig { call_turn(0, &[("lab__dig", json!({}))]) } else { text_turn("At once.") })
    });
    let bot = Bot::start(workspace().await, llm, gated(&gate), same, |_| {}).await;
    bot.slack.fault("agents.sessions.setStatus", usize::MAX, Fault::Error("unknown_method".into()));
    let dig = bot.slack.mentions(ANN, GENERAL, "Dig").await;
    let working = || bot.slack.thread(GENERAL, &dig.ts).into_iter().find(|one| one.element("omni:stop").is_some());
    until_some(async || working()).await;
    let other = bot.slack.mentions_in(BOB, GENERAL, &dig.ts, "Where?").await;
    bot.slack.answer_saying(&other, "At once.").await;
    let all = heard.lock().unwrap().clone();
    let told = all.iter().find(|one| one.ends_with("Where?")).unwrap_or_else(|| panic!("{all:?}"));
    assert!(told.contains("omni Dig") && !told.contains("Processing"), "{told}");
    bot.behaved();
}
