//! Who somebody is: by their address in Slack, or by their id in `users.yaml`.

use omni_core::llm::scripted::{Scripted, text_turn};
use serde_json::json;

use super::{ANN, BOB, EVE, GENERAL, files::Files, lab, says, workspace};

const USERS: &str = "\
users:
  - { email: ann@company.com, role: dba, allowed_mcps: '*' }
  - { email: hidden@company.com, role: reader, allowed_mcps: '*', slack_user_id: U0BOB }
blocked_users:
  - { email: eve@elsewhere.com, message: Ask the security team. }
roles: { reader: {} }
";
const GUESTS: &str = "\
users: [{ email: ann@company.com, role: dba, allowed_mcps: '*' }]
default_user: { role: guest, allowed_mcps: [] }
roles: { guest: {} }
";

/// Who asked, and as what, by the ledger.
async fn asked(files: &Files) -> Vec<(String, Option<String>, String)> {
    let query = "SELECT user_email, user_role, status FROM audit_logs WHERE request_type = 'chat' ORDER BY id";
    sqlx::query_as(query).fetch_all(&files.database().await).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn whose_address_slack_hides_is_known_by_the_id_in_users_yaml() {
    let files = Files::new(USERS);
    let mut bot = files.bot(workspace().await, says("Paris."), lab()).await;
    bot.slack.user_is(BOB, json!({ "profile": { "email": null } }));
    let post = bot.slack.mentions(BOB, GENERAL, "Where?").await;
    bot.slack.answer_saying(&post, "Paris.").await;
    bot.behaved();
    bot.closes().await;
    assert_eq!(
        asked(&files).await,
        [("hidden@company.com".to_owned(), Some("reader".to_owned()), "success".to_owned())]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_id_in_users_yaml_counts_before_the_address_in_slack() {
    let files = Files::new(USERS);
    let mut bot = files.bot(workspace().await, says("Paris."), lab()).await;
    let post = bot.slack.mentions(BOB, GENERAL, "Where?").await;
    bot.slack.answer_saying(&post, "Paris.").await;
    bot.closes().await;
    assert_eq!(asked(&files).await[0].0, "hidden@company.com");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_nobody_confirmed_makes_nobody_its_owner_and_the_id_in_users_yaml_counts_all_the_same() {
    let files = Files::new(USERS);
    let bot = files.bot(workspace().await, says("Paris."), lab()).await;
    bot.slack.user("U0NEW", "ann@company.com");
    for user in ["U0NEW", BOB] {
        bot.slack.user_is(user, json!({ "is_email_confirmed": false }));
    }
    bot.slack.mentions("U0NEW", GENERAL, "Where?").await;
    bot.slack.whisper("U0NEW", "slack_user_id: U0NEW").await;
    let named = bot.slack.mentions(BOB, GENERAL, "Where?").await;
    bot.slack.answer_saying(&named, "Paris.").await;
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn whom_nobody_named_is_a_guest_where_there_are_guests_and_has_their_rights() {
    let llm = Scripted::from_fn(|request| Ok(text_turn(if request.tools.is_empty() { "No tools." } else { "Tools." })));
    let files = Files::new(GUESTS);
    let mut bot = files.bot(workspace().await, llm, lab()).await;
    let guest = bot.slack.mentions(EVE, GENERAL, "What can you do?").await;
    bot.slack.answer_saying(&guest, "No tools.").await;
    let named = bot.slack.mentions(ANN, GENERAL, "What can you do?").await;
    bot.slack.answer_saying(&named, "Tools.").await;
    bot.behaved();
    bot.closes().await;
    assert_eq!(asked(&files).await[0].1.as_deref(), Some("guest"));
}

#[tokio::test(flavor = "multi_thread")]
async fn whom_nobody_named_is_told_how_to_be_added_by_mention_command_and_page() {
    let files = Files::new(USERS);
    let bot = files.bot(workspace().await, says("Paris."), lab()).await;
    bot.slack.user("U0NEW", "new@company.com");
    bot.slack.user_is("U0NEW", json!({ "profile": { "email": null } }));
    bot.slack.channel("C0NEW", "new");
    bot.slack.mentions("U0NEW", "C0NEW", "Where?").await;
    let told = bot.slack.whisper("U0NEW", "I do not know you").await;
    assert!(told.says("slack_user_id: U0NEW"), "{told:#?}");
    bot.slack.slash("U0NEW", "C0NEW", "/omni-status", "").await.acked().await.unwrap();
    bot.slack.opens_home("U0NEW").await;
    bot.slack.home_saying("U0NEW", "slack_user_id: U0NEW").await;
    assert!(bot.slack.messages("C0NEW").iter().all(|message| !message.by_bot), "nobody else reads it");
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_blocked_reads_why_and_asks_nothing() {
    let files = Files::new(USERS);
    let bot = files.bot(workspace().await, says("Paris."), lab()).await;
    bot.slack.mentions(EVE, GENERAL, "Where?").await;
    bot.slack.whisper(EVE, "Ask the security team.").await;
    bot.slack.slash(EVE, GENERAL, "/omni", "Where?").await.acked().await.unwrap();
    bot.slack.settled().await;
    assert!(bot.slack.messages(GENERAL).iter().all(|message| !message.by_bot), "{}", bot.slack.transcript());
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn whose_account_is_deactivated_asks_nothing_whatever_users_yaml_says() {
    let files = Files::new(USERS);
    let bot = files.bot(workspace().await, says("Paris."), lab()).await;
    bot.slack.user_is(BOB, json!({ "deleted": true }));
    bot.slack.mentions(BOB, GENERAL, "Where?").await;
    bot.slack.whisper(BOB, "deactivated").await;
    assert!(bot.slack.messages(GENERAL).iter().all(|message| !message.by_bot));
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_another_workspace_only_whom_users_yaml_names_by_id_is_somebody() {
    let files = Files::new(USERS);
    let bot = files.bot(workspace().await, says("Paris."), lab()).await;
    for user in [ANN, BOB] {
        bot.slack.user_is(user, json!({ "team_id": "T0OTHER" }));
    }
    bot.slack.mentions(ANN, GENERAL, "Where?").await;
    bot.slack.whisper(ANN, "another workspace").await;
    let named = bot.slack.mentions(BOB, GENERAL, "Where?").await;
    bot.slack.answer_saying(&named, "Paris.").await;
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn whom_users_yaml_names_by_id_asks_though_their_workspace_is_not_listed_and_though_they_are_a_guest() {
    let files = Files::new(USERS);
    files.write(
        "slack.yaml",
        "security:\n  allow_guests: false\n  workspace_restriction: { enabled: true, allowed_workspaces: [T0ACME] }\n",
    );
    let bot = files.bot(workspace().await, says("Paris."), lab()).await;
    for user in [ANN, BOB] {
        bot.slack.user_is(user, json!({ "team_id": "T0OTHER", "is_restricted": true }));
    }
    bot.slack.mentions(ANN, GENERAL, "Where?").await;
    bot.slack.whisper(ANN, "another workspace").await;
    let named = bot.slack.mentions(BOB, GENERAL, "Where?").await;
    bot.slack.answer_saying(&named, "Paris.").await;
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn bystanders_in_a_thread_are_left_alone_until_they_call_the_bot() {
    let bot = super::bot(says("Paris.")).await;
    let post = bot.slack.mentions(ANN, GENERAL, "Where?").await;
    bot.slack.answer_saying(&post, "Paris.").await;
    bot.slack.replies(EVE, GENERAL, post.thread(), "I have been there.").await;
    bot.slack.settled().await;
    // What Ann says after it is answered; so it was looked at before.
    let last = bot.slack.replies(ANN, GENERAL, post.thread(), "And when?").await;
    bot.slack.answer_saying(&last, "Paris.").await;
    assert!(bot.slack.ephemerals(EVE).is_empty(), "{}", bot.slack.transcript());
    bot.slack.mentions_in(EVE, GENERAL, post.thread(), "And me?").await;
    bot.slack.whisper(EVE, "I do not know you").await;
    bot.behaved();
}
