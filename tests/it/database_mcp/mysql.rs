//! MariaDB, a real one.

use database_mcp::{Config, DatabaseConfig, Kind};
use omni_tests::{mariadb::MariaDb, own_database::OwnDatabase};
use serde_json::{Value, json};

use super::{Session, only};

const SHOP: &str = "
    CREATE TABLE customers (id INT PRIMARY KEY, email VARCHAR(60), city VARCHAR(40), phone VARCHAR(20), KEY customers_phone (phone));
    CREATE TABLE orders (id INT PRIMARY KEY, customer_id INT, status VARCHAR(10), created_at DATETIME, note VARCHAR(60),
      KEY orders_created (created_at));
    INSERT INTO orders SELECT seq, seq % 500, IF(seq % 1000 = 0, 'open', 'done'), '2026-01-01' + INTERVAL seq MINUTE,
      CONCAT('note ', seq) FROM seq_1_to_20000;
    INSERT INTO customers SELECT seq, CONCAT('c', seq, '@example.com'), 'Wien', seq FROM seq_1_to_2000;
    ANALYZE TABLE customers, orders;";

async fn shop() -> Option<(OwnDatabase, Session)> {
    let own = OwnDatabase::mysql().await?;
    own.run(SHOP).await;
    let session = Session::of(only("shop", Kind::Mysql, own.url())).await;
    Some((own, session))
}

fn sql(sql: &str) -> Value {
    json!({ "db_name": "shop", "sql_text": sql })
}

#[tokio::test]
async fn plans_of_mariadb_have_findings_with_what_to_do() {
    let Some((own, session)) = shop().await else { return };
    let tool = "analyze_mysql_query";
    let reply = session.answer(tool, sql("SELECT id FROM orders WHERE customer_id = 7 AND status = 'open'")).await;
    let finding = reply.finding("missing_index");
    assert_eq!(finding["severity"], "high");
    assert_eq!(finding["statement"], "CREATE INDEX idx_orders_customer_id_status ON orders (customer_id, status);");
    assert!(reply.document["version"].as_str().unwrap().starts_with("MariaDB"), "{}", reply.text);
    assert!(reply.document["plan"]["cost"].as_f64().unwrap() > 100.0, "{}", reply.text);

    let reply =
        session.answer(tool, sql("SELECT id FROM orders WHERE DATE_FORMAT(created_at, '%Y-%m') = '2026-01'")).await;
    assert!(reply.finding("function_on_column")["message"].as_str().unwrap().contains("orders_created"));
    let reply = session.answer(tool, sql("SELECT id FROM customers WHERE phone = 4711")).await;
    assert_eq!(reply.finding("type_mismatch")["severity"], "high", "{}", reply.text);
    let reply =
        session.answer(tool, sql("SELECT status, COUNT(*) FROM orders GROUP BY status ORDER BY COUNT(*)")).await;
    let codes = reply.codes();
    assert!(codes.contains(&"sort") && codes.contains(&"temporary_table"), "{}", reply.text);
    assert!(reply.text.contains("filesort"), "{}", reply.text);
    let query = "SELECT id FROM customers c WHERE (SELECT COUNT(*) FROM orders o WHERE o.customer_id = c.id) > 3";
    let reply = session.answer(tool, sql(query)).await;
    assert!(reply.codes().contains(&"correlated_subquery"), "{}", reply.text);
    let of = format!("SELECT note FROM {}.orders WHERE id = 7", own.name());
    let reply = session.answer(tool, sql(&of)).await;
    assert!(reply.codes().is_empty(), "{}", reply.text);
    let said = session.refusal(tool, sql("SELECT nothing FROM orders")).await;
    assert!(said.starts_with("shop says: Unknown column 'nothing'"), "{said}");
}

#[tokio::test]
async fn texts_are_read_as_they_were_judged_whatever_the_server_is_set_to() {
    let Some(server) = MariaDb::start(&["--sql-mode=ANSI_QUOTES,NO_BACKSLASH_ESCAPES"]) else { return };
    let own = OwnDatabase::on(server.url()).await;
    own.run(SHOP).await;
    let session = Session::of(only("shop", Kind::Mysql, own.url())).await;
    let query = r#"SELECT id FROM orders WHERE note = "it\'s" OR note = 'say "b"'"#;
    let reply = session.answer("analyze_mysql_query", sql(query)).await;
    assert!(reply.text.contains(r#"it\'s"#) && reply.text.contains(r#"'say "b"'"#), "{}", reply.text);
}

#[tokio::test]
async fn what_mariadb_measures_is_told_beside_what_it_expected() {
    let Some(own) = OwnDatabase::mysql().await else { return };
    own.run(SHOP).await;
    own.run("CREATE FUNCTION twice(a INT) RETURNS INT DETERMINISTIC RETURN a * 2").await;
    let config = DatabaseConfig::new("shop", Kind::Mysql, own.url()).with_explain_analyze();
    let session = Session::of(Config::of([config])).await;
    let reply = session.answer("analyze_mysql_query", sql("SELECT id FROM orders WHERE status = 'open'")).await;
    assert!(reply.document["plan"]["actual_ms"].as_f64().unwrap() > 0.0, "{}", reply.text);
    assert!(reply.document["plan"]["steps"][0]["actual_rows"].as_f64().unwrap() > 1_000.0, "{}", reply.text);
    let reply = session.answer("analyze_mysql_query", sql("SELECT id FROM orders WHERE id = twice(4)")).await;
    assert!(reply.text.contains("was not run to measure it: twice is a stored function"), "{}", reply.text);
}

#[tokio::test]
async fn costs_decide_which_plan_of_mariadb_is_better() {
    let Some((_own, session)) = shop().await else { return };
    let arguments = json!({
        "db_name": "shop",
        "original_sql": "SELECT id FROM orders WHERE DATE(created_at) + INTERVAL 0 DAY = '2026-01-02'",
        "optimized_sql": "SELECT id FROM orders WHERE created_at >= '2026-01-02' AND created_at < '2026-01-03'",
    });
    let reply = session.answer("compare_mysql_query_plans", arguments).await;
    assert_eq!(reply.document["better"], "optimized", "{}", reply.text);
    assert!(reply.measure("cost").1 < reply.measure("cost").0, "{}", reply.text);
    // Of such queries the server does not say what they cost.
    let arguments = json!({
        "db_name": "shop",
        "original_sql": "SELECT id FROM customers c WHERE (SELECT COUNT(*) FROM orders o WHERE o.customer_id = c.id) > 3",
        "optimized_sql": "SELECT customer_id FROM orders GROUP BY customer_id HAVING COUNT(*) > 3",
    });
    let reply = session.answer("compare_mysql_query_plans", arguments).await;
    assert_eq!(reply.document["better"], "optimized", "{}", reply.text);
    let (before, after) = reply.measure("rows_read");
    assert!(before > 10_000_000.0 && after < 30_000.0, "{}", reply.text);
}

#[tokio::test]
async fn health_of_mariadb_is_measured_and_missing_statistics_are_said_to_be() {
    let Some((own, session)) = shop().await else { return };
    own.run("CREATE TABLE loose (a INT)").await;
    let health = session.answer("get_database_health", json!({ "db_name": "shop" })).await;
    assert!(health.metric("size_bytes") > 500_000.0 && health.metric("active_sessions") >= 1.0, "{}", health.text);
    assert_eq!(health.finding("no_primary_key")["table"], "loose");
    let top = session.answer("get_top_queries", json!({ "db_name": "shop" })).await;
    for part in ["performance_schema = ON", "restart the server", "process list"] {
        assert!(top.text.contains(part), "{part} in {}", top.text);
    }
    let trend = json!({ "db_name": "shop", "metric": "executions", "hours": 1 });
    let trend = session.answer("get_performance_trends", trend).await;
    assert!(trend.document["points"][0]["value"].as_f64().unwrap() >= 1.0, "{}", trend.text);
}

#[tokio::test]
async fn recorded_statements_are_ranked_where_performance_schema_is_on() {
    let Some(server) = MariaDb::start(&["--performance-schema=ON"]) else { return };
    let own = OwnDatabase::on(server.url()).await;
    own.run(SHOP).await;
    for _ in 0..5 {
        own.run("SELECT COUNT(*) FROM orders WHERE note LIKE '%7%'").await;
    }
    let session = Session::of(only("shop", Kind::Mysql, own.url())).await;
    let arguments =
        json!({ "db_name": "shop", "metric": "rows_examined", "schema_filter": own.name(), "time_range_minutes": 30 });
    let top = session.answer("get_top_queries", arguments).await;
    let queries = top.document["queries"].as_array().unwrap();
    let slow = queries.iter().find(|query| query["query"].as_str().unwrap().contains("`note` LIKE ?"));
    let slow = slow.unwrap_or_else(|| panic!("{}", top.text));
    assert_eq!((&slow["executions"], top.document["source"].as_str()), (&json!(5.0), Some("performance_schema")));
    assert_eq!(slow["rows_examined"], 100_000.0, "{slow}");
    let id = slow["sql_id"].as_str().unwrap().to_owned();
    own.run("SELECT COUNT(*) FROM orders WHERE note LIKE '%8%'").await;
    let trend = json!({ "db_name": "shop", "metric": "rows_examined", "hours": 1, "sql_id": id });
    let trend = session.answer("get_performance_trends", trend).await;
    assert_eq!(trend.document["points"][0]["value"], 20_000.0, "{}", trend.text);
}
