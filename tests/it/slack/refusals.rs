//! Questions that the bot does not take, as the ledger has them: one record each, with who, where and why.

use omni_core::{
    config::{CommandRules, SlackConfig, SlackPlaceRules},
    ledger::{Event, Outcome},
};
use omni_tests::rig::until;
use serde_json::json;

use super::{ANN, BOB, Bot, EVE, GENERAL, lab, same, says, workspace};

async fn bot_with(set: impl FnOnce(&mut SlackConfig)) -> Bot {
    Bot::start(workspace().await, says("Paris."), lab(), same, set).await
}

/// Why Eve is let in nowhere.
const EVE_IS_UNKNOWN: &str = "eve@elsewhere.com is not known here, and the policy has no default user";

/// A question as the ledger has it: of whom, with which role, what, how it ended and why.
type Kept = (String, Option<String>, String, Outcome, String);

fn denied(subject: &str, role: Option<&str>, question: &str, why: &str) -> Kept {
    (subject.to_owned(), role.map(str::to_owned), question.to_owned(), Outcome::Denied, why.to_owned())
}

/// All questions that the ledger has when the bot has done whatever it has to do, by who asked.
async fn kept(bot: &mut Bot) -> Vec<Kept> {
    bot.slack.settled().await;
    bot.closes().await;
    let ended = bot.recorder.records().into_iter().filter_map(|record| match (record.event, record.party) {
        (Event::Ask(ask), Some(party)) => {
            Some((party.subject, party.role, ask.question, ask.outcome, ask.error.unwrap_or_default()))
        }
        _ => None,
    });
    let mut kept: Vec<Kept> = ended.collect();
    kept.sort_by(|a, b| (&a.0, &a.2).cmp(&(&b.0, &b.2)));
    kept
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_in_a_channel_that_takes_another_role_is_kept_with_that_role() {
    let set = |config: &mut SlackConfig| {
        let mut rules = SlackPlaceRules::default();
        rules.required_role = Some("dba".into());
        config.places.insert(GENERAL.into(), rules);
    };
    let mut bot = bot_with(set).await;
    let post = bot.slack.mentions(BOB, GENERAL, "Where?").await;
    bot.slack.whisper(BOB, "takes the role").await;
    bot.slack.slash(BOB, GENERAL, "/omni", "And where?").await.acked().await.unwrap();
    let why = format!("asking in the Slack channel {GENERAL} takes the role dba, and theirs is reader");
    let refused = |question| denied("bob@company.com", Some("reader"), question, &why);
    assert_eq!(kept(&mut bot).await, [refused("And where?"), refused("Where?")]);
    let records = bot.recorder.records();
    let asked = records.iter().find(|record| matches!(record.event, Event::Ask(_))).unwrap();
    let place = asked.party.as_ref().unwrap().client.chat.clone().unwrap();
    assert_eq!((place.channel.as_str(), place.message), (GENERAL, Some(post.ts)));
    assert!(!records.iter().any(|record| matches!(record.event, Event::AskStarted { .. })), "nothing began");
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_where_the_bot_does_not_answer_is_kept_and_what_is_no_question_is_not() {
    let mut bot = bot_with(|config| config.channels.only = Some(["C0OTHER".to_owned()].into())).await;
    for words in ["", "!help", "Where?"] {
        bot.slack.mentions(ANN, GENERAL, words).await;
    }
    bot.slack.whisper(ANN, "do not answer in this channel").await;
    bot.slack.slash(ANN, GENERAL, "/omni", "help").await.acked().await.unwrap();
    bot.slack.slash(EVE, GENERAL, "/omni", "And where?").await.acked().await.unwrap();
    let why = format!("nothing is answered in the Slack channel {GENERAL}");
    assert_eq!(
        kept(&mut bot).await,
        [
            denied("ann@company.com", Some("dba"), "Where?", &why),
            denied("eve@elsewhere.com", None, "And where?", EVE_IS_UNKNOWN),
        ]
    );
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_by_a_command_that_takes_another_role_is_kept_and_what_only_looks_is_not() {
    let set = |config: &mut SlackConfig| {
        let mut rules = CommandRules::default();
        rules.required_role = Some("dba".into());
        config.commands.insert("/omni".into(), rules.clone());
        config.commands.insert("/omni-status".into(), rules);
    };
    let mut bot = bot_with(set).await;
    for (command, words) in [("/omni-status", ""), ("/omni", "--private Where?")] {
        bot.slack.slash(BOB, GENERAL, command, words).await.acked().await.unwrap();
    }
    let why = "the Slack command /omni takes the role dba, and theirs is reader";
    assert_eq!(kept(&mut bot).await, [denied("bob@company.com", Some("reader"), "Where?", why)]);
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_asks_who_is_nobody_here_is_kept_under_their_slack_account() {
    let mut bot = bot_with(|_| {}).await;
    bot.slack.user_is(ANN, json!({ "deleted": true }));
    bot.slack.user_is(EVE, json!({ "team_id": "T0OTHER", "profile": { "email": "ann@company.com" } }));
    bot.slack.mentions(ANN, GENERAL, "Where?").await;
    bot.slack.whisper(ANN, "deactivated").await;
    bot.slack.slash(EVE, GENERAL, "/omni", "And where?").await.acked().await.unwrap();
    bot.slack.whisper(EVE, "another workspace").await;
    let of = |id: &str, question, why: &str| {
        denied(&format!("slack:{id}").to_lowercase(), None, question, &format!("the Slack account {id} is {why}"))
    };
    assert_eq!(kept(&mut bot).await, [of(ANN, "Where?", "deactivated"), of(EVE, "And where?", "of another workspace")]);
    bot.behaved();
}

/// Waits until Eve was told something so often.
async fn told(bot: &Bot, count: usize) {
    until(|| bot.slack.ephemerals(EVE).len() == count).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_has_asked_again_whom_nobody_lets_in_is_kept_as_what_it_asks() {
    let mut bot = bot_with(|_| {}).await;
    let post = bot.slack.mentions(EVE, GENERAL, "Where?").await;
    told(&bot, 1).await;
    bot.slack.mentions_in(EVE, GENERAL, &post.ts, "!retry").await;
    told(&bot, 2).await;
    // That asks nothing.
    bot.slack.mentions_in(EVE, GENERAL, &post.ts, "!private").await;
    told(&bot, 3).await;
    let refused = || denied("eve@elsewhere.com", None, "Where?", EVE_IS_UNKNOWN);
    assert_eq!(kept(&mut bot).await, [refused(), refused()]);
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_asks_by_a_button_who_is_nobody_here_is_kept_and_what_they_only_look_at_is_not() {
    let mut bot = bot_with(|_| {}).await;
    bot.slack.user_is(EVE, json!({ "team_id": "T0OTHER" }));
    let post = bot.slack.mentions(ANN, GENERAL, "Where?").await;
    let answer = bot.slack.answer_saying(&post, "⏱").await;
    for button in ["omni:again", "omni:follow"] {
        bot.slack.clicks(EVE, &answer, button).await.acked().await.unwrap();
    }
    bot.slack.whisper(EVE, "another workspace").await;
    let why = format!("the Slack account {EVE} is of another workspace");
    let refused = denied(&format!("slack:{EVE}").to_lowercase(), None, "Where?", &why);
    let answered = ("ann@company.com".into(), Some("dba".into()), "Where?".into(), Outcome::Success, String::new());
    assert_eq!(kept(&mut bot).await, [answered, refused]);
    bot.behaved();
}
