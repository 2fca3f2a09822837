//! Calls that take somebody's word.

use std::time::Duration;

use omni_core::{
    Principal, Source,
    confirm::{ApprovalRules, Verdict},
    llm::scripted::Scripted,
    omni::Decider,
};
use omni_tests::{
    rig::until_some,
    server::{FakeServer, any, text},
    slack::{Message, View},
};
use serde_json::{Value, json};

use super::{ANN, BOB, Bot, GENERAL, kept::Kept, same, workspace};

/// `wipe`, to which somebody has to agree.
fn lab() -> FakeServer {
    FakeServer::echo().tool("wipe", any(), |arguments| {
        Box::pin(async move { Ok(text(&format!("wiped {}", arguments["table"].as_str().unwrap_or("all")))) })
    })
}

fn wiping() -> Scripted {
    Scripted::new().call(&[("lab__wipe", json!({ "table": "logs" }))]).say("The logs are gone.")
}

async fn wipes(change: impl FnOnce(omni_core::OmniBuilder) -> omni_core::OmniBuilder) -> (Bot, String, Message) {
    let bot = Bot::start(workspace().await, wiping(), lab(), change, |_| {}).await;
    let post = bot.slack.mentions(ANN, GENERAL, "Wipe the logs").await;
    let card = bot.slack.whisper(ANN, "Approval needed").await;
    (bot, post.thread().to_owned(), card)
}

fn told(bot: &Bot, thread: &str, words: &str) -> Option<Message> {
    bot.slack.thread(GENERAL, thread).into_iter().find(|message| message.by_bot && message.says(words))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_asker_agrees_once_and_the_answer_goes_on_in_its_thread() {
    let (bot, thread, card) = wipes(same).await;
    assert!(card.says("logs") && card.only_for.as_deref() == Some(ANN), "{card:#?}");
    assert_eq!(bot.server.calls(), 0);
    bot.slack.clicks(ANN, &card, "omni:approve").await.acked().await.unwrap();
    until_some(async || told(&bot, &thread, "The logs are gone.")).await;
    bot.slack.whisper(ANN, "Approved by").await;
    bot.slack.clicks(ANN, &card, "omni:approve").await.acked().await.unwrap();
    bot.slack.settled().await;
    assert_eq!(bot.server.calls(), 1, "a second click does nothing");
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denial_with_its_reason_goes_to_the_model() {
    let (bot, thread, card) = wipes(same).await;
    bot.slack.clicks(ANN, &card, "omni:deny_reason").await.acked().await.unwrap();
    let modal = bot.slack.modal(ANN, "Why not?").await;
    let sent = bot.slack.submits(&modal, json!({ "value": "we still need them" })).await;
    assert_eq!(sent, omni_tests::slack::Submitted::Closed);
    until_some(async || told(&bot, &thread, "The logs are gone.")).await;
    bot.slack.whisper(ANN, "Denied by").await;
    assert_eq!(bot.server.calls(), 0);
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_counts_after_a_restart_too() {
    let (mut bot, thread, card) = wipes(same).await;
    bot.restart().await;
    // While the new process is not there yet a click finds nobody.
    until_some(async || bot.slack.clicks(ANN, &card, "omni:approve").await.acked().await).await;
    until_some(async || told(&bot, &thread, "The logs are gone.")).await;
    assert_eq!(bot.server.calls(), 1);
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_whose_time_is_over_counts_no_more() {
    let mut rules = ApprovalRules::default();
    rules.expiry = Duration::from_millis(1);
    let (bot, _, card) = wipes(|builder| builder.approvals(rules)).await;
    bot.slack.clicks(ANN, &card, "omni:approve").await.acked().await.unwrap();
    bot.slack.whisper(ANN, "time").await;
    bot.slack.settled().await;
    assert_eq!(bot.server.calls(), 0);
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_role_decides_the_card_is_in_the_thread_and_only_that_role_counts() {
    let mut rules = ApprovalRules::default();
    rules.approvers = vec!["reader".into()];
    rules.four_eyes = true;
    let bot = Bot::start(workspace().await, wiping(), lab(), |builder| builder.approvals(rules), |_| {}).await;
    let post = bot.slack.mentions(ANN, GENERAL, "Wipe the logs").await;
    let card = until_some(async || told(&bot, post.thread(), "Approval needed")).await;
    bot.slack.clicks(ANN, &card, "omni:approve").await.acked().await.unwrap();
    bot.slack.whisper(ANN, "nobody may agree to a call of their own").await;
    assert_eq!(bot.server.calls(), 0);
    bot.slack.clicks(BOB, &card, "omni:approve").await.acked().await.unwrap();
    until_some(async || told(&bot, post.thread(), "The logs are gone.")).await;
    assert_eq!(bot.server.calls(), 1);
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn others_neither_decide_nor_see_details_of_what_is_not_theirs() {
    let (bot, thread, card) = wipes(same).await;
    let value = card.element("omni:details").unwrap()["value"].clone();
    assert!(value.as_str().is_some_and(|value| !value.contains("logs")), "no argument is in a button: {value}");
    // As if Ann's card came before somebody else.
    let mut shown = card.clone();
    shown.only_for = None;
    for button in ["omni:approve", "omni:deny", "omni:details"] {
        bot.slack.clicks(BOB, &shown, button).await.acked().await.unwrap();
    }
    bot.slack.whisper(BOB, "somebody with a role that decides can do this").await;
    bot.slack.whisper(BOB, "can approve this").await;
    bot.slack.settled().await;
    assert_eq!(bot.server.calls(), 0, "{}", bot.slack.transcript());
    bot.slack.clicks(ANN, &card, "omni:details").await.acked().await.unwrap();
    let modal = bot.slack.modal(ANN, "logs").await;
    assert!(modal.says("wipe"), "{modal:#?}");
    bot.slack.clicks(ANN, &card, "omni:approve").await.acked().await.unwrap();
    until_some(async || told(&bot, &thread, "The logs are gone.")).await;
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_agreed_to_on_the_apps_page_which_asks_for_it_no_more() {
    let (bot, _, _) = wipes(same).await;
    bot.slack.opens_home(ANN).await;
    let asks = |page: &View| format!("{page:?}").contains("omni:approve");
    let page = until_some(async || bot.slack.home(ANN).filter(asks)).await;
    bot.slack.clicks(ANN, &page, "omni:approve").await.acked().await.unwrap();
    until_some(async || bot.slack.home(ANN).filter(|page| !asks(page))).await;
    until_some(async || bot.slack.transcript().contains("The logs are gone.").then_some(())).await;
    assert_eq!(bot.server.calls(), 1);
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_names_who_agreed_and_not_who_clicked_after_that() {
    let mut rules = ApprovalRules::default();
    rules.approvers = vec!["reader".into(), "dba".into()];
    let (bot, _, card) = wipes(|builder| builder.approvals(rules)).await;
    let bob = Principal::email("bob@company.com").with_tenant(omni_tests::slack::TEAM);
    let waiting = bot.omni.confirmations(bob.clone()).await.unwrap();
    let id = waiting[0].confirmation.id;
    // As soon as the answer that waits has ended.
    bot.slack.settled().await;
    let agree = async || bot.omni.confirm(id, Verdict::Approve, Decider::new(bob.clone(), Source::Cli)).await.ok();
    let mut stream = until_some(agree).await;
    while stream.next().await.is_some() {}
    bot.slack.clicks(ANN, &card, "omni:approve").await.acked().await.unwrap();
    let decided = bot.slack.whisper(ANN, "Approved by").await;
    assert!(decided.says("bob@company.com") && !decided.says(ANN), "{decided:#?}");
    assert_eq!(bot.server.calls(), 1);
    bot.behaved();
}

/// Somebody else has to agree to what Ann asks for.
async fn others_agree(llm: Scripted) -> (Bot, String) {
    let mut rules = ApprovalRules::default();
    rules.approvers = vec!["reader".into()];
    rules.four_eyes = true;
    let bot = Bot::start(workspace().await, llm, lab(), |builder| builder.approvals(rules), |_| {}).await;
    let post = bot.slack.mentions(ANN, GENERAL, "Wipe the logs").await;
    let thread = post.thread().to_owned();
    (bot, thread)
}

fn cards(bot: &Bot, thread: &str) -> Vec<Message> {
    let all = bot.slack.thread(GENERAL, thread).into_iter();
    all.filter(|message| message.element("omni:approve").is_some()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_waits_for_two_agreements_is_told_once() {
    let calls = [("lab__wipe", json!({ "table": "logs" })), ("lab__wipe", json!({ "table": "traces" }))];
    let (mut bot, thread) = others_agree(Scripted::new().call(&calls).say("All is gone.")).await;
    let both = until_some(async || Some(cards(&bot, &thread)).filter(|cards| cards.len() == 2)).await;
    for card in &both {
        bot.slack.clicks(BOB, card, "omni:approve").await.acked().await.unwrap();
    }
    until_some(async || told(&bot, &thread, "All is gone.")).await;
    bot.slack.settled().await;
    // Whoever else looks for it looks once more at the end.
    bot.closes().await;
    let all = bot.slack.thread(GENERAL, &thread);
    assert_eq!(all.iter().filter(|one| one.says("All is gone.")).count(), 1, "{}", bot.slack.transcript());
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_another_agreement_after_the_first_has_a_card_too() {
    let llm = Scripted::new()
        .call(&[("lab__wipe", json!({ "table": "logs" }))])
        .call(&[("lab__wipe", json!({ "table": "traces" }))])
        .say("All is gone.");
    let (bot, thread) = others_agree(llm).await;
    let first = until_some(async || cards(&bot, &thread).pop()).await;
    bot.slack.clicks(BOB, &first, "omni:approve").await.acked().await.unwrap();
    let second = until_some(async || cards(&bot, &thread).into_iter().find(|card| card.says("traces"))).await;
    bot.slack.clicks(BOB, &second, "omni:approve").await.acked().await.unwrap();
    until_some(async || told(&bot, &thread, "All is gone.")).await;
    assert_eq!(bot.server.calls(), 2);
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_agreed_to_while_no_bot_was_there_is_told_by_the_next_one() {
    let mut rules = ApprovalRules::default();
    rules.approvers = vec!["reader".into()];
    rules.four_eyes = true;
    let mut bot = Kept::start_with(wiping(), lab(), |builder| builder.approvals(rules), |_| {}).await;
    let post = bot.slack.mentions(ANN, GENERAL, "Wipe the logs").await;
    until_some(async || told(&bot, post.thread(), "Approval needed")).await;
    let bob = Principal::email("bob@company.com").with_tenant(omni_tests::slack::TEAM);
    let waiting = bot.omni.confirmations(bob.clone()).await.unwrap();
    bot.asked_to_end();
    bot.ended().await.unwrap();
    // At another door.
    let by = Decider::new(bob, Source::Cli);
    let mut stream = bot.omni.confirm(waiting[0].confirmation.id, Verdict::Approve, by).await.unwrap();
    while stream.next().await.is_some() {}
    assert!(told(&bot, post.thread(), "The logs are gone.").is_none(), "nobody is there to tell it");
    // As a process leaves it that is killed while it tells.
    let kept = bot.omni.kept(&format!("slack:{}:{}", omni_tests::slack::TEAM, omni_tests::slack::BOT_USER)).unwrap();
    let claim = format!("seen/told {}", waiting[0].confirmation.run);
    kept.put_for(&claim, &Value::Null, Duration::from_secs(2)).await.unwrap();
    bot.begins_again().await;
    until_some(async || told(&bot, post.thread(), "The logs are gone.")).await;
    bot.restart().await;
    bot.slack.settled().await;
    let answers = bot.slack.thread(GENERAL, post.thread()).into_iter().filter(|one| one.says("The logs are gone."));
    assert_eq!((answers.count(), bot.server.calls()), (1, 1), "{}", bot.slack.transcript());
    bot.behaved();
}
