use omni_tests::program::Program;
use serde_json::{Value, json};

use super::omni;

const RETENTION: &str = "audit:\n  retention_days: 30\n";

#[test]
fn the_tables_are_brought_up_to_date_once_and_said_to_be() {
    let home = omni();
    let behind = home.run(&["db", "status", "--json"]).exits(1).json();
    assert_eq!((&behind["current"], &behind["up_to_date"]), (&json!(0), &json!(false)));
    home.run(&["db", "migrate"]).exits(0);
    home.run(&["init-db"]).exits(0);
    let current = home.run(&["db", "status", "--json"]).exits(0).json();
    assert_eq!((&current["current"], &current["kind"]), (&current["latest"], &json!("sqlite")));
}

#[test]
fn the_sql_is_printed_for_the_database_that_is_configured() {
    let home = omni();
    let sqlite = home.run(&["db", "migrate", "--print"]).exits(0).out;
    assert!(sqlite.contains("CREATE TABLE IF NOT EXISTS audit_logs") && sqlite.contains("AUTOINCREMENT"), "{sqlite}");
    let env = [("DATABASE_URL", "postgresql+asyncpg://nobody@127.0.0.1:1/none")];
    let postgres = home.run_with(&env, &["db", "migrate", "--print"]).exits(0).out;
    assert!(postgres.contains("TIMESTAMPTZ"), "{postgres}");
    assert!(!home.home().join("xdg/data/omni/omni.db").exists());
    home.run_with(&env, &["db", "status"]).exits(8);
}

#[test]
fn records_are_pruned_when_somebody_says_how_old_they_may_be() {
    let home = omni();
    home.run(&["db", "migrate"]).exits(0);
    // Nothing is proved without the ledger's key, so nothing may go.
    home.run(&["db", "prune", "--older-than", "1"]).exits(3);
    home.run(&["ask", "What can you do?"]);
    home.run(&["db", "prune"]).exits(2);
    let pruned = home.run(&["db", "prune", "--older-than", "1", "--json"]).exits(0).json();
    assert_eq!((&pruned["records"], &pruned["refused"]), (&json!(0), &json!([])));
    let home = home.with_file("settings.yaml", RETENTION);
    assert!(home.run(&["db", "prune"]).exits(0).out.starts_with("0 records"));
    for days in ["99999999", "4294967295"] {
        assert!(home.run(&["db", "prune", "--older-than", days]).exits(0).out.starts_with("0 records"), "{days}");
    }
    let gone = home.run(&["db", "prune", "--older-than", "0", "--json"]).exits(0).json();
    assert!(gone["records"].as_u64().unwrap() > 0, "{gone}");
    home.run(&["audit", "verify"]).exits(0);
    let left = logs(&home);
    let types: Vec<_> = left.iter().map(|entry| entry["request_type"].clone()).collect();
    assert_eq!(types, [json!("admin")], "what is left is the record of the pruning");
    assert_eq!(left[0]["tool_params"]["records"], gone["records"], "which says how much went");
}

fn logs(home: &Program) -> Vec<Value> {
    home.run(&["audit", "list", "--json"]).exits(0).json()["entries"].as_array().unwrap().clone()
}
