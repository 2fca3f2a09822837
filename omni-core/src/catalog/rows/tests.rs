use chrono::Utc;
use serde_json::{json, value::to_raw_value};

use super::*;
use crate::{
    Principal, Source,
    audit::{AuditSink as _, sql::SqlAudit},
    ledger::{CallRecord, Event, Outcome, Party, Record, SealKey, seal_all},
    testing,
};

/// Every database of this build, empty.
async fn databases() -> Vec<Tables> {
    let urls = testing::postgres_schema().await.into_iter().chain(["sqlite::memory:".to_owned()]);
    urls.map(Tables::at).collect()
}

fn view(health: Health, tools: &[(&str, bool)]) -> ServerView {
    let mut view = ServerView::new("db", "http");
    view.checked_at = Some(Utc::now());
    view.last_seen = view.checked_at.filter(|_| health.is_healthy());
    view.failures = u32::from(!health.is_healthy());
    view.health = health;
    let tool = |(name, is_destructive): &(&str, bool)| {
        let mut tool = ToolDef::new("db", *name, to_raw_value(&json!({ "type": "object" })).unwrap());
        tool.annotations.destructive_hint = Some(*is_destructive);
        Arc::new(tool)
    };
    view.tools = tools.iter().map(tool).collect();
    view
}

async fn keep_view(tables: &Tables, view: &ServerView) {
    let tools = view.health.is_healthy().then_some(&view.tools);
    keep(tables, &[Seen { view, place: "http://db:8300/mcp".into(), tools }]).await.unwrap();
}

async fn call(tables: &Tables, server: &str, tool: &str, outcome: Outcome, duration_ms: u64) {
    let mut call = CallRecord::new(server, tool, json!({}), outcome);
    call.duration_ms = duration_ms;
    let party = Party::new(&Principal::email("ada@company.com"), Source::Embed);
    let record = Record::new(uuid::Uuid::now_v7(), Some(party), Event::DirectCall(call));
    let sink = SqlAudit::new(tables.db().await.unwrap().clone());
    sink.append(&seal_all(&SealKey::generate(), [record].into_iter())).await.unwrap();
}

/// Healthy, failures, requests, good ones, bad ones, milliseconds; and of each tool its name, danger and calls.
type Rows = ((bool, i64, [i64; 4]), Vec<(String, bool, i64)>);

async fn rows(tables: &Tables) -> Rows {
    let db = tables.db().await.unwrap();
    let server = db.fetch_all("SELECT * FROM mcp_servers", &[]).await.unwrap().remove(0);
    assert_eq!((server.text("name").unwrap(), server.text("url").unwrap()), ("db".into(), "http://db:8300/mcp".into()));
    let counts = ["total_requests", "successful_requests", "failed_requests", "avg_response_time_ms"];
    let counts = counts.map(|column| server.optional_int(column).unwrap().unwrap_or(-1));
    let tools = db.fetch_all("SELECT * FROM mcp_tools ORDER BY name", &[]).await.unwrap();
    let tool = |row: &crate::db::Row| {
        (row.text("name").unwrap(), row.bool("is_dangerous").unwrap(), row.int("call_count").unwrap())
    };
    let failures = server.int("consecutive_failures").unwrap();
    ((server.bool("is_healthy").unwrap(), failures, counts), tools.iter().map(tool).collect())
}

/// Whether each server is enabled.
async fn enabled(tables: &Tables) -> Vec<(String, bool)> {
    let db = tables.db().await.unwrap();
    let rows = db.fetch_all("SELECT name, is_enabled FROM mcp_servers ORDER BY name", &[]).await.unwrap();
    rows.iter().map(|row| (row.text("name").unwrap(), row.bool("is_enabled").unwrap())).collect()
}

#[tokio::test]
async fn what_the_configuration_has_no_more_is_switched_off_unless_somebody_else_wrote_it() {
    for tables in databases().await {
        let others = "INSERT INTO mcp_servers (name, url) VALUES ('original', 'http://o'), ('taken_over', 'http://t')";
        tables.db().await.unwrap().execute(others, &[]).await.unwrap();
        for name in ["db", "gone", "taken_over"] {
            let view = ServerView { name: name.into(), ..view(Health::Healthy, &[]) };
            keep(&tables, &[Seen { view: &view, place: String::new(), tools: None }]).await.unwrap();
        }
        for _ in 0..2 {
            disable_others(&tables, &BTreeSet::from(["db".into()])).await.unwrap();
            let expected = [("db", true), ("gone", false), ("original", true), ("taken_over", false)];
            assert_eq!(enabled(&tables).await, expected.map(|(name, is_on)| (name.to_owned(), is_on)));
        }
    }
}

#[tokio::test]
async fn health_tools_and_counters_are_in_the_originals_tables() {
    for tables in databases().await {
        call(&tables, "db", "get", Outcome::Success, 10).await;
        keep_view(&tables, &view(Health::Healthy, &[("drop", true), ("get", false)])).await;
        call(&tables, "db", "get", Outcome::Error, 20).await;
        // What omni refused is no call of the server's.
        call(&tables, "db", "get", Outcome::Denied, 20).await;
        call(&tables, "made_up", "get", Outcome::Error, 20).await;
        let tools = vec![("drop".into(), true, 0), ("get".into(), false, 2)];
        assert_eq!(rows(&tables).await, ((true, 0, [2, 1, 1, 15]), tools.clone()));

        keep_view(&tables, &view(Health::Unhealthy { reason: "away".into() }, &[])).await;
        assert_eq!(rows(&tables).await, ((false, 1, [2, 1, 1, 15]), tools));
        keep_view(&tables, &view(Health::Healthy, &[("get", false), ("list", false)])).await;
        let tools = vec![("get".into(), false, 2), ("list".into(), false, 0)];
        assert_eq!(rows(&tables).await, ((true, 0, [2, 1, 1, 15]), tools));
    }
}
