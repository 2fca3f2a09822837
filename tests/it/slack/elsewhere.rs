//! Signed requests, the app's page, shortcuts, and what servers ask of people.

use std::sync::Arc;

use omni_core::{
    llm::{
        Speaker,
        scripted::{Scripted, call_turn, text_turn},
    },
    mcp::http::HttpServer,
};
use omni_slack::manifest::manifest;
use omni_tests::{
    agent::Speaks,
    fixture::FixtureServer,
    rig::until_some,
    slack::{Message, Slack, Submitted},
};
use serde_json::json;
use tokio::io::AsyncWriteExt as _;

use super::{ANN, Bot, EVE, GENERAL, bot, lab, rig::Roles, same, says, workspace};

#[tokio::test(flavor = "multi_thread")]
async fn signed_requests_are_answered_as_sockets_are() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("http://127.0.0.1:{port}");
    let slack = Slack::installed(&manifest(Some(&url.replace("http:", "https:")))).await;
    slack.user(ANN, "ann@company.com");
    slack.channel(GENERAL, "general");
    let set = |config: &mut omni_core::config::SlackConfig| (config.socket_mode, config.port) = (false, port);
    let bot = Bot::start(slack, says("Paris."), lab(), same, set).await;
    let [events, commands, clicks] = ["events", "commands", "interactivity"].map(|path| format!("{url}/slack/{path}"));
    until_some(async || bot.slack.posts_to_each(&events, &commands, &clicks).await.ok()).await;
    let post = bot.slack.mentions(ANN, GENERAL, "Where?").await;
    let answer = bot.slack.answer_saying(&post, "Paris.").await;
    bot.slack.slash(ANN, GENERAL, "/omni-status", "").await.acked().await.unwrap();
    bot.slack.whisper(ANN, "OMNI2 Status").await;
    bot.slack.clicks(ANN, &answer, "omni:again").await.acked().await.unwrap();
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_never_finished_keeps_the_bot_from_no_end() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let set = |config: &mut omni_core::config::SlackConfig| (config.socket_mode, config.port) = (false, port);
    let mut bot = Bot::start(workspace().await, says("Paris."), lab(), same, set).await;
    let mut half = until_some(async || tokio::net::TcpStream::connect(("127.0.0.1", port)).await.ok()).await;
    half.write_all(b"POST /slack/events HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{").await.unwrap();
    bot.asked_to_end();
    bot.ended().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_long_thread_the_bot_reads_what_was_said_last() {
    let llm = Scripted::from_fn(|request| {
        let text = format!("{:?}", request.messages.last());
        let told = text.contains("remark 259") && !text.contains("remark 100 ");
        Ok(text_turn(if told { "The last ones." } else { "Others." }))
    });
    let bot = bot(llm).await;
    let post = bot.slack.says("U0BOB", GENERAL, "Let us talk").await;
    for at in 0..260 {
        bot.slack.replies("U0BOB", GENERAL, &post.ts, &format!("remark {at} of Bob")).await;
    }
    let call = bot.slack.mentions_in(ANN, GENERAL, &post.ts, "What was said?").await;
    bot.slack.answer_saying(&call, "The last ones.").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slack_takes_the_manifest() {
    Slack::installed(&manifest(None)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_apps_page_is_ones_own() {
    let bot = bot(says("")).await;
    bot.slack.opens_home(ANN).await;
    let home = bot.slack.home_saying(ANN, "lab").await;
    assert!(home.says("Dba"), "{home:#?}");
    bot.slack.opens_home(EVE).await;
    bot.slack.home_saying(EVE, "I do not know you").await;
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn beside_direct_messages_is_proposed_what_one_may_use() {
    let bot = bot(says("It echoes.")).await;
    // What is known by then is proposed: nobody waits there for servers that were not asked yet.
    bot.omni.catalog().await;
    let direct = bot.slack.opens_messages(ANN).await;
    let proposed = bot.slack.until("prompts", |world| Some(world.prompts(&direct)).filter(|all| !all.is_empty())).await;
    let titles: Vec<&str> = proposed.iter().map(|(title, _)| title.as_str()).collect();
    assert_eq!(titles, ["What can I do?", "lab: echo", "My usage"]);
    // Whoever takes one says it as their own words.
    let post = bot.slack.dms(ANN, &proposed[1].1).await;
    bot.said_to(ANN, &post.ts, "It echoes.").await;
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_about_a_message_is_asked_with_it() {
    let llm = Scripted::from_fn(|request| {
        let text = format!("{:?}", request.messages.last());
        Ok(text_turn(if text.contains("ORA-00600") && text.contains("What is this?") { "A bad sign." } else { &text }))
    });
    let bot = bot(llm).await;
    bot.slack.says("U0BOB", GENERAL, "I see ORA-00600 everywhere").await;
    let message = bot.slack.messages(GENERAL).pop().unwrap();
    bot.slack.shortcut(ANN, "omni_ask_message", &message).await.acked().await.unwrap();
    let modal = bot.slack.modal(ANN, "Your question").await;
    assert_eq!(bot.slack.submits(&modal, json!({ "value": "What is this?" })).await, Submitted::Closed);
    until_some(async || bot.slack.thread(GENERAL, &message.ts).into_iter().find(|one| one.says("A bad sign."))).await;
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn about_a_message_that_the_bot_cannot_read_nothing_is_asked() {
    let llm = Scripted::new().say("A bad sign.");
    let bot = bot(llm.clone()).await;
    bot.slack.says("U0BOB", GENERAL, "I see ORA-00600 everywhere").await;
    let message = bot.slack.messages(GENERAL).pop().unwrap();
    bot.slack.bot_leaves(GENERAL);
    bot.slack.shortcut(ANN, "omni_ask_message", &message).await.acked().await.unwrap();
    let modal = bot.slack.modal(ANN, "Your question").await;
    assert_eq!(bot.slack.submits(&modal, json!({ "value": "What is this?" })).await, Submitted::Closed);
    bot.said_to(ANN, &message.ts, "I cannot read that message").await;
    assert!(llm.requests().is_empty());
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thread_is_read_into_which_the_bot_is_called() {
    let llm = Scripted::from_fn(|request| Ok(text_turn(&format!("{:?}", request.messages.last()))));
    let bot = bot(llm).await;
    let post = bot.slack.says("U0BOB", GENERAL, "The disk of db7 is full").await;
    let call = bot.slack.mentions_in(ANN, GENERAL, &post.ts, "What now?").await;
    bot.slack.answer_saying(&call, "The disk of db7 is full").await;
    let reply = bot.slack.replies(ANN, GENERAL, &post.ts, "And then?").await;
    bot.slack.answer_saying(&reply, "And then?").await;
    bot.behaved();
}

/// A bot, and the server that its model has ask who somebody is.
async fn asking() -> (Bot, FixtureServer) {
    let fixture = FixtureServer::speaking(Speaks::New).await;
    let llm = Scripted::from_fn(move |request| {
        let last = format!("{:?}", request.messages.last());
        let is_answered = request.messages.iter().any(|message| message.speaker == Speaker::Assistant);
        let call = ("fix__test_input_required_result_elicitation", json!({ "message": "Who are you?" }));
        Ok(if is_answered { text_turn(&last) } else { call_turn(0, &[call]) })
    });
    let server = HttpServer::new(&fixture.url).unwrap();
    let change = |builder: omni_core::OmniBuilder| {
        let policy: Arc<Roles> = Roles::of_all(&[("ann@company.com", "dba")]);
        builder.server("fix", server).policy(policy)
    };
    (Bot::start(workspace().await, llm, lab(), change, |_| {}).await, fixture)
}

/// Ann fills in what a server asks; the id of the card's button.
async fn fills_in(bot: &Bot, card: &Message) -> String {
    let id = card.actions().into_iter().find(|id| id.starts_with("omni:elicit") && !id.ends_with("decline")).unwrap();
    bot.slack.clicks(ANN, card, &id).await.acked().await.unwrap();
    let modal = bot.slack.modal(ANN, "name").await;
    assert_eq!(bot.slack.submits(&modal, json!({ "value": "ada-in-slack" })).await, Submitted::Closed);
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_asks_is_a_form_that_takes_no_nonsense() {
    let (bot, _fixture) = asking().await;
    let post = bot.slack.mentions(ANN, GENERAL, "Ask me").await;
    let card = bot.slack.whisper(ANN, "fix").await;
    let id = fills_in(&bot, &card).await;
    bot.slack.answer_saying(&post, "ada-in-slack").await;
    let over = bot.slack.whisper(ANN, "Answered").await;
    assert!(over.element(&id).is_none(), "nothing is left to be answered: {over:#?}");
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_asks_by_a_command_where_the_bot_is_not_is_asked_by_the_server_all_the_same() {
    let (bot, _fixture) = asking().await;
    bot.slack.bot_leaves(GENERAL);
    bot.slack.slash(ANN, GENERAL, "/omni", "Ask me").await.acked().await.unwrap();
    let card = bot.slack.whisper(ANN, "asks you something").await;
    fills_in(&bot, &card).await;
    bot.slack.whisper(ANN, "ada-in-slack").await;
    bot.slack.whisper(ANN, "Answered").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whom_a_server_cannot_ask_in_the_channel_it_asks_in_their_direct_messages() {
    let (bot, _fixture) = asking().await;
    bot.slack.fail("chat.postEphemeral", "user_not_in_channel");
    let post = bot.slack.mentions(ANN, GENERAL, "Ask me").await;
    let card = bot.said_to(ANN, &post.ts, "asks you something").await;
    fills_in(&bot, &card).await;
    bot.slack.answer_saying(&post, "ada-in-slack").await;
    bot.said_to(ANN, &post.ts, "Answered").await;
    bot.behaved();
}
