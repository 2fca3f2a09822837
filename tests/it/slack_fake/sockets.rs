//! Socket Mode: tickets, envelopes, acks, and what becomes of what is not acked.

use std::time::Duration;

use omni_tests::slack::Goodbye;
use serde_json::{Value, json};

use super::bot::{ANN, BOB, OPS, Socket, workspace};

const LATE: Duration = Duration::from_millis(3001);

#[tokio::test]
async fn a_ticket_is_good_once() {
    let (slack, bot) = workspace().await;
    let app = bot.with_token(&slack.app_token());
    let url = app.does("apps.connections.open", json!({})).await["url"].as_str().unwrap().to_owned();
    let _socket = Socket::open(&url).await.unwrap();
    assert!(Socket::open(&url).await.is_err());
    let old = app.does("apps.connections.open", json!({})).await["url"].as_str().unwrap().to_owned();
    slack.passes(Duration::from_secs(31));
    assert!(Socket::open(&old).await.is_err());
    assert_eq!(slack.violations(), ["socket: a ticket that is used, old or unknown"; 2]);
}

#[tokio::test]
async fn an_event_that_is_not_acked_comes_again_at_once_then_later_and_then_no_more() {
    let (slack, bot) = workspace().await;
    let mut socket = bot.connects().await;
    let post = slack.dms(ANN, "hi").await;
    let first = socket.hears().await;
    assert_eq!(
        (&first["type"], &first["retry_attempt"], &first["retry_reason"]),
        (&"events_api".into(), &0.into(), &"".into())
    );
    assert_eq!(first["accepts_response_payload"], false);
    slack.passes(LATE);
    for (attempt, later) in [(1_usize, 60), (2, 300)] {
        let again = socket.hears().await;
        assert_eq!((&again["retry_attempt"], &again["retry_reason"]), (&attempt.into(), &"timeout".into()));
        assert_eq!(again["payload"], first["payload"], "it is the same event");
        assert_ne!(again["envelope_id"], first["envelope_id"]);
        slack.passes(LATE);
        slack.until("the breach", |world| (world.violations().len() > attempt).then_some(())).await;
        slack.passes(Duration::from_secs(later));
    }
    let last = socket.hears().await;
    assert_eq!(last["retry_attempt"], 3);
    slack.passes(LATE);
    slack.settled().await;
    assert!(socket.is_quiet().await);
    let told = slack.violations();
    assert_eq!(told, vec![format!("events_api message {}: not acked within 3 s", post.event_ids[0]); 4]);
}

#[tokio::test]
async fn an_ack_after_three_seconds_is_none() {
    let (slack, bot) = workspace().await;
    let mut socket = bot.connects().await;
    slack.dms(ANN, "hi").await;
    let first = socket.hears().await;
    slack.passes(LATE);
    socket.acks(&first).await;
    let again = socket.takes().await;
    assert_eq!(again["retry_attempt"], 1);
    slack.settled().await;
    assert_eq!(slack.acks().len(), 1);
    assert_eq!((slack.acks()[0].attempt, slack.violations().len()), (1, 1));
}

#[tokio::test]
async fn a_command_is_tried_once() {
    let (slack, bot) = workspace().await;
    assert_eq!(slack.slash(ANN, OPS, "/omni", "hi").await.acked().await, None, "nobody is connected");
    let mut socket = bot.connects().await;
    let sent = slack.slash(ANN, OPS, "/omni", "a <b").await;
    let envelope = socket.hears().await;
    assert_eq!(envelope["payload"]["text"], "a &lt;b");
    assert!(envelope.get("retry_attempt").is_none());
    slack.passes(LATE);
    assert_eq!(sent.acked().await, None);
    assert!(socket.is_quiet().await);
    assert_eq!(slack.violations(), ["slash_commands: not acked within 3 s"]);
}

#[tokio::test]
async fn the_ack_of_a_command_may_carry_a_message() {
    let (slack, bot) = workspace().await;
    let mut socket = bot.connects().await;
    slack.slash(ANN, OPS, "/omni", "hi").await;
    let envelope = socket.hears().await;
    socket.acks_with(&envelope, json!({ "text": "only you" })).await;
    slack.whisper(ANN, "only you").await;
    slack.slash(ANN, OPS, "/omni", "hi").await;
    let envelope = socket.hears().await;
    socket.acks_with(&envelope, json!({ "response_type": "in_channel", "text": "all of you" })).await;
    slack.until("the post", |world| world.messages(OPS).pop()).await;
    assert_eq!(slack.violations(), [""; 0]);
    assert_eq!(socket.takes().await["payload"]["event"]["text"], "all of you", "the bot hears of its own post");
    slack.slash(ANN, OPS, "/omni", "hi").await;
    let envelope = socket.hears().await;
    socket.acks_with(&envelope, json!({ "blocks": [{ "type": "nothing" }] })).await;
    slack.settled().await;
    assert!(slack.violations()[0].starts_with("ack of a command: invalid_blocks"), "{:?}", slack.violations());
}

#[tokio::test]
async fn what_is_wrong_with_an_ack_is_remembered() {
    let (slack, bot) = workspace().await;
    let mut socket = bot.connects().await;
    let post = slack.dms(ANN, "hi").await;
    let envelope = socket.takes().await;
    socket.acks(&envelope).await;
    socket.says(json!({ "envelope_id": "unknown" })).await;
    socket.says(json!({ "hello": "?" })).await;
    let second = slack.dms(ANN, "again").await;
    let envelope = socket.hears().await;
    socket.acks_with(&envelope, json!({ "text": "x".repeat(20_480) })).await;
    socket.acks_with(&envelope, json!({ "text": "x" })).await;
    slack.settled().await;
    let (one, two) = (&post.event_ids[0], &second.event_ids[0]);
    let told = slack.violations();
    assert_eq!(
        told[..3],
        [
            format!("events_api message {one}: acked twice"),
            "socket: an ack of an unknown envelope".to_owned(),
            r#"socket: not an ack: {"hello":"?"}"#.to_owned(),
        ]
    );
    assert!(told[3].starts_with(&format!("events_api message {two}: an ack of 20")) && told[3].ends_with("is dropped"));
    assert_eq!(told[4], format!("events_api message {two}: a payload in an ack that accepts none"));
}

#[tokio::test]
async fn events_wait_for_a_connection_and_go_over_one_of_several() {
    let (slack, bot) = workspace().await;
    slack.dms(ANN, "nobody there").await;
    let mut one = bot.connects().await;
    let waited = one.takes().await;
    assert_eq!(waited["retry_attempt"], 1, "the first try is over");
    let mut two = bot.connects().await;
    slack.dms(ANN, "first").await;
    slack.dms(ANN, "second").await;
    let (a, b) = (one.takes().await, two.takes().await);
    assert_ne!(a["payload"]["event_id"], b["payload"]["event_id"]);
    slack.settled().await;
    assert_eq!(slack.violations(), [""; 0]);
}

#[tokio::test]
async fn a_goodbye_is_said_before_the_connection_closes() {
    let (slack, bot) = workspace().await;
    let mut old = bot.connects().await;
    slack.disconnects(Goodbye::Warning).await;
    assert_eq!(old.hears().await["reason"], "warning");
    slack.disconnects(Goodbye::RefreshRequested).await;
    assert_eq!(old.hears().await["reason"], "refresh_requested");
    let mut new = bot.connects().await;
    slack.dms(ANN, "hi").await;
    new.takes().await;
    slack.passes(Duration::from_secs(1));
    assert_eq!(old.hears().await, Value::Null, "it is closed");
    slack.disconnects(Goodbye::LinkDisabled).await;
    assert_eq!(new.hears().await["reason"], "link_disabled");
    let app = bot.with_token(&slack.app_token());
    assert_eq!(app.refused("apps.connections.open", json!({})).await, "link_disabled");
    assert_eq!(slack.violations(), [""; 0]);
}

#[tokio::test]
async fn an_app_has_ten_connections_at_most() {
    let (slack, bot) = workspace().await;
    let mut sockets = Vec::new();
    for _ in 0..10 {
        sockets.push(bot.connects().await);
    }
    let mut eleventh = bot.connects().await;
    assert_eq!(eleventh.hears().await["reason"], "too_many_websockets");
    assert_eq!(eleventh.hears().await, Value::Null);
    assert_eq!(slack.violations(), ["socket: more than 10 connections"]);
}

#[tokio::test]
async fn what_a_lost_connection_carried_comes_again_and_is_no_fault_of_the_bot() {
    let (slack, bot) = workspace().await;
    let mut cut = bot.connects().await;
    slack.dms(ANN, "cut").await;
    cut.hears().await;
    slack.drop_connection();
    assert_eq!(cut.hears().await, Value::Null);
    let mut frozen = bot.connects().await;
    slack.passes(LATE);
    assert_eq!(frozen.takes().await["retry_attempt"], 1);
    slack.settled().await;
    slack.connections_freeze();
    slack.dms(ANN, "frozen").await;
    let mut new = bot.connects().await;
    slack.passes(LATE);
    assert_eq!(new.takes().await["retry_attempt"], 1);
    assert!(frozen.is_quiet().await, "nothing comes over it any more");
    slack.loses_acks(1);
    slack.dms(ANN, "lost").await;
    new.takes().await;
    slack.dms(ANN, "not lost").await;
    new.takes().await;
    slack.until("the second ack", |world| (world.acks().len() == 3).then_some(())).await;
    slack.passes(LATE);
    assert_eq!(new.takes().await["retry_attempt"], 1);
    slack.settled().await;
    assert_eq!(slack.violations(), [""; 0]);
}

#[tokio::test]
async fn what_is_held_back_comes_in_the_opposite_order() {
    let (slack, bot) = workspace().await;
    let mut socket = bot.connects().await;
    slack.holds_deliveries();
    slack.dms(ANN, "first").await;
    slack.dms(BOB, "second").await;
    assert!(socket.is_quiet().await);
    slack.releases().await;
    let texts =
        [socket.takes().await, socket.takes().await].map(|envelope| envelope["payload"]["event"]["text"].clone());
    assert_eq!(texts, ["second", "first"]);
    let post = slack.dms(ANN, "twice").await;
    let one = socket.takes().await;
    slack.redeliver(&post.event_ids[0]).await;
    let two = socket.takes().await;
    assert_eq!(one["payload"]["event_id"], two["payload"]["event_id"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_mentions_at_once_are_each_told_and_answered() {
    let (slack, bot) = workspace().await;
    slack.without_rate_limits();
    let mut socket = bot.connects().await;
    let answering = tokio::spawn(async move {
        while let envelope @ Value::Object(_) = socket.takes().await {
            let event = envelope["payload"]["event"].clone();
            if event["type"] == "app_mention" {
                let reply = json!({ "channel": OPS, "thread_ts": event["ts"], "text": event["text"] });
                let bot = bot.clone();
                tokio::spawn(async move { bot.does("chat.postMessage", reply).await });
            }
        }
    });
    let mut posts = Vec::new();
    for number in 0..500 {
        posts.push(slack.mentions(ANN, OPS, &format!("question {number}")).await);
    }
    let answers = futures::future::join_all(posts.iter().map(|post| slack.answer(post))).await;
    for (number, answer) in answers.iter().enumerate() {
        assert_eq!(answer.text, format!("<@U0OMNI> question {number}"));
    }
    slack.settled().await;
    assert_eq!(slack.messages(OPS).len(), 1000);
    assert_eq!(slack.violations(), [""; 0]);
    answering.abort();
}
