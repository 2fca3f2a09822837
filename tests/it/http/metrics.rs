//! What is counted, read as Prometheus reads it. The recorder is the process's, and other tests count too:
//! names of servers, roles and models are this file's own where numbers are exact.

use std::time::Duration;

use omni_core::{
    ExposeSecret as _, Principal,
    ask::DirectCall,
    cost::{Price, Rates},
    identity::{ApiKey, Scope},
    llm::{
        ModelInfo,
        scripted::{Scripted, call_turn, text_turn},
    },
    mcp::{McpError, ServerOptions},
    policy::{Permission, Quota, Role, RuleSet, memory::MemoryPolicy},
};
use omni_http::{DoorOptions, Metrics};
use omni_tests::{
    door::{Door, Reply},
    scrape::Scrape,
    server::{FakeServer, any},
};
use reqwest::Method;
use serde_json::{Value, json, value::RawValue};

use super::ADA;

const BOSS: &str = "boss@company.com";
const EVE: &str = "eve@company.com";

/// A role, and how often it may ask in an hour.
fn policy(role: &str, per_hour: Option<u64>) -> MemoryPolicy {
    let mut quota = Quota::default();
    quota.per_hour = per_hour;
    MemoryPolicy::new().with_subject(ADA, Role::new(role), RuleSet::allow_all(), quota).with_subject(
        BOSS,
        Role::super_admin(),
        RuleSet::allow_all(),
        Quota::default(),
    )
}

/// A model that calls what the question says, and then answers.
fn llm(model: &str) -> Scripted {
    let mut info = ModelInfo::new("scripted", model);
    info.price = Some(Price::flat(Rates::new(1_000_000, 2_000_000, 0, 0, 0)));
    let play = |request: &omni_core::llm::ChatRequest| {
        let asked = serde_json::to_string(&request.messages.last()).unwrap();
        let called = |tool: &str| Ok(call_turn(request.messages.len(), &[(tool, json!({ "message": "hi" }))]));
        match (request.messages.len(), asked) {
            (1, asked) if asked.contains("Call it") => called("counted__echo"),
            (1, asked) if asked.contains("Make it up") => called("counted__invented_by_the_model"),
            _ => Ok(text_turn("Paris.")),
        }
    };
    Scripted::from_fn(play).with_model(info)
}

async fn ask(door: &Door, key: &str, body: Value) -> Reply {
    door.post_by(key, "/chat/ask", &body).await
}

async fn scrape(door: &Door) -> Scrape {
    let key = door.key(BOSS, &[Scope::Admin]).await;
    let reply = door.get_by(&key, "/metrics").await.is(200);
    assert_eq!(reply.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    Scrape(reply.text)
}

#[tokio::test]
async fn asks_calls_tokens_and_refusals_are_what_a_scrape_shows() {
    let change = |builder: omni_core::OmniBuilder| {
        builder.policy(policy("counted_role", Some(4))).llm(llm("counted-model")).server("counted", FakeServer::echo())
    };
    let door = Door::with(|_| {}, change).await;
    let before = scrape(&door).await.count("omni_refusals_total", &[("kind", "rate")]);
    let key = door.key(ADA, &[Scope::Ask]).await;
    ask(&door, &key, json!({ "message": "Say it" })).await.is(200);
    ask(&door, &key, json!({ "message": "Call it" })).await.is(200);
    ask(&door, &key, json!({ "message": "Make it up" })).await.is(200);
    ask(&door, &key, json!({ "message": "Say it", "model": "invented-by-the-asker" })).await.is(200);
    ask(&door, &key, json!({ "message": "Say it" })).await.error(429, "rate_limited");

    let shown = scrape(&door).await;
    let asks = |outcome| {
        let labels = [("role", "counted_role"), ("source", "http"), ("outcome", outcome)];
        shown.count("omni_asks_total", &labels)
    };
    assert_eq!((asks("success"), asks("rate_limited")), (4.0, 1.0), "{}", shown.0);
    assert!(shown.count("omni_refusals_total", &[("kind", "rate")]) > before);
    let strangers = || async { scrape(&door).await.count("omni_refusals_total", &[("kind", "identity")]) };
    let before = strangers().await;
    ask(&door, "omni_made_up", json!({ "message": "Say it" })).await.error(401, "unauthenticated");
    assert!(strangers().await > before, "the door refuses, and it is counted all the same");
    let calls = |tool, outcome| {
        let labels = [("server", "counted"), ("tool", tool), ("outcome", outcome)];
        shown.count("omni_tool_calls_total", &labels)
    };
    assert_eq!((calls("echo", "success"), calls("echo", "error")), (1.0, 0.0));
    let echo = [("server", "counted"), ("tool", "echo")];
    assert_eq!(shown.count("omni_tool_call_duration_seconds_count", &echo), 1.0);
    assert_eq!(shown.count("omni_tool_call_duration_seconds_bucket", &[echo[0], echo[1], ("le", "120")]), 1.0);
    let model = ("model", "counted-model");
    let tokens = |kind| shown.count("omni_tokens_total", &[model, ("kind", kind)]);
    // Five turns, of which each reads 10 and writes 5 tokens.
    assert_eq!((tokens("input"), tokens("output"), tokens("cache_read")), (50.0, 25.0, 0.0));
    assert_eq!(shown.count("omni_model_turns_total", &[model, ("outcome", "completed")]), 5.0);
    let dollars = shown.count("omni_model_turn_cost_usd_sum", &[model]);
    assert!((dollars - 5.0 * 0.02).abs() < 1e-9, "{dollars}");
    assert_eq!(shown.count("omni_server_up", &[("server", "counted")]), 1.0);
    assert_eq!(shown.count("omni_http_requests_total", &[("route", "/chat/ask"), ("status", "429")]).min(1.0), 1.0);
    for name in ["omni_asks_running", "omni_ledger_backlog_records", "omni_ledger_sink_failures_total"] {
        assert!(shown.value(name, &[]).is_some() && shown.0.contains(&format!("# HELP {name} ")), "{name}");
    }
    assert!(shown.0.contains("# TYPE omni_ask_duration_seconds histogram"));
}

#[tokio::test]
async fn nothing_that_somebody_makes_up_is_a_label_and_nobody_is_one() {
    let change = |builder: omni_core::OmniBuilder| {
        builder.policy(policy("bounded_role", None)).llm(llm("bounded-model")).server("bounded", FakeServer::echo())
    };
    let door = Door::with(|_| {}, change).await;
    let key = door.key(ADA, &[Scope::Ask]).await;
    ask(&door, &key, json!({ "message": "Say it", "model": "invented-model" })).await.is(200);
    ask(&door, &key, json!({ "message": "Make it up" })).await.is(200);
    let arguments = || RawValue::from_string("{}".into()).unwrap();
    for (server, tool) in [("bounded", "invented_tool"), ("invented_server", "echo")] {
        let call = DirectCall::new(Principal::email(ADA), server, tool, arguments());
        door.omni.call_tool(call).await.unwrap_err();
    }
    let odd = Method::from_bytes(b"INVENTED").unwrap();
    Reply::of(door.request(odd, "/invented/path").bearer_auth(&key)).await.error(404, "not_found");
    ask(&door, "omni_wrong", json!({ "message": "Hi" })).await.error(401, "unauthenticated");

    let shown = scrape(&door).await;
    for invented in ["invented", "INVENTED", ADA, BOSS, "Say it"] {
        assert!(!shown.0.contains(invented), "{invented} in {}", shown.0);
    }
    let of_bounded = [("server", "bounded"), ("tool", "unknown"), ("outcome", "error")];
    assert_eq!(shown.count("omni_tool_calls_total", &of_bounded), 1.0, "{}", shown.0);
    let of_nobody = [("server", "unknown"), ("tool", "unknown")];
    assert!(shown.count("omni_tool_calls_total", &of_nobody) >= 2.0);
    assert!(shown.count("omni_tokens_total", &[("model", "unknown"), ("kind", "input")]) >= 10.0);
    let unmatched = [("method", "other"), ("route", "unmatched"), ("status", "404")];
    assert!(shown.count("omni_http_requests_total", &unmatched) >= 1.0);
}

#[tokio::test]
async fn a_server_that_calls_are_kept_from_is_told_of() {
    let broken = FakeServer::new()
        .tool("pull", any(), |_| Box::pin(async { Err(McpError::Closed { message: "broken".into(), unsent: false }) }));
    let mut options = ServerOptions::default();
    (options.breaker.failures, options.breaker.pause) = (2, Duration::from_secs(120));
    let change = |builder: omni_core::OmniBuilder| {
        builder.policy(policy("kept_role", None)).server_with("kept", broken, options)
    };
    let door = Door::with(|_| {}, change).await;
    let state = async || {
        let shown = scrape(&door).await.value("omni_server_breaker", &[("server", "kept")]);
        let key = door.key(BOSS, &[Scope::Admin]).await;
        let servers = door.get_by(&key, "/admin/mcps").await.is(200).json();
        let kept = servers.as_array().unwrap().iter().find(|server| server["name"] == "kept").unwrap().clone();
        (shown, kept["breaker"].clone(), kept["status"].clone())
    };
    assert_eq!(state().await, (Some(0.0), json!("closed"), json!("healthy")));
    for _ in 0..3 {
        let call = DirectCall::new(Principal::email(BOSS), "kept", "pull", RawValue::from_string("{}".into()).unwrap());
        door.omni.call_tool(call).await.unwrap_err();
    }
    assert_eq!(state().await, (Some(2.0), json!("open"), json!("unhealthy")));
}

#[tokio::test]
async fn what_is_counted_is_for_administrators_and_for_whoever_reads_the_log() {
    let mut auditor = Role::new("auditor");
    auditor.permissions.insert(Permission::CanViewAuditLogs);
    let policy = policy("dba", None).with_subject(EVE, auditor, RuleSet::allow_all(), Quota::default());
    let door = Door::with(|_| {}, |builder| builder.policy(policy)).await;
    let expected = [
        (BOSS, Scope::Admin, 200),
        (BOSS, Scope::Audit, 200),
        (BOSS, Scope::Ask, 403),
        (EVE, Scope::Audit, 200),
        (EVE, Scope::Admin, 403),
        (ADA, Scope::Admin, 403),
        (ADA, Scope::Audit, 403),
    ];
    for (who, scope, status) in expected {
        let key = door.key(who, &[scope]).await;
        assert_eq!(door.get_by(&key, "/metrics").await.status, status, "{who} with {scope:?}");
    }
    door.get("/metrics").await.error(401, "unauthenticated");
}

#[tokio::test]
async fn what_is_counted_of_all_tenants_is_not_for_an_administrator_of_another_one() {
    // Where there is no policy, everybody may do everything.
    let door = Door::new().await;
    door.get_by(&door.key(BOSS, &[Scope::Admin, Scope::Audit]).await, "/metrics").await.is(200);
    let mut elsewhere = ApiKey::issue(BOSS, [Scope::Admin, Scope::Audit].into_iter().collect());
    elsewhere.key.tenant = "other".into();
    door.keys.store().insert(&elsewhere.key).await.unwrap();
    let refused = door.get_by(elsewhere.secret.expose_secret(), "/metrics").await;
    assert!(refused.status == 403 && refused.text.contains("tenant"), "{refused:?}");
}

#[tokio::test]
async fn doors_of_one_process_show_its_recorder_or_a_programs_own_or_none() {
    let shared = [Door::new().await, Door::new().await];
    for door in &shared {
        assert!(scrape_by_anybody(door).await.is(200).text.contains("omni_asks_running"));
    }
    let own = |options: &mut DoorOptions| options.metrics = Some(Metrics::new(|| "mine 1\n".into()));
    assert_eq!(scrape_by_anybody(&Door::set_up(own).await).await.is(200).text, "mine 1\n");
    let none = Door::set_up(|options| options.metrics = None).await;
    scrape_by_anybody(&none).await.error(404, "not_found");
}

/// Where there is no policy, everybody may do everything.
async fn scrape_by_anybody(door: &Door) -> Reply {
    let key = door.key(ADA, &[Scope::Admin, Scope::Audit]).await;
    door.get_by(&key, "/metrics").await
}

#[tokio::test]
async fn what_runs_and_what_streams_is_counted_while_it_does() {
    let llm = Scripted::from_fn(|_| Ok(call_turn(0, &[("slow__wait", json!({}))])));
    let change = |builder: omni_core::OmniBuilder| builder.llm(llm).server("slow", FakeServer::new().hanging("wait"));
    let door = Door::with(|_| {}, change).await;
    let key = door.key(ADA, &[Scope::Ask]).await;
    let asking = door.request(Method::POST, "/chat/ask/stream").bearer_auth(&key).json(&json!({ "message": "Hi" }));
    let mut stream = asking.send().await.unwrap();
    assert!(stream.chunk().await.unwrap().is_some());
    let shown = Scrape(scrape_by_anybody(&door).await.is(200).text);
    assert!(shown.count("omni_http_streams_open", &[]) >= 1.0 && shown.count("omni_asks_running", &[]) >= 1.0);
    assert!(shown.count("omni_http_requests_total", &[("route", "/chat/ask/stream"), ("status", "200")]) >= 1.0);
}
