//! The ledger in both databases: the contracts, the projections, and what nobody may do to it.

use serde_json::json;

use super::*;
use crate::{
    Principal, Source,
    audit::{Cursor, Order},
    config::Ack,
    cost::NanoUsd,
    ledger::{
        AdminRecord, AskRecord, CallRecord, Event, Ledger, LedgerOptions, Outcome, Party, Record, SealKey, verify::*,
    },
    llm::Usage,
    testing::{audit_prune_contract, audit_reader_contract, audit_sink_contract, sealed, shared_audit_sink_contract},
};

mod carried;
mod originals;
mod sqlite;
mod tampering;

/// An empty database of each kind that can be had here.
async fn stores() -> Vec<SqlAudit> {
    let mut all = vec![SqlAudit::open("sqlite::memory:").await.unwrap()];
    if let Some(url) = crate::testing::postgres_schema().await {
        all.push(SqlAudit::open(&url).await.unwrap());
    }
    all
}

fn party() -> Party {
    let mut party = Party::new(&Principal::email("DBA@company.com"), Source::Slack);
    party.role = Some("dba".into());
    party
}

fn ask(question: &str, outcome: Outcome) -> Event {
    Event::Ask(Box::new(AskRecord::new(question, outcome)))
}

/// Writes events through a ledger; each closing one ends a request.
async fn write(store: &SqlAudit, key: &SealKey, events: Vec<Event>) -> Uuid {
    let ledger = Ledger::open(LedgerOptions::new(key.clone()), Arc::new(store.clone())).await.unwrap();
    let mut request_id = Uuid::now_v7();
    for event in events {
        let closes = matches!(event, Event::Ask(_) | Event::DirectCall(_));
        ledger.write_with(Record::new(request_id, Some(party()), event), Ack::Database).await.unwrap();
        if closes {
            request_id = Uuid::now_v7();
        }
    }
    let chain_id = ledger.chain_id();
    ledger.shutdown().await;
    chain_id
}

/// The number that a query gives.
async fn number(store: &SqlAudit, query: &str) -> i64 {
    store.db.fetch_optional(query, &[]).await.unwrap().unwrap().int("n").unwrap()
}

#[tokio::test]
async fn the_whole_answer_is_that_of_the_record() {
    for store in stores().await {
        let mut answered = AskRecord::new("q", Outcome::Success);
        answered.answer = "a".repeat(2_000);
        let events = vec![Event::Ask(Box::new(answered)), ask("q", Outcome::Denied)];
        write(&store, &SealKey::generate(), events).await;
        let entries = store.logs(&AuditQuery::default()).await.unwrap().entries;
        let mut answers = Vec::new();
        for entry in entries.iter().filter(|entry| entry.request_type == "chat") {
            answers.push(store.answer(entry).await.unwrap());
        }
        answers.sort();
        assert_eq!(answers, [None, Some("a".repeat(2_000))]);
    }
}

#[tokio::test]
async fn both_databases_keep_the_contracts() {
    for store in stores().await {
        audit_sink_contract(&store, &store).await;
        audit_reader_contract(&store, &store).await;
        audit_prune_contract(&store, &store).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_openings_of_one_database_are_one_store() {
    let dir = tempfile::tempdir().unwrap();
    let mut urls = vec![format!("sqlite:{}", dir.path().join("omni.db").display())];
    urls.extend(crate::testing::postgres_schema().await);
    let elsewhere = SqlAudit::open("sqlite::memory:").await.unwrap();
    for url in urls {
        let (one, other) = (SqlAudit::open(&url).await.unwrap(), SqlAudit::open(&url).await.unwrap());
        shared_audit_sink_contract(&one, &other, &other).await;
        assert!(one.place().is_some() && one.place() != elsewhere.place());
    }
}

#[tokio::test]
async fn a_second_opening_of_the_store_knows_what_is_there_and_a_new_one_begins_empty() {
    for store in stores().await {
        let chain = sealed(3);
        assert_eq!(store.heads().await.unwrap(), []);
        store.append(&chain).await.unwrap();
        let again = SqlAudit::new(store.db.clone());
        again.append(&chain).await.unwrap();
        assert_eq!(again.read(chain[0].chain_id, 0, 9).await.unwrap(), chain);
    }
}

#[tokio::test]
async fn the_ledger_can_neither_be_changed_nor_shortened() {
    for store in stores().await {
        store.append(&sealed(2)).await.unwrap();
        let mut statements = vec!["UPDATE ledger SET seq = seq + 9", "DELETE FROM ledger"];
        if store.db.dialect() == Dialect::Postgres {
            statements.push("TRUNCATE ledger");
        }
        for statement in statements {
            let error = store.db.execute(statement, &[]).await.unwrap_err().to_string();
            assert!(error.contains("append-only"), "{error}");
        }
    }
}

#[tokio::test]
async fn an_ask_becomes_a_row_with_the_originals_columns() {
    let mut ask = AskRecord::new("é".repeat(201), Outcome::Warning);
    ask.answer = "ü".repeat(501);
    ask.warning = Some("max_cost".into());
    ask.model = Some("claude-haiku-4-5".into());
    ask.iterations = 2;
    ask.tools_used = vec!["db.health".into(), "db.query".into(), "git.log".into()];
    ask.usage = Usage { cache_read: 7_589, cache_write: 3, cache_write_1h: 4, estimated: true, ..Usage::new(140, 346) };
    ask.cost = Some(NanoUsd(2_103_120));
    ask.duration_ms = 1_234;
    for store in stores().await {
        write(&store, &SealKey::generate(), vec![Event::Ask(Box::new(ask.clone()))]).await;
        let mut row = serde_json::to_value(&store.logs(&AuditQuery::default()).await.unwrap().entries[0]).unwrap();
        for varying in ["id", "request_id", "created_at"] {
            row[varying] = json!(null);
        }
        let expected = json!({
            "id": null, "request_id": null, "created_at": null, "tenant": "default",
            "user_email": "dba@company.com", "user_role": "dba", "actor": null, "source": "slack",
            "x_source": null, "user_agent": null, "ip_address": null, "request_type": "chat",
            "message": "é".repeat(201), "message_preview": format!("{}...", "é".repeat(197)),
            "response_preview": format!("{}...", "ü".repeat(500)), "iterations": 2, "tool_calls_count": 3,
            "tools_used": ["db.health", "db.query", "git.log"], "mcps_accessed": ["db", "git"], "tokens_input": 140,
            "tokens_output": 346, "tokens_cached": 7_589, "tokens_cache_write": 7, "cost_estimate": 0.002_103,
            "cost_nano_usd": 2_103_120, "cost_is_estimated": true, "mcp_target": null, "tool_called": null,
            "tool_params": null, "success": true, "status": "warning", "warning": "max_cost", "duration_ms": 1_234, "model": "claude-haiku-4-5",
            "error_message": null, "was_blocked": false, "block_reason": null,
        });
        assert_eq!(row, expected);
    }
}

#[tokio::test]
async fn a_message_of_200_characters_is_its_own_preview() {
    for store in stores().await {
        write(&store, &SealKey::generate(), vec![ask(&"é".repeat(200), Outcome::Success)]).await;
        let page = store.logs(&AuditQuery::default()).await.unwrap();
        assert_eq!(page.entries[0].message_preview, Some("é".repeat(200)));
    }
}

#[tokio::test]
async fn every_outcome_has_its_status_and_refusals_are_blocked() {
    let outcomes = [
        (Outcome::Success, "success", true, false),
        (Outcome::Warning, "warning", true, false),
        (Outcome::Error, "error", false, false),
        (Outcome::Denied, "denied", false, true),
        (Outcome::RateLimited, "rate_limited", false, true),
        (Outcome::Cancelled, "cancelled", false, false),
        (Outcome::Timeout, "timeout", false, false),
        (Outcome::UnknownOutcome, "unknown_outcome", false, false),
    ];
    for store in stores().await {
        let events = outcomes.iter().map(|(outcome, ..)| {
            let mut ask = AskRecord::new("?", *outcome);
            ask.error = Some("because".into());
            Event::Ask(Box::new(ask))
        });
        write(&store, &SealKey::generate(), events.collect()).await;
        let query = AuditQuery { order: crate::audit::Order::OldestFirst, ..AuditQuery::default() };
        let rows = store.logs(&query).await.unwrap().entries.into_iter();
        let rows: Vec<_> = rows.map(|row| (row.status, row.success, row.was_blocked, row.block_reason)).collect();
        let expected = outcomes.map(|(_, status, success, blocked)| {
            (status.to_owned(), success, blocked, blocked.then(|| "because".to_owned()))
        });
        assert_eq!(rows, expected);
    }
}

#[tokio::test]
async fn a_direct_call_is_a_row_in_both_tables_and_a_started_one_in_none() {
    let mut call = CallRecord::new("db", "drop_table", json!({"table": "t", "password": "hunter2"}), Outcome::Denied);
    call.rule = Some("mcps.db.deny: drop_*".into());
    call.error = Some("not for you".into());
    call.duration_ms = 5;
    for store in stores().await {
        let events = vec![Event::Started(call.clone()), Event::DirectCall(call.clone())];
        write(&store, &SealKey::generate(), events).await;
        assert_eq!(number(&store, "SELECT count(*) AS n FROM audit_logs").await, 1);
        assert_eq!(number(&store, "SELECT count(*) AS n FROM tool_calls").await, 1);
        let log = store.logs(&AuditQuery::default()).await.unwrap().entries.remove(0);
        assert_eq!((log.mcp_target.as_deref(), log.tool_called.as_deref()), (Some("db"), Some("drop_table")));
        assert_eq!(log.tool_params, Some(json!({"table": "t", "password": "[redacted]"})));
        assert_eq!(log.block_reason.as_deref(), Some("not for you"));
        let row = store.calls(log.request_id).await.unwrap().remove(0);
        assert_eq!((row.status.as_str(), row.rule.as_deref()), ("denied", Some("mcps.db.deny: drop_*")));
        assert_eq!((row.duration_ms, row.error.as_deref()), (5, Some("not for you")));
    }
}

#[tokio::test]
async fn what_omni_does_by_itself_has_omni_as_its_actor_and_no_row_of_a_person() {
    for store in stores().await {
        let key = SealKey::generate();
        let ledger = Ledger::open(LedgerOptions::new(key.clone()), Arc::new(store.clone())).await.unwrap();
        let event = Event::Admin(AdminRecord::new("ledger.prune", "retention"));
        ledger.write_with(Record::new(Uuid::now_v7(), None, event), Ack::Database).await.unwrap();
        let entry = store.logs(&AuditQuery::default()).await.unwrap().entries.remove(0);
        assert_eq!((entry.actor.as_deref(), entry.user_email), (Some("omni"), None));
        assert_eq!(number(&store, "SELECT count(*) AS n FROM users").await, 0);
        assert_eq!(verify(&store, &key).await.unwrap().first_break, None);
    }
}

#[tokio::test]
async fn everybody_who_asks_gets_one_user_row_that_grants_nothing() {
    const ROWS: &str = "SELECT email, name, role, role_source, is_super_admin FROM users";
    const JOINED: &str = "SELECT count(*) AS n FROM audit_logs JOIN users u ON user_id = u.id";
    for store in stores().await {
        write(&store, &SealKey::generate(), vec![ask("?", Outcome::Success), ask("?", Outcome::Success)]).await;
        let rows = store.db.fetch_all(ROWS, &[]).await.unwrap();
        assert_eq!(rows.len(), 1);
        let texts = ["email", "name", "role", "role_source"].map(|column| rows[0].text(column).unwrap());
        assert_eq!(texts, ["dba@company.com", "dba", "dba", "seen"]);
        assert!(!rows[0].bool("is_super_admin").unwrap());
        assert_eq!(number(&store, JOINED).await, 2);
    }
}

#[tokio::test]
async fn a_page_is_a_range_of_an_index_wherever_it_begins() {
    for store in stores().await {
        write(&store, &SealKey::generate(), (0..4).map(|_| ask("?", Outcome::Success)).collect()).await;
        let first = store.logs(&AuditQuery { limit: Some(1), ..AuditQuery::default() }).await.unwrap();
        let after = Cursor::of(&first.entries[0]);
        for order in [Order::NewestFirst, Order::OldestFirst] {
            for user in [None, Some("dba@company.com".to_owned())] {
                let query = AuditQuery { order, user, after: Some(after), ..AuditQuery::default() };
                let plan = explain(&store, &query).await;
                let is_range = plan.contains("SEARCH l USING INDEX") || plan.contains("Index Cond");
                assert!(is_range && !plan.contains("Seq Scan"), "{plan}");
                assert!(!plan.contains("TEMP B-TREE") && !plan.contains("Sort"), "{plan}");
            }
        }
    }
}

/// How the database would find a page, if tables were large.
async fn explain(store: &SqlAudit, query: &AuditQuery) -> String {
    let (sql, values) = log::page(query, store.db.dialect());
    let mut tx = store.db.begin().await.unwrap();
    let (explain, column) = match store.db.dialect() {
        Dialect::Sqlite => ("EXPLAIN QUERY PLAN", "detail"),
        Dialect::Postgres => {
            tx.execute("SET LOCAL enable_seqscan = off", &[]).await.unwrap();
            tx.execute("SET LOCAL enable_bitmapscan = off", &[]).await.unwrap();
            ("EXPLAIN", "QUERY PLAN")
        }
    };
    let rows = tx.fetch_all(&format!("{explain} {sql}"), &values).await.unwrap();
    rows.iter().map(|row| row.text(column).unwrap() + "\n").collect()
}

#[tokio::test]
async fn who_asks_again_and_again_takes_one_number() {
    for store in stores().await {
        let events = (0..9).map(|_| ask("?", Outcome::Success)).collect();
        write(&store, &SealKey::generate(), events).await;
        let mut party = party();
        party.subject = "second@company.com".into();
        let ledger = Ledger::open(LedgerOptions::new(SealKey::generate()), Arc::new(store.clone())).await.unwrap();
        let record = Record::new(Uuid::now_v7(), Some(party), ask("?", Outcome::Success));
        ledger.write_with(record, Ack::Database).await.unwrap();
        assert_eq!(number(&store, "SELECT max(id) AS n FROM users").await, 2);
    }
}

#[tokio::test]
async fn a_role_that_an_administrator_gave_is_not_overwritten() {
    const GIVEN: &str = "INSERT INTO users (email, name, role, role_source, created_at, updated_at)
        VALUES ('dba@company.com', 'dba', 'admin', 'assigned', ?, ?)";
    for store in stores().await {
        let now = chrono::Utc::now();
        store.ready().await.unwrap().execute(GIVEN, &[now.into(), now.into()]).await.unwrap();
        write(&store, &SealKey::generate(), vec![ask("?", Outcome::Success)]).await;
        let row = store.db.fetch_optional("SELECT role FROM users", &[]).await.unwrap().unwrap();
        assert_eq!(row.text("role").unwrap(), "admin");
    }
}

#[tokio::test]
async fn records_of_a_later_build_are_stored_without_a_projection() {
    for store in stores().await {
        let mut chain = sealed(1);
        chain[0].bytes = r#"{"kind":"from_the_future"}"#.into();
        store.append(&chain).await.unwrap();
        assert_eq!(store.read(chain[0].chain_id, 0, 9).await.unwrap(), chain);
        assert_eq!(store.differing(&chain).await.unwrap(), None);
    }
}

#[tokio::test]
async fn what_is_longer_than_the_originals_columns_is_stored_all_the_same() {
    let name = "é".repeat(600);
    let mut ask = AskRecord::new("?", Outcome::Success);
    ask.tools_used = vec![name.clone(); 20];
    ask.warning = Some(name.clone());
    ask.cost = Some(NanoUsd(u64::MAX));
    ask.usage = Usage::new(u64::MAX, u64::MAX);
    let mut party = Party::new(&Principal::email(&name), Source::Cli);
    party.role = Some(name.clone());
    for store in stores().await {
        let key = SealKey::generate();
        let call = CallRecord::new(&name, &name, json!({}), Outcome::Success);
        let ledger = Ledger::open(LedgerOptions::new(key.clone()), Arc::new(store.clone())).await.unwrap();
        for event in [Event::Ask(Box::new(ask.clone())), Event::DirectCall(call)] {
            let record = Record::new(Uuid::now_v7(), Some(party.clone()), event);
            ledger.write_with(record, Ack::Database).await.unwrap();
        }
        assert_eq!(verify(&store, &key).await.unwrap().first_break, None);
    }
}

#[tokio::test]
async fn a_postgres_that_is_away_is_no_reason_not_to_start() {
    let store = SqlAudit::open("postgresql+asyncpg://nobody@127.0.0.1:1/none").await.unwrap();
    let answer = store.append(&sealed(1)).await;
    assert!(matches!(answer, Err(AuditError::Unavailable { .. })), "{answer:?}");
}
