//! `cargo bench -p omni-benches`: what omni itself costs, without network and model.
#![allow(missing_docs, clippy::unwrap_used, reason = "benchmarks may stop at a fault")]

use std::sync::Arc;

use divan::{Bencher, black_box, counter::ItemsCount};
use omni_benches::{Instant, catalog, rules};
use omni_core::{
    Ask, Omni, Principal,
    catalog::{Catalog, NameRules, ToolSet},
    config::Ack,
    llm::{
        ChatRequest, Message, Speaker,
        anthropic::bench,
        scripted::{Scripted, call_turn, text_turn},
    },
    policy::RuleSet,
};
use serde_json::json;

fn main() {
    divan::main();
}

/// One decision, by number of rules.
#[divan::bench(args = [10, 100, 1_000])]
fn policy_decision(bencher: Bencher, count: usize) {
    let rules = rules(count);
    bencher.bench(|| rules.decide(black_box("server_0"), black_box("get_report_998"), None));
}

/// Filtering and naming a catalog: what a new catalog version or rule set costs once.
#[divan::bench(args = [100, 1_000])]
fn tool_set_build(bencher: Bencher, tools: usize) {
    let catalog = catalog(tools);
    let rules = RuleSet::allow_all();
    bencher.counter(ItemsCount::new(tools)).bench(|| ToolSet::build(&catalog, &rules, NameRules::default()));
}

/// Writing a request for a vendor with a tool set that was never written before: once per catalog
/// version and rule set.
#[divan::bench(args = [100, 1_000])]
fn request_first(bencher: Bencher, tools: usize) {
    let catalog = catalog(tools);
    bencher.with_inputs(|| request(&catalog)).bench_values(|request| bench::body(&request).unwrap().len());
}

/// Writing a request with a tool set that was written before: what every later turn costs.
#[divan::bench(args = [100, 1_000])]
fn request_again(bencher: Bencher, tools: usize) {
    let request = request(&catalog(tools));
    bencher.bench(|| bench::body(&request).unwrap().len());
}

fn request(catalog: &Catalog) -> ChatRequest {
    let mut request = ChatRequest::new("claude-haiku-5-5", vec![Message::user("Say hi")], 1_024);
    request.tools = Arc::new(ToolSet::build(catalog, &RuleSet::allow_all(), NameRules::up_to(128)));
    request
}

/// Decoding a streamed answer of `deltas` text events.
#[divan::bench(args = [100, 1_000])]
fn sse_parse(bencher: Bencher, deltas: usize) {
    let runtime = runtime();
    let body = bench::recorded_stream(deltas);
    bencher.counter(ItemsCount::new(deltas)).bench(|| {
        let events = runtime.block_on(bench::decode(body.clone())).unwrap();
        assert!(events > deltas);
    });
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// An ask with an instant model and one tool call in this process: all that is left is omni.
#[divan::bench(args = ["memory", "local", "fsync"])]
fn ask_with_one_tool_call(bencher: Bencher, ledger: &str) {
    let runtime = runtime();
    let dir = std::env::temp_dir().join(format!("omni-bench-{}-{ledger}", std::process::id()));
    let omni = runtime.block_on(omni(ledger, &dir));
    bencher.bench(|| {
        let answer = runtime.block_on(omni.ask(Ask::new(Principal::email("ada@company.com"), "Say hi"))).unwrap();
        assert_eq!(answer.tool_calls.len(), 1);
    });
    runtime.block_on(omni.shutdown());
    let _ = std::fs::remove_dir_all(dir);
}

async fn omni(ledger: &str, dir: &std::path::Path) -> Omni {
    let llm = Scripted::from_fn(|request| {
        let answered = request.messages.iter().any(|message| message.speaker == Speaker::Assistant);
        Ok(if answered { text_turn("It said hi.") } else { call_turn(0, &[("lab__echo", json!({ "message": "hi" }))]) })
    });
    let builder = Omni::builder().llm(llm).server("lab", Instant);
    let builder = match ledger {
        "local" => builder.ledger_dir(dir).ledger_ack(Ack::Local),
        "fsync" => builder.ledger_dir(dir).ledger_ack(Ack::Fsync),
        _ => builder,
    };
    builder.build().await.unwrap()
}
