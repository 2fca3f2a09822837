//! A plain question for every tool of the three servers finds it without a model.

use database_mcp::sample;
use github_mcp::{GithubServer, Settings};
use omni_core::{
    Ask, Omni, Principal,
    analytics::{Analytics, history::History},
    audit::sql::SqlAudit,
    identity::Scopes,
    ledger::SealKey,
    mcp::in_process::InProcess,
};
use omni_tests::github::GitHub;

/// Questions and the tool that a person would pick. Those of the original's README are marked.
const QUESTIONS: &[(&str, &str)] = &[
    // the original's README
    ("Show slow queries on way4_docker7", "database_mcp.get_top_queries"),
    ("Show me cost summary for today", "analytics_mcp.get_cost_summary"),
    ("What are the slowest queries this week?", "analytics_mcp.get_slow_queries"),
    ("Which users are most active?", "analytics_mcp.get_active_users"),
    ("Show database health for transformer_master", "database_mcp.get_database_health"),
    ("What's the health of transformer_master?", "database_mcp.get_database_health"),
    // analytics
    ("How much money did we spend this month?", "analytics_mcp.get_cost_summary"),
    ("What did dba@company.com cost us this week?", "analytics_mcp.get_cost_summary"),
    ("Which were the five most expensive questions this week?", "analytics_mcp.get_top_expensive_queries"),
    ("What are the top 10 most expensive queries this month?", "analytics_mcp.get_top_expensive_queries"),
    ("Which requests took longest today?", "analytics_mcp.get_slow_queries"),
    ("Which questions needed many iterations?", "analytics_mcp.get_iteration_analysis"),
    ("What is the error rate of each tool?", "analytics_mcp.get_error_summary"),
    ("Which queries failed yesterday?", "analytics_mcp.get_failed_queries"),
    ("Who is using this the most this month?", "analytics_mcp.get_active_users"),
    ("What's the most popular tool?", "analytics_mcp.get_tool_popularity"),
    ("Are all MCP servers healthy?", "analytics_mcp.get_mcp_health_summary"),
    ("How many tokens did each model use?", "analytics_mcp.get_token_usage"),
    ("How often did we hit the prompt cache?", "analytics_mcp.get_cache_hit_rate"),
    ("my usage today", "analytics_mcp.get_my_usage"),
    ("What is the p95 latency of requests?", "analytics_mcp.get_latency_percentiles"),
    ("How do costs develop, and what is the forecast?", "analytics_mcp.get_cost_trend"),
    ("What was denied this week, and by which rule?", "analytics_mcp.get_denials"),
    ("Show me the feedback of users", "analytics_mcp.get_feedback_summary"),
    // databases
    ("Which databases do we have?", "database_mcp.list_available_databases"),
    ("top 5 queries on way4_docker8 by executions", "database_mcp.get_top_queries"),
    ("Show the performance trends of transformer_master over the last 48 hours", "database_mcp.get_performance_trends"),
    ("Analyze this Oracle query on way4_docker8: SELECT * FROM card", "database_mcp.analyze_oracle_query"),
    ("Explain this MySQL statement on way4_docker8: SELECT * FROM card", "database_mcp.analyze_mysql_query"),
    ("Analyze this PostgreSQL query on way4_docker8: SELECT * FROM card", "database_mcp.analyze_postgres_query"),
    ("Analyze this SQLite query on way4_docker8: SELECT * FROM card", "database_mcp.analyze_sqlite_query"),
    ("compare the plans of two Oracle queries on way4_docker8", "database_mcp.compare_oracle_query_plans"),
    ("compare the plans of two MySQL queries on way4_docker8", "database_mcp.compare_mysql_query_plans"),
    ("compare the plans of two PostgreSQL queries on way4_docker8", "database_mcp.compare_postgres_query_plans"),
    ("compare the plans of two SQLite queries on way4_docker8", "database_mcp.compare_sqlite_query_plans"),
    // GitHub
    ("Search for React repos with over 1000 stars", "github_mcp.search_repositories"),
    ("Show me the README from facebook/react", "github_mcp.get_file_contents"),
];

#[tokio::test(flavor = "multi_thread")]
async fn nine_of_ten_plain_questions_find_their_tool_and_every_tool_has_one() {
    let dir = tempfile::tempdir().unwrap();
    let databases = sample::server(dir.path()).await.unwrap();
    let github = GitHub::start().await;
    let github = GithubServer::new(Settings::public().unwrap().with_api_url(&github.url).unwrap()).unwrap();
    let store = SqlAudit::open("sqlite::memory:").await.unwrap();
    History::until(chrono::Utc::now()).fill(&store, &SealKey::generate()).await.unwrap();
    let builder = Omni::builder();
    let analytics = Analytics::new(store.db().clone()).connector(builder.live_policy());
    let omni = builder
        .server("analytics_mcp", analytics)
        .server("database_mcp", InProcess::new(move || databases.clone()))
        .server("github_mcp", InProcess::new(move || github.clone()))
        .build()
        .await
        .unwrap();
    let owner = Principal::email("owner@company.com").with_scopes(Scopes::all());
    let tools = omni.tools(owner.clone()).await.unwrap();
    let names: Vec<String> = tools.tools().iter().map(|tool| tool.def.full_name()).collect();
    assert_eq!(names.len(), 30);
    for name in &names {
        assert!(QUESTIONS.iter().any(|(_, tool)| tool == name), "no question for {name}");
    }
    let mut misses = Vec::new();
    for (question, tool) in QUESTIONS {
        let answer = omni.ask(Ask::new(owner.clone(), *question)).await.unwrap();
        let called = answer.tool_calls.first().map(|call| format!("{}.{}", call.server, call.tool));
        // Of a tool that wants more than a question says, the answer says so.
        let asked_for = answer.text.split_once("` seems to fit").and_then(|(before, _)| before.rsplit('`').next());
        let first = called.or(asked_for.map(str::to_owned));
        if first.as_deref() != Some(tool) {
            misses.push(format!("{question}: {tool}, got {first:?}"));
        }
    }
    let right = QUESTIONS.len() - misses.len();
    assert!(right * 10 >= QUESTIONS.len() * 9, "{right} of {} right:\n{}", QUESTIONS.len(), misses.join("\n"));
    // Those of the original's README are all right.
    let readme: Vec<&str> = QUESTIONS[..6].iter().map(|(question, _)| *question).collect();
    assert!(!misses.iter().any(|miss| readme.iter().any(|question| miss.starts_with(question))), "{misses:#?}");
    omni.shutdown().await;
}
