//! SQLite: plans, statistics that an application records, and files that are not changed.

use chrono::{DateTime, Utc};
use database_mcp::{
    Config, DatabaseConfig, Kind,
    sample::{self, SampleOptions},
};
use serde_json::json;
use sqlx::{ConnectOptions as _, Connection as _, sqlite::SqliteConnectOptions};
use tempfile::TempDir;

use super::{Session, only};

#[tokio::test]
async fn several_may_make_the_samples_in_one_directory_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let making = (0..4).map(|_| sample::databases(dir.path()));
    for made in futures::future::join_all(making).await {
        assert_eq!(made.unwrap().len(), 3);
    }
}

/// A file with statements run in it.
async fn file(sql: &'static str) -> (TempDir, String) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("shop.db");
    let options = SqliteConnectOptions::new().filename(&path).create_if_missing(true);
    let mut connection = options.connect().await.unwrap();
    sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    (dir, format!("sqlite:{}", path.display()))
}

const SHOP: &str = "
    CREATE TABLE customers (id INTEGER PRIMARY KEY, email TEXT, city TEXT);
    CREATE INDEX customers_email ON customers (email);
    CREATE TABLE orders (id INTEGER PRIMARY KEY, customer_id INTEGER, status TEXT, created_at TEXT, note TEXT);
    CREATE INDEX orders_created ON orders (created_at);
    WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 12000)
      INSERT INTO orders SELECT n, n % 500, 'open', datetime('2026-01-01', n || ' minutes'), 'note ' || n FROM n;
    WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 500)
      INSERT INTO customers SELECT n, 'c' || n || '@example.com', 'Wien' FROM n;";

async fn shop() -> (TempDir, Session) {
    let (dir, url) = file(SHOP).await;
    (dir, Session::of(only("shop", Kind::Sqlite, url)).await)
}

fn sql(sql: &str) -> serde_json::Value {
    json!({ "db_name": "shop", "sql_text": sql })
}

#[tokio::test]
async fn a_full_scan_is_named_with_the_index_that_is_missing() {
    let (_dir, session) = shop().await;
    let query = "SELECT id FROM orders WHERE customer_id = 7 AND status = 'open' AND note > 'a' ORDER BY note DESC, id";
    let reply = session.answer("analyze_sqlite_query", sql(query)).await;
    let finding = reply.finding("missing_index");
    assert_eq!((&finding["severity"], &finding["table"]), (&json!("high"), &json!("orders")));
    assert!(finding["message"].as_str().unwrap().contains("about 12 000 rows"), "{finding}");
    assert_eq!(
        finding["statement"],
        "CREATE INDEX idx_orders_customer_id_status_note ON orders (customer_id, status, note);"
    );
    assert_eq!(reply.document["plan"]["steps"][0]["access"], "full_scan");
    assert!(reply.codes().contains(&"sort"), "{}", reply.text);
    assert!(reply.document["recommendations"][0].as_str().unwrap().starts_with("CREATE INDEX"), "{}", reply.text);
}

#[tokio::test]
async fn conditions_that_hide_a_column_from_its_index_are_named() {
    let (_dir, session) = shop().await;
    let reply = session
        .answer("analyze_sqlite_query", sql("SELECT id FROM orders WHERE date(created_at) = '2026-01-02'"))
        .await;
    let finding = reply.finding("function_on_column");
    assert!(finding["message"].as_str().unwrap().contains("the index orders_created cannot be used"), "{finding}");
    assert!(finding["advice"].as_str().unwrap().contains("created_at >= start AND created_at < end"), "{finding}");

    let reply = session.answer("analyze_sqlite_query", sql("SELECT * FROM customers WHERE lower(email) = 'a'")).await;
    let statement = &reply.finding("function_on_column")["statement"];
    assert_eq!(statement, "CREATE INDEX idx_customers_lower_email ON customers (lower(email));");
    assert!(reply.codes().contains(&"select_star"));

    let reply = session.answer("analyze_sqlite_query", sql("SELECT id FROM orders WHERE note LIKE '%7'")).await;
    assert_eq!(reply.finding("leading_wildcard")["severity"], "high");
}

#[tokio::test]
async fn tables_that_nothing_joins_are_named() {
    let (_dir, session) = shop().await;
    let reply =
        session.answer("analyze_sqlite_query", sql("SELECT count(*) FROM orders o, customers c WHERE o.id = 1")).await;
    let finding = reply.finding("cartesian_join");
    assert_eq!(finding["severity"], "high");
    assert!(finding["message"].as_str().unwrap().contains("Nothing joins o with c"), "{finding}");
    let joined = "SELECT count(*) FROM orders o JOIN customers c ON c.id = o.customer_id WHERE o.id = 1";
    let reply = session.answer("analyze_sqlite_query", sql(joined)).await;
    assert!(reply.codes().is_empty(), "{}", reply.text);
    assert!(reply.text.contains("Nothing stands out"), "{}", reply.text);
}

#[tokio::test]
async fn subqueries_done_row_by_row_and_alternatives_without_an_index_are_named() {
    let (_dir, session) = shop().await;
    let query = "SELECT id, (SELECT count(*) FROM orders o WHERE o.customer_id = c.id) FROM customers c";
    let reply = session.answer("analyze_sqlite_query", sql(query)).await;
    assert!(reply.codes().contains(&"correlated_subquery"), "{}", reply.text);
    let reply =
        session.answer("analyze_sqlite_query", sql("SELECT id FROM orders WHERE customer_id = 1 OR note = 'x'")).await;
    let finding = reply.finding("missing_index");
    assert!(
        finding["message"].as_str().unwrap().contains("its alternatives (OR) on customer_id and note"),
        "{finding}"
    );
}

#[tokio::test]
async fn placeholders_are_explained_and_only_the_plan_is_there_if_only_that_is_wanted() {
    let (_dir, session) = shop().await;
    let arguments = json!({ "db_name": "shop", "sql_text": "SELECT * FROM orders WHERE id = ?", "depth": "plan_only" });
    let reply = session.answer("analyze_sqlite_query", arguments).await;
    assert_eq!(reply.document["plan"]["steps"][0]["access"], "single");
    assert!(reply.codes().is_empty());
}

#[tokio::test]
async fn two_plans_are_compared_and_the_better_one_is_named() {
    let (_dir, session) = shop().await;
    let arguments = json!({
        "db_name": "shop",
        "original_sql": "SELECT id FROM orders WHERE date(created_at) = '2026-01-02'",
        "optimized_sql": "SELECT id FROM orders WHERE created_at >= '2026-01-02' AND created_at < '2026-01-03'",
    });
    let reply = session.answer("compare_sqlite_query_plans", arguments).await;
    assert_eq!(reply.document["better"], "optimized");
    assert_eq!(reply.measure("full_scans"), (1.0, 0.0));
    let solved: Vec<&str> =
        reply.document["solved"].as_array().unwrap().iter().map(|one| one["code"].as_str().unwrap()).collect();
    assert!(solved.contains(&"function_on_column"), "{solved:?}");
    assert!(reply.text.contains("The optimized query has the better plan."), "{}", reply.text);
    let same = json!({ "db_name": "shop", "original_sql": "SELECT 1", "optimized_sql": "SELECT 2" });
    assert_eq!(session.answer("compare_sqlite_query_plans", same).await.document["better"], "same");
}

#[tokio::test]
async fn without_recorded_statistics_it_is_said_how_to_record_them() {
    let (_dir, session) = shop().await;
    for tool in ["get_top_queries", "get_performance_trends"] {
        let said = session.refusal(tool, json!({ "db_name": "shop" })).await;
        assert!(said.contains("no table omni_query_stats") && said.contains("recorded_at"), "{said}");
    }
    let health = session.answer("get_database_health", json!({ "db_name": "shop" })).await;
    assert!(health.metric("size_bytes") > 100_000.0 && health.metric("tables") == 2.0);
    assert!(health.codes().contains(&"no_statistics"), "{}", health.text);
}

/// Until when the samples' history goes in tests.
fn noon() -> DateTime<Utc> {
    "2026-03-02T12:30:00Z".parse().unwrap()
}

#[tokio::test]
async fn recorded_statistics_have_top_queries_health_and_trends() {
    let dir = tempfile::tempdir().unwrap();
    let session = Session::with(sample::server(dir.path()).await.unwrap()).await;
    let top = session.answer("get_top_queries", json!({ "db_name": "transformer_master", "limit": 3 })).await;
    let queries = top.document["queries"].as_array().unwrap();
    assert_eq!(queries.len(), 3);
    assert_eq!(queries[0]["sql_id"], "tm01");
    let elapsed: Vec<f64> = queries.iter().map(|query| query["elapsed_ms"].as_f64().unwrap()).collect();
    assert!(elapsed.is_sorted_by(|a, b| a >= b), "{elapsed:?}");
    let by = json!({ "db_name": "transformer_master", "metric": "average", "limit": 1, "time_range_minutes": 60 });
    assert_eq!(session.answer("get_top_queries", by).await.document["queries"][0]["sql_id"], "tm02");

    let trend = json!({ "db_name": "transformer_master", "hours": 96, "sql_id": "tm01" });
    let trend = session.answer("get_performance_trends", trend).await;
    assert_eq!(trend.document["summary"]["direction"], "rising", "{}", trend.text);
    assert!(trend.document["points"].as_array().unwrap().len() >= 40, "{}", trend.text);
    let said = session
        .refusal("get_performance_trends", json!({ "db_name": "transformer_master", "metric": "active_sessions" }))
        .await;
    assert!(said.contains("does not record active_sessions; it records avg_elapsed_ms"), "{said}");

    let well = session.answer("get_database_health", json!({ "db_name": "way4_docker8" })).await;
    assert!(!well.codes().contains(&"slower"), "{}", well.text);
    let ill = session.answer("get_database_health", json!({ "db_name": "way4_docker7" })).await;
    assert_eq!(ill.finding("slower")["severity"], "high");
    assert!(ill.document["score"].as_u64() < well.document["score"].as_u64());
}

#[tokio::test]
async fn the_samples_follow_from_their_seed_and_their_time_alone() {
    let content = async |seed: u32| {
        let dir = tempfile::tempdir().unwrap();
        sample::databases_of(dir.path(), SampleOptions::until(noon()).with_seed(seed)).await.unwrap();
        let names = ["transformer_master", "way4_docker7", "way4_docker8"];
        names.map(|name| std::fs::read(dir.path().join(format!("{name}.db"))).unwrap())
    };
    let (one, again, other) = (content(1).await, content(1).await, content(2).await);
    assert!(one == again, "the same seed makes the same files");
    assert!(one != other && one[1] != one[2]);
}

/// Everything that a person reads of the samples, as it is on a day that does not pass.
#[tokio::test]
async fn texts_read_as_they_should() {
    let dir = tempfile::tempdir().unwrap();
    let databases = sample::databases_of(dir.path(), SampleOptions::until(noon())).await.unwrap();
    let session = Session::of(Config::of(databases)).await;
    let mut texts = String::new();
    for (tool, arguments) in [
        ("list_available_databases", json!({})),
        ("get_database_health", json!({ "db_name": "way4_docker7" })),
        ("get_top_queries", json!({ "db_name": "transformer_master", "limit": 3 })),
        (
            "analyze_sqlite_query",
            json!({ "db_name": "transformer_master", "sql_text":
                "SELECT * FROM transactions t JOIN merchants m ON m.merchant_id = t.merchant_id
                 WHERE t.merchant_id = 7 AND t.status = 'pending' AND lower(m.city) = 'wien' ORDER BY t.created_at DESC" }),
        ),
        (
            "compare_mysql_query_plans",
            json!({ "db_name": "way4_docker8",
                "original_sql": "SELECT * FROM ows.merchant_statement WHERE contract_id = 12313",
                "optimized_sql": "SELECT id, gross_cents FROM ows.merchant_statement WHERE id = 7" }),
        ),
    ] {
        let reply = session.answer(tool, arguments.clone()).await;
        texts.push_str(&format!("=== {tool} {arguments}\n{}\n", reply.text));
    }
    let listed = session.answer("list_available_databases", json!({})).await;
    let version = listed.document["databases"][0]["version"].as_str().unwrap().to_owned();
    insta::assert_snapshot!("database_mcp", texts.replace(&version, "SQLite [version]"));
}

#[tokio::test]
async fn the_file_is_opened_to_be_read_and_missing_ones_are_not_made() {
    let (dir, url) = file(SHOP).await;
    let before = std::fs::read(dir.path().join("shop.db")).unwrap();
    let missing = format!("sqlite:{}", dir.path().join("none.db").display());
    let databases =
        [DatabaseConfig::new("shop", Kind::Sqlite, url), DatabaseConfig::new("none", Kind::Sqlite, missing)];
    let session = Session::of(Config::of(databases)).await;
    let listed = session.answer("list_available_databases", json!({})).await;
    assert_eq!(listed.document["databases"][0]["is_reachable"], true);
    assert_eq!(listed.document["databases"][1]["is_reachable"], false);
    assert!(
        listed.text.contains("Not reachable: none cannot be reached: unable to open database file"),
        "{}",
        listed.text
    );
    session.answer("get_database_health", json!({ "db_name": "shop" })).await;
    session.answer("analyze_sqlite_query", sql("SELECT * FROM orders")).await;
    assert!(!dir.path().join("none.db").exists());
    assert_eq!(before, std::fs::read(dir.path().join("shop.db")).unwrap());
}
