//! How often is too often.

use std::time::Duration;

use serde_json::json;

use super::bot::{ANN, OPS, workspace};

#[tokio::test]
async fn a_channel_takes_a_few_messages_at_once_and_then_one_a_second() {
    let (slack, bot) = workspace().await;
    slack.channel("C0DEV", "dev");
    let to = |channel: &str| json!({ "channel": channel, "text": "t" });
    for _ in 0..5 {
        bot.does("chat.postMessage", to(OPS)).await;
    }
    let limited = bot.called("chat.postMessage", to(OPS)).await;
    assert_eq!(
        (limited.status, limited.retry_after, limited.body["error"].as_str()),
        (429, Some(1), Some("ratelimited"))
    );
    bot.does("chat.postMessage", to("C0DEV")).await;
    slack.passes(Duration::from_secs(1));
    bot.does("chat.postMessage", to(OPS)).await;
    assert_eq!(slack.violations(), [""; 0]);
}

#[tokio::test]
async fn who_does_not_wait_as_told_breaks_a_rule() {
    let (slack, bot) = workspace().await;
    slack.fault("users.info", 1, omni_tests::slack::Fault::RateLimited(10));
    let ann = json!({ "user": ANN });
    assert_eq!(bot.called("users.info", ann.clone()).await.retry_after, Some(10));
    slack.passes(Duration::from_secs(4));
    bot.called("users.info", ann.clone()).await;
    assert_eq!(slack.violations(), ["users.info: called 6.0 s before it may be tried again"]);
    slack.passes(Duration::from_secs(10));
    bot.does("users.info", ann).await;
    assert_eq!(slack.violations().len(), 1);
}

#[tokio::test]
async fn a_method_is_taken_as_often_a_minute_as_its_tier_says() {
    let (slack, bot) = workspace().await;
    let post = slack.dms(ANN, "hi").await;
    let start = json!({ "channel": post.channel, "thread_ts": post.ts });
    for _ in 0..20 {
        bot.does("chat.startStream", start.clone()).await;
    }
    slack.passes(Duration::from_secs(30));
    let limited = bot.called("chat.startStream", start.clone()).await;
    assert_eq!(limited.status, 429);
    assert_eq!(limited.retry_after, Some(30));
    slack.passes(Duration::from_secs(30));
    bot.does("chat.startStream", start.clone()).await;
    slack.without_rate_limits();
    for _ in 0..30 {
        bot.does("chat.startStream", start.clone()).await;
    }
    assert_eq!(slack.violations(), [""; 0]);
}
