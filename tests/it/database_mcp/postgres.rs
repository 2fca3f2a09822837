//! PostgreSQL, a real one.

use database_mcp::{Config, DatabaseConfig, Kind};
use omni_tests::{own_database::OwnDatabase, postgres::Postgres};
use serde_json::{Value, json};

use super::{Session, only};

const SHOP: &str = "
    CREATE TABLE customers (id int PRIMARY KEY, email text, city text);
    CREATE INDEX customers_email ON customers (email);
    CREATE TABLE orders (id int PRIMARY KEY, customer_id int, status text, created_at timestamptz, note text);
    CREATE INDEX orders_created ON orders (created_at);
    INSERT INTO orders SELECT n, n % 500, CASE WHEN n % 1000 = 0 THEN 'open' ELSE 'done' END,
      timestamptz '2026-01-01' + n * interval '1 minute', 'note ' || n FROM generate_series(1, 20000) n;
    INSERT INTO customers SELECT n, 'c' || n || '@example.com', 'Wien' FROM generate_series(1, 2000) n;
    ANALYZE;";

async fn shop() -> Option<(OwnDatabase, Session)> {
    let own = OwnDatabase::postgres().await?;
    own.run(SHOP).await;
    let session = Session::of(only("shop", Kind::Postgres, own.url())).await;
    Some((own, session))
}

fn sql(sql: &str) -> Value {
    json!({ "db_name": "shop", "sql_text": sql })
}

#[tokio::test]
async fn plans_of_postgres_have_findings_with_what_to_do() {
    let Some((_own, session)) = shop().await else { return };
    let tool = "analyze_postgres_query";
    let reply = session.answer(tool, sql("SELECT id FROM orders WHERE customer_id = 7 AND status = 'open'")).await;
    let finding = reply.finding("missing_index");
    assert_eq!(finding["severity"], "high");
    assert_eq!(
        finding["statement"],
        "CREATE INDEX CONCURRENTLY idx_orders_customer_id_status ON orders (customer_id, status);"
    );
    assert!(reply.document["plan"]["cost"].as_f64().unwrap() > 100.0, "{}", reply.text);
    assert!(reply.document["version"].as_str().unwrap().starts_with("PostgreSQL 1"), "{}", reply.text);

    let reply =
        session.answer(tool, sql("SELECT * FROM orders WHERE date_trunc('day', created_at) = '2026-01-02'")).await;
    assert!(reply.finding("function_on_column")["message"].as_str().unwrap().contains("orders_created"));
    let reply = session.answer(tool, sql("SELECT * FROM customers WHERE lower(email) = 'a'")).await;
    let statement = &reply.finding("function_on_column")["statement"];
    assert_eq!(statement, "CREATE INDEX CONCURRENTLY idx_customers_lower_email ON customers (lower(email));");
    let reply = session.answer(tool, sql("SELECT id FROM orders WHERE note LIKE 'note 1%'")).await;
    assert!(reply.finding("missing_index")["statement"].as_str().unwrap().contains("(note text_pattern_ops)"));
    let reply = session.answer(tool, sql("SELECT * FROM orders ORDER BY note")).await;
    assert!(reply.codes().contains(&"sort"), "{}", reply.text);
    let reply = session.answer(tool, sql("SELECT count(*) FROM orders o, customers c")).await;
    assert_eq!(reply.finding("cartesian_join")["severity"], "high");
    let reply = session.answer(tool, sql("SELECT note FROM orders WHERE id = 7")).await;
    assert!(reply.codes().is_empty(), "{}", reply.text);
}

#[tokio::test]
async fn a_query_with_open_values_has_its_general_plan() {
    let Some((_own, session)) = shop().await else { return };
    let reply = session.answer("analyze_postgres_query", sql("SELECT note FROM orders WHERE id = $1")).await;
    assert!(reply.text.contains("Index Scan") && reply.text.contains("the general one"), "{}", reply.text);
    let said = session.refusal("analyze_postgres_query", sql("SELECT note FROM orders WHERE id = :id")).await;
    assert!(said.contains("put a value in the place of each placeholder (:id)"), "{said}");
}

#[tokio::test]
async fn what_is_measured_is_told_beside_what_was_expected() {
    let Some(own) = OwnDatabase::postgres().await else { return };
    own.run(SHOP).await;
    // Two columns that say the same: the planner takes them for independent.
    own.run(
        "CREATE TABLE t AS SELECT n % 100 AS a, n % 100 AS b, n AS c FROM generate_series(1, 200000) n; ANALYZE t;",
    )
    .await;
    let config = DatabaseConfig::new("shop", Kind::Postgres, own.url()).with_explain_analyze();
    let session = Session::of(Config::of([config])).await;
    let reply = session.answer("analyze_postgres_query", sql("SELECT c FROM t WHERE a = 1 AND b = 1")).await;
    assert!(reply.document["plan"]["actual_ms"].as_f64().unwrap() > 0.0, "{}", reply.text);
    let finding = reply.finding("row_estimate");
    assert_eq!(finding["statement"], "ANALYZE t;");
    assert!(reply.codes().contains(&"filters_much"), "{}", reply.text);
    let reply = session.answer("analyze_postgres_query", sql("SELECT c, random() FROM t WHERE a = 1")).await;
    assert!(reply.text.contains("The query was not run to measure it: random may do more"), "{}", reply.text);
    assert!(reply.document["plan"].get("actual_ms").is_none());
}

#[tokio::test]
async fn a_volatile_function_is_not_run_however_it_is_spelled() {
    let Some(own) = OwnDatabase::postgres().await else { return };
    let long = "a".repeat(63);
    for name in ["does_things", "DoesThings", "TutÄrger", long.as_str()] {
        own.run(&format!("CREATE FUNCTION \"{name}\"() RETURNS int VOLATILE LANGUAGE sql AS 'SELECT 1'")).await;
    }
    own.run("CREATE FUNCTION computes() RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT 1'").await;
    let config = DatabaseConfig::new("shop", Kind::Postgres, own.url()).with_explain_analyze();
    let session = Session::of(Config::of([config])).await;
    let longer = format!("{long}b");
    for name in ["DOES_THINGS", "\"DoesThings\"", "public.\"DoesThings\"", "\"TutÄrger\"", longer.as_str()] {
        let reply = session.answer("analyze_postgres_query", sql(&format!("SELECT {name}()"))).await;
        assert!(reply.text.contains("The query was not run to measure it"), "{name}: {}", reply.text);
        assert!(reply.document["plan"].get("actual_ms").is_none(), "{name}: {}", reply.text);
    }
    let reply = session.answer("analyze_postgres_query", sql("SELECT computes()")).await;
    assert!(reply.document["plan"].get("actual_ms").is_some(), "{}", reply.text);
}

#[tokio::test]
async fn costs_decide_which_plan_is_better() {
    let Some((_own, session)) = shop().await else { return };
    let arguments = json!({
        "db_name": "shop",
        "original_sql": "SELECT id FROM orders WHERE date_trunc('day', created_at) = '2026-01-02'",
        "optimized_sql": "SELECT id FROM orders WHERE created_at >= '2026-01-02' AND created_at < '2026-01-03'",
    });
    let reply = session.answer("compare_postgres_query_plans", arguments).await;
    assert_eq!(reply.document["better"], "optimized", "{}", reply.text);
    let (before, after) = reply.measure("cost");
    assert!(after < before / 2.0, "{}", reply.text);
    assert!(reply.text.contains("The optimized one also uses orders_created."), "{}", reply.text);
}

#[tokio::test]
async fn health_of_postgres_is_measured_and_missing_statistics_are_said_to_be() {
    let Some((_own, session)) = shop().await else { return };
    let health = session.answer("get_database_health", json!({ "db_name": "shop" })).await;
    assert!(health.metric("size_bytes") > 1_000_000.0 && health.metric("max_sessions") >= 10.0, "{}", health.text);
    assert!((0.0..=100.0).contains(&health.metric("buffer_cache_hit_ratio")));
    let top = session.answer("get_top_queries", json!({ "db_name": "shop", "schema_filter": "x" })).await;
    for part in [
        "pg_stat_activity",
        "shared_preload_libraries",
        "CREATE EXTENSION pg_stat_statements",
        "schema_filter was not applied",
    ] {
        assert!(top.text.contains(part), "{part} in {}", top.text);
    }
    let trend = json!({ "db_name": "shop", "metric": "active_sessions", "hours": 1 });
    let first = session.answer("get_performance_trends", trend.clone()).await;
    assert!(first.text.contains("keeps no history; this server remembers samples since"), "{}", first.text);
    let second = session.answer("get_performance_trends", trend).await;
    assert_eq!(second.document["points"].as_array().unwrap().len(), 1, "{}", second.text);
    let said = session.refusal("get_performance_trends", json!({ "db_name": "shop", "metric": "cpu_usage" })).await;
    assert!(said.contains("shop does not record cpu_usage; it records"), "{said}");
}

#[tokio::test]
async fn recorded_statements_are_ranked_where_the_extension_is_on() {
    let Some(server) = Postgres::start_with(&["shared_preload_libraries=pg_stat_statements"]) else { return };
    let own = OwnDatabase::on(server.url()).await;
    own.run(SHOP).await;
    own.run("CREATE SCHEMA stats; CREATE EXTENSION pg_stat_statements SCHEMA stats;").await;
    for _ in 0..5 {
        own.run("SELECT count(*) FROM orders WHERE note LIKE '%7%'").await;
        own.run("SELECT 1").await;
    }
    let session = Session::of(only("shop", Kind::Postgres, own.url())).await;
    let top = session.answer("get_top_queries", json!({ "db_name": "shop", "metric": "executions", "limit": 5 })).await;
    let queries = top.document["queries"].as_array().unwrap();
    let slow = queries.iter().find(|query| query["query"].as_str().unwrap().contains("note LIKE $1"));
    let slow = slow.unwrap_or_else(|| panic!("{}", top.text));
    assert_eq!((&slow["executions"], top.document["source"].as_str()), (&json!(5.0), Some("pg_stat_statements")));
    assert!(slow["avg_ms"].as_f64().unwrap() > 0.0 && slow["buffer_gets"].as_f64().unwrap() > 0.0, "{slow}");
    assert!(!top.text.contains("pg_database"), "its own queries are left out: {}", top.text);

    // Samples: what runs between two of them is a trend of the query.
    let id = slow["sql_id"].as_str().unwrap().to_owned();
    own.run("SELECT count(*) FROM orders WHERE note LIKE '%8%'").await;
    let trend = json!({ "db_name": "shop", "metric": "executions", "hours": 1, "sql_id": id });
    let trend = session.answer("get_performance_trends", trend).await;
    assert_eq!(trend.document["points"][0]["value"], 1.0, "{}", trend.text);
}
