//! Over HTTP, with rmcp's client of either revision.

use std::{sync::atomic::Ordering::SeqCst, time::Duration};

use omni_core::{
    Source,
    identity::Scope,
    ledger::{Event, Outcome},
};
use omni_tests::{
    agent::{Agent, Speaks, text_of},
    door::Door,
    office::{Office, USERS},
    rig::until,
    server::FakeServer,
};
use serde_json::json;

pub(crate) const ADA: &str = "ada@company.com";

pub(crate) async fn agent(office: &Office, key: &str, speaks: Speaks) -> Agent {
    Agent::connect(&office.url("/mcp"), key, speaks).await
}

/// What a call of a tool that is none is answered with.
async fn refusal(agent: &Agent, tool: &str) -> String {
    agent.call(tool, json!({})).await.unwrap_err().to_string().replace(tool, "TOOL")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_lists_and_calls_what_its_key_may_use_and_nothing_else_exists() {
    for speaks in [Speaks::Old, Speaks::New] {
        let office = Office::open().await;
        let agent = agent(&office, &office.key(ADA).await, speaks).await;
        assert_eq!(agent.tool_names().await, ["lab__echo", "lab__fail"], "{speaks:?}");
        assert_eq!(agent.text("lab__echo", json!({ "message": "hi" })).await, "hi");
        let failed = agent.call("lab__fail", json!({})).await.unwrap();
        assert_eq!((failed.is_error, text_of(&failed).as_str()), (Some(true), "no such host 10.0.0.11"));
        let denied = refusal(&agent, "lab__drop_table").await;
        assert!(denied.contains("Unknown tool: TOOL"), "{denied}");
        assert_eq!(refusal(&agent, "hidden__echo").await, denied);
        assert_eq!(refusal(&agent, "nobody__knows").await, denied);
        let misfit = agent.call("lab__echo", json!({})).await.unwrap();
        assert!(misfit.is_error == Some(true) && text_of(&misfit).contains("message"), "{misfit:?}");
        agent.leave().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_is_one_record_by_this_door_and_a_denied_one_says_what_was_denied() {
    let door = Door::with(|_| {}, |builder| builder.server("lab", FakeServer::echo())).await;
    let key = door.key(ADA, &[Scope::Tools]).await;
    let agent = Agent::connect(&format!("http://{}/mcp", door.address()), &key, Speaks::New).await;
    agent.text("lab__echo", json!({ "message": "hi" })).await;
    agent.call("lab__none", json!({})).await.unwrap_err();
    agent.leave().await;
    let records = door.end().await.records();
    let calls: Vec<_> = records
        .iter()
        .filter_map(|record| match &record.event {
            Event::DirectCall(call) => Some((record.party.as_ref().unwrap().source, &*call.tool, call.outcome)),
            _ => None,
        })
        .collect();
    assert_eq!(calls, [(Source::Mcp, "echo", Outcome::Success), (Source::Mcp, "lab__none", Outcome::Error)]);
    let denied = Office::open().await;
    let key = denied.key(ADA).await;
    let agent = self::agent(&denied, &key, Speaks::Old).await;
    agent.call("lab__drop_table", json!({})).await.unwrap_err();
    denied.settle().await;
    let logs = denied.get(&denied.key("boss@company.com").await, "/admin/logs").await.json();
    let row = &logs.as_array().unwrap().iter().find(|row| row["source"] == "mcp").unwrap();
    assert_eq!((row["status"].as_str(), row["user_email"].as_str()), (Some("denied"), Some(ADA)), "{row}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_is_told_in_a_result_that_the_model_reads() {
    let office = Office::open().await;
    let agent = agent(&office, &office.key("tim@company.com").await, Speaks::Old).await;
    assert_eq!(agent.text("lab__echo", json!({ "message": "1" })).await, "1");
    agent.tool_names().await;
    let limited = agent.call("lab__echo", json!({ "message": "2" })).await.unwrap();
    assert!(limited.is_error == Some(true) && text_of(&limited).contains("limit"), "{limited:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_the_client_gives_up_is_given_up_at_the_server() {
    for speaks in [Speaks::Old, Speaks::New] {
        let lab = FakeServer::new().hanging("wait");
        let door = Door::with(|_| {}, |builder| builder.server("lab", lab.clone())).await;
        let key = door.key(ADA, &[Scope::Tools]).await;
        let agent = Agent::connect(&format!("http://{}/mcp", door.address()), &key, speaks).await;
        let call = agent.call("lab__wait", json!({}));
        tokio::select! {
            _ = call => panic!("nothing answers"),
            () = until(|| lab.running() == 1) => {}
        }
        agent.leave().await;
        until(|| lab.running() == 0).await;
        assert!(lab.calls() == 1, "{speaks:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn live_sessions_are_told_when_what_they_may_use_changes() {
    let office = Office::open().await;
    let key = office.key(ADA).await;
    let old = agent(&office, &key, Speaks::Old).await;
    let new = agent(&office, &key, Speaks::New).await;
    let filter = rmcp::model::SubscriptionFilter::builder().tools_list_changed().build();
    let mut told = new.peer().listen(filter).await.unwrap();
    assert_eq!(old.tool_names().await.len(), 2);
    let boss = office.key("boss@company.com").await;
    let change = async |users: &str| {
        office.write("users.yaml", users);
        office.post(&boss, "/admin/tools/refresh", &json!({})).await.is(200);
    };
    // The session is told of from when it heard that it began, which nobody is told of.
    for _ in 0..30 {
        change(&USERS.replace("tools: [echo, fail]", "tools: [echo]")).await;
        let is_told = until(|| old.heard.tools_changed.load(SeqCst) > 0);
        if tokio::time::timeout(Duration::from_secs(2), is_told).await.is_ok() {
            break;
        }
        change(USERS).await;
    }
    until(|| old.heard.tools_changed.load(SeqCst) > 0).await;
    tokio::time::timeout(Duration::from_secs(30), told.next()).await.unwrap().unwrap().unwrap();
    assert_eq!(old.tool_names().await, ["lab__echo"]);
    assert_eq!(new.tool_names().await, ["lab__echo"]);
}
