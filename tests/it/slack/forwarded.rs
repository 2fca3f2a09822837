//! Messages that somebody asks about: forwarded to the bot, reacted to, or changed so that they call it.

use omni_core::llm::scripted::Scripted;
use omni_tests::{
    rig::until_some,
    slack::{Message, Submitted},
};
use serde_json::{Value, json};

use super::{ANN, BOB, Bot, GENERAL, bot, kept::Kept, says};

/// What an app says of a disk, as Slack delivers it.
fn alert() -> Value {
    json!([{ "is_share": true, "title": "Disk is full", "text": "db-1 has 2 % left", "fallback": "not said twice" }])
}

/// Ann forwards it, with these words; the moment after which answers come.
async fn forwards(bot: &Bot, channel: &str, text: &str) -> String {
    let before = bot.slack.says(BOB, GENERAL, "Look at this").await.ts;
    let kind = if channel == GENERAL { "app_mention" } else { "message" };
    let event = json!({ "type": kind, "channel": channel, "user": ANN, "text": text, "ts": "1700000000.000100",
        "attachments": alert() });
    bot.slack.event(event).await;
    before
}

/// What the model was told last.
fn told(llm: &Scripted) -> String {
    llm.requests().last().unwrap().messages.last().unwrap().text()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_forwards_comes_to_the_model_with_what_they_ask_about_it() {
    let llm = Scripted::new().say("Paris.").say("Prague.").say("Rome.");
    let bot = bot(llm.clone()).await;
    let direct = bot.slack.direct(ANN);
    let before = forwards(&bot, &direct, "What does it mean?").await;
    bot.said_to(ANN, &before, "Paris.").await;
    assert!(told(&llm).contains("db-1 has 2 % left") && told(&llm).ends_with("What does it mean?"), "{}", told(&llm));
    forwards(&bot, GENERAL, "<@U0OMNI> What does it mean?").await;
    until_some(async || (llm.requests().len() == 2).then_some(())).await;
    assert!(told(&llm).contains("db-1 has 2 % left"), "{}", told(&llm));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_forwards_without_a_word_is_what_they_ask_about() {
    let llm = Scripted::new().say("The disk of db-1 is full.");
    let bot = bot(llm.clone()).await;
    let direct = bot.slack.direct(ANN);
    forwards(&bot, &direct, "").await;
    let is_over = |one: &Message| one.says("The disk of db-1 is full.") && one.element("omni:follow").is_some();
    let answer = until_some(async || bot.slack.messages(&direct).into_iter().find(is_over)).await;
    assert!(told(&llm).contains("db-1 has 2 % left"), "{}", told(&llm));
    assert!(answer.element("omni:again").is_none(), "without the message there is nothing to ask: {answer:#?}");
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reaction_asks_what_an_apps_alert_says_though_all_of_it_hangs_on_an_empty_text() {
    let llm = Scripted::new().say("The disk is full.");
    let bot = Kept::start(llm.clone(), |config| {
        config.reactions.insert("robot_face".into());
    })
    .await;
    let post = bot.slack.says(BOB, GENERAL, "").await;
    bot.slack.hangs_on(&post, &alert());
    bot.slack.reacts(ANN, GENERAL, &post.ts, "robot_face").await;
    let answer = bot.slack.answer_saying(&post, "The disk is full.").await;
    assert!(told(&llm).contains("db-1 has 2 % left"), "{}", told(&llm));
    assert!(answer.element("omni:again").is_none(), "without the message there is nothing to ask: {answer:#?}");
    bot.omni.ledger().flush(std::time::Duration::from_secs(10)).await.unwrap();
    bot.slack.opens_home(ANN).await;
    let home = bot.slack.home_saying(ANN, "Answer the question in the attached message").await;
    assert!(home.element("omni:again").is_none(), "{home:#?}");
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_hangs_on_somebodys_own_words_is_never_what_their_reaction_asks() {
    for (words, asked) in [("Why?", "Why?"), ("", "else say what it is about.")] {
        let llm = Scripted::new().say("The disk is full.");
        let bot = Kept::start(llm.clone(), |config| {
            config.reactions.insert("robot_face".into());
        })
        .await;
        let post = bot.slack.says(ANN, GENERAL, words).await;
        bot.slack.hangs_on(&post, &alert());
        bot.slack.reacts(ANN, GENERAL, &post.ts, "robot_face").await;
        bot.slack.answer_saying(&post, "The disk is full.").await;
        let told = told(&llm);
        assert!(told.contains("db-1 has 2 % left") && told.ends_with(asked), "{told}");
        bot.behaved();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_about_a_message_has_no_button_that_asks_it_without_that() {
    let bot = bot(says("A bad sign.")).await;
    bot.slack.says(BOB, GENERAL, "I see ORA-00600 everywhere").await;
    let message = bot.slack.messages(GENERAL).pop().unwrap();
    bot.slack.shortcut(ANN, "omni_ask_message", &message).await.acked().await.unwrap();
    let modal = bot.slack.modal(ANN, "Your question").await;
    assert_eq!(bot.slack.submits(&modal, json!({ "value": "What is this?" })).await, Submitted::Closed);
    let answered = || bot.slack.thread(GENERAL, &message.ts).into_iter().find(|one| one.says("A bad sign."));
    let answer = until_some(async || answered().filter(|one| one.element("omni:follow").is_some())).await;
    assert!(answer.element("omni:again").is_none(), "{answer:#?}");
    bot.behaved();
}

/// An event of a reply of Ann's that she changed so that it calls the bot.
fn edited(ts: &str, thread: &str, at: &str) -> Value {
    json!({ "type": "app_mention", "channel": GENERAL, "user": ANN, "text": "<@U0OMNI> Why is it full?", "ts": ts,
        "thread_ts": thread, "edited": { "user": ANN, "ts": at } })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_is_answered_once_its_author_calls_the_bot_in_it() {
    let llm = Scripted::new().say("By logs.");
    let bot = bot(llm.clone()).await;
    let post = bot.slack.says(BOB, GENERAL, "The disk is full").await;
    let reply = bot.slack.replies(ANN, GENERAL, &post.ts, "Why is it full?").await;
    let answered = || bot.slack.thread(GENERAL, &post.ts).into_iter().find(|one| one.says("By logs."));
    until_some(async || {
        // The reply itself may not have been looked at before; what comes once more is known.
        bot.slack.event(edited(&reply.ts, &post.ts, &reply.ts)).await;
        answered()
    })
    .await;
    bot.slack.settled().await;
    assert_eq!(llm.requests().len(), 1);
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mention_that_is_changed_hours_later_is_not_asked_again() {
    let llm = Scripted::new().say("By logs.");
    let bot = bot(llm.clone()).await;
    bot.slack.event(edited("1700000000.000100", "1690000000.000100", "1700007200.000000")).await;
    bot.slack.settled().await;
    let direct = bot.slack.dms(ANN, "Why is it full?").await;
    bot.said_to(ANN, &direct.ts, "By logs.").await;
    assert_eq!(llm.requests().len(), 1);
    bot.behaved();
}
