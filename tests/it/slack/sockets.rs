//! Sockets that die, hang or are replaced.

use std::time::Duration;

use omni_core::llm::scripted::Scripted;
use omni_slack::{Pulse, Timing};
use omni_tests::{
    recorder::Recorder,
    rig::until_some,
    slack::{Goodbye, Post},
};

use super::{ANN, Bot, GENERAL, bot, known, lab, rig::config_of, says, workspace};

/// A bot that sees within some seconds what it would see within a minute.
async fn with_quick_pulse(slack: omni_tests::slack::Slack, llm: Scripted) -> Bot {
    let omni = omni_core::Omni::builder().llm(llm).server("lab", lab()).policy(known()).build().await.unwrap();
    let config = config_of(&slack);
    Bot::over(slack, omni, Recorder::default(), lab(), config, Timing::default().with_pulse(Pulse::new(1, 1))).await
}

fn answers(bot: &Bot, post: &Post) -> usize {
    bot.slack.thread(GENERAL, post.thread()).iter().filter(|message| message.by_bot).count()
}

#[test]
fn a_dead_socket_is_replaced_within_80_seconds() {
    // The library looks at each ping how long ago the last sign of life was, and tries again ten seconds later.
    let pulse = Pulse::default();
    let given_up = pulse.every_s * (pulse.missed + 1);
    assert!((30..=50).contains(&given_up) && given_up + 2 * 10 < 80, "{given_up} s");
}

#[tokio::test(flavor = "multi_thread")]
async fn half_open_socket_recovers() {
    let bot = with_quick_pulse(workspace().await, says("Paris.")).await;
    bot.slack.connected(2).await;
    let before = bot.slack.calls("apps.connections.open").len();
    bot.slack.connections_freeze();
    let post = bot.slack.mentions(ANN, GENERAL, "Are you there?").await;
    // New sockets are there long before Slack tries for the last time.
    let look = async || (bot.slack.calls("apps.connections.open").len() >= before + 2).then_some(());
    until_some(look).await;
    bot.slack.passes(Duration::from_secs(61));
    bot.slack.answer_saying(&post, "Paris.").await;
    assert_eq!(answers(&bot, &post), 1, "{}", bot.slack.transcript());
}

#[tokio::test(flavor = "multi_thread")]
async fn sockets_that_hang_before_they_are_any_are_opened_anew() {
    let slack = workspace().await;
    slack.links_hang(2);
    let bot = with_quick_pulse(slack, says("Paris.")).await;
    let post = bot.slack.mentions(ANN, GENERAL, "Are you there?").await;
    bot.slack.answer_saying(&post, "Paris.").await;
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn sockets_that_end_right_after_their_greeting_are_opened_again_with_pauses() {
    let bot = bot(says("Paris.")).await;
    bot.slack.without_rate_limits();
    bot.slack.connected(2).await;
    let before = bot.slack.calls("apps.connections.open").len();
    bot.slack.links_are_brief(true);
    bot.slack.drop_connection();
    tokio::time::sleep(Duration::from_secs(5)).await;
    let opened = bot.slack.calls("apps.connections.open").len() - before;
    assert!((2..=8).contains(&opened), "{opened} in five seconds");
    bot.slack.links_are_brief(false);
    let post = bot.slack.mentions(ANN, GENERAL, "Are you there?").await;
    bot.slack.answer_saying(&post, "Paris.").await;
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn retry_only_delivery_is_answered() {
    let bot = bot(says("Paris.")).await;
    bot.slack.connected(2).await;
    // Both events of a mention.
    bot.slack.loses_deliveries(2);
    let post = bot.slack.mentions(ANN, GENERAL, "Where?").await;
    bot.slack.answer_saying(&post, "Paris.").await;
    bot.slack.settled().await;
    let acks =
        bot.slack.acks().into_iter().filter(|ack| ack.event_id.as_ref().is_some_and(|id| post.event_ids.contains(id)));
    let attempts: Vec<u32> = acks.map(|ack| ack.attempt).collect();
    assert_eq!(attempts, [1, 1], "{:?}", bot.slack.acks());
    assert_eq!(answers(&bot, &post), 1);
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn disconnect_with_events_in_flight_loses_none() {
    let bot = bot(says("Paris.")).await;
    bot.slack.without_rate_limits();
    for why in [Goodbye::Warning, Goodbye::RefreshRequested, Goodbye::TooManyWebsockets] {
        bot.slack.connected(2).await;
        let mut posts = Vec::new();
        for at in 0..4 {
            posts.push(bot.slack.mentions(ANN, GENERAL, &format!("Before {at}?")).await);
        }
        bot.slack.disconnects(why).await;
        for at in 0..4 {
            posts.push(bot.slack.mentions(ANN, GENERAL, &format!("After {at}?")).await);
        }
        let all = || posts.iter().all(|post| answers(&bot, post) > 0);
        for later in [4, 61, 301] {
            if tokio::time::timeout(Duration::from_secs(4), until_some(async || all().then_some(()))).await.is_ok() {
                break;
            }
            // What went down with its socket Slack delivers again.
            bot.slack.passes(Duration::from_secs(later));
        }
        until_some(async || all().then_some(())).await;
        bot.slack.settled().await;
        let counts: Vec<usize> = posts.iter().map(|post| answers(&bot, post)).collect();
        assert_eq!(counts, [1; 8], "{why:?}\n{}", bot.slack.transcript());
    }
}
