//! Both databases answer alike, and as if all rows were read.

use std::{collections::BTreeSet, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::{history::History, *};
use crate::{
    audit::{AuditSink as _, LedgerStore as _, SealedRecord, sql::SqlAudit},
    ledger::{SealKey, prune::prune, seal_all},
};

mod access;
mod found;
mod glance;

fn now() -> DateTime<Utc> {
    "2026-03-31T15:00:00.000000Z".parse().unwrap()
}

/// An empty database of each kind that can be had here.
async fn stores() -> Vec<SqlAudit> {
    let mut all = vec![SqlAudit::open("sqlite::memory:").await.unwrap()];
    if let Some(url) = crate::testing::postgres_schema().await {
        all.push(SqlAudit::open(&url).await.unwrap());
    }
    for store in &all {
        store.db().migrate().await.unwrap();
    }
    all
}

async fn append(store: &SqlAudit, chain: &[SealedRecord]) {
    for batch in chain.chunks(256) {
        store.append(batch).await.unwrap();
    }
}

fn history() -> History {
    History::until(now()).with_size(70, 14)
}

fn arguments(value: Value) -> JsonObject {
    let Value::Object(arguments) = value else { panic!("{value}") };
    arguments
}

/// Every tool in many ways: every period, explicit bounds, zones, people, groups.
fn questions() -> Vec<(String, Value)> {
    let mut all = Vec::new();
    let spans = [
        json!({ "period": "today" }),
        json!({ "period": "yesterday", "timezone": "Asia/Kolkata" }),
        json!({}),
        json!({ "period": "month", "timezone": "America/New_York" }),
        json!({ "period": "all" }),
        json!({ "since": "2026-02-11", "until": "2026-03-09", "timezone": "Asia/Kathmandu" }),
        json!({ "since": "2026-03-10T09:07:11+01:00", "until": "2026-03-10T15:00:00Z" }),
        json!({ "until": "2026-02-20" }),
        json!({ "since": "2030-01-01" }),
    ];
    let more = [
        ("get_cost_summary", json!({ "group_by": "mcp" })),
        ("get_cost_summary", json!({ "group_by": "day" })),
        ("get_cost_summary", json!({ "group_by": "model", "user_id": "dba@company.com" })),
        ("get_cost_summary", json!({ "group_by": "mcp", "user_id": "dba@company.com" })),
        ("get_cost_summary", json!({ "group_by": "day", "user_id": "dba@company.com" })),
        ("get_token_usage", json!({ "user_id": "DBA@company.com" })),
        ("get_error_summary", json!({ "mcp_name": "database_mcp" })),
        ("get_latency_percentiles", json!({ "group_by": "tool" })),
        ("get_slow_queries", json!({ "min_duration_ms": 0, "limit": 100 })),
        ("get_iteration_analysis", json!({ "min_iterations": 1 })),
        ("get_active_users", json!({ "role": "dba" })),
        ("get_denials", json!({ "user_id": "contractor@company.com" })),
    ];
    for span in &spans {
        let with = |more: &Value| {
            let mut all = span.as_object().unwrap().clone();
            all.extend(more.as_object().unwrap().clone());
            Value::Object(all)
        };
        all.extend(tool_names().into_iter().map(|tool| (tool, with(&json!({})))));
        all.extend(more.iter().map(|(tool, args)| ((*tool).to_owned(), with(args))));
    }
    all
}

/// What all of them find. Numbers of rows are their database's own.
async fn found(store: &SqlAudit) -> Vec<(String, Value)> {
    let analytics = Analytics::new(store.db().clone());
    let caller = Principal::email("dba@company.com");
    let mut all = Vec::new();
    for (tool, args) in questions() {
        let found = analytics.ask_at(&caller, &tool, arguments(args.clone()), now()).await;
        let mut found = found.unwrap_or_else(|error| panic!("{tool} {args}: {error:?}"));
        if tool == "get_failed_queries" {
            for row in found.document["queries"].as_array_mut().into_iter().flatten() {
                row["id"] = Value::Null;
            }
        }
        all.push((format!("{tool} {args}"), found.document));
    }
    all
}

fn assert_same(one: &[(String, Value)], other: &[(String, Value)], why: &str) {
    for ((question, expected), (_, found)) in one.iter().zip(other) {
        assert_eq!(found, expected, "{why}: {question}");
    }
}

#[tokio::test]
async fn sums_and_the_rows_after_them_are_what_all_rows_are_in_both_databases() {
    let chain = history().chain(&SealKey::generate());
    let mut first: Option<Vec<(String, Value)>> = None;
    for (number, store) in stores().await.into_iter().enumerate() {
        // The newest come first, so that late rows are in days and months that were summed up.
        let cut = chain.len() * 2 / 3;
        append(&store, &chain[cut..]).await;
        keep::catch_up(store.db()).await.unwrap();
        append(&store, &chain[..cut / 2]).await;
        keep::catch_up(store.db()).await.unwrap();
        append(&store, &chain[cut / 2..cut]).await;
        let split = found(&store).await;
        keep::catch_up(store.db()).await.unwrap();
        assert_same(&split, &found(&store).await, "all summed up");
        clear(&store).await;
        assert_same(&split, &found(&store).await, "nothing summed up");
        match &first {
            Some(first) => assert_same(first, &split, &format!("database {number}")),
            None => first = Some(split),
        }
    }
}

/// Takes all sums away.
async fn clear(store: &SqlAudit) {
    for rollup in rollup::ROLLUPS {
        store.db().execute(&format!("DELETE FROM {}", rollup.table), &[]).await.unwrap();
    }
    store.db().execute("UPDATE analytics_marks SET id = 0, version = version + 1", &[]).await.unwrap();
}

#[tokio::test]
async fn what_was_pruned_is_in_no_sum_any_more() {
    let key = SealKey::generate();
    for store in stores().await {
        append(&store, &history().chain(&key)).await;
        keep::catch_up(store.db()).await.unwrap();
        for (id, days) in [("old", 40), ("new", 1)] {
            const VERDICT: &str = "INSERT INTO ask_feedback (request_id, tenant, user_email, is_good, created_at)
                VALUES (?, 'default', 'ada@company.com', ?, ?)";
            let at = now() - TimeDelta::days(days);
            store.db().execute(VERDICT, &[id.into(), true.into(), at.into()]).await.unwrap();
        }
        let before = found(&store).await;
        let (gone, _) = prune_before(&store, &key, now() - TimeDelta::days(33)).await;
        assert!(gone > 100, "{gone}");
        let verdicts = store.db().fetch_all("SELECT request_id FROM ask_feedback", &[]).await.unwrap();
        assert_eq!(verdicts.iter().map(|row| row.text("request_id").unwrap()).collect::<Vec<_>>(), ["new"]);
        let after = found(&store).await;
        assert_ne!(before, after);
        clear(&store).await;
        assert_same(&found(&store).await, &after, "pruned");
    }
}

async fn prune_before(store: &SqlAudit, key: &SealKey, before: DateTime<Utc>) -> (u64, usize) {
    let count = async || {
        let row = store.db().fetch_optional("SELECT count(*) AS n FROM audit_logs", &[]).await.unwrap().unwrap();
        row.unsigned("n").unwrap()
    };
    let had = count().await;
    prune(store, key, before).await.unwrap();
    (had - count().await, store.chains().await.unwrap().len())
}

#[tokio::test]
async fn an_empty_history_is_told_in_a_sentence() {
    for store in stores().await {
        for (question, document) in found(&store).await {
            let says = document["summary"].as_str().unwrap();
            assert!(says.ends_with(").") && !says.contains("NaN"), "{question}: {says}");
        }
    }
}

#[tokio::test]
async fn an_argument_that_makes_no_sense_is_told_and_never_becomes_sql() {
    let store = SqlAudit::open("sqlite::memory:").await.unwrap();
    let analytics = Analytics::new(store.db().clone());
    let cases = [
        ("get_cost_summary", json!({ "period": "decade" }), "period"),
        ("get_cost_summary", json!({ "group_by": "user; DROP TABLE users" }), "group_by"),
        ("get_slow_queries", json!({ "user_id": "x" }), "user_id"),
        ("get_cost_summary", json!({ "user_id": 77 }), "user_id"),
        ("get_cost_trend", json!({ "forecast_days": "many" }), "arguments"),
    ];
    for (tool, args, named) in cases {
        let error = analytics.ask(&Principal::email("a@b.c"), tool, arguments(args)).await.unwrap_err().to_string();
        assert!(error.contains(&format!("`{named}`")), "{error}");
    }
    let quoted = json!({ "mcp_name": "x' OR '1'='1" });
    let found = analytics.ask(&Principal::email("a@b.c"), "get_error_summary", arguments(quoted)).await.unwrap();
    assert!(found.text.starts_with("There were no calls"), "{}", found.text);
}

#[tokio::test]
async fn what_others_tenants_do_is_in_no_answer() {
    let key = SealKey::generate();
    for store in stores().await {
        append(&store, &history().chain(&key)).await;
        let before = found(&store).await;
        append(&store, &seal_all(&SealKey::generate(), found::shared("elsewhere").into_iter())).await;
        assert_same(&before, &found(&store).await, "not summed up");
        keep::catch_up(store.db()).await.unwrap();
        assert_same(&before, &found(&store).await, "summed up");
    }
}

/// A question that comes while rows are on their way out waits for them to be gone.
#[tokio::test(flavor = "multi_thread")]
async fn a_day_is_not_summed_up_while_its_rows_are_removed() {
    let key = SealKey::generate();
    for store in stores().await {
        append(&store, &history().chain(&key)).await;
        keep::catch_up(store.db()).await.unwrap();
        let all =
            "INSERT INTO analytics_stale (source, day) SELECT DISTINCT 'audit_logs', start FROM analytics_requests
                   WHERE grain = 1";
        store.db().execute(all, &[]).await.unwrap();
        // One connection alone can write to this SQLite, so there nobody can come in between.
        if store.db().dialect() == crate::db::Dialect::Sqlite {
            continue;
        }
        let mut tx = store.db().begin().await.unwrap();
        crate::audit::sql::stale::mark(&mut tx, "audit_logs", "id > ?", &[0_i64.into()]).await.unwrap();
        tx.execute("DELETE FROM audit_logs", &[]).await.unwrap();
        let asking = tokio::spawn({
            let store = store.clone();
            async move { found(&store).await }
        });
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(!asking.is_finished());
        tx.commit().await.unwrap();
        asking.await.unwrap();
        let after = found(&store).await;
        clear(&store).await;
        assert_same(&found(&store).await, &after, "removed");
    }
}

async fn refresh(store: &SqlAudit) -> Result<(), AnalyticsError> {
    keep::refresh(store.db(), keep::RENEWED_WITHIN).await
}

/// Makes a dozen days look as if rows of them were removed; how many they are.
async fn make_stale(store: &SqlAudit) -> u64 {
    let stale = "INSERT INTO analytics_stale (source, day)
        SELECT DISTINCT 'audit_logs', start FROM analytics_requests WHERE grain = 1 ORDER BY start LIMIT 12";
    store.db().execute(stale, &[]).await.unwrap()
}

#[tokio::test]
async fn more_days_than_one_question_can_sum_up_again_are_told_and_no_wrong_sum() {
    for store in stores().await {
        append(&store, &history().chain(&SealKey::generate())).await;
        keep::catch_up(store.db()).await.unwrap();
        let before = found(&store).await;
        let days = make_stale(&store).await;
        let told = keep::refresh(store.db(), Duration::ZERO).await.unwrap_err();
        assert!(told.to_string().contains("ask once more in a minute"), "{told}");
        let left = store.db().fetch_all("SELECT day FROM analytics_stale", &[]).await.unwrap();
        assert_eq!(left.len() as u64, days);
        assert_same(&before, &found(&store).await, "summed up again");
    }
}

#[tokio::test]
async fn two_who_ask_at_once_after_a_pruning_sum_up_each_of_its_days_once() {
    for store in stores().await {
        append(&store, &history().chain(&SealKey::generate())).await;
        keep::catch_up(store.db()).await.unwrap();
        let days = make_stale(&store).await;
        let version = async || {
            let sql = "SELECT version FROM analytics_marks WHERE source = 'audit_logs'";
            store.db().fetch_optional(sql, &[]).await.unwrap().unwrap().unsigned("version").unwrap()
        };
        let before = version().await;
        let (one, other) = tokio::join!(refresh(&store), refresh(&store));
        one.and(other).unwrap();
        assert!(days > 9, "{days}");
        assert_eq!(version().await - before, days);
    }
}

#[tokio::test]
async fn a_forecast_goes_by_the_days_before_whatever_period_is_asked_for() {
    let store = SqlAudit::open("sqlite::memory:").await.unwrap();
    append(&store, &history().chain(&SealKey::generate())).await;
    let analytics = Analytics::new(store.db().clone());
    let forecast = async |args: Value, at: DateTime<Utc>| {
        let caller = Principal::email("dba@company.com");
        let found = analytics.ask_at(&caller, "get_cost_trend", arguments(args), at).await.unwrap();
        found.document["totals"]["forecast_usd"].clone()
    };
    let month = forecast(json!({}), now()).await;
    assert!(month.as_f64().unwrap() > 0.0, "{month}");
    for args in [json!({ "period": "today" }), json!({ "until": "2026-02-28" }), json!({ "period": "all" })] {
        assert_eq!(forecast(args.clone(), now()).await, month, "{args}");
    }
}
