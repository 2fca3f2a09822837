//! Asks that do not end well: what is read in the thread, and what the ledger keeps of them.

use omni_core::{
    ledger::{Event, Outcome},
    llm::{LlmError, scripted::Scripted},
    policy::{Quota, Role, RuleSet, memory::MemoryPolicy},
};
use omni_tests::{rig::until_some, slack::Message};
use serde_json::json;

use super::{ANN, Bot, EVE, GENERAL, bot, files::Files, lab, same, says, workspace};

/// How the asks of a bot ended, and their errors.
async fn endings(bot: &Bot, count: usize) -> Vec<(Outcome, Option<String>)> {
    until_some(async || {
        let records = bot.recorder.records().into_iter();
        let ended = records.filter_map(|record| match record.event {
            Event::Ask(ask) => Some((ask.outcome, ask.error)),
            _ => None,
        });
        Some(ended.collect::<Vec<_>>()).filter(|ended| ended.len() >= count)
    })
    .await
}

fn by_bot(bot: &Bot, thread: &str) -> Vec<Message> {
    bot.slack.thread(GENERAL, thread).into_iter().filter(|message| message.by_bot).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asked_too_often_reads_the_words_of_the_limit_and_the_ledger_has_them_too() {
    let mut quota = Quota::default();
    quota.per_hour = Some(1);
    let policy = MemoryPolicy::new().with_subject("ann@company.com", Role::new("dba"), RuleSet::allow_all(), quota);
    let bot = Bot::start(workspace().await, says("Paris."), lab(), |builder| builder.policy(policy), |_| {}).await;
    let first = bot.slack.mentions(ANN, GENERAL, "Where?").await;
    bot.slack.answer_saying(&first, "Paris.").await;
    let second = bot.slack.mentions(ANN, GENERAL, "And where?").await;
    let words = "Rate limit exceeded. You've made 1/1 requests in the last hour. Please try again in 60 minutes.";
    let told = bot.slack.answer_saying(&second, words).await;
    assert!(!told.says("Error id"), "{told:#?}");
    let ended = endings(&bot, 2).await;
    assert_eq!((ended[0].0, &ended[1]), (Outcome::Success, &(Outcome::RateLimited, Some(words.to_owned()))));
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_is_down_is_told_without_its_words_and_with_an_id_of_the_ledger() {
    let message = "upstream 10.1.2.3 said: api key sk-secret".to_owned();
    let down = LlmError::Unavailable { provider: "scripted", status: "503".into(), message };
    let bot = bot(Scripted::new().fail(down)).await;
    let post = bot.slack.mentions(ANN, GENERAL, "Where?").await;
    let told = bot.slack.answer_saying(&post, "Please try again in a minute.").await;
    assert!(!told.says("10.1.2.3") && !told.says("sk-secret"), "{told:#?}");
    let ended = endings(&bot, 1).await;
    assert_eq!(ended[0].0, Outcome::Error);
    let id = bot.recorder.records().into_iter().find(|record| matches!(record.event, Event::Ask(_))).unwrap();
    assert!(told.says(&format!("Error id: `{}`", id.request_id)), "{told:#?}");
    assert_eq!(by_bot(&bot, post.thread()).len(), 1, "it is said once");
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_that_is_nobodys_is_refused_and_the_answer_goes_on() {
    let llm = Scripted::new().call(&[("other__drop", json!({}))]).say("I may not do that.");
    let bot = bot(llm).await;
    let post = bot.slack.mentions(ANN, GENERAL, "Drop it").await;
    let told = bot.slack.answer_saying(&post, "I may not do that.").await;
    let tasks: Vec<_> = told.stream.as_ref().unwrap().tasks.values().collect();
    assert!(tasks.iter().all(|task| task.status == "error"), "{tasks:?}");
    assert_eq!((bot.server.calls(), endings(&bot, 1).await.len()), (0, 1));
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_ask_is_told_alone_and_nobody_asks_the_model() {
    let llm = Scripted::new().say("Paris.");
    let files = Files::new("users: [{ email: ann@company.com, role: dba, allowed_mcps: '*' }]");
    let mut bot = files.bot(workspace().await, llm.clone(), lab()).await;
    let post = bot.slack.mentions(EVE, GENERAL, "Where?").await;
    bot.slack.whisper(EVE, "I do not know you").await;
    assert!(by_bot(&bot, post.thread()).is_empty());
    bot.slack.slash(EVE, GENERAL, "/omni", "And where?").await.acked().await.unwrap();
    until_some(async || (bot.slack.ephemerals(EVE).len() == 2).then_some(())).await;
    bot.behaved();
    bot.closes().await;
    let noted = "SELECT success, was_blocked, slack_user_id, slack_channel, message FROM audit_logs ORDER BY id";
    let noted: Vec<(bool, bool, String, String, String)> =
        sqlx::query_as(noted).fetch_all(&files.database().await).await.unwrap();
    let refused = |words: &str| (false, true, EVE.to_owned(), GENERAL.to_owned(), words.to_owned());
    assert_eq!(noted, [refused("Where?"), refused("And where?")]);
    assert!(llm.requests().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_stops_is_kept_as_cancelled() {
    let llm = Scripted::new().call(&[("lab__hang", json!({}))]).say("Never.");
    let bot = Bot::start(workspace().await, llm, lab().hanging("hang"), same, |_| {}).await;
    let post = bot.slack.mentions(ANN, GENERAL, "Hang").await;
    omni_tests::rig::until(|| bot.server.running() == 1).await;
    bot.slack.stops(ANN, GENERAL, post.thread()).await;
    until_some(async || by_bot(&bot, post.thread()).pop().filter(|one| one.says("Stopped"))).await;
    assert_eq!(endings(&bot, 1).await[0].0, Outcome::Cancelled);
}
