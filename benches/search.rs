//! `cargo bench -p omni-benches --bench search`: finding a tool among very many, and looking at the
//! definitions of a new server.
#![allow(missing_docs, clippy::unwrap_used, reason = "benchmarks may stop at a fault")]

use std::sync::Arc;

use divan::{Bencher, black_box};
use omni_core::{
    catalog::{Catalog, NameRules, ServerView, ToolDef, ToolSet},
    policy::RuleSet,
    scan::{Neighbours, scan},
};
use serde_json::{json, value::to_raw_value};

fn main() {
    divan::main();
}

/// Tools of the catalog, and of one server.
const TOOLS: usize = 5_000;
const EACH: usize = 50;

/// Tools like those of real servers: a verb and a thing, a sentence or two, a few arguments.
fn catalog() -> Catalog {
    const VERBS: [&str; 10] =
        ["create", "list", "get", "update", "delete", "search", "export", "approve", "assign", "archive"];
    const THINGS: [&str; 20] = [
        "invoice",
        "customer",
        "ticket",
        "order",
        "shipment",
        "product",
        "employee",
        "contract",
        "payment",
        "report",
        "calendar",
        "message",
        "document",
        "project",
        "deployment",
        "cluster",
        "database",
        "branch",
        "release",
        "alert",
    ];
    let server = |s: usize| {
        let name = format!("server{s:03}");
        let mut view = ServerView::new(name.as_str(), "http");
        view.tools = (0..EACH).map(|t| Arc::new(tool(&name, s * EACH + t, &VERBS, &THINGS))).collect();
        view
    };
    Catalog::new(1, (0..TOOLS / EACH).map(server).collect())
}

fn tool(server: &str, n: usize, verbs: &[&str], things: &[&str]) -> ToolDef {
    let (verb, thing, of) = (verbs[n % verbs.len()], things[n / 10 % things.len()], things[n / 200 % things.len()]);
    let schema = json!({
        "type": "object",
        "properties": {
            format!("{thing}_id"): { "type": "string", "description": format!("Which {thing} of the {of}.") },
            "limit": { "type": "integer", "description": "How many at most." },
            "state": { "type": "string", "enum": ["open", "closed", "all"] },
        },
    });
    let description = format!("{verb} the {thing} of a {of}, with number {n}. Use it where one is not known by name.");
    ToolDef::new(server, format!("{verb}_{of}_{thing}_{n}"), to_raw_value(&schema).unwrap())
        .with_description(&description)
}

fn tools() -> ToolSet {
    let tools = ToolSet::build(&catalog(), &RuleSet::allow_all(), NameRules::default());
    assert_eq!(tools.len(), TOOLS);
    black_box(tools.search("anything", 1));
    tools
}

/// One search, whose goal is 1 ms: usual words, a word that nearly every tool has, a mistyped one.
#[divan::bench(args = ["archive the shipment of an order", "list the invoices of a customer by number and state with limit", "aprove contrakt"])]
fn search(bencher: Bencher, query: &str) {
    let tools = tools();
    bencher.bench_local(|| black_box(tools.search(black_box(query), 5)).len());
}

/// The index, which is made once for a catalog and a rule set.
#[divan::bench(sample_count = 10)]
fn index(bencher: Bencher) {
    let catalog = catalog();
    let rules = RuleSet::allow_all();
    bencher.bench_local(|| black_box(ToolSet::build(&catalog, &rules, NameRules::default()).search("x", 1)).len());
}

/// What a server of 50 tools costs when it is seen first, beside 5,000 others.
#[divan::bench(sample_count = 20)]
fn scan_of_a_server(bencher: Bencher) {
    let catalog = catalog();
    let neighbours = Neighbours::new(catalog.tools().map(|def| (def.server.to_string(), def.name.to_string())));
    let defs: Vec<_> = catalog.tools().take(EACH).cloned().collect();
    bencher.bench_local(|| defs.iter().map(|def| scan(black_box(def), &neighbours).len()).sum::<usize>());
}
