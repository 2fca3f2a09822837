//! What is on offer, and whether plain questions find it.

use std::collections::BTreeMap;

use database_mcp::{Config, DatabaseServer, sample};
use omni_core::{Ask, Omni, Principal, mcp::in_process::InProcess};
use serde_json::{Value, json};

use super::Session;

/// The names and arguments of the original server.
const ORIGINAL: [(&str, &[&str]); 8] = [
    ("list_available_databases", &[]),
    ("get_database_health", &["db_name", "time_range_minutes", "save_snapshot"]),
    (
        "get_top_queries",
        &[
            "db_name",
            "metric",
            "time_range_minutes",
            "limit",
            "save_snapshot",
            "exclude_sys",
            "schema_filter",
            "module_filter",
        ],
    ),
    ("get_performance_trends", &["db_name", "hours", "metric", "sql_id"]),
    ("analyze_oracle_query", &["db_name", "sql_text", "depth"]),
    ("analyze_mysql_query", &["db_name", "sql_text", "depth"]),
    ("compare_oracle_query_plans", &["db_name", "original_sql", "optimized_sql"]),
    ("compare_mysql_query_plans", &["db_name", "original_sql", "optimized_sql"]),
];

#[tokio::test]
async fn the_tools_have_the_names_and_arguments_of_the_original_and_say_that_they_only_read() {
    let session = Session::of(Config::default()).await;
    for (name, arguments) in ORIGINAL {
        let properties = session.tools[name].input_schema["properties"].as_object().unwrap();
        let mut expected: Vec<&str> = arguments.to_vec();
        expected.sort_unstable();
        assert_eq!(properties.keys().map(String::as_str).collect::<Vec<_>>(), expected, "{name}");
    }
    let others: Vec<&str> =
        session.tools.keys().map(String::as_str).filter(|name| !ORIGINAL.iter().any(|(own, _)| own == name)).collect();
    assert_eq!(
        others,
        [
            "analyze_postgres_query",
            "analyze_sqlite_query",
            "compare_postgres_query_plans",
            "compare_sqlite_query_plans"
        ]
    );
    for tool in session.tools.values() {
        let annotations = tool.annotations.as_ref().unwrap();
        assert_eq!(annotations.read_only_hint, Some(true), "{}", tool.name);
        assert_eq!(annotations.destructive_hint, Some(false), "{}", tool.name);
        assert_eq!(annotations.open_world_hint, Some(false), "{}", tool.name);
        assert!(tool.title.is_some() && tool.output_schema.is_some(), "{}", tool.name);
        // Some clients read no references within what a tool takes.
        assert!(!Value::from(tool.input_schema.as_ref().clone()).to_string().contains("$ref"), "{}", tool.name);
    }
}

/// Questions as people ask them, with the tool and the arguments that the offline provider has to come to.
#[tokio::test(flavor = "multi_thread")]
async fn plain_questions_find_the_tool_without_a_model() {
    let dir = tempfile::tempdir().unwrap();
    let server = sample::server(dir.path()).await.unwrap();
    let omni = Omni::builder().server("database_mcp", InProcess::new(move || server.clone())).build().await.unwrap();
    for (question, tool, arguments) in [
        ("Show me available databases", "list_available_databases", json!({})),
        ("Which databases do we have?", "list_available_databases", json!({})),
        ("Check health on transformer_master", "get_database_health", json!({ "db_name": "transformer_master" })),
        ("What's the health of transformer_master?", "get_database_health", json!({ "db_name": "transformer_master" })),
        (
            "Show database health for transformer_master",
            "get_database_health",
            json!({ "db_name": "transformer_master" }),
        ),
        ("how is way4_docker8 doing, cpu and sessions?", "get_database_health", json!({ "db_name": "way4_docker8" })),
        ("Show slow queries on transformer_master", "get_top_queries", json!({ "db_name": "transformer_master" })),
        ("Show slow queries on way4_docker7", "get_top_queries", json!({ "db_name": "way4_docker7" })),
        (
            "top 5 queries on way4_docker8 by executions",
            "get_top_queries",
            json!({ "db_name": "way4_docker8", "metric": "executions", "limit": 5 }),
        ),
        (
            "How did the performance of transformer_master develop over the last 48 hours?",
            "get_performance_trends",
            json!({ "db_name": "transformer_master", "hours": 48 }),
        ),
        (
            "show me the performance history of way4_docker7",
            "get_performance_trends",
            json!({ "db_name": "way4_docker7" }),
        ),
        (
            "Explain this MySQL statement on way4_docker8: SELECT * FROM card",
            "analyze_mysql_query",
            json!({ "db_name": "way4_docker8", "sql_text": "SELECT * FROM card" }),
        ),
    ] {
        let answer = omni.ask(Ask::new(Principal::email("ada@company.com"), question)).await.unwrap();
        let calls: Vec<(&str, &Value)> = answer.tool_calls.iter().map(|call| (&*call.tool, &call.arguments)).collect();
        assert_eq!(calls, [(tool, &arguments)], "{question}\n{}", answer.text);
        assert!(answer.text.contains("this is the output of"), "{question}\n{}", answer.text);
    }
    omni.shutdown().await;
}

/// The example of the original's README. Which of the analysing tools is found does not matter: each takes a database
/// that stands in for one of its kind.
#[tokio::test(flavor = "multi_thread")]
async fn the_query_of_the_original_readme_is_analysed_on_the_sample() {
    let dir = tempfile::tempdir().unwrap();
    let server = sample::server(dir.path()).await.unwrap();
    let omni = Omni::builder().server("database_mcp", InProcess::new(move || server.clone())).build().await.unwrap();
    let question =
        "Analyze this query on way4_docker8:\nSELECT * FROM ows.merchant_statement WHERE contract_id = 12313";
    let answer = omni.ask(Ask::new(Principal::email("ada@company.com"), question)).await.unwrap();
    assert_eq!(answer.tool_calls.len(), 1, "{}", answer.text);
    for part in [
        "[high] All of merchant_statement is read",
        "no index begins with contract_id",
        "CREATE INDEX ows.idx_merchant_statement_contract_id ON merchant_statement (contract_id);",
    ] {
        assert!(answer.text.contains(part), "{part} in {}", answer.text);
    }
    omni.shutdown().await;
}

#[tokio::test]
async fn what_is_wrong_with_arguments_is_said() {
    let session = Session::of(Config::default()).await;
    let said = session.refusal("get_top_queries", json!({ "db_name": "x", "metrik": "cpu" })).await;
    assert!(said.contains("unknown field `metrik`"), "{said}");
    let said = session.refusal("get_database_health", json!({})).await;
    assert!(said.contains("missing field `db_name`"), "{said}");
    let said = session.refusal("get_database_health", json!({ "db_name": "x" })).await;
    assert_eq!(said, "there is no database \"x\"; none is configured");
}

#[tokio::test]
async fn many_connections_share_one_server() {
    let server = DatabaseServer::new(Config::default()).unwrap();
    let sessions = futures::future::join_all((0..20).map(|_| Session::with(server.clone()))).await;
    let listed: BTreeMap<usize, usize> = sessions.iter().map(|session| (session.tools.len(), 1)).collect();
    assert_eq!(listed.into_keys().collect::<Vec<_>>(), [12]);
}
