use std::{collections::BTreeMap, fs, path::Path, sync::Arc};

use serde_json::{Value, json};

use super::YamlPolicy;
use crate::{
    config::{Config, ConfigError, LoadOptions},
    identity::{Principal, Via},
    policy::{Grant, PolicyError, PolicyStore},
    registry::Registry,
    testing,
};

mod access;
mod beside;
mod budget;
mod people;
mod property;
mod quota;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod stored;
mod team;

/// A policy of these two files.
pub(crate) fn config(mcps: &str, users: &str) -> Config {
    with_settings(mcps, users, "")
}

fn with_settings(mcps: &str, users: &str, settings: &str) -> Config {
    let dir = tempfile::TempDir::new().unwrap();
    for (name, text) in [("mcps.yaml", mcps), ("users.yaml", users), ("settings.yaml", settings)] {
        fs::write(dir.path().join(name), text).unwrap();
    }
    Config::load(LoadOptions::new(BTreeMap::new(), dir.path()).with_dir(dir.path())).unwrap()
}

fn resolve(policy: &YamlPolicy, principal: &Principal) -> Result<Arc<Grant>, PolicyError> {
    futures::executor::block_on(policy.resolve(principal))
}

fn grant(policy: &YamlPolicy, email: &str) -> Arc<Grant> {
    resolve(policy, &Principal::email(email)).unwrap()
}

fn refusal(policy: &YamlPolicy, email: &str) -> String {
    resolve(policy, &Principal::email(email)).unwrap_err().to_string()
}

/// Those of the tools that a person may use.
fn allowed<'a>(grant: &Grant, server: &str, tools: &[&'a str]) -> Vec<&'a str> {
    tools.iter().copied().filter(|tool| grant.decide(server, tool, None).is_allowed()).collect()
}

#[test]
fn people_are_found_by_e_mail_in_any_spelling() {
    let policy =
        YamlPolicy::from_config(&config("", "users: [{ email: ' Ann@X.org', name: Ann, role: dba }]")).unwrap();
    let ann = grant(&policy, "ann@x.ORG");
    assert_eq!((ann.display_name.as_str(), &*ann.role.name, ann.version), ("Ann", "dba", 1));
    assert_eq!(refusal(&policy, "b@x.org"), "b@x.org is not known here, and the policy has no default user");
}

#[test]
fn an_unknown_role_and_an_inactive_account_are_denied_everything() {
    let users = "users: [{ email: a@x, role: dbaa }, { email: b@x, is_active: false }]";
    let policy = YamlPolicy::from_config(&config("", users)).unwrap();
    assert_eq!(refusal(&policy, "a@x"), "a@x may not use omni: the role \"dbaa\" is not known; did you mean \"dba\"?");
    assert_eq!(refusal(&policy, "b@x"), "b@x may not use omni: the account is not active");
}

#[tokio::test]
async fn it_keeps_the_contract() {
    let policy = YamlPolicy::from_config(&config(testing::POLICY_MCPS, testing::POLICY_USERS)).unwrap();
    testing::policy_store_contract(&policy).await;
    let blocked = format!("{}blocked_users: [{{ email: ann@x.org }}]\n", testing::POLICY_USERS);
    let reload = async || assert!(policy.reload(&config(testing::POLICY_MCPS, &blocked)).is_ok());
    testing::policy_change_contract(&policy, reload).await;
}

#[test]
fn declared_roles_are_known() {
    let policy = YamlPolicy::from_config(&config(
        "roles: { one: {} }",
        "roles: { two: }\nusers: [{ email: a, role: one }, { email: b, role: two }]",
    ))
    .unwrap();
    assert_eq!((&*grant(&policy, "a").role.name, &*grant(&policy, "b").role.name), ("one", "two"));
}

#[test]
fn a_terminal_user_is_whom_the_file_says_and_else_anybody() {
    let users = "users: [{ email: a@x, role: dba, os_user: ann }]\ndefault_user: { role: contractor }";
    let policy = YamlPolicy::from_config(&config("", users)).unwrap();
    let role = |principal: Principal| resolve(&policy, &principal).unwrap().role.name.to_string();
    assert_eq!(role(Principal::local("ann")), "dba");
    assert_eq!(role(Principal::local("bob")), "contractor");
    assert_eq!(role(Principal::new("local:ann", Via::ApiKey)), "contractor");
}

#[test]
fn without_users_only_the_person_at_the_terminal_may_and_the_servers_policy_holds() {
    let dir = tempfile::TempDir::new().unwrap();
    fs::write(
        dir.path().join("mcps.yaml"),
        "mcps: [{ name: a, url: http://h, tool_policy: { mode: allow_only, allow: [x] } }]",
    )
    .unwrap();
    let policy = futures::executor::block_on(async {
        tokio::runtime::Runtime::new().unwrap().block_on(YamlPolicy::load(dir.path()))
    })
    .unwrap();
    let here = resolve(&policy, &Principal::local("root")).unwrap();
    assert!(here.role.is_super_admin && here.decide("a", "x", None).is_allowed());
    assert!(!here.decide("a", "y", None).is_allowed());
    assert!(matches!(resolve(&policy, &Principal::email("a@x")), Err(PolicyError::UnknownSubject { .. })));
    assert!(matches!(
        resolve(&policy, &Principal::new("local:root", Via::ProxyHeader)),
        Err(PolicyError::UnknownSubject { .. })
    ));
}

#[test]
fn a_credentials_role_is_a_ceiling() {
    let mcps =
        "mcps: [{ name: a, url: http://h, role_restrictions: { admin: {}, contractor: { allow_only: [get_*] } } }]";
    let users = "users: [{ email: a@x, role: admin }]\nroles: { contractor: { models: [m] } }";
    let policy = YamlPolicy::from_config(&config(mcps, users)).unwrap();
    let under = |role: &str| {
        let mut principal = Principal::email("a@x");
        principal.ceiling_role = Some(role.into());
        resolve(&policy, &principal)
    };
    assert_eq!(allowed(&grant(&policy, "a@x"), "a", &["get_x", "kill"]), ["get_x", "kill"]);
    let lowered = under("contractor").unwrap();
    assert_eq!(allowed(&lowered, "a", &["get_x", "kill"]), ["get_x"]);
    assert!(!lowered.role.is_admin);
    assert_eq!(lowered.models.as_deref(), Some(["m".to_owned()].as_slice()));
    assert!(under("super_admin").unwrap().role.is_admin);
    assert!(matches!(under("nobody"), Err(PolicyError::Blocked { .. })));
}

#[test]
fn people_with_equal_rules_share_one_rule_set() {
    let mcps = "mcps: [{ name: a, url: http://h }]";
    let custom = "allowed_mcps: { a: { mode: custom, tools: [get_*, list_*] } }";
    let users = format!(
        "users:\n- {{ email: a, role: dba }}\n- {{ email: b, role: dba }}\n- {{ email: c, role: dba, {custom} }}\n- {{ email: \
         d, role: dba, {custom} }}"
    );
    let policy = YamlPolicy::from_config(&config(mcps, &users)).unwrap();
    let rules = |email: &str| grant(&policy, email).rules.clone();
    assert!(Arc::ptr_eq(&rules("a"), &rules("b")));
    assert_eq!(rules("c").fingerprint(), rules("d").fingerprint());
    assert_ne!(rules("a").fingerprint(), rules("c").fingerprint());
    assert!(rules("c").decide("a", "get_x", None).rule.text.starts_with("users[2]."));
    assert!(rules("d").decide("a", "get_x", None).rule.text.starts_with("users[3]."));
}

#[test]
fn a_reload_is_a_new_version_for_those_who_ask_next() {
    let policy = YamlPolicy::from_config(&config("", "users: [{ email: a, role: dba }]")).unwrap();
    let mut version = policy.version();
    let old = grant(&policy, "a");
    assert_eq!(policy.reload(&config("", "users: [{ email: a, role: admin }]")).unwrap(), 2);
    assert!(version.has_changed().unwrap());
    assert_eq!(*version.borrow_and_update(), 2);
    let new = grant(&policy, "a");
    assert_eq!((&*old.role.name, old.version, &*new.role.name, new.version), ("dba", 1, "admin", 2));
}

#[test]
fn an_explanation_names_rule_and_line() {
    let mcps = "global:\n  blocked_tools:\n    - get_x\n    - drop_*\nmcps:\n- name: a\n  url: http://h\n  confirm: [kill_*]\ntool_patterns: { dangerous: [wipe_*] }\n";
    let policy = YamlPolicy::from_config(&config(mcps, "users: [{ email: a, role: dba }]")).unwrap();
    let explain = |tool: &str| grant(&policy, "a").decide("a", tool, None).explain();
    assert_eq!(
        explain("drop_table"),
        json!({ "effect": "deny", "confirm": false, "rule": "global.blocked_tools: drop_*", "source": "mcps.yaml:4" })
    );
    assert_eq!(
        explain("kill_all"),
        json!({ "effect": "allow", "confirm": true, "rule": "a: nothing restricts the role dba", "source": "mcps.yaml:6" })
    );
    let wipe = grant(&policy, "a").decide("a", "wipe_disk", None);
    assert_eq!(wipe.confirm_rule.unwrap().text, "tool_patterns.dangerous: wipe_*");
    assert_eq!(grant(&policy, "a").decide("b", "x", None).explain()["source"], Value::Null);
}

#[test]
fn what_slack_yaml_wants_confirmed_takes_a_human_by_any_door() {
    let dir = tempfile::TempDir::new().unwrap();
    let wipe = |slack: &str| {
        for (name, text) in [
            ("mcps.yaml", "mcps: [{ name: a, url: http://h }]"),
            ("users.yaml", "users: [{ email: a, role: dba }]"),
            ("slack.yaml", slack),
        ] {
            fs::write(dir.path().join(name), text).unwrap();
        }
        let config = Config::load(LoadOptions::new(BTreeMap::new(), dir.path()).with_dir(dir.path())).unwrap();
        let grant = grant(&YamlPolicy::from_config(&config).unwrap(), "a");
        assert!(!grant.decide("a", "get_x", None).confirm);
        grant.decide("a", "wipe_disk", None)
    };
    let marked = wipe("interactive:\n  require_confirmation:\n    enabled: true\n    actions: [drop_*, 'wipe_*']\n");
    assert!(marked.is_allowed() && marked.confirm);
    let rule = marked.confirm_rule.unwrap();
    assert_eq!(rule.text, "interactive.require_confirmation.actions: wipe_*");
    assert_eq!(rule.source.as_ref().unwrap().to_string(), "slack.yaml:4");
    assert!(wipe("interactive: { require_confirmation: { actions: ['wipe_*'] } }").confirm);
    assert!(!wipe("interactive: { require_confirmation: { enabled: false, actions: ['wipe_*'] } }").confirm);
    assert!(!wipe("").confirm);
}

#[tokio::test]
async fn both_kinds_are_built_by_name_and_memory_only_without_a_configuration() {
    let mut registry = Registry::empty();
    super::register(&mut registry);
    crate::policy::memory::register(&mut registry);
    let configured = Arc::new(config("", "users: [{ email: a }]"));
    let embedded = Arc::new(Config::embedded(&BTreeMap::new(), Path::new("/work")));
    let build = async |kind: &str, config: &Arc<Config>| {
        registry.policies.build(kind, config.clone()).await.map_err(|error| error.to_string())
    };
    assert!(build(&configured.policy_kind, &configured).await.is_ok());
    assert!(build(&embedded.policy_kind, &embedded).await.is_ok());
    assert!(build("memory", &configured).await.is_err());
    assert!(build("ldap", &configured).await.unwrap_err().contains("memory, yaml"));
}

#[test]
fn a_directory_that_is_not_there_is_an_error() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    assert!(matches!(runtime.block_on(YamlPolicy::load("/nowhere")), Err(ConfigError::NoDirectory { .. })));
}
