//! What Slack delivers: taken in at once, and done once.

use std::time::Duration;

use omni_core::llm::scripted::{Scripted, text_turn};

use super::{ANN, GENERAL, bot, says};

/// The answers of the bot in a thread.
fn answers(bot: &super::Bot, channel: &str, thread: &str) -> usize {
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
async fn an_ack_does_not_wait_for_the_answer() {
    let (release, wait) = std::sync::mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let llm = Scripted::from_fn(move |_| {
        let _ = wait.lock().unwrap().recv_timeout(Duration::from_secs(20));
        Ok(text_turn("At last."))
    });
    let bot = bot(llm).await;
    let post = bot.slack.mentions(ANN, GENERAL, "Take your time").await;
    bot.slack.settled().await;
    assert!(bot.slack.acks().iter().all(|ack| ack.took < Duration::from_millis(500)), "{:?}", bot.slack.acks());
    release.send(()).unwrap();
    bot.slack.answer_saying(&post, "At last.").await;
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
