//! What the bot is told of what people do.

use std::collections::BTreeSet;

use omni_tests::slack::Slack;
use serde_json::{Value, json};

use super::bot::{ANN, BOB, OPS, Socket, at_home, workspace};

/// The events that wait, acked.
async fn events(socket: &mut Socket, count: usize) -> Vec<Value> {
    let mut events = Vec::new();
    for _ in 0..count {
        events.push(socket.takes().await["payload"]["event"].clone());
    }
    assert!(socket.is_quiet().await, "no more than {count}: {events:?}");
    events
}

#[tokio::test]
async fn a_mention_is_two_events_about_one_message() {
    let (slack, bot) = workspace().await;
    let mut socket = bot.connects().await;
    let post = slack.mentions(ANN, OPS, "how <is> it").await;
    let events = events(&mut socket, 2).await;
    let kinds: BTreeSet<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["app_mention", "message"].into());
    assert!(events.iter().all(|event| event["ts"] == post.ts && event["channel"] == OPS && event["user"] == ANN));
    assert!(events.iter().all(|event| event["text"] == "<@U0OMNI> how &lt;is&gt; it"));
    let blocks = &events[0]["blocks"][0]["elements"][0]["elements"];
    assert_eq!(*blocks, json!([{ "type": "user", "user_id": "U0OMNI" }, { "type": "text", "text": " how <is> it" }]));
    assert_eq!(post.event_ids.len(), 2);
    let reply = slack.mentions_in(BOB, OPS, &post.ts, "and?").await;
    assert_eq!((reply.thread(), reply.thread_ts.as_deref()), (post.ts.as_str(), Some(post.ts.as_str())));
}

#[tokio::test]
async fn the_noise_of_a_channel_is_told_too() {
    let (slack, bot) = workspace().await;
    let mut socket = bot.connects().await;
    let post = slack.says(ANN, OPS, "hi").await;
    slack.edits(&post, "hello").await;
    slack.deletes(&post).await;
    slack.leaves(BOB, OPS);
    slack.joins(BOB, OPS).await;
    let first = slack.says(BOB, OPS, "first").await;
    slack.broadcasts(BOB, OPS, &first.ts, "to all").await;
    slack.shares(BOB, OPS, "see", "a.csv").await;
    bot.posts("mine").await;
    slack.reacts(ANN, OPS, &first.ts, "thumbsup").await;
    slack.unreacts(ANN, OPS, &first.ts, "thumbsup").await;
    let events = events(&mut socket, 11).await;
    let told: Vec<(&str, Option<&str>)> =
        events.iter().map(|event| (event["type"].as_str().unwrap(), event["subtype"].as_str())).collect();
    assert_eq!(
        told,
        [
            ("message", None),
            ("message", Some("message_changed")),
            ("message", Some("message_deleted")),
            ("member_left_channel", None),
            ("message", Some("channel_join")),
            ("message", None),
            ("message", Some("thread_broadcast")),
            ("message", Some("file_share")),
            ("message", None),
            ("reaction_added", None),
            ("reaction_removed", None),
        ]
    );
    assert!(events[1]["text"].is_null() && events[1]["user"].is_null(), "an edit has no text of its own");
    assert_eq!(events[1]["message"]["text"], "hello");
    assert_eq!((&events[3]["user"], &events[3]["channel"]), (&BOB.into(), &OPS.into()));
    assert_eq!((&events[8]["bot_id"], &events[8]["user"]), (&"B0OMNI".into(), &"U0OMNI".into()));
    assert_eq!(events[9]["item"], json!({ "type": "message", "channel": OPS, "ts": first.ts }));
}

#[tokio::test]
async fn what_becomes_of_a_channel_is_told_to_a_bot_that_is_in_it() {
    let (slack, bot) = workspace().await;
    let mut socket = bot.connects().await;
    slack.channel("C0OLD", "old");
    slack.archives("C0OLD");
    slack.makes_private(OPS);
    slack.bot_leaves(OPS);
    let told = events(&mut socket, 3).await;
    assert_eq!((&told[0]["type"], &told[0]["channel"]), (&"channel_archive".into(), &"C0OLD".into()));
    let subtype = (&told[1]["type"], &told[1]["subtype"], &told[1]["channel_type"]);
    assert_eq!(subtype, (&"message".into(), &"channel_convert_to_private".into(), &"group".into()));
    assert_eq!((&told[2]["type"], &told[2]["channel"]), (&"group_left".into(), &OPS.into()));
    // Nobody tells a bot of a channel that it is not in.
    slack.archives(OPS);
    assert!(socket.is_quiet().await);
}

#[tokio::test]
async fn a_bot_is_told_of_what_it_has_subscribed_to_and_where_it_is() {
    let manifest = json!({
        "display_information": { "name": "small" },
        "oauth_config": { "scopes": { "bot": ["app_mentions:read"] } },
        "settings": { "event_subscriptions": { "bot_events": ["app_mention"] } },
    });
    let (slack, bot) = at_home(Slack::installed(&manifest).await);
    let mut socket = bot.connects().await;
    slack.says(ANN, OPS, "not for the bot").await;
    slack.mentions(ANN, OPS, "for the bot").await;
    assert_eq!(events(&mut socket, 1).await[0]["type"], "app_mention");
    slack.bot_leaves(OPS);
    assert!(slack.mentions(ANN, OPS, "it is not here").await.event_ids.is_empty());
    assert!(socket.is_quiet().await);
}

#[tokio::test]
async fn the_stop_button_says_which_streams_it_ended() {
    let (slack, bot) = workspace().await;
    let mut socket = bot.connects().await;
    let post = slack.dms(ANN, "long").await;
    let started = bot.does("chat.startStream", json!({ "channel": post.channel, "thread_ts": post.ts })).await;
    slack.stops(ANN, &post.channel, &post.ts).await;
    let stopped = events(&mut socket, 3).await.pop().unwrap();
    assert_eq!(stopped["type"], "agent_session_stopped");
    assert_eq!((&stopped["streaming_message_ts"], &stopped["thread_ts"]), (&json!([started["ts"]]), &post.ts.into()));
}

#[tokio::test]
async fn a_shortcut_carries_the_message_that_it_was_used_on() {
    let (slack, bot) = workspace().await;
    let mut socket = bot.connects().await;
    slack.says(BOB, OPS, "what is this?").await;
    socket.takes().await;
    let sent = slack.shortcut(ANN, "omni_ask_message", &slack.messages(OPS)[0]).await;
    let payload = socket.takes().await["payload"].clone();
    assert_eq!((&payload["type"], &payload["callback_id"]), (&"message_action".into(), &"omni_ask_message".into()));
    assert_eq!(
        (&payload["message"]["text"], &payload["response_url"]),
        (&"what is this?".into(), &json!(sent.response_url))
    );
    assert!(sent.acked().await.is_some());
}
