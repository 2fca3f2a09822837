//! What may be spent on models: reserved before each turn, settled by what it took, never overspent.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use futures::StreamExt as _;
use omni_core::{
    Answer, Ask, Error, ErrorKind, Omni, OmniBuilder, Principal, Source,
    answer::Status,
    ask::AskOptions,
    cost::{NanoUsd, Price, Rates},
    ledger::{AskRecord, Event, Outcome},
    limit::{
        Budget, BudgetScope, Charge, Limit, LimitError, LimitKey, Period, RateLimiter, Reservation, ReservationId,
        Reserve, Settle, Spend, memory::MemoryLimiter,
    },
    llm::{
        Block, ChatEvent, ChatRequest, ChatStream, LlmError, LlmProvider, ModelInfo, Speaker, StopReason, Usage,
        scripted::{Scripted, text_turn},
    },
    policy::{Quota, Role, RuleSet, memory::MemoryPolicy},
    thread::{SummaryRules, ThreadRules},
};
use omni_tests::{recorder::Recorder, rig::Rig, server::FakeServer};
use serde_json::json;

use super::threads::bringing;

/// Nano-dollars a token, in and out.
const IN: u64 = 1_000;
const OUT: u64 = 5_000;

/// The count of what Ada may spend.
const OF_ADA: &str = "budget:usd:user:ada@company.com";

fn priced() -> ModelInfo {
    let mut model = ModelInfo::new("scripted", "scripted");
    model.price = Some(Price::flat(Rates::new(IN, OUT, IN, IN, IN)));
    model
}

/// A model whose every turn takes a tenth of its output.
pub(crate) fn modest() -> Scripted {
    let play = |request: &ChatRequest| {
        let usage = Usage::new(100, u64::from(request.max_tokens) / 10);
        let block = ChatEvent::Block(Block::text("hi"));
        Ok(vec![ChatEvent::Text("hi".into()), block, ChatEvent::Usage(usage), ChatEvent::Done(StopReason::EndTurn)])
    };
    Scripted::from_fn(play).with_model(priced())
}

fn usd(scope: BudgetScope, nano: u64) -> Budget {
    Budget { scope, period: Period::Month, max: Spend::Usd(NanoUsd(nano)) }
}

fn tokens(most: u64) -> Budget {
    Budget { scope: BudgetScope::User, period: Period::Month, max: Spend::Tokens(most) }
}

fn with(budgets: &[Budget]) -> (Arc<MemoryLimiter>, impl FnOnce(OmniBuilder) -> OmniBuilder + use<>) {
    let mut quota = Quota::default();
    quota.budgets = budgets.to_vec();
    let policy = ["ada", "bob"].into_iter().fold(MemoryPolicy::new(), |policy, name| {
        let email = format!("{name}@company.com");
        policy.with_subject(&email, Role::new("dba"), RuleSet::allow_all(), quota.clone())
    });
    let limiter = Arc::new(MemoryLimiter::new());
    let own = limiter.clone();
    (limiter, move |builder: OmniBuilder| builder.policy(policy).limiter(own))
}

fn ask(name: &str) -> Ask {
    Ask::new(Principal::email(&format!("{name}@company.com")), "Say hi")
}

/// What a budget says is spent.
async fn spent(limiter: &MemoryLimiter, name: &str) -> u64 {
    let tenant = Principal::email("ada@company.com").tenant;
    let limit = Limit::Budget { max: u64::MAX, period: Period::Month };
    let look = Charge { key: LimitKey::new(tenant.as_str(), name), limit, amount: 0 };
    limiter.reserve(&Reserve::new(vec![look])).await.unwrap().standings[0].used
}

fn cost(answers: &[Result<Answer, Error>]) -> u64 {
    answers.iter().flatten().filter_map(|answer| answer.cost).map(|cost| cost.0).sum()
}

/// A budget for about sixty turns as the model takes them, and for six as they are put aside.
const BUDGET: u64 = 6 * 4_096 * OUT;

async fn many(omni: &Omni, count: usize) -> Vec<Result<Answer, Error>> {
    let all = (0..count).map(|at| omni.ask(ask(if at % 2 == 0 { "ada" } else { "bob" })));
    futures::stream::iter(all).buffer_unordered(count).collect().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_asks_at_once_overspend_by_nothing() {
    let (limiter, change) = with(&[usd(BudgetScope::Tenant, BUDGET), usd(BudgetScope::User, BUDGET)]);
    let rig = Rig::new(modest(), FakeServer::echo(), change).await;
    let answers = many(&rig.omni, 1_000).await;
    let total = cost(&answers);
    assert!(total > 0 && total <= BUDGET, "{total} of {BUDGET}");
    assert!(answers.iter().flatten().all(|answer| answer.status == Status::Completed));
    let refusals = answers.iter().filter_map(|answer| answer.as_ref().err());
    assert!(refusals.clone().count() > 0, "not everybody fits");
    assert!(refusals.clone().all(|error| error.kind() == ErrorKind::RateLimited && error.refusal().is_some()));
    assert_eq!(spent(&limiter, "budget:usd:tenant").await, total, "what is counted is what the records say");
    let of = async |name: &str| spent(&limiter, &format!("budget:usd:user:{name}@company.com")).await;
    assert_eq!(of("ada").await + of("bob").await, total);
    // What is left is spent one after the other, down to less than a turn that is worth its prompt.
    while rig.omni.ask(ask("ada")).await.is_ok() {}
    let used = spent(&limiter, "budget:usd:tenant").await;
    assert!(used <= BUDGET && used > BUDGET * 9 / 10, "{used} of {BUDGET}");
    rig.omni.shutdown().await;
}

#[tokio::test]
async fn a_turn_is_cut_to_what_the_tightest_budget_leaves() {
    let (limiter, change) = with(&[usd(BudgetScope::User, u64::MAX), tokens(5_000), usd(BudgetScope::Role, BUDGET)]);
    let llm = Scripted::new().with_model(priced()).say("hi").say("hi");
    let rig = Rig::new(llm.clone(), FakeServer::echo(), change).await;
    rig.omni.ask(ask("ada")).await.unwrap();
    let first = &llm.requests()[0];
    assert!(first.max_tokens > 64 && first.max_tokens < 4_096, "{}", first.max_tokens);
    assert_eq!(spent(&limiter, "budget:tokens:user:ada@company.com").await, 15, "the scripted turn's tokens");
    assert_eq!(spent(&limiter, "budget:usd:role:dba").await, 10 * IN + 5 * OUT);
    rig.omni.shutdown().await;
}

#[tokio::test]
async fn a_budget_that_is_too_small_for_a_turn_is_a_refusal_in_its_own_words_with_one_record() {
    let (_, change) = with(&[usd(BudgetScope::User, 50 * IN)]);
    let rig = Rig::new(modest(), FakeServer::echo(), change).await;
    let asked = ask("ada");
    let id = asked.request_id;
    let refused = rig.omni.ask(asked).await.unwrap_err();
    let text = refused.public_message();
    assert_eq!(text, "Your budget for this month is $0.000050, which is less than one turn of the model may take.");
    assert!(refused.retry_after().is_some());
    rig.omni.shutdown().await;
    assert_eq!(rig.recorder.closings(id), [Outcome::RateLimited]);
}

#[tokio::test]
async fn asks_that_a_used_up_budget_refuses_leave_the_hour_as_it_was() {
    let mut quota = Quota::default();
    quota.per_hour = Some(2);
    quota.budgets = vec![usd(BudgetScope::User, 50 * IN)];
    let limiter = Arc::new(MemoryLimiter::new());
    let policy =
        MemoryPolicy::new().with_subject("ada@company.com", Role::new("dba"), RuleSet::allow_all(), quota.clone());
    let own = limiter.clone();
    let rig = Rig::new(modest(), FakeServer::echo(), |b| b.policy(policy).limiter(own)).await;
    for _ in 0..5 {
        let refused = rig.omni.ask(ask("ada")).await.unwrap_err();
        assert!(refused.to_string().starts_with("Your budget for this month"), "{refused}");
    }
    rig.omni.shutdown().await;
}

#[tokio::test]
async fn a_budget_that_is_used_up_in_the_middle_leaves_the_answer_so_far() {
    let (limiter, change) = with(&[usd(BudgetScope::User, 20_000 * OUT)]);
    let llm = Scripted::from_fn(|request| {
        let first = request.messages.iter().all(|message| message.speaker != Speaker::Assistant);
        assert!(first, "there is no second turn");
        let mut events = vec![ChatEvent::Text("Let me see.".into()), ChatEvent::Block(Block::text("Let me see."))];
        events.extend(omni_core::llm::scripted::call_turn(0, &[("lab__echo", json!({ "message": "hi" }))]));
        let usage = ChatEvent::Usage(Usage::new(10, 19_990));
        Ok(events
            .into_iter()
            .map(|event| if matches!(event, ChatEvent::Usage(_)) { usage.clone() } else { event })
            .collect())
    })
    .with_model(priced());
    let rig = Rig::new(llm, FakeServer::echo(), |builder| change(builder).max_output(19_990)).await;
    let (answer, closings, _) = rig.run(ask("ada")).await;
    let answer = answer.unwrap();
    assert_eq!((answer.status, answer.iterations), (Status::RateLimited, 1));
    let left = "Your budget for this month has $0.000040 left of $0.100000, which is less than one turn";
    assert!(answer.text.starts_with("Let me see.") && answer.text.contains(left), "{}", answer.text);
    assert_eq!(answer.warnings.last().unwrap().code, "max_cost");
    assert_eq!(closings, [Outcome::Warning]);
    assert_eq!(spent(&limiter, OF_ADA).await, answer.cost.unwrap().0);
}

#[tokio::test]
async fn a_model_without_a_price_is_refused_under_a_budget_of_money_and_not_under_one_of_tokens() {
    for (budget, outcome) in
        [(usd(BudgetScope::Tenant, u64::MAX), Outcome::Denied), (tokens(u64::MAX), Outcome::Success)]
    {
        let (_, change) = with(&[budget]);
        let rig = Rig::new(Scripted::new().say("hi"), FakeServer::echo(), change).await;
        let (_, closings, _) = rig.run(ask("ada")).await;
        assert_eq!(closings, [outcome]);
    }
}

/// The one ask in the ledger.
fn recorded(recorder: &Recorder) -> AskRecord {
    let ask = recorder.records().into_iter().find_map(|record| match record.event {
        Event::Ask(ask) => Some(*ask),
        _ => None,
    });
    ask.unwrap()
}

/// A limiter that takes what it is asked for, and whose answer is lost on the way.
#[derive(Debug, Default)]
struct Unheard(MemoryLimiter);

#[async_trait]
impl RateLimiter for Unheard {
    async fn reserve(&self, request: &Reserve) -> Result<Reservation, LimitError> {
        self.0.reserve(request).await?;
        Err(LimitError::Unavailable { message: "the connection was lost".into() })
    }

    async fn settle(&self, settle: &Settle) -> Result<(), LimitError> {
        self.0.settle(settle).await
    }

    async fn renew(&self, id: &ReservationId) -> Result<(), LimitError> {
        self.0.renew(id).await
    }
}

#[tokio::test]
async fn what_was_taken_though_the_answer_was_lost_is_given_back() {
    let (mut by_hour, mut by_month) = (Quota::default(), Quota::default());
    by_hour.per_hour = Some(2);
    by_month.budgets = vec![usd(BudgetScope::User, BUDGET)];
    let hour = Limit::Window { max: 2, per: Duration::from_secs(3_600) };
    let month = Limit::Budget { max: BUDGET, period: Period::Month };
    for (quota, name, limit) in [(by_hour, "ask:hour:ada@company.com", hour), (by_month, OF_ADA, month)] {
        let policy = MemoryPolicy::new().with_subject("ada@company.com", Role::new("dba"), RuleSet::allow_all(), quota);
        let limiter = Arc::new(Unheard::default());
        let own = limiter.clone();
        let rig = Rig::new(modest(), FakeServer::echo(), |builder| builder.policy(policy).limiter(own)).await;
        let error = rig.omni.ask(ask("ada")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        rig.omni.shutdown().await;
        let tenant = Principal::email("ada@company.com").tenant;
        let count = Charge { key: LimitKey::new(tenant.as_str(), name), limit, amount: 1 };
        assert_eq!(limiter.0.peek(&[count]).await.unwrap()[0].used, 0, "{name}");
    }
}

/// A model that says something and then hangs.
#[derive(Debug)]
struct Hangs(Vec<ModelInfo>);

#[async_trait]
impl LlmProvider for Hangs {
    fn models(&self) -> &[ModelInfo] {
        &self.0
    }

    async fn stream(&self, _: ChatRequest) -> Result<ChatStream, LlmError> {
        let said = futures::stream::iter([Ok(ChatEvent::Text("The answer is".into()))]);
        Ok(Box::pin(said.chain(futures::stream::pending())))
    }
}

#[tokio::test]
async fn a_cancelled_turn_settles_at_its_bound_and_one_that_was_refused_at_nothing() {
    let (limiter, change) = with(&[usd(BudgetScope::User, BUDGET)]);
    let rig = Rig::new(Scripted::new(), FakeServer::echo(), |b| change(b).llm(Hangs(vec![priced()]))).await;
    let mut stream = rig.omni.ask_stream(ask("ada"));
    while let Some(event) = stream.next().await {
        if matches!(event, omni_core::AnswerEvent::Text { .. }) {
            break;
        }
    }
    let put_aside = spent(&limiter, OF_ADA).await;
    drop(stream);
    rig.omni.shutdown().await;
    let used = spent(&limiter, OF_ADA).await;
    assert!((4_096 * OUT..=BUDGET).contains(&used), "{used}: all that the turn may have taken");
    assert_eq!(used, put_aside, "the vendor told of no usage: nothing is given back");
    let recorded = recorded(&rig.recorder);
    assert!(recorded.usage.estimated && recorded.cost.unwrap() <= NanoUsd(used), "{recorded:?}");

    let (limiter, change) = with(&[usd(BudgetScope::User, BUDGET)]);
    let failing = Scripted::new().with_model(priced()).fail(LlmError::Unavailable {
        provider: "scripted",
        status: "529".into(),
        message: "overloaded".into(),
    });
    let rig = Rig::new(failing, FakeServer::echo(), change).await;
    rig.run(ask("ada")).await.0.unwrap_err();
    assert_eq!(spent(&limiter, OF_ADA).await, 0);
}

#[tokio::test]
async fn what_no_vendor_counted_is_recorded_as_an_estimate_and_gives_a_budget_nothing_back() {
    let (limiter, change) = with(&[usd(BudgetScope::User, BUDGET)]);
    let mut estimate = Usage::new(100, 2);
    estimate.estimated = true;
    let said = [ChatEvent::Text("hi".into()), ChatEvent::Block(Block::text("hi"))];
    let end = [ChatEvent::Usage(estimate), ChatEvent::Done(StopReason::EndTurn)];
    let llm = Scripted::new().with_model(priced()).turn(said.into_iter().chain(end).collect());
    let (answer, closings, recorder) = Rig::new(llm, FakeServer::echo(), change).await.run(ask("ada")).await;
    let (answer, recorded) = (answer.unwrap(), recorded(&recorder));
    assert_eq!((answer.usage, answer.cost), (estimate, Some(NanoUsd(100 * IN + 2 * OUT))));
    assert_eq!((recorded.usage, recorded.cost, closings), (estimate, answer.cost, vec![Outcome::Success]));
    let used = spent(&limiter, OF_ADA).await;
    assert!(used > 4_096 * OUT, "{used}: what was thought and not said is charged too");
}

#[tokio::test]
async fn a_prompt_that_was_not_counted_when_the_turn_broke_off_is_not_given_back() {
    let (limiter, change) = with(&[usd(BudgetScope::User, BUDGET)]);
    let cut = vec![ChatEvent::Usage(Usage::default()), ChatEvent::Text("The answer is".into())];
    let rig = Rig::new(Scripted::new().with_model(priced()).turn(cut), FakeServer::echo(), change).await;
    let (_, partial) = rig.run(ask("ada")).await.0.unwrap_err();
    assert!(partial.usage.estimated && partial.usage.input > 0, "{:?}", partial.usage);
    let used = spent(&limiter, OF_ADA).await;
    assert!(used > 4_096 * OUT && partial.cost.unwrap() <= NanoUsd(used), "{used}");
}

/// The connection broke behind the request.
fn lost() -> LlmError {
    LlmError::Cut { provider: "scripted", message: "connection reset".into() }
}

#[tokio::test]
async fn a_turn_of_which_nothing_came_is_made_once_more_and_both_are_paid_for() {
    let (limiter, change) = with(&[usd(BudgetScope::User, BUDGET)]);
    let llm = Scripted::new().with_model(priced()).fail(lost()).say("hi");
    let (answer, _, recorder) = Rig::new(llm, FakeServer::echo(), change).await.run(ask("ada")).await;
    let answer = answer.unwrap();
    assert_eq!((answer.text.as_str(), answer.status, answer.iterations), ("hi", Status::Completed, 2));
    assert!(answer.usage.estimated && answer.usage.output == 4_096 + 5, "{:?}", answer.usage);
    let estimated: Vec<bool> = recorded(&recorder).turns.iter().map(|turn| turn.usage.estimated).collect();
    assert_eq!(estimated, [true, false]);
    let used = spent(&limiter, OF_ADA).await;
    assert!(used > 4_096 * OUT + 10 * IN + 5 * OUT && answer.cost.unwrap() <= NanoUsd(used), "{used}");
}

#[tokio::test]
async fn a_turn_that_is_lost_twice_fails_and_settles_at_both_bounds() {
    let (limiter, change) = with(&[usd(BudgetScope::User, BUDGET)]);
    let llm = Scripted::new().with_model(priced()).fail(lost()).fail(lost()).say("never");
    let rig = Rig::new(llm.clone(), FakeServer::echo(), change).await;
    let (kind, partial) = rig.run(ask("ada")).await.0.unwrap_err();
    assert_eq!((kind, partial.usage.output, llm.requests().len()), (ErrorKind::Failed, 2 * 4_096, 2));
    let used = spent(&limiter, OF_ADA).await;
    assert!(used > 2 * 4_096 * OUT && partial.cost.unwrap() <= NanoUsd(used), "{used}");
}

#[tokio::test]
async fn a_lost_turn_that_used_the_budget_up_is_not_made_again() {
    let budget = 4_200 * OUT;
    let (limiter, change) = with(&[usd(BudgetScope::User, budget)]);
    let llm = Scripted::new().with_model(priced()).fail(lost()).say("never");
    let rig = Rig::new(llm.clone(), FakeServer::echo(), change).await;
    let answer = rig.run(ask("ada")).await.0.unwrap();
    assert_eq!((answer.status, llm.requests().len()), (Status::RateLimited, 1));
    let used = spent(&limiter, OF_ADA).await;
    assert!(used > budget * 9 / 10 && used <= budget, "{used} of {budget}");
}

/// What a summary may take of a model's output, thoughts and all: as much as an answer.
const MOST: u64 = 4_096;

/// A model that answers twice and then loses the summary that the second answer made due.
fn losing_a_summary() -> Scripted {
    Scripted::new().with_model(priced()).say("One.").say("Two.").fail(lost())
}

/// Whatever no question brings along any more is told in short, in at most so many tokens.
fn told_in(max_tokens: u32) -> ThreadRules {
    let mut summary = SummaryRules::default();
    (summary.above_tokens, summary.max_tokens) = (0, max_tokens);
    let mut rules = bringing(2);
    rules.summary = Some(summary);
    rules
}

/// Asks twice in one conversation: the second answer, and the summary that is kept.
async fn converse(omni: &Omni, options: &AskOptions) -> (Answer, Option<String>) {
    let question = || ask("ada").with_session("s").with_options(options.clone());
    omni.ask(question()).await.unwrap();
    let second = omni.ask(question()).await.unwrap();
    let kept = omni.thread_summary(Principal::email("ada@company.com"), Source::Embed, "s").await.unwrap();
    omni.shutdown().await;
    assert_eq!((second.text.as_str(), second.status, second.warnings.len()), ("Two.", Status::Completed, 0));
    (second, kept.map(|summary| summary.text))
}

#[tokio::test]
async fn a_summary_of_which_nothing_came_is_made_once_more_and_both_are_paid_for() {
    let again = losing_a_summary().say("One in short.");
    let twice = losing_a_summary().fail(lost()).say("never");
    for (llm, text, output) in [(again, Some("One in short."), 5 + MOST + 5), (twice, None, 5 + MOST + MOST)] {
        let (limiter, change) = with(&[usd(BudgetScope::User, BUDGET)]);
        let change = |builder| change(builder).thread_rules(told_in(800));
        let rig = Rig::new(llm.clone(), FakeServer::echo(), change).await;
        let (second, kept) = converse(&rig.omni, &AskOptions::default()).await;
        assert_eq!((kept.as_deref(), second.usage.output, llm.requests().len()), (text, output, 4));
        let (used, cost) = (spent(&limiter, OF_ADA).await, second.cost.unwrap());
        assert!(second.usage.estimated && cost > NanoUsd(output * OUT), "{text:?}: {cost:?}");
        assert!(used > cost.0, "{text:?}: {used}: nothing of what was lost is given back");
    }
}

#[tokio::test]
async fn a_lost_summary_that_leaves_too_little_for_another_is_not_made_again() {
    let mut options = AskOptions::default();
    options.max_cost = Some(NanoUsd(5_600 * OUT));
    for (budgets, options) in [(vec![tokens(6_500)], AskOptions::default()), (vec![], options)] {
        let (_, change) = with(&budgets);
        let llm = losing_a_summary().say("never");
        let change = |builder| change(builder).thread_rules(told_in(1_500));
        let rig = Rig::new(llm.clone(), FakeServer::echo(), change).await;
        let (second, kept) = converse(&rig.omni, &options).await;
        assert_eq!((kept, second.usage.output, llm.requests().len()), (None, 5 + MOST, 3), "{budgets:?}");
    }
}

#[tokio::test]
async fn a_model_that_thinks_before_it_writes_leaves_a_summary() {
    // The limit cuts it off in the middle of its thoughts, where there is one that low.
    let play = |request: &ChatRequest| {
        let is_summary = request.system.starts_with("You keep the summary");
        let cut_off = vec![ChatEvent::Usage(Usage::new(10, 2_000)), ChatEvent::Done(StopReason::MaxTokens)];
        Ok(match is_summary {
            true if request.max_tokens <= 2_000 => cut_off,
            true => text_turn("One in short."),
            false => text_turn("Two."),
        })
    };
    let (_, change) = with(&[usd(BudgetScope::User, BUDGET)]);
    let change = |builder| change(builder).thread_rules(told_in(800));
    let rig = Rig::new(Scripted::from_fn(play).with_model(priced()), FakeServer::echo(), change).await;
    let (_, kept) = converse(&rig.omni, &AskOptions::default()).await;
    assert_eq!(kept.as_deref(), Some("One in short."));
}
