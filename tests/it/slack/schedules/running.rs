//! Schedules run: as their owner, once, and in bounds.

use std::time::Duration;

use omni_core::{
    OmniBuilder,
    confirm::ApprovalRules,
    cost::{Price, Rates},
    identity::Via,
    ledger::Event,
    llm::{
        LlmError, ModelInfo,
        scripted::{Scripted, call_turn, text_turn},
    },
};
use omni_tests::{
    rig::{until, until_some},
    server::{FakeServer, any, text},
    slack::{Fault, Message},
};
use serde_json::json;
use tokio::sync::watch;

use super::{
    super::{ANN, BOB, GENERAL, says},
    NINE, Office,
    office::lab,
};

#[tokio::test(flavor = "multi_thread")]
async fn of_two_bots_one_posts_a_report_of_its_owner() {
    let office = Office::with(says("All is well."), 2, |_| {}).await;
    office.makes(ANN, json!({})).await;
    office.is("2026-11-30T07:59:00Z");
    office.is(NINE[0]);
    let report = office.until_reports(1).await.remove(0);
    assert!(report.says("All is well.") && report.says("What broke?") && report.says(ANN), "{report:#?}");
    office.is("2026-11-30T08:01:00Z");
    office.is(NINE[1]);
    office.until_reports(2).await;
    office.slack.settled().await;
    assert_eq!(office.reports(GENERAL).len(), 2, "one a day: {}", office.slack.transcript());
    let party = until_some(async || {
        let asked = office.recorder.records().into_iter().find(|record| matches!(record.event, Event::Ask(_)));
        asked.and_then(|record| record.party)
    })
    .await;
    let place = party.client.chat.unwrap();
    assert_eq!(
        (party.subject.as_str(), place.user.as_str(), place.channel.as_str()),
        ("ann@company.com", ANN, GENERAL)
    );
    office.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_that_is_a_little_late_is_made_up_for_and_one_that_is_later_is_not() {
    let office = Office::of(says("All is well.")).await;
    office.makes(ANN, json!({})).await;
    office.is("2026-11-30T08:20:00Z");
    office.is("2026-12-01T08:14:00Z");
    office.until_reports(1).await;
    office.is(NINE[2]);
    office.until_reports(2).await;
    assert_eq!(office.reports(GENERAL).len(), 2, "{}", office.slack.transcript());
}

#[tokio::test(flavor = "multi_thread")]
async fn after_three_failures_it_rests_and_its_owner_is_told() {
    let llm = Scripted::from_fn(|_| {
        Err(LlmError::Unavailable { provider: "scripted", status: "529".into(), message: "away".into() })
    });
    let office = Office::of(llm).await;
    office.makes(ANN, json!({})).await;
    for (at, day) in NINE.iter().enumerate() {
        office.is(day);
        office.failed(at as u64 + 1).await;
    }
    let told = office.tells(ANN, "failed three times in a row").await;
    assert!(told.says("What broke?"), "{told:#?}");
    assert!(office.reports(GENERAL).is_empty(), "a failure is nothing for the channel");
    office.slack.slash(ANN, GENERAL, "/omni", "schedules").await.acked().await.unwrap();
    let list = office.slack.whisper(ANN, "it failed").await;
    office.slack.clicks(ANN, &list, "omni:schedule:resume").await.acked().await.unwrap();
    office.failed(0).await;
    office.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_lost_access_has_nothing_posted() {
    let office = Office::of(says("All is well.")).await;
    office.makes(ANN, json!({})).await;
    office.doors.shuts_out("ann@company.com");
    office.is(NINE[0]);
    office.failed(1).await;
    assert!(office.reports(GENERAL).is_empty(), "{}", office.slack.transcript());
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_was_deactivated_or_left_the_channel_has_nothing_posted() {
    let office = Office::of(says("All is well.")).await;
    office.makes(ANN, json!({})).await;
    office.slack.leaves(ANN, GENERAL);
    office.is(NINE[0]);
    office.failed(1).await;
    office.slack.user_is(ANN, json!({ "deleted": true }));
    office.is(NINE[1]);
    office.failed(2).await;
    assert!(office.reports(GENERAL).is_empty(), "{}", office.slack.transcript());
    let why = until_some(async || {
        let records = office.recorder.records().into_iter();
        let asked = records.filter(|record| record.party.as_ref().is_some_and(|party| party.subject == "slack:u0ann"));
        asked
            .filter_map(
                |record| if let Event::Ask(ask) = record.event { Some((ask.question, ask.error)) } else { None },
            )
            .next()
    })
    .await;
    assert_eq!(why, ("What broke?".into(), Some("the Slack account U0ANN is deactivated".into())));
}

#[tokio::test(flavor = "multi_thread")]
async fn while_slack_is_not_well_nothing_counts_as_a_failure() {
    let office = Office::of(says("All is well.")).await;
    office.makes(ANN, json!({})).await;
    // As often as it is asked.
    office.slack.fault("conversations.members", 4, Fault::Error("internal_error".into()));
    office.is(NINE[0]);
    office.until_kept("schedule/", |rows| !rows[0]["progress"]["last"].is_null()).await;
    office.is(NINE[1]);
    office.until_reports(1).await;
    office.failed(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_costs_no_more_than_it_may() {
    let mut model = ModelInfo::new("scripted", "scripted");
    model.price = Some(Price::flat(Rates::new(1_000_000, 5_000_000, 0, 0, 0)));
    let office = Office::of(Scripted::new().with_model(model).say("It is dear.").say("It is dear.")).await;
    office.makes(ANN, json!({ "cost": "0.000001" })).await;
    office.is(NINE[0]);
    let report = until_some(async || office.reports(GENERAL).pop()).await;
    assert!(!report.says("It is dear.") && report.says("cost"), "{report:#?}");
    office.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn where_there_is_nothing_to_report_nothing_is_posted() {
    let llm = Scripted::from_fn(|request| {
        let asked = format!("{:?}", request.messages.last());
        let has_word = asked.contains("NOTHING_TO_REPORT");
        Ok(text_turn(if has_word && asked.contains("Quiet?") { "NOTHING_TO_REPORT" } else { "All is well." }))
    });
    let office = Office::of(llm).await;
    office.makes(ANN, json!({ "question": "Quiet?", "empty": ["skip"] })).await;
    office.makes(ANN, json!({ "question": "Loud?" })).await;
    office.until_kept("schedule/", |rows| rows.len() == 2).await;
    office.is(NINE[0]);
    office.until_kept("schedule/", |rows| rows.iter().all(|row| !row["progress"]["last"].is_null())).await;
    office.until_kept("seen/going ", <[_]>::is_empty).await;
    let reports = office.until_reports(1).await;
    assert!(reports.len() == 1 && reports[0].says("Loud?"), "{}", office.slack.transcript());
    office.failed_none().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_needs_agreement_waits_for_the_owner() {
    let llm = Scripted::new().call(&[("lab__wipe", json!({ "table": "logs" }))]).say("The logs are gone.");
    let office = Office::of(llm).await;
    office.makes(ANN, json!({ "question": "Wipe the logs" })).await;
    office.is(NINE[0]);
    let report = office.until_reports(1).await.remove(0);
    assert!(report.says("waits for approval"), "{report:#?}");
    let card = office.tells(ANN, "Approval needed").await;
    assert_eq!(office.server.calls(), 0, "nobody agrees by themselves");
    office.slack.clicks(ANN, &card, "omni:approve").await.acked().await.unwrap();
    until_some(async || {
        let thread = office.slack.thread(GENERAL, &report.ts);
        thread.into_iter().find(|one| one.by_bot && one.says("The logs are gone."))
    })
    .await;
    assert_eq!(office.server.calls(), 1);
    office.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_of_a_report_that_a_role_decides_on_has_its_card_in_the_thread() {
    let llm = Scripted::new().call(&[("lab__wipe", json!({ "table": "logs" }))]).say("The logs are gone.");
    let change = |builder: OmniBuilder| {
        let mut rules = ApprovalRules::default();
        (rules.approvers, rules.four_eyes) = (vec!["reader".into()], true);
        builder.approvals(rules)
    };
    let office = Office::changed(lab(), llm, 1, change, |_| {}).await;
    office.makes(ANN, json!({ "question": "Wipe the logs" })).await;
    office.is(NINE[0]);
    let report = office.until_reports(1).await.remove(0);
    let said =
        |words: &str| office.slack.thread(GENERAL, &report.ts).into_iter().find(|one| one.by_bot && one.says(words));
    let card = until_some(async || said("Approval needed")).await;
    office.slack.clicks(ANN, &card, "omni:approve").await.acked().await.unwrap();
    office.slack.whisper(ANN, "nobody may agree to a call of their own").await;
    assert_eq!(office.server.calls(), 0);
    office.slack.clicks(BOB, &card, "omni:approve").await.acked().await.unwrap();
    until_some(async || said("The logs are gone.")).await;
    assert_eq!(office.server.calls(), 1);
    office.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_is_killed_in_a_run_keeps_the_next_one_from_nothing() {
    let office = Office::of(says("All is well.")).await;
    office.makes(ANN, json!({})).await;
    let (key, _) = office.kept().list("schedule/").await.unwrap().remove(0);
    // As a process leaves it that is killed, some time later.
    let going = format!("seen/going {key}");
    office.kept().put_for(&going, &json!(null), Duration::from_secs(1)).await.unwrap();
    office.is(NINE[0]);
    office.until_reports(1).await;
    office.until_kept("seen/going ", <[_]>::is_empty).await;
    office.behaved();
}

/// A server whose `wait` ends when it is told so.
fn gated() -> (watch::Sender<bool>, FakeServer) {
    let (open, opened) = watch::channel(false);
    let server = FakeServer::new().tool("wait", any(), move |_| {
        let mut opened = opened.clone();
        Box::pin(async move {
            let _ = opened.wait_for(|is_open| *is_open).await;
            Ok(text("done"))
        })
    });
    (open, server)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_goes_on_is_not_begun_again() {
    let (open, server) = gated();
    let llm = Scripted::from_fn(|request| {
        let waits = request.messages.len() == 1 && request.messages[0].text().contains("What broke?");
        Ok(if waits { call_turn(0, &[("lab__wait", json!({}))]) } else { text_turn("At last.") })
    });
    let office = Office::at(server, llm, 2, |_| {}).await;
    office.makes(ANN, json!({ "when": "custom", "cron": "*/15 * * * *" })).await;
    office.makes(BOB, json!({ "question": "And now?", "when": "custom", "cron": "1 9 * * *" })).await;
    office.is("2026-11-30T07:45:00Z");
    until(|| office.server.running() == 1).await;
    office.is("2026-11-30T08:00:00Z");
    office.is("2026-11-30T08:01:00Z");
    // What is due beside it runs: so it was looked what is due.
    assert!(office.until_reports(1).await[0].says("And now?"));
    assert_eq!(office.server.calls(), 1, "one at a time");
    open.send_replace(true);
    office.until_reports(2).await;
    office.until_kept("seen/going ", <[_]>::is_empty).await;
    office.is("2026-11-30T08:02:00Z");
    office.until_reports(3).await;
    office.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_that_ends_begins_nothing_more() {
    let mut office = Office::of(says("All is well.")).await;
    office.makes(ANN, json!({})).await;
    office.ends().await;
    office.is(NINE[0]);
    assert!(office.reports(GENERAL).is_empty(), "{}", office.slack.transcript());
    let row = office.until_kept("schedule/", |rows| rows.len() == 1).await.remove(0);
    assert!(row["progress"]["last"].is_null(), "it is left for others: {row}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_one_of_a_schedule_to_the_policy() {
    let office = Office::of(says("All is well.")).await;
    office.makes(ANN, json!({})).await;
    assert_eq!(office.doors.last_via(), Some(Via::Slack));
    office.is(NINE[0]);
    office.until_reports(1).await;
    assert_eq!(office.doors.last_via(), Some(Via::Schedule));
}

#[tokio::test(flavor = "multi_thread")]
async fn that_a_killed_process_was_making_a_report_is_told_in_its_channel_once() {
    let (open, server) = gated();
    let llm = Scripted::new().call(&[("lab__wait", json!({}))]).say("At last.");
    let mut office = Office::at(server, llm, 1, |_| {}).await;
    office.makes(ANN, json!({})).await;
    office.is(NINE[0]);
    until(|| office.server.running() == 1).await;
    // What a process leaves that was killed while it made such a report.
    let mut left = office.until_kept("doing/", |rows| rows.len() == 1).await.remove(0);
    left["by"] = "0192e4a0-0000-7000-8000-000000000000".into();
    office.kept().put("doing/left", &left).await.unwrap();
    let is_told = |one: &Message| one.by_bot && one.says("I was interrupted") && one.says("What broke?");
    until(|| office.slack.messages(GENERAL).iter().any(is_told)).await;
    let left = until_some(async || {
        let doing = office.kept().list("doing/").await.unwrap();
        (doing.len() == 1).then_some(doing)
    })
    .await;
    assert_ne!(left[0].0, "doing/left", "the process lives that makes the other one");
    open.send_replace(true);
    office.until_reports(1).await;
    // Whatever was still to be told is told by then.
    office.ends().await;
    let all = office.slack.messages(GENERAL).into_iter();
    let told = all.filter(|one| one.by_bot && one.says("I was interrupted")).count();
    assert_eq!(told, 1, "{}", office.slack.transcript());
    office.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_that_was_made_leaves_nothing_that_could_be_told() {
    let office = Office::of(says("All is well.")).await;
    office.makes(ANN, json!({})).await;
    office.is(NINE[0]);
    office.until_reports(1).await;
    office.until_kept("doing/", <[_]>::is_empty).await;
    office.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_report_that_stands_in_its_channel_nobody_is_told_that_nothing_comes_of_it() {
    let office = Office::of(says(&"This is a line of a long report.\n\n".repeat(1_000))).await;
    office.makes(ANN, json!({})).await;
    // The first message comes, and what goes on in its thread hangs.
    office.slack.slow("chat.postMessage", 1);
    office.slack.fault("chat.postMessage", 1, Fault::Hang);
    office.is(NINE[0]);
    office.until_reports(1).await;
    office.until_kept("doing/", <[_]>::is_empty).await;
    assert_eq!(office.kept().list("seen/going ").await.unwrap().len(), 1, "it is not at its end yet");
}
