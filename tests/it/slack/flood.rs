//! Many people at once.

use std::{collections::BTreeSet, env, time::Duration};

use async_trait::async_trait;
use omni_core::{
    LlmProvider,
    llm::{ChatRequest, ChatStream, LlmError, ModelInfo, scripted::text_turn},
    policy::{Quota, Role, RuleSet, memory::MemoryPolicy},
};
use omni_tests::slack::{Message, Post, Slack, World};
use tokio::time::sleep;

use super::{Bot, lab, says, workspace};

const CHANNELS: usize = 10;
const MENTIONS: usize = 100;
/// How many people ask.
const ASKERS: usize = 60;
/// Mentions of the form that always runs, which come thrice as fast as with `OMNI_TEST_FULL`; and within which time.
const LOAD: [(usize, Duration); 2] = [(500, Duration::from_secs(20)), (500, Duration::from_secs(60))];
/// How long an answer is waited for where Slack wants pauses.
const PATIENCE: Duration = Duration::from_secs(180);
/// How long the model takes.
const MODEL: Duration = Duration::from_secs(2);

/// A model that takes its time, and no thread.
#[derive(Debug)]
struct Slow(Vec<ModelInfo>);

#[async_trait]
impl LlmProvider for Slow {
    fn models(&self) -> &[ModelInfo] {
        &self.0
    }

    async fn stream(&self, _: ChatRequest) -> Result<ChatStream, LlmError> {
        sleep(MODEL).await;
        Ok(Box::pin(futures::stream::iter(text_turn("Paris.").into_iter().map(Ok))))
    }
}

fn asker(at: usize) -> String {
    format!("U0ASK{}", at % ASKERS)
}

fn channel(at: usize) -> String {
    format!("C0FLOOD{}", at % CHANNELS)
}

/// A workspace with everybody who asks and the channels that they ask in, and who is known in it.
async fn crowd() -> (Slack, MemoryPolicy) {
    let (slack, mut policy) = (workspace().await, MemoryPolicy::new());
    for at in 0..ASKERS {
        let address = format!("asker{at}@company.com");
        slack.user(&asker(at), &address);
        policy = policy.with_subject(&address, Role::new("reader"), RuleSet::allow_all(), Quota::default());
    }
    (0..CHANNELS).for_each(|at| slack.channel(&channel(at), &channel(at).to_lowercase()));
    (slack, policy)
}

fn answers(bot: &Bot, post: &Post) -> usize {
    let thread = bot.slack.thread(&post.channel, post.thread());
    thread.iter().filter(|message| is_answer(message)).count()
}

fn is_answer(message: &Message) -> bool {
    message.by_bot && message.is_done() && message.says("Paris.")
}

/// Waits until every question has its answer, and looks that none has two.
async fn all_answered_once(bot: &Bot, posts: &[Post]) {
    let mut left: Vec<&Post> = posts.iter().collect();
    while let Some(post) = left.pop() {
        let look = |world: &World| {
            let thread = world.thread(&post.channel, post.thread());
            thread.iter().any(is_answer).then_some(())
        };
        bot.slack.until_within(PATIENCE, &format!("an answer to {}", post.ts), look).await;
    }
    bot.slack.settled().await;
    let counts: Vec<usize> = posts.iter().map(|post| answers(bot, post)).collect();
    assert!(counts.iter().all(|count| *count == 1), "{counts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_hundred_mentions_at_once_none_is_lost_and_none_is_answered_twice() {
    let (slack, policy) = crowd().await;
    slack.without_rate_limits();
    let bot = Bot::start(slack, says("Paris."), lab(), |builder| builder.policy(policy), |_| {}).await;
    let mut posts = Vec::new();
    for at in 0..MENTIONS {
        posts.push(bot.slack.mentions(&asker(at), &channel(at), &format!("Question {at}?")).await);
    }
    all_answered_once(&bot, &posts).await;
    // No ack took three seconds, whatever else runs here.
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_people_at_once_within_slacks_limits_get_one_answer_each_and_no_pause_is_cut_short() {
    let (slack, policy) = crowd().await;
    // A busy workspace: others have used up what there was for the moment.
    for method in ["chat.update", "chat.appendStream", "chat.stopStream", "users.info"] {
        slack.rate_limit(method, 2);
    }
    let bot = Bot::start(slack, says("Paris."), lab(), |builder| builder.policy(policy), |_| {}).await;
    let mut posts = Vec::new();
    for at in 0..ASKERS {
        posts.push(bot.slack.mentions(&asker(at), &channel(at), &format!("Question {at}?")).await);
    }
    all_answered_once(&bot, &posts).await;
    let limited = |method: &str| bot.slack.calls(method).iter().filter(|call| call.error.is_some()).count();
    assert!(limited("chat.update") > 0 && limited("chat.stopStream") > 0, "{}", bot.slack.transcript());
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn mentions_that_come_faster_than_the_model_answers_are_acked_at_once_and_all_answered() {
    let (mentions, within) = LOAD[usize::from(env::var_os("OMNI_TEST_FULL").is_some())];
    let model = Slow(vec![ModelInfo::new("slow", "slow")]);
    let (slack, policy) = crowd().await;
    // Within its limits Slack begins twenty streams in a minute, and changes fifty messages: so many answers would take ten
    // minutes whatever the bot does. What it does then is looked at with sixty above; it is the bot that is measured here.
    slack.without_rate_limits();
    let bot = Bot::start(slack, says(""), lab(), |builder| builder.llm(model).policy(policy), |_| {}).await;
    bot.slack.connected(2).await;
    let mut posts = Vec::new();
    for at in 0..mentions {
        posts.push(bot.slack.mentions(&asker(at), &channel(at), &format!("Question {at}?")).await);
        sleep(within / u32::try_from(mentions).unwrap()).await;
    }
    all_answered_once(&bot, &posts).await;
    let events: BTreeSet<&String> = posts.iter().flat_map(|post| &post.event_ids).collect();
    let acks = bot.slack.acks();
    let of_mentions = acks.iter().filter(|ack| ack.event_id.as_ref().is_some_and(|event| events.contains(event)));
    let mut took: Vec<Duration> = of_mentions.map(|ack| ack.took).collect();
    took.sort_unstable();
    let p99 = took[(took.len() * 99).div_ceil(100) - 1];
    assert_eq!(took.len(), 2 * mentions, "a post with a mention is two events");
    assert!(p99 <= Duration::from_millis(500), "{p99:?}");
    bot.behaved();
}
