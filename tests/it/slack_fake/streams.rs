//! The life of a streamed message.

#![expect(clippy::needless_pass_by_value, reason = "arguments read best when they are written in place")]

use std::time::Duration;

use omni_tests::slack::StreamState;
use serde_json::{Value, json};

use super::bot::{ANN, Bot, OPS, workspace};

async fn started(bot: &Bot, thread: &str) -> String {
    let args = json!({ "channel": OPS, "thread_ts": thread, "recipient_user_id": ANN, "recipient_team_id": "T0ACME" });
    bot.does("chat.startStream", args).await["ts"].as_str().unwrap().to_owned()
}

fn at(ts: &str, more: Value) -> Value {
    let mut args = json!({ "channel": OPS, "ts": ts });
    args.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    args
}

fn task(status: &str) -> Value {
    json!({ "type": "task_update", "id": "t1", "title": "db · get", "status": status })
}

#[tokio::test]
async fn a_stream_grows_until_it_is_stopped() {
    let (slack, bot) = workspace().await;
    let post = slack.mentions(ANN, OPS, "hi").await;
    let ts = started(&bot, &post.ts).await;
    bot.does("chat.appendStream", at(&ts, json!({ "markdown_text": "Two " }))).await;
    bot.does(
        "chat.appendStream",
        at(&ts, json!({ "chunks": [task("in_progress"), { "type": "markdown_text", "text": "words" }] })),
    )
    .await;
    assert!(!slack.thread(OPS, &post.ts)[1].is_done());
    bot.does("chat.stopStream", at(&ts, json!({ "chunks": [task("complete")], "blocks": [{ "type": "divider" }] })))
        .await;
    let answer = slack.answer(&post).await;
    let stream = answer.stream.as_ref().unwrap();
    assert_eq!((answer.text.as_str(), stream.calls, stream.tasks["t1"].status.as_str()), ("Two words", 4, "complete"));
    assert_eq!((answer.blocks.len(), answer.reads().as_str()), (1, "Two words\ndb · get"));
    assert_eq!(slack.violations(), [""; 0]);
    let late = bot.refused("chat.appendStream", at(&ts, json!({ "markdown_text": "x" }))).await;
    assert_eq!(late, "message_not_in_streaming_state");
    assert_eq!(slack.violations().len(), 1, "the bot itself has stopped it");
}

#[tokio::test]
async fn a_stream_in_a_channel_is_for_somebody_and_in_a_thread() {
    let (slack, bot) = workspace().await;
    let post = slack.mentions(ANN, OPS, "hi").await;
    let without = json!({ "channel": OPS, "thread_ts": post.ts, "recipient_user_id": ANN });
    assert_eq!(bot.refused("chat.startStream", without).await, "missing_recipient_team_id");
    let foreign =
        json!({ "channel": OPS, "thread_ts": post.ts, "recipient_user_id": ANN, "recipient_team_id": "T0OTHER" });
    assert_eq!(bot.refused("chat.startStream", foreign).await, "team_not_found");
    let direct = slack.dms(ANN, "hi").await;
    assert_eq!(bot.refused("chat.startStream", json!({ "channel": direct.channel })).await, "invalid_arguments");
    bot.does("chat.startStream", json!({ "channel": direct.channel, "thread_ts": direct.ts })).await;
    assert_eq!(slack.violations().len(), 3);
}

#[tokio::test]
async fn what_is_wrong_with_an_append_is_said() {
    let (slack, bot) = workspace().await;
    let post = slack.mentions(ANN, OPS, "hi").await;
    let ts = started(&bot, &post.ts).await;
    let refusals = [
        (json!({}), "invalid_arguments"),
        (json!({ "markdown_text": "m", "chunks": [] }), "invalid_arguments"),
        (json!({ "markdown_text": "m".repeat(12_001) }), "msg_too_long"),
        (json!({ "chunks": [{ "type": "text", "text": "t" }] }), "invalid_chunks"),
        (json!({ "chunks": [task("done")] }), "invalid_chunks"),
        (
            json!({ "chunks": [{ "type": "blocks", "blocks": vec![json!({ "type": "divider" }); 51] }] }),
            "invalid_blocks",
        ),
    ];
    for (more, error) in &refusals {
        assert_eq!(bot.refused("chat.appendStream", at(&ts, more.clone())).await, *error, "{more}");
    }
    let plain = bot.posts("plain").await;
    assert_eq!(bot.refused("chat.stopStream", at(&plain, json!({}))).await, "message_not_in_streaming_state");
    let change = at(&ts, json!({ "text": "t" }));
    assert_eq!(bot.refused("chat.update", change).await, "streaming_state_conflict");
    assert_eq!(slack.violations().len(), refusals.len() + 2);
}

#[tokio::test]
async fn a_streamed_message_takes_so_much_and_no_more() {
    let (slack, bot) = workspace().await;
    let post = slack.mentions(ANN, OPS, "hi").await;
    let ts = started(&bot, &post.ts).await;
    let text = json!({ "markdown_text": "m".repeat(5500) });
    bot.does("chat.appendStream", at(&ts, text.clone())).await;
    bot.does("chat.appendStream", at(&ts, text)).await;
    assert_eq!(slack.violations(), [""; 0]);
    assert_eq!(bot.refused("chat.appendStream", at(&ts, json!({ "markdown_text": "m" }))).await, "msg_too_long");
    assert_eq!(slack.thread(OPS, &post.ts)[1].text.len(), 11_000, "what is refused is not shown");
    bot.does("chat.stopStream", at(&ts, json!({}))).await;
}

#[tokio::test]
async fn a_stream_goes_cold_without_appends_and_ends_when_a_person_says_so() {
    let (slack, bot) = workspace().await;
    let post = slack.mentions(ANN, OPS, "hi").await;
    let word = json!({ "markdown_text": "word" });
    let ts = started(&bot, &post.ts).await;
    slack.passes(Duration::from_secs(299));
    bot.does("chat.appendStream", at(&ts, word.clone())).await;
    slack.passes(Duration::from_secs(300));
    assert_eq!(bot.refused("chat.appendStream", at(&ts, word.clone())).await, "message_not_in_streaming_state");
    bot.does("chat.update", at(&ts, json!({ "text": "the whole answer" }))).await;
    let second = started(&bot, &post.ts).await;
    slack.stops(ANN, OPS, &post.ts).await;
    assert_eq!(bot.refused("chat.stopStream", at(&second, word)).await, "message_not_in_streaming_state");
    let states: Vec<StreamState> =
        slack.thread(OPS, &post.ts).into_iter().filter_map(|m| Some(m.stream?.state)).collect();
    assert_eq!(states, [StreamState::Cold, StreamState::StoppedByUser]);
    assert_eq!(slack.violations(), [""; 0], "the bot could not know");
}
