//! What a killed process was answering.

use std::time::Duration;

use omni_core::{
    AnswerStream, Principal, Source,
    config::{SlackConfig, SlackPlaceRules},
    confirm::{ApprovalRules, Confirmation, Verdict, sql::SqlRuns},
    llm::scripted::Scripted,
    omni::Decider,
    people::Tables,
};
use omni_tests::{
    rig::{until, until_some},
    slack::{Fault, Message, StreamState, TEAM},
};
use serde_json::json;
use tokio::time::timeout;

use super::{
    ANN, BOB, GENERAL,
    kept::{Kept, kept},
    lab, same, says,
};

/// What is answered now, by what the database says.
async fn doing(bot: &Kept) -> Vec<(String, serde_json::Value)> {
    bot.values().list("doing/").await.unwrap()
}

/// A process left this when it was killed; whoever looks takes it for one that lives no more.
async fn left_by_a_killed_process(bot: &Kept, (key, mut value): (String, serde_json::Value)) {
    value["by"] = "0192e4a0-0000-7000-8000-000000000000".into();
    bot.values().put(&key, &value).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_process_was_answering_is_told_in_its_thread_once() {
    let llm = Scripted::new().call(&[("lab__hang", json!({}))]).say("Never.");
    let mut bot = Kept::start_with(llm, lab().hanging("hang"), same, |_| {}).await;
    let post = bot.slack.mentions(ANN, GENERAL, "Hang").await;
    until(|| bot.server.running() == 1).await;
    let left = until_some(async || doing(&bot).await.pop()).await;
    let other = bot.another().await;
    bot.slack.connected(4).await;
    let told = |bot: &Kept| {
        let thread = bot.slack.thread(GENERAL, post.thread());
        thread.into_iter().filter(|one| one.by_bot && one.says("I was interrupted")).count()
    };
    assert_eq!(told(&bot), 0, "the process that answers lives");
    bot.slack.stops(ANN, GENERAL, post.thread()).await;
    until_some(async || doing(&bot).await.is_empty().then_some(())).await;
    other.end().await;
    left_by_a_killed_process(&bot, left).await;
    let other = bot.another().await;
    bot.restart().await;
    until(|| told(&bot) == 1).await;
    until_some(async || doing(&bot).await.is_empty().then_some(())).await;
    bot.restart().await;
    bot.slack.settled().await;
    assert_eq!(told(&bot), 1, "{}", bot.slack.transcript());
    other.end().await;
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn that_a_private_question_was_interrupted_only_its_asker_reads() {
    let mut bot = kept(says("Paris.")).await;
    let ticket = format!("0192e4a0-0000-7000-8000-000000000001 {ANN} {GENERAL} - private");
    let left = ("doing/1".to_owned(), json!({ "ticket": ticket }));
    left_by_a_killed_process(&bot, left).await;
    bot.restart().await;
    bot.slack.whisper(ANN, "I was interrupted").await;
    assert!(bot.slack.messages(GENERAL).iter().all(|one| !one.by_bot), "{}", bot.slack.transcript());
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_button_that_stops_nothing_any_more_is_taken_away_with_that() {
    let llm = Scripted::new().call(&[("lab__hang", json!({}))]).say("Never.");
    let bot = Kept::start_with(llm, lab().hanging("hang"), same, |_| {}).await;
    bot.slack.fault("agents.sessions.setStatus", usize::MAX, Fault::Error("unknown_method".into()));
    let post = bot.slack.mentions(ANN, GENERAL, "Hang").await;
    let buttons = || {
        let thread = bot.slack.thread(GENERAL, post.thread()).into_iter();
        thread.filter(|one| one.element("omni:stop").is_some()).map(|one| one.ts).collect::<Vec<_>>()
    };
    let (_, left) = until_some(async || doing(&bot).await.pop().filter(|(_, left)| left["button"].is_string())).await;
    assert_eq!(buttons(), [left["button"].as_str().unwrap()]);
    left_by_a_killed_process(&bot, ("doing/left".to_owned(), left)).await;
    until(|| bot.slack.thread(GENERAL, post.thread()).iter().any(|one| one.says("I was interrupted"))).await;
    until(|| buttons().is_empty()).await;
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_was_to_become_an_answer_is_in_progress_no_more() {
    let llm = Scripted::new().call(&[("lab__hang", json!({}))]).say("Never.");
    let bot = Kept::start_with(llm, lab().hanging("hang"), same, |_| {}).await;
    let post = bot.slack.dms(ANN, "Hang").await;
    until(|| bot.server.running() == 1).await;
    let (_, left) = until_some(async || doing(&bot).await.pop().filter(|(_, left)| left["draft"].is_string())).await;
    left_by_a_killed_process(&bot, ("doing/left".to_owned(), left)).await;
    bot.said_to(ANN, &post.ts, "I was interrupted").await;
    until(|| bot.slack.messages(&post.channel).iter().all(|one| one.element("omni:stop").is_none())).await;
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn so_it_is_in_the_thread_of_a_channel_where_nothing_streams() {
    let llm = Scripted::new().call(&[("lab__hang", json!({}))]).say("Never.");
    let set = |config: &mut SlackConfig| {
        let mut rules = SlackPlaceRules::default();
        rules.stream = Some(false);
        config.places.insert(GENERAL.into(), rules);
    };
    let bot = Kept::start_with(llm, lab().hanging("hang"), same, set).await;
    let post = bot.slack.mentions(ANN, GENERAL, "Hang").await;
    until(|| bot.server.running() == 1).await;
    let (_, left) = until_some(async || doing(&bot).await.pop().filter(|(_, left)| left["draft"].is_string())).await;
    left_by_a_killed_process(&bot, ("doing/left".to_owned(), left)).await;
    until_some(async || told(&bot, post.thread(), "I was interrupted")).await;
    until(|| bot.slack.thread(GENERAL, post.thread()).iter().all(|one| one.element("omni:stop").is_none())).await;
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_became_the_answer_stays_though_its_process_was_killed_before_it_kept_that() {
    let bot = kept(says("Paris.")).await;
    let post = bot.slack.dms(ANN, "Where?").await;
    let answer = bot.said_to(ANN, &post.ts, "Paris.").await;
    let ticket = format!("0192e4a0-0000-7000-8000-000000000001 {ANN} {} -", post.channel);
    let left = json!({ "ticket": ticket, "draft": answer.ts });
    left_by_a_killed_process(&bot, ("doing/1".to_owned(), left)).await;
    bot.said_to(ANN, &post.ts, "I was interrupted").await;
    until_some(async || doing(&bot).await.is_empty().then_some(())).await;
    assert!(bot.slack.messages(&post.channel).iter().any(|one| one.ts == answer.ts), "{}", bot.slack.transcript());
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_was_open_is_ended_and_nothing_in_it_runs_any_more() {
    let llm = Scripted::new().call(&[("lab__hang", json!({}))]).say("Never.");
    let bot = Kept::start_with(llm, lab().hanging("hang"), same, |_| {}).await;
    let post = bot.slack.mentions(ANN, GENERAL, "Hang").await;
    let is_open = |left: &serde_json::Value| left["stream"]["ends"][0].is_object();
    let (_, left) = until_some(async || doing(&bot).await.pop().filter(|(_, left)| is_open(left))).await;
    left_by_a_killed_process(&bot, ("doing/left".to_owned(), left)).await;
    let ended = until_some(async || {
        let streams = bot.slack.thread(GENERAL, post.thread()).into_iter().filter_map(|one| one.stream);
        streams.into_iter().find(|stream| stream.state == StreamState::Stopped)
    })
    .await;
    assert!(ended.tasks.values().all(|task| task.status == "error") && ended.tasks.len() == 1, "{ended:?}");
    bot.behaved();
}

fn bob() -> Principal {
    Principal::email("bob@company.com").with_tenant(TEAM)
}

fn told(bot: &Kept, thread: &str, words: &str) -> Option<Message> {
    bot.slack.thread(GENERAL, thread).into_iter().find(|one| one.by_bot && one.says(words))
}

/// A model that has everything wiped.
fn wiping() -> Scripted {
    Scripted::new().call(&[("lab__wipe", json!({}))]).say("All is gone.")
}

/// What others than its asker decide on.
fn others() -> ApprovalRules {
    let mut rules = ApprovalRules::default();
    rules.approvers = vec!["reader".into()];
    rules.four_eyes = true;
    rules
}

/// The call that somebody may decide on.
async fn waiting(bot: &Kept, who: Principal) -> Confirmation {
    until_some(async || bot.omni.confirmations(who.clone()).await.unwrap().pop()).await.confirmation
}

/// Somebody agrees at another door, as soon as the answer that waits has ended.
async fn agrees(bot: &Kept, who: Principal, one: &Confirmation) -> AnswerStream {
    let by = || Decider::new(who.clone(), Source::Cli);
    until_some(async || bot.omni.confirm(one.id, Verdict::Approve, by()).await.ok()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_was_agreed_to_and_broke_off_with_its_process_is_told_to_be_of_unknown_outcome() {
    let dir = tempfile::tempdir().unwrap();
    let runs = Tables::at(format!("sqlite:{}", dir.path().join("runs.db").display()));
    let store = SqlRuns::new(runs.clone());
    let change = |builder: omni_core::OmniBuilder| builder.approvals(others()).runs(store);
    let mut bot = Kept::start_with(wiping(), lab().hanging("wipe"), change, |_| {}).await;
    let post = bot.slack.mentions(ANN, GENERAL, "Wipe it").await;
    let card = until_some(async || told(&bot, post.thread(), "Approval needed")).await;
    let one = waiting(&bot, bob()).await;
    bot.asked_to_end();
    bot.ended().await.unwrap();
    let _stream = agrees(&bot, bob(), &one).await;
    until(|| bot.server.running() == 1).await;
    // What is left of a process some time after it was killed.
    let db = runs.db().await.unwrap();
    db.execute("UPDATE parked_runs SET state = 'ended'", &[]).await.unwrap();
    db.execute("UPDATE confirmations SET state = 'unknown_outcome'", &[]).await.unwrap();
    bot.begins_again().await;
    until_some(async || told(&bot, post.thread(), "it is not known what came of it")).await;
    bot.slack.clicks(BOB, &card, "omni:approve").await.acked().await.unwrap();
    bot.slack.whisper(BOB, "nobody knows how it ended").await;
    assert_eq!(bot.server.calls(), 1, "it is not run again");
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_agreed_and_was_being_told_what_comes_of_it_is_told_to_look_before_they_ask_again() {
    let bot = Kept::start_with(wiping(), lab().hanging("wipe"), same, |_| {}).await;
    let post = bot.slack.mentions(ANN, GENERAL, "Wipe it").await;
    let ann = Principal::email("ann@company.com").with_tenant(TEAM);
    bot.slack.whisper(ANN, "Approval needed").await;
    let one = waiting(&bot, ann.clone()).await;
    let _stream = agrees(&bot, ann, &one).await;
    until(|| bot.server.running() == 1).await;
    let left = json!({ "ticket": format!("{} {ANN} {GENERAL} {}", one.id, post.thread()), "run": one.run });
    left_by_a_killed_process(&bot, ("doing/left".to_owned(), left)).await;
    until_some(async || told(&bot, post.thread(), "look before you ask for it again")).await;
    until_some(async || doing(&bot).await.is_empty().then_some(())).await;
    assert!(told(&bot, post.thread(), "Please ask again").is_none(), "{}", bot.slack.transcript());
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn while_an_agreement_of_the_asker_is_carried_out_it_is_kept_which_run_that_is() {
    let bot = Kept::start_with(wiping(), lab().hanging("wipe"), same, |_| {}).await;
    let post = bot.slack.mentions(ANN, GENERAL, "Wipe it").await;
    let card = bot.slack.whisper(ANN, "Approval needed").await;
    let ann = Principal::email("ann@company.com").with_tenant(TEAM);
    let one = waiting(&bot, ann).await;
    bot.slack.clicks(ANN, &card, "omni:approve").await.acked().await.unwrap();
    let run = json!(one.run);
    until_some(async || doing(&bot).await.pop().filter(|(_, doing)| doing["run"] == run)).await;
    bot.slack.stops(ANN, GENERAL, post.thread()).await;
    until_some(async || doing(&bot).await.is_empty().then_some(())).await;
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_ends_does_not_wait_for_what_the_next_one_tells() {
    let change = |builder: omni_core::OmniBuilder| builder.approvals(others());
    let mut bot = Kept::start_with(wiping(), lab().hanging("wipe"), change, |_| {}).await;
    let post = bot.slack.mentions(ANN, GENERAL, "Wipe it").await;
    until_some(async || told(&bot, post.thread(), "Approval needed")).await;
    let one = waiting(&bot, bob()).await;
    let _stream = agrees(&bot, bob(), &one).await;
    until(|| bot.server.running() == 1).await;
    bot.slack.settled().await;
    bot.asked_to_end();
    timeout(Duration::from_secs(15), bot.ended()).await.expect("it ends soon").unwrap();
    assert_eq!(bot.values().list("waits/").await.unwrap().len(), 1, "the next one goes on with it");
    bot.behaved();
}
