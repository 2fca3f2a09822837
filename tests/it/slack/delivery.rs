//! What goes wrong between Slack and the bot.

use std::time::Duration;

use omni_core::llm::scripted::{Scripted, text_turn};
use omni_slack::{BotError, manifest::manifest, serve};
use omni_tests::{
    program::Program,
    slack::{Fault, Goodbye, Slack},
};
use tokio_util::sync::CancellationToken;

use super::{ANN, Bot, GENERAL, bot, lab, same, says, workspace};
use crate::slack::rig::config_of;

#[tokio::test(flavor = "multi_thread")]
async fn what_only_comes_again_is_answered() {
    let bot = bot(says("Paris.")).await;
    bot.slack.drop_connection();
    let post = bot.slack.mentions(ANN, GENERAL, "Where?").await;
    bot.slack.passes(Duration::from_secs(70));
    let answer = bot.slack.answer_saying(&post, "Paris.").await;
    assert_eq!(answer.thread_ts.as_deref(), Some(post.thread()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_that_slack_replaces_loses_nothing() {
    let bot = bot(says("Paris.")).await;
    bot.slack.connected(2).await;
    let first = bot.slack.mentions(ANN, GENERAL, "Before?").await;
    bot.slack.disconnects(Goodbye::RefreshRequested).await;
    let second = bot.slack.mentions(ANN, GENERAL, "Meanwhile?").await;
    for post in [first, second] {
        // What went down with its socket Slack delivers again: after some seconds, and after a minute.
        for later in [5, 65, 300] {
            let answered = bot.slack.answer_saying(&post, "Paris.");
            if tokio::time::timeout(Duration::from_secs(3), answered).await.is_ok() {
                break;
            }
            bot.slack.passes(Duration::from_secs(later));
        }
        bot.slack.answer_saying(&post, "Paris.").await;
        let told = bot.slack.thread(GENERAL, post.thread()).iter().filter(|one| one.by_bot).count();
        assert_eq!(told, 1, "{}", bot.slack.transcript());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn acks_that_are_lost_make_no_second_answer() {
    let bot = bot(says("Paris.")).await;
    bot.slack.loses_acks(2);
    let post = bot.slack.mentions(ANN, GENERAL, "Where?").await;
    bot.slack.answer_saying(&post, "Paris.").await;
    bot.slack.passes(Duration::from_secs(10));
    bot.slack.settled().await;
    assert_eq!(bot.slack.thread(GENERAL, post.thread()).iter().filter(|one| one.by_bot).count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_where_an_answer_of_slack_should_be_is_none_and_slack_is_asked_again() {
    let slack = workspace().await;
    slack.fault("auth.test", 1, Fault::Status(200));
    let bot = Bot::start(slack, says("Paris."), lab(), same, |_| {}).await;
    assert!(bot.slack.calls("auth.test").len() > 1, "a page does not say who the bot is");
    let to_bob = bot.slack.says(ANN, GENERAL, "<@U0BOB> where?").await;
    bot.slack.fault("chat.startStream", 1, Fault::Status(200));
    let to_bot = bot.slack.mentions(ANN, GENERAL, "Where?").await;
    bot.slack.answer_saying(&to_bot, "Paris.").await;
    bot.slack.settled().await;
    assert_eq!(bot.slack.thread(GENERAL, to_bob.thread()).len(), 1, "what is said to others is not answered");
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_that_slack_does_not_take_end_the_bot() {
    for (method, error) in [("auth.test", "invalid_auth"), ("apps.connections.open", "account_inactive")] {
        let slack = workspace().await;
        slack.fault(method, usize::MAX, Fault::Error(error.into()));
        let omni = omni_core::Omni::builder().llm(says("")).build().await.unwrap();
        let ended = serve(omni.clone(), &config_of(&slack), CancellationToken::new()).await;
        let BotError::Slack(told) = ended.unwrap_err() else { panic!("{method}") };
        assert_eq!((told.code(), told.is_fatal()), (Some(error), true));
        omni.shutdown().await;
    }
}

#[test]
fn without_tokens_the_program_says_what_is_missing_and_ends_with_3() {
    let home = Program::new(env!("CARGO_BIN_EXE_omni-under-test"));
    let ran = home.run(&["slack"]).exits(3);
    assert!(ran.err.contains("SLACK_BOT_TOKEN"), "{ran:?}");
    let ran = home.run_with(&[("SLACK_BOT_TOKEN", "xoxb-1")], &["slack"]).exits(3);
    assert!(ran.err.contains("SLACK_APP_TOKEN"), "{ran:?}");
    let ran = home.run_with(&[("SLACK_BOT_TOKEN", "xapp-1")], &["slack"]).exits(3);
    assert!(ran.err.contains("begins with xoxb-") && !ran.err.contains("xapp-1"), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_ends_with_3_when_slack_refuses_its_token() {
    let slack = workspace().await;
    slack.revokes_tokens();
    let (url, bot, app) = (slack.api_url(), slack.bot_token(), slack.app_token());
    let ran = tokio::task::spawn_blocking(move || {
        let env = [("SLACK_API_URL", &*url), ("SLACK_BOT_TOKEN", &*bot), ("SLACK_APP_TOKEN", &*app)];
        Program::new(env!("CARGO_BIN_EXE_omni-under-test")).run_with(&env, &["slack"])
    });
    let ran = ran.await.unwrap().exits(3);
    assert!(ran.err.contains("token_revoked") && !ran.err.contains("xoxb"), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_runs_when_the_bot_is_asked_to_end_is_answered() {
    let (release, wait) = std::sync::mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let llm = Scripted::from_fn(move |_| {
        let _ = wait.lock().unwrap().recv_timeout(Duration::from_secs(20));
        Ok(text_turn("At last."))
    });
    let mut bot = bot(llm).await;
    let post = bot.slack.mentions(ANN, GENERAL, "Take your time").await;
    bot.slack.settled().await;
    bot.asked_to_end();
    release.send(()).unwrap();
    bot.ended().await.unwrap();
    bot.slack.answer_saying(&post, "At last.").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_says_whether_slack_accepts_the_bot() {
    let slack = workspace().await;
    let (url, bot, app) = (slack.api_url(), slack.bot_token(), slack.app_token());
    let examined = move |app: String| {
        let (url, bot) = (url.clone(), bot.clone());
        tokio::task::spawn_blocking(move || {
            let env = [("SLACK_API_URL", &*url), ("SLACK_BOT_TOKEN", &*bot), ("SLACK_APP_TOKEN", &*app)];
            Program::new(env!("CARGO_BIN_EXE_omni-under-test")).run_with(&env, &["doctor"])
        })
    };
    let well = examined(app).await.unwrap();
    assert!(well.out.contains("✓ slack: the bot is U0OMNI in workspace T0ACME"), "{well:?}");
    assert!(
        well.out.contains("✓ slack scopes: everything that is used was granted; granted and not used: "),
        "{well:?}"
    );
    let wrong = examined("xapp-wrong".into()).await.unwrap().exits(1);
    assert!(wrong.out.contains("✗ slack: apps.connections.open: Slack says invalid_auth"), "{wrong:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_names_the_scopes_that_the_installed_app_lacks_and_what_they_are_for() {
    let mut old = manifest(None);
    old["oauth_config"]["scopes"]["bot"].as_array_mut().unwrap().retain(|scope| scope != "files:write");
    let slack = Slack::installed(&old).await;
    let (url, bot, app) = (slack.api_url(), slack.bot_token(), slack.app_token());
    let ran = tokio::task::spawn_blocking(move || {
        let env = [("SLACK_API_URL", &*url), ("SLACK_BOT_TOKEN", &*bot), ("SLACK_APP_TOKEN", &*app)];
        Program::new(env!("CARGO_BIN_EXE_omni-under-test")).run_with(&env, &["doctor"])
    });
    let ran = ran.await.unwrap().exits(1);
    let line = ran.out.lines().find(|line| line.contains("slack scopes")).unwrap();
    let told = "✗ slack scopes: not granted: files:write (to send tables as files); reinstall the app with what `omni \
                slack manifest` prints";
    assert_eq!(line, told);
    assert!(ran.out.contains("✓ slack: the bot is"), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_finds_everything_granted_that_the_manifest_asks_for() {
    let slack = Slack::installed(&manifest(None)).await;
    let (url, bot, app) = (slack.api_url(), slack.bot_token(), slack.app_token());
    let ran = tokio::task::spawn_blocking(move || {
        let env = [("SLACK_API_URL", &*url), ("SLACK_BOT_TOKEN", &*bot), ("SLACK_APP_TOKEN", &*app)];
        Program::new(env!("CARGO_BIN_EXE_omni-under-test")).run_with(&env, &["doctor"])
    });
    let ran = ran.await.unwrap();
    let line = ran.out.lines().find(|line| line.contains("slack scopes")).unwrap();
    assert_eq!(line, "✓ slack scopes: everything that is used was granted");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_revoked_later_ends_the_bot() {
    let mut bot = bot(says("Paris.")).await;
    bot.slack.revokes_tokens();
    bot.slack.mentions(ANN, GENERAL, "Where?").await;
    let error = bot.ended().await.unwrap_err();
    assert!(error.is_config(), "{error}");
}
