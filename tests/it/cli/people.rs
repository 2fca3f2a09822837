//! People, keys and the policy in the database, by the program.

use serde_json::json;

use super::omni;
use omni_tests::program::Program;

const USERS: &str = "\
users:
  - email: named@company.com
    role: dba
auto_provisioning:
  enabled: true
  default_role: read_only
  require_approval: true
";

const MCPS: &str = "\
mcps:
  - name: db
    url: http://127.0.0.1:1/mcp
    role_restrictions:
      dba: { allow_only: [\"get_*\"] }
      read_only: { deny_all: true }
";

fn home() -> Program {
    omni().with_file("users.yaml", USERS).with_file("mcps.yaml", MCPS)
}

fn may(home: &Program, user: &str) -> serde_json::Value {
    home.run(&["policy", "explain", "--user", user, "--server", "db", "--tool", "get_health", "--json"]).exits(0).json()
}

#[test]
fn a_role_that_was_given_counts_at_once() {
    let home = home();
    assert_eq!(may(&home, "new@company.com")["effect"], "deny");
    home.run(&["users", "add", "New@company.com", "--role", "dba", "--name", "New"]).exits(0);
    let allowed = may(&home, "new@company.com");
    assert_eq!(allowed["effect"], "allow", "{allowed}");
    let listed = home.run(&["users", "list", "--json"]).exits(0).json();
    let expected = json!([
        { "email": "named@company.com", "name": "named@company.com", "role": "dba", "status": "active", "reason": null,
          "source": "users.yaml:2" },
        { "email": "new@company.com", "name": "New", "role": "dba", "status": "active", "reason": null,
          "source": "assigned" },
    ]);
    assert_eq!(listed, expected);
    home.run(&["users", "disable", "new@company.com", "--message", "Ask hr."]).exits(0);
    let denied = may(&home, "new@company.com");
    assert_eq!(denied["rule"], "new@company.com may not use omni: Ask hr.");
    assert!(home.run(&["users", "list"]).exits(0).out.contains("blocked"));
    home.run(&["users", "enable", "new@company.com"]).exits(0);
    assert_eq!(may(&home, "new@company.com")["effect"], "allow");
}

#[test]
fn whom_users_yaml_names_is_changed_there() {
    let home = home();
    for args in [
        &["users", "add", "named@company.com", "--role", "admin"][..],
        &["add-user", "--email=named@company.com", "--role=admin"],
        &["users", "disable", "named@company.com"],
        &["users", "approve", "named@company.com"],
    ] {
        let ran = home.run(args).exits(3);
        assert!(ran.err.contains("users.yaml:2"), "{ran:?}");
    }
    home.run(&["add-user", "--email=new@company.com", "--role=power_user"]).exits(0);
    home.run(&["add-user", "--email=new@company.com", "--role=powr_user"]).exits(2);
    home.run(&["users", "add"]).exits(2);
}

#[test]
fn whoever_is_new_is_approved() {
    let home = home();
    assert!(may(&home, "new@company.com")["rule"].as_str().unwrap().contains("approve the account"));
    let approved = home.run(&["users", "approve", "new@company.com", "--json"]).exits(0).json();
    assert_eq!(approved, json!({ "email": "new@company.com", "role": "read_only" }));
    assert!(may(&home, "new@company.com")["rule"].as_str().unwrap().contains("deny_all"));
}

#[test]
fn a_key_is_shown_once() {
    let home = home();
    let made = home
        .run(&["keys", "create", "--user", "named@company.com", "--scope", "ask,audit,admin,act_as,mcp", "--json"])
        .exits(0)
        .json();
    let key = made["key"].as_str().unwrap();
    assert!(key.starts_with("omni_") && made["id"].is_i64(), "{made}");
    assert_eq!((&made["ceiling_role"], &made["act_as"]), (&json!("dba"), &json!(["*"])));
    let listed = home.run(&["keys", "list", "--json"]).exits(0);
    assert_eq!(listed.json()[0]["owner"], "named@company.com");
    assert!(!listed.out.contains(key) && !listed.out.contains("hash"), "{listed:?}");
    let id = made["id"].to_string();
    home.run(&["keys", "revoke", &id]).exits(0);
    assert!(home.run(&["keys", "list"]).exits(0).out.contains("ended"));
    home.run(&["keys", "revoke", "99"]).exits(2);
    home.run(&["keys", "create", "--user", "named@company.com", "--scope", "root"]).exits(2);
    home.run(&["keys", "create", "--user", "nobody@company.com", "--scope", "ask"]).exits(5);
}

#[test]
fn a_policy_moves_into_the_database_and_out_again() {
    let home = home();
    home.run(&["policy", "import", "--from", "config"]).exits(0);
    home.run(&["policy", "export", "--to", "exported"]).exits(0);
    let exported = std::fs::read_to_string(home.home().join("exported/users.yaml")).unwrap();
    assert!(exported.contains("named@company.com") && exported.contains("require_approval: true"), "{exported}");
    let ran = home.run(&["policy", "export", "--to", "exported"]).exits(1);
    assert!(ran.err.contains("users.yaml"), "{ran:?}");
    // From now on the database alone says who people are.
    let home = home.with_file("settings.yaml", "policy: { store: sql }\n");
    let checked = home.run(&["config", "check", "--json"]).exits(0);
    assert!(checked.out.contains("not used: policy.store is sql"), "{checked:?}");
    std::fs::remove_file(home.config_dir().join("users.yaml")).unwrap();
    let allowed = may(&home, "named@company.com");
    assert_eq!((&allowed["effect"], &allowed["source"]), (&json!("allow"), &json!("mcps.yaml:5")), "{allowed}");
    home.run(&["policy", "import", "--from", "exported"]).exits(0);
    assert_eq!(may(&home, "named@company.com")["effect"], "allow");
    home.run(&["policy", "import", "--from", "nowhere"]).exits(3);
}

#[test]
fn who_only_looks_makes_no_database() {
    let home = home();
    let database = home.home().join("xdg/data/omni/omni.db");
    assert_eq!(may(&home, "new@company.com")["effect"], "deny");
    assert!(!database.exists(), "an explanation made a database");
    let status = home.run(&["db", "status", "--json"]).exits(1).json();
    assert_eq!((&status["current"], &status["up_to_date"]), (&json!(0), &json!(false)));
    assert!(!database.exists(), "the status made a database");
    home.run(&["users", "add", "new@company.com", "--role", "dba"]).exits(0);
    assert_eq!(may(&home, "new@company.com")["effect"], "allow");
}

#[test]
fn an_address_is_told_as_it_is_kept() {
    let home = home();
    for command in ["add", "disable", "enable"] {
        let told = home.run(&["users", command, " New@Company.com", "--json"]).exits(0).json();
        assert_eq!(told["email"], "new@company.com", "{command}");
    }
    let told = home.run(&["users", "approve", "Two@Company.com", "--json"]).exits(0).json();
    assert_eq!(told["email"], "two@company.com");
}

#[test]
fn the_help_of_a_key_names_every_scope() {
    let help = omni().run(&["keys", "create", "--help"]).exits(0).out;
    for scope in ["ask", "mcp", "audit", "admin", "act_as"] {
        assert!(
            help.split(|letter: char| !letter.is_alphanumeric() && letter != '_').any(|word| word == scope),
            "{scope}: {help}"
        );
    }
}

#[test]
fn an_import_lets_nobody_in_whom_an_administrator_keeps_out() {
    let home = home().with_file("settings.yaml", "policy: { store: sql }\n");
    let import = ["policy", "import", "--from", "config", "--json"];
    home.run(&import).exits(0);
    home.run(&["users", "add", "own@company.com", "--role", "dba"]).exits(0);
    for user in ["named@company.com", "stranger@company.com"] {
        home.run(&["users", "disable", user, "--message", "Ask hr."]).exits(0);
    }
    let told = home.run(&import).exits(0).json();
    assert_eq!(told["still_blocked"], json!(["named@company.com", "stranger@company.com"]));
    assert_eq!((&told["no_longer_named"], &told["let_in"]), (&json!(["own@company.com"]), &json!([])));
    assert_eq!(may(&home, "named@company.com")["rule"], "named@company.com may not use omni: Ask hr.");
    let text = home.run(&["policy", "import", "--from", "config"]).exits(0);
    assert!(text.out.contains("still kept out: named@company.com, stranger@company.com"), "{text:?}");
    let all = home.run(&[&import[..], &["--replace"]].concat()).exits(0).json();
    assert_eq!(all["let_in"], json!(["named@company.com", "stranger@company.com"]));
    assert_eq!(may(&home, "named@company.com")["effect"], "allow");
}
