//! What never reaches a database, and what a database refuses itself.

use std::time::{Duration, Instant};

use database_mcp::{Config, DatabaseConfig, Kind};
use omni_tests::own_database::OwnDatabase;
use serde_json::json;
use tempfile::TempDir;

use super::{Session, only};

/// A real database of each kind that is there, with the session and the tool for it.
async fn databases(dir: &TempDir) -> Vec<(Kind, Option<OwnDatabase>, Session)> {
    let mut found = Vec::new();
    let url = format!("sqlite:{}?mode=rwc", dir.path().join("x.db").display());
    std::fs::write(dir.path().join("x.db"), b"").unwrap();
    found.push((Kind::Sqlite, None, Session::of(only("db", Kind::Sqlite, url)).await));
    for (kind, own) in [(Kind::Postgres, OwnDatabase::postgres().await), (Kind::Mysql, OwnDatabase::mysql().await)] {
        let Some(own) = own else { continue };
        own.run("CREATE TABLE t (a INT)").await;
        let session = Session::of(only("db", kind, own.url())).await;
        found.push((kind, Some(own), session));
    }
    found
}

#[tokio::test]
async fn only_one_query_that_reads_is_passed_on() {
    let dir = tempfile::tempdir().unwrap();
    for (kind, _own, session) in databases(&dir).await {
        for (text, why) in [
            ("DROP TABLE t", "drops something"),
            ("SELECT 1; DROP TABLE t", "2 statements"),
            ("SELECT 1; SELECT 2", "2 statements"),
            ("WITH x AS (DELETE FROM t RETURNING *) SELECT * FROM x", "deletes rows"),
            ("INSERT INTO t VALUES (1)", "inserts rows"),
            ("SELECT * INTO u FROM t", "SELECT … INTO"),
            ("SELECT * FROM t FOR UPDATE", "FOR UPDATE"),
            ("SELECT a FROM t INTO OUTFILE '/tmp/x'", "not a query"),
            ("SELECT pg_sleep(60), load_file('/etc/passwd')", "does more than to compute"),
            ("EXPLAIN ANALYZE DELETE FROM t", "deletes rows"),
            ("", "there is no query"),
            ("SELEC 1", "not a query"),
        ] {
            for (tool, arguments) in [
                (kind.analyze_tool(), json!({ "db_name": "db", "sql_text": text })),
                (kind.compare_tool(), json!({ "db_name": "db", "original_sql": "SELECT 1", "optimized_sql": text })),
            ] {
                let said = session.refusal(&tool, arguments).await;
                assert!(said.contains(why), "{kind}: {text}: {said}");
            }
        }
    }
}

/// Behind the judge stands the database: a function that writes gets through as a function, and writes nothing.
#[tokio::test]
async fn a_function_that_writes_is_stopped_by_the_read_only_transaction() {
    let Some(own) = OwnDatabase::postgres().await else { return };
    own.run(
        "CREATE TABLE t (a int); INSERT INTO t VALUES (1);
         CREATE FUNCTION harmless() RETURNS int IMMUTABLE LANGUAGE plpgsql AS
           $$ BEGIN DELETE FROM t; RETURN 1; END $$;",
    )
    .await;
    let config = DatabaseConfig::new("db", Kind::Postgres, own.url()).with_explain_analyze();
    let session = Session::of(Config::of([config])).await;
    let said = session
        .refusal(
            "analyze_postgres_query",
            json!({ "db_name": "db", "sql_text": "SELECT * FROM t WHERE a = harmless()" }),
        )
        .await;
    assert!(said.contains("non-volatile function") || said.contains("read-only transaction"), "{said}");
    own.run("DO $$ BEGIN ASSERT (SELECT count(*) FROM t) = 1; END $$").await;
    own.run("ALTER FUNCTION harmless() VOLATILE; CREATE VIEW v AS SELECT harmless() AS a;").await;
    let said =
        session.refusal("analyze_postgres_query", json!({ "db_name": "db", "sql_text": "SELECT * FROM v" })).await;
    assert!(said.contains("cannot execute DELETE in a read-only transaction"), "{said}");
    own.run("DO $$ BEGIN ASSERT (SELECT count(*) FROM t) = 1; END $$").await;
}

#[tokio::test]
async fn a_statement_that_takes_too_long_is_stopped() {
    let endless = "SELECT count(*) FROM generate_series(1, 100000000) a, generate_series(1, 100000) b";
    if let Some(own) = OwnDatabase::postgres().await {
        stops(DatabaseConfig::new("db", Kind::Postgres, own.url()), endless).await;
    }
    if let Some(own) = OwnDatabase::mysql().await {
        own.run("CREATE TABLE n SELECT seq AS a FROM seq_1_to_20000").await;
        stops(
            DatabaseConfig::new("db", Kind::Mysql, own.url()),
            "SELECT COUNT(*) FROM n x, n y, n z WHERE x.a + y.a > z.a",
        )
        .await;
    }
}

async fn stops(database: DatabaseConfig, endless: &str) {
    let tool = database.kind.analyze_tool();
    let mut config = Config::of([database.with_explain_analyze()]);
    config.limits.statement_timeout_ms = 300;
    let session = Session::of(config).await;
    let started = Instant::now();
    let said = session.refusal(&tool, json!({ "db_name": "db", "sql_text": endless })).await;
    assert_eq!(said, "db did not answer within 300 ms; the statement was given up");
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
}

#[tokio::test]
async fn the_wrong_tool_and_the_wrong_name_are_told_what_is_right() {
    let databases = [
        DatabaseConfig::new("orders", Kind::Sqlite, "sqlite::memory:"),
        DatabaseConfig::new("billing", Kind::Sqlite, "sqlite::memory:").with_tools_of([Kind::Mysql]),
    ];
    let session = Session::of(Config::of(databases)).await;
    let said = session.refusal("analyze_mysql_query", json!({ "db_name": "orders", "sql_text": "SELECT 1" })).await;
    assert_eq!(said, "orders is a SQLite database: use analyze_sqlite_query instead");
    let reply = session.answer("analyze_mysql_query", json!({ "db_name": "billing", "sql_text": "SELECT 1" })).await;
    assert!(reply.text.contains("this is SQLite's plan, not MySQL's"), "{}", reply.text);
    for name in ["Orders", "orders ", "order"] {
        let said = session.refusal("get_database_health", json!({ "db_name": name })).await;
        assert!(said.contains("the databases are orders and billing. Did you mean orders?"), "{said}");
    }
}

#[tokio::test]
async fn no_answer_holds_a_password() {
    let secret = "S3cretW0rd";
    let mut databases = vec![
        DatabaseConfig::new("a", Kind::Postgres, format!("postgres://{secret}:{secret}@127.0.0.1:1/{secret}")),
        DatabaseConfig::new("b", Kind::Mysql, format!("mysql://app:{secret}@127.0.0.1:1/x")),
        DatabaseConfig::new("c", Kind::Postgres, format!("not a url {secret}")),
    ];
    let server = std::env::var_os("OMNI_TEST_POSTGRES_URL").unwrap_or_default();
    if let Ok(mut url) = url::Url::parse(server.to_str().unwrap()) {
        url.set_path(secret);
        url.set_password(Some(secret)).unwrap();
        databases.push(DatabaseConfig::new("d", Kind::Postgres, url.as_str()));
    }
    let session = Session::of(Config::of(databases)).await;
    let listed = session.answer("list_available_databases", json!({})).await;
    assert!(!listed.text.contains(secret) && !listed.document.to_string().contains(secret), "{}", listed.text);
    assert!(listed.text.contains("Not reachable"), "{}", listed.text);
    for name in ["a", "b", "c"] {
        let said = session.refusal("get_database_health", json!({ "db_name": name })).await;
        assert!(!said.contains(secret) && said.contains("cannot be reached"), "{said}");
    }
}

#[tokio::test]
async fn long_answers_are_cut_and_say_so() {
    let mut config = only("db", Kind::Sqlite, "sqlite::memory:");
    config.limits.max_output_bytes = 2_500;
    let session = Session::of(config).await;
    let union = (0..120).map(|n| format!("SELECT {n} AS a")).collect::<Vec<_>>().join(" UNION ALL ");
    let reply = session.answer("analyze_sqlite_query", json!({ "db_name": "db", "sql_text": union })).await;
    assert!(reply.document.to_string().len() <= 2_500 && reply.text.len() <= 2_500, "{}", reply.text);
    assert!(
        reply.text.contains("was cut to its limit") || reply.text.contains("the rest was left out"),
        "{}",
        reply.text
    );
}
