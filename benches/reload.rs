//! `cargo bench -p omni-benches --bench reload`: putting another configuration in place, all of it:
//! what new asks wait for is the swap at its end alone.
#![allow(missing_docs, clippy::unwrap_used, reason = "benchmarks may stop at a fault")]

use std::{collections::BTreeMap, fmt::Write as _, fs, path::Path};

use divan::Bencher;
use omni_core::{Config, Omni, Registry, audit, config::LoadOptions, limit, llm, mcp, policy};

fn main() {
    divan::main();
}

fn registry() -> Registry {
    let mut registry = Registry::empty();
    llm::offline::register(&mut registry);
    mcp::http::register(&mut registry);
    policy::yaml::register(&mut registry);
    limit::memory::register(&mut registry);
    audit::memory::register(&mut registry);
    registry
}

/// A team of so many people and ten servers, each with rules for three roles.
fn config(dir: &Path, people: usize) -> Config {
    let mut mcps = "mcps:\n".to_owned();
    for server in 0..10 {
        let _ = writeln!(
            mcps,
            "- {{ name: s{server}, url: 'http://127.0.0.1:1/mcp', role_restrictions: {{ dba: {{ allow_all: true }}, \
             developer: {{ allow_only: ['get_*', 'list_*'] }}, analyst: {{ deny: ['drop_*'] }} }} }}"
        );
    }
    let mut users = "users:\n".to_owned();
    for person in 0..people {
        let role = ["dba", "developer", "analyst"][person % 3];
        let _ = writeln!(users, "- {{ email: p{person}@company.com, role: {role} }}");
    }
    fs::create_dir_all(dir.join("config")).unwrap();
    fs::write(dir.join("config/mcps.yaml"), mcps).unwrap();
    fs::write(dir.join("config/users.yaml"), users).unwrap();
    fs::write(dir.join("config/settings.yaml"), "audit: { enabled: false }\nllm: { provider: offline }\n").unwrap();
    Config::load(LoadOptions::new(BTreeMap::new(), dir)).unwrap()
}

/// Building aside and swapping, of a configuration that is parsed and checked already.
#[divan::bench(args = [10, 1_000])]
fn reload(bencher: Bencher, people: usize) {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), people);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let registry = registry();
    let omni = runtime.block_on(Omni::from_config(&config, &registry)).unwrap();
    bencher.bench_local(|| runtime.block_on(omni.reload(&config, &registry)).unwrap());
}

/// The same with reading the files.
#[divan::bench(args = [10, 1_000])]
fn read_and_reload(bencher: Bencher, people: usize) {
    let dir = tempfile::tempdir().unwrap();
    let first = config(dir.path(), people);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let registry = registry();
    let omni = runtime.block_on(Omni::from_config(&first, &registry)).unwrap();
    bencher.bench_local(|| {
        let config = Config::load(LoadOptions::new(BTreeMap::new(), dir.path())).unwrap();
        runtime.block_on(omni.reload(&config, &registry)).unwrap()
    });
}
