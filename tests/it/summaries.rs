//! What no question brings along any more, told in short: what it is made of, who reads it, who pays for it, and
//! that no answer is the worse for it.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::StreamExt;
use omni_core::{
    Answer, AnswerEvent, Ask, ErrorKind, LlmProvider, Omni, OmniBuilder, PolicyStore, Principal, Source,
    answer::Status,
    ask::AskOptions,
    cost::{NanoUsd, Price, Rates},
    ledger::{Event, Outcome},
    limit::{Budget, BudgetScope, Charge, Limit, LimitKey, Period, RateLimiter, Reserve, Spend, memory::MemoryLimiter},
    llm::{ChatRequest, LlmError, ModelInfo, scripted},
    policy::{Grant, PolicyError, PolicyVersion, Quota, Role, RuleSet, memory::MemoryPolicy},
    redact::Redactor,
    thread::{
        Append, ChannelKey, KeptTurn, Most, Summary, SummaryRules, ThreadEntry, ThreadError, ThreadKey, ThreadRules,
        ThreadStore, memory::MemoryThreads,
    },
};
use omni_tests::{
    recorder::Recorder,
    rig::{Rig, until},
    server::FakeServer,
    vendor::{Mischief, Plan, Refusal, Reply, Vendor},
};
use serde_json::Value;
use tokio::sync::watch;

use super::threads::{ADA, ask, bob_asks, bringing, omni_with, question, roles, shared};

/// So many texts are brought along, and all that goes is told in short.
fn rolling(max_messages: u32) -> ThreadRules {
    let mut summary = SummaryRules::default();
    summary.above_tokens = 0;
    let mut rules = bringing(max_messages);
    rules.summary = Some(summary);
    rules
}

/// Whether a request is for a summary, and for no answer.
fn is_summary(body: &Value) -> bool {
    body.to_string().contains("You keep the summary of a conversation")
}

/// The requests so far, those for answers and those for summaries.
fn requests(vendor: &Vendor) -> (Vec<Value>, Vec<Value>) {
    vendor.requests().into_iter().map(|seen| seen.body).partition(|body| !is_summary(body))
}

/// What the model was told for the newest answer.
fn told(vendor: &Vendor) -> String {
    requests(vendor).0.pop().unwrap()["messages"].to_string()
}

fn in_session(question: &str) -> Ask {
    Ask::new(Principal::email(ADA), question).with_session("s")
}

async fn summary(omni: &Omni) -> Option<String> {
    omni.thread_summary(Principal::email(ADA), Source::Embed, "s").await.unwrap().map(|summary| summary.text)
}

#[tokio::test]
async fn what_goes_is_told_in_short_at_the_head_and_the_beginning_stays_between_trims() {
    for name in ["anthropic", "openai"] {
        let vendor = Vendor::start().await;
        vendor.check_prefixes();
        let omni = omni_with(name, &vendor, |builder| builder.thread_rules(rolling(12))).await;
        let mut firsts = BTreeSet::new();
        for n in 0..20 {
            assert_eq!(ask(&omni, &question(n)).await.status, Status::Completed, "{name}");
            let body = requests(&vendor).0.pop().unwrap();
            let messages = body["messages"].as_array().unwrap();
            let first = messages.iter().find(|message| message["role"] == "user").unwrap().to_string();
            // Of six turns three stay, four at a time go. The vendor's model tells of the first of them.
            let head = [7, 11, 15, 19].iter().filter(|&&trim| n >= trim).count();
            match head {
                0 => assert!(!first.contains("<summary>"), "{name}, {n}: {first}"),
                _ => {
                    assert!(first.contains(&format!("Answer {}.\\n</summary>", 4 * (head - 1))), "{name}, {n}: {first}")
                }
            }
            firsts.insert(first.replace(r#""cache_control":{"type":"ephemeral"},"#, ""));
        }
        assert_eq!(firsts.len(), 5, "{name}: it changes with each trim and at no other time");
        let summaries = requests(&vendor).1;
        assert_eq!(summaries.len(), 4, "{name}: one for each trim");
        let last = summaries[3]["messages"].to_string();
        assert!(last.contains("<summary>\\nAnswer 8.\\n"), "{name}: with what was told before: {last}");
        let is_told = |n: usize| last.contains(&question(n).replace('"', "\\\""));
        assert!((12..16).all(is_told) && !(0..12).chain(16..20).any(is_told), "{name}: {last}");
        assert_eq!(vendor.violations(), Vec::<String>::new(), "{name}");
        omni.shutdown().await;
    }
}

#[tokio::test]
async fn what_is_little_goes_without() {
    let vendor = Vendor::start().await;
    let mut rules = rolling(2);
    rules.summary.as_mut().unwrap().above_tokens = 1_000;
    let omni = omni_with("anthropic", &vendor, |builder| builder.thread_rules(rules)).await;
    for n in 0..4 {
        ask(&omni, &format!("#plain {n}.")).await;
    }
    assert_eq!((requests(&vendor).1.len(), told(&vendor).contains("<summary>")), (0, false));
    ask(&omni, &format!("#plain {}", "x".repeat(3_000))).await;
    ask(&omni, "#plain It was long.").await;
    let summaries = requests(&vendor).1;
    assert_eq!(summaries.len(), 1, "until there is more of it");
    let fed = summaries[0].to_string();
    assert!((0..4).all(|n| fed.contains(&format!("#plain {n}."))) && !fed.contains("It was long."), "{fed}");
    omni.shutdown().await;
}

#[tokio::test]
async fn where_nothing_is_brought_along_word_for_word_the_summary_is_all() {
    let vendor = Vendor::start().await;
    let omni = omni_with("anthropic", &vendor, |builder| builder.thread_rules(rolling(1))).await;
    ask(&omni, "#plain It is 42.").await;
    ask(&omni, "#plain Fine.").await;
    let body = requests(&vendor).0.pop().unwrap();
    let [message] = body["messages"].as_array().unwrap().as_slice() else { panic!("{body}") };
    assert!(message.to_string().contains("It is 42.\\n</summary>"), "{message}");
    let turns = omni.thread(Principal::email(ADA), Source::Embed, "s").await.unwrap();
    let last = turns.last().unwrap().turn.encode().unwrap();
    assert!(!last.contains("<summary>"), "it is no part of the turn that it stands before: {last}");
    assert_eq!(vendor.violations(), Vec::<String>::new());
    omni.shutdown().await;
}

#[tokio::test]
async fn of_two_people_in_one_thread_neither_is_told_what_only_the_others_tools_say() {
    for name in ["anthropic", "openai"] {
        let vendor = Vendor::start().await;
        let policy = || roles(RuleSet::allow_all());
        let omni = omni_with(name, &vendor, |builder| builder.policy(policy()).thread_rules(rolling(2))).await;
        bob_asks(&omni, &vendor).await;
        // What Bob's question led to goes when Ada asks, whose model writes the summary, and when he does himself.
        shared(&omni, ADA, "#plain Hello Ada.").await;
        bob_asks(&omni, &vendor).await;
        shared(&omni, super::threads::BOB, "And now?").await;
        shared(&omni, ADA, "And now?").await;
        let (answers, summaries) = requests(&vendor);
        assert_eq!(summaries.len(), 4, "{name}");
        for body in &summaries {
            let fed = body.to_string();
            assert!(!fed.contains("4711") && !fed.contains("salaries") && !fed.contains("tool_use"), "{name}: {fed}");
            assert!(body.get("tools").is_none(), "{name}: nor is there anything to be used: {fed}");
        }
        let first = summaries[0].to_string();
        assert!(first.contains("asker=\\\"bob@company.com\\\"") && first.contains("All is well."), "{name}: {first}");
        let adas = answers.last().unwrap().to_string();
        assert!(adas.contains("<summary>") && adas.contains("All is well."), "{name}: {adas}");
        assert!(!adas.contains("4711") && !adas.contains("salaries"), "{name}: {adas}");
        assert_eq!(vendor.violations(), Vec::<String>::new(), "{name}");
        omni.shutdown().await;
    }
}

/// Nano-dollars a token, in and out.
const IN: u64 = 1_000;
const OUT: u64 = 5_000;

fn priced() -> ModelInfo {
    let mut model = ModelInfo::new("scripted", "scripted");
    model.price = Some(Price::flat(Rates::new(IN, OUT, IN, IN, IN)));
    model
}

/// A pipeline whose model says what is queued, for somebody with these budgets.
async fn rig(llm: scripted::Scripted, rules: ThreadRules, budgets: &[Budget]) -> (Rig, Arc<MemoryLimiter>) {
    let mut quota = Quota::default();
    quota.budgets = budgets.to_vec();
    let policy = MemoryPolicy::new().with_subject(ADA, Role::new("dba"), RuleSet::allow_all(), quota);
    let limiter = Arc::new(MemoryLimiter::new());
    let own = limiter.clone();
    let change = |builder: OmniBuilder| builder.policy(policy).limiter(own).thread_rules(rules);
    (Rig::new(llm, FakeServer::echo(), change).await, limiter)
}

fn budget(max: Spend) -> Budget {
    Budget { scope: BudgetScope::User, period: Period::Month, max }
}

async fn spent(limiter: &MemoryLimiter, name: &str) -> u64 {
    let limit = Limit::Budget { max: u64::MAX, period: Period::Month };
    let look = Charge { key: LimitKey::new("default", format!("budget:{name}:user:{ADA}")), limit, amount: 0 };
    limiter.reserve(&Reserve::new(vec![look])).await.unwrap().standings[0].used
}

#[tokio::test]
async fn the_ask_that_made_it_due_pays_for_it() {
    let budgets = [budget(Spend::Usd(NanoUsd(u64::MAX))), budget(Spend::Tokens(u64::MAX))];
    let llm = scripted::Scripted::new().with_model(priced()).say("One.").say("Two.").say("One in short.").say("Three.");
    let (rig, limiter) = rig(llm.clone(), rolling(2), &budgets).await;
    rig.omni.ask(in_session("First?")).await.unwrap();
    let events: Vec<AnswerEvent> = StreamExt::collect(rig.omni.ask_stream(in_session("Second?"))).await;
    let Some(AnswerEvent::Done(second)) = events.last() else { panic!("{events:?}") };
    assert_eq!((second.text.as_str(), second.iterations), ("Two.", 1), "it is no part of the answer");
    assert_eq!((second.usage.input, second.usage.output), (20, 10));
    assert_eq!(second.cost, Some(NanoUsd(20 * IN + 10 * OUT)));
    let said = events.iter().filter_map(|event| match event {
        AnswerEvent::Text { text } => Some(text.as_str()),
        _ => None,
    });
    assert_eq!(said.collect::<String>(), "Two.");
    assert_eq!(spent(&limiter, "usd").await, 30 * IN + 15 * OUT, "what is counted is what the answers say");
    assert_eq!(spent(&limiter, "tokens").await, 45);
    rig.omni.shutdown().await;
    let records = rig.recorder.records();
    let closing = records.iter().find_map(|record| match &record.event {
        Event::Ask(closing) if record.request_id == second.request_id => Some(closing),
        _ => None,
    });
    let closing = closing.unwrap();
    assert_eq!((closing.usage.total(), closing.cost, closing.iterations), (30, second.cost, 1));
    assert_eq!(closing.outcome, Outcome::Success);
    let request = &llm.requests()[2];
    assert_eq!((request.max_tokens, request.tools.len(), request.messages.len()), (4_096, 0, 1));
}

#[tokio::test]
async fn what_an_asker_cannot_pay_for_is_not_made() {
    let mut rules = rolling(2);
    rules.summary.as_mut().unwrap().max_tokens = 4_000;
    let mut options = AskOptions::default();
    options.max_cost = Some(NanoUsd(4_000 * OUT));
    // The turn of the ask is cut to what is left; half a summary would take the place of a whole one.
    for (budgets, options) in [
        (vec![budget(Spend::Tokens(3_900))], AskOptions::default()),
        (vec![budget(Spend::Usd(NanoUsd(3_900 * OUT)))], AskOptions::default()),
        (vec![], options),
    ] {
        let llm = scripted::Scripted::new().with_model(priced()).say("One.").say("Two.").say("Three.");
        let (rig, _) = rig(llm.clone(), rules.clone(), &budgets).await;
        for question in ["First?", "Second?", "Third?"] {
            let answer = rig.omni.ask(in_session(question).with_options(options.clone())).await.unwrap();
            assert_eq!((answer.status, answer.warnings.len()), (Status::Completed, 0));
            assert_eq!(answer.usage.total(), 15, "{budgets:?}");
        }
        let last = serde_json::to_string(&*llm.requests()[2].messages).unwrap();
        assert!(last.contains("Second?") && !last.contains("First?") && !last.contains("<summary>"), "{last}");
        rig.omni.shutdown().await;
    }
}

/// An answer, and what the next question is told after a summary that came to nothing.
async fn without(vendor: &Vendor, omni: &Omni, broken: Reply) -> (Answer, String) {
    ask(omni, "#plain The first.").await;
    vendor.push(Reply::Turn(Plan::text("The second.")));
    vendor.push(broken);
    let mut options = AskOptions::default();
    options.timeout = Some(Duration::from_secs(2));
    let answer = omni.ask(in_session("And?").with_options(options)).await.unwrap();
    assert_eq!(requests(vendor).1.len(), 1);
    ask(omni, "#plain The third.").await;
    (answer, requests(vendor).0.pop().unwrap()["messages"].to_string())
}

#[tokio::test]
async fn a_summary_that_comes_to_nothing_costs_no_answer() {
    let hangs = Plan::text("It was about").with_mischief(Mischief::Hang);
    let long = "A few words before anything happens, enough of them for some more frames.";
    for broken in [
        Reply::Error(Refusal::new(400, "invalid_request_error", "no")),
        Reply::Turn(Plan { parts: Vec::new(), ..Plan::text("").stopping("refusal") }),
        Reply::Turn(Plan { parts: Vec::new(), ..Plan::text("") }),
        Reply::Turn(Plan::calls(vec![("lab__echo".into(), "{}".into())])),
        Reply::Turn(Plan::text(long).with_mischief(Mischief::Cut)),
        Reply::Turn(hangs),
    ] {
        let vendor = Vendor::start().await;
        let omni = omni_with("anthropic", &vendor, |builder| builder.thread_rules(rolling(2))).await;
        let began = Instant::now();
        let (answer, told) = without(&vendor, &omni, broken.clone()).await;
        assert_eq!((answer.text.as_str(), answer.status), ("The second.", Status::Completed), "{broken:?}");
        assert!(answer.warnings.is_empty() && began.elapsed() < Duration::from_secs(10), "{broken:?}: {answer:?}");
        assert!(told.contains("And?") && !told.contains("The first.") && !told.contains("<summary>"), "{told}");
        if matches!(&broken, Reply::Turn(plan) if plan.mischief.is_some()) {
            assert!(answer.usage.estimated && answer.usage.output >= 800, "it may be charged for: {:?}", answer.usage);
        }
        assert_eq!(vendor.violations(), Vec::<String>::new(), "{broken:?}");
        omni.shutdown().await;
    }
}

#[tokio::test]
async fn a_model_that_panics_over_a_summary_costs_no_answer_either() {
    let play = |request: &ChatRequest| -> Result<_, LlmError> {
        assert!(!request.system.starts_with("You keep the summary"), "it panics");
        Ok(scripted::text_turn("Well."))
    };
    let llm = scripted::Scripted::from_fn(play).with_model(priced());
    let (rig, limiter) = rig(llm, rolling(2), &[budget(Spend::Tokens(u64::MAX))]).await;
    for _ in 0..3 {
        assert_eq!(rig.omni.ask(in_session("Well?")).await.unwrap().text, "Well.");
    }
    // What was put aside for what nobody knows is not given back.
    assert!(spent(&limiter, "tokens").await > 3 * 15 + 2 * 800);
    rig.omni.shutdown().await;
}

#[tokio::test]
async fn whoever_leaves_in_the_middle_of_it_was_answered_and_the_ask_counts_until_then() {
    let (vendor, recorder) = (Vendor::start().await, Recorder::default());
    let mut quota = Quota::default();
    quota.concurrent = Some(1);
    let policy = MemoryPolicy::new().with_subject(ADA, Role::new("dba"), RuleSet::allow_all(), quota);
    let audit = recorder.clone();
    let change = |builder: OmniBuilder| builder.policy(policy).audit(audit).thread_rules(rolling(2));
    let omni = omni_with("anthropic", &vendor, change).await;
    ask(&omni, "#plain The first.").await;
    vendor.push(Reply::Turn(Plan::text("The second.")));
    vendor.push(Reply::Turn(Plan::text("It was about").with_mischief(Mischief::Hang)));
    let question = in_session("And?");
    let id = question.request_id;
    let mut stream = omni.ask_stream(question);
    let mut said = String::new();
    while said != "The second." {
        if let AnswerEvent::Text { text } = stream.next().await.unwrap() {
            said.push_str(&text);
        }
    }
    until(|| requests(&vendor).1.len() == 1).await;
    let refused = omni.ask(in_session("And meanwhile?")).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::RateLimited, "what is under way is under way");
    drop(stream);
    until(|| vendor.abandoned() == 1).await;
    until(|| recorder.closings(id).len() == 1).await;
    assert_eq!(recorder.closings(id), [Outcome::Success]);
    ask(&omni, "#plain The third.").await;
    assert!(told(&vendor).contains("The second.") && !told(&vendor).contains("<summary>"), "{}", told(&vendor));
    omni.shutdown().await;
}

/// A policy that lets nobody use but one model.
#[derive(Debug)]
struct OneModel(MemoryPolicy, &'static str);

#[async_trait::async_trait]
impl PolicyStore for OneModel {
    async fn resolve(&self, principal: &Principal) -> Result<Arc<Grant>, PolicyError> {
        let mut grant = (*self.0.resolve(principal).await?).clone();
        grant.models = Some(vec![self.1.into()]);
        Ok(Arc::new(grant))
    }

    fn version(&self) -> watch::Receiver<PolicyVersion> {
        self.0.version()
    }
}

#[tokio::test]
async fn another_model_writes_it_for_whoever_may_use_that() {
    let mut rules = rolling(2);
    rules.summary.as_mut().unwrap().model = Some("sonnet".into());
    for (only, writes) in [(None, "claude-sonnet-5-5"), (Some("haiku"), "claude-haiku-5-5")] {
        let vendor = Vendor::start().await;
        let change = |builder: OmniBuilder| match only {
            Some(model) => builder.policy(OneModel(MemoryPolicy::allow_all(), model)),
            None => builder,
        };
        let omni = omni_with("anthropic", &vendor, |builder| change(builder).thread_rules(rules.clone())).await;
        ask(&omni, "#plain The first.").await;
        let answer = ask(&omni, "#plain The second.").await;
        let (answers, summaries) = requests(&vendor);
        assert_eq!(answers[1]["model"], "claude-haiku-5-5");
        assert_eq!(summaries[0]["model"], writes);
        assert!(answer.cost.is_some_and(|cost| cost.0 > 0), "at that model's price");
        assert_eq!(summary(&omni).await.as_deref(), Some("The first."));
        omni.shutdown().await;
    }
}

#[tokio::test]
async fn offline_nothing_is_made_up() {
    let omni = Omni::builder().thread_rules(rolling(2)).build().await.unwrap();
    for _ in 0..3 {
        let answer = omni.ask(in_session("What can you do?")).await.unwrap();
        assert_eq!((answer.status, answer.usage.total()), (Status::Completed, 0));
    }
    assert_eq!(summary(&omni).await, None);
    omni.shutdown().await;
}

#[tokio::test]
async fn a_conversation_that_is_forgotten_takes_its_summary_along() {
    let vendor = Vendor::start().await;
    let omni = omni_with("anthropic", &vendor, |builder| builder.thread_rules(rolling(2))).await;
    for text in ["The first.", "The second."] {
        ask(&omni, &format!("#plain {text}")).await;
    }
    assert_eq!(summary(&omni).await.as_deref(), Some("The first."));
    let others = omni.thread_summary(Principal::email("eve@company.com"), Source::Embed, "s").await.unwrap();
    assert_eq!(others, None, "it is its asker's own");
    omni.delete_thread(Principal::email(ADA), Source::Embed, "s").await.unwrap();
    assert_eq!(summary(&omni).await, None);
    ask(&omni, "#plain Anew.").await;
    assert!(!told(&vendor).contains("The first."), "{}", told(&vendor));
    omni.shutdown().await;
}

#[tokio::test]
async fn a_secret_in_a_summary_is_kept_nowhere() {
    let vendor = Vendor::start().await;
    let redactor = Redactor::new().with_value("hunter22");
    let change = |builder: OmniBuilder| builder.redactor(redactor).thread_rules(rolling(2));
    let omni = omni_with("anthropic", &vendor, change).await;
    ask(&omni, "#plain The first.").await;
    vendor.push(Reply::Turn(Plan::text("The second.")));
    vendor.push(Reply::Turn(Plan::text("The password is hunter22, they said.")));
    ask(&omni, "And?").await;
    let kept = summary(&omni).await.unwrap();
    assert!(kept.contains("they said") && !kept.contains("hunter22"), "{kept}");
    omni.shutdown().await;
}

/// Keeps turns, and nothing that stands for them.
#[derive(Debug, Default)]
struct Forgetful {
    turns: MemoryThreads,
    /// Whether it can be read that there is none; else it is away, or panics.
    reads: bool,
    panics: bool,
}

#[async_trait::async_trait]
impl ThreadStore for Forgetful {
    async fn history(&self, key: &ThreadKey, most: Most) -> Result<Vec<KeptTurn>, ThreadError> {
        self.turns.history(key, most).await
    }

    async fn append(&self, append: Append<'_>) -> Result<u64, ThreadError> {
        self.turns.append(append).await
    }

    async fn list(&self, channel: &ChannelKey, limit: usize) -> Result<Vec<ThreadEntry>, ThreadError> {
        self.turns.list(channel, limit).await
    }

    async fn delete(&self, key: &ThreadKey) -> Result<bool, ThreadError> {
        self.turns.delete(key).await
    }

    async fn sweep(&self) -> Result<u64, ThreadError> {
        self.turns.sweep().await
    }

    async fn summary(&self, _: &ThreadKey) -> Result<Option<Summary>, ThreadError> {
        assert!(!self.panics, "it panics");
        if self.reads { Ok(None) } else { Err(ThreadError::new("it is away")) }
    }

    async fn summarize(&self, _: &ThreadKey, _: &Summary) -> Result<bool, ThreadError> {
        panic!("it panics")
    }
}

#[tokio::test]
async fn a_store_that_fails_over_a_summary_costs_no_answer() {
    for (reads, panics, made) in [(false, false, 0), (false, true, 0), (true, false, 2)] {
        let vendor = Vendor::start().await;
        let store = Forgetful { reads, panics, ..Forgetful::default() };
        let omni = omni_with("anthropic", &vendor, |builder| builder.threads(store).thread_rules(rolling(2))).await;
        for text in ["The first.", "The second.", "The third."] {
            let answer = ask(&omni, &format!("#plain {text}")).await;
            assert_eq!((answer.text.as_str(), answer.warnings.len()), (text, 0));
        }
        assert_eq!(requests(&vendor).1.len(), made, "what cannot be kept for lack of an answer is not paid for");
        assert!(told(&vendor).contains("The second."));
        omni.shutdown().await;
    }
}

/// A provider is asked for nothing beside its answers where nobody wants a summary.
#[tokio::test]
async fn nobody_pays_for_what_nobody_wants() {
    let vendor = Vendor::start().await;
    let llm: Arc<dyn LlmProvider> = super::threads::llm("anthropic", &vendor);
    let store = Forgetful::default();
    let omni = Omni::builder().llm(llm).threads(store).thread_rules(bringing(2)).build().await.unwrap();
    for _ in 0..4 {
        ask(&omni, "#plain Well.").await;
    }
    assert_eq!((requests(&vendor).0.len(), requests(&vendor).1.len()), (4, 0));
    omni.shutdown().await;
}
