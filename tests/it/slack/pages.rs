//! The app's page of whoever decides on what others ask.

use omni_core::{
    Principal, Source,
    confirm::{ApprovalRules, Verdict},
    llm::scripted::Scripted,
    omni::Decider,
};
use omni_tests::{
    rig::until_some,
    server::{FakeServer, any, text},
    slack::{TEAM, View},
};
use serde_json::json;

use super::{ANN, BOB, GENERAL, kept::Kept};

fn lab() -> FakeServer {
    FakeServer::echo().tool("wipe", any(), |_| Box::pin(async { Ok(text("wiped")) }))
}

/// How many calls a page asks for.
fn asked_for(page: &View) -> usize {
    page.actions().iter().filter(|id| *id == "omni:approve").count()
}

/// Waits until Bob's page, which nobody opens again, asks for so many calls.
async fn page(bot: &Kept, count: usize) -> View {
    until_some(async || bot.slack.home(BOB).filter(|page| asked_for(page) == count)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_of_whoever_decides_follows_what_is_asked_and_what_others_decide() {
    let mut rules = ApprovalRules::default();
    rules.approvers = vec!["reader".into()];
    rules.four_eyes = true;
    let wipe = |what: &str| [("lab__wipe", json!({ "table": what }))];
    let llm = Scripted::new().call(&wipe("logs")).call(&wipe("traces")).say("Gone.").say("Gone.");
    let bot = Kept::start_with(llm, lab(), |builder| builder.approvals(rules), |_| {}).await;
    bot.slack.mentions(ANN, GENERAL, "Wipe the logs").await;
    let bob = Principal::email("bob@company.com").with_tenant(TEAM);
    let waiting = async || bot.omni.confirmations(bob.clone()).await.unwrap().pop();
    let first = until_some(waiting).await.confirmation.id;
    bot.slack.opens_home(BOB).await;
    assert!(page(&bot, 1).await.says("logs"));
    bot.slack.mentions(ANN, GENERAL, "Wipe the traces").await;
    page(&bot, 2).await;
    // At another door.
    let agree = async || bot.omni.confirm(first, Verdict::Approve, Decider::new(bob.clone(), Source::Cli)).await.ok();
    let mut stream = until_some(agree).await;
    while stream.next().await.is_some() {}
    let left = page(&bot, 1).await;
    assert!(left.says("traces") && !left.says("logs"), "{left:#?}");
    bot.behaved();
}
