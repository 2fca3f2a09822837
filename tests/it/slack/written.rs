//! What people write and attach, as it comes to the model and back to them.

use omni_core::llm::scripted::Scripted;
use serde_json::json;

use super::{ANN, BOB, Bot, GENERAL, bot};

/// What the model was told of the last question.
fn told(llm: &Scripted) -> String {
    llm.requests().last().unwrap().messages.last().unwrap().text()
}

/// A direct message of Ann's with markup, as Slack delivers it.
async fn writes(bot: &Bot, text: &str) {
    let direct = bot.slack.direct(ANN);
    let event = json!({ "type": "message", "channel": direct, "channel_type": "im", "user": ANN, "text": text,
        "ts": "1700000000.000100" });
    bot.slack.event(event).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn links_people_and_channels_come_to_the_model_as_people_read_them() {
    let llm = Scripted::new().say("Paris.").say("Done.");
    let bot = bot(llm.clone()).await;
    // Whom the bot met it knows by name.
    let met = bot.slack.dms(BOB, "Where?").await;
    bot.said_to(BOB, &met.ts, "Paris.").await;
    let text = "Tell <@U0BOB>, <@U0EVE> and <mailto:dba@company.com|dba@company.com> of \
                <https://ex.com/?a=1&amp;b=2|ex.com> in <#C0OPS|ops>, if 1 &lt; 2. <!here>";
    writes(&bot, text).await;
    bot.said_to(ANN, "", "Done.").await;
    let asked = "Tell @bob, @U0EVE and dba@company.com of ex.com (https://ex.com/?a=1&b=2) in #ops, if 1 < 2. @here";
    assert!(told(&llm).ends_with(asked), "{}", told(&llm));
    let looked_up = bot.slack.calls("users.info").into_iter().filter(|call| call.args["user"] == "U0EVE");
    assert_eq!(looked_up.count(), 0, "nobody is looked up for that");
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_said_in_a_thread_comes_to_the_model_as_it_was_typed_and_with_what_was_attached() {
    let llm = Scripted::new().say("Yes.");
    let bot = bot(llm.clone()).await;
    let post = bot.slack.shares(BOB, GENERAL, "Is 1 < 2 & 3 in <#C0OPS>?", "sizes.csv").await;
    let call = bot.slack.mentions_in(ANN, GENERAL, &post.ts, "Well?").await;
    bot.slack.answer_saying(&call, "Yes.").await;
    let read = "bob: Is 1 < 2 & 3 in #C0OPS?\n(Attached, and not readable here: sizes.csv)";
    assert!(told(&llm).contains(read), "{}", told(&llm));
    assert!(bot.slack.ephemerals(ANN).is_empty(), "she attached nothing");
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_message_of_the_shortcut_is_shown_as_it_was_typed() {
    let bot = bot(Scripted::new()).await;
    bot.slack.says(BOB, GENERAL, "Is a & b < c?").await;
    let message = bot.slack.messages(GENERAL).pop().unwrap();
    bot.slack.shortcut(ANN, "omni_ask_message", &message).await.acked().await.unwrap();
    let modal = bot.slack.modal(ANN, "Your question").await;
    assert!(modal.says("Is a &amp; b &lt; c?"), "{modal:#?}");
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_attaches_a_file_is_told_that_it_is_not_read_and_the_model_knows_of_it() {
    let llm = Scripted::new().say("Paste it, please.").say("Paste it here.");
    let bot = bot(llm.clone()).await;
    let direct = bot.slack.direct(ANN);
    let post = bot.slack.shares(ANN, &direct, "What is in this file?", "a.csv").await;
    bot.said_to(ANN, &post.ts, "I cannot read files: a.csv").await;
    bot.said_to(ANN, &post.ts, "Paste it, please.").await;
    assert!(told(&llm).contains("Attached, and not readable here: a.csv"), "{}", told(&llm));
    let post = bot.slack.shares(ANN, GENERAL, "<@U0OMNI> And in this one?", "b.csv").await;
    bot.slack.whisper(ANN, "I cannot read files: b.csv").await;
    bot.slack.answer_saying(&post, "Paste it here.").await;
    assert!(told(&llm).contains("Attached, and not readable here: b.csv"), "{}", told(&llm));
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_without_a_word_is_no_greeting() {
    let llm = Scripted::new();
    let bot = bot(llm.clone()).await;
    let direct = bot.slack.direct(ANN);
    let post = bot.slack.shares(ANN, &direct, "", "a<!here>.csv").await;
    let told = bot.said_to(ANN, &post.ts, "I cannot read files: a").await;
    assert!(told.pings().is_empty(), "{told:#?}");
    bot.slack.settled().await;
    assert!(bot.slack.messages(&direct).iter().all(|one| !one.says("Ask me anything")), "{}", bot.slack.transcript());
    assert!(llm.requests().is_empty());
    bot.behaved();
}
