//! Who is who.

use serde_json::json;

use super::{ANN, EVE, GENERAL, bot, says};

#[tokio::test(flavor = "multi_thread")]
async fn whom_the_policy_does_not_know_is_told_how_to_be_added() {
    let bot = bot(says("Paris.")).await;
    let post = bot.slack.mentions(EVE, GENERAL, "Hello?").await;
    let told = bot.slack.whisper(EVE, "I do not know you").await;
    assert!(told.says("eve@elsewhere.com") && told.says(EVE), "{told:#?}");
    assert_eq!(bot.slack.thread(GENERAL, post.thread()).len(), 1, "nobody else reads it");
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_deactivated_asks_nothing() {
    let bot = bot(says("Paris.")).await;
    bot.slack.user_is(ANN, json!({ "deleted": true }));
    bot.slack.mentions(ANN, GENERAL, "Hello?").await;
    bot.slack.whisper(ANN, "deactivated").await;
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_of_another_organisation_is_nobodys_here() {
    let bot = bot(says("Paris.")).await;
    bot.slack.user_is(EVE, json!({ "team_id": "T0OTHER", "profile": { "email": "ann@company.com" } }));
    bot.slack.mentions(EVE, GENERAL, "Hello?").await;
    bot.slack.whisper(EVE, "another workspace").await;
    bot.behaved();
}
