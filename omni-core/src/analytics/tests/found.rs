//! What tools find is what was.

use super::*;
use crate::{
    Source,
    cost::NanoUsd,
    ledger::{AskRecord, CallRecord, Event, Outcome, Party, Record, seal_all},
};

/// An ask that cost a dollar, of which two servers' calls share sixty cents.
pub(super) fn shared(tenant: &str) -> Vec<Record> {
    let mut party = Party::new(&Principal::email("dba@company.com").with_tenant(tenant), Source::Cli);
    party.role = Some("dba".into());
    let record = |event| Record {
        at: now() - TimeDelta::hours(1),
        ..Record::new(uuid::Uuid::now_v7(), Some(party.clone()), event)
    };
    let call = |server: &str, cents: u64, ms: u64| {
        let mut call = CallRecord::new(server, "get", json!({}), Outcome::Success);
        (call.cost, call.duration_ms) = (Some(NanoUsd(cents * 10_000_000)), ms);
        Event::ToolCall(call)
    };
    let mut ask = AskRecord::new("What | is\nup?", Outcome::Success);
    (ask.cost, ask.model, ask.duration_ms) = (Some(NanoUsd(1_000_000_000)), Some("claude-haiku-4-5".into()), 9_000);
    ask.tools_used = vec!["one.get".into(), "two.get".into()];
    [call("one", 20, 300), call("two", 40, 5_000), Event::Ask(Box::new(ask))].map(record).into()
}

async fn ask(tool: &str, args: Value) -> Found {
    ask_of(shared("default"), tool, args).await
}

async fn ask_of(records: Vec<Record>, tool: &str, args: Value) -> Found {
    let store = SqlAudit::open("sqlite::memory:").await.unwrap();
    append(&store, &seal_all(&SealKey::generate(), records.into_iter())).await;
    let analytics = Analytics::new(store.db().clone());
    analytics.ask_at(&Principal::email("dba@company.com"), tool, arguments(args), now()).await.unwrap()
}

#[tokio::test]
async fn servers_share_the_cost_of_an_ask_and_together_that_is_the_whole() {
    let found = ask("get_cost_summary", json!({ "group_by": "mcp" })).await;
    let rows = found.document["mcps"].as_array().unwrap();
    let costs: Vec<_> =
        rows.iter().map(|row| (row["mcp"].as_str().unwrap(), row["cost_usd"].as_f64().unwrap())).collect();
    assert_eq!(costs, [("two", 0.4), ("one", 0.2), ("(no server)", 0.4)]);
    assert_eq!(found.document["totals"]["cost_usd"], 1.0);
}

#[tokio::test]
async fn a_tools_time_is_that_of_its_own_calls() {
    let found = ask("get_tool_popularity", json!({})).await;
    insta::assert_snapshot!(found.text, @r"
    2 tools were called 2 times, the most popular first (the last 7 days).

    Tools:

    | server | tool | calls | errors | average time |    cost |
    | ------ | ---- | ----: | -----: | -----------: | ------: |
    | one    | get  |     1 |  0.0 % |       300 ms | $0.2000 |
    | two    | get  |     1 |  0.0 % |     5,000 ms | $0.4000 |
    ");
}

#[tokio::test]
async fn what_somebody_asked_cannot_break_the_table() {
    let found = ask("get_slow_queries", json!({})).await;
    assert!(found.text.contains(r"What \| is up?"), "{}", found.text);
    assert_eq!(found.document["queries"][0]["query"], "What | is\nup?");
}

#[tokio::test]
async fn calls_that_were_refused_within_answered_requests_are_told_beside_the_refused_requests() {
    let mut records = shared("default");
    let party = records[0].party.clone();
    let mut call = CallRecord::new("db", "wipe", json!({}), Outcome::Denied);
    (call.rule, call.unsent) = (Some("mcps.db.confirm: wipe".into()), true);
    let refused = Event::Ask(Box::new(AskRecord::new("May I?", Outcome::Denied)));
    let more = [Event::ToolCall(call.clone()), Event::ToolCall(call), refused];
    records.extend(more.map(|event| Record {
        at: now() - TimeDelta::hours(1),
        ..Record::new(uuid::Uuid::now_v7(), party.clone(), event)
    }));
    let found = ask_of(records, "get_denials", json!({})).await;
    let says = "Policy denied 1 request and limits refused 0; 2 calls were refused within requests, also answered ones \
                (the last 7 days).";
    assert!(found.text.starts_with(says), "{}", found.text);
    let totals = &found.document["totals"];
    assert_eq!((&totals["denied"], &totals["refused_calls"]), (&json!(1), &json!(2)));
    assert_eq!(found.document["rules"][0]["rule"], "mcps.db.confirm: wipe");
}
