//! Questions and how they are answered.

use omni_core::{
    config::{DiagnosticRules, SlackConfig, UserInfoFormat},
    llm::scripted::Scripted,
};
use omni_tests::{rig::until_some, slack::Fault};
use serde_json::json;

use super::{ANN, BOB, Bot, GENERAL, bot, lab, same, says, workspace};

#[tokio::test(flavor = "multi_thread")]
async fn a_mention_is_answered_in_its_thread_as_it_is_written() {
    let bot = bot(says("Paris.")).await;
    let post = bot.slack.mentions(ANN, GENERAL, "What is the capital of France?").await;
    let answer = bot.slack.answer(&post).await;
    assert_eq!(answer.thread_ts.as_deref(), Some(&*post.ts));
    assert!(answer.text.contains("Paris.") && answer.stream.is_some(), "{answer:#?}");
    bot.slack.settled().await;
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_direct_message_is_answered_flat_by_a_message_that_is_changed() {
    let bot = bot(says("Paris.")).await;
    let post = bot.slack.dms(ANN, "What is the capital of France?").await;
    let answer = bot.said_to(ANN, &post.ts, "Paris.").await;
    assert!(answer.thread_ts.is_none() && answer.stream.is_none() && answer.edits > 0, "{answer:#?}");
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_of_a_tool_is_a_card() {
    let llm = Scripted::new().call(&[("lab__echo", json!({ "message": "hi" }))]).say("It said hi.");
    let bot = bot(llm).await;
    let post = bot.slack.mentions(ANN, GENERAL, "Echo hi").await;
    let answer = bot.slack.answer_saying(&post, "It said hi.").await;
    let tasks: Vec<_> = answer.stream.as_ref().unwrap().tasks.values().collect();
    assert_eq!((tasks.len(), tasks[0].status.as_str()), (1, "complete"), "{answer:#?}");
    assert!(tasks[0].title.contains("lab") && tasks[0].title.contains("echo"), "{tasks:?}");
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_whose_message_was_deleted_comes_as_another() {
    let bot = bot(says("Paris.")).await;
    bot.slack.fault("chat.update", 9, Fault::Error("message_not_found".into()));
    let post = bot.slack.dms(ANN, "What is the capital of France?").await;
    let answer = bot.said_to(ANN, &post.ts, "Paris.").await;
    assert_eq!(answer.edits, 0, "{answer:#?}");
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn where_an_answer_comes_as_another_message_nothing_is_left_in_progress() {
    let bot = bot(says("Paris.")).await;
    bot.slack.fault("chat.update", usize::MAX, Fault::Error("internal_error".into()));
    let post = bot.slack.dms(ANN, "What is the capital of France?").await;
    bot.said_to(ANN, &post.ts, "Paris.").await;
    let left = until_some(async || {
        let left = bot.slack.messages(&post.channel).into_iter().filter(|message| message.by_bot);
        Some(left.collect::<Vec<_>>()).filter(|left| left.len() == 1)
    })
    .await;
    assert!(left[0].says("Paris."), "{left:#?}");
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_types_comes_to_the_model_as_they_typed_it_and_back_as_it_answered() {
    let typed = "Größe von 日本 & <b>x</b>: 1 < 2 > 0, &amp; \"quoted\" 👩‍👩‍👧 🇨🇿?";
    let answer = "Antwort: Größe von 日本 & <b>: 1 < 2 > 0, \"quoted\" 👩‍👩‍👧 🇨🇿.";
    let llm = Scripted::new().say(answer).say(answer);
    let bot = bot(llm.clone()).await;
    let post = bot.slack.mentions(ANN, GENERAL, typed).await;
    let in_thread = bot.slack.answer(&post).await;
    let directly = bot.slack.dms(ANN, typed).await;
    let directly = bot.said_to(ANN, &directly.ts, "Antwort:").await;
    assert_eq!(llm.requests().len(), 2);
    for request in llm.requests() {
        let asked = request.messages.last().unwrap().text();
        assert!(asked.contains(typed), "{asked}");
    }
    for answer in [in_thread, directly] {
        let reads = answer.reads();
        assert!(reads.contains("Größe von 日本 & <b>: 1 < 2 > 0, \"quoted\" 👩‍👩‍👧 🇨🇿."), "{reads}");
    }
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_shows_of_its_asker_what_the_operator_wants() {
    let set = |config: &mut omni_core::config::SlackConfig| {
        config.user_info.format = UserInfoFormat::Detailed;
        config.user_info.email = true;
        config.user_info.emojis = [("dba".to_owned(), "🗄".to_owned())].into();
    };
    let bot = Bot::start(workspace().await, says("Paris."), lab(), same, set).await;
    let post = bot.slack.mentions(ANN, GENERAL, "Where?").await;
    let shown = bot.slack.answer_saying(&post, "👤 ann").await.reads();
    assert!(shown.contains("ann@company.com | Role: Dba | MCPs: All Available | (`lab`)"), "{shown}");
    let set = |config: &mut omni_core::config::SlackConfig| {
        config.user_info.name = false;
        config.user_info.emojis = [("default".to_owned(), "🙂".to_owned())].into();
    };
    let bot = Bot::start(workspace().await, says("Paris."), lab(), same, set).await;
    let post = bot.slack.mentions(ANN, GENERAL, "Where?").await;
    let shown = bot.slack.answer_saying(&post, "🙂 Dba").await.reads();
    assert!(!shown.contains("ann"), "{shown}");
    bot.behaved();
}

/// What an answer says of how it came about, in detail.
const DETAILS: &str = "Behind the scenes";

#[tokio::test(flavor = "multi_thread")]
async fn what_an_answer_took_is_shown_where_and_to_which_roles_the_operator_wants() {
    let mut rules = DiagnosticRules::default();
    (rules.in_direct, rules.iterations, rules.tokens) = (true, true, true);
    rules.roles = vec!["dba".into()];
    let set = |config: &mut SlackConfig| config.diagnostics = rules;
    let bot = Bot::start(workspace().await, says("Paris."), lab(), same, set).await;
    let direct = bot.slack.dms(ANN, "Where?").await;
    let shown = bot.said_to(ANN, &direct.ts, DETAILS).await.reads();
    assert!(shown.contains("*Iterations:* 1") && shown.contains("🔢") && !shown.contains('⏱'), "{shown}");
    // A channel is another place, and Bob has another role.
    let post = bot.slack.mentions(ANN, GENERAL, "Where?").await;
    let in_channel = bot.slack.answer_saying(&post, "⏱").await;
    let others = bot.slack.dms(BOB, "Where?").await;
    let others = bot.said_to(BOB, &others.ts, "⏱").await;
    for shown in [in_channel, others] {
        assert!(!shown.says(DETAILS) && !shown.says("Iterations") && !shown.says("🔢"), "{shown:#?}");
    }
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_answer_took_is_shown_in_channels_to_everybody_where_no_role_is_named() {
    let mut rules = DiagnosticRules::default();
    (rules.in_channels, rules.tool_calls, rules.servers) = (true, true, true);
    let set = |config: &mut SlackConfig| config.diagnostics = rules;
    let llm = Scripted::new().call(&[("lab__echo", json!({ "message": "hi" }))]).say("It said hi.").say("Paris.");
    let bot = Bot::start(workspace().await, llm, lab(), same, set).await;
    let post = bot.slack.mentions(BOB, GENERAL, "Echo hi").await;
    let shown = bot.slack.answer_saying(&post, DETAILS).await.reads();
    assert!(shown.contains("*Tools used:* 1") && shown.contains("`lab.echo`"), "{shown}");
    assert!(!shown.contains("Iterations") && !shown.contains('⏱'), "{shown}");
    let direct = bot.slack.dms(BOB, "Where?").await;
    let shown = bot.said_to(BOB, &direct.ts, "⏱").await;
    assert!(!shown.says(DETAILS), "{shown:#?}");
    bot.behaved();
}
