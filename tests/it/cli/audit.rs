use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::Path,
    sync::Arc,
    time::Duration,
};

use omni_core::{
    Principal, Source,
    audit::sql::SqlAudit,
    config::Ack,
    ledger::{CallRecord, Event, Ledger, LedgerOptions, Outcome, Party, Record, SealKey},
};
use omni_tests::{loopback::Loopback, program::Program};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{interrupt, omni, with_server};

/// A home in which three calls were made, of which one failed.
fn history(server: &Loopback) -> Program {
    let home = with_server(server, "");
    home.run(&["tools", "call", "db.get_health", "--arg", "limit=5"]).exits(0);
    home.run(&["tools", "call", "db.fail"]).exits(1);
    home.run(&["tools", "call", "db.drop_table", "--arg", "table==HYPERLINK(\"x\")"]).exits(0);
    home
}

fn entries(home: &Program, args: &[&str]) -> Vec<Value> {
    let page = home.run(&[&["audit", "list", "--json"], args].concat()).exits(0).json();
    page["entries"].as_array().unwrap().clone()
}

#[test]
fn the_log_is_listed_filtered_and_paged() {
    let server = Loopback::start();
    let home = history(&server);
    let tools = |entries: Vec<Value>| entries.iter().map(|e| e["tool_called"].clone()).collect::<Vec<_>>();
    assert_eq!(tools(entries(&home, &[])), ["drop_table", "fail", "get_health"]);
    assert_eq!(tools(entries(&home, &["--status", "error"])), ["fail"]);
    assert_eq!(tools(entries(&home, &["--tool", "db.fail", "--server", "db"])), ["fail"]);
    assert_eq!(tools(entries(&home, &["--until", "2020-01-01"])), Vec::<Value>::new());
    assert_eq!(entries(&home, &["--since", "1d", "--type", "tool_call"]).len(), 3);
    let first = home.run(&["audit", "list", "--json", "-n", "2"]).exits(0).json();
    let rest = entries(&home, &["--after", first["next"].as_str().unwrap()]);
    assert_eq!(tools(rest), ["get_health"]);
    let text = home.run(&["audit", "list"]).exits(0);
    assert_eq!(text.out.lines().count(), 3, "{text:?}");
    assert!(text.out.lines().next().unwrap().ends_with("db.drop_table"), "{text:?}");
    let tail = home.run(&["audit", "tail", "-n", "2", "--json"]).exits(0).json_lines();
    assert_eq!(tools(tail), ["fail", "drop_table"]);
    home.run(&["audit", "list", "--since", "soon"]).exits(2);
    for command in ["list", "tail", "stats", "export"] {
        let turned = home.run(&["audit", command, "--since", "2026-03-02", "--until", "2026-03-01"]).exits(2);
        assert!(turned.err.contains("--since is not before --until") && turned.out.is_empty(), "{turned:?}");
    }
    for (option, known) in [("--status", "rate_limited"), ("--type", "tool_call")] {
        let unknown = home.run(&["audit", "list", option, "nonsense"]).exits(2);
        assert!(unknown.err.contains("nonsense") && unknown.err.contains(known), "{unknown:?}");
    }
    home.run(&["audit", "list", "--after", "there"]).exits(2);
}

#[test]
fn who_follows_the_log_is_shown_what_comes_until_ctrl_c() {
    let server = Loopback::start();
    let home = with_server(&server, "");
    home.run(&["tools", "call", "db.fail"]).exits(1);
    let mut child = home.command(&["audit", "tail", "-f", "--json"]).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = || serde_json::from_str::<Value>(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!(next()["tool_called"], "fail");
    home.run(&["tools", "call", "db.get_health"]).exits(0);
    assert_eq!(next()["tool_called"], "get_health");
    assert_eq!(interrupt(child).code, 130);
}

/// A record that another host made some hours later than now, or earlier, stored now.
fn store(runtime: &tokio::runtime::Runtime, url: &str, hours: i64, tool: &str) {
    runtime.block_on(async {
        let store = Arc::new(SqlAudit::open(url).await.unwrap());
        let ledger = Ledger::open(LedgerOptions::new(SealKey::generate()), store).await.unwrap();
        let call = CallRecord::new("db", tool, json!({}), Outcome::Success);
        let party = Party::new(&Principal::email("late@company.com"), Source::Http);
        let mut record = Record::new(Uuid::now_v7(), Some(party), Event::DirectCall(call));
        let off = Duration::from_secs(hours.unsigned_abs() * 3_600);
        record.at = if hours < 0 { record.at - off } else { record.at + off };
        ledger.write_with(record, Ack::Database).await.unwrap();
        ledger.shutdown().await;
    });
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

#[test]
fn who_follows_the_log_misses_nothing_whatever_time_its_writers_have() {
    let server = Loopback::start();
    let (home, runtime) = (with_server(&server, ""), runtime());
    home.run(&["tools", "call", "db.fail"]).exits(1);
    let url = format!("sqlite://{}", home.home().join("xdg/data/omni/omni.db").display());
    let mut child = home.command(&["audit", "tail", "-f", "--json"]).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = || serde_json::from_str::<Value>(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!(next()["tool_called"], "fail");
    // A clock that is ahead, and a host that brings what it wrote while the database was away.
    for (tool, hours) in [("ahead", 5), ("late", -5), ("now", 0), ("very_late", -50)] {
        store(&runtime, &url, hours, tool);
        assert_eq!(next()["tool_called"], tool);
    }
    assert_eq!(interrupt(child).code, 130);
}

#[test]
fn who_follows_the_log_goes_on_when_a_database_that_was_away_is_back() {
    let server = Loopback::start();
    let (home, runtime) = (with_server(&server, ""), runtime());
    home.run(&["tools", "call", "db.fail"]).exits(1);
    let database = home.home().join("xdg/data/omni/omni.db");
    let mut child = home.command(&["audit", "tail", "-f", "--json"]).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut errors = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut next = || serde_json::from_str::<Value>(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!(next()["tool_called"], "fail");
    rename(&runtime, &database, "ALTER TABLE audit_logs RENAME TO away");
    let said = errors.find(|line| line.as_ref().unwrap().contains("cannot be read now"));
    assert!(said.is_some());
    rename(&runtime, &database, "ALTER TABLE away RENAME TO audit_logs");
    store(&runtime, database.to_str().unwrap(), 0, "back");
    assert_eq!(next()["tool_called"], "back");
    assert_eq!(interrupt(child).code, 130);
    let more: Vec<String> = errors.map(Result::unwrap).filter(|line| line.contains("cannot be read")).collect();
    assert_eq!(more, Vec::<String>::new(), "it is said once");
}

fn rename(runtime: &tokio::runtime::Runtime, database: &Path, statement: &'static str) {
    runtime.block_on(async {
        let pool = sqlx::SqlitePool::connect(database.to_str().unwrap()).await.unwrap();
        sqlx::query(statement).execute(&pool).await.unwrap();
        pool.close().await;
    });
}

#[test]
fn calls_that_never_came_to_a_server_are_found_by_name_and_counted_nowhere() {
    let server = Loopback::start();
    let mcps = server.mcps("    denied_tools: [drop_table]\n").replace("name: db", "name: my.db");
    let home = omni().with_file("mcps.yaml", &mcps);
    let call = |tool: &str, more: &[&str]| home.run(&[&["tools", "call", tool], more].concat()).code;
    assert_eq!(call("my.db.get_health", &[]), 0);
    assert_ne!(call("my.db.drop_table", &[]), 0);
    assert_ne!(call("my.db.no_such_tool", &[]), 0);
    assert_ne!(call("nosuch.tool", &[]), 0);
    assert_ne!(call("my.db.get_health", &["--arg", "limit=many"]), 0);
    let found = entries(&home, &["--server", "my.db"]).len();
    assert_eq!((found, entries(&home, &["--tool", "my.db.drop_table"]).len()), (4, 1));
    assert_eq!(entries(&home, &["--server", "my"]).len(), 0);
    let stats = home.run(&["audit", "stats", "--json"]).exits(0).json();
    assert_eq!((&stats["total_requests"], &stats["total_tool_calls"]), (&json!(5), &json!(1)), "{stats}");
    let views = ["v_mcp_health", "v_tool_usage"].map(|view| sql(&home, view));
    let expected = [json!([["my.db", 100.0]]), json!([["get_health", 100.0]])];
    assert_eq!(views, expected);
}

/// The names and rates of a view.
fn sql(home: &Program, view: &str) -> Value {
    let database = home.home().join("xdg/data/omni/omni.db");
    let runtime = runtime();
    let query = format!("SELECT name, CAST(success_rate_pct AS REAL) FROM {view}");
    let rows: Vec<(String, f64)> = runtime.block_on(async {
        let pool = sqlx::SqlitePool::connect(database.to_str().unwrap()).await.unwrap();
        let query = sqlx::AssertSqlSafe(query);
        sqlx::query_as(query).fetch_all(&pool).await.unwrap()
    });
    json!(rows)
}

#[test]
fn sums_and_exports_have_all_of_it() {
    let server = Loopback::start();
    let home = history(&server);
    let stats = home.run(&["audit", "stats", "--json"]).exits(0).json();
    assert_eq!((&stats["total_requests"], &stats["by_status"]["error"]), (&json!(3), &json!(1)));
    assert!(home.run(&["audit", "stats"]).exits(0).out.contains("requests: 3"));
    let csv = home.run(&["audit", "export"]).exits(0).out;
    assert_eq!(csv.lines().count(), 4, "{csv}");
    assert!(csv.starts_with("id,request_id,created_at,"), "{csv}");
    let lines = home.run(&["audit", "export", "--format", "ndjson"]).exits(0).json_lines();
    assert_eq!(
        lines.iter().map(|line| line["tool_called"].as_str().unwrap()).collect::<Vec<_>>(),
        ["get_health", "fail", "drop_table"]
    );
}

const USERS: &str = "\
super_admins:
  - email: root@company.com
    name: Root
users:
  - email: ada@company.com
    name: Ada
    role: power_user
";

#[test]
fn others_are_seen_by_those_who_may() {
    let server = Loopback::start();
    let home = with_server(&server, "").with_file("users.yaml", USERS);
    for who in ["ada@company.com", "root@company.com"] {
        home.run(&["tools", "call", "db.get_health", "--as", who]).exits(0);
    }
    assert_eq!(entries(&home, &["--as", "ada@company.com"]).len(), 1);
    let refused = home.run(&["audit", "list", "--as", "ada@company.com", "--user", "root@company.com"]).exits(5);
    assert!(refused.err.contains("their own entries only"), "{refused:?}");
}

#[test]
fn the_ledger_is_proved_and_what_was_changed_is_named() {
    let server = Loopback::start();
    let home = history(&server);
    let ok = home.run(&["audit", "verify", "--json"]).exits(0).json();
    assert_eq!((&ok["ok"], &ok["chains"], &ok["first_break"]), (&json!(true), &json!(3), &json!(null)));
    fs::write(home.home().join("heads.json"), home.run(&["audit", "head"]).exits(0).out).unwrap();
    home.run(&["audit", "verify", "--head", "heads.json"]).exits(0);
    let database = home.home().join("xdg/data/omni/omni.db");
    let change = |statements: &[&'static str]| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let pool = sqlx::SqlitePool::connect(database.to_str().unwrap()).await.unwrap();
            for statement in statements {
                sqlx::query(*statement).execute(&pool).await.unwrap();
            }
            pool.close().await;
        });
    };
    change(&["UPDATE audit_logs SET status = 'success' WHERE tool_called = 'fail'"]);
    let bad = home.run(&["audit", "verify", "--json"]).exits(1).json();
    assert!(bad["first_break"]["fault"].as_str().unwrap().contains("audit_logs"), "{bad}");
    change(&[
        "UPDATE audit_logs SET status = 'error' WHERE tool_called = 'fail'",
        "DROP TRIGGER ledger_is_append_only_delete",
        "DELETE FROM audit_logs WHERE tool_called = 'drop_table'",
        "DELETE FROM tool_calls WHERE tool = 'drop_table'",
        "DELETE FROM ledger WHERE chain_id = (SELECT max(chain_id) FROM ledger)",
    ]);
    let bad = home.run(&["audit", "verify"]).exits(1);
    assert!(bad.out.contains("not ok") && bad.out.contains("data directory"), "{bad:?}");
    // Without what the last process left there, only an exported head can tell.
    for entry in fs::read_dir(database.parent().unwrap()).unwrap() {
        let path = entry.unwrap().path();
        if path.file_stem().is_some_and(|stem| stem == "head") {
            fs::remove_file(path).unwrap();
        }
    }
    home.run(&["audit", "verify"]).exits(0);
    let bad = home.run(&["audit", "verify", "--head", "heads.json"]).exits(1);
    assert!(bad.out.contains("not ok") && bad.out.contains("exported head"), "{bad:?}");
    home.run(&["audit", "verify", "--head", "config/mcps.yaml"]).exits(2);
}

#[test]
fn without_the_key_nothing_can_be_proved() {
    let home = omni();
    let ran = home.run(&["audit", "verify"]).exits(3);
    assert!(ran.err.contains("ledger.key"), "{ran:?}");
}

#[test]
fn hosts_that_share_a_database_prove_each_others_chains_with_one_key() {
    let server = Loopback::start();
    let shared = tempfile::tempdir().unwrap();
    let url = |name: &str| format!("sqlite://{}", shared.path().join(name).display());
    let hosts = || [with_server(&server, ""), with_server(&server, "")];
    let call = ["tools", "call", "db.get_health"];

    let apart = url("apart.db");
    let [one, two] = hosts().map(|host| {
        host.run_with(&[("DATABASE_URL", &apart)], &call).exits(0);
        host
    });
    let theirs = two.run(&["audit", "key", "--json"]).exits(0).json()["key"].as_str().unwrap().to_owned();
    let alone = one.run_with(&[("DATABASE_URL", &apart)], &["audit", "verify"]).exits(1);
    assert!(alone.out.contains(&theirs) && alone.out.contains("audit.verify_keys"), "{alone:?}");

    let (together, key) = (url("together.db"), one.run(&["audit", "key", "--new"]).exits(0).out);
    let env = [("DATABASE_URL", &*together), ("OMNI_AUDIT_KEY", key.trim())];
    let [one, two] = hosts().map(|host| {
        host.run_with(&env, &call).exits(0);
        host
    });
    for host in [&one, &two] {
        let ok = host.run_with(&env, &["audit", "verify", "--json"]).exits(0).json();
        assert_eq!((&ok["ok"], &ok["chains"]), (&json!(true), &json!(2)));
    }
    let shown = one.run_with(&env, &["config", "show"]).exits(0);
    assert!(!shown.out.contains(key.trim()), "{shown:?}");
    let wrong = one.run_with(&[("OMNI_AUDIT_KEY", "abc")], &call).exits(3);
    assert!(wrong.err.contains("OMNI_AUDIT_KEY") && wrong.err.contains("64 hexadecimal digits"), "{wrong:?}");
}
