use serde_json::json;

use super::{YamlPolicy, allowed, config, grant, with_settings};
use crate::{
    Principal,
    policy::{Ceiling, Grant, Quota, Role, RuleSet},
};

const TOOLS: [&str; 4] = ["get_a", "get_b", "drop_a", "list"];

/// What a person of the role `dba` may use of server `a`, whose entry is `server`.
fn dba(server: &str, user: &str) -> Vec<&'static str> {
    person(server, &format!("users: [{{ email: u, role: dba, {user} }}]"), "")
}

fn person(server: &str, users: &str, settings: &str) -> Vec<&'static str> {
    let mcps = format!("mcps: [{{ name: a, url: http://h, {server} }}]");
    let policy = YamlPolicy::from_config(&with_settings(&mcps, users, settings)).unwrap();
    allowed(&grant(&policy, "u"), "a", &TOOLS)
}

#[test]
fn a_tool_policy_offers_all_some_or_all_but_some() {
    assert_eq!(dba("", ""), TOOLS);
    assert_eq!(dba("tool_policy: allow_all", ""), TOOLS);
    assert_eq!(dba("tool_policy: { mode: allow_only, allow: [get_*] }", ""), ["get_a", "get_b"]);
    assert_eq!(dba("tool_policy: { mode: allow_only, allow: [] }", ""), [""; 0]);
    assert_eq!(dba("tool_policy: allow_only", ""), [""; 0]);
    assert_eq!(dba("tool_policy: { mode: allow_all_except, exclude: [drop_*] }", ""), ["get_a", "get_b", "list"]);
    assert_eq!(dba("allowed_tools: [get_*], denied_tools: ['*_b']", ""), ["get_a"]);
}

#[test]
fn a_role_rule_allows_denies_and_an_empty_allow_list_is_none() {
    let rule = |rule: &str| dba(&format!("role_restrictions: {{ dba: {{ {rule} }} }}"), "");
    assert_eq!(rule(""), TOOLS);
    assert_eq!(rule("allow_all: true"), TOOLS);
    assert_eq!(rule("deny_all: true"), [""; 0]);
    assert_eq!(rule("allow_all: true, deny_all: true"), [""; 0]);
    assert_eq!(rule("allow_only: [get_*]"), ["get_a", "get_b"]);
    assert_eq!(rule("allow_only: []"), [""; 0]);
    assert_eq!(rule("allow_only:"), [""; 0]);
    assert_eq!(rule("allow_only: [get_*], deny: ['*_b']"), ["get_a"]);
    assert_eq!(rule("allow_all_except: [get_*]"), ["drop_a", "list"]);
}

#[test]
fn a_server_with_rules_for_other_roles_only_is_closed() {
    assert_eq!(dba("role_restrictions: { admin: { allow_all: true } }", ""), [""; 0]);
    assert_eq!(dba("role_restrictions: { dba: , admin: {} }", ""), [""; 0]);
    assert_eq!(dba("role_restrictions: {}", ""), TOOLS);
}

#[test]
fn a_role_that_is_named_without_a_value_still_shuts_out_the_others() {
    for named in ["read_only", "dba"] {
        assert_eq!(dba(&format!("role_restrictions: {{ {named}: ~ }}"), ""), [""; 0], "{named}");
    }
}

#[test]
fn what_is_denied_on_every_server_is_denied_on_one_with_an_entry_of_its_own() {
    for every in ["{ deny: [drop_*] }", "{ denied_tools: [drop_*] }", "{ mode: none, deny: [drop_*] }"] {
        for own in ["'*'", "{ mode: all }", "{ mode: inherit }", "{ mode: custom, tools: ['*'] }"] {
            let user = format!("allowed_mcps: {{ '*': {every}, a: {own} }}");
            assert_eq!(dba("", &user), ["get_a", "get_b", "list"], "{user}");
            let boss = format!("super_admins: [{{ email: u, {user} }}]");
            assert_eq!(person("", &boss, ""), ["get_a", "get_b", "list"], "{boss}");
        }
    }
    let both = "allowed_mcps: { '*': { mode: all, deny: [drop_*] }, a: { mode: all, deny: [get_*] } }";
    assert_eq!(dba("", both), ["list"]);
}

#[test]
fn a_wildcard_for_every_server_opens_none_that_has_rules_for_other_roles_only() {
    const ADMINS_ONLY: &str = "role_restrictions: { admin: { allow_all: true } }";
    for everything in ["'*'", "['*']", "{ '*': '*' }", "{ '*': { mode: all } }"] {
        assert_eq!(dba(ADMINS_ONLY, &format!("allowed_mcps: {everything}")), [""; 0], "{everything}");
    }
    // A person's entry for this very server is meant so.
    assert_eq!(dba(ADMINS_ONLY, "allowed_mcps: { a: { mode: all } }"), TOOLS);
    assert_eq!(dba(ADMINS_ONLY, "allowed_mcps: { a: { mode: custom, tools: [get_*] } }"), ["get_a", "get_b"]);
    let compat = |users: &str| person(ADMINS_ONLY, users, "policy: { compat: permissive }");
    assert_eq!(compat("users: [{ email: u, role: dba, allowed_mcps: '*' }]"), TOOLS);
}

#[test]
fn both_shapes_of_allowed_mcps_and_every_mode_are_read() {
    assert_eq!(dba("", "allowed_mcps: '*'"), TOOLS);
    assert_eq!(dba("", "allowed_mcps: a"), TOOLS);
    assert_eq!(dba("", "allowed_mcps: [a]"), TOOLS);
    assert_eq!(dba("", "allowed_mcps: ['*']"), TOOLS);
    assert_eq!(dba("", "allowed_mcps: [b]"), [""; 0]);
    assert_eq!(dba("", "allowed_mcps: []"), [""; 0]);
    assert_eq!(dba("", "allowed_mcps:"), [""; 0]);
    let map = |value: &str| dba("", &format!("allowed_mcps: {{ a: {value} }}"));
    assert_eq!(map("'*'"), TOOLS);
    assert_eq!(map("all"), [""; 0]);
    assert_eq!(map(""), [""; 0]);
    assert_eq!(map("{}"), TOOLS);
    assert_eq!(map("{ mode: inherit, deny: [drop_*] }"), ["get_a", "get_b", "list"]);
    assert_eq!(map("{ mode: all }"), TOOLS);
    assert_eq!(map("{ mode: none }"), [""; 0]);
    assert_eq!(map("{ mode: custom, tools: [get_*], deny: ['*_b'] }"), ["get_a"]);
    assert_eq!(map("{ mode: custom, allowed_tools: [get_*], denied_tools: ['*_b'] }"), ["get_a"]);
    assert_eq!(map("{ mode: custom, tools: [] }"), [""; 0]);
    assert_eq!(map("{ mode: custom }"), [""; 0]);
}

#[test]
fn a_persons_list_replaces_what_the_role_allows_and_never_lifts_what_it_denies() {
    let server = "role_restrictions: { dba: { allow_only: [list], deny: [drop_*] } }";
    for everything in ["'*'", "{ a: '*' }", "{ a: { mode: all } }", "{ a: { mode: custom, tools: ['*'] } }"] {
        assert_eq!(dba(server, &format!("allowed_mcps: {everything}")), ["get_a", "get_b", "list"], "{everything}");
        assert_eq!(
            dba("role_restrictions: { dba: { deny_all: true } }", &format!("allowed_mcps: {everything}")),
            [""; 0]
        );
        assert_eq!(
            dba("tool_policy: { mode: allow_only, allow: [list] }", &format!("allowed_mcps: {everything}")),
            ["list"]
        );
    }
    assert_eq!(dba(server, "allowed_mcps: [a]"), ["list"]);
    let users = "users: [{ email: u, role: dba, allowed_mcps: '*' }]";
    assert_eq!(person(server, users, "policy: { compat: permissive }"), TOOLS);
    assert_eq!(
        person(
            "role_restrictions: { admin: {} }",
            "users: [{ email: u, role: dba }]",
            "policy: { compat: permissive }"
        ),
        TOOLS
    );
}

#[test]
fn a_role_is_denied_tools_on_every_server() {
    assert_eq!(
        person("", "users: [{ email: u, role: dba }]\nroles: { dba: { denied_tools: [drop_*] } }", ""),
        ["get_a", "get_b", "list"]
    );
}

#[test]
fn blocked_and_admin_only_tools_are_for_super_admins_and_admins() {
    let mcps = "
global: { blocked_tools: [drop_*], admin_only_tools: [list] }
mcps: [{ name: a, url: http://h, tool_policy: { mode: allow_all_except, exclude: [get_b] }, role_restrictions: { dba: {}, admin: {} } }]";
    let users = "
super_admins: [{ email: super }]
users: [{ email: admin, role: admin }, { email: dba, role: dba, allowed_mcps: '*' }]
default_user: { role: dba, allowed_mcps: [a] }";
    let policy = YamlPolicy::from_config(&config(mcps, users)).unwrap();
    let tools = |email: &str| allowed(&grant(&policy, email), "a", &TOOLS);
    assert_eq!(tools("super"), ["get_a", "drop_a", "list"]);
    assert_eq!(tools("admin"), ["get_a", "list"]);
    assert_eq!(tools("dba"), ["get_a"]);
    assert_eq!(tools("a stranger"), ["get_a"]);
    let admin = &grant(&policy, "super").role;
    assert!(admin.is_admin && admin.is_super_admin && &*admin.name == "super_admin");
}

#[test]
fn a_disabled_or_unknown_server_is_closed_and_one_that_only_the_program_has_opens_by_name() {
    let mcps = "mcps: [{ name: off, url: http://h, enabled: false }]";
    let users = "super_admins: [{ email: super }]\nusers: [{ email: named, allowed_mcps: [mine, off] }, { email: star, allowed_mcps: '*' }]";
    let policy = YamlPolicy::from_config(&config(mcps, users)).unwrap();
    let may = |email: &str, server: &str| grant(&policy, email).decide(server, "t", None).is_allowed();
    assert!(!may("super", "off") && !may("named", "off") && !may("star", "off"));
    assert!(may("super", "mine") && may("named", "mine"));
    assert!(!may("star", "mine") && !may("named", "other"));
}

#[test]
fn the_built_in_analytics_server_is_for_administrators_whatever_a_file_allows() {
    let mcps = "mcps: [{ name: a, builtin: analytics, role_restrictions: { dba: { allow_all: true } } }]";
    let users = "users: [{ email: u, role: dba, allowed_mcps: '*' },
        { email: v, role: dba, allowed_mcps: { a: '*' } }, { email: w, role: dba, allowed_mcps: { a: { mode: custom, tools: ['*'] } } }]
super_admins: [{ email: owner }]";
    let policy = YamlPolicy::from_config(&config(mcps, users)).unwrap();
    for (who, all) in [("owner", true), ("u", false), ("v", false), ("w", false)] {
        let grant = grant(&policy, who);
        assert_eq!(grant.decide("a", "get_cost_summary", None).is_allowed(), all, "{who}");
        assert!(grant.decide("a", "get_my_usage", None).is_allowed(), "{who}");
    }
    let rule = grant(&policy, "u").decide("a", "get_denials", None);
    assert!(format!("{rule:?}").contains("for administrators"), "{rule:?}");
}

#[test]
fn the_analytics_server_goes_by_either_name() {
    let mcps = "mcps: [{ name: omni2_analytics_mcp, url: http://h }]";
    let users =
        "users: [{ email: u, allowed_mcps: [analytics_mcp] }, { email: v, allowed_mcps: { analytics_mcp: none } }]";
    let policy = YamlPolicy::from_config(&config(mcps, users)).unwrap();
    assert!(grant(&policy, "u").decide("omni2_analytics_mcp", "t", None).is_allowed());
    assert!(!grant(&policy, "v").decide("omni2_analytics_mcp", "t", None).is_allowed());
}

#[test]
fn databases_are_checked_in_the_arguments_of_a_call() {
    let mcps = "mcps: [{ name: a, url: http://h }, { name: b, url: http://h, database_argument: schema }]";
    let users = "users: [{ email: u, allowed_databases: [way4_*] }, { email: all, allowed_databases: ['*'] }, { email: none, allowed_databases: [] }]";
    let policy = YamlPolicy::from_config(&config(mcps, users)).unwrap();
    let may = |email: &str, server: &str, arguments: serde_json::Value| {
        grant(&policy, email).decide(server, "t", Some(&arguments)).is_allowed()
    };
    assert!(may("u", "a", json!({ "database": "way4_docker7" })));
    for name in ["database", "db", "db_name", "database_name"] {
        assert!(!may("u", "a", json!({ name: "transformer_master" })), "{name}");
    }
    assert!(may("u", "b", json!({ "database": "transformer_master" })) && !may("u", "b", json!({ "schema": "x" })));
    assert!(may("all", "a", json!({ "database": "x" })) && !may("none", "a", json!({ "database": "x" })));
    assert!(grant(&policy, "none").decide("a", "t", None).is_allowed());
    let explained = grant(&policy, "u").decide("a", "t", Some(&json!({ "db": "x" }))).explain();
    assert_eq!(explained["rule"], "users[0].allowed_databases: way4_*");
}

#[test]
fn a_ceiling_lowers_domains_and_adds_none() {
    let domains = |own: Option<&[&str]>, most: Option<&[&str]>| {
        let texts = |all: &[&str]| all.iter().map(ToString::to_string).collect::<Vec<_>>();
        let mut principal = Principal::email("u@x.org");
        principal.ceiling_role = Some("small".into());
        let mut grant = Grant::new(principal, Role::new("dba"), RuleSet::allow_all());
        grant.domains = own.map(texts);
        let (most, role, quota) = (most.map(texts), Role::new("small"), Quota::default());
        let (rules, domains) = (RuleSet::allow_all(), most.as_deref());
        grant.cut(Some(Ceiling { role: &role, rules, models: None, domains, quota: &quota })).unwrap();
        grant.domains.map(|domains| domains.join(" "))
    };
    let (both, other) = (["sql_help", "code_review"], ["code_review", "python_help"]);
    assert_eq!(domains(Some(&both), Some(&other)).as_deref(), Some("code_review"));
    assert_eq!(domains(Some(&both), None).as_deref(), Some("sql_help code_review"));
    assert_eq!(domains(None, Some(&other)).as_deref(), Some("code_review python_help"));
    assert_eq!(domains(None, None), None);
}

#[test]
fn domains_and_models_are_handed_on() {
    let users = "
users: [{ email: u, role: dba, allowed_domains: [sql_help] }, { email: v, allowed_domains: '*' }, { email: w, allowed_domains: [] }]
roles: { dba: { models: [some-model] } }";
    let policy = YamlPolicy::from_config(&config("", users)).unwrap();
    assert_eq!(grant(&policy, "u").domains.as_deref(), Some(["sql_help".to_owned()].as_slice()));
    assert_eq!(grant(&policy, "u").models.as_deref(), Some(["some-model".to_owned()].as_slice()));
    assert_eq!((grant(&policy, "v").domains.clone(), grant(&policy, "v").models.clone()), (None, None));
    assert_eq!(grant(&policy, "w").domains.as_deref(), Some([].as_slice()));
}
