//! What a killed process was answering.

use omni_core::llm::scripted::Scripted;
use omni_tests::{
    rig::{until, until_some},
    slack::Fault,
};
use serde_json::json;

use super::{
    ANN, GENERAL,
    kept::{Kept, kept},
    lab, same, says,
};

/// What is answered now, by what the database says.
async fn doing(bot: &Kept) -> Vec<(String, serde_json::Value)> {
    bot.values().list("doing/").await.unwrap()
}

/// A process left this when it was killed; whoever looks takes it for one that lives no more.
async fn left_by_a_killed_process(bot: &Kept, (key, mut value): (String, serde_json::Value)) {
    value["by"] = "0192e4a0-0000-7000-8000-000000000000".into();
    bot.values().put(&key, &value).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_process_was_answering_is_told_in_its_thread_once() {
    let llm = Scripted::new().call(&[("lab__hang", json!({}))]).say("Never.");
    let mut bot = Kept::start_with(llm, lab().hanging("hang"), same, |_| {}).await;
    let post = bot.slack.mentions(ANN, GENERAL, "Hang").await;
    until(|| bot.server.running() == 1).await;
    let left = until_some(async || doing(&bot).await.pop()).await;
    let other = bot.another().await;
    bot.slack.connected(4).await;
    let told = |bot: &Kept| {
        let thread = bot.slack.thread(GENERAL, post.thread());
        thread.into_iter().filter(|one| one.by_bot && one.says("I was interrupted")).count()
    };
    assert_eq!(told(&bot), 0, "the process that answers lives");
    bot.slack.stops(ANN, GENERAL, post.thread()).await;
    until_some(async || doing(&bot).await.is_empty().then_some(())).await;
    other.end().await;
    left_by_a_killed_process(&bot, left).await;
    let other = bot.another().await;
    bot.restart().await;
    until(|| told(&bot) == 1).await;
    until_some(async || doing(&bot).await.is_empty().then_some(())).await;
    bot.restart().await;
    bot.slack.settled().await;
    assert_eq!(told(&bot), 1, "{}", bot.slack.transcript());
    other.end().await;
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn that_a_private_question_was_interrupted_only_its_asker_reads() {
    let mut bot = kept(says("Paris.")).await;
    let ticket = format!("0192e4a0-0000-7000-8000-000000000001 {ANN} {GENERAL} - private");
    let left = ("doing/1".to_owned(), json!({ "ticket": ticket }));
    left_by_a_killed_process(&bot, left).await;
    bot.restart().await;
    bot.slack.whisper(ANN, "I was interrupted").await;
    assert!(bot.slack.messages(GENERAL).iter().all(|one| !one.by_bot), "{}", bot.slack.transcript());
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_button_that_stops_nothing_any_more_is_taken_away_with_that() {
    let llm = Scripted::new().call(&[("lab__hang", json!({}))]).say("Never.");
    let bot = Kept::start_with(llm, lab().hanging("hang"), same, |_| {}).await;
    bot.slack.fault("agents.sessions.setStatus", usize::MAX, Fault::Error("unknown_method".into()));
    let post = bot.slack.mentions(ANN, GENERAL, "Hang").await;
    let buttons = || {
        let thread = bot.slack.thread(GENERAL, post.thread()).into_iter();
        thread.filter(|one| one.element("omni:stop").is_some()).map(|one| one.ts).collect::<Vec<_>>()
    };
    let (_, left) = until_some(async || doing(&bot).await.pop().filter(|(_, left)| left["button"].is_string())).await;
    assert_eq!(buttons(), [left["button"].as_str().unwrap()]);
    left_by_a_killed_process(&bot, ("doing/left".to_owned(), left)).await;
    until(|| bot.slack.thread(GENERAL, post.thread()).iter().any(|one| one.says("I was interrupted"))).await;
    until(|| buttons().is_empty()).await;
    bot.behaved();
}
