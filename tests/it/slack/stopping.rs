//! An end of an answer that is asked for where another process answers.

use std::time::Duration;

use chrono::Utc;
use omni_core::llm::scripted::Scripted;
use omni_tests::{
    rig::until,
    server::{FakeServer, any, text},
};
use serde_json::json;
use tokio::time::sleep;

use super::{ANN, GENERAL, kept::Kept, same};

/// Longer than it takes until a process looks what others were asked for.
const LONG: Duration = Duration::from_secs(4);

/// A bot whose answers take a tool that takes its time.
async fn slow() -> Kept {
    let server = FakeServer::echo().tool("dig", any(), |_| {
        Box::pin(async {
            sleep(LONG).await;
            Ok(text("gold"))
        })
    });
    let llm = Scripted::new().call(&[("lab__dig", json!({}))]).say("There is gold.");
    Kept::start_with(llm, server, same, |_| {}).await
}

/// A bot whose answers take a tool that never ends by itself.
async fn hanging() -> Kept {
    let llm = Scripted::new().call(&[("lab__dig", json!({}))]).say("There is gold.");
    Kept::start_with(llm, FakeServer::echo().hanging("dig"), same, |_| {}).await
}

/// What another process leaves that is asked for an end in Ann's direct messages.
async fn wishes(bot: &Kept) {
    let key = format!("stop/{}/direct/{ANN}", bot.slack.direct(ANN));
    bot.values().put_for(&key, &json!(Utc::now().timestamp_millis()), Duration::from_secs(15)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_ends_though_another_process_was_asked_for_that() {
    let bot = hanging().await;
    let post = bot.slack.dms(ANN, "Dig").await;
    until(|| bot.server.running() == 1).await;
    wishes(&bot).await;
    bot.said_to(ANN, &post.ts, "Stopped.").await;
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_stops_nothing_stops_nothing_that_they_ask_next() {
    let bot = slow().await;
    let stop = bot.slack.dms(ANN, "!stop").await;
    bot.said_to(ANN, &stop.ts, "it stops in a moment").await;
    let post = bot.slack.dms(ANN, "Dig").await;
    bot.said_to(ANN, &post.ts, "There is gold.").await;
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_privately_has_a_button_that_stops_it() {
    let bot = hanging().await;
    bot.slack.slash(ANN, GENERAL, "/omni", "--private Dig").await.acked().await.unwrap();
    let working = bot.slack.whisper(ANN, "Processing").await;
    until(|| bot.server.running() == 1).await;
    bot.slack.clicks(ANN, &working, "omni:stop").await.acked().await.unwrap();
    bot.slack.whisper(ANN, "Stopped.").await;
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_answer_of_a_thread_is_stopped_by_a_word_there() {
    let bot = hanging().await;
    let post = bot.slack.mentions(ANN, GENERAL, "Dig").await;
    until(|| bot.server.running() == 1).await;
    bot.slack.replies(ANN, GENERAL, post.thread(), "!stop").await;
    bot.slack.answer_saying(&post, "Stopped.").await;
    bot.behaved();
}
