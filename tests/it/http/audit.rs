//! What was asked and called.

use chrono::{TimeDelta, Utc};
use omni_core::{
    analytics::history::History,
    audit::{AuditBackend, memory::MemorySink},
    identity::Scope,
    llm::scripted::{Scripted, text_turn},
};
use omni_tests::{
    door::{Door, Reply},
    office::{Office, Plan},
};
use serde_json::{Value, json};

use super::{ADA, BOSS};

/// What Ada and the boss did: three calls of hers, of which one failed and one was refused, and one of his.
async fn history() -> Office {
    let office = Office::open().await;
    let (ada, boss) = (office.key(ADA).await, office.key(BOSS).await);
    office.call(&ada, "lab", "echo").await.is(200);
    office.call(&ada, "away", "echo").await.is(503);
    office.call(&ada, "lab", "drop_table").await.is(404);
    office.call(&boss, "lab", "drop_table").await.is(200);
    office.settle().await;
    office
}

/// Who, which tool, how it ended.
fn lines(logs: &Value) -> Vec<(&str, &str, &str)> {
    logs.as_array()
        .unwrap()
        .iter()
        .map(|entry| {
            let [user, tool, status] =
                ["user_email", "tool_called", "status"].map(|field| entry[field].as_str().unwrap_or_default());
            (user, tool, status)
        })
        .collect()
}

const CALLS: &str = "type=tool_call";

#[tokio::test]
async fn everybody_reads_their_own_and_nobody_elses() {
    let office = history().await;
    let ada = office.key(ADA).await;
    let own = office.get(&ada, &format!("/audit/logs?{CALLS}")).await.is(200).json();
    let expected = [(ADA, "drop_table", "denied"), (ADA, "echo", "error"), (ADA, "echo", "success")];
    assert_eq!(lines(&own["logs"]), expected);
    assert_eq!((&own["total"], &own["limit"], &own["offset"]), (&json!(3), &json!(100), &json!(0)));
    let entry = &own["logs"][2];
    assert_eq!((&entry["tools_used"], &entry["mcps_accessed"]), (&json!(["lab.echo"]), &json!(["lab"])));
    assert_eq!((&entry["request_type"], &entry["source"]), (&json!("tool_call"), &json!("http")));
    let named = office.get(&ada, &format!("/audit/logs?{CALLS}&requesting_user={ADA}&user_id={ADA}")).await.is(200);
    assert_eq!(named.json()["total"], 3);
    let others = office.get(&ada, &format!("/audit/logs?user_id={BOSS}")).await;
    assert_eq!(others.error(403, "denied"), "You can only view your own audit logs");
    let sums = office.get(&ada, &format!("/audit/stats?user_id={BOSS}")).await;
    assert_eq!(sums.error(403, "denied"), "You can only view your own statistics");
    for path in [
        "/audit/logs?requesting_user=",
        "/audit/my-logs?user_id=",
        "/audit/stats?requesting_user=",
        "/audit/my-stats?user_id=",
    ] {
        office.get(&ada, &format!("{path}{BOSS}")).await.error(403, "denied");
        office.get(&ada, path).await.is(200);
        office.get("", path).await.error(401, "unauthenticated");
    }
}

#[tokio::test]
async fn whoever_may_reads_everybodys() {
    let office = history().await;
    let audrey = office.key_with("audrey@company.com", &[Scope::Audit]).await;
    let all = office.get(&audrey, &format!("/audit/logs?{CALLS}")).await.is(200).json();
    assert_eq!((lines(&all["logs"])[0], &all["total"]), ((BOSS, "drop_table", "success"), &json!(4)));
    let of_ada = office.get(&audrey, &format!("/audit/logs?{CALLS}&user_id=ADA@company.com")).await.is(200).json();
    assert_eq!(of_ada["total"], 3);
    let narrow = office.key_with("audrey@company.com", &[Scope::Ask]).await;
    let refused = office.get(&narrow, &format!("/audit/logs?user_id={ADA}")).await;
    assert_eq!(refused.error(403, "denied"), "You can only view your own audit logs");
    let own = office.get(&audrey, "/audit/my-logs").await.is(200).json();
    assert_eq!((&own["total"], &own["limit"]), (&json!(0), &json!(50)), "one's own are one's own");
}

#[tokio::test]
async fn a_key_for_others_reads_what_they_would() {
    let office = history().await;
    let bot = office.key_with(BOSS, &[Scope::Ask, Scope::Audit, Scope::ActAs]).await;
    let own = office.get(&bot, &format!("/audit/my-logs?user_id={ADA}&{CALLS}")).await.is(200).json();
    assert_eq!(own["total"], 3);
    let asked = office.get(&bot, &format!("/audit/logs?requesting_user={ADA}&user_id={BOSS}")).await;
    assert_eq!(asked.error(403, "denied"), "You can only view your own audit logs");
}

#[tokio::test]
async fn the_log_is_narrowed_down() {
    let office = history().await;
    let boss = office.key(BOSS).await;
    let found = async |query: &str| {
        let page = office.get(&boss, &format!("/audit/logs?{CALLS}&{query}")).await.is(200).json();
        assert_eq!(page["total"].as_u64().unwrap(), page["logs"].as_array().unwrap().len() as u64, "{query}");
        page["total"].as_u64().unwrap()
    };
    for (query, count) in [
        ("status=denied", 1),
        ("mcp_name=away", 1),
        ("tool=lab.drop_table", 2),
        ("tool=echo", 2),
        ("days=90", 4),
        ("since=2020-01-01", 4),
        ("since=2020-01-01&until=2020-01-02T00:00:00Z", 0),
        ("status=", 4),
    ] {
        assert_eq!(found(query).await, count, "{query}");
    }
    let chats = office.get(&boss, "/audit/logs?type=chat").await.is(200).json();
    assert_eq!(chats["total"], 0);
}

#[tokio::test]
async fn what_ended_long_ago_is_found_by_its_end_alone() {
    let past = Some(History::until(Utc::now()).with_size(30, 20));
    let settings = "llm: { provider: offline }\n".into();
    let office = Office::of(Plan { settings, past, ..Plan::default() }).await;
    let boss = office.key(BOSS).await;
    let total = async |query: &str| {
        let page = office.get(&boss, &format!("/audit/logs?{query}")).await.is(200).json();
        page["total"].as_u64().unwrap()
    };
    let [end, since_two, since_seven] = [10, 12, 17].map(|days| (Utc::now() - TimeDelta::days(days)).date_naive());
    let found = total(&format!("until={end}")).await;
    assert_eq!(found, total(&format!("since={since_seven}&until={end}")).await);
    assert!(found > 0);
    assert_eq!(
        total(&format!("until={end}&days=2")).await,
        total(&format!("since={since_two}&until={end}&days=90")).await
    );
    for format in ["json", "csv"] {
        let wrong = office.get(&boss, &format!("/audit/logs?since={end}&until={end}&format={format}")).await;
        assert_eq!(wrong.error(422, "invalid")[0]["loc"], json!(["query", "until"]), "{format}");
    }
}

#[tokio::test]
async fn a_query_that_is_not_right_is_told_field_by_field() {
    let office = Office::open().await;
    let ada = office.key(ADA).await;
    for (path, query) in [
        ("logs", "days=0"),
        ("logs", "days=91"),
        ("logs", "limit=0"),
        ("logs", "limit=1001"),
        ("logs", "offset=-1"),
        ("logs", "offset=100001"),
        ("logs", "since=soon"),
        ("logs", "after=there"),
        ("logs", "format=xml"),
        ("my-logs", "limit=501"),
        ("stats", "days=x"),
        ("my-stats", "days=91"),
    ] {
        let detail = office.get(&ada, &format!("/audit/{path}?{query}")).await.error(422, "invalid");
        let field = query.split_once('=').unwrap().0;
        assert_eq!(detail[0]["loc"], json!(["query", field]), "{query}: {detail}");
    }
}

#[tokio::test]
async fn a_page_goes_on_where_the_last_one_ended() {
    let office = history().await;
    let boss = office.key(BOSS).await;
    let page = async |more: &str| office.get(&boss, &format!("/audit/logs?{CALLS}{more}")).await.is(200).json();
    let ids = |page: &Value| -> Vec<i64> {
        page["logs"].as_array().unwrap().iter().map(|entry| entry["id"].as_i64().unwrap()).collect()
    };
    let all = ids(&page("").await);
    let first = page("&limit=3").await;
    assert_eq!((ids(&first), &first["total"]), (all[..3].to_vec(), &json!(4)));
    let rest = page(&format!("&limit=3&after={}", first["next"].as_str().unwrap())).await;
    assert_eq!(ids(&rest), all[3..]);
    assert_eq!((&rest["total"], &rest["next"]), (&json!(null), &json!(null)), "who goes on was told before");
    let skipped = page("&limit=2&offset=1").await;
    assert_eq!((ids(&skipped), &skipped["total"]), (all[1..3].to_vec(), &json!(4)));
}

#[tokio::test]
async fn the_sums_are_those_of_the_entries() {
    let office = history().await;
    let (ada, boss) = (office.key(ADA).await, office.key(BOSS).await);
    for path in ["/audit/stats?days=30", "/audit/my-stats?days=30"] {
        let stats = office.get(&ada, path).await.is(200).json();
        let expected = json!({
            "total_requests": 3, "total_tool_calls": 2, "avg_iterations": 0.0, "total_cost": 0.0, "error_count": 1,
            "success_count": 1, "warning_count": 0, "period_days": 30, "blocked_count": 1,
            "estimated_count": 0, "total_tokens_cache_write": 0,
        });
        for (field, value) in expected.as_object().unwrap() {
            assert_eq!(&stats[field], value, "{path} {field}");
        }
        assert!(stats["avg_duration_ms"].is_f64());
    }
    let of_ada = office.get(&boss, &format!("/audit/stats?user_id={ADA}")).await.is(200).json();
    assert_eq!((&of_ada["total_requests"], &of_ada["period_days"]), (&json!(3), &json!(7)));
    let own = office.get(&boss, "/audit/my-stats").await.is(200).json();
    assert_eq!(own["total_requests"], 1, "one's own are one's own");
}

#[tokio::test]
async fn one_entry_is_shown_with_its_calls_to_whose_it_is() {
    let office = Office::open().await;
    let (ada, boss) = (office.key(ADA).await, office.key(BOSS).await);
    let id = office.call(&ada, "lab", "echo").await.is(200).json()["request_id"].as_str().unwrap().to_owned();
    office.settle().await;
    let path = format!("/audit/logs/{id}");
    for (key, sees_rule) in [(&ada, false), (&boss, true)] {
        let entry = office.get(key, &path).await.is(200).json();
        assert_eq!((&entry["request_id"], &entry["user_email"]), (&json!(id), &json!(ADA)));
        assert_eq!((&entry["tool_params"], &entry["ip_address"]), (&json!({ "message": "hi" }), &json!("127.0.0.1")));
        let call = &entry["tool_calls"][0];
        assert_eq!((&call["mcp"], &call["tool"], &call["status"]), (&json!("lab"), &json!("echo"), &json!("success")));
        assert_eq!(call["rule"].is_string(), sees_rule, "{call}");
    }
    let eve = office.key("eve@company.com").await;
    office.get(&eve, &path).await.error(404, "not_found");
    office.get(&ada, &format!("/audit/logs/{}", uuid::Uuid::now_v7())).await.error(404, "not_found");
    let wrong = office.get(&ada, "/audit/logs/7").await.error(422, "invalid");
    assert_eq!(wrong[0]["loc"], json!(["path", "request_id"]));
}

#[tokio::test]
async fn an_entry_has_the_whole_answer_for_whose_it_is() {
    let long = "Paris. ".repeat(200).trim().to_owned();
    let said = long.clone();
    let model = Scripted::from_fn(move |_| Ok(text_turn(&said)));
    let kept = AuditBackend::new(MemorySink::default());
    let door = Door::with(|_| {}, |builder| builder.llm(model).audit_backend(kept)).await;
    let ada = door.key(ADA, &[Scope::Ask, Scope::Audit]).await;
    let asked = door.post_by(&ada, "/chat/ask", &json!({ "message": "Where?" })).await.is(200).json();
    door.omni.ledger().flush(std::time::Duration::from_secs(30)).await.unwrap();
    let path = format!("/audit/logs/{}", asked["request_id"].as_str().unwrap());
    let entry = door.get_by(&ada, &path).await.is(200).json();
    assert_eq!(entry["answer"], json!(long));
    assert_ne!(entry["response_preview"], entry["answer"], "of which the log has the beginning");
    let eve = door.key("eve@company.com", &[Scope::Ask]).await;
    door.get_by(&eve, &path).await.error(404, "not_found");
}

#[tokio::test]
async fn the_log_comes_as_a_table_and_as_lines() {
    let office = history().await;
    let (ada, boss) = (office.key(ADA).await, office.key(BOSS).await);
    let csv = office.get(&boss, &format!("/audit/logs?{CALLS}&format=csv")).await.is(200);
    assert_eq!(csv.header("content-type"), "text/csv; charset=utf-8");
    assert_eq!(csv.header("content-disposition"), "attachment; filename=\"audit.csv\"");
    assert!(csv.text.starts_with("id,request_id,created_at,"), "{}", csv.text);
    assert_eq!(csv.text.lines().count(), 1 + 4);
    let ndjson = office.get(&ada, &format!("/audit/my-logs?{CALLS}&format=ndjson")).await.is(200);
    assert_eq!(ndjson.header("content-type"), "application/x-ndjson");
    let entries: Vec<Value> = ndjson.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(csv.text.lines().next().unwrap().ends_with(",cost_nano_usd,cost_is_estimated"), "{}", csv.text);
    let costs = |entry: &Value| entry["tenant"].is_string() && entry.get("cost_nano_usd").is_some();
    assert!(entries.iter().all(|entry| costs(entry) && entry["cost_is_estimated"] == false), "{entries:?}");
    assert_eq!(lines(&entries.into())[1], (ADA, "echo", "error"));
    let one = office.get(&boss, &format!("/audit/logs?{CALLS}&format=csv&limit=2&offset=1")).await.is(200);
    assert_eq!(one.text.lines().count(), 1 + 2, "a limit is one of the whole");
    let refused = office.get(&ada, &format!("/audit/logs?format=csv&user_id={BOSS}")).await;
    assert_eq!(refused.error(403, "denied"), "You can only view your own audit logs");
}

#[tokio::test]
async fn what_is_longer_than_a_portion_comes_whole_and_is_no_formula() {
    let office = Office::open().await;
    let boss = office.key(BOSS).await;
    let mut calls = Vec::new();
    for _ in 0..20 {
        let burst = (0..21).map(|_| office.call(&boss, "nowhere", "=1+1"));
        calls.extend(futures::future::join_all(burst).await);
    }
    assert!(calls.into_iter().all(|reply: Reply| reply.status == 404));
    office.settle().await;
    let csv = office.get(&boss, "/audit/logs?format=csv&mcp_name=nowhere").await.is(200);
    let ids: std::collections::BTreeSet<&str> =
        csv.text.lines().skip(1).filter_map(|line| line.split(',').next()).collect();
    assert_eq!((csv.text.lines().count(), ids.len()), (421, 420));
    assert!(csv.text.contains(",'=1+1,") && !csv.text.contains(",=1+1,"), "{}", &csv.text[..600]);
    let limited = office.get(&boss, "/audit/logs?format=ndjson&mcp_name=nowhere&limit=401").await.is(200);
    assert_eq!(limited.text.lines().count(), 401);
}
