//! Asks through both vendors' protocols, against a stand-in that checks every request.

use std::{sync::Arc, time::Duration};

use omni_core::{
    Answer, Ask, ErrorKind, LlmProvider, Omni, Principal,
    answer::{CallStatus, Failure, Status},
    ask::AskOptions,
    ledger::Outcome,
    llm::{anthropic::Anthropic, openai::OpenAi},
};
use omni_tests::{
    recorder::Recorder,
    server::{FakeServer, any, text},
    vendor::{KEY, Vendor},
};

struct Rig {
    name: &'static str,
    vendor: Vendor,
    omni: Omni,
    recorder: Recorder,
    server: FakeServer,
}

fn anthropic(vendor: &Vendor, key: &str) -> Arc<dyn LlmProvider> {
    Arc::new(Anthropic::builder().base_url(vendor.base_url()).api_key(key).build().unwrap())
}

fn openai(vendor: &Vendor, key: &str) -> Arc<dyn LlmProvider> {
    Arc::new(OpenAi::builder().base_url(vendor.base_url()).api_key(key).build().unwrap())
}

async fn rig_with(name: &'static str, key: &str) -> Rig {
    let vendor = Vendor::start().await;
    let llm = if name == "anthropic" { anthropic(&vendor, key) } else { openai(&vendor, key) };
    let server = FakeServer::echo()
        .tool("count", any(), |arguments| Box::pin(async move { Ok(text(&format!("counted {}", arguments["n"]))) }));
    let recorder = Recorder::default();
    let builder = Omni::builder().llm(llm).server("lab", server.clone()).audit(recorder.clone());
    Rig { name, omni: builder.build().await.unwrap(), vendor, recorder, server }
}

async fn rigs() -> [Rig; 2] {
    [rig_with("anthropic", KEY).await, rig_with("openai", KEY).await]
}

impl Rig {
    async fn ask(&self, question: &str) -> Result<Answer, Failure> {
        self.omni.ask_stream(Ask::new(Principal::email("ada@company.com"), question)).collect().await
    }

    /// Every request was one that the vendor accepts, and every ask has its one record.
    async fn done(self, asks: usize) -> Vec<Outcome> {
        self.omni.shutdown().await;
        assert_eq!(self.vendor.violations(), Vec::<String>::new(), "{}", self.name);
        let records = self.recorder.records();
        let mut ids: Vec<_> = records.iter().map(|record| record.request_id).filter(|id| !id.is_nil()).collect();
        ids.dedup();
        assert_eq!(ids.len(), asks, "{}", self.name);
        ids.into_iter().flat_map(|id| self.recorder.closings(id)).collect()
    }
}

#[tokio::test]
async fn a_plain_answer() {
    for rig in rigs().await {
        let answer = rig.ask("#plain Good morning.").await.unwrap();
        assert_eq!((answer.text.as_str(), answer.status), ("Good morning.", Status::Completed), "{}", rig.name);
        assert_eq!(answer.stop_reason.as_deref(), Some("end_turn"));
        assert!(answer.usage.input > 0 && answer.usage.output > 0 && !answer.usage.estimated);
        assert_eq!(rig.done(1).await, [Outcome::Success]);
    }
}

#[tokio::test]
async fn one_call_and_its_result() {
    for rig in rigs().await {
        rig.vendor.check_prefixes();
        let answer = rig.ask(r#"#tool lab__echo {"message":"hello there"}"#).await.unwrap();
        assert!(answer.text.contains("hello there"), "{}: {}", rig.name, answer.text);
        assert_eq!((answer.tool_calls[0].status, answer.iterations), (CallStatus::Ok, 2));
        assert_eq!(rig.done(1).await, [Outcome::Success]);
    }
}

#[tokio::test]
async fn three_parallel_calls() {
    for rig in rigs().await {
        let question = r#"#parallel lab__count {"n":1} ;; lab__count {"n":2} ;; lab__count {"n":3}"#;
        let answer = rig.ask(question).await.unwrap();
        assert_eq!((answer.tool_calls.len(), answer.iterations), (3, 2), "{}", rig.name);
        assert!(
            ["counted 1", "counted 2", "counted 3"].iter().all(|part| answer.text.contains(part)),
            "{}",
            answer.text
        );
        assert_eq!(rig.done(1).await, [Outcome::Success]);
    }
}

#[tokio::test]
async fn a_loop_of_three_steps_keeps_its_prefix() {
    for rig in rigs().await {
        rig.vendor.check_prefixes();
        let answer = rig.ask(r#"#loop 3 lab__count {"n":$n}"#).await.unwrap();
        assert_eq!((answer.tool_calls.len(), answer.iterations), (3, 4), "{}", rig.name);
        assert_eq!(rig.done(1).await, [Outcome::Success]);
    }
}

#[tokio::test]
async fn the_same_call_for_ever_is_broken_off() {
    for rig in rigs().await {
        let answer = rig.ask(r#"#same lab__echo {"message":"again"}"#).await.unwrap();
        assert_eq!((answer.warnings[0].code.as_str(), rig.server.calls()), ("tool_loop", 3), "{}", rig.name);
        assert_eq!(rig.done(1).await, [Outcome::Warning]);
    }
}

#[tokio::test]
async fn a_tool_that_was_not_offered() {
    for rig in rigs().await {
        let answer = rig.ask("#notoffered").await.unwrap();
        assert_eq!(
            (answer.status, answer.tool_calls[0].status),
            (Status::Completed, CallStatus::Error),
            "{}",
            rig.name
        );
        assert_eq!(rig.server.calls(), 0);
        assert_eq!(rig.done(1).await, [Outcome::Success]);
    }
}

#[tokio::test]
async fn arguments_that_are_no_json() {
    for rig in rigs().await {
        let answer = rig.ask("#badargs lab__echo").await.unwrap();
        assert_eq!((answer.status, rig.server.calls()), (Status::Completed, 0), "{}", rig.name);
        let error = answer.tool_calls[0].error.clone().unwrap();
        assert!(error.contains("not valid JSON"), "{error}");
        assert_eq!(rig.done(1).await, [Outcome::Success]);
    }
}

#[tokio::test]
async fn arguments_that_break_the_schema_are_corrected_by_the_model() {
    for rig in rigs().await {
        let answer = rig.ask(r#"#schemaargs lab__echo {"message":"better"}"#).await.unwrap();
        let statuses: Vec<_> = answer.tool_calls.iter().map(|call| call.status).collect();
        assert_eq!((statuses, rig.server.calls()), (vec![CallStatus::Error, CallStatus::Ok], 1), "{}", rig.name);
        assert_eq!(rig.done(1).await, [Outcome::Success]);
    }
}

#[tokio::test]
async fn an_answer_that_is_cut_by_the_output_limit_says_so() {
    for rig in rigs().await {
        let answer = rig.ask("#max_tokens").await.unwrap();
        assert_eq!(answer.warnings[0].code, "max_tokens", "{}", rig.name);
        assert_eq!(rig.done(1).await, [Outcome::Warning]);
    }
}

#[tokio::test]
async fn a_refusal_is_no_answer_and_says_so() {
    for rig in rigs().await {
        let answer = rig.ask("#refusal").await.unwrap();
        assert_eq!((answer.status, answer.warnings[0].code.as_str()), (Status::Failed, "refusal"), "{}", rig.name);
        assert!(!answer.text.is_empty());
        assert_eq!(rig.done(1).await, [Outcome::Warning]);
    }
}

#[tokio::test]
async fn a_rate_limit_and_an_overload_are_waited_out() {
    for rig in rigs().await {
        let started = tokio::time::Instant::now();
        assert_eq!(rig.ask("#429 n=1 retry=1").await.unwrap().status, Status::Completed, "{}", rig.name);
        assert!(started.elapsed() >= Duration::from_secs(1), "retry-after is kept");
        assert_eq!(rig.ask("#529 n=1").await.unwrap().status, Status::Completed, "{}", rig.name);
        assert_eq!(rig.done(2).await, [Outcome::Success, Outcome::Success]);
    }
}

#[tokio::test]
async fn a_stream_that_is_cut_malformed_or_ends_in_an_error_fails_with_what_there_was() {
    for rig in rigs().await {
        for question in ["#cut", "#malformed", "#streamerror"] {
            let failure = rig.ask(question).await.unwrap_err();
            let kind = failure.error.kind();
            assert!(matches!(kind, ErrorKind::Failed | ErrorKind::Unavailable), "{} {question}: {kind:?}", rig.name);
            assert!(failure.answer.usage.estimated, "{} {question}", rig.name);
        }
        assert_eq!(rig.done(3).await, [Outcome::Error; 3]);
    }
}

#[tokio::test]
async fn a_slow_drip_is_read_to_its_end_and_a_hang_ends_at_the_deadline() {
    for rig in rigs().await {
        assert_eq!(rig.ask("#slow ms=20").await.unwrap().status, Status::Completed, "{}", rig.name);
        let mut options = AskOptions::default();
        options.timeout = Some(Duration::from_millis(500));
        let ask = Ask::new(Principal::email("ada@company.com"), "#hang").with_options(options);
        let answer = rig.omni.ask_stream(ask).collect().await.unwrap();
        assert_eq!((answer.status, answer.warnings[0].code.as_str()), (Status::Timeout, "timeout"), "{}", rig.name);
        for _ in 0..200 {
            if rig.vendor.abandoned() == 1 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(rig.vendor.abandoned(), 1, "the vendor is told that nobody listens any more");
        assert_eq!(rig.done(2).await, [Outcome::Success, Outcome::Warning]);
    }
}

#[tokio::test]
async fn a_wrong_key_names_the_variable_that_holds_it() {
    for (name, variable) in [("anthropic", "ANTHROPIC_API_KEY"), ("openai", "OPENAI_API_KEY")] {
        let rig = rig_with(name, "wrong").await;
        let failure = rig.ask("#plain hi").await.unwrap_err();
        assert_eq!(failure.error.kind(), ErrorKind::Config);
        let message = failure.error.to_string();
        assert!(message.contains(variable) && !message.contains("wrong"), "{message}");
        assert_eq!(rig.done(1).await, [Outcome::Error]);
    }
}

#[tokio::test]
async fn a_paused_turn_goes_on_and_a_signed_thought_comes_back_unchanged() {
    let rig = rig_with("anthropic", KEY).await;
    assert_eq!(rig.ask("#pause").await.unwrap().status, Status::Completed);
    assert_eq!(rig.ask(r#"#thinktool lab__echo {"message":"hm"}"#).await.unwrap().status, Status::Completed);
    assert_eq!(rig.done(2).await, [Outcome::Success, Outcome::Success]);
}

#[tokio::test]
async fn usage_is_priced_with_what_the_cache_gave() {
    let rig = rig_with("anthropic", KEY).await;
    let answer = rig.ask("#usage in=140 out=346 cache=7589").await.unwrap();
    assert_eq!((answer.usage.input, answer.usage.output, answer.usage.cache_read), (140, 346, 7_589));
    // claude-haiku-5-5, prompt up to 100k: 0.10, 0.50 and 0.01 dollars per million.
    assert_eq!(answer.cost.unwrap().0, 140 * 100 + 346 * 500 + 7_589 * 10);
    rig.done(1).await;
}

#[tokio::test]
async fn text_that_is_torn_within_characters_arrives_whole() {
    for rig in rigs().await {
        let answer = rig.ask("#unicode").await.unwrap();
        assert!(!answer.text.contains('\u{fffd}') && !answer.text.is_ascii(), "{}: {}", rig.name, answer.text);
        rig.done(1).await;
    }
}

#[tokio::test]
async fn a_tool_whose_schema_the_vendor_would_refuse_does_not_fail_the_request() {
    for name in ["anthropic", "openai"] {
        let vendor = Vendor::start().await;
        let llm = if name == "anthropic" { anthropic(&vendor, KEY) } else { openai(&vendor, KEY) };
        let odd =
            serde_json::json!({ "anyOf": [{ "type": "object", "properties": { "a": {} } }, { "type": "object" }] });
        let broken =
            serde_json::json!({ "type": "object", "properties": { "bad key!": {} }, "required": ["bad key!"] });
        let hello = |_| -> futures::future::BoxFuture<'static, _> { Box::pin(async { Ok(text("hello")) }) };
        let server = FakeServer::echo().tool("odd", odd, hello).tool("broken", broken, hello);
        let omni =
            Omni::builder().llm(llm).server("a.very.long.server name with spaces", server).build().await.unwrap();
        let answer = omni.ask(Ask::new(Principal::email("ada@company.com"), "#plain fine")).await.unwrap();
        assert_eq!(answer.text, "fine", "{name}");
        assert_eq!(vendor.violations(), Vec::<String>::new(), "{name}");
        omni.shutdown().await;
    }
}
