//! Slash commands, their menus, and the same in threads.

use omni_core::{config::CommandRules, llm::scripted::Scripted};
use omni_tests::{
    rig::until_some,
    server::{FakeServer, any, text},
};
use serde_json::json;

use super::{ANN, BOB, Bot, EVE, GENERAL, bot, lab, same, says, workspace};

#[tokio::test(flavor = "multi_thread")]
async fn a_question_by_command_is_posted_once_and_answered_in_its_thread() {
    let bot = bot(says("Paris.")).await;
    let ack = bot.slack.slash(ANN, GENERAL, "/omni", "Where is the tower?").await.acked().await.unwrap();
    assert_eq!(ack.payload.filter(|payload| *payload != json!({})), None, "the ack is empty");
    let asked =
        until_some(async || bot.slack.messages(GENERAL).into_iter().find(|one| one.says("Where is the tower?"))).await;
    until_some(async || bot.slack.thread(GENERAL, &asked.ts).into_iter().find(|one| one.says("Paris."))).await;
    assert_eq!(bot.slack.messages(GENERAL).iter().filter(|one| one.by_bot && one.thread_ts.is_none()).count(), 1);
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_question_is_nobody_elses_business() {
    let bot = bot(says("Paris.")).await;
    bot.slack.slash(ANN, GENERAL, "/omni", "--private Where?").await.acked().await.unwrap();
    bot.slack.whisper(ANN, "Paris.").await;
    assert!(bot.slack.messages(GENERAL).iter().all(|one| !one.by_bot), "{}", bot.slack.transcript());
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_bot_is_no_member_a_command_is_answered_to_its_giver() {
    let bot = bot(says("Paris.")).await;
    bot.slack.bot_leaves(GENERAL);
    bot.slack.slash(ANN, GENERAL, "/omni", "Where?").await.acked().await.unwrap();
    bot.slack.whisper(ANN, "Paris.").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_without_a_question_says_what_to_do() {
    let bot = bot(says("Paris.")).await;
    bot.slack.slash(ANN, GENERAL, "/omni", "").await.acked().await.unwrap();
    bot.slack.whisper(ANN, "Please provide a question").await;
    bot.slack.slash(EVE, GENERAL, "/omni", "Where?").await.acked().await.unwrap();
    bot.slack.whisper(EVE, "I do not know you").await;
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_menu_stays_while_tools_are_looked_at() {
    let bot = bot(says("")).await;
    bot.slack.slash(ANN, GENERAL, "/omni-help", "").await.acked().await.unwrap();
    let menu = bot.slack.whisper(ANN, "Click to explore tools:").await;
    bot.slack.clicks(ANN, &menu, "explore_mcp_lab").await.acked().await.unwrap();
    let open = bot.slack.whisper(ANN, "echo").await;
    assert_eq!(open.ts, menu.ts, "the same message");
    assert!(open.says("Click to explore tools:"), "{open:#?}");
    assert_eq!(bot.slack.ephemerals(ANN).len(), 1);
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tools_of_a_server_are_looked_through_page_by_page_and_the_way_back_is_to_all_servers() {
    let server = (0..12).fold(FakeServer::new(), |server, at| {
        server.tool(&format!("tool_{at:02}"), any(), |_| Box::pin(async { Ok(text("done")) }))
    });
    let bot = Bot::start(workspace().await, says(""), server, same, |_| {}).await;
    bot.slack.slash(ANN, GENERAL, "/omni-help", "").await.acked().await.unwrap();
    let menu = bot.slack.whisper(ANN, "Click to explore tools:").await;
    bot.slack.clicks(ANN, &menu, "explore_mcp_lab").await.acked().await.unwrap();
    let first = bot.slack.whisper(ANN, "Page 1 of 2").await;
    assert!(first.says("tool_09") && !first.says("tool_10"), "{first:#?}");
    bot.slack.clicks(ANN, &first, "omni:help:page:1").await.acked().await.unwrap();
    let second = bot.slack.whisper(ANN, "Page 2 of 2").await;
    assert!(second.says("tool_11") && !second.says("tool_09"), "{second:#?}");
    bot.slack.clicks(ANN, &second, "omni:help:page:0").await.acked().await.unwrap();
    let again = bot.slack.whisper(ANN, "Page 1 of 2").await;
    bot.slack.clicks(ANN, &again, "omni:help:back").await.acked().await.unwrap();
    let back = until_some(async || bot.slack.ephemerals(ANN).pop().filter(|menu| !menu.says("Page 1"))).await;
    assert!(back.ts == menu.ts && back.says("Click to explore tools:") && !back.says("tool_"), "{back:#?}");
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_menu_of_60_servers_is_a_menu() {
    let change = |mut builder: omni_core::OmniBuilder| {
        for at in 0..60 {
            builder = builder.server(format!("lab{at:02}"), FakeServer::echo());
        }
        builder.policy(super::rig::Roles::of_all(&[("ann@company.com", "dba")]))
    };
    let bot = Bot::start(workspace().await, says(""), lab(), change, |_| {}).await;
    bot.slack.slash(ANN, GENERAL, "/omni-help", "").await.acked().await.unwrap();
    let menu = bot.slack.whisper(ANN, "Click to explore tools:").await;
    bot.slack.selects(ANN, &menu, "omni:help:select", "lab42").await.acked().await.unwrap();
    bot.slack.whisper(ANN, "Your Available Tools (1)").await;
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_is_ones_own() {
    let bot = bot(says("")).await;
    bot.slack.slash(ANN, GENERAL, "/omni-status", "").await.acked().await.unwrap();
    let status = bot.slack.whisper(ANN, "OMNI2 Status").await;
    assert!(status.says("Dba") && status.says("lab") && !status.says("Version"), "{status:#?}");
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_may_take_a_role() {
    let set = |config: &mut omni_core::config::SlackConfig| {
        let mut rules = CommandRules::default();
        rules.required_role = Some("dba".into());
        config.commands.insert("/omni-status".into(), rules);
    };
    let bot = Bot::start(workspace().await, says(""), lab(), same, set).await;
    bot.slack.slash(BOB, GENERAL, "/omni-status", "").await.acked().await.unwrap();
    bot.slack.whisper(BOB, "takes the role").await;
    bot.slack.slash(ANN, GENERAL, "/omni-status", "").await.acked().await.unwrap();
    bot.slack.whisper(ANN, "OMNI2 Status").await;
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn in_threads_commands_begin_with_an_exclamation_mark() {
    let bot = bot(says("Paris.")).await;
    let post = bot.slack.mentions(ANN, GENERAL, "Where?").await;
    bot.slack.answer_saying(&post, "Paris.").await;
    for (command, told) in [("!help", "Click to explore"), ("!status", "OMNI2 Status"), ("!stop", "nothing of yours")] {
        bot.slack.replies(ANN, GENERAL, post.thread(), command).await;
        bot.slack.whisper(ANN, told).await;
    }
    bot.slack.replies(ANN, GENERAL, post.thread(), "!private And where exactly?").await;
    bot.slack.whisper(ANN, "Paris.").await;
    let retry = bot.slack.replies(ANN, GENERAL, post.thread(), "!retry").await;
    bot.slack.answer_saying(&retry, "Paris.").await;
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn run_again_asks_as_whoever_clicks() {
    let bot = bot(says("Paris.")).await;
    let post = bot.slack.mentions(ANN, GENERAL, "Where?").await;
    let answer = bot.slack.answer(&post).await;
    bot.slack.clicks(EVE, &answer, "omni:again").await.acked().await.unwrap();
    bot.slack.whisper(EVE, "I do not know you").await;
    bot.slack.clicks(BOB, &answer, "omni:again").await.acked().await.unwrap();
    until_some(async || {
        let told = bot.slack.thread(GENERAL, post.thread());
        (told.iter().filter(|one| one.by_bot && one.says("Paris.")).count() == 2).then_some(())
    })
    .await;
    bot.behaved();
}

/// A bot whose only answer has a table.
async fn with_a_table() -> Bot {
    let rows = json!({ "rows": [{ "name": "=cmd()", "size": 3 }, { "name": "logs", "size": 4 }] }).to_string();
    let server = FakeServer::new().tool("rows", omni_tests::server::any(), move |_| {
        let rows = rows.clone();
        Box::pin(async move { Ok(omni_tests::server::text(&rows)) })
    });
    let llm = Scripted::new().call(&[("lab__rows", json!({}))]).say("Here they are.");
    Bot::start(workspace().await, llm, server, same, |_| {}).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_of_a_private_answer_is_for_its_asker_alone() {
    let bot = with_a_table().await;
    bot.slack.slash(ANN, GENERAL, "/omni", "--private Which tables?").await.acked().await.unwrap();
    let answer = bot.slack.whisper(ANN, "Here they are.").await;
    bot.slack.clicks(ANN, &answer, "omni:csv").await.acked().await.unwrap();
    let file = until_some(async || bot.slack.files().pop()).await;
    assert_eq!(file.channel, Some(bot.slack.direct(ANN)));
    assert!(bot.slack.messages(GENERAL).iter().all(|one| !one.by_bot), "{}", bot.slack.transcript());
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_tried_from_the_menu_is_answered_where_everybody_reads() {
    let bot = bot(says("It echoes.")).await;
    bot.slack.slash(ANN, GENERAL, "/omni-help", "").await.acked().await.unwrap();
    let menu = bot.slack.whisper(ANN, "Click to explore tools:").await;
    bot.slack.clicks(ANN, &menu, "explore_mcp_lab").await.acked().await.unwrap();
    let open = bot.slack.whisper(ANN, "echo").await;
    bot.slack.clicks(ANN, &open, "omni:help:try").await.acked().await.unwrap();
    let asked = until_some(async || bot.slack.messages(GENERAL).into_iter().find(|one| one.says("asked:"))).await;
    until_some(async || bot.slack.thread(GENERAL, &asked.ts).into_iter().find(|one| one.says("It echoes."))).await;
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_a_file_for_whoever_asked_for_it() {
    let bot = with_a_table().await;
    let post = bot.slack.mentions(ANN, GENERAL, "Which tables?").await;
    let answer = bot.slack.answer_saying(&post, "Here they are.").await;
    bot.slack.clicks(BOB, &answer, "omni:csv").await.acked().await.unwrap();
    bot.slack.whisper(BOB, "no such table of yours").await;
    assert!(bot.slack.files().is_empty());
    bot.slack.clicks(ANN, &answer, "omni:csv").await.acked().await.unwrap();
    let file = until_some(async || bot.slack.files().pop()).await;
    let text = String::from_utf8(file.content.clone()).unwrap();
    assert!(
        file.name.ends_with(".csv") && text.contains("'=cmd()") && text.contains("logs,4"),
        "{}: {text}",
        file.name
    );
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_role_of_a_command_counts_by_whatever_name_it_is_asked_for() {
    let set = |config: &mut omni_core::config::SlackConfig| {
        let mut rules = CommandRules::default();
        rules.required_role = Some("admin".into());
        config.commands.insert("/omni-status".into(), rules.clone());
        config.commands.insert("/omni-help".into(), rules);
    };
    let bot = Bot::start(workspace().await, says("Paris."), lab(), same, set).await;
    for (command, words) in [("/omni-status", ""), ("/omni", "status"), ("/omni-help", ""), ("/omni", "help")] {
        bot.slack.slash(ANN, GENERAL, command, words).await.acked().await.unwrap();
    }
    until_some(async || {
        let told = bot.slack.ephemerals(ANN);
        (told.iter().filter(|one| one.says("takes the role")).count() == 4).then_some(())
    })
    .await;
    let post = bot.slack.dms(ANN, "!status").await;
    bot.said_to(ANN, &post.ts, "takes the role").await;
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_a_channels_bot_for_help_is_shown_the_menu_alone_and_no_model_is_asked() {
    let llm = Scripted::new();
    let bot = bot(llm.clone()).await;
    let post = bot.slack.mentions(ANN, GENERAL, "Help!").await;
    let menu = bot.slack.whisper(ANN, "Click to explore tools:").await;
    assert_eq!(menu.thread_ts, None, "nobody sees it in a thread that is none yet: {menu:#?}");
    bot.slack.settled().await;
    assert!(llm.requests().is_empty());
    assert!(bot.slack.thread(GENERAL, post.thread()).iter().all(|one| !one.by_bot), "{}", bot.slack.transcript());
    bot.behaved();
}
