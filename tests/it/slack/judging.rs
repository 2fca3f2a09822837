//! Whether answers were good, what people prefer, what they asked lately, and the rest of long answers: all that a bot
//! keeps in its database.

use omni_core::{
    Principal,
    audit::AuditQuery,
    config::SlackConfig,
    cost::{Price, Rates},
    llm::{ModelInfo, scripted::Scripted},
};
use omni_tests::{rig::until_some, slack::Submitted};
use serde_json::json;

use super::{ANN, BOB, EVE, GENERAL, says};
use crate::slack::kept::{Kept, kept};

/// A verdict as the database has it.
type Verdict = (String, bool, Option<String>);

async fn verdicts(bot: &Kept) -> Vec<Verdict> {
    let db = bot.tables.db().await.unwrap();
    let rows =
        db.fetch_all("SELECT user_email, is_good, reason FROM ask_feedback ORDER BY user_email", &[]).await.unwrap();
    let verdict = |row: &omni_core::db::Row| {
        (row.text("user_email").unwrap(), row.bool("is_good").unwrap(), row.optional_text("reason").unwrap())
    };
    rows.iter().map(verdict).collect()
}

async fn until_verdicts(bot: &Kept, expected: &[(&str, bool, Option<&str>)]) {
    let expected: Vec<Verdict> = expected
        .iter()
        .map(|(user, is_good, reason)| (format!("{user}@company.com"), *is_good, reason.map(str::to_owned)))
        .collect();
    until_some(async || (verdicts(bot).await == expected).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_who_reads_an_answer_may_judge_it_once_and_change_their_mind() {
    let bot = kept(says("Paris.")).await;
    let post = bot.slack.mentions(ANN, GENERAL, "What is the capital of France?").await;
    let answer = bot.slack.answer(&post).await;
    bot.slack.clicks(ANN, &answer, "feedback_positive").await.acked().await.unwrap();
    bot.slack.whisper(ANN, "Thanks for your feedback!").await;
    bot.slack.clicks(BOB, &answer, "feedback_positive").await.acked().await.unwrap();
    until_verdicts(&bot, &[("ann", true, None), ("bob", true, None)]).await;
    bot.slack.clicks(ANN, &answer, "feedback_negative").await.acked().await.unwrap();
    until_verdicts(&bot, &[("ann", false, None), ("bob", true, None)]).await;
    bot.slack.clicks(EVE, &answer, "feedback_positive").await.acked().await.unwrap();
    bot.slack.whisper(EVE, "I do not know you").await;
    assert_eq!(verdicts(&bot).await.len(), 2);
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_finds_an_answer_bad_is_asked_why() {
    let bot = kept(says("Paris.")).await;
    let post = bot.slack.mentions(ANN, GENERAL, "What is the capital of Spain?").await;
    let answer = bot.slack.answer(&post).await;
    bot.slack.clicks(ANN, &answer, "feedback_negative").await.acked().await.unwrap();
    let form = bot.slack.modal(ANN, "What was wrong?").await;
    // Nobody fills it in as fast as that is kept.
    until_verdicts(&bot, &[("ann", false, None)]).await;
    let values = json!({ "reason": "wrong", "comment": "It is Madrid" });
    assert_eq!(bot.slack.submits(&form, values).await, Submitted::Closed);
    until_verdicts(&bot, &[("ann", false, Some("It is not right: It is Madrid"))]).await;
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thumb_as_a_reaction_counts_and_the_last_one_wins() {
    let mut bot = kept(says("Paris.")).await;
    let post = bot.slack.mentions(ANN, GENERAL, "What is the capital of France?").await;
    let answer = bot.slack.answer(&post).await;
    // Before that a reaction is to nothing that is known.
    let known = format!("answer/{GENERAL}/{}", answer.ts);
    until_some(async || bot.values().get(&known).await.unwrap()).await;
    bot.slack.reacts(BOB, GENERAL, &answer.ts, "+1::skin-tone-3").await;
    until_verdicts(&bot, &[("bob", true, None)]).await;
    bot.slack.reacts(BOB, GENERAL, &answer.ts, "-1").await;
    until_verdicts(&bot, &[("bob", false, None)]).await;
    for (user, ts, name) in [(EVE, &answer.ts, "+1"), (BOB, &post.ts, "+1"), (ANN, &answer.ts, "eyes")] {
        bot.slack.reacts(user, GENERAL, ts, name).await;
    }
    bot.slack.settled().await;
    bot.closes().await;
    assert_eq!(verdicts(&bot).await.len(), 1, "of people and signs that say nothing");
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reaction_that_the_operator_named_asks_what_a_message_says() {
    let bot = Kept::start(says("Paris."), |config| {
        config.reactions.insert("robot_face".into());
        config.templates.welcome = Some("Moin {user}, you are {role}.".into());
    })
    .await;
    let post = bot.slack.says(BOB, GENERAL, "What is the capital of France?").await;
    bot.slack.reacts(ANN, GENERAL, &post.ts, "eyes").await;
    bot.slack.reacts(ANN, GENERAL, &post.ts, "robot_face").await;
    let answer = bot.slack.answer(&post).await;
    assert!(answer.says("Paris.") && answer.thread_ts.as_deref() == Some(&*post.ts), "{answer:#?}");
    bot.slack.settled().await;
    bot.omni.ledger().flush(std::time::Duration::from_secs(10)).await.unwrap();
    let ann = Principal::email("ann@company.com").with_tenant(omni_tests::slack::TEAM);
    let asked = bot.omni.audit(ann).await.unwrap().logs(&AuditQuery::default()).await.unwrap().entries;
    assert_eq!(asked.len(), 1, "who reacts is who asks");
    let question = asked[0].message.as_deref().unwrap();
    assert!(!question.contains("capital"), "what others wrote is nothing that Ann wants done: {question}");
    let hello = bot.slack.dms(ANN, "hi").await;
    bot.said_to(ANN, &hello.ts, "Moin ann, you are dba.").await;
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_prefers_holds_from_then_on_and_after_a_restart() {
    let mut bot = kept(says("Paris.")).await;
    bot.slack.opens_home(ANN).await;
    let home = bot.slack.home_saying(ANN, "Preferences").await;
    bot.slack.selects(ANN, &home, "omni:preferences", "private").await.acked().await.unwrap();
    until_some(async || {
        let chosen = bot.slack.home(ANN)?.element("omni:preferences")?["initial_options"].to_string();
        chosen.contains("private").then_some(())
    })
    .await;
    bot.restart().await;
    // While the new process is not there yet a command finds nobody.
    until_some(async || bot.slack.slash(ANN, GENERAL, "/omni", "Where is the tower?").await.acked().await).await;
    bot.slack.whisper(ANN, "Paris.").await;
    assert!(bot.slack.messages(GENERAL).iter().all(|one| !one.by_bot), "{}", bot.slack.transcript());
    bot.slack.slash(BOB, GENERAL, "/omni", "Where is the tower?").await.acked().await.unwrap();
    until_some(async || bot.slack.messages(GENERAL).into_iter().find(|one| one.by_bot)).await;
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_wants_the_answer_alone_gets_no_small_print() {
    let bot = kept(says("Paris.")).await;
    let asked = async |verbosity: &str| {
        bot.slack.opens_home(ANN).await;
        let home = bot.slack.home_saying(ANN, "Preferences").await;
        bot.slack.selects(ANN, &home, "omni:verbosity", verbosity).await.acked().await.unwrap();
        until_some(async || {
            let chosen = bot.slack.home(ANN)?.element("omni:verbosity")?["initial_option"]["value"].clone();
            (chosen == verbosity).then_some(())
        })
        .await;
        let post = bot.slack.mentions(ANN, GENERAL, "Where is the tower?").await;
        let answer = bot.slack.answer(&post).await;
        bot.slack.settled().await;
        bot.slack.thread(GENERAL, &post.ts).into_iter().find(|one| one.ts == answer.ts).unwrap().reads()
    };
    let brief = asked("brief").await;
    assert!(!brief.contains("⏱") && !brief.contains("Ann"), "{brief}");
    let detailed = asked("detailed").await;
    assert!(detailed.contains("⏱") && detailed.contains("Iterations"), "{detailed}");
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_does_not_want_to_know_what_answers_cost_is_not_told() {
    let mut model = ModelInfo::new("scripted", "scripted");
    model.price = Some(Price::flat(Rates::new(1_000_000, 5_000_000, 0, 0, 0)));
    let set = |config: &mut SlackConfig| {
        (config.diagnostics.in_channels, config.diagnostics.cost) = (true, true);
    };
    let bot = Kept::start(says("Paris.").with_model(model), set).await;
    let asked = async || {
        let post = bot.slack.mentions(ANN, GENERAL, "Where is the tower?").await;
        bot.slack.answer(&post).await;
        bot.slack.settled().await;
        bot.slack.thread(GENERAL, &post.ts).into_iter().rfind(|one| one.by_bot).unwrap()
    };
    let told = asked().await;
    assert!(told.says("💰 $"), "{told:#?}");
    bot.slack.opens_home(ANN).await;
    let home = bot.slack.home_saying(ANN, "Preferences").await;
    bot.slack.selects(ANN, &home, "omni:preferences", "follow").await.acked().await.unwrap();
    until_some(async || bot.values().get(&format!("preferences/{ANN}")).await.unwrap()).await;
    let told = asked().await;
    assert!(told.says("Paris.") && !told.says("💰"), "{told:#?}");
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn replies_are_not_taken_from_whoever_does_not_want_that() {
    let mut bot = kept(says("Paris.")).await;
    bot.slack.opens_home(BOB).await;
    let home = bot.slack.home_saying(BOB, "Preferences").await;
    // What was on is off, and the other way round: the boxes are sent as they are now.
    bot.slack.selects(BOB, &home, "omni:preferences", "cost").await.acked().await.unwrap();
    until_some(async || bot.values().get(&format!("preferences/{BOB}")).await.unwrap()).await;
    let post = bot.slack.mentions(ANN, GENERAL, "What is the capital of France?").await;
    bot.slack.answer(&post).await;
    bot.slack.settled().await;
    bot.slack.replies(BOB, GENERAL, &post.ts, "I was there once").await;
    let reply = bot.slack.replies(ANN, GENERAL, &post.ts, "And how large is it?").await;
    bot.slack.answer(&reply).await;
    bot.slack.settled().await;
    bot.closes().await;
    let said = bot.slack.thread(GENERAL, &post.ts).into_iter().filter(|one| one.by_bot).count();
    assert_eq!(said, 2, "{}", bot.slack.transcript());
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_apps_page_has_the_last_questions_and_asks_them_again() {
    let bot = kept(says("Paris.")).await;
    let post = bot.slack.mentions(ANN, GENERAL, "What is the capital of France?").await;
    bot.slack.answer(&post).await;
    let other = bot.slack.mentions(BOB, GENERAL, "Who is there?").await;
    bot.slack.answer(&other).await;
    bot.omni.ledger().flush(std::time::Duration::from_secs(10)).await.unwrap();
    bot.slack.opens_home(ANN).await;
    let home = bot.slack.home_saying(ANN, "What is the capital of France?").await;
    assert!(!home.says("Who is there?"), "others' questions are others'");
    let link = home.blocks().iter().map(ToString::to_string).find(|block| block.contains("/archives/")).unwrap();
    assert!(link.contains(&format!("/archives/{GENERAL}/p{}", post.ts.replace('.', ""))), "{link}");
    bot.slack.clicks(ANN, &home, "omni:again").await.acked().await.unwrap();
    let direct = bot.slack.direct(ANN);
    until_some(async || bot.slack.messages(&direct).into_iter().find(|one| one.says("What is the capital"))).await;
    bot.behaved();
}

/// An answer that takes ten messages of 3000 characters, more than are told at once.
fn very_long() -> Scripted {
    says(&(0..600).map(|line| format!("Line {line:04} of an answer, all of which is told.\n\n")).collect::<String>())
}

fn short_messages(config: &mut SlackConfig) {
    config.max_message = Some(3_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn show_more_tells_the_rest_of_a_very_long_answer_once() {
    shows_the_rest_once(Kept::start(very_long(), short_messages).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn show_more_tells_the_rest_once_from_a_ledger_in_postgres() {
    let Some(bot) = Kept::on_postgres(very_long(), short_messages).await else { return };
    shows_the_rest_once(bot).await;
}

async fn shows_the_rest_once(bot: Kept) {
    let post = bot.slack.dms(ANN, "Tell me everything").await;
    let direct = bot.slack.direct(ANN);
    let all = || -> String {
        bot.slack.messages(&direct).into_iter().filter(|one| one.by_bot).map(|one| one.reads()).collect()
    };
    let first = bot.said_to(ANN, &post.ts, "Show more").await;
    assert!(all().contains("Line 0000 ") && !all().contains("Line 0599 "), "the first of it");
    bot.omni.ledger().flush(std::time::Duration::from_secs(10)).await.unwrap();
    let mut cut = first.clone();
    for _ in 0..2 {
        bot.slack.clicks(ANN, &cut, "omni:more").await.acked().await.unwrap();
        cut = bot.said_to(ANN, &cut.ts, "Show more").await;
    }
    bot.slack.clicks(ANN, &cut, "omni:more").await.acked().await.unwrap();
    bot.said_to(ANN, &cut.ts, "Line 0599 ").await;
    let told = all();
    for line in 0..600 {
        assert_eq!(told.matches(&format!("Line {line:04} ")).count(), 1, "line {line}");
    }
    bot.slack.clicks(ANN, &first, "omni:more").await.acked().await.unwrap();
    bot.slack.whisper(ANN, "told already").await;
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rest_of_a_private_answer_is_private_too() {
    let bot = Kept::start(very_long(), short_messages).await;
    bot.slack.slash(ANN, GENERAL, "/omni", "--private Tell me everything").await.acked().await.unwrap();
    let cut = bot.slack.whisper(ANN, "Show more").await;
    bot.omni.ledger().flush(std::time::Duration::from_secs(10)).await.unwrap();
    bot.slack.clicks(ANN, &cut, "omni:more").await.acked().await.unwrap();
    until_some(async || {
        let told = bot.slack.ephemerals(ANN);
        told.iter().filter(|one| one.says("Show more")).count().eq(&2).then_some(())
    })
    .await;
    assert!(bot.slack.messages(GENERAL).iter().all(|one| !one.by_bot), "{}", bot.slack.transcript());
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_bots_of_one_workspace_one_answers() {
    one_answers(kept(says("Paris.")).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_bots_that_share_a_postgres_database_one_answers() {
    let Some(bot) = Kept::on_postgres(says("Paris."), |_| {}).await else { return };
    one_answers(bot).await;
}

/// Of this bot and another one.
async fn one_answers(bot: Kept) {
    let second = bot.another().await;
    bot.slack.connected(2).await;
    let posts: Vec<_> = futures::future::join_all((0..8).map(|at| {
        let slack = &bot.slack;
        async move { slack.mentions(ANN, GENERAL, &format!("Question {at}?")).await }
    }))
    .await;
    for post in &posts {
        bot.slack.answer(post).await;
    }
    bot.slack.settled().await;
    for post in &posts {
        let answers = bot.slack.thread(GENERAL, &post.ts).into_iter().filter(|one| one.by_bot).count();
        assert_eq!(answers, 1, "{}", bot.slack.transcript());
    }
    second.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_reads_an_answer_asks_more_in_its_thread() {
    let bot = kept(says("Paris.")).await;
    let post = bot.slack.mentions(ANN, GENERAL, "What is the capital of France?").await;
    let answer = bot.slack.answer(&post).await;
    bot.slack.clicks(BOB, &answer, "omni:follow").await.acked().await.unwrap();
    let form = bot.slack.modal(BOB, "Your question").await;
    let sent = bot.slack.submits(&form, json!({ "question": "And how large is it?" })).await;
    assert_eq!(sent, Submitted::Closed);
    until_some(async || {
        let said = bot.slack.thread(GENERAL, &post.ts);
        (said.iter().filter(|one| one.by_bot && one.says("Paris.")).count() == 2).then_some(())
    })
    .await;
    bot.behaved();
}
