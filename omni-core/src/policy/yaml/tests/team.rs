//! The permission examples of the original's README, as they lie in `examples/config/team`.

use std::{collections::BTreeMap, path::Path};

use super::{YamlPolicy, allowed, grant};
use crate::config::{Config, LoadOptions};

const DATABASE: [&str; 8] = [
    "list_available_databases",
    "get_database_health",
    "get_top_queries",
    "get_performance_trends",
    "analyze_oracle_query",
    "analyze_mysql_query",
    "compare_oracle_query_plans",
    "compare_mysql_query_plans",
];
const GITHUB: [&str; 2] = ["search_repositories", "get_file_contents"];
const ANALYTICS: [&str; 9] = [
    "get_cost_summary",
    "get_top_expensive_queries",
    "get_slow_queries",
    "get_iteration_analysis",
    "get_error_summary",
    "get_failed_queries",
    "get_active_users",
    "get_tool_popularity",
    "get_mcp_health_summary",
];

/// What a person may use of the three servers: database, GitHub, analytics.
fn tools(email: &str) -> [Vec<&'static str>; 3] {
    let grant = grant(&policy(), email);
    [
        allowed(&grant, "database_mcp", &DATABASE),
        allowed(&grant, "github_mcp", &GITHUB),
        allowed(&grant, "omni2_analytics_mcp", &ANALYTICS),
    ]
}

fn policy() -> YamlPolicy {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/config/team");
    YamlPolicy::from_config(&Config::load(LoadOptions::new(BTreeMap::new(), &dir).with_dir(&dir)).unwrap()).unwrap()
}

#[test]
fn a_junior_dba_gets_lists_and_analysis_and_no_comparison() {
    assert_eq!(tools("junior.dba@company.com"), [DATABASE[..6].to_vec(), vec![], vec![]]);
}

#[test]
fn a_senior_developer_gets_every_database_tool_from_the_role() {
    assert_eq!(tools("senior.dev@company.com"), [DATABASE.to_vec(), vec![], vec![]]);
}

#[test]
fn a_contractor_gets_two_tools_and_no_analytics() {
    let two = vec!["list_available_databases", "get_database_health"];
    assert_eq!(tools("contractor@external.com"), [two, vec![], vec![]]);
}

#[test]
fn owner_and_admin_get_everything_that_the_servers_offer() {
    for email in ["owner@company.com", "admin@company.com"] {
        assert_eq!(tools(email), [DATABASE.to_vec(), GITHUB.to_vec(), ANALYTICS.to_vec()], "{email}");
        assert!(!grant(&policy(), email).decide("github_mcp", "create_issue", None).is_allowed());
    }
}

#[test]
fn a_dba_gets_databases_and_code_and_a_stranger_two_tools() {
    assert_eq!(tools("dba@company.com"), [DATABASE.to_vec(), GITHUB.to_vec(), vec![]]);
    let two = vec!["list_available_databases", "get_database_health"];
    assert_eq!(tools("stranger@nowhere.org"), [two, vec![], vec![]]);
}

#[test]
fn what_destroys_is_blocked_and_what_disturbs_is_confirmed() {
    let policy = policy();
    for email in ["admin@company.com", "dba@company.com"] {
        assert!(!grant(&policy, email).decide("database_mcp", "drop_table", None).is_allowed());
        assert!(!grant(&policy, email).decide("database_mcp", "execute_raw_sql", None).is_allowed());
        let kill = grant(&policy, email).decide("database_mcp", "kill_session", None);
        assert!(kill.is_allowed() && kill.confirm);
    }
}
