//! What is refused at the gateway is recorded as what it is; and whoever came with a newer token goes on being told.

use std::time::Duration;

use futures::StreamExt as _;
use omni_core::{
    OmniBuilder,
    config::OidcConfig,
    identity::{Authenticator, Oidc, Scope},
    ledger::{CallRecord, Event, Outcome},
    mcp::{ServerOptions, http::HttpServer},
    policy::{AskBounds, memory::MemoryPolicy, yaml::YamlPolicy},
};
use omni_tests::{
    agent::{Agent, Speaks},
    door::{Door, Reply},
    fixture::FixtureServer,
    issuer::{Issuer, Signer},
    recorder::Recorder,
    server::FakeServer,
};
use reqwest::Method;
use rmcp::model::{GetPromptRequestParams, ReadResourceRequestParams};
use serde_json::json;

use super::http::ADA;

/// A door to the fixture where something of it is denied, and a client that may use the rest.
async fn denying(fixture: &FixtureServer, denied: &str) -> (Door, Agent) {
    let dir = tempfile::tempdir().unwrap();
    let mcps = format!("mcps: [{{ name: fix, url: '{}', {denied} }}]", fixture.url);
    let users = format!("users: [{{ email: {ADA}, role: dba, allowed_mcps: '*' }}]");
    for (name, text) in [("mcps.yaml", mcps), ("users.yaml", users)] {
        std::fs::write(dir.path().join(name), text).unwrap();
    }
    let policy = YamlPolicy::load(dir.path()).await.unwrap();
    let front = HttpServer::new(&fixture.url).unwrap();
    let door = Door::with(|_| {}, |builder| builder.server("fix", front).policy(policy)).await;
    let key = door.key(ADA, &[Scope::Tools]).await;
    let agent = Agent::connect(&format!("http://{}/mcp", door.address()), &key, Speaks::New).await;
    (door, agent)
}

fn calls(recorder: &Recorder) -> Vec<CallRecord> {
    let call = |event| match event {
        Event::DirectCall(call) => Some(call),
        _ => None,
    };
    recorder.records().into_iter().filter_map(|record| call(record.event)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prompt_or_resource_that_is_denied_is_recorded_so_with_its_server_and_the_rule() {
    let fixture = FixtureServer::start().await;
    let denied = "denied_prompts: ['test_simple*'], denied_resources: ['*binary']";
    let (door, agent) = denying(&fixture, denied).await;
    let prompt = agent.get_prompt(GetPromptRequestParams::new("fix__test_simple_prompt")).await.unwrap_err();
    assert!(prompt.to_string().contains("there is no prompt"), "{prompt}");
    agent.read_resource(ReadResourceRequestParams::new("test://static-binary")).await.unwrap_err();
    agent.get_prompt(GetPromptRequestParams::new("fix__nowhere")).await.unwrap_err();
    let calls = calls(&door.end().await);
    let called: Vec<_> =
        calls.iter().map(|call| (call.outcome, &*call.server, call.rule.clone().unwrap_or_default())).collect();
    let expected = [
        (Outcome::Denied, "fix", "mcps.fix.denied_prompts: test_simple* (mcps.yaml:1)".to_owned()),
        (Outcome::Denied, "fix", "mcps.fix.denied_resources: *binary (mcps.yaml:1)".to_owned()),
        (Outcome::Error, "", String::new()),
    ];
    assert_eq!(called, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resource_that_is_denied_is_not_asked_for_by_another_spelling_of_its_address() {
    let fixture = FixtureServer::start().await;
    let denied = "denied_resources: ['test://template/secret/data', 'test://static-binary']";
    let (door, agent) = denying(&fixture, denied).await;
    let read = async |uri: &str| agent.read_resource(ReadResourceRequestParams::new(uri)).await;
    read("test://template/7/data").await.unwrap();
    let spelled = [
        ("test://static-binary?", "fix"),
        ("test://static-binary/", "fix"),
        ("test://Static-Binary", "fix"),
        ("test://template/secret/data?at=1", "fix"),
        ("test://template//secret/data", "fix"),
        ("test://static-binary#", ""),
        ("TEST://static-binary", ""),
    ];
    for (uri, _) in spelled {
        read(uri).await.unwrap_err();
    }
    let calls = calls(&door.end().await);
    assert!(calls[0].outcome == Outcome::Success && calls.len() == 1 + spelled.len(), "{calls:?}");
    for (call, (uri, server)) in calls[1..].iter().zip(spelled) {
        let outcome = if server.is_empty() { Outcome::Error } else { Outcome::Denied };
        assert_eq!((call.outcome, &*call.server, call.unsent), (outcome, server, true), "{uri}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn prompts_and_resources_come_where_no_time_has_an_end() {
    let fixture = FixtureServer::start().await;
    let front = HttpServer::new(&fixture.url).unwrap();
    let (mut bounds, mut patient) = (AskBounds::default(), ServerOptions::default());
    (bounds.timeout, patient.call_timeout, patient.connect_timeout) = (Duration::MAX, Duration::MAX, Duration::MAX);
    let build = |builder: OmniBuilder| {
        builder.bounds(bounds).server_with("fix", front, patient).policy(MemoryPolicy::allow_all())
    };
    let door = Door::with(|_| {}, build).await;
    let key = door.key(ADA, &[Scope::Tools]).await;
    let agent = Agent::connect(&format!("http://{}/mcp", door.address()), &key, Speaks::New).await;
    agent.get_prompt(GetPromptRequestParams::new("fix__test_simple_prompt")).await.unwrap();
    agent.read_resource(ReadResourceRequestParams::new("test://static-binary")).await.unwrap();
    let outcomes: Vec<_> = calls(&door.end().await).iter().map(|call| call.outcome).collect();
    assert_eq!(outcomes, [Outcome::Success; 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_goes_on_being_told_by_the_newest_token_of_its_person() {
    let (old, new) = (Signer::p256("k1"), Signer::p256("k2"));
    let issuer = Issuer::start(&[&old]);
    let mut config = OidcConfig::new(issuer.url(), "omni");
    config.min_refresh = Duration::ZERO;
    let lab = FakeServer::echo();
    let authenticator = Authenticator::new().with_oidc(Oidc::new(config).unwrap());
    let server = lab.clone();
    let build = |builder: OmniBuilder| {
        builder.server("lab", server).authenticator(authenticator).policy(MemoryPolicy::allow_all())
    };
    let door = Door::with(|_| {}, build).await;
    let claims = issuer.claims(json!({}));
    let (first, second) = (old.token(&claims), new.token(&claims));
    let send = |token: &str, session: Option<&str>, message: serde_json::Value| {
        let request = door.request(Method::POST, "/mcp").bearer_auth(token).json(&message);
        let request = request.header("accept", "application/json, text/event-stream");
        session.into_iter().fold(request, |request, id| request.header("mcp-session-id", id))
    };
    let begin = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "t", "version": "1" } } });
    let begun = Reply::of(send(&first, None, begin)).await.is(200);
    let id = begun.header("mcp-session-id").to_owned();
    let ready = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    Reply::of(send(&first, Some(&id), ready)).await.is(202);
    let list = json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/list" });
    Reply::of(send(&first, Some(&id), list.clone())).await.is(200);
    // The session is told of from when it heard that it began.
    tokio::time::sleep(Duration::from_millis(300)).await;
    issuer.rotates_to(&[&new]);
    Reply::of(send(&second, Some(&id), list.clone())).await.is(200);
    Reply::of(send(&first, Some(&id), list)).await.is(401);
    let stream = door.request(Method::GET, "/mcp").bearer_auth(&second).header("accept", "text/event-stream");
    let mut told = stream.header("mcp-session-id", &id).send().await.unwrap().bytes_stream();
    let mut heard = String::new();
    // Whoever may nothing any more is told that once; whoever still may is told each time.
    for (change, times) in [("another text", 1), ("one more text", 2)] {
        lab.describe("echo", change);
        door.omni.refresh().await;
        let hears = async {
            while heard.matches("tools/list_changed").count() < times {
                heard.push_str(&String::from_utf8_lossy(&told.next().await.unwrap().unwrap()));
            }
        };
        tokio::time::timeout(Duration::from_secs(30), hears).await.unwrap_or_else(|_| panic!("told {times} times"));
    }
}
