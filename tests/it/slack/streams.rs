//! Long answers, and streams that Slack does not keep up.

use std::time::Duration;

use omni_core::llm::{
    ChatEvent,
    scripted::{Scripted, call_turn, text_turn},
};
use omni_slack::manifest::manifest;
use omni_tests::{
    rig::{until, until_some},
    slack::{Fault, Message, Slack},
};
use serde_json::json;

use super::{ANN, BOB, Bot, GENERAL, bot, lab, peopled, same, says, workspace};

/// What the bot said in a thread, message by message.
fn told(bot: &Bot, thread: &str) -> Vec<Message> {
    bot.slack.thread(GENERAL, thread).into_iter().filter(|message| message.by_bot).collect()
}

/// The words of an answer, which are numbered.
fn words(count: usize) -> String {
    (0..count).map(|at| format!("word{at:05} ")).collect()
}

/// All numbered words in a text, in order.
fn numbers(text: &str) -> Vec<usize> {
    text.split("word").skip(1).filter_map(|rest| rest.get(..5)?.parse().ok()).collect()
}

fn all_of(messages: &[Message]) -> String {
    messages.iter().map(|message| message.text.clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_of_25_000_characters_takes_several_messages_and_nothing_is_lost() {
    let text = format!("{}\n```sql\n{}\n```\n{}", words(900), "SELECT 1;\n".repeat(900), words(600));
    let bot = bot(says(&text)).await;
    bot.slack.without_rate_limits();
    let post = bot.slack.mentions(ANN, GENERAL, "Tell me everything").await;
    until_some(async || told(&bot, post.thread()).last().filter(|one| !one.blocks.is_empty()).cloned()).await;
    let told = told(&bot, post.thread());
    assert!(told.len() > 2, "{}", told.len());
    let all = all_of(&told);
    assert_eq!(numbers(&all), [(0..900).collect::<Vec<_>>(), (0..600).collect()].concat());
    assert_eq!(all.matches("SELECT 1;").count(), 900);
    for message in &told {
        assert_eq!(message.text.matches("```").count() % 2, 0, "a fence is open: {}", message.text);
    }
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn stream_killed_at_five_minutes_in_the_middle_of_a_word_loses_no_byte() {
    let (release, wait) = std::sync::mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let server = lab().tool("wait", json!({ "type": "object" }), {
        let wait = std::sync::Arc::new(wait);
        move |_| {
            let wait = wait.clone();
            Box::pin(async move {
                tokio::task::spawn_blocking(move || wait.lock().unwrap().recv().unwrap()).await.unwrap();
                Ok(omni_tests::server::text("done"))
            })
        }
    });
    let first = format!("{}word00", words(100));
    let second =
        format!("100 {}", words(300).split_once("word00101").map(|(_, rest)| format!("word00101{rest}")).unwrap());
    let mut turn = text_turn(&first);
    turn.pop();
    let calls = call_turn(0, &[("lab__wait", json!({}))]);
    turn.extend(calls.into_iter().filter(|event| !matches!(event, ChatEvent::Text { .. })));
    let bot = Bot::start(workspace().await, Scripted::new().turn(turn).say(&second), server, same, |_| {}).await;
    let post = bot.slack.mentions(ANN, GENERAL, "Tell me").await;
    until_some(async || told(&bot, post.thread()).pop().filter(|one| one.text.contains("word00099"))).await;
    // Slack ends what is older than five minutes; the bot's own clock knows nothing of it.
    bot.slack.passes(Duration::from_secs(301));
    release.send(()).unwrap();
    until_some(async || told(&bot, post.thread()).pop().filter(|one| one.text.contains("word00299"))).await;
    let all = all_of(&told(&bot, post.thread()));
    let all: String = all.split('\n').filter(|line| !line.trim().is_empty()).collect();
    assert_eq!(numbers(&all), (0..300).collect::<Vec<_>>(), "{all}");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_stream_breaks_off_and_no_other_begins_every_word_is_told_once() {
    // The last words are the beginning of a line, which no stream is told before it is known how it ends.
    let mut turn = text_turn(&format!("{}\n{}", words(40), "word00040 word00041 "));
    turn.pop();
    let calls = call_turn(0, &[("lab__echo", json!({ "message": "hi" }))]);
    turn.extend(calls.into_iter().filter(|event| !matches!(event, ChatEvent::Usage(_))));
    let rest = words(100).split_once("word00042").map(|(_, rest)| format!("word00042{rest}")).unwrap();
    let bot = bot(Scripted::new().turn(turn).say(&rest)).await;
    bot.slack.slow("chat.startStream", 1);
    bot.slack.fault("chat.startStream", usize::MAX, Fault::Error("internal_error".into()));
    bot.slack.fault("chat.appendStream", usize::MAX, Fault::Error("internal_error".into()));
    let post = bot.slack.mentions(ANN, GENERAL, "Tell me").await;
    until_some(async || told(&bot, post.thread()).pop().filter(|one| one.says("word00099"))).await;
    let all: String = told(&bot, post.thread()).iter().map(Message::reads).collect();
    assert_eq!(numbers(&all), (0..100).collect::<Vec<_>>(), "{all}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rate_limit_on_append_keeps_the_order() {
    let echo = |at: usize| [("lab__echo", json!({ "message": at }))];
    let mut llm = Scripted::new();
    for at in 0..4 {
        let mut turn = text_turn(&words(400)[at * 1_000..(at + 1) * 1_000]);
        turn.pop();
        turn.extend(call_turn(at, &echo(at)).into_iter().filter(|event| !matches!(event, ChatEvent::Usage(_))));
        llm = llm.turn(turn);
    }
    let bot = bot(llm.say("That is all.")).await;
    bot.slack.rate_limit("chat.appendStream", 2);
    let post = bot.slack.mentions(ANN, GENERAL, "Tell me").await;
    let answer = bot.slack.answer_saying(&post, "That is all.").await;
    let appended = bot.slack.calls("chat.appendStream");
    assert_eq!(appended.iter().filter(|call| call.error.is_some()).count(), 2, "{appended:?}");
    let all: String = answer.text.split('\n').filter(|line| !line.trim().is_empty()).collect();
    assert_eq!(numbers(&all), (0..400).collect::<Vec<_>>(), "{all}");
    assert_eq!((told(&bot, post.thread()).len(), answer.stream.unwrap().tasks.len()), (1, 4));
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_slack_does_not_take_at_once_comes_in_order() {
    let bot = bot(says(&words(400))).await;
    bot.slack.rate_limit("chat.appendStream", 1);
    bot.slack.rate_limit("chat.stopStream", 1);
    let post = bot.slack.mentions(ANN, GENERAL, "Tell me").await;
    let answer = bot.slack.answer_saying(&post, "word00399").await;
    assert_eq!(numbers(&answer.text), (0..400).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_stream_begins_the_answer_is_a_message() {
    let bot = bot(says("Paris.")).await;
    bot.slack.fault("chat.startStream", usize::MAX, Fault::RateLimited(60));
    let post = bot.slack.mentions(ANN, GENERAL, "Where?").await;
    let answer = bot.slack.answer_saying(&post, "Paris.").await;
    assert!(answer.stream.is_none(), "{answer:#?}");
    assert_eq!(told(&bot, post.thread()).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn start_stream_quota_gone_is_remembered_for_as_long_as_slack_said() {
    let bot = bot(says("Paris.")).await;
    bot.slack.fault("chat.startStream", 1, Fault::RateLimited(3));
    for question in ["Where?", "And where?"] {
        let post = bot.slack.mentions(ANN, GENERAL, question).await;
        let answer = bot.slack.answer_saying(&post, "Paris.").await;
        assert!(answer.stream.is_none(), "{answer:#?}");
    }
    assert_eq!(bot.slack.calls("chat.startStream").len(), 1, "the second one did not even ask");
    let streamed = until_some(async || {
        let post = bot.slack.mentions(ANN, GENERAL, "And now?").await;
        bot.slack.answer_saying(&post, "Paris.").await.stream
    });
    streamed.await;
    assert_eq!(bot.slack.calls("chat.startStream").len(), 2);
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_called_by_what_a_model_says() {
    let text = "Hey <!channel> and <@U0BOB>, look at <!subteam^S1> & <https://a.example|b>: 1 < 2 🎉 `x<y`";
    let bot = bot(says(text)).await;
    let in_channel = bot.slack.mentions(ANN, GENERAL, "Say it").await;
    let in_channel = bot.slack.answer_saying(&in_channel, "🎉").await;
    let directly = bot.slack.dms(ANN, "Say it").await;
    let directly = bot.said_to(ANN, &directly.ts, "🎉").await;
    for answer in [in_channel, directly] {
        let calls: Vec<_> = answer.pings().into_iter().filter(|ping| !ping.contains(ANN)).collect();
        assert!(calls.is_empty(), "{calls:?} in {answer:#?}");
        assert!(answer.reads().contains("Hey") && answer.reads().contains('&'), "{answer:#?}");
    }
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_button_to_stop_ends_the_call_of_the_tool_too() {
    let llm = Scripted::new().call(&[("lab__hang", json!({}))]).say("Never.");
    let bot = Bot::start(workspace().await, llm, lab().hanging("hang"), same, |_| {}).await;
    let post = bot.slack.mentions(ANN, GENERAL, "Hang").await;
    until(|| bot.server.running() == 1).await;
    bot.slack.stops("U0BOB", GENERAL, post.thread()).await;
    bot.slack.settled().await;
    assert_eq!(bot.server.running(), 1, "it is not Bob's to stop");
    bot.slack.stops(ANN, GENERAL, post.thread()).await;
    until(|| bot.server.running() == 0).await;
    until_some(async || told(&bot, post.thread()).pop().filter(|one| one.says("Stopped"))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_stopped_while_slack_wants_a_long_pause_ends_at_once_and_its_thread_hears_it() {
    let mut turn = text_turn(&words(40));
    turn.pop();
    turn.extend(
        call_turn(0, &[("lab__hang", json!({}))]).into_iter().filter(|event| !matches!(event, ChatEvent::Usage(_))),
    );
    let llm = Scripted::new().turn(turn).say("Never.");
    let bot = Bot::start(workspace().await, llm, lab().hanging("hang"), same, |_| {}).await;
    bot.slack.fault("chat.appendStream", 1, Fault::RateLimited(120));
    let post = bot.slack.mentions(ANN, GENERAL, "Hang").await;
    until(|| bot.server.running() == 1).await;
    until(|| !bot.slack.calls("chat.appendStream").is_empty()).await;
    bot.slack.replies(ANN, GENERAL, post.thread(), "!stop").await;
    until(|| bot.server.running() == 0).await;
    until_some(async || told(&bot, post.thread()).pop().filter(|one| one.says("Stopped."))).await;
    let all: String = told(&bot, post.thread()).iter().map(Message::reads).collect();
    assert_eq!((numbers(&all), all.matches("Stopped").count()), ((0..40).collect(), 1), "{all}");
    until_some(async || bot.slack.calls("chat.stopStream").pop()).await;
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_direct_message_is_stopped_by_its_button() {
    let llm = Scripted::new().call(&[("lab__hang", json!({}))]).say("Never.");
    let bot = Bot::start(workspace().await, llm, lab().hanging("hang"), same, |_| {}).await;
    bot.slack.dms(ANN, "Hang").await;
    until(|| bot.server.running() == 1).await;
    let direct = bot.slack.direct(ANN);
    let stoppable = |all: Vec<Message>| all.into_iter().find(|message| message.element("omni:stop").is_some());
    let working = until_some(async || stoppable(bot.slack.messages(&direct))).await;
    bot.slack.clicks(ANN, &working, "omni:stop").await.acked().await.unwrap();
    until(|| bot.server.running() == 0).await;
    until_some(async || bot.slack.messages(&direct).pop().filter(|one| one.says("Stopped"))).await;
}

/// The message of a thread that has a button to stop.
fn with_stop(bot: &Bot, thread: &str) -> Option<Message> {
    told(bot, thread).into_iter().find(|message| message.element("omni:stop").is_some())
}

#[tokio::test(flavor = "multi_thread")]
async fn where_slack_keeps_no_sessions_a_streamed_answer_has_a_button_that_stops_it() {
    let llm = Scripted::new().call(&[("lab__hang", json!({}))]).say("Never.");
    let bot = Bot::start(workspace().await, llm, lab().hanging("hang"), same, |_| {}).await;
    bot.slack.fault("agents.sessions.setStatus", usize::MAX, Fault::Error("unknown_method".into()));
    let post = bot.slack.mentions(ANN, GENERAL, "Hang").await;
    let working = until_some(async || with_stop(&bot, post.thread())).await;
    until(|| bot.server.running() == 1).await;
    bot.slack.clicks(BOB, &working, "omni:stop").await.acked().await.unwrap();
    bot.slack.whisper(BOB, "can stop this").await;
    assert_eq!(bot.server.running(), 1, "it is not Bob's to stop");
    bot.slack.clicks(ANN, &working, "omni:stop").await.acked().await.unwrap();
    until(|| bot.server.running() == 0).await;
    bot.slack.answer_saying(&post, "Stopped.").await;
    until(|| with_stop(&bot, post.thread()).is_none()).await;
    assert_eq!(told(&bot, post.thread()).len(), 1, "{}", bot.slack.transcript());
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_button_that_stops_an_answer_is_gone_when_it_has_ended_and_is_not_there_where_slack_has_its_own() {
    let mut bot = bot(says("Paris.")).await;
    let own = bot.slack.mentions(ANN, GENERAL, "Where?").await;
    bot.slack.answer_saying(&own, "Paris.").await;
    bot.slack.fault("agents.sessions.setStatus", usize::MAX, Fault::Error("unknown_method".into()));
    let post = bot.slack.mentions(ANN, GENERAL, "And where?").await;
    bot.slack.answer_saying(&post, "Paris.").await;
    bot.closes().await;
    let posted = bot.slack.calls("chat.postMessage");
    assert_eq!(posted.iter().map(|call| &call.args["thread_ts"]).collect::<Vec<_>>(), [post.thread()]);
    assert!(posted[0].args.to_string().contains("omni:stop"), "{posted:?}");
    assert!(with_stop(&bot, post.thread()).is_none(), "{}", bot.slack.transcript());
    assert_eq!(told(&bot, post.thread()).len(), 1);
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn where_slack_tells_the_app_nothing_of_its_own_button_a_streamed_answer_has_one_that_stops_it() {
    let mut app = manifest(None);
    let events = app["settings"]["event_subscriptions"]["bot_events"].as_array_mut().unwrap();
    events.retain(|event| event != "agent_session_stopped");
    let llm = Scripted::new().call(&[("lab__hang", json!({}))]).say("Never.");
    let slack = peopled(Slack::installed(&app).await);
    let bot = Bot::start(slack, llm, lab().hanging("hang"), same, |_| {}).await;
    let post = bot.slack.mentions(ANN, GENERAL, "Hang").await;
    let working = until_some(async || with_stop(&bot, post.thread())).await;
    until(|| bot.server.running() == 1).await;
    bot.slack.clicks(ANN, &working, "omni:stop").await.acked().await.unwrap();
    until(|| bot.server.running() == 0).await;
    bot.slack.answer_saying(&post, "Stopped.").await;
    until(|| with_stop(&bot, post.thread()).is_none()).await;
    bot.behaved();
}
