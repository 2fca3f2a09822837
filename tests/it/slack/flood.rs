//! Many people at once.

use omni_tests::rig::until;

use super::{ANN, bot, says};

const CHANNELS: usize = 10;
const MENTIONS: usize = 100;

#[tokio::test(flavor = "multi_thread")]
async fn of_a_hundred_mentions_at_once_none_is_lost_and_none_is_answered_twice() {
    let bot = bot(says("Paris.")).await;
    bot.slack.without_rate_limits();
    let channels: Vec<String> = (0..CHANNELS).map(|at| format!("C0FLOOD{at}")).collect();
    channels.iter().for_each(|channel| bot.slack.channel(channel, &channel.to_lowercase()));
    let mut posts = Vec::new();
    for at in 0..MENTIONS {
        posts.push(bot.slack.mentions(ANN, &channels[at % CHANNELS], &format!("Question {at}?")).await);
    }
    let answers = |post: &omni_tests::slack::Post| {
        let thread = bot.slack.thread(&post.channel, post.thread());
        thread.iter().filter(|message| message.by_bot && message.is_done() && message.says("Paris.")).count()
    };
    until(|| posts.iter().all(|post| answers(post) >= 1)).await;
    bot.slack.settled().await;
    assert!(posts.iter().all(|post| answers(post) == 1));
    // No ack took three seconds, whatever else runs here.
    bot.behaved();
}
