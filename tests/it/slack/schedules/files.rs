//! What `slack.yaml` says is to be done on schedule.

use std::{collections::BTreeMap, fs, path::Path};

use omni_core::{
    Config, Omni, Registry,
    config::{LoadOptions, SlackConfig, SlackSchedule},
    llm::scripted::{Scripted, text_turn},
};
use omni_slack::{Clock, Timing, serve_with};
use omni_tests::{rig::until_some, slack::Slack};
use serde_json::json;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{
    super::{ANN, BOB, GENERAL, says, workspace},
    MONDAY, NINE, Office, at,
    office::ADA,
};

/// What a file says.
fn file(schedules: &str) -> Vec<SlackSchedule> {
    let dir = tempfile::tempdir().unwrap();
    let text = format!("advanced:\n  scheduled_messages:\n    enabled: true\n    schedules:\n{schedules}");
    fs::write(dir.path().join("slack.yaml"), text).unwrap();
    let options = LoadOptions::new(BTreeMap::new(), dir.path()).with_dir(dir.path());
    let config = Config::load(options).unwrap().slack;
    assert!(!config.schedules.is_empty());
    config.schedules
}

fn with(schedules: &str) -> impl FnOnce(&mut SlackConfig) {
    let schedules = file(schedules);
    move |config| config.schedules = schedules
}

/// The bots have seen what the file says.
async fn seen(office: &Office, count: usize) {
    office.is("2026-11-30T07:31:00Z");
    office.until_kept("fixed/", |rows| rows.len() == count).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_of_a_file_is_posted_once_as_it_stands() {
    let set = with("    - { cron: '0 8 * * *', channel: C0GENERAL, message: 'Good morning *all* {name}' }\n");
    let office = Office::with(says("?"), 2, set).await;
    seen(&office, 1).await;
    for (nth, day) in NINE.iter().enumerate() {
        office.is(day);
        let count = nth + 1;
        let all = office.slack.until("greetings", |world| {
            office.goes_on();
            Some(world.messages(GENERAL)).filter(|all| all.len() >= count)
        });
        assert_eq!(all.await.len(), count, "{}", office.slack.transcript());
    }
    assert_eq!(office.slack.messages(GENERAL)[0].text, "Good morning *all* {name}");
    office.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_of_a_file_is_asked_as_whom_it_names() {
    let set = with(
        "    - { cron: '0 8 * * *', channel: C0GENERAL, command: /omni Who is on call?, run_as: bob@company.com, message: On call }\n\
         \x20   - { cron: '0 8 * * *', channel: C0GENERAL, command: Robots?, run_as: robot@company.com }\n\
         \x20   - { cron: '0 8 * * *', channel: C0GENERAL, command: /omni-status, run_as: ada@company.com }\n",
    );
    let llm = Scripted::from_fn(|request| Ok(text_turn(&format!("You ask {:?}", request.messages.last()))));
    let office = Office::with(llm, 1, set).await;
    office.doors.lets_in("robot@company.com", "reader");
    seen(&office, 3).await;
    office.is(NINE[0]);
    let reports = office.until_reports(3).await;
    let saying = |words: &str| reports.iter().find(|one| one.says(words)).unwrap_or_else(|| panic!("{reports:#?}"));
    let first = saying("Who is on call?");
    assert!(first.says("On call") && first.says(BOB), "{first:#?}");
    assert!(saying("Robots?").says("robot@company.com"), "who is nobody in Slack is called by their address");
    assert!(saying("OMNI2 Status").says("Admin"));
    office.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_file_says_rests_after_three_failures_and_an_administrator_has_it_go_on() {
    let set = with("    - { cron: '0 8 * * *', channel: C0GENERAL, command: Who?, run_as: bob@company.com }\n");
    let office = Office::with(says("Bob."), 1, set).await;
    seen(&office, 1).await;
    office.doors.shuts_out("bob@company.com");
    for (nth, day) in NINE.iter().enumerate() {
        office.is(day);
        office.until_kept("fixed/", |rows| rows[0]["progress"]["failures"] == nth as u64 + 1).await;
    }
    office.slack.slash(ADA, GENERAL, "/omni", "schedules").await.acked().await.unwrap();
    let list = office.slack.whisper(ADA, "it failed").await;
    assert!(list.says("slack.yaml") && list.element("omni:schedule:delete").is_none(), "{list:#?}");
    let mut forged = list.clone();
    forged.only_for = Some(ANN.into());
    office.slack.clicks(ANN, &forged, "omni:schedule:resume").await.acked().await.unwrap();
    office.slack.whisper(ANN, "no such schedule of yours").await;
    office.doors.lets_in("bob@company.com", "reader");
    office.slack.clicks(ADA, &list, "omni:schedule:resume").await.acked().await.unwrap();
    office.slack.whisper(ADA, "Pause").await;
    office.is("2026-12-03T08:00:00Z");
    let report = office.until_reports(1).await;
    assert!(report[0].says("Bob."));
    office.slack.slash(ANN, GENERAL, "/omni", "schedules").await.acked().await.unwrap();
    office.slack.whisper(ANN, "There are none").await;
    office.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_of_a_file_is_asked_nowhere_where_the_bot_does_not_answer() {
    let schedules = file("    - { cron: '0 8 * * *', channel: C0GENERAL, command: Who?, run_as: bob@company.com }\n");
    let set = move |config: &mut SlackConfig| {
        config.schedules = schedules;
        config.channels.except.insert(GENERAL.into());
    };
    let office = Office::with(says("Bob."), 1, set).await;
    seen(&office, 1).await;
    office.is(NINE[0]);
    let rows = office.until_kept("fixed/", |rows| rows[0]["progress"]["failures"] == 1).await;
    assert!(office.reports(GENERAL).is_empty(), "{}", json!(rows));
}

/// A configuration whose bot says this every morning.
fn saying(dir: &Path, slack: &Slack, message: &str) -> Config {
    let text = format!(
        "slack: {{ api_url: {}, bot_token: {}, app_token: {} }}\n\
         advanced: {{ scheduled_messages: {{ enabled: true, schedules: [\
         {{ cron: '0 8 * * *', channel: C0GENERAL, message: {message} }}] }} }}",
        slack.api_url(),
        slack.bot_token(),
        slack.app_token(),
    );
    fs::write(dir.join("slack.yaml"), text).unwrap();
    fs::write(dir.join("settings.yaml"), "data_dir: data\nllm: { provider: offline }").unwrap();
    fs::write(dir.join("users.yaml"), "users: [{ email: ann@company.com, role: dba }]").unwrap();
    Config::load(LoadOptions::new(BTreeMap::new(), dir).with_dir(dir)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_file_says_by_now_is_what_is_done() {
    let (slack, dir, registry) = (workspace().await, tempfile::tempdir().unwrap(), Registry::full());
    let config = saying(dir.path(), &slack, "Before");
    let omni = Omni::from_config(&config, &registry).await.unwrap();
    let (clock, told) = watch::channel(at(MONDAY));
    let (stop, served) = (CancellationToken::new(), omni.clone());
    let stopped = stop.clone();
    let timing = Timing::default().with_clock(Clock::told(told));
    let serving = tokio::spawn(async move { serve_with(served, &config.slack, timing, stopped).await });
    slack.connected(1).await;
    for (message, day) in [("Before", NINE[0]), ("After", NINE[1])] {
        omni.reload(&saying(dir.path(), &slack, message), &registry).await.unwrap();
        let count = if message == "Before" { 1 } else { 2 };
        let kept = omni.kept("slack:T0ACME:U0OMNI").unwrap();
        until_some(async || {
            clock.send_modify(|_| ());
            (kept.list("fixed/").await.unwrap().len() == count).then_some(())
        })
        .await;
        clock.send_replace(at(day));
        until_some(async || slack.messages(GENERAL).into_iter().find(|one| one.says(message))).await;
    }
    assert_eq!(slack.messages(GENERAL).len(), 2, "{}", slack.transcript());
    stop.cancel();
    serving.await.unwrap().unwrap();
    omni.shutdown().await;
}
