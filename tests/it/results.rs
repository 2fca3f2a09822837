//! What tools returned is kept for whoever asked: for the model in later questions, and for every door.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use omni_core::{
    Answer, Ask, Error, ErrorKind, Omni, OmniBuilder, Principal, Source,
    answer::CallStatus,
    config::StoreContent,
    ledger::Outcome,
    llm::{
        Block, ChatRequest, Message, ResultPart,
        scripted::{Scripted, call_turn, text_turn},
    },
    policy::{Quota, Role, RuleSet, memory::MemoryPolicy},
    redact::Redactor,
    results::{ResultFilter, ResultRules, csv, memory::MemoryResults},
    thread::{ContextRules, Place, ThreadKey, ThreadRules, memory::MemoryThreads},
};
use omni_tests::{
    recorder::Recorder,
    server::{FakeServer, any, text},
};
use serde_json::json;

const ADA: &str = "ada@company.com";
const EVE: &str = "eve@company.com";
/// Where the second page begins.
const PAGE: usize = 8 * 1024;

/// A thousand numbered lines: more than a page.
fn lines() -> String {
    (0..1_000).map(|n| format!("row {n:04}|\n")).collect()
}

fn lab() -> FakeServer {
    FakeServer::echo()
        .tool("dump", any(), |_| Box::pin(async { Ok(text(&lines())) }))
        .tool("rows", any(), |_| {
            Box::pin(async {
                Ok(json!({ "content": [], "structuredContent": { "rows": [{ "a": 1 }, { "b": "=2" }] } }))
            })
        })
        .tool("fail", any(), |_| {
            Box::pin(async { Ok(json!({ "content": [{ "type": "text", "text": "no" }], "isError": true })) })
        })
}

/// What the model was asked, and a pipeline over it.
struct Lab {
    omni: Omni,
    server: FakeServer,
    recorder: Recorder,
    requests: Arc<Mutex<Vec<ChatRequest>>>,
}

impl Lab {
    /// A model that calls the tool that a question names with its arguments, and says what came of it. `more ID`
    /// reads the second page of a result; where no id is given, of the one that was named first.
    async fn new(change: impl FnOnce(OmniBuilder) -> OmniBuilder) -> Self {
        let (server, recorder, requests) = (lab(), Recorder::default(), Arc::<Mutex<Vec<ChatRequest>>>::default());
        let (seen, turns) = (requests.clone(), AtomicUsize::new(0));
        let llm = Scripted::from_fn(move |request| {
            seen.lock().unwrap().push(request.clone());
            let last = request.messages.last().unwrap();
            if last.blocks.iter().any(|block| matches!(block, Block::ToolResult { .. })) {
                return Ok(text_turn("Done."));
            }
            let Some(Block::Text { text: question }) = last.blocks.last() else { panic!("{last:?}") };
            let (tool, rest) = question.split_once(' ').unwrap_or((question, ""));
            let turn = turns.fetch_add(1, Ordering::SeqCst);
            let call = match tool {
                "more" if rest.is_empty() => ("read_result", json!({ "id": named(&request.messages), "offset": PAGE })),
                "more" => ("read_result", json!({ "id": rest })),
                _ => (tool, serde_json::from_str(rest).unwrap_or_else(|_| json!({}))),
            };
            Ok(call_turn(turn, &[call]))
        });
        let builder = Omni::builder().llm(llm).server("lab", server.clone()).audit(recorder.clone());
        Self { omni: change(builder).build().await.unwrap(), server, recorder, requests }
    }

    async fn ask(&self, question: &str) -> Answer {
        self.omni.ask(Ask::new(Principal::email(ADA), question).with_session("s")).await.unwrap()
    }

    /// What the model read of the newest call.
    fn read(&self) -> String {
        let requests = self.requests.lock().unwrap();
        results(&requests.last().unwrap().messages).pop().unwrap()
    }

    fn offered(&self) -> Vec<Vec<String>> {
        let names =
            |request: &ChatRequest| request.tools.tools().iter().map(|tool| tool.llm_name.to_string()).collect();
        self.requests.lock().unwrap().iter().map(names).collect()
    }
}

/// All that tools returned, as the model reads it.
fn results(messages: &[Message]) -> Vec<String> {
    let blocks = messages.iter().flat_map(|message| &message.blocks);
    let text = |part: &ResultPart| match part {
        ResultPart::Text { text } => text.clone(),
        _ => String::new(),
    };
    let results = blocks.filter_map(|block| match block {
        Block::ToolResult { content, .. } => Some(content.iter().map(text).collect::<Vec<_>>().join("\n")),
        _ => None,
    });
    results.collect()
}

/// The result that is named first.
fn named(messages: &[Message]) -> String {
    let all = results(messages).concat();
    let id = all.split(" id=\"").nth(1).unwrap_or_else(|| panic!("no result is named: {all}"));
    id.split('"').next().unwrap().to_owned()
}

fn id_of(answer: &Answer) -> &str {
    answer.tool_calls[0].result_id.as_deref().unwrap_or_else(|| panic!("{:?}", answer.tool_calls))
}

#[tokio::test]
async fn a_follow_up_question_reads_on_where_the_conversation_keeps_only_the_beginning() {
    let lab = Lab::new(|builder| builder).await;
    let first = lab.ask("lab__dump").await;
    assert!(lab.read().contains("row 0999") && named(&lab.requests.lock().unwrap()[1].messages) == id_of(&first));
    let second = lab.ask("more").await;
    let told = lab.requests.lock().unwrap()[2].messages.clone();
    let short = results(&told).concat();
    assert!(short.contains("[cut: read_result reads the rest]") && !short.contains("row 0999"), "{short}");

    let page = lab.read();
    assert!(page.starts_with("<tool_output server=\"omni\"") && page.ends_with("</tool_output>"), "{page}");
    assert!(page.contains("[lab.dump, bytes 8192 to 10000 of 10000; this is the end]"), "{page}");
    assert!(page.contains("row 0999") && !page.contains("row 0001"), "{page}");
    assert_eq!(lab.server.calls(), 1, "nothing is called for it");
    let call = &second.tool_calls[0];
    assert_eq!((&*call.server, &*call.tool, call.status), ("omni", "read_result", CallStatus::Ok));
    assert!(call.unsent && !call.was_sent() && call.result_id.is_none(), "{call:?}");
    lab.omni.shutdown().await;
    assert_eq!(lab.recorder.tool_calls(second.request_id), [("read_result".to_owned(), Outcome::Success)]);
}

#[tokio::test]
async fn in_a_conversation_requests_begin_alike_whether_anything_is_kept_or_not() {
    let lab = Lab::new(|builder| builder).await;
    lab.ask("lab__fail").await;
    lab.ask("lab__echo {\"message\":\"x\"}").await;
    lab.ask("more").await;
    let offered = lab.offered();
    assert!(offered.iter().all(|names| *names == offered[0]), "{offered:?}");
    assert_eq!(offered[0].last().unwrap(), "read_result");
    let requests = lab.requests.lock().unwrap();
    for two in requests.windows(2) {
        let [one, other] = [0, 1].map(|n| serde_json::to_string(&*two[n].messages).unwrap());
        assert!(other.starts_with(one.trim_end_matches(']')), "{other}\nbegins not with\n{one}");
        assert_eq!(two[0].system, two[1].system);
    }
}

#[tokio::test]
async fn a_question_that_stands_alone_is_offered_nothing_and_its_result_is_kept_all_the_same() {
    let lab = Lab::new(|builder| builder).await;
    let answer = lab.omni.ask(Ask::new(Principal::email(ADA), "lab__dump")).await.unwrap();
    assert!(lab.offered().concat().iter().all(|name| name != "read_result"));
    assert!(!lab.read().contains(" id=\""), "{}", lab.read());
    let kept = lab.omni.result(Principal::email(ADA), id_of(&answer)).await.unwrap();
    assert_eq!((kept.text, kept.call.thread, kept.call.request_id), (lines(), None, answer.request_id));
}

#[tokio::test]
async fn what_is_kept_is_without_secrets_and_no_longer_than_it_may_be() {
    let redactor = Redactor::new().with_value("hunter22");
    let rules = ResultRules::default().up_to(1_000);
    let lab = Lab::new(|builder| builder.redactor(redactor).result_rules(rules)).await;
    let long = lab.ask("lab__dump").await;
    let kept = lab.omni.result(Principal::email(ADA), id_of(&long)).await.unwrap();
    assert_eq!((kept.text.len(), kept.call.is_cut), (1_000, true));
    let secret = lab.ask("lab__echo {\"message\":\"it is hunter22\"}").await;
    let kept = lab.omni.result(Principal::email(ADA), id_of(&secret)).await.unwrap();
    assert!(!format!("{kept:?}").contains("hunter22"), "{kept:?}");
    let again = lab.omni.call_again(Principal::email(ADA), id_of(&secret)).await.unwrap_err();
    assert!(again.kind() == ErrorKind::Conflict && again.to_string().contains("secret"), "{again}");
}

#[tokio::test]
async fn failures_are_not_kept_and_without_content_or_time_nothing_is() {
    let lab = Lab::new(|builder| builder).await;
    assert_eq!(lab.ask("lab__fail").await.tool_calls[0].result_id, None);
    for change in
        [(|builder| builder.ledger_content(StoreContent::None)) as fn(OmniBuilder) -> OmniBuilder, |builder| {
            builder.result_rules(ResultRules::none())
        }]
    {
        let lab = Lab::new(change).await;
        assert_eq!(lab.ask("lab__dump").await.tool_calls[0].result_id, None);
        assert!(lab.omni.results(Principal::email(ADA), &ResultFilter::default()).await.unwrap().is_empty());
        assert!(lab.offered().concat().iter().all(|name| name != "read_result"));
    }
}

#[tokio::test]
async fn results_are_listed_read_exported_and_run_again_by_whoever_asked_and_nobody_else() {
    let lab = Lab::new(|builder| builder).await;
    let (dump, rows) = (lab.ask("lab__dump").await, lab.ask("lab__rows {\"n\":1}").await);
    let of_session = ResultFilter::at(Source::Embed).in_thread("s");
    let of = |who: &str| lab.omni.results(Principal::email(who), &of_session);
    let listed = of(ADA).await.unwrap();
    assert_eq!(listed.iter().map(|call| &*call.id).collect::<Vec<_>>(), [id_of(&rows), id_of(&dump)]);
    assert!(of(EVE).await.unwrap().is_empty());
    let theirs = lab.omni.result(Principal::email(EVE), id_of(&rows)).await.unwrap_err();
    let none = lab.omni.result(Principal::email(EVE), "r_0000000000").await.unwrap_err();
    assert_eq!(theirs.to_string().replace(id_of(&rows), "r_0000000000"), none.to_string(), "in the same words");

    let kept = lab.omni.result(Principal::email(ADA), id_of(&rows)).await.unwrap();
    assert_eq!(csv::of(&kept).unwrap(), "a,b\r\n1,\r\n,'=2\r\n");
    let call = lab.omni.call_again(Principal::email(ADA), id_of(&rows)).await.unwrap();
    assert_eq!((&*call.server, &*call.tool, call.arguments.get()), ("lab", "rows", "{\"n\":1}"));
    let request_id = call.request_id;
    lab.omni.call_tool(call).await.unwrap();
    assert_eq!(lab.server.calls(), 3);
    lab.omni.shutdown().await;
    assert_eq!(lab.recorder.closings(request_id), [Outcome::Success]);
}

fn policy(rules: Arc<RuleSet>) -> MemoryPolicy {
    MemoryPolicy::new().with_subject(ADA, Role::new("dba"), rules, Quota::default())
}

#[tokio::test]
async fn with_the_right_to_a_tool_goes_what_it_returned() {
    let (kept, threads) = (Arc::new(MemoryResults::new()), Arc::new(MemoryThreads::new()));
    let with = |rules: Arc<RuleSet>| {
        let (kept, threads) = (kept.clone(), threads.clone());
        move |builder: OmniBuilder| builder.results(kept).threads(threads).policy(policy(rules))
    };
    let before = Lab::new(with(RuleSet::builder().allow("lab", "*").build().unwrap())).await;
    let answer = before.ask("lab__dump").await;
    let after = Lab::new(with(RuleSet::builder().allow("lab", "echo").build().unwrap())).await;
    let gone = after.omni.result(Principal::email(ADA), id_of(&answer)).await.unwrap_err();
    assert!(matches!(gone, Error::NotFound { .. }), "{gone}");
    assert!(after.omni.results(Principal::email(ADA), &ResultFilter::default()).await.unwrap().is_empty());
    assert!(after.omni.call_again(Principal::email(ADA), id_of(&answer)).await.is_err());
    let read = after.ask(&format!("more {}", id_of(&answer))).await;
    assert_eq!(read.tool_calls[0].status, CallStatus::Error);
    assert!(after.read().contains("It cannot be read: no result") && !after.read().contains("row 0000"));
}

#[tokio::test]
async fn in_a_thread_that_several_share_nobody_reads_on_in_what_is_somebody_elses() {
    let mut rules = ThreadRules::default();
    rules.channels = ContextRules::new(20);
    let lab = Lab::new(|builder| builder.thread_rules(rules)).await;
    let shared = async |who: &str, question: &str| {
        let key = ThreadKey::new("default", "slack", "C1", "1.2");
        let ask = Ask::new(Principal::email(who), question).with_source(Source::Slack);
        lab.omni.ask(ask.with_thread(key, Place::Channel("C1".into()))).await.unwrap()
    };
    shared(ADA, "lab__dump").await;
    let read = shared(EVE, "more").await;
    assert_eq!(read.tool_calls[0].status, CallStatus::Error, "it is named there, and hers");
    assert!(!lab.read().contains("row 0999"), "{}", lab.read());
    assert_eq!(shared(ADA, "more").await.tool_calls[0].status, CallStatus::Ok);
}

#[tokio::test]
async fn whoever_forgets_a_conversation_forgets_what_tools_returned_in_it() {
    let lab = Lab::new(|builder| builder).await;
    let answer = lab.ask("lab__dump").await;
    lab.omni.delete_thread(Principal::email(ADA), Source::Embed, "s").await.unwrap();
    assert!(lab.omni.result(Principal::email(ADA), id_of(&answer)).await.is_err());
}

#[tokio::test]
async fn whoever_forgets_a_conversation_forgets_nothing_of_one_of_the_same_name_in_a_channel() {
    let mut rules = ThreadRules::default();
    rules.channels = ContextRules::new(20);
    let lab = Lab::new(|builder| builder.thread_rules(rules)).await;
    let key = ThreadKey::new("default", Source::Embed.as_str(), "C1", "s");
    let ask = Ask::new(Principal::email(ADA), "lab__dump").with_thread(key.clone(), Place::Channel("C1".into()));
    let shared = lab.omni.ask(ask).await.unwrap();
    let is_kept = async |answer: &Answer| lab.omni.result(Principal::email(ADA), id_of(answer)).await.is_ok();
    let none = lab.omni.delete_thread(Principal::email(ADA), Source::Embed, "s").await.unwrap_err();
    assert!(matches!(none, Error::NotFound { .. }), "{none}");
    assert!(is_kept(&shared).await, "where there is no conversation nothing is forgotten");

    let own = lab.ask("lab__dump").await;
    lab.omni.delete_thread(Principal::email(ADA), Source::Embed, "s").await.unwrap();
    assert_eq!((is_kept(&shared).await, is_kept(&own).await), (true, false));
    assert!(lab.omni.knows_thread(&key).await.unwrap());
}

/// A store that is away.
#[derive(Debug)]
struct Away;

mod away {
    use std::time::Duration;

    use omni_core::results::{KeptCall, KeptResult, Owner, ResultError, ResultFilter, ResultStore};

    #[async_trait::async_trait]
    impl ResultStore for super::Away {
        async fn keep(&self, _: &KeptResult, _: Duration) -> Result<(), ResultError> {
            Err(ResultError::new("no disk"))
        }

        async fn read(&self, _: Owner<'_>, _: &str) -> Result<Option<KeptResult>, ResultError> {
            Err(ResultError::new("no disk"))
        }

        async fn list(&self, _: Owner<'_>, _: &ResultFilter) -> Result<Vec<KeptCall>, ResultError> {
            Err(ResultError::new("no disk"))
        }

        async fn forget(&self, _: Owner<'_>, _: &ResultFilter) -> Result<u64, ResultError> {
            Err(ResultError::new("no disk"))
        }

        async fn sweep(&self) -> Result<u64, ResultError> {
            Err(ResultError::new("no disk"))
        }
    }
}

#[tokio::test]
async fn a_store_that_is_away_costs_no_answer_and_names_nothing() {
    let lab = Lab::new(|builder| builder.results(Away)).await;
    let answer = lab.ask("lab__dump").await;
    assert_eq!((&*answer.text, &answer.tool_calls[0].result_id), ("Done.", &None));
    let error = lab.omni.results(Principal::email(ADA), &ResultFilter::default()).await.unwrap_err();
    assert!(error.kind() == ErrorKind::Unavailable && !error.public_message().contains("disk"), "{error}");
    let read = lab.ask("more").await;
    assert_eq!(read.tool_calls[0].error, Some("It cannot be read at the moment.".into()));
}
