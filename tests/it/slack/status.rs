//! `/omni-status`: nothing in it is made up.

use omni_core::{
    audit::{AuditBackend, memory::MemorySink},
    llm::{LlmError, scripted::Scripted},
    policy::{Quota, Role, RuleSet, memory::MemoryPolicy},
};
use omni_tests::{rig::until_some, slack::Message};

use super::{ANN, Bot, GENERAL, lab, says, workspace};

fn hourly() -> Quota {
    let mut quota = Quota::default();
    quota.per_hour = Some(7);
    quota
}

/// A bot for Ann, with a ledger that can be read where there is one.
async fn bot_for(role: Role, ledger: Option<AuditBackend>) -> Bot {
    let policy = MemoryPolicy::new().with_subject("ann@company.com", role, RuleSet::allow_all(), hourly());
    let change = |builder: omni_core::OmniBuilder| match ledger {
        Some(ledger) => builder.policy(policy).audit_backend(ledger),
        None => builder.policy(policy),
    };
    Bot::start(workspace().await, says("Paris."), lab(), change, |_| {}).await
}

async fn status(bot: &Bot) -> Message {
    let before = bot.slack.ephemerals(ANN).len();
    bot.slack.slash(ANN, GENERAL, "/omni-status", "").await.acked().await.unwrap();
    until_some(async || bot.slack.ephemerals(ANN).into_iter().skip(before).find(|one| one.says("OMNI2 Status"))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_says_what_is_left_of_the_hour_and_when_there_is_more() {
    let bot = bot_for(Role::new("dba"), Some(AuditBackend::new(MemorySink::default()))).await;
    assert!(status(&bot).await.says("7 of 7 left this hour"));
    for question in ["Where?", "And where?"] {
        let post = bot.slack.mentions(ANN, GENERAL, question).await;
        bot.slack.answer_saying(&post, "Paris.").await;
    }
    bot.omni.ledger().flush(std::time::Duration::from_secs(10)).await.unwrap();
    let told = status(&bot).await;
    let reads = told.reads();
    let left = reads.lines().find(|line| line.contains("left this hour")).unwrap();
    assert!(
        ["60 minutes", "59 minutes"].iter().any(|time| left == format!("5 of 7 left this hour, more in {time}")),
        "{left}"
    );
    assert!(!told.says("p95"), "that is for administrators: {told:#?}");
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn administrators_see_how_long_answers_took_and_how_many_failed() {
    let bot = bot_for(Role::super_admin(), Some(AuditBackend::new(MemorySink::default()))).await;
    let post = bot.slack.mentions(ANN, GENERAL, "Where?").await;
    bot.slack.answer_saying(&post, "Paris.").await;
    bot.omni.ledger().flush(std::time::Duration::from_secs(10)).await.unwrap();
    let told = status(&bot).await;
    assert!(told.says("Answers, p95") && told.says("0 of 1") && !told.says("not known"), "{told:#?}");
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn administrators_see_connections_model_and_ledger() {
    let llm = Scripted::new().say("Paris.").fail(LlmError::Unavailable {
        provider: "scripted",
        status: "529".into(),
        message: "away".into(),
    });
    let policy =
        MemoryPolicy::new().with_subject("ann@company.com", Role::super_admin(), RuleSet::allow_all(), hourly());
    let bot = Bot::start(workspace().await, llm, lab(), |builder| builder.policy(policy), |_| {}).await;
    bot.slack.connected(2).await;
    let model =
        async || status(&bot).await.reads().lines().skip_while(|line| *line != "*Model*").nth(1).unwrap().to_owned();
    let unasked = model().await;
    assert!(!unasked.contains(['🟢', '🔴']), "{unasked}");
    let first = bot.slack.mentions(ANN, GENERAL, "Where?").await;
    bot.slack.answer_saying(&first, "Paris.").await;
    assert_eq!(model().await, format!("🟢 {unasked}"));
    let second = bot.slack.mentions(ANN, GENERAL, "And where?").await;
    bot.slack.answer_saying(&second, "Error id").await;
    assert_eq!(model().await, format!("🔴 {unasked}"));
    bot.omni.ledger().flush(std::time::Duration::from_secs(10)).await.unwrap();
    let told = status(&bot).await.reads();
    assert!(told.contains("*Slack connections*\n2") && told.contains("*Ledger*\n🟢 0 waiting"), "{told}");
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_ledger_does_not_tell_is_said_not_to_be_known() {
    let bot = bot_for(Role::super_admin(), None).await;
    let told = status(&bot).await;
    assert!(told.says("7 an hour; how many are left is not known"), "{told:#?}");
    assert!(told.says("Failed today") && told.says("not known") && !told.says("0 of 0"), "{told:#?}");
    bot.behaved();
}
