//! `cargo bench -p omni-benches --bench policy`: what a decision costs where there are many rules and
//! many people.
#![allow(missing_docs, clippy::unwrap_used, reason = "benchmarks may stop at a fault")]

use divan::{AllocProfiler, Bencher, black_box};
use omni_benches::{many_people, policy_of};
use omni_core::{PolicyStore as _, Principal, policy::cached::Cached};
use serde_json::json;

/// Shows in each row how often it allocated.
#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

/// Rules of one server.
const RULES: usize = 1_000;
/// People of the file.
const PEOPLE: usize = 10_000;

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// One decision: no allocation, and at most a microsecond.
#[divan::bench(args = ["get_report_998", "unheard_of"])]
fn decision(bencher: Bencher, tool: &str) {
    let policy = policy_of(&many_people(RULES, PEOPLE));
    let grant = runtime().block_on(policy.resolve(&Principal::email("user9999@company.com"))).unwrap();
    black_box(grant.decide("database", tool, None));
    bencher.bench_local(|| grant.decide(black_box("database"), black_box(tool), None));
}

/// One decision on a call whose database has to be one of the person's.
#[divan::bench]
fn decision_on_arguments(bencher: Bencher) {
    let policy = policy_of(&many_people(RULES, PEOPLE));
    let grant = runtime().block_on(policy.resolve(&Principal::email("user9999@company.com"))).unwrap();
    let arguments = json!({ "database": "db_999", "limit": 10 });
    black_box(grant.decide("database", "get_report_998", Some(&arguments)));
    bencher.bench_local(|| grant.decide(black_box("database"), black_box("get_report_998"), Some(&arguments)));
}

/// From a person to their grant.
#[divan::bench]
fn resolve(bencher: Bencher) {
    let (policy, runtime) = (policy_of(&many_people(RULES, PEOPLE)), runtime());
    let person = Principal::email("user9999@company.com");
    bencher.bench_local(|| runtime.block_on(policy.resolve(black_box(&person))).unwrap());
}

/// The same, resolved before.
#[divan::bench]
fn resolve_cached(bencher: Bencher) {
    let (policy, runtime) = (Cached::new(policy_of(&many_people(RULES, PEOPLE))), runtime());
    let person = Principal::email("user9999@company.com");
    bencher.bench_local(|| runtime.block_on(policy.resolve(black_box(&person))).unwrap());
}

/// Files to policy: what a reload, or a change in the database, costs.
#[divan::bench(sample_count = 10)]
fn compile(bencher: Bencher) {
    let config = many_people(RULES, PEOPLE);
    bencher.bench_local(|| policy_of(&config));
}
