use omni_tests::loopback::Loopback;
use serde_json::json;

use super::omni;

const USERS: &str = "\
roles:
  junior_dba:
    description: Junior
users:
  - email: junior@company.com
    name: Junior
    role: junior_dba
";

const MCPS: &str = "\
mcps:
  - name: db
    url: http://127.0.0.1:1/mcp
    protocol: http
    enabled: true
    confirm: [\"update_*\"]
    role_restrictions:
      junior_dba:
        allow_only: [\"get_*\", \"update_*\"]
        deny: [\"get_secret\"]
";

fn explain(args: &[&str]) -> serde_json::Value {
    let home = omni().with_file("users.yaml", USERS).with_file("mcps.yaml", MCPS);
    let base = ["policy", "explain", "--user", "junior@company.com", "--json"];
    home.run(&[&base[..], args].concat()).exits(0).json()
}

#[test]
fn a_decision_names_effect_rule_and_place_without_a_connection() {
    let allowed = explain(&["--server", "db", "--tool", "get_health"]);
    assert_eq!((&allowed["effect"], &allowed["confirm"]), (&json!("allow"), &json!(false)), "{allowed}");
    assert!(allowed["source"].as_str().unwrap().starts_with("mcps.yaml:"), "{allowed}");
    let denied = explain(&["--server", "db", "--tool", "get_secret"]);
    assert_eq!(denied["effect"], "deny");
    assert!(denied["rule"].as_str().unwrap().contains("get_secret"), "{denied}");
    let asked = explain(&["--server", "db", "--tool", "update_row"]);
    assert_eq!((&asked["effect"], &asked["confirm"]), (&json!("allow"), &json!(true)), "{asked}");
    assert_eq!(explain(&["--server", "db", "--tool", "drop_table"])["effect"], "deny");
}

#[test]
fn without_a_tool_every_rule_is_decided() {
    let all = explain(&[]);
    let decision = |tool: &str| {
        let decisions = all["decisions"].as_array().unwrap();
        let found = decisions.iter().find(|decision| decision["tool"] == tool);
        found.unwrap_or_else(|| panic!("{tool} in {all:#}"))["effect"].clone()
    };
    assert_eq!(all["role"], "junior_dba");
    assert_eq!(decision("get_*"), "allow");
    assert_eq!(decision("get_secret"), "deny");
    assert_eq!(decision("*"), "deny");
}

#[test]
fn somebody_unknown_is_denied_with_the_reason() {
    let home = omni().with_file("users.yaml", USERS).with_file("mcps.yaml", MCPS);
    let args = ["policy", "explain", "--user", "x@y.z", "--server", "db", "--tool", "get_health", "--json"];
    let document = home.run(&args).exits(0).json();
    assert_eq!(document["effect"], "deny");
    assert!(document["rule"].as_str().unwrap().contains("x@y.z"), "{document}");
}

#[test]
fn the_old_name_of_the_command_works() {
    let home = omni().with_file("users.yaml", USERS).with_file("mcps.yaml", MCPS);
    let ran = home.run(&["validate-policy", "--user=junior@company.com", "--mcp=db"]).exits(0);
    assert!(ran.out.contains("db.get_*: allow") && ran.out.contains("db.*: deny"), "{ran:?}");
    home.run(&["validate-policy", "--user=junior@company.com", "--mcp=dbx"]).exits(2);
}

#[test]
fn a_server_that_is_away_does_not_look_like_one_without_tools() {
    let server = Loopback::start();
    let mcps = server.mcps("  - name: gone\n    url: http://127.0.0.1:1/mcp\n    protocol: http\n    enabled: true\n");
    let home =
        omni().with_file("users.yaml", "users:\n  - email: a@b.c\n    role: dba\n").with_file("mcps.yaml", &mcps);
    let ran = home.run(&["policy", "explain", "--user", "a@b.c", "--live"]).exits(0);
    assert!(ran.out.contains("db.get_health: allow") && ran.err.contains("gone does not answer"), "{ran:?}");
}
