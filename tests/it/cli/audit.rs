use std::{
    fs,
    io::{BufRead as _, BufReader},
};

use omni_tests::{loopback::Loopback, program::Program};
use serde_json::{Value, json};

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
