//! What a test can let go wrong.

use std::time::{Duration, Instant};

use omni_tests::slack::Fault;
use serde_json::json;

use super::bot::{OPS, try_post, workspace};

#[tokio::test]
async fn calls_go_wrong_as_a_test_says_and_as_often() {
    let (slack, bot) = workspace().await;
    let post = json!({ "channel": OPS, "text": "t" });
    slack.fail("chat.postMessage", "fatal_error");
    assert_eq!(bot.refused("chat.postMessage", post.clone()).await, "fatal_error");
    slack.fault("*", 2, Fault::Status(503));
    for _ in 0..2 {
        let page = bot.called("chat.postMessage", post.clone()).await;
        assert_eq!((page.status, page.text.starts_with("<html>")), (503, true));
    }
    slack.rate_limit("chat.postMessage", 1);
    let limited = bot.called("chat.postMessage", post.clone()).await;
    assert_eq!((limited.status, limited.retry_after), (429, Some(1)));
    assert!(slack.messages(OPS).is_empty());
    assert_eq!(slack.violations(), [""; 0]);
    let errors: Vec<Option<String>> = slack.calls("chat.postMessage").into_iter().map(|call| call.error).collect();
    assert_eq!(errors, ["fatal_error", "status 503", "status 503", "ratelimited"].map(|error| Some(error.to_owned())));
}

#[tokio::test]
async fn a_call_may_be_made_though_its_answer_is_late_broken_or_lost() {
    let (slack, bot) = workspace().await;
    let post = json!({ "channel": OPS, "text": "t" });
    slack.slow("chat.postMessage", 200);
    let began = Instant::now();
    bot.does("chat.postMessage", post.clone()).await;
    assert!(began.elapsed() >= Duration::from_millis(200));
    slack.fault("chat.postMessage", 1, Fault::Garbage);
    assert_eq!(bot.called("chat.postMessage", post.clone()).await.text, "{\"ok\":tr");
    slack.fault("chat.postMessage", 1, Fault::Cut);
    let url = format!("{}/chat.postMessage", slack.api_url());
    let cut = try_post(&url, &slack.bot_token(), "application/json; charset=utf-8", post.to_string()).await;
    assert!(cut.is_err());
    assert_eq!(slack.messages(OPS).len(), 3, "all of them were posted");
    slack.fault("chat.postMessage", 1, Fault::Hang);
    let hangs = tokio::time::timeout(Duration::from_millis(100), bot.called("chat.postMessage", post)).await;
    assert!(hangs.is_err());
    assert_eq!(slack.messages(OPS).len(), 3);
}
