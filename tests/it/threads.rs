//! Conversations through the whole pipeline: what a model is told of what was said before, and to whom.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use omni_core::{
    Answer, Ask, Error, ErrorKind, LlmProvider, Omni, OmniBuilder, Principal, Source,
    answer::Status,
    ask::AskOptions,
    llm::{anthropic::Anthropic, openai::OpenAi},
    policy::{Quota, Role, RuleSet, memory::MemoryPolicy},
    thread::{
        Append, ChannelKey, ContextRules, Conversation, KeptTurn, Most, Place, Summary, ThreadEntry, ThreadError,
        ThreadKey, ThreadRules, ThreadStore, memory::MemoryThreads,
    },
};
use omni_tests::{
    recorder::Recorder,
    server::{FakeServer, any, text},
    vendor::{KEY, Plan, Reply, Vendor},
};
use serde_json::Value;

pub(crate) const ADA: &str = "ada@company.com";
pub(crate) const BOB: &str = "bob@company.com";

pub(crate) fn llm(name: &str, vendor: &Vendor) -> Arc<dyn LlmProvider> {
    match name {
        "anthropic" => Arc::new(Anthropic::builder().base_url(vendor.base_url()).api_key(KEY).build().unwrap()),
        _ => Arc::new(OpenAi::builder().base_url(vendor.base_url()).api_key(KEY).build().unwrap()),
    }
}

/// A server with a tool for everybody, one that is not, and one that says much.
pub(crate) fn lab() -> FakeServer {
    FakeServer::echo().tool("salaries", any(), |_| Box::pin(async { Ok(text("Eve earns 4711")) })).tool(
        "dump",
        any(),
        |_| Box::pin(async { Ok(text(&"x".repeat(9_000))) }),
    )
}

pub(crate) async fn omni_with(name: &str, vendor: &Vendor, change: impl FnOnce(OmniBuilder) -> OmniBuilder) -> Omni {
    let builder = Omni::builder().llm(llm(name, vendor)).server("lab", lab());
    change(builder).build().await.unwrap()
}

pub(crate) async fn ask(omni: &Omni, question: &str) -> Answer {
    omni.ask(Ask::new(Principal::email(ADA), question).with_session("s")).await.unwrap()
}

/// A question in the thread that all share.
pub(crate) async fn shared(omni: &Omni, who: &str, question: &str) -> Answer {
    let key = ThreadKey::new("default", "slack", "C1", "1.2");
    let ask = Ask::new(Principal::email(who), question).with_source(Source::Slack);
    omni.ask(ask.with_thread(key, Place::Channel("C1".into()))).await.unwrap()
}

/// The messages of the newest request.
pub(crate) fn messages(vendor: &Vendor) -> Vec<Value> {
    let last = vendor.requests().pop().unwrap().body;
    last["messages"].as_array().unwrap().clone()
}

/// How many rules were set for what questions bring along, in every kind of place.
pub(crate) fn bringing(max_messages: u32) -> ThreadRules {
    let mut rules = ThreadRules::default();
    (rules.own, rules.channels) = (ContextRules::new(max_messages), ContextRules::new(max_messages));
    rules
}

/// Questions that lead to all kinds of turns; results are short.
pub(crate) fn question(n: usize) -> String {
    match n % 4 {
        0 => format!("#plain Answer {n}."),
        1 => format!(r#"#tool lab__echo {{"message":"result {n}"}}"#),
        2 => format!(r#"#thinktool lab__echo {{"message":"thought {n}"}}"#),
        _ => format!(r#"#parallel lab__echo {{"message":"{n} a"}} ;; lab__echo {{"message":"{n} b"}}"#),
    }
}

#[tokio::test]
async fn a_request_begins_with_the_bytes_of_the_one_before_while_nothing_is_trimmed() {
    for name in ["anthropic", "openai"] {
        let vendor = Vendor::start().await;
        vendor.check_prefixes();
        let omni = omni_with(name, &vendor, |builder| builder.thread_rules(bringing(100))).await;
        let mut before = 0;
        for n in 0..12 {
            assert_eq!(ask(&omni, &question(n)).await.status, Status::Completed, "{name}");
            let now = messages(&vendor).len();
            assert!(now > before, "{name}: nothing is forgotten");
            before = now;
        }
        assert_eq!(vendor.violations(), Vec::<String>::new(), "{name}");
        omni.shutdown().await;
    }
}

#[tokio::test]
async fn trims_are_in_blocks_and_the_beginning_stays_between_them() {
    for name in ["anthropic", "openai"] {
        let vendor = Vendor::start().await;
        vendor.check_prefixes();
        let omni = omni_with(name, &vendor, |builder| builder.thread_rules(bringing(12))).await;
        let mut firsts = BTreeSet::new();
        for n in 0..20 {
            ask(&omni, &question(n)).await;
            let messages = messages(&vendor);
            let first = messages.iter().find(|message| message["role"] == "user").unwrap();
            firsts.insert(first.to_string().replace(r#""cache_control":{"type":"ephemeral"},"#, ""));
        }
        // Of six turns three stay: a beginning lasts for four questions.
        assert_eq!(firsts.len(), 5, "{name}");
        assert_eq!(vendor.violations(), Vec::<String>::new(), "{name}");
        omni.shutdown().await;
    }
}

/// The third and the fourth of the original's tests of threads.
#[tokio::test]
async fn a_question_brings_along_the_newest_turns_and_never_as_text_within_itself() {
    let vendor = Vendor::start().await;
    let omni = omni_with("anthropic", &vendor, |builder| builder).await;
    shared(&omni, ADA, "#plain Oracle is a database.").await;
    shared(&omni, ADA, "#plain It has sessions.").await;
    shared(&omni, ADA, "And what of those?").await;
    let told = messages(&vendor);
    let all = Value::from(told.clone()).to_string();
    assert_eq!(told.len(), 3, "of three messages before, the half turn is dropped: {all}");
    assert!(all.contains("It has sessions.") && !all.contains("Oracle"), "{all}");
    let question = told[2].to_string();
    assert!(question.contains("And what of those?") && !question.contains("sessions"), "{question}");
    omni.shutdown().await;
}

#[tokio::test]
async fn what_a_tool_returned_is_kept_in_short() {
    let vendor = Vendor::start().await;
    let omni = omni_with("anthropic", &vendor, |builder| builder).await;
    for turn in [Plan::calls(vec![("lab__dump".into(), "{}".into())]), Plan::text("Much.")] {
        vendor.push(Reply::Turn(turn));
    }
    ask(&omni, "What is in it?").await;
    assert!(Value::from(messages(&vendor)).to_string().len() > 9_000);
    ask(&omni, "#plain Fine.").await;
    let told = Value::from(messages(&vendor)).to_string();
    assert!(
        (4_000..6_000).contains(&told.len()) && told.contains("read_result reads the rest"),
        "{} bytes",
        told.len()
    );
    assert_eq!(vendor.violations(), Vec::<String>::new());
    omni.shutdown().await;
}

#[tokio::test]
async fn what_passes_the_budget_of_tokens_goes_oldest_first_and_in_whole_turns() {
    let vendor = Vendor::start().await;
    let mut rules = bringing(100);
    rules.max_tokens = 2_000;
    let omni = omni_with("anthropic", &vendor, |builder| builder.thread_rules(rules)).await;
    for n in 0..8 {
        ask(&omni, &format!("#plain Answer {n}. {}", "x".repeat(400))).await;
        let told = Value::from(messages(&vendor)).to_string();
        assert!(told.len() < 6_000 + 1_500, "{} bytes", told.len());
        assert!(n == 0 || told.contains(&format!("\"Answer {}. x", n - 1)), "the newest is there: {told}");
    }
    let told = messages(&vendor);
    assert!((3..15).contains(&told.len()) && !Value::from(told).to_string().contains("Answer 0."));
    assert_eq!(vendor.violations(), Vec::<String>::new());
    omni.shutdown().await;
}

#[tokio::test]
async fn a_door_with_threads_asks_where_an_answer_stands_and_which_threads_are_known() {
    let mut rules = bringing(4);
    rules.replies.always = false;
    let vendor = Vendor::start().await;
    let omni = omni_with("anthropic", &vendor, |builder| builder.thread_rules(rules.clone())).await;
    assert_eq!(omni.thread_rules(), rules);
    let key = |thread: &str| ThreadKey::new("default", "slack", "C1", thread);
    assert!(!omni.knows_thread(&key("1.2")).await.unwrap());
    let ask = Ask::new(Principal::email(ADA), "#401 Hi").with_source(Source::Slack);
    omni.ask(ask.with_thread(key("1.2"), Place::Channel("C1".into()))).await.unwrap_err();
    assert!(!omni.knows_thread(&key("1.2")).await.unwrap(), "what failed is no part of it");
    shared(&omni, ADA, "#plain Hello.").await;
    assert!(omni.knows_thread(&key("1.2")).await.unwrap() && !omni.knows_thread(&key("1.3")).await.unwrap());
    omni.shutdown().await;
}

pub(crate) fn roles(bobs: Arc<RuleSet>) -> MemoryPolicy {
    let adas = RuleSet::builder().allow("lab", "echo").build().unwrap();
    MemoryPolicy::new().with_subject(ADA, Role::new("qa"), adas, Quota::default()).with_subject(
        BOB,
        Role::new("boss"),
        bobs,
        Quota::default(),
    )
}

/// Bob has the model think and call both tools, and it answers without saying what they returned.
pub(crate) async fn bob_asks(omni: &Omni, vendor: &Vendor) {
    let calls = ["lab__echo", "lab__salaries"].map(|name| (name.to_owned(), r#"{"message":"hello"}"#.to_owned()));
    vendor.push(Reply::Turn(Plan::calls(calls.into())));
    vendor.push(Reply::Turn(Plan::text("All is well.")));
    shared(omni, BOB, "How is it?").await;
}

#[tokio::test]
async fn two_people_in_one_thread_are_each_told_what_they_may_know() {
    for name in ["anthropic", "openai"] {
        let vendor = Vendor::start().await;
        let omni =
            omni_with(name, &vendor, |builder| builder.policy(roles(RuleSet::allow_all())).thread_rules(bringing(50)))
                .await;
        bob_asks(&omni, &vendor).await;

        shared(&omni, ADA, "#plain Hello Ada.").await;
        let told = vendor.requests().pop().unwrap().body.to_string();
        assert!(!told.contains("4711") && !told.contains("salaries"), "{name}: {told}");
        assert!(told.contains("All is well.") && told.contains("hello"), "what is not secret is told: {told}");
        assert!(told.contains(&format!("This was asked by {BOB}")), "{name}: {told}");
        assert!(told.contains("left out"), "{name}: {told}");

        shared(&omni, BOB, "#plain Hello Bob.").await;
        let told = vendor.requests().pop().unwrap().body.to_string();
        assert!(told.contains("4711") && told.contains("Hello Ada."), "{name}: {told}");
        assert!(told.contains(&format!("This was asked by {ADA}")) && !told.contains("left out"), "{name}: {told}");
        assert_eq!(vendor.violations(), Vec::<String>::new(), "{name}");
        omni.shutdown().await;
    }
}

#[tokio::test]
async fn what_the_model_thought_is_told_to_nobody_and_its_calls_to_those_who_may_use_them() {
    let vendor = Vendor::start().await;
    let change = |builder: OmniBuilder| builder.policy(roles(RuleSet::allow_all())).thread_rules(bringing(50));
    let omni = omni_with("anthropic", &vendor, change).await;
    shared(&omni, BOB, r#"#thinktool lab__salaries {"of":"Eve"}"#).await;
    for (who, is_told) in [(ADA, false), (BOB, true)] {
        shared(&omni, who, "#plain Hello.").await;
        let told = Value::from(messages(&vendor)).to_string();
        assert!(!told.contains("I should call a tool") && told.contains("tool_use") == is_told, "{who}: {told}");
    }
    assert_eq!(vendor.violations(), Vec::<String>::new());
    omni.shutdown().await;
}

#[tokio::test]
async fn a_third_question_in_a_channel_whose_model_thinks_is_answered() {
    let vendor = Vendor::start().await;
    let omni = omni_with("anthropic", &vendor, |builder| builder).await;
    for who in [ADA, BOB, ADA, BOB] {
        let answer = shared(&omni, who, r#"#thinktool lab__echo {"message":"hello"}"#).await;
        assert_eq!((answer.status, answer.iterations), (Status::Completed, 2), "{who}");
    }
    assert_eq!(vendor.violations(), Vec::<String>::new());
    omni.shutdown().await;
}

#[tokio::test]
async fn the_grant_of_now_decides_and_not_that_of_then() {
    let (vendor, store) = (Vendor::start().await, Arc::new(MemoryThreads::new()));
    let with = |bobs: Arc<RuleSet>| {
        let (store, rules) = (store.clone(), bringing(50));
        move |builder: OmniBuilder| builder.policy(roles(bobs)).threads(store).thread_rules(rules)
    };
    let before = omni_with("anthropic", &vendor, with(RuleSet::allow_all())).await;
    bob_asks(&before, &vendor).await;
    before.shutdown().await;
    let now = RuleSet::builder().allow("lab", "*").deny("lab", "salaries").build().unwrap();
    let after = omni_with("anthropic", &vendor, with(now)).await;
    shared(&after, BOB, "#plain Hello.").await;
    let told = vendor.requests().pop().unwrap().body.to_string();
    assert!(!told.contains("4711") && !told.contains("salaries") && told.contains("All is well."), "{told}");
    assert_eq!(vendor.violations(), Vec::<String>::new());
    after.shutdown().await;
}

#[tokio::test]
async fn an_ask_that_ran_out_of_time_is_part_of_its_conversation_and_one_that_failed_is_not() {
    let vendor = Vendor::start().await;
    let omni = omni_with("anthropic", &vendor, |builder| builder).await;
    let mut options = AskOptions::default();
    options.timeout = Some(Duration::from_secs(2));
    let slow = Ask::new(Principal::email(ADA), "#hang Please?").with_session("s").with_options(options);
    assert_eq!(omni.ask(slow).await.unwrap().status, Status::Timeout);
    for broken in ["#cut Broken?", "#401 Wrong?"] {
        assert!(omni.ask(Ask::new(Principal::email(ADA), broken).with_session("s")).await.is_err());
    }
    ask(&omni, "#refusal Refused?").await;
    ask(&omni, "#plain Fine.").await;
    let told = messages(&vendor);
    let all = Value::from(told.clone()).to_string();
    assert_eq!(told.len(), 3, "{all}");
    assert!(all.contains("Please?") && all.contains("(Stopped after 2.0 s.)"), "{all}");
    assert_eq!(vendor.violations(), Vec::<String>::new());
    omni.shutdown().await;
}

/// Fails as it is told to, and counts what it is asked.
#[derive(Debug, Default)]
struct Broken {
    reads: bool,
    panics: bool,
    hangs: bool,
    appends: AtomicUsize,
}

impl Broken {
    async fn answers(&self) {
        if self.hangs {
            std::future::pending::<()>().await;
        }
    }
}

#[async_trait::async_trait]
impl ThreadStore for Broken {
    async fn history(&self, _: &ThreadKey, _: Most) -> Result<Vec<KeptTurn>, ThreadError> {
        self.answers().await;
        if self.reads { Ok(Vec::new()) } else { Err(ThreadError::new("it is away")) }
    }

    async fn append(&self, _: Append<'_>) -> Result<u64, ThreadError> {
        self.appends.fetch_add(1, Ordering::SeqCst);
        assert!(!self.panics, "it panics");
        Err(ThreadError::new("it is away"))
    }

    async fn list(&self, _: &ChannelKey, _: usize) -> Result<Vec<ThreadEntry>, ThreadError> {
        self.answers().await;
        Ok(Vec::new())
    }

    async fn delete(&self, _: &ThreadKey) -> Result<bool, ThreadError> {
        Ok(false)
    }

    async fn sweep(&self) -> Result<u64, ThreadError> {
        Ok(0)
    }

    async fn summary(&self, _: &ThreadKey) -> Result<Option<Summary>, ThreadError> {
        self.answers().await;
        Ok(None)
    }

    async fn summarize(&self, _: &ThreadKey, _: &Summary) -> Result<bool, ThreadError> {
        Ok(false)
    }
}

#[tokio::test]
async fn a_store_that_is_away_lets_nobody_be_answered_without_what_was_said() {
    let recorder = Recorder::default();
    let store = Arc::new(Broken::default());
    let omni = Omni::builder().threads(store.clone()).audit(recorder.clone()).build().await.unwrap();
    let failure = omni.ask_stream(Ask::new(Principal::email(ADA), "Hi").with_session("s")).collect().await.unwrap_err();
    assert!(matches!(failure.error, Error::Thread(_)) && failure.error.kind() == ErrorKind::Unavailable);
    assert!(omni.ask(Ask::new(Principal::email(ADA), "Hi")).await.is_ok(), "what stands alone needs no store");
    omni.shutdown().await;
    assert_eq!((recorder.closings(failure.answer.request_id).len(), store.appends.load(Ordering::SeqCst)), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_ever_for_conversations_of_a_store_that_does_not_answer() {
    let omni = Omni::builder().threads(Broken { hangs: true, ..Broken::default() }).build().await.unwrap();
    let (who, key) = (|| Principal::email(ADA), ThreadKey::new("default", "slack", "C1", "1.2"));
    let asked = async {
        [
            omni.threads(who(), Source::Embed).await.err(),
            omni.thread(who(), Source::Embed, "s").await.err(),
            omni.thread_summary(who(), Source::Embed, "s").await.err(),
            omni.delete_thread(who(), Source::Embed, "s").await.err(),
            omni.knows_thread(&key).await.err(),
        ]
    };
    let errors = tokio::time::timeout(Duration::from_secs(120), asked).await.unwrap();
    let kinds = errors.map(|error| error.map(|error| error.kind()));
    assert_eq!(kinds, [Some(ErrorKind::Unavailable); 5]);
    omni.shutdown().await;
}

#[tokio::test]
async fn an_answer_that_could_not_be_kept_is_an_answer_and_says_so() {
    for panics in [false, true] {
        let recorder = Recorder::default();
        let store = Broken { reads: true, panics, ..Broken::default() };
        let omni = Omni::builder().threads(store).audit(recorder.clone()).build().await.unwrap();
        let answer = omni.ask(Ask::new(Principal::email(ADA), "Hi").with_session("s")).await.unwrap();
        let codes: Vec<&str> = answer.warnings.iter().map(|warning| warning.code.as_str()).collect();
        assert_eq!((answer.status, codes, answer.thread.as_deref()), (Status::Completed, vec!["not_kept"], Some("s")));
        let mut begins = Ask::new(Principal::email(ADA), "Hi");
        begins.thread = Some(Conversation::New("new".into()));
        let begun = omni.ask(begins).await.unwrap();
        assert_eq!((begun.warnings[0].code.as_str(), begun.thread), ("not_kept", None), "there is no such session");
        omni.shutdown().await;
        assert_eq!(recorder.closings(answer.request_id).len(), 1);
    }
}
