//! Oracle where it is not built, and the demo's databases embedded in omni.

use database_mcp::{Config, DatabaseConfig, Kind};
use serde_json::json;

use super::Session;

/// The tests are built with every feature, so Oracle is there, but not its library or a server.
#[tokio::test]
async fn an_oracle_that_is_not_there_is_said_not_to_be() {
    let database = DatabaseConfig::new("core", Kind::Oracle, "//127.0.0.1:1/xe");
    let session = Session::of(Config::of([database])).await;
    let said =
        session.refusal("analyze_oracle_query", json!({ "db_name": "core", "sql_text": "SELECT 1 FROM dual" })).await;
    assert!(said.starts_with("core cannot be reached: ") || said.contains("was built without it"), "{said}");
    let listed = session.answer("list_available_databases", json!({})).await;
    assert_eq!(listed.document["databases"][0]["is_reachable"], false);
}
