//! Who may ask what, as the server itself sees it.

use std::{sync::Arc, time::Duration};

use serde_json::{json, value::to_raw_value};

use super::*;
use crate::{
    McpTransport,
    identity::{Scope, Scopes, Via},
    mcp::{CallContext, McpError, McpRequest, McpTransportExt as _, ToolOutput},
    policy::{LivePolicy, Permission, PolicyStore, Quota, Role, RuleSet, memory::MemoryPolicy},
};

fn policy() -> Arc<dyn PolicyStore> {
    let policy = MemoryPolicy::new()
        .with_subject("owner@company.com", Role::super_admin(), RuleSet::allow_all(), Quota::default())
        .with_subject("dba@company.com", Role::new("dba"), RuleSet::allow_all(), Quota::default());
    Arc::new(policy)
}

fn context(who: Option<&str>) -> CallContext {
    match who {
        Some(who) => by(Principal::email(who).with_scopes(Scopes::all())),
        None => CallContext::within(Duration::from_secs(30)),
    }
}

fn by(caller: Principal) -> CallContext {
    CallContext::within(Duration::from_secs(30)).with_principal(caller)
}

async fn connected(live: LivePolicy) -> Arc<dyn McpTransport> {
    let store = SqlAudit::open("sqlite::memory:").await.unwrap();
    append(&store, &history().chain(&SealKey::generate())).await;
    let connector = Analytics::new(store.db().clone()).connector(live);
    connector.connect(&context(None)).await.unwrap()
}

async fn call(
    transport: &Arc<dyn McpTransport>,
    tool: &str,
    args: Value,
    who: Option<&str>,
) -> Result<ToolOutput, McpError> {
    let args = to_raw_value(&args).unwrap();
    transport.call_tool(tool, &args, 100_000, &context(who)).await
}

#[tokio::test]
async fn only_administrators_see_everybodys_rows_and_everybody_sees_their_own() {
    let transport = connected(LivePolicy::new(policy())).await;
    let all = json!({ "period": "all" });
    for tool in tool_names() {
        let of_admin = call(&transport, &tool, all.clone(), Some("owner@company.com")).await;
        assert!(of_admin.is_ok_and(|output| !output.is_error), "{tool}");
        let of_dba = call(&transport, &tool, all.clone(), Some("dba@company.com")).await;
        assert_eq!(of_dba.is_ok(), tool == "get_my_usage", "{tool}");
        for nobody in [None, Some("stranger@company.com")] {
            let refused = call(&transport, &tool, all.clone(), nobody).await.unwrap_err().to_string();
            assert!(refused.contains("there is no such tool"), "{refused}");
        }
    }
    let own = call(&transport, "get_my_usage", all, Some("dba@company.com")).await.unwrap();
    let text = own.for_person();
    assert!(text.starts_with("You made ") && !text.contains("owner@company.com"), "{text}");
}

#[tokio::test]
async fn what_others_asked_takes_a_credential_and_a_role_that_are_for_it() {
    let mut blind = Role::super_admin();
    blind.permissions.remove(&Permission::CanViewAuditLogs);
    let policy = MemoryPolicy::new()
        .with_subject("owner@company.com", Role::super_admin(), RuleSet::allow_all(), Quota::default())
        .with_subject("blind@company.com", blind, RuleSet::allow_all(), Quota::default());
    let transport = connected(LivePolicy::new(Arc::new(policy))).await;
    let of = |who: &str, via: Via, scopes: &[Scope]| {
        Principal::new(who, via).with_scopes(scopes.iter().copied().collect::<Scopes>())
    };
    let (tools, all) = (&[Scope::Ask, Scope::Tools, Scope::Admin], &Scope::ALL);
    let key = Via::ApiKey;
    let refused = [
        (
            of("owner@company.com", key, tools),
            "owner@company.com may not do this: the credential lacks the scope `audit`",
        ),
        (of("owner@company.com", Via::Asserted, tools), "lacks the scope `audit`"),
        (of("blind@company.com", key, all), "has no permission `can_view_audit_logs`"),
        (of("blind@company.com", Via::Slack, tools), "has no permission `can_view_audit_logs`"),
    ];
    let args = to_raw_value(&json!({ "period": "all" })).unwrap();
    for (caller, why) in refused {
        for tool in tool_names() {
            let output = transport.call_tool(&tool, &args, 100_000, &by(caller.clone())).await.unwrap();
            assert_eq!(output.is_error, tool != "get_my_usage", "{tool} of {caller:?}");
            assert!(!output.is_error || output.for_person().contains(why), "{}", output.for_person());
        }
        let reply = transport.request(McpRequest::new("tools/list", None), &by(caller.clone())).await.unwrap();
        let listed: Value = serde_json::from_str(reply.raw().get()).unwrap();
        assert_eq!(listed["tools"].as_array().unwrap().len(), 1, "{caller:?}");
    }
    // Whoever writes to the bot, and whose schedule it is, has no key.
    for via in [Via::Slack, Via::Schedule] {
        let caller = Principal::new("owner@company.com", via);
        let output = transport.call_tool("get_slow_queries", &args, 100_000, &by(caller)).await.unwrap();
        assert!(!output.is_error, "{via:?}: {}", output.for_person());
    }
}

#[tokio::test]
async fn tools_of_administrators_are_hidden_from_everybody_else() {
    let transport = connected(LivePolicy::new(policy())).await;
    for (who, count) in [(None, 16), (Some("owner@company.com"), 16), (Some("dba@company.com"), 1)] {
        let reply = transport.request(McpRequest::new("tools/list", None), &context(who)).await.unwrap();
        let listed: Value = serde_json::from_str(reply.raw().get()).unwrap();
        assert_eq!(listed["tools"].as_array().unwrap().len(), count, "{who:?}");
    }
}

#[tokio::test]
async fn what_a_client_writes_of_who_it_is_does_not_count() {
    let transport = connected(LivePolicy::new(policy())).await;
    let owner = json!(Principal::email("owner@company.com"));
    for more in [json!({}), json!({ "unknown": 1 })] {
        let mut params = json!({ "name": "get_active_users", "arguments": {}, "_meta": { "omni/caller": owner } });
        params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        for who in [None, Some("dba@company.com")] {
            let request = McpRequest::new("tools/call", Some(to_raw_value(&params).unwrap()));
            let answer = transport.request(request, &context(who)).await;
            assert!(answer.is_err(), "{answer:?}");
        }
    }
}

#[tokio::test]
async fn a_role_that_was_taken_away_counts_at_the_next_call() {
    let live = LivePolicy::new(policy());
    let transport = connected(live.clone()).await;
    let ask = async || call(&transport, "get_active_users", json!({}), Some("owner@company.com")).await;
    assert!(ask().await.is_ok());
    live.replace(Arc::new(MemoryPolicy::new().with_subject(
        "owner@company.com",
        Role::new("dba"),
        RuleSet::allow_all(),
        Quota::default(),
    )));
    assert!(ask().await.is_err());
}

#[tokio::test]
async fn where_servers_are_is_told_to_nobody_of_another_tenant() {
    let store = SqlAudit::open("sqlite::memory:").await.unwrap();
    store.db().migrate().await.unwrap();
    let known = "INSERT INTO mcp_servers (name, url) VALUES ('lab', 'http://10.0.0.7:8300/mcp')";
    store.db().execute(known, &[]).await.unwrap();
    let analytics = Analytics::new(store.db().clone());
    for (tenant, is_told) in [("default", true), ("other", false)] {
        let caller = Principal::email("owner@company.com").with_tenant(tenant);
        let found = analytics.ask(&caller, "get_mcp_health_summary", arguments(json!({}))).await.unwrap();
        let whole = format!("{} {}", found.text, found.document);
        assert!(whole.contains("lab"), "{tenant}: {whole}");
        assert_eq!(whole.contains("10.0.0.7"), is_told, "{tenant}: {whole}");
    }
}
