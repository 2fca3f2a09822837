//! Cards that time or somebody else overtakes.

use std::time::Duration;

use omni_core::{confirm::ApprovalRules, llm::scripted::Scripted};
use omni_tests::{
    rig::until_some,
    server::{FakeServer, any, text},
    slack::{Message, Submitted},
};
use serde_json::json;

use super::{ANN, Bot, GENERAL, bot, files::Files, says, workspace};

const USERS: &str = "users: [{ email: ann@company.com, role: dba, allowed_mcps: '*' }]";

fn lab() -> FakeServer {
    FakeServer::echo().tool("wipe", any(), |arguments| {
        Box::pin(async move { Ok(text(&format!("wiped {}", arguments["table"].as_str().unwrap_or("all")))) })
    })
}

fn wiping() -> Scripted {
    Scripted::new().call(&[("lab__wipe", json!({ "table": "logs" }))]).say("The logs are gone.")
}

fn told(bot: &Bot, thread: &str, words: &str) -> Option<Message> {
    bot.slack.thread(GENERAL, thread).into_iter().find(|message| message.by_bot && message.says(words))
}

fn expiring(time: Duration) -> impl FnOnce(omni_core::OmniBuilder) -> omni_core::OmniBuilder {
    let mut rules = ApprovalRules::default();
    rules.expiry = time;
    |builder| builder.approvals(rules)
}

#[tokio::test(flavor = "multi_thread")]
async fn arguments_changed_under_a_card_are_refused() {
    let files = Files::new(USERS);
    let bot = files.bot(workspace().await, wiping(), lab()).await;
    let post = bot.slack.mentions(ANN, GENERAL, "Wipe the logs").await;
    let card = bot.slack.whisper(ANN, "Approval needed").await;
    let changed = sqlx::query("UPDATE confirmations SET arguments = '{\"table\":\"salaries\"}'")
        .execute(&files.database().await)
        .await
        .unwrap();
    assert_eq!(changed.rows_affected(), 1);
    bot.slack.clicks(ANN, &card, "omni:approve").await.acked().await.unwrap();
    bot.slack.whisper(ANN, "It was not run").await;
    bot.slack.settled().await;
    assert_eq!(bot.server.calls(), 0, "neither the one nor the other");
    assert!(told(&bot, post.thread(), "salaries").is_none(), "{}", bot.slack.transcript());
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_between_ask_and_click_loses_nothing() {
    let (files, slack, server) = (Files::new(USERS), workspace().await, lab());
    let before = Scripted::new().call(&[("lab__wipe", json!({ "table": "logs" }))]);
    let mut first = files.bot(slack.clone(), before, server.clone()).await;
    let post = slack.mentions(ANN, GENERAL, "Wipe the logs").await;
    let card = slack.whisper(ANN, "Approval needed").await;
    first.closes().await;
    drop(first);
    // Another process: of the first one there is nothing but its database.
    let second = files.bot(slack, says("The logs are gone."), server).await;
    until_some(async || second.slack.clicks(ANN, &card, "omni:approve").await.acked().await).await;
    until_some(async || told(&second, post.thread(), "The logs are gone.")).await;
    second.slack.whisper(ANN, "Approved by").await;
    assert_eq!(second.server.calls(), 1);
    second.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_in_direct_messages_loses_its_buttons_when_its_time_is_over() {
    let change = expiring(Duration::from_secs(10));
    let bot = Bot::start(workspace().await, wiping(), lab(), change, |_| {}).await;
    let post = bot.slack.dms(ANN, "Wipe the logs").await;
    let card = bot.said_to(ANN, &post.ts, "Approval needed").await;
    assert!(card.element("omni:approve").is_some(), "{card:#?}");
    let over = bot.said_to(ANN, &post.ts, "Nobody decided in time").await;
    assert_eq!((&over.ts, over.element("omni:approve")), (&card.ts, None), "{over:#?}");
    assert_eq!(bot.server.calls(), 0);
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_that_only_one_person_sees_loses_its_buttons_when_it_is_clicked_too_late() {
    let change = expiring(Duration::from_millis(1));
    let bot = Bot::start(workspace().await, wiping(), lab(), change, |_| {}).await;
    bot.slack.mentions(ANN, GENERAL, "Wipe the logs").await;
    let card = bot.slack.whisper(ANN, "Approval needed").await;
    bot.slack.clicks(ANN, &card, "omni:approve").await.acked().await.unwrap();
    let over = bot.slack.whisper(ANN, "Nobody decided in time").await;
    assert_eq!((&over.ts, over.element("omni:approve")), (&card.ts, None), "{over:#?}");
    assert_eq!(bot.server.calls(), 0);
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_that_was_decided_is_left_as_it_is_when_its_time_is_over() {
    let change = expiring(Duration::from_secs(15));
    let llm = wiping().call(&[("lab__wipe", json!({ "table": "traces" }))]);
    let bot = Bot::start(workspace().await, llm, lab(), change, |_| {}).await;
    let post = bot.slack.dms(ANN, "Wipe the logs").await;
    let card = bot.said_to(ANN, &post.ts, "Approval needed").await;
    bot.slack.clicks(ANN, &card, "omni:approve").await.acked().await.unwrap();
    bot.said_to(ANN, &post.ts, "The logs are gone.").await;
    let decided = bot.said_to(ANN, &post.ts, "Approved by").await;
    // When the time of a later card is over, that of the first one is too.
    let later = bot.slack.dms(ANN, "Wipe the traces").await;
    bot.said_to(ANN, &later.ts, "Nobody decided in time").await;
    let direct = bot.slack.direct(ANN);
    let now = bot.slack.messages(&direct).into_iter().find(|message| message.ts == decided.ts).unwrap();
    assert_eq!(now.edits, decided.edits, "{now:#?}");
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn modal_error_round_trip() {
    let bot = bot(says("A bad sign.")).await;
    bot.slack.says("U0BOB", GENERAL, "I see ORA-00600 everywhere").await;
    let message = bot.slack.messages(GENERAL).pop().unwrap();
    bot.slack.shortcut(ANN, "omni_ask_message", &message).await.acked().await.unwrap();
    let modal = bot.slack.modal(ANN, "Your question").await;
    let refused = bot.slack.submits(&modal, json!({ "value": "   " })).await;
    let Submitted::Errors(wrong) = refused else { panic!("{refused:?}") };
    assert!(wrong["question"].contains("What do you want to know?"), "{wrong:?}");
    assert_eq!(bot.slack.submits(&modal, json!({ "value": "What is this?" })).await, Submitted::Closed);
    until_some(async || told(&bot, &message.ts, "A bad sign.")).await;
    let answers = bot.slack.thread(GENERAL, &message.ts).iter().filter(|one| one.by_bot).count();
    assert_eq!(answers, 1, "what was refused asked nothing");
    bot.behaved();
}
