//! What Slack delivers: taken in at once, and done once.

use std::time::Duration;

use omni_core::llm::scripted::{Scripted, call_turn, text_turn};
use omni_tests::{
    rig::until,
    server::{any, text},
};
use serde_json::json;
use tokio::sync::watch;

use super::{ANN, Bot, GENERAL, bot, lab, same, says, workspace};

/// The answers of the bot in a thread.
fn answers(bot: &Bot, channel: &str, thread: &str) -> usize {
    bot.slack.thread(channel, thread).iter().filter(|message| message.by_bot).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_event_four_times_is_answered_once() {
    let bot = bot(says("Paris.")).await;
    let post = bot.slack.mentions(ANN, GENERAL, "Where?").await;
    for _ in 0..3 {
        for event in &post.event_ids {
            bot.slack.redeliver(event).await;
        }
    }
    bot.slack.answer(&post).await;
    bot.slack.settled().await;
    bot.slack.mentions(ANN, GENERAL, "And then?").await;
    bot.slack.settled().await;
    assert_eq!(answers(&bot, GENERAL, post.thread()), 1, "{}", bot.slack.transcript());
    assert!(post.event_ids.len() > 1, "message and app_mention");
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn while_an_answer_takes_a_minute_all_is_acked_in_time_and_nothing_comes_again() {
    let (release, wait) = watch::channel(false);
    let server = lab().tool("wait", any(), move |_| {
        let mut wait = wait.clone();
        Box::pin(async move {
            let _ = wait.wait_for(|is_over| *is_over).await;
            Ok(text("done"))
        })
    });
    let llm = Scripted::from_fn(|request| {
        let waits = request.messages.len() == 1 && request.messages[0].text().contains("Take your time");
        Ok(if waits { call_turn(0, &[("lab__wait", json!({}))]) } else { text_turn("At last.") })
    });
    let bot = Bot::start(workspace().await, llm, server, same, |_| {}).await;
    bot.slack.stops_the_clock();
    let slow = bot.slack.mentions(ANN, GENERAL, "Take your time").await;
    until(|| bot.server.running() == 1).await;
    for minute in 0..6 {
        // What is not acked by now is acked too late, and comes again.
        bot.slack.settled().await;
        bot.slack.passes(Duration::from_secs(10));
        let quick = bot.slack.mentions(ANN, GENERAL, &format!("Question {minute}?")).await;
        bot.slack.answer_saying(&quick, "At last.").await;
    }
    release.send_replace(true);
    bot.slack.answer_saying(&slow, "At last.").await;
    bot.slack.settled().await;
    assert_eq!(answers(&bot, GENERAL, slow.thread()), 1, "{}", bot.slack.transcript());
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mention_that_comes_as_two_events_is_answered_once_whichever_comes_first() {
    let bot = bot(says("Paris.")).await;
    for question in ["Where?", "And where?"] {
        let post = bot.slack.mentions(ANN, GENERAL, question).await;
        assert_eq!(post.event_ids.len(), 2, "message and app_mention");
        bot.slack.answer(&post).await;
        bot.slack.settled().await;
        assert_eq!(answers(&bot, GENERAL, post.thread()), 1, "{}", bot.slack.transcript());
    }
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_deletions_joins_and_the_bots_own_posts_are_no_questions() {
    let bot = bot(says("Paris.")).await;
    let post = bot.slack.dms(ANN, "Where?").await;
    bot.said_to(ANN, &post.ts, "Paris.").await;
    bot.slack.edits(&post, "Where is it?").await;
    bot.slack.deletes(&post).await;
    bot.slack.joins("U0BOB", GENERAL).await;
    bot.slack.says(ANN, GENERAL, "Just talking").await;
    bot.slack.settled().await;
    let last = bot.slack.dms(ANN, "Still there?").await;
    bot.said_to(ANN, &last.ts, "Paris.").await;
    let direct = bot.slack.direct(ANN);
    let told = bot.slack.messages(&direct).iter().filter(|message| message.by_bot).count();
    assert_eq!((told, bot.slack.messages(GENERAL).iter().filter(|one| one.by_bot).count()), (2, 0));
    bot.behaved();
}
