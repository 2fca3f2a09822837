//! Replies that mention nobody, in threads that the bot takes part in.

use omni_core::{
    config::SlackConfig,
    llm::{LlmError, scripted::Scripted},
};
use omni_tests::{
    rig::until,
    server::{any, text},
    slack::Post,
};
use serde_json::json;

use super::{ANN, BOB, Bot, GENERAL, bot, kept::Kept, lab, same, workspace};

/// What a model says that takes no question.
fn refused() -> LlmError {
    LlmError::InvalidRequest { provider: "scripted", status: 400, message: "not this one".into() }
}

/// Bob says more in the thread of a post, and is answered; what the model was told of it.
async fn goes_on(bot: &Bot, llm: &Scripted, post: &Post) -> String {
    let reply = bot.slack.replies(BOB, GENERAL, post.thread(), "And then?").await;
    bot.slack.answer_saying(&reply, "Then this.").await;
    llm.requests().last().unwrap().messages.last().unwrap().text()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_is_answered_beside_the_first_answer_of_its_thread_and_knows_what_was_asked() {
    let llm = Scripted::new().call(&[("lab__hang", json!({}))]).say("Then this.");
    let bot = Bot::start(workspace().await, llm.clone(), lab().hanging("hang"), same, |_| {}).await;
    let post = bot.slack.mentions(ANN, GENERAL, "Hang on").await;
    until(|| bot.server.running() == 1).await;
    let told = goes_on(&bot, &llm, &post).await;
    assert!(told.contains("ann: @omni Hang on") && told.ends_with("And then?"), "{told}");
    bot.slack.replies(ANN, GENERAL, post.thread(), "!stop").await;
    until(|| bot.server.running() == 0).await;
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_is_answered_while_the_first_question_of_its_thread_waits_for_agreement() {
    let llm = Scripted::new().call(&[("lab__wipe", json!({}))]).say("Then this.");
    let server = lab().tool("wipe", any(), |_| Box::pin(async { Ok(text("wiped")) }));
    let bot = Bot::start(workspace().await, llm.clone(), server, same, |_| {}).await;
    let post = bot.slack.mentions(ANN, GENERAL, "Wipe the logs").await;
    bot.slack.whisper(ANN, "Approval needed").await;
    let told = goes_on(&bot, &llm, &post).await;
    assert!(told.contains("ann: @omni Wipe the logs"), "{told}");
    assert_eq!(bot.server.calls(), 0);
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_is_answered_after_the_first_question_of_its_thread_failed() {
    let llm = Scripted::new().fail(refused()).say("Then this.");
    let bot = bot(llm.clone()).await;
    let post = bot.slack.mentions(ANN, GENERAL, "Where?").await;
    bot.slack.answer(&post).await;
    let told = goes_on(&bot, &llm, &post).await;
    assert!(told.contains("ann: @omni Where?"), "{told}");
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thread_is_the_bots_after_a_restart_too_though_its_first_question_failed() {
    let llm = Scripted::new().fail(refused()).say("Then this.");
    let mut bot = Kept::start(llm.clone(), |_| {}).await;
    let post = bot.slack.mentions(ANN, GENERAL, "Where?").await;
    bot.slack.answer(&post).await;
    bot.restart().await;
    goes_on(&bot, &llm, &post).await;
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_greeted_asks_in_the_thread_of_the_greeting() {
    let llm = Scripted::new().say("Then this.");
    let bot = bot(llm.clone()).await;
    let post = bot.slack.mentions(ANN, GENERAL, "").await;
    bot.slack.answer_saying(&post, "Ask me anything").await;
    goes_on(&bot, &llm, &post).await;
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn where_threads_are_not_followed_a_reply_takes_a_mention_whatever_came_of_the_first_question() {
    let llm = Scripted::new().fail(refused()).say("Then this.");
    let set = |config: &mut SlackConfig| config.follow_threads = false;
    let bot = Bot::start(workspace().await, llm.clone(), lab(), same, set).await;
    let post = bot.slack.mentions(ANN, GENERAL, "Where?").await;
    bot.slack.answer(&post).await;
    bot.slack.replies(BOB, GENERAL, post.thread(), "I know where.").await;
    bot.slack.settled().await;
    let call = bot.slack.mentions_in(ANN, GENERAL, post.thread(), "And then?").await;
    bot.slack.answer_saying(&call, "Then this.").await;
    let told = llm.requests()[1].messages.last().unwrap().text();
    assert!(told.ends_with("And then?"), "{told}");
    bot.behaved();
}
