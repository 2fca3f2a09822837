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
fn prompts_and_resources_are_decided_too() {
    let server =
        "mcps: [{ name: db, url: 'http://127.0.0.1:1/mcp', prompts: ['get_*'], denied_resources: ['*secret*'] }]";
    let home = omni().with_file("users.yaml", USERS).with_file("mcps.yaml", server);
    let base = ["policy", "explain", "--user", "junior@company.com", "--server", "db", "--json"];
    let explain = |args: &[&str]| home.run(&[&base[..], args].concat()).exits(0).json();
    assert_eq!(explain(&["--prompt", "get_help"])["effect"], "allow");
    let denied = explain(&["--prompt", "drop"]);
    assert_eq!((&denied["effect"], &denied["rule"]), (&json!("deny"), &json!("mcps.db.prompts: does not name it")));
    assert_eq!(explain(&["--resource", "file:///srv/plan"])["effect"], "allow");
    let denied = explain(&["--resource", "file:///srv/secret"]);
    assert_eq!(denied["rule"], "mcps.db.denied_resources: *secret*");
    assert!(denied["source"].as_str().unwrap().starts_with("mcps.yaml:"), "{denied}");
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

#[test]
fn the_tools_that_a_server_had_are_decided_without_asking_it_again() {
    let server = Loopback::start();
    let home = super::with_server(&server, "").with_file("users.yaml", USERS);
    let args = ["validate-policy", "--user=junior@company.com", "--mcp=db", "--json"];
    assert_eq!(home.run(&args).exits(0).json()["basis"], "rules");
    home.run(&["servers", "check"]).exits(0);
    let stored = home.run(&args).exits(0).json();
    assert_eq!(stored["basis"], "stored");
    let live = home.run(&[&args[..], &["--live"]].concat()).exits(0).json();
    assert_eq!((&live["basis"], &live["decisions"]), (&json!("tools"), &stored["decisions"]));
    assert!(!live["decisions"].as_array().unwrap().is_empty());
}

#[test]
fn a_check_tells_of_rules_that_nothing_reaches_and_patterns_that_match_nothing() {
    let server = Loopback::start();
    let rules = "    tool_policy: { mode: allow_all_except, exclude: [\"drop_*\"], allow: [x] }
    role_restrictions:
      dba: { allow_only: [\"drop_table\", \"nothing_such\", \"db.get_health\"] }
      junior_dba: {}
      contractor: { deny_all: true, allow_only: [\"a\"] }
      read_only: { allow_all: true, allow_only: [\"a\"] }
";
    let home = super::with_server(&server, rules).with_file("users.yaml", USERS);
    home.run(&["servers", "check"]).exits(0);
    let checked = home.run(&["config", "check", "--json"]).exits(0).json();
    let has = |key: &str, text: &str| {
        let findings = checked["findings"].as_array().unwrap();
        let found = |it: &serde_json::Value| {
            it["key"].as_str().unwrap().ends_with(key) && it["message"].as_str().unwrap().contains(text)
        };
        assert!(findings.iter().any(found), "{key}: {text} in {checked:#}");
    };
    has("tool_policy.allow", "counts only with mode: allow_only");
    has("dba.allow_only[0]", "\"drop_*\" is denied before");
    has("dba.allow_only[1]", "matches none of the tools that db had");
    has("dba.allow_only[2]", "write \"get_health\"");
    has("role_restrictions.junior_dba", "may use everything here");
    has("contractor.deny_all", "nothing else of this rule is reached");
    has("read_only.allow_only", "not reached: allow_all is true");
}

#[test]
fn a_check_tells_of_roles_that_nobody_has_and_of_teams_that_are_not_there() {
    let users = "roles: { ghost: {} }\nteams: { dbas: {} }\nusers: [{ email: a@x, role: dba, teams: [dbaz] }]\n";
    let home = omni().with_file("users.yaml", users).with_file("mcps.yaml", MCPS);
    let checked = home.run(&["config", "check"]).exits(0);
    let all = format!("{}{}", checked.out, checked.err);
    assert!(all.contains("roles.ghost: nobody in this file has this role"), "{all}");
    assert!(all.contains("there is no team \"dbaz\"; did you mean \"dbas\"?"), "{all}");
}

const CAREFUL: &str = "\
roles:
  clerk:
    permissions: { can_execute_dangerous_tools: false }
users:
  - { email: dba@company.com, role: dba }
  - { email: clerk@company.com, role: clerk }
";

#[test]
fn an_explanation_is_what_a_call_of_a_destructive_tool_meets() {
    let server = Loopback::with_wipe();
    let home = super::with_server(&server, "    confirm: [\"drop_*\"]\n").with_file("users.yaml", CAREFUL);
    home.run(&["servers", "check"]).exits(0);
    for user in ["dba@company.com", "clerk@company.com"] {
        let listed = home.run(&["tools", "list", "--as", user, "--json"]).exits(0).json();
        let all = home.run(&["validate-policy", "--user", user, "--mcp", "db", "--json"]).exits(0).json();
        for tool in ["wipe", "drop_table", "get_health"] {
            let args = ["policy", "explain", "--user", user, "--server", "db", "--tool", tool, "--json"];
            let said = home.run(&args).exits(0).json();
            assert_eq!(home.run(&[&args[..], &["--live"]].concat()).exits(0).json(), said, "{user} {tool}");
            assert_eq!(said["destructive"], tool == "wipe", "{user} {tool}");
            let find =
                |list: &serde_json::Value| list.as_array().unwrap().iter().find(|it| it["tool"] == tool).cloned();
            let one_of_all = find(&all["decisions"]).unwrap();
            assert_eq!((&one_of_all["effect"], &one_of_all["confirm"]), (&said["effect"], &said["confirm"]));
            let real = find(&listed);
            assert_eq!(said["effect"] == "allow", real.is_some(), "{user} {tool}: {said}");
            assert_eq!(
                said["confirm"],
                real.is_some_and(|real| real["needs_approval"] == true),
                "{user} {tool}: {said}"
            );
            let before = server.calls().len();
            let unasked = home.run(&["tools", "call", &format!("db.{tool}"), "--as", user]);
            assert_eq!(unasked.code == 0, said["effect"] == "allow" && said["confirm"] == false, "{unasked:?}");
            let agreed = home.run(&["tools", "call", &format!("db.{tool}"), "--as", user, "-y"]);
            assert_eq!(agreed.code == 0, said["effect"] == "allow", "{agreed:?}");
            assert_eq!(server.calls().len() - before, usize::from(unasked.code == 0) + usize::from(agreed.code == 0));
        }
    }
}

#[test]
fn what_is_not_known_of_a_tool_is_said() {
    let server = Loopback::with_wipe();
    let home = super::with_server(&server, "").with_file("users.yaml", CAREFUL);
    let args = ["policy", "explain", "--user", "clerk@company.com", "--server", "db", "--tool", "wipe"];
    let json = || home.run(&[&args[..], &["--json"]].concat()).exits(0).json();
    let unknown = home.run(&args).exits(0);
    assert!(unknown.err.contains("if it may destroy something: deny"), "{unknown:?}");
    assert_eq!(json()["destructive"], json!(null));
    // The names alone, as they were kept once.
    let data = home.home().join("xdg/data/omni");
    std::fs::create_dir_all(&data).unwrap();
    std::fs::write(data.join("tools.json"), "{\"db\": [\"wipe\", \"get_health\"]}").unwrap();
    assert_eq!(json()["destructive"], json!(null));
    let listed = home.run(&["validate-policy", "--user", "clerk@company.com", "--mcp", "db", "--json"]).exits(0).json();
    assert_eq!((&listed["basis"], &listed["decisions"][0]["destructive"]), (&json!("stored"), &json!(null)));
    home.run(&["servers", "check"]).exits(0);
    let known = home.run(&args).exits(0);
    assert!(known.out.contains("db.wipe: deny") && known.out.contains("can_execute_dangerous_tools"), "{known:?}");
    let absent =
        home.run(&["policy", "explain", "--user", "dba@company.com", "--server", "db", "--tool", "wip", "--live"]);
    assert!(absent.exits(0).err.contains("db has no tool \"wip\""));
}

#[test]
fn a_tool_that_is_kept_back_is_explained_as_that_until_somebody_agrees() {
    let server = Loopback::with_wipe();
    let home = super::with_server(&server, "    pin: strict\n").with_file("users.yaml", CAREFUL);
    let explain = |more: &[&str]| {
        let base = ["policy", "explain", "--server", "db", "--json"];
        home.run(&[&base[..], more].concat()).exits(0).json()
    };
    let (dba, clerk) = (["--user", "dba@company.com"], ["--user", "clerk@company.com"]);
    home.run(&["servers", "check"]).exits(0);
    let look = [&dba[..], &["--tool", "get_health"]].concat();
    assert_eq!(explain(&look)["effect"], "allow");

    server.describe("get_health", "Health of the database, and more.");
    server.describe("wipe", "Wipes the database, and more.");
    home.run(&["servers", "check"]).exits(0);
    let forms: [&[&str]; 2] = [&[], &["--live"]];
    for live in forms {
        let one = explain(&[&look[..], live].concat());
        assert_eq!((&one["effect"], &one["destructive"]), (&json!("deny"), &json!(false)), "{live:?}");
        assert_eq!(one["rule"], "kept back: its definition changed; `omni tools approve` lets it in", "{live:?}");
        let all = explain(&[&dba[..], live].concat());
        let of_all = all["decisions"].as_array().unwrap().iter().find(|it| it["tool"] == "get_health").unwrap();
        assert_eq!((&of_all["effect"], &of_all["rule"]), (&one["effect"], &one["rule"]), "{live:?}");
        let denied = explain(&[&clerk[..], &["--tool", "wipe"], live].concat());
        assert!(denied["rule"].as_str().unwrap().contains("can_execute_dangerous_tools"), "{denied}");
    }
    home.run(&["tools", "call", "db.get_health", "--as", "dba@company.com"]).exits(1);

    home.run(&["tools", "approve", "db", "get_health"]).exits(0);
    assert_eq!(explain(&look)["effect"], "allow", "the server was not asked again");
    home.run(&["tools", "call", "db.get_health", "--as", "dba@company.com"]).exits(0);
    assert_eq!(explain(&[&look[..], &["--live"]].concat())["effect"], "allow");
}
