//! Clicks of which nothing comes: whoever clicked reads so.

use std::sync::Arc;

use omni_core::{
    OmniBuilder,
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
    slack::{Submitted, View},
};
use serde_json::json;

use super::{ANN, Bot, GENERAL, kept::Kept, lab, rig::Roles, same, workspace};

const NOT_OPENED: &str = "Slack did not open the form";

/// A bot whose model wants something to be wiped.
async fn wipes() -> Bot {
    let server = FakeServer::echo().tool("wipe", any(), |_| Box::pin(async { Ok(text("wiped")) }));
    let llm = Scripted::new().call(&[("lab__wipe", json!({}))]).say("All is gone.");
    Bot::start(workspace().await, llm, server, same, |_| {}).await
}

#[tokio::test(flavor = "multi_thread")]
async fn who_clicks_too_late_for_a_form_reads_that_slack_did_not_open_it() {
    let bot = wipes().await;
    bot.slack.mentions(ANN, GENERAL, "Wipe it").await;
    let card = bot.slack.whisper(ANN, "Approval needed").await;
    let told = || bot.slack.ephemerals(ANN).into_iter().filter(|one| one.says(NOT_OPENED)).count();
    for (at, button) in ["omni:deny_reason", "omni:details"].into_iter().enumerate() {
        bot.slack.fail("views.open", "expired_trigger_id");
        bot.slack.clicks(ANN, &card, button).await.acked().await.unwrap();
        until(|| told() == at + 1).await;
    }
    let message = bot.slack.messages(GENERAL).remove(0);
    bot.slack.fail("views.open", "expired_trigger_id");
    bot.slack.shortcut(ANN, "omni_ask_message", &message).await.acked().await.unwrap();
    bot.said_to(ANN, &message.ts, NOT_OPENED).await;
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn on_the_apps_page_they_read_it_in_their_direct_messages() {
    let bot = wipes().await;
    let post = bot.slack.mentions(ANN, GENERAL, "Wipe it").await;
    bot.slack.whisper(ANN, "Approval needed").await;
    bot.slack.opens_home(ANN).await;
    let asks = |page: &View| format!("{page:?}").contains("omni:details");
    let page = until_some(async || bot.slack.home(ANN).filter(asks)).await;
    bot.slack.fail("views.open", "expired_trigger_id");
    bot.slack.clicks(ANN, &page, "omni:details").await.acked().await.unwrap();
    bot.said_to(ANN, &post.ts, NOT_OPENED).await;
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_clicks_on_a_question_that_is_over_reads_that_nobody_may_wait_for_it() {
    let fixture = FixtureServer::speaking(Speaks::New).await;
    let llm = Scripted::from_fn(|request| {
        let is_answered = request.messages.iter().any(|message| message.speaker == Speaker::Assistant);
        let call = ("fix__test_input_required_result_elicitation", json!({ "message": "Who are you?" }));
        Ok(if is_answered { text_turn("Thanks.") } else { call_turn(0, &[call]) })
    });
    let server = HttpServer::new(&fixture.url).unwrap();
    let change = |builder: OmniBuilder| {
        let policy: Arc<Roles> = Roles::of_all(&[("ann@company.com", "dba")]);
        builder.server("fix", server).policy(policy)
    };
    let bot = Kept::start_with(llm, lab(), change, |_| {}).await;
    bot.slack.mentions(ANN, GENERAL, "Ask me").await;
    let card = bot.slack.whisper(ANN, "fix").await;
    let is_asked = |id: &String| id.starts_with("omni:elicit") && !id.ends_with("decline");
    let id = card.actions().into_iter().find(is_asked).unwrap();
    bot.slack.clicks(ANN, &card, &id).await.acked().await.unwrap();
    let modal = bot.slack.modal(ANN, "name").await;
    assert_eq!(bot.slack.submits(&modal, json!({ "value": "ada" })).await, Submitted::Closed);
    bot.slack.whisper(ANN, "Answered").await;
    // Their screen is a moment behind.
    bot.slack.clicks(ANN, &card, &id).await.acked().await.unwrap();
    bot.slack.whisper(ANN, "nobody waits for it any more. Please press it again.").await;
    bot.behaved();
}
