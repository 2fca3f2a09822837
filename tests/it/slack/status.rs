//! `/omni-status`: nothing in it is made up.

use std::time::Duration;

use chrono::{DateTime, Days, NaiveTime, Utc};
use omni_core::{
    Omni, OmniBuilder,
    audit::{AuditBackend, memory::MemorySink},
    config::SlackConfig,
    cost::NanoUsd,
    limit::{Budget, BudgetScope, LimitError, Period, RateLimiter, Reservation, ReservationId, Reserve, Settle, Spend},
    llm::{LlmError, scripted::Scripted},
    policy::{Quota, Role, RuleSet, memory::MemoryPolicy},
};
use omni_slack::Clock;
use omni_tests::{recorder::Recorder, rig::until_some, slack::Message};
use tokio::sync::watch;

use super::{
    ANN, Bot, GENERAL, lab,
    rig::{config_of, timing},
    says, workspace,
};

fn hourly() -> Quota {
    let mut quota = Quota::default();
    quota.per_hour = Some(7);
    quota
}

/// A bot for Ann, with a ledger that can be read where there is one.
async fn bot_for(role: Role, ledger: Option<AuditBackend>) -> Bot {
    bot_limited(role, hourly(), ledger, |builder| builder).await
}

/// The same with other limits, and another pipeline.
async fn bot_limited(
    role: Role,
    quota: Quota,
    ledger: Option<AuditBackend>,
    more: impl FnOnce(OmniBuilder) -> OmniBuilder,
) -> Bot {
    let policy = MemoryPolicy::new().with_subject("ann@company.com", role, RuleSet::allow_all(), quota);
    let change = |builder: OmniBuilder| match ledger {
        Some(ledger) => more(builder.policy(policy).audit_backend(ledger)),
        None => more(builder.policy(policy)),
    };
    Bot::start(workspace().await, says("Paris."), lab(), change, |_| {}).await
}

async fn status(bot: &Bot) -> Message {
    let before = bot.slack.ephemerals(ANN).len();
    bot.slack.slash(ANN, GENERAL, "/omni-status", "").await.acked().await.unwrap();
    until_some(async || bot.slack.ephemerals(ANN).into_iter().skip(before).find(|one| one.says("OMNI2 Status"))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_says_what_is_left_of_the_hour_and_when_there_is_more() {
    // As the limiter counts it: there is no ledger that could be read.
    let bot = bot_for(Role::new("dba"), None).await;
    assert!(status(&bot).await.says("7 of 7 left this hour"));
    for question in ["Where?", "And where?"] {
        let post = bot.slack.mentions(ANN, GENERAL, question).await;
        bot.slack.answer_saying(&post, "Paris.").await;
    }
    let told = status(&bot).await;
    let reads = told.reads();
    let left = reads.lines().find(|line| line.contains("left this hour")).unwrap();
    assert!(
        ["60 minutes", "59 minutes"].iter().any(|time| left == format!("5 of 7 left this hour, more in {time}")),
        "{left}"
    );
    assert!(!told.says("p95"), "that is for administrators: {told:#?}");
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn administrators_see_how_long_answers_took_and_how_many_failed() {
    let bot = bot_for(Role::super_admin(), Some(AuditBackend::new(MemorySink::default()))).await;
    let post = bot.slack.mentions(ANN, GENERAL, "Where?").await;
    bot.slack.answer_saying(&post, "Paris.").await;
    bot.omni.ledger().flush(Duration::from_secs(10)).await.unwrap();
    let told = status(&bot).await;
    assert!(told.says("Answers, p95") && told.says("0 of 1") && !told.says("not known"), "{told:#?}");
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn administrators_see_connections_model_and_ledger() {
    let llm = Scripted::new().say("Paris.").fail(LlmError::Unavailable {
        provider: "scripted",
        status: "529".into(),
        message: "away".into(),
    });
    let policy =
        MemoryPolicy::new().with_subject("ann@company.com", Role::super_admin(), RuleSet::allow_all(), hourly());
    let bot = Bot::start(workspace().await, llm, lab(), |builder| builder.policy(policy), |_| {}).await;
    bot.slack.connected(2).await;
    let model =
        async || status(&bot).await.reads().lines().skip_while(|line| *line != "*Model*").nth(1).unwrap().to_owned();
    let unasked = model().await;
    assert!(!unasked.contains(['🟢', '🔴']), "{unasked}");
    let first = bot.slack.mentions(ANN, GENERAL, "Where?").await;
    bot.slack.answer_saying(&first, "Paris.").await;
    assert_eq!(model().await, format!("🟢 {unasked}"));
    let second = bot.slack.mentions(ANN, GENERAL, "And where?").await;
    bot.slack.answer_saying(&second, "Error id").await;
    assert_eq!(model().await, format!("🔴 {unasked}"));
    bot.omni.ledger().flush(Duration::from_secs(10)).await.unwrap();
    let told = status(&bot).await.reads();
    assert!(told.contains("*Slack connections*\n2") && told.contains("*Ledger*\n🟢 0 waiting"), "{told}");
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn budgets_are_told_with_what_is_left_of_them_and_whose_they_are() {
    let budget = |scope, max| Budget { scope, period: Period::Day, max };
    let mut quota = Quota::default();
    quota.budgets =
        vec![budget(BudgetScope::User, Spend::Tokens(1_000_000)), budget(BudgetScope::Role, Spend::Tokens(9_000_000))];
    let bot = bot_limited(Role::new("dba"), quota, None, |builder| builder).await;
    let told = status(&bot).await;
    assert!(told.says("1000000 tokens of 1000000 tokens left today") && told.says("*Requests*\nno limit"), "{told:#?}");
    assert!(told.says("9000000 tokens of 9000000 tokens left today, with all of your role"), "{told:#?}");
    let post = bot.slack.mentions(ANN, GENERAL, "Where?").await;
    bot.slack.answer_saying(&post, "Paris.").await;
    let told = status(&bot).await;
    assert!(!told.says("1000000 tokens of 1000000") && told.says("left today, more in"), "{told:#?}");
    bot.behaved();
}

/// A limiter that nobody reaches.
#[derive(Debug)]
struct Away;

#[async_trait::async_trait]
impl RateLimiter for Away {
    async fn reserve(&self, _: &Reserve) -> Result<Reservation, LimitError> {
        Err(LimitError::Unavailable { message: "10.1.2.3 refused the connection".into() })
    }

    async fn settle(&self, _: &Settle) -> Result<(), LimitError> {
        Ok(())
    }

    async fn renew(&self, _: &ReservationId) -> Result<(), LimitError> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_limiter_and_ledger_do_not_tell_is_said_not_to_be_known() {
    let bot = bot_limited(Role::super_admin(), hourly(), None, |builder| builder.limiter(Away)).await;
    let told = status(&bot).await;
    assert!(told.says("7 an hour; how many are left is not known") && !told.says("10.1.2.3"), "{told:#?}");
    assert!(told.says("Failed today") && told.says("not known") && !told.says("0 of 0"), "{told:#?}");
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_of_a_minute_and_budgets_are_told_also_where_nobody_knows_how_much_is_left_of_them() {
    let mut quota = Quota::default();
    quota.per_minute = Some(3);
    let budget = |scope, max| Budget { scope, period: Period::Month, max };
    quota.budgets = vec![
        budget(BudgetScope::User, Spend::Usd(NanoUsd::from_usd(2.5))),
        budget(BudgetScope::Role, Spend::Tokens(9_000_000)),
    ];
    let bot = bot_limited(Role::new("dba"), quota, None, |builder| builder.limiter(Away)).await;
    let told = status(&bot).await;
    for limit in ["3 a minute", "$2.50 a month", "9000000 tokens a month"] {
        assert!(told.says(&format!("{limit}; how many are left is not known")), "{limit}: {told:#?}");
    }
    assert!(!told.says("no limit"), "{told:#?}");
    bot.behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_that_is_not_taken_counts_neither_as_asked_today_nor_among_those_that_could_fail() {
    let policy =
        MemoryPolicy::new().with_subject("ann@company.com", Role::super_admin(), RuleSet::allow_all(), hourly());
    let ledger = AuditBackend::new(MemorySink::default());
    let change = |builder: OmniBuilder| builder.policy(policy).audit_backend(ledger);
    let set = |config: &mut SlackConfig| config.channels.except = ["C0QUIET".to_owned()].into();
    let bot = Bot::start(workspace().await, says("Paris."), lab(), change, set).await;
    bot.slack.channel("C0QUIET", "quiet");
    bot.slack.mentions(ANN, "C0QUIET", "Where?").await;
    bot.slack.whisper(ANN, "do not answer in this channel").await;
    let post = bot.slack.mentions(ANN, GENERAL, "Where?").await;
    bot.slack.answer_saying(&post, "Paris.").await;
    bot.slack.settled().await;
    bot.omni.ledger().flush(Duration::from_secs(10)).await.unwrap();
    let told = status(&bot).await;
    assert!(told.says("*Asked today*\n1") && told.says("*Failed today*\n0 of 1"), "{told:#?}");
    bot.behaved();
}

fn next_midnight(now: DateTime<Utc>) -> DateTime<Utc> {
    now.date_naive().checked_add_days(Days::new(1)).unwrap().and_time(NaiveTime::MIN).and_utc()
}

#[tokio::test(flavor = "multi_thread")]
async fn today_is_the_day_and_begins_at_midnight() {
    let slack = workspace().await;
    let policy =
        MemoryPolicy::new().with_subject("ann@company.com", Role::super_admin(), RuleSet::allow_all(), hourly());
    let builder = Omni::builder().llm(says("Paris.")).server("lab", lab()).policy(policy);
    let omni = builder.audit_backend(AuditBackend::new(MemorySink::default())).build().await.unwrap();
    let (clock, told) = watch::channel(Utc::now());
    let (config, timing) = (config_of(&slack), timing().with_clock(Clock::told(told)));
    let bot = Bot::over(slack, omni, Recorder::default(), lab(), config, timing).await;
    let post = bot.slack.mentions(ANN, GENERAL, "Where?").await;
    bot.slack.answer_saying(&post, "Paris.").await;
    bot.omni.ledger().flush(Duration::from_secs(10)).await.unwrap();
    let evening = status(&bot).await;
    assert!(evening.says("*Asked today*\n1") && evening.says("*Failed today*\n0 of 1"), "{evening:#?}");
    // Less than a day later it is another one.
    clock.send_replace(next_midnight(Utc::now()));
    let night = status(&bot).await;
    assert!(night.says("*Asked today*\n0") && night.says("*Failed today*\n0 of 0"), "{night:#?}");
    bot.behaved();
}
