use std::process::{Command, Stdio};

use omni_tests::loopback::Loopback;
use serde_json::json;

use super::{eventually, hears_hangup, interrupt, omni, signalled, statuses, with_server};

#[test]
fn tools_are_listed_and_shown() {
    let server = Loopback::start();
    let home = with_server(&server, "");
    let list = home.run(&["tools", "list"]).exits(0);
    assert_eq!(list.out.lines().count(), 5, "{list:?}");
    assert!(list.out.lines().any(|line| line.starts_with("db.get_health ")), "{list:?}");
    let listed = home.run(&["tools", "list", "--json"]).exits(0).json();
    assert_eq!(listed[0]["server"], "db");
    let shown = home.run(&["tools", "show", "db.get_health"]).exits(0);
    assert!(shown.out.contains("connections") && shown.out.contains("\"limit\""), "{shown:?}");
}

#[test]
fn a_call_takes_typed_arguments_and_prints_what_the_tool_said() {
    let server = Loopback::start();
    let home = with_server(&server, "");
    let ran = home.run(&["tools", "call", "db.get_health", "--arg", "limit=5"]).exits(0);
    assert_eq!(ran.out, "all healthy, limit 5\n");
    assert_eq!(server.calls()[0]["arguments"], json!({ "limit": 5 }));
    let ran = home.run(&["tools", "call", "db.get_health", "--json", "{\"limit\": 7}", "-o", "json"]).exits(0);
    assert_eq!(ran.json()["content"][0]["text"], "all healthy, limit 7");
}

#[test]
fn what_a_tool_says_cannot_control_the_terminal() {
    let server = Loopback::start();
    let ran = with_server(&server, "").run(&["tools", "call", "db.paint"]).exits(0);
    assert!(ran.out.contains("red") && !ran.out.contains('\u{1b}'), "{ran:?}");
}

#[test]
fn a_tool_that_fails_is_exit_code_1_and_its_words_are_kept() {
    let server = Loopback::start();
    let ran = with_server(&server, "").run(&["tools", "call", "db.fail"]).exits(1);
    assert_eq!(ran.out, "it broke\n");
    assert!(ran.err.contains("db.fail"), "{ran:?}");
}

#[test]
fn arguments_that_do_not_fit_are_refused_before_the_call() {
    let server = Loopback::start();
    let home = with_server(&server, "");
    let ran = home.run(&["tools", "call", "db.get_health", "--arg", "limit=many"]).exits(2);
    assert!(ran.err.contains("limit"), "{ran:?}");
    home.run(&["tools", "call", "db.get_health", "--json", "[1]"]).exits(2);
    assert_eq!(server.calls().len(), 0);
}

#[test]
fn a_mistyped_tool_is_answered_with_the_nearest() {
    let server = Loopback::start();
    let home = with_server(&server, "");
    let ran = home.run(&["tools", "call", "db.get_helth"]).exits(1);
    assert!(ran.err.contains("did you mean \"db.get_health\"?"), "{ran:?}");
    assert_eq!(statuses(&home), ["error"]);
}

#[test]
fn a_denied_tool_is_not_listed_not_called_and_the_rule_is_named() {
    let server = Loopback::start();
    let home = with_server(&server, "    tool_policy:\n      mode: allow_all_except\n      exclude: [\"drop_*\"]\n");
    let list = home.run(&["tools", "list"]).exits(0);
    assert!(!list.out.contains("drop_table"), "{list:?}");
    let ran = home.run(&["tools", "call", "db.drop_table", "--arg", "table=x", "-y"]).exits(5);
    assert!(ran.err.contains("drop_*") && ran.err.contains("omni policy explain"), "{ran:?}");
    assert_eq!(server.calls().len(), 0);
    assert_eq!(statuses(&home), ["denied"]);
}

#[test]
fn a_direct_call_needs_approval_too() {
    let server = Loopback::start();
    let home = with_server(&server, "    confirm: [\"drop_*\"]\n");
    let ran = home.run(&["tools", "call", "db.drop_table"]).exits(5);
    assert!(ran.err.contains("-y"), "{ran:?}");
    assert_eq!(server.calls().len(), 0);
    home.run(&["tools", "call", "db.drop_table", "-y"]).exits(0);
    assert_eq!(server.calls().len(), 1);
}

#[test]
fn a_server_that_is_away_fails_the_check_and_not_the_list() {
    let server = Loopback::start();
    let mcps = server.mcps("  - name: gone\n    url: http://127.0.0.1:1/mcp\n    protocol: http\n    enabled: true\n");
    let home = omni().with_file("mcps.yaml", &mcps);
    let check = home.run(&["servers", "check", "--json"]).exits(1).json();
    assert_eq!((&check[0]["status"], &check[0]["tools"]), (&json!("healthy"), &json!(5)));
    assert_eq!((&check[1]["server"], &check[1]["status"]), (&json!("gone"), &json!("unhealthy")));
    home.run(&["servers", "check", "db"]).exits(0);
    let list = home.run(&["servers", "list"]).exits(0);
    assert!(list.out.contains("gone") && list.out.contains("http://127.0.0.1:1/mcp"), "{list:?}");
    let tools = home.run(&["tools", "list"]).exits(0);
    assert!(tools.out.contains("db.get_health") && tools.err.contains("gone"), "{tools:?}");
}

#[test]
fn a_call_of_somebody_unknown_is_refused_and_recorded() {
    let server = Loopback::start();
    let home = with_server(&server, "").with_file("users.yaml", "users:\n  - email: a@b.c\n");
    let ran = home.run(&["tools", "call", "db.get_health", "--as", "nobody@company.com"]).exits(5);
    assert!(ran.err.contains("nobody@company.com"), "{ran:?}");
    assert_eq!(statuses(&home), ["denied"]);
}

#[test]
fn an_interruption_ends_the_call_and_is_recorded() {
    let server = Loopback::start();
    let home = with_server(&server, "");
    let child = home.command(&["tools", "call", "db.hang"]).spawn().unwrap();
    eventually("the tool is not called", || server.calls().len() == 1);
    interrupt(child).exits(130);
    assert_eq!(statuses(&home), ["cancelled"]);
}

#[test]
fn a_terminal_that_is_closed_ends_the_call_which_is_recorded() {
    if !hears_hangup() {
        return;
    }
    let server = Loopback::start();
    let home = with_server(&server, "");
    let child = home.command(&["tools", "call", "db.hang"]).spawn().unwrap();
    eventually("the tool is not called", || server.calls().len() == 1);
    signalled(child, "HUP").exits(130);
    assert_eq!(statuses(&home), ["cancelled"]);
}

#[test]
fn a_call_that_is_to_outlive_its_terminal_does() {
    let server = Loopback::start();
    let home = with_server(&server, "");
    // As `nohup` begins it.
    let call = home.command(&["tools", "call", "db.drop_table", "--arg", "table=slow", "-y"]);
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap '' HUP; exec \"$0\" \"$@\""]).arg(call.get_program()).args(call.get_args());
    shell.env_clear().envs(call.get_envs().filter_map(|(name, value)| Some((name, value?))));
    shell.current_dir(home.home()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = shell.spawn().unwrap();
    eventually("the tool is not called", || server.calls().len() == 1);
    let ran = signalled(child, "HUP").exits(0);
    assert!(ran.out.contains("dropped"), "{ran:?}");
}
