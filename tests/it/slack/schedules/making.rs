//! Schedules are made, looked at, and changed.

use omni_core::config::SlackPlaceRules;
use omni_tests::slack::Submitted;
use serde_json::json;

use super::{
    super::{ANN, BOB, EVE, GENERAL, says},
    NINE, Office,
    office::ADA,
};

/// What a form says of one of its fields.
fn complaint(sent: &Submitted, block: &str) -> String {
    let Submitted::Errors(errors) = sent else { panic!("{sent:?}") };
    errors.get(block).unwrap_or_else(|| panic!("{errors:?}")).clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_is_made_in_a_form_and_is_in_the_list_with_when_it_runs() {
    let office = Office::of(says("All is well.")).await;
    let list = office.makes(ANN, json!({})).await;
    assert!(list.says("What broke?") && list.says("Europe/Prague") && list.says("next"), "{list:#?}");
    office.slack.opens_home(ANN).await;
    let home = office.slack.home_saying(ANN, "What broke?").await;
    office.slack.clicks(ANN, &home, "omni:schedule:pause").await.acked().await.unwrap();
    office.slack.home_saying(ANN, "paused").await;
    office.slack.opens_home(BOB).await;
    let others = office.slack.home_saying(BOB, "Scheduled reports").await;
    assert!(!others.says("What broke?"), "it is nobody else's");
    office.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_that_is_none_goes_back_into_the_form() {
    let office = Office::of(says("All is well.")).await;
    let own = |cron: &str| json!({ "when": "custom", "cron": cron });
    for (cron, words) in [
        ("every day", "five fields"),
        ("61 9 * * *", "five fields"),
        ("0 9 30 2 *", "never comes"),
        ("*/5 * * * *", "every 15 minutes"),
        ("55,0 23,0 * * *", "every 15 minutes"),
    ] {
        let told = complaint(&office.enters(ANN, own(cron)).await, "cron");
        assert!(told.contains(words), "{cron}: {told}");
    }
    let told = complaint(&office.enters(ANN, json!({ "zone": "Europe/Atlantis" })).await, "zone");
    assert!(told.contains("time zone"), "{told}");
    office.until_kept("schedule/", <[_]>::is_empty).await;
    office.behaved();
}

/// What is entered for this channel is not kept, and why is told.
async fn refused(office: &Office, channel: &str, words: &str) {
    office.enters(ANN, json!({ "channel": channel, "question": "Where is it?" })).await;
    let told = office.slack.whisper(ANN, words).await;
    assert!(told.says("Nothing was saved of *Where is it?*"), "{told:#?}");
    office.until_kept("schedule/", <[_]>::is_empty).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_has_the_bot_post_where_it_does_not_answer_or_they_are_not() {
    let set = |config: &mut omni_core::config::SlackConfig| {
        config.channels.except.insert("C0QUIET".into());
        let mut rules = SlackPlaceRules::default();
        rules.required_role = Some("admin".into());
        config.places.insert("C0ADMINS".into(), rules);
    };
    let office = Office::with(says("All is well."), 1, set).await;
    for (id, name) in [("C0QUIET", "quiet"), ("C0ADMINS", "admins"), ("C0EMPTY", "empty"), ("C0GONE", "gone")] {
        office.slack.channel(id, name);
    }
    office.slack.private_channel("C0SECRET", "secret", &[BOB]);
    office.slack.bot_leaves("C0EMPTY");
    office.slack.archives("C0GONE");
    refused(&office, "C0QUIET", "I do not answer in that channel").await;
    refused(&office, "C0SECRET", "You are not in that channel").await;
    refused(&office, "C0EMPTY", "I am not in that channel").await;
    refused(&office, "C0GONE", "archived").await;
    refused(&office, "C0ADMINS", "takes the role").await;
    refused(&office, &office.slack.direct(BOB), "I am not in that channel").await;
    office.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_in_a_very_large_channel_is_found_there_and_nobody_else() {
    let office = Office::of(says("All is well.")).await;
    office.slack.crowd(GENERAL, 6_000);
    office.slack.channel("C0CROWD", "crowd");
    office.slack.crowd("C0CROWD", 6_000);
    office.slack.leaves(ANN, "C0CROWD");
    refused(&office, "C0CROWD", "You are not in that channel").await;
    office.makes(ANN, json!({})).await;
    assert!(office.slack.calls("conversations.members").len() < 12, "nobody reads all of 6000 members");
    office.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn whom_the_policy_does_not_know_makes_none() {
    let office = Office::of(says("All is well.")).await;
    office.slack.slash(EVE, GENERAL, "/omni", "schedules").await.acked().await.unwrap();
    office.slack.whisper(EVE, "I do not know you").await;
    let list = office.makes(BOB, json!({})).await;
    let mut forged = list.clone();
    forged.only_for = Some(EVE.into());
    office.slack.clicks(EVE, &forged, "omni:schedule:new").await.acked().await.unwrap();
    let modal = office.slack.modal(EVE, "What is asked").await;
    office.slack.submits(&modal, json!({ "question": "Secrets?", "channel": GENERAL })).await;
    office.slack.whisper(EVE, "Nothing was saved").await;
    office.until_kept("schedule/", |rows| rows.len() == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_has_more_than_twenty() {
    let office = Office::of(says("All is well.")).await;
    office.makes(ANN, json!({})).await;
    let row = office.until_kept("schedule/", |rows| rows.len() == 1).await.remove(0);
    for at in 0..19 {
        office.kept().put(&format!("schedule/{ANN}/more{at}"), &row).await.unwrap();
    }
    office.enters(ANN, json!({})).await;
    office.slack.whisper(ANN, "You have 20 schedules already").await;
    office.makes(BOB, json!({})).await;
    office.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_buttons_of_others_do_nothing() {
    let office = Office::of(says("All is well.")).await;
    let mut list = office.makes(ANN, json!({})).await;
    list.only_for = Some(BOB.into());
    for button in ["omni:schedule:pause", "omni:schedule:delete"] {
        office.slack.clicks(BOB, &list, button).await.acked().await.unwrap();
        office.slack.whisper(BOB, "no such schedule of yours").await;
    }
    list.only_for = Some(ADA.into());
    office.slack.clicks(ADA, &list, "omni:schedule:delete").await.acked().await.unwrap();
    office.slack.whisper(ADA, "no such schedule of yours").await;
    office.is(NINE[0]);
    office.until_reports(1).await;
    office.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_paused_does_not_run_until_it_goes_on_and_what_is_deleted_never() {
    let office = Office::of(says("All is well.")).await;
    let list = office.makes(ANN, json!({})).await;
    office.slack.clicks(ANN, &list, "omni:schedule:pause").await.acked().await.unwrap();
    let paused = office.slack.whisper(ANN, "Resume").await;
    assert_eq!(paused.ts, list.ts, "the same message");
    office.is(NINE[0]);
    office.is("2026-11-30T09:00:00Z");
    office.slack.clicks(ANN, &paused, "omni:schedule:resume").await.acked().await.unwrap();
    let active = office.slack.whisper(ANN, "Pause").await;
    office.is(NINE[1]);
    office.until_reports(1).await;
    office.slack.clicks(ANN, &active, "omni:schedule:delete").await.acked().await.unwrap();
    office.slack.whisper(ANN, "There are none").await;
    office.makes(BOB, json!({ "question": "And now?" })).await;
    office.is(NINE[2]);
    let reports = office.until_reports(2).await;
    assert!(reports[1].says("And now?") && reports.len() == 2, "{}", office.slack.transcript());
    office.behaved();
}
