//! The ledger in SQLite: the contract, the projections, and what nobody may do to it.

use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnection;

use super::*;
use crate::{
    Principal, Source,
    config::{Ack, AuditConfig},
    cost::NanoUsd,
    ledger::{AskRecord, CallRecord, Event, Ledger, LedgerOptions, Outcome, Party, SealKey, verify::*},
    llm::Usage,
    testing::{audit_sink_contract, sealed},
};

fn url(dir: &tempfile::TempDir) -> String {
    format!("sqlite:{}", dir.path().join("data/omni.db").display())
}

fn party() -> Party {
    let mut party = Party::new(&Principal::email("DBA@company.com"), Source::Slack);
    party.role = Some("dba".into());
    party
}

/// What the tables hold after these events, through a ledger.
async fn project(events: Vec<Event>) -> SqliteSink {
    let sink = SqliteSink::open("sqlite::memory:").await.unwrap();
    let ledger = Ledger::open(LedgerOptions::new(SealKey::generate()), Arc::new(sink.clone())).await.unwrap();
    let mut request_id = Uuid::now_v7();
    for event in events {
        let closes = matches!(event, Event::Ask(_) | Event::DirectCall(_));
        ledger.write_with(Record::new(request_id, Some(party()), event), Ack::Database).await.unwrap();
        if closes {
            request_id = Uuid::now_v7();
        }
    }
    ledger.shutdown().await;
    sink
}

/// The first row of a query as JSON objects.
async fn row(sink: &SqliteSink, query: &'static str) -> Value {
    let text: String = sqlx::query_scalar(query).fetch_one(sink.pool()).await.unwrap();
    serde_json::from_str(&text).unwrap()
}

#[tokio::test]
async fn the_sqlite_sink_keeps_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    let sink = SqliteSink::open(&url(&dir)).await.unwrap();
    audit_sink_contract(&sink, &sink).await;
    let sink = SqliteSink::open("sqlite::memory:").await.unwrap();
    audit_sink_contract(&sink, &sink).await;
}

#[tokio::test]
async fn opening_again_keeps_what_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let chain = sealed(3);
    SqliteSink::open(&url(&dir)).await.unwrap().append(&chain).await.unwrap();
    let again = SqliteSink::open(&url(&dir)).await.unwrap();
    assert_eq!(again.read(chain[0].chain_id, 0, 9).await.unwrap(), chain);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_may_open_and_write_one_database_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let chains: Vec<_> = (0..4).map(|_| sealed(30)).collect();
    let write = |chain: Vec<SealedRecord>| {
        let url = url(&dir);
        tokio::spawn(async move {
            let sink = SqliteSink::open(&url).await.unwrap();
            for batch in chain.chunks(4) {
                sink.append(batch).await.unwrap();
            }
        })
    };
    for written in futures::future::join_all(chains.iter().cloned().map(write)).await {
        written.unwrap();
    }
    let sink = SqliteSink::open(&url(&dir)).await.unwrap();
    for chain in &chains {
        assert_eq!(&sink.read(chain[0].chain_id, 0, 100).await.unwrap(), chain);
    }
}

#[tokio::test]
async fn the_ledger_can_neither_be_changed_nor_shortened() {
    let sink = SqliteSink::open("sqlite::memory:").await.unwrap();
    sink.append(&sealed(2)).await.unwrap();
    for statement in ["UPDATE ledger SET bytes = x'00'", "DELETE FROM ledger"] {
        let error = sqlx::query(statement).execute(sink.pool()).await.unwrap_err().to_string();
        assert!(error.contains("append-only"), "{error}");
    }
}

#[tokio::test]
async fn a_row_altered_behind_the_triggers_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let sink = SqliteSink::open(&url(&dir)).await.unwrap();
    let key = SealKey::generate();
    let ledger = Ledger::open(LedgerOptions::new(key.clone()), Arc::new(sink.clone())).await.unwrap();
    for question in ["1", "2"] {
        let event = Event::Ask(Box::new(AskRecord::new(question, Outcome::Denied)));
        ledger.write(Record::new(Uuid::now_v7(), Some(party()), event)).await.unwrap();
    }
    ledger.flush(Duration::from_secs(20)).await.unwrap();
    assert_eq!(verify(&sink, &key).await.unwrap().first_break, None);
    let mut connection = sink.pool().acquire().await.unwrap();
    let alter = async |connection: &mut SqliteConnection, statement: &'static str| {
        sqlx::query(statement).execute(connection).await.unwrap();
    };
    alter(&mut connection, "DROP TRIGGER ledger_is_append_only_update").await;
    alter(&mut connection, "UPDATE ledger SET bytes = replace(CAST(bytes AS TEXT), 'denied', 'success') WHERE seq = 1")
        .await;
    let found = verify(&sink, &key).await.unwrap().first_break.unwrap();
    assert_eq!((found.chain_id, found.seq, found.fault), (ledger.chain_id(), 1, Fault::Altered));
}

#[tokio::test]
async fn an_ask_becomes_a_row_with_the_originals_columns() {
    let mut ask = AskRecord::new("é".repeat(201), Outcome::Warning);
    ask.answer = "ü".repeat(501);
    ask.warning = Some("max_cost".into());
    ask.model = Some("claude-haiku-4-5".into());
    ask.iterations = 2;
    ask.tools_used = vec!["db.health".into(), "db.query".into(), "git.log".into()];
    ask.usage = Usage { cache_read: 7_589, cache_write: 3, cache_write_1h: 4, ..Usage::new(140, 346) };
    ask.cost = Some(NanoUsd(2_103_120));
    ask.duration_ms = 1_234;
    let sink = project(vec![Event::Ask(Box::new(ask))]).await;
    let row = row(
        &sink,
        "SELECT json_object('email', user_email, 'role', user_role, 'source', source, 'type', request_type,
             'message', message, 'preview', message_preview, 'response', response_preview, 'iterations', iterations,
             'count', tool_calls_count, 'tools', json(tools_used), 'mcps', json(mcps_accessed), 'in', tokens_input,
             'out', tokens_output, 'cached', tokens_cached, 'written', tokens_cache_write, 'cost', cost_estimate,
             'nano', cost_nano_usd, 'success', success, 'status', status, 'warning', warning, 'ms', duration_ms,
             'model', model, 'blocked', was_blocked) FROM audit_logs",
    )
    .await;
    let expected = json!({
        "email": "dba@company.com", "role": "dba", "source": "slack", "type": "chat",
        "message": "é".repeat(201), "preview": format!("{}...", "é".repeat(197)),
        "response": format!("{}...", "ü".repeat(500)), "iterations": 2, "count": 3,
        "tools": ["db.health", "db.query", "git.log"], "mcps": ["db", "git"], "in": 140, "out": 346,
        "cached": 7_589, "written": 7, "cost": 0.002_103, "nano": 2_103_120, "success": 1, "status": "warning",
        "warning": "max_cost", "ms": 1_234, "model": "claude-haiku-4-5", "blocked": 0,
    });
    assert_eq!(row, expected);
}

#[tokio::test]
async fn a_message_of_200_characters_is_its_own_preview() {
    let sink = project(vec![Event::Ask(Box::new(AskRecord::new("é".repeat(200), Outcome::Success)))]).await;
    let preview: String =
        sqlx::query_scalar("SELECT message_preview FROM audit_logs").fetch_one(sink.pool()).await.unwrap();
    assert_eq!(preview, "é".repeat(200));
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
    let events = outcomes.iter().map(|(outcome, ..)| {
        let mut ask = AskRecord::new("?", *outcome);
        ask.error = Some("because".into());
        Event::Ask(Box::new(ask))
    });
    let sink = project(events.collect()).await;
    let rows: Vec<(String, bool, bool, Option<String>)> =
        sqlx::query_as("SELECT status, success, was_blocked, block_reason FROM audit_logs ORDER BY id")
            .fetch_all(sink.pool())
            .await
            .unwrap();
    let expected = outcomes.map(|(_, status, success, blocked)| {
        (status.to_owned(), success, blocked, blocked.then(|| "because".to_owned()))
    });
    assert_eq!(rows, expected);
}

#[tokio::test]
async fn a_direct_call_is_a_row_in_both_tables_and_a_started_one_in_none() {
    let mut call = CallRecord::new("db", "drop_table", json!({"table": "t", "password": "hunter2"}), Outcome::Denied);
    call.rule = Some("mcps.db.deny: drop_*".into());
    call.error = Some("not for you".into());
    call.duration_ms = 5;
    let sink = project(vec![Event::Started(call.clone()), Event::DirectCall(call)]).await;
    let log = row(
        &sink,
        "SELECT json_object('type', request_type, 'mcp', mcp_target, 'tool', tool_called, 'params', json(tool_params),
             'reason', block_reason, 'mcps', json(mcps_accessed), 'n', (SELECT count(*) FROM audit_logs)) FROM audit_logs",
    );
    let expected = json!({
        "type": "tool_call", "mcp": "db", "tool": "drop_table", "params": {"table": "t", "password": "[redacted]"},
        "reason": "not for you", "mcps": ["db"], "n": 1,
    });
    assert_eq!(log.await, expected);
    let call = row(
        &sink,
        "SELECT json_object('server', server, 'tool', tool, 'outcome', outcome, 'rule', rule, 'ms', duration_ms, 'error', error,
             'n', (SELECT count(*) FROM tool_calls)) FROM tool_calls",
    );
    let expected = json!({
        "server": "db", "tool": "drop_table", "outcome": "denied", "rule": "mcps.db.deny: drop_*", "ms": 5,
        "error": "not for you", "n": 1,
    });
    assert_eq!(call.await, expected);
}

#[tokio::test]
async fn everybody_who_asks_gets_one_user_row_that_grants_nothing() {
    let ask = || Event::Ask(Box::new(AskRecord::new("?", Outcome::Success)));
    let sink = project(vec![ask(), ask()]).await;
    let user = row(
        &sink,
        "SELECT json_object('email', email, 'name', name, 'role', role, 'source', role_source, 'admin', is_super_admin,
             'n', (SELECT count(*) FROM users), 'logs', (SELECT count(*) FROM audit_logs JOIN users u ON user_id = u.id))
         FROM users",
    );
    let expected = json!({
        "email": "dba@company.com", "name": "dba", "role": "dba", "source": "seen", "admin": 0, "n": 1, "logs": 2,
    });
    assert_eq!(user.await, expected);
}

#[tokio::test]
async fn a_role_that_an_administrator_gave_is_not_overwritten() {
    let sink = project(vec![]).await;
    let stored = "INSERT INTO users (email, name, role, role_source, created_at, updated_at)
                  VALUES ('dba@company.com', 'dba', 'admin', 'assigned', '', '')";
    sqlx::query(stored).execute(sink.pool()).await.unwrap();
    let ledger = Ledger::open(LedgerOptions::new(SealKey::generate()), Arc::new(sink.clone())).await.unwrap();
    let ask = Event::Ask(Box::new(AskRecord::new("?", Outcome::Success)));
    ledger.write_with(Record::new(Uuid::now_v7(), Some(party()), ask), Ack::Database).await.unwrap();
    let role: String = sqlx::query_scalar("SELECT role FROM users").fetch_one(sink.pool()).await.unwrap();
    assert_eq!(role, "admin");
}

#[tokio::test]
async fn records_of_a_later_build_are_stored_without_a_projection() {
    let sink = SqliteSink::open("sqlite::memory:").await.unwrap();
    let mut chain = sealed(1);
    chain[0].bytes = r#"{"kind":"from_the_future"}"#.into();
    sink.append(&chain).await.unwrap();
    assert_eq!(sink.read(chain[0].chain_id, 0, 9).await.unwrap(), chain);
}

#[cfg(unix)]
#[tokio::test]
async fn a_new_database_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let sink = SqliteSink::open(&url(&dir)).await.unwrap();
    sink.append(&sealed(1)).await.unwrap();
    for entry in std::fs::read_dir(dir.path().join("data")).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o077, 0, "{:?}", entry.path());
    }
}

#[tokio::test]
async fn a_path_that_cannot_be_written_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "no database, though long enough to be read as one's header, and not empty").unwrap();
    let mut registry = Registry::empty();
    register(&mut registry);
    for url in [file.join("omni.db"), file.clone(), dir.path().to_owned()] {
        let url = url.display().to_string();
        let config = AuditConfig {
            kind: "sqlite".into(),
            url: url.clone(),
            dir: dir.path().into(),
            ack: Some(Ack::Local),
            required: true,
        };
        let error = registry.sinks.build("sqlite", config).await.unwrap_err().to_string();
        assert!(error.contains(&file.display().to_string()) || error.contains(&url), "{error}");
        assert!(error.contains("omni may write"), "{error}");
    }
}

#[test]
fn urls_and_paths_name_the_same_file() {
    for url in ["sqlite:/data/omni.db", "sqlite:///data/omni.db", "/data/omni.db", "sqlite:/data/omni.db?mode=rwc"] {
        assert_eq!(Target::parse(url), Target::File("/data/omni.db".into()), "{url}");
    }
    assert_eq!(Target::parse("sqlite:data/omni.db"), Target::File("data/omni.db".into()));
    assert_eq!(Target::parse("sqlite::memory:"), Target::Memory);
}
