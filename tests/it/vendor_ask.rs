//! Asks through both vendors' protocols, against a stand-in that checks every request.

use std::{sync::Arc, time::Duration};

use omni_core::{
    Answer, Ask, ErrorKind, LlmProvider, Omni, Principal,
    answer::{CallStatus, Failure, Status},
    ask::AskOptions,
    cost::NanoUsd,
    ledger::Outcome,
    llm::{Usage, anthropic::Anthropic, openai::OpenAi},
    policy::AskBounds,
};
use omni_tests::{
    recorder::Recorder,
    server::{FakeServer, any, text},
    vendor::{KEY, Reply, Vendor},
};
use serde_json::{Value, json};

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
    let server = FakeServer::echo()
        .tool("count", any(), |arguments| Box::pin(async move { Ok(text(&format!("counted {}", arguments["n"]))) }));
    rig_of(name, key, server).await
}

async fn rig_of(name: &'static str, key: &str, server: FakeServer) -> Rig {
    let vendor = Vendor::start().await;
    let llm = if name == "anthropic" { anthropic(&vendor, key) } else { openai(&vendor, key) };
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
async fn a_rate_limit_an_overload_and_a_fault_are_waited_out() {
    for rig in rigs().await {
        for question in ["#429 n=1 retry=1", "#529 n=1", "#500 n=1"] {
            assert_eq!(rig.ask(question).await.unwrap().status, Status::Completed, "{} {question}", rig.name);
        }
        let statuses: Vec<u16> = rig.vendor.requests().iter().map(|seen| seen.status).collect();
        assert_eq!(statuses, [429, 200, 529, 200, 500, 200], "{}", rig.name);
        assert_eq!(rig.done(3).await, [Outcome::Success; 3]);
    }
}

#[tokio::test]
async fn an_answer_of_which_nothing_came_is_asked_for_once_more_and_both_are_counted() {
    for rig in rigs().await {
        rig.vendor.push(Reply::Raw(": nothing\n\n".into()));
        let answer = rig.ask("#plain Good morning.").await.unwrap();
        assert_eq!((answer.text.as_str(), answer.iterations), ("Good morning.", 2), "{}", rig.name);
        assert!(answer.usage.estimated && answer.usage.output > 4_096, "{}: {:?}", rig.name, answer.usage);
        assert_eq!(rig.vendor.requests().len(), 2, "{}", rig.name);
        assert_eq!(rig.done(1).await, [Outcome::Success]);
    }
}

#[tokio::test]
async fn an_answer_of_which_nothing_came_is_not_asked_for_again_where_no_retries_are_wanted() {
    for name in ["anthropic", "openai"] {
        let vendor = Vendor::start().await;
        let llm: Arc<dyn LlmProvider> = match name {
            "anthropic" => {
                let builder = Anthropic::builder().base_url(vendor.base_url()).api_key(KEY);
                Arc::new(builder.max_retries(0).build().unwrap())
            }
            _ => Arc::new(OpenAi::builder().base_url(vendor.base_url()).api_key(KEY).max_retries(0).build().unwrap()),
        };
        vendor.push(Reply::Raw(": nothing\n\n".into()));
        let omni = Omni::builder().llm(llm).build().await.unwrap();
        let ask = Ask::new(Principal::email("ada@company.com"), "#plain Good morning.");
        let failure = omni.ask_stream(ask).collect().await.unwrap_err();
        assert_eq!((failure.error.kind(), vendor.requests().len()), (ErrorKind::Failed, 1), "{name}");
        assert_eq!((failure.answer.usage.output, failure.answer.iterations), (4_096, 1), "{name}: it may be charged");
        omni.shutdown().await;
    }
}

#[tokio::test]
async fn an_answer_that_came_and_could_not_be_read_is_counted_at_its_bound_and_a_web_page_at_nothing() {
    for rig in rigs().await {
        for (kind, body, iterations) in [
            ("application/json", r#"{"status":"ok"}"#, 1_u32),
            ("text/event-stream", "data: {\n\n", 1),
            ("text/html", "<p>", 0),
        ] {
            rig.vendor.push(Reply::Body(200, kind.into(), body.into()));
            let failure = rig.ask("#plain Good morning.").await.unwrap_err();
            assert_eq!(failure.error.kind(), ErrorKind::Failed, "{} {kind}", rig.name);
            let counted = (failure.answer.iterations, failure.answer.usage.output);
            assert_eq!(counted, (iterations, u64::from(iterations) * 4_096), "{} {kind}", rig.name);
        }
        assert_eq!(rig.done(3).await, [Outcome::Error; 3]);
    }
}

#[tokio::test]
async fn a_stream_that_is_cut_malformed_or_ends_in_an_error_fails_with_what_there_was() {
    for rig in rigs().await {
        for question in ["#cut", "#malformed", "#streamerror"] {
            let failure = rig.ask(question).await.unwrap_err();
            let kind = failure.error.kind();
            assert!(matches!(kind, ErrorKind::Failed | ErrorKind::Unavailable), "{} {question}: {kind:?}", rig.name);
            let usage = failure.answer.usage;
            assert!(usage.estimated && usage.input > 0, "{} {question}: {usage:?}", rig.name);
            assert_eq!(usage.output, 4_096, "{} {question}: a turn that broke off settles at its bound", rig.name);
        }
        assert_eq!(rig.done(3).await, [Outcome::Error; 3]);
    }
}

#[tokio::test]
async fn a_slow_drip_is_read_to_its_end_and_a_hang_ends_at_the_deadline() {
    for rig in rigs().await {
        assert_eq!(rig.ask("#slow ms=20").await.unwrap().status, Status::Completed, "{}", rig.name);
        let mut options = AskOptions::default();
        options.timeout = Some(Duration::from_secs(3));
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
async fn a_wrong_key_names_where_it_is_set_and_costs_nothing() {
    for (name, variable) in [("anthropic", "ANTHROPIC_API_KEY"), ("openai", "OPENAI_API_KEY")] {
        let rig = rig_with(name, "wrong").await;
        let failure = rig.ask("#plain hi").await.unwrap_err();
        assert_eq!(failure.error.kind(), ErrorKind::Config);
        let message = failure.error.to_string();
        assert!(message.contains(variable) && message.contains("llm.api_key"), "{message}");
        assert!(!message.contains("wrong"), "{message}");
        let answer = failure.answer;
        assert_eq!((answer.usage, answer.cost, answer.iterations), (Usage::default(), Some(NanoUsd(0)), 0));
        assert_eq!(rig.done(1).await, [Outcome::Error]);
    }
}

#[tokio::test]
async fn a_paused_turn_goes_on_and_a_signed_thought_comes_back_unchanged() {
    let rig = rig_with("anthropic", KEY).await;
    let paused = rig.ask("#pause").await.unwrap();
    assert_eq!((paused.text.as_str(), paused.iterations), ("Still working.\n\nYou said: Go on.", 2));
    let paused = rig.ask("#pause_tool").await.unwrap();
    assert_eq!((paused.text.as_str(), paused.iterations), ("Done after the pause.", 2));
    assert_eq!(rig.ask(r#"#thinktool lab__echo {"message":"hm"}"#).await.unwrap().status, Status::Completed);
    assert_eq!(rig.done(3).await, [Outcome::Success; 3]);
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
async fn a_call_that_the_output_limit_cut_is_not_carried_out() {
    let schema = json!({ "type": "object", "properties": { "limit": { "type": "integer" } } });
    for name in ["anthropic", "openai"] {
        let server = FakeServer::new().tool("purge", schema.clone(), |_| Box::pin(async { Ok(text("purged")) }));
        let rig = rig_of(name, KEY, server).await;
        let answer = rig.ask("#max_tokens_tool lab__purge").await.unwrap();
        assert_eq!((answer.status, rig.server.calls()), (Status::Completed, 0), "{name}");
        assert!(answer.text.contains("the output limit cut this call off"), "{name}: {}", answer.text);
        assert_eq!(answer.tool_calls[0].status, CallStatus::Error);
        assert_eq!(rig.done(1).await, [Outcome::Success]);
    }
}

/// A turn of two calls of `echo` with one and the same id, and the turn that ends the answer.
fn repeated_ids(dialect: &str) -> [String; 2] {
    if dialect == "openai" {
        let call = |index: u32, id: &str| {
            let function = json!({ "name": "lab__echo", "arguments": format!("{{\"message\":\"{index}\"}}") });
            json!({ "index": index, "id": id, "type": "function", "function": function })
        };
        let chunk = |delta: Value, finish: Value| {
            format!("data: {}\n\n", json!({ "choices": [{ "index": 0, "delta": delta, "finish_reason": finish }] }))
        };
        let calls = chunk(json!({ "tool_calls": [call(0, "c"), call(1, "c")] }), json!("tool_calls"));
        return [calls, chunk(json!({ "content": "Twice." }), json!("stop"))].map(|turn| turn + "data: [DONE]\n\n");
    }
    let event = |data: Value| format!("data: {data}\n\n");
    let block = |index: u32, block: Value| {
        event(json!({ "type": "content_block_start", "index": index, "content_block": block }))
            + &event(json!({ "type": "content_block_stop", "index": index }))
    };
    let end = |stop: &str| {
        event(json!({ "type": "message_delta", "delta": { "stop_reason": stop } }))
            + &event(json!({ "type": "message_stop" }))
    };
    let call = |index: u32| {
        let input = json!({ "message": index.to_string() });
        block(index, json!({ "type": "tool_use", "name": "lab__echo", "input": input }))
    };
    [call(0) + &call(1) + &end("tool_use"), block(0, json!({ "type": "text", "text": "Twice." })) + &end("end_turn")]
}

#[tokio::test]
async fn calls_that_a_server_gives_the_same_id_or_none_are_each_carried_out_once() {
    for rig in rigs().await {
        let [calls, end] = repeated_ids(rig.name);
        for turn in [calls.clone(), calls, end] {
            rig.vendor.push(Reply::Raw(turn));
        }
        let answer = rig.ask("twice").await.unwrap();
        assert_eq!((answer.text.as_str(), answer.iterations, rig.server.calls()), ("Twice.", 3, 4), "{}", rig.name);
        assert!(answer.usage.estimated, "a server that does not count is not one that costs nothing");
        assert_eq!(rig.done(1).await, [Outcome::Success]);
    }
}

#[tokio::test]
async fn a_spent_quota_is_told_at_once_and_costs_nothing() {
    for rig in rigs().await {
        let failure = rig.ask("#quota").await.unwrap_err();
        assert!(failure.error.to_string().contains("no credit left"), "{}", failure.error);
        assert_eq!((failure.answer.usage, rig.vendor.requests().len()), (Usage::default(), 1), "{}", rig.name);
        assert_eq!(rig.done(1).await, [Outcome::Error]);
    }
}

#[tokio::test]
async fn a_full_window_and_an_empty_answer_say_what_they_are() {
    let rig = rig_with("anthropic", KEY).await;
    let full = rig.ask("#context").await.unwrap();
    assert_eq!((full.status, full.warnings[0].code.as_str()), (Status::Failed, "context_exceeded"));
    assert_eq!(rig.done(1).await, [Outcome::Warning]);
    for rig in rigs().await {
        let empty = rig.ask("#empty").await.unwrap();
        assert_eq!(empty.warnings[0].code, "empty_answer", "{}", rig.name);
        assert!(!empty.text.is_empty());
        assert_eq!(rig.done(1).await, [Outcome::Warning]);
    }
}

#[tokio::test]
async fn a_prefix_is_marked_for_the_cache_and_what_is_written_to_it_is_priced() {
    let rig = rig_with("anthropic", KEY).await;
    let written = json!({ "ephemeral_5m_input_tokens": 1_000, "ephemeral_1h_input_tokens": 2_000 });
    let usage = json!({ "input_tokens": 10, "cache_creation_input_tokens": 3_000, "cache_creation": written, "output_tokens": 5 });
    let [_, end] = repeated_ids("anthropic");
    let start = json!({ "type": "message_start", "message": { "usage": usage } });
    rig.vendor.push(Reply::Raw(format!("data: {start}\n\n{end}")));

    let answer = rig.ask("hello").await.unwrap();

    // claude-haiku-5-5: 0.10 and 0.50 dollars per million, 0.125 and 0.20 for what is written.
    assert_eq!(answer.cost.unwrap().0, 10 * 100 + 5 * 500 + 1_000 * 125 + 2_000 * 200);
    let body = rig.vendor.requests().remove(0).body;
    let last = |list: &Value| list.as_array().unwrap().last().unwrap().clone();
    for part in [last(&body["system"]), last(&body["tools"]), last(&last(&body["messages"])["content"])] {
        assert_eq!(part["cache_control"], json!({ "type": "ephemeral" }), "{part}");
    }
    rig.done(1).await;
}

#[tokio::test]
async fn no_turn_may_say_more_than_the_token_budget_leaves() {
    let vendor = Vendor::start().await;
    let mut bounds = AskBounds::default();
    bounds.max_tokens = Some(3_000);
    let builder = Omni::builder().llm(anthropic(&vendor, KEY)).server("lab", FakeServer::echo()).bounds(bounds);
    let omni = builder.build().await.unwrap();
    let question = r#"#loop 2 lab__echo {"message":"$n"}"#;
    let answer = omni.ask(Ask::new(Principal::email("ada@company.com"), question)).await.unwrap();
    omni.shutdown().await;
    let asked: Vec<u64> = vendor.requests().iter().map(|seen| seen.body["max_tokens"].as_u64().unwrap()).collect();
    assert_eq!(asked[0], 3_000);
    assert!(asked.is_sorted_by(|before, after| before > after) && asked.len() > 1, "{asked:?}, {:?}", answer.usage);
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
        let recorder = Recorder::default();
        let builder = Omni::builder().llm(llm).server("a.very.long.server name with spaces", server);
        let omni = builder.audit(recorder.clone()).build().await.unwrap();
        let answer = omni.ask(Ask::new(Principal::email("ada@company.com"), "#plain fine")).await.unwrap();
        assert_eq!(answer.text, "fine", "{name}");
        assert_eq!(vendor.violations(), Vec::<String>::new(), "{name}");
        let told = |what: &str| answer.warnings.iter().any(|w| w.code == "llm" && w.message.contains(what));
        assert!(told(".odd"), "{name}: {:?}", answer.warnings);
        // Only Anthropic has rules for the names of properties.
        assert_eq!(told(".broken is left out"), name == "anthropic", "{:?}", answer.warnings);
        let body = &vendor.requests()[0].body;
        let offered = body["tools"].to_string();
        assert!(offered.contains("__echo\""), "{name}: {offered}");
        omni.shutdown().await;
        assert_eq!(recorder.closings(answer.request_id), [Outcome::Success], "a note makes no answer worse");
    }
}
