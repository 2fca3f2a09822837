use omni_tests::{loopback::Loopback, program::Program};
use serde_json::{Value, json};

use super::{aged, omni};

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
fn nobody_is_told_to_bring_up_to_date_what_is_newer_already() {
    let home = omni();
    home.run(&["db", "migrate"]).exits(0);
    let later = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
         VALUES (999, 'later', TRUE, X'', 0)";
    let database = home.home().join("xdg/data/omni/omni.db");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let pool = sqlx::SqlitePool::connect(database.to_str().unwrap()).await.unwrap();
        sqlx::query(later).execute(&pool).await.unwrap();
        pool.close().await;
    });
    let status = home.run(&["db", "status"]).exits(1).out;
    let migrate = home.run(&["db", "migrate"]).exits(3).err;
    for told in [status, migrate] {
        assert!(told.contains("of a newer omni") && !told.contains("omni db migrate"), "{told}");
    }
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
fn a_ledger_in_a_file_of_lines_has_no_tables() {
    let ran = omni().run_with(&[("DATABASE_URL", "jsonl:log.jsonl")], &["db", "status"]).exits(2);
    assert!(ran.err.contains("\"jsonl\", which is no database"), "{ran:?}");
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
    assert!(home.run(&["db", "prune"]).exits(0).out.contains(": 0 records"));
    for days in ["99999999", "4294967295"] {
        assert!(home.run(&["db", "prune", "--older-than", days]).exits(0).out.contains(": 0 records"), "{days}");
    }
    aged(&home, &format!("sqlite://{}", home.home().join("xdg/data/omni/omni.db").display()));
    assert_eq!(asks(&logs(&home)), 2);
    let gone = home.run(&["db", "prune", "--older-than", "1", "--json"]).exits(0).json();
    assert_eq!((&gone["records"], &gone["unproved"]), (&json!(2), &json!(0)), "{gone}");
    home.run(&["audit", "verify"]).exits(0);
    let left = logs(&home);
    assert_eq!(asks(&left), 1, "what is younger stays");
    assert_eq!(left[0]["request_type"], "admin");
    assert_eq!(left[0]["tool_params"]["records"], gone["records"], "the record of the pruning says how much went");
}

#[test]
fn nobody_removes_all_of_the_ledger_by_a_number_that_is_none() {
    let home = omni();
    for days in ["0", "-1", "ninety"] {
        let refused = home.run(&["db", "prune", &format!("--older-than={days}"), "--yes"]).exits(2);
        assert!(refused.err.contains(days) && refused.err.contains("--older-than <DAYS>"), "{refused:?}");
    }
    assert!(home.run(&["db", "prune", "--older-than", "0"]).exits(2).err.contains("0 is not in 1.."));
}

/// How many asks are among the entries of a log.
fn asks(logs: &[Value]) -> usize {
    logs.iter().filter(|entry| entry["request_type"] == "chat").count()
}

fn logs(home: &Program) -> Vec<Value> {
    home.run(&["audit", "list", "--json"]).exits(0).json()["entries"].as_array().unwrap().clone()
}

/// What the database knows of the servers: name, enabled, healthy.
fn servers(home: &Program) -> Vec<(String, bool, bool)> {
    let database = home.home().join("xdg/data/omni/omni.db");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let pool = sqlx::SqlitePool::connect(database.to_str().unwrap()).await.unwrap();
        let query = "SELECT name, is_enabled, is_healthy FROM mcp_servers ORDER BY name";
        sqlx::query_as(query).fetch_all(&pool).await.unwrap()
    })
}

#[test]
fn servers_that_are_switched_off_or_gone_are_so_in_the_database() {
    let server = Loopback::start();
    let two = format!("{}  - {{ name: off, url: {}, enabled: true }}\n", server.mcps(""), server.url());
    let row = |name: &str, is_on: bool| (name.to_owned(), is_on, is_on);
    let home = omni().with_file("mcps.yaml", &two);
    home.run(&["tools", "list"]).exits(0);
    assert_eq!(servers(&home), [row("db", true), row("off", true)]);
    let home = home.with_file("mcps.yaml", &two.replace("true }", "false }"));
    home.run(&["tools", "list"]).exits(0);
    assert_eq!(servers(&home), [row("db", true), row("off", false)]);
    let home = home.with_file("mcps.yaml", &two);
    home.run(&["tools", "list"]).exits(0);
    assert_eq!(servers(&home), [row("db", true), row("off", true)]);
    let home = home.with_file("mcps.yaml", &server.mcps(""));
    home.run(&["tools", "list"]).exits(0);
    assert_eq!(servers(&home), [row("db", true), row("off", false)]);
}
