//! What a person reads in the terminal: of a made-up month that is always the same.

use omni_core::{
    Principal,
    analytics::{Analytics, history::History},
    audit::sql::SqlAudit,
    ledger::SealKey,
};
use serde_json::json;

const QUESTIONS: [(&str, &str); 5] = [
    ("get_top_expensive_queries", "limit"),
    ("get_active_users", ""),
    ("get_error_summary", ""),
    ("get_mcp_health_summary", ""),
    ("get_latency_percentiles", ""),
];

#[tokio::test]
async fn answers_are_a_sentence_and_tables() {
    let now = "2026-03-31T15:00:00Z".parse().unwrap();
    let store = SqlAudit::open("sqlite::memory:").await.unwrap();
    History::until(now).fill(&store, &SealKey::generate()).await.unwrap();
    let analytics = Analytics::new(store.db().clone());
    let mut seen = String::new();
    for (tool, limit) in QUESTIONS {
        let arguments = if limit.is_empty() { json!({}) } else { json!({ "limit": 5 }) };
        let arguments = arguments.as_object().unwrap().clone();
        let found = analytics.ask_at(&Principal::email("owner@company.com"), tool, arguments, now).await.unwrap();
        seen.push_str(&format!("{tool}\n\n{}\n", found.text));
    }
    insta::assert_snapshot!(seen);
}
