//! Who is who.

use omni_core::{
    config::{CommandRules, SlackConfig, SlackPlaceRules},
    ledger::Event,
    llm::scripted::Scripted,
    policy::{Quota, Role, RuleSet, memory::MemoryPolicy},
};
use omni_tests::rig::{until, until_some};
use serde_json::json;

use super::{ANN, BOB, Bot, EVE, GENERAL, bot, lab, same, says, workspace};

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

async fn bot_with(set: impl FnOnce(&mut SlackConfig)) -> Bot {
    Bot::start(workspace().await, says("Paris."), lab(), same, set).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bot_answers_in_the_channels_of_its_list_alone() {
    let bot = bot_with(|config| config.channels.only = Some(["C0OTHER".to_owned()].into())).await;
    bot.slack.channel("C0OTHER", "other");
    bot.slack.mentions(ANN, GENERAL, "Where?").await;
    bot.slack.whisper(ANN, "do not answer in this channel").await;
    bot.slack.slash(ANN, GENERAL, "/omni", "Where?").await.acked().await.unwrap();
    let post = bot.slack.mentions(ANN, "C0OTHER", "Where?").await;
    bot.slack.answer_saying(&post, "Paris.").await;
    let direct = bot.slack.dms(ANN, "Where?").await;
    bot.said_to(ANN, &direct.ts, "Paris.").await;
    assert!(bot.slack.messages(GENERAL).iter().all(|message| !message.by_bot));
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn private_channels_can_be_left_out() {
    let bot = bot_with(|config| config.channels.no_private = true).await;
    bot.slack.private_channel("C0SECRET", "secret", &[ANN]);
    bot.slack.mentions(ANN, "C0SECRET", "Where?").await;
    bot.slack.whisper(ANN, "do not answer in this channel").await;
    let post = bot.slack.mentions(ANN, GENERAL, "Where?").await;
    bot.slack.answer_saying(&post, "Paris.").await;
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_is_listed_by_the_name_that_it_has_now() {
    let bot = bot_with(|config| config.channels.only = Some(["#general".to_owned()].into())).await;
    bot.slack.private_channel("C0SECRET", "secret", &[ANN]);
    bot.slack.mentions(ANN, "C0SECRET", "Where?").await;
    bot.slack.whisper(ANN, "do not answer in this channel").await;
    let post = bot.slack.mentions(ANN, GENERAL, "Where?").await;
    bot.slack.answer_saying(&post, "Paris.").await;
    bot.behaved();
}

/// Asks by a command, which does not say what kind of channel it is in.
async fn asks(bot: &Bot) {
    bot.slack.slash(ANN, GENERAL, "/omni", "Where?").await.acked().await.unwrap();
}

async fn answers(bot: &Bot, count: usize) {
    let answers = || bot.slack.messages(GENERAL).into_iter().filter(|one| one.by_bot && one.says("Paris.")).count();
    until(|| answers() == count).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_channel_that_is_made_private_nothing_is_answered_from_then_on() {
    let bot = bot_with(|config| config.channels.no_private = true).await;
    asks(&bot).await;
    answers(&bot, 1).await;
    bot.slack.makes_private(GENERAL);
    bot.slack.settled().await;
    asks(&bot).await;
    bot.slack.whisper(ANN, "do not answer in this channel").await;
    answers(&bot, 1).await;
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_channel_that_is_shared_with_others_nothing_is_answered_from_then_on_where_that_is_switched_off() {
    let bot = bot_with(|config| config.channels.no_shared = true).await;
    asks(&bot).await;
    answers(&bot, 1).await;
    bot.slack.shares_with_others(GENERAL);
    bot.slack.settled().await;
    asks(&bot).await;
    bot.slack.whisper(ANN, "do not answer in this channel").await;
    answers(&bot, 1).await;
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nothing_else_is_said_the_bot_answers_in_channels_that_are_shared_with_others() {
    let bot = bot(says("Paris.")).await;
    bot.slack.shares_with_others(GENERAL);
    asks(&bot).await;
    answers(&bot, 1).await;
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_the_bot_comes_back_to_is_looked_at_anew() {
    let bot = bot_with(|config| config.channels.no_private = true).await;
    asks(&bot).await;
    answers(&bot, 1).await;
    bot.slack.bot_leaves(GENERAL);
    bot.slack.settled().await;
    // Nobody tells the bot of that.
    bot.slack.makes_private(GENERAL);
    bot.slack.bot_joins(GENERAL);
    asks(&bot).await;
    bot.slack.whisper(ANN, "do not answer in this channel").await;
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn slack_is_asked_once_for_a_channel_and_once_for_a_person_however_many_mentions_come_at_once() {
    let bot = bot_with(|config| config.channels.no_private = true).await;
    bot.slack.slow("conversations.info", 500);
    bot.slack.slow("users.info", 500);
    let mut posts = Vec::new();
    for at in 0..4 {
        posts.push(bot.slack.mentions(ANN, GENERAL, &format!("Where is {at}?")).await);
    }
    for post in &posts {
        bot.slack.answer_saying(post, "Paris.").await;
    }
    let later = bot.slack.mentions(ANN, GENERAL, "And now?").await;
    bot.slack.answer_saying(&later, "Paris.").await;
    assert_eq!((bot.slack.calls("conversations.info").len(), bot.slack.calls("users.info").len()), (1, 1));
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_cannot_be_looked_at_counts_as_private() {
    let bot = bot_with(|config| config.channels.no_private = true).await;
    bot.slack.fail("conversations.info", "channel_not_found");
    bot.slack.mentions(ANN, GENERAL, "Where?").await;
    bot.slack.whisper(ANN, "do not answer in this channel").await;
    assert!(bot.slack.messages(GENERAL).iter().all(|message| !message.by_bot));
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn where_direct_messages_are_switched_off_a_command_asks_nothing_there() {
    let bot = bot_with(|config| config.direct = false).await;
    let direct = bot.slack.direct(ANN);
    bot.slack.slash(ANN, &direct, "/omni", "Where?").await.acked().await.unwrap();
    bot.slack.whisper(ANN, "do not answer direct messages").await;
    assert!(bot.slack.messages(&direct).is_empty(), "{}", bot.slack.transcript());
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_may_take_a_role() {
    let set = |config: &mut SlackConfig| {
        let mut rules = SlackPlaceRules::default();
        rules.required_role = Some("dba".into());
        config.places.insert(GENERAL.into(), rules);
    };
    let bot = bot_with(set).await;
    bot.slack.mentions(BOB, GENERAL, "Where?").await;
    bot.slack.whisper(BOB, "takes the role").await;
    let post = bot.slack.mentions(ANN, GENERAL, "Where?").await;
    bot.slack.answer_saying(&post, "Paris.").await;
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_needs_no_role_but_that_of_those_above_them() {
    let set = |config: &mut SlackConfig| {
        let (mut place, mut command) = (SlackPlaceRules::default(), CommandRules::default());
        place.required_role = Some("dba".into());
        config.places.insert(GENERAL.into(), place);
        for (name, role) in [("/omni", "reader"), ("/omni-status", "super_admin")] {
            command.required_role = Some(role.into());
            config.commands.insert(name.into(), command.clone());
        }
    };
    let mut admin = Role::new("admin");
    admin.is_admin = true;
    let policy = MemoryPolicy::new()
        .with_subject("ann@company.com", Role::super_admin(), RuleSet::allow_all(), Quota::default())
        .with_subject("bob@company.com", admin, RuleSet::allow_all(), Quota::default());
    let bot = Bot::start(workspace().await, says("Paris."), lab(), |builder| builder.policy(policy), set).await;
    for who in [ANN, BOB] {
        let post = bot.slack.mentions(who, GENERAL, "Where?").await;
        bot.slack.answer_saying(&post, "Paris.").await;
        bot.slack.slash(who, GENERAL, "/omni", "--private Where?").await.acked().await.unwrap();
        bot.slack.whisper(who, "Paris.").await;
        bot.slack.slash(who, GENERAL, "/omni-status", "").await.acked().await.unwrap();
    }
    bot.slack.whisper(ANN, "OMNI2 Status").await;
    bot.slack.whisper(BOB, "takes the role").await;
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ledger_knows_where_in_slack_it_was_asked_and_by_whom() {
    let bot = bot(says("Paris.")).await;
    let post = bot.slack.mentions(ANN, GENERAL, "Where?").await;
    bot.slack.answer_saying(&post, "Paris.").await;
    let party = until_some(async || {
        let asked = bot.recorder.records().into_iter().find(|record| matches!(record.event, Event::Ask(_)));
        asked.and_then(|record| record.party)
    })
    .await;
    let place = party.client.chat.unwrap();
    assert_eq!((party.subject.as_str(), party.tenant.as_str()), ("ann@company.com", "T0ACME"));
    assert_eq!((place.user.as_str(), place.channel.as_str()), (ANN, GENERAL));
    assert_eq!((place.message, place.thread), (Some(post.ts.clone()), Some(post.ts)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reaction_asks_nothing_for_whom_nobody_knows_nor_where_the_bot_does_not_answer() {
    let llm = Scripted::new().say("Paris.");
    let set = |config: &mut SlackConfig| {
        config.reactions.insert("robot_face".into());
        config.channels.except.insert("C0QUIET".into());
    };
    let bot = Bot::start(workspace().await, llm.clone(), lab(), same, set).await;
    bot.slack.channel("C0QUIET", "quiet");
    let quiet = bot.slack.says(BOB, "C0QUIET", "Where is the tower?").await;
    bot.slack.reacts(ANN, "C0QUIET", &quiet.ts, "robot_face").await;
    let post = bot.slack.says(BOB, GENERAL, "Where is the tower?").await;
    bot.slack.reacts(EVE, GENERAL, &post.ts, "robot_face").await;
    bot.slack.whisper(EVE, "I do not know you").await;
    bot.slack.settled().await;
    assert!(llm.requests().is_empty(), "nobody asked");
    bot.slack.reacts(ANN, GENERAL, &post.ts, "robot_face").await;
    bot.slack.answer_saying(&post, "Paris.").await;
    assert!(bot.slack.messages("C0QUIET").iter().all(|message| !message.by_bot), "{}", bot.slack.transcript());
    assert_eq!(bot.slack.ephemerals(ANN).len(), 0, "a reaction is no call that takes an answer");
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_of_several_workspaces_may_ask_where_one_of_them_may() {
    for (listed, is_let_in) in [("T0ACME", true), ("T0SISTER", true), ("T0OTHER", false)] {
        let set = |config: &mut SlackConfig| config.workspaces = Some([listed.to_owned()].into());
        let bot = Bot::start(workspace().await, says("Paris."), lab(), same, set).await;
        let teams = json!({ "team_id": "T0SISTER", "enterprise_user": { "teams": ["T0SISTER", "T0ACME"] } });
        bot.slack.user_is(ANN, teams);
        let post = bot.slack.mentions(ANN, GENERAL, "Where?").await;
        if is_let_in {
            bot.slack.answer_saying(&post, "Paris.").await;
        } else {
            bot.slack.whisper(ANN, "another workspace").await;
        }
        bot.behaved();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_to_somebody_of_another_workspace_is_streamed_to_them_there() {
    let set = |config: &mut SlackConfig| config.workspaces = Some(["T0OTHER".to_owned()].into());
    let bot = Bot::start(workspace().await, says("Paris."), lab(), same, set).await;
    bot.slack.user_is(ANN, json!({ "team_id": "T0OTHER" }));
    let post = bot.slack.mentions(ANN, GENERAL, "Where?").await;
    let answer = bot.slack.answer_saying(&post, "Paris.").await;
    assert!(answer.stream.is_some(), "{answer:#?}");
    let started = &bot.slack.calls("chat.startStream")[0].args;
    assert_eq!((&started["recipient_user_id"], &started["recipient_team_id"]), (&json!(ANN), &json!("T0OTHER")));
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn guests_of_the_workspace_ask_as_its_members_do_unless_that_is_switched_off() {
    for (kind, guests) in [("is_restricted", true), ("is_restricted", false), ("is_ultra_restricted", false)] {
        let llm = says("Paris.");
        let set = |config: &mut SlackConfig| config.guests = guests;
        let bot = Bot::start(workspace().await, llm.clone(), lab(), same, set).await;
        bot.slack.user_is(ANN, json!({ kind: true }));
        let post = bot.slack.mentions(ANN, GENERAL, "Where?").await;
        if guests {
            bot.slack.answer_saying(&post, "Paris.").await;
        } else {
            bot.slack.whisper(ANN, "Guests of this workspace may not ask").await;
            bot.slack.settled().await;
            assert!(llm.requests().is_empty(), "nobody asked");
            let member = bot.slack.mentions(BOB, GENERAL, "Where?").await;
            bot.slack.answer_saying(&member, "Paris.").await;
        }
        bot.behaved();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_counts_where_one_of_the_workspaces_that_may_ask_vouches_for_it_and_nowhere_else() {
    for (listed, is_let_in) in [(&["T0ACME"][..], false), (&["T0ACME", "T0OTHER"][..], true)] {
        let llm = says("Paris.");
        let set = |config: &mut SlackConfig| {
            config.workspaces = Some(listed.iter().map(ToString::to_string).collect());
        };
        let bot = Bot::start(workspace().await, llm.clone(), lab(), same, set).await;
        bot.slack.user_is(EVE, json!({ "team_id": "T0OTHER", "profile": { "email": "ann@company.com" } }));
        let post = bot.slack.mentions(EVE, GENERAL, "Where?").await;
        if is_let_in {
            bot.slack.answer_saying(&post, "Paris.").await;
        } else {
            bot.slack.whisper(EVE, "another workspace").await;
            bot.slack.settled().await;
            assert!(llm.requests().is_empty(), "nobody asked");
        }
        bot.behaved();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_ask_nothing_whatever_address_they_have() {
    for kind in ["is_bot", "is_workflow_bot"] {
        let llm = says("Paris.");
        let bot = bot(llm.clone()).await;
        bot.slack.user_is(ANN, json!({ kind: true }));
        let asked = bot.slack.mentions(ANN, GENERAL, "Where?").await;
        bot.slack.settled().await;
        assert!(llm.requests().is_empty(), "{kind}: nobody asked");
        let person = bot.slack.mentions(BOB, GENERAL, "Where?").await;
        bot.slack.answer_saying(&person, "Paris.").await;
        assert_eq!(bot.slack.thread(GENERAL, asked.thread()).len(), 1, "{kind}: {}", bot.slack.transcript());
        assert!(bot.slack.ephemerals(ANN).is_empty(), "{kind}: nobody would read it");
        bot.behaved();
    }
}
