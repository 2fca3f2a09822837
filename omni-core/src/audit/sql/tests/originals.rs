//! What users of the original have: its queries, its views, and perhaps its database.

use std::time::Duration;

use super::*;
use crate::{Ask, Omni};

/// The queries of the original's README, word for word.
const README: [&str; 4] = [
    "SELECT user_email, message_preview, cost_estimate, \n       tokens_input, tokens_output, tokens_cached, created_at
FROM audit_logs \nORDER BY created_at DESC LIMIT 10;",
    "SELECT * FROM audit_logs \nORDER BY timestamp DESC \nLIMIT 20;",
    "-- View recent activity
SELECT \n    u.email,
    al.message_preview,
    al.tool_calls_count,
    al.cost_estimate,
    al.duration_ms,
    al.created_at
FROM audit_logs al
JOIN users u ON al.user_id = u.id
ORDER BY al.created_at DESC
LIMIT 20;",
    "-- Calculate total costs by user
SELECT \n    u.email,
    COUNT(*) as queries,
    SUM(al.cost_estimate) as total_cost,
    SUM(al.tokens_input + al.tokens_output) as total_tokens
FROM audit_logs al
JOIN users u ON al.user_id = u.id
WHERE al.created_at >= NOW() - INTERVAL '7 days'
GROUP BY u.email
ORDER BY total_cost DESC;",
];

async fn postgres() -> Option<SqlAudit> {
    SqlAudit::open(&crate::testing::postgres_schema().await?).await.ok()
}

fn events() -> Vec<Event> {
    let mut answered = AskRecord::new("Which databases are slow?", Outcome::Success);
    answered.usage = Usage { cache_read: 7_589, ..Usage::new(140, 346) };
    answered.cost = Some(NanoUsd(2_103_120));
    answered.tools_used = vec!["db.query".into()];
    let mut call = CallRecord::new("db", "query", json!({}), Outcome::Success);
    call.call_id = "1".into();
    vec![Event::ToolCall(call), Event::Ask(Box::new(answered)), ask("May I?", Outcome::Denied)]
}

#[tokio::test]
async fn the_queries_of_the_originals_readme_run_unchanged_on_postgres() {
    let Some(store) = postgres().await else { return };
    write(&store, &SealKey::generate(), events()).await;
    for query in README {
        let rows = store.db.fetch_all(query, &[]).await.unwrap();
        assert!(!rows.is_empty(), "{query}");
    }
    let costs = store.db.fetch_all(README[3], &[]).await.unwrap();
    assert_eq!((costs[0].text("email").unwrap(), costs[0].int("queries").unwrap()), ("dba@company.com".into(), 2));
    assert_eq!(costs[0].int("total_tokens").unwrap(), 486);
    const SEARCH: &str = "SELECT count(*) AS n FROM audit_logs WHERE search_vector @@ to_tsquery('database')";
    assert_eq!(number(&store, SEARCH).await, 1);
}

#[tokio::test]
async fn the_originals_views_say_what_was_done() {
    for store in stores().await {
        write(&store, &SealKey::generate(), events()).await;
        let row = async |query: &str| store.db.fetch_optional(query, &[]).await.unwrap().unwrap();
        let user = row("SELECT * FROM v_user_activity").await;
        let counts = ["total_queries", "successful_queries", "failed_queries"].map(|c| user.int(c).unwrap());
        assert_eq!(counts, [2, 1, 1]);
        let tool = row("SELECT * FROM v_tool_usage").await;
        assert_eq!((tool.text("name").unwrap(), tool.text("mcp_name").unwrap()), ("query".into(), "db".into()));
        assert_eq!((tool.int("call_count").unwrap(), tool.int("success_count").unwrap()), (1, 1));
        let server = row("SELECT * FROM v_mcp_health").await;
        assert_eq!((server.text("name").unwrap(), server.optional_text("url").unwrap()), ("db".into(), None));
        let day = row("SELECT * FROM audit_logs_summary").await;
        assert_eq!((day.int("total_requests").unwrap(), day.int("error_count").unwrap()), (2, 1));
    }
}

/// What the original's own script makes, as far as it matters here.
const ORIGINAL: [&str; 5] = [
    "CREATE TABLE users (id SERIAL PRIMARY KEY, email VARCHAR(255) UNIQUE NOT NULL, name VARCHAR(255) NOT NULL,
        role VARCHAR(50) NOT NULL DEFAULT 'read_only', slack_user_id VARCHAR(50) UNIQUE, is_active BOOLEAN DEFAULT true,
        is_super_admin BOOLEAN DEFAULT false, password_hash VARCHAR(255), last_login TIMESTAMPTZ,
        login_count INTEGER DEFAULT 0, preferences JSONB DEFAULT '{}', created_at TIMESTAMPTZ DEFAULT now(),
        updated_at TIMESTAMPTZ DEFAULT now(), created_by INTEGER, updated_by INTEGER)",
    "CREATE TABLE audit_logs (id SERIAL PRIMARY KEY, user_id INTEGER REFERENCES users(id) ON DELETE SET NULL,
        timestamp TIMESTAMPTZ DEFAULT now(), question TEXT, request_type VARCHAR(50) DEFAULT 'chat', message TEXT,
        message_preview VARCHAR(200), iterations INTEGER DEFAULT 1, tool_calls_count INTEGER DEFAULT 0,
        tools_used TEXT[], mcps_accessed TEXT[], databases_accessed TEXT[], tokens_input INTEGER, tokens_output INTEGER,
        tokens_cached INTEGER, cost_estimate DECIMAL(10,6), mcp_target VARCHAR(255), tool_called VARCHAR(255),
        tool_params JSONB, success BOOLEAN NOT NULL, status VARCHAR(50) DEFAULT 'success', warning VARCHAR(255),
        duration_ms INTEGER, result_summary TEXT, response_preview TEXT, error_message TEXT, error_id VARCHAR(50),
        slack_channel VARCHAR(100), slack_user_id VARCHAR(50), slack_message_ts VARCHAR(50),
        slack_thread_ts VARCHAR(50), llm_confidence DECIMAL(3,2), llm_reasoning TEXT, llm_tokens_used INTEGER,
        ip_address INET, user_agent TEXT, was_blocked BOOLEAN DEFAULT false, block_reason TEXT,
        created_at TIMESTAMPTZ DEFAULT now(), search_vector TSVECTOR)",
    "INSERT INTO users (email, name) VALUES ('dba@company.com', 'Old')",
    "INSERT INTO audit_logs (user_id, message, success) VALUES (1, 'from before', true)",
    "INSERT INTO audit_logs (timestamp, success, request_type, status, was_blocked, created_at)
        VALUES (now() - INTERVAL '90 days', false, NULL, NULL, NULL, NULL)",
];

#[tokio::test]
async fn a_database_of_the_original_is_taken_over_with_its_rows() {
    let Some(store) = postgres().await else { return };
    for statement in ORIGINAL {
        store.db.execute(statement, &[]).await.unwrap();
    }
    let key = SealKey::generate();
    write(&store, &key, events()).await;
    let query = AuditQuery { order: crate::audit::Order::OldestFirst, ..AuditQuery::default() };
    let entries = store.logs(&query).await.unwrap().entries;
    assert_eq!((entries.len(), entries[1].message.as_deref()), (4, Some("from before")));
    let half = (&*entries[0].status, &*entries[0].request_type, entries[0].was_blocked);
    assert_eq!(half, ("error", "chat", false), "what a row leaves open has an answer");
    assert_eq!(entries[1].user_email.as_deref(), Some("dba@company.com"));
    assert_eq!(number(&store, "SELECT count(*) AS n FROM users").await, 1);
    let verified = verify(&store, &key).await.unwrap();
    assert_eq!((verified.first_break, verified.unproved), (None, 2), "what nothing proves is said to be so");
    let pruned = crate::ledger::prune::prune(&store, &key, chrono::Utc::now() - chrono::TimeDelta::days(30)).await;
    assert_eq!(pruned.unwrap().unproved, 1);
    assert_eq!(verify(&store, &key).await.unwrap().unproved, 1);
}

#[tokio::test]
async fn rows_without_a_record_that_came_since_are_none_of_the_original_and_nothing_is_proved() {
    const MORE: &str = "INSERT INTO audit_logs (message, success) VALUES ('from beside', true)";
    let Some(store) = postgres().await else { return };
    for statement in ORIGINAL {
        store.db.execute(statement, &[]).await.unwrap();
    }
    let key = SealKey::generate();
    write(&store, &key, events()).await;
    let seen = async || {
        let verified = verify(&store, &key).await.unwrap();
        (verified.first_break.is_none(), verified.unproved, verified.beside, verified.is_proved())
    };
    assert_eq!(seen().await, (true, 2, 0, true));
    store.db.execute(MORE, &[]).await.unwrap();
    assert_eq!(seen().await, (true, 2, 1, false));
    // Who inserts chooses the number, and the time.
    store.db.execute("DELETE FROM audit_logs WHERE id = 1", &[]).await.unwrap();
    for (forged, beside) in [
        ("id = 0, created_at = '2020-01-01'", 1),
        ("id = 1, created_at = now() + INTERVAL '2 days'", 1),
        ("id = 1, created_at = '2020-01-01'", 0),
    ] {
        let forged = format!("UPDATE audit_logs SET {forged} WHERE message = 'from beside'");
        store.db.execute(&forged, &[]).await.unwrap();
        assert_eq!(seen().await, (true, 2 - beside, beside, beside == 0), "{forged}");
    }
}

#[tokio::test]
async fn the_daily_job_leaves_rows_of_the_original_to_whoever_prunes_by_hand() {
    const OWN: &str = "SELECT count(*) AS n FROM audit_logs WHERE chain_id IS NOT NULL AND request_type = 'chat'";
    let Some(store) = postgres().await else { return };
    for statement in ORIGINAL {
        store.db.execute(statement, &[]).await.unwrap();
    }
    let backend = AuditBackend::new(store.clone());
    let omni = Omni::builder().audit_backend(backend).retention_days(Some(0)).build().await.unwrap();
    omni.ask(Ask::new(Principal::email("ada@company.com"), "What can you do?")).await.unwrap();
    omni.ledger().flush(Duration::from_secs(20)).await.unwrap();
    assert_eq!(number(&store, OWN).await, 1);
    // The job runs for the first time when a minute has passed; the database answers in real time.
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(61)).await;
    tokio::time::resume();
    let gone = async {
        while number(&store, OWN).await > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), gone).await.unwrap();
    assert_eq!(number(&store, "SELECT count(*) AS n FROM audit_logs WHERE chain_id IS NULL").await, 2);
    omni.shutdown().await;
}

#[tokio::test]
async fn one_address_may_ask_in_several_tenants_of_a_database_of_the_original() {
    let Some(store) = postgres().await else { return };
    for statement in ORIGINAL {
        store.db.execute(statement, &[]).await.unwrap();
    }
    let ledger = Ledger::open(LedgerOptions::new(SealKey::generate()), Arc::new(store.clone())).await.unwrap();
    for tenant in ["default", "other"] {
        let party = Party { tenant: tenant.into(), ..party() };
        let record = Record::new(Uuid::now_v7(), Some(party), ask("?", Outcome::Success));
        ledger.write_with(record, Ack::Database).await.unwrap();
    }
    assert_eq!(number(&store, "SELECT count(*) AS n FROM users WHERE email = 'dba@company.com'").await, 2);
}
