//! Who is let in, and with what beside tools.

use serde_json::json;

use super::{YamlPolicy, allowed, config, grant, refusal, resolve};
use crate::{
    identity::{Principal, Scope, Scopes, Via},
    policy::{Permission, PolicyError, PolicyStore, ToolRef},
};

const MCPS: &str =
    "mcps: [{ name: a, url: http://h, role_restrictions: { dba: { allow_only: [get_*], deny: [get_secret] } } }]";

fn policy(users: &str) -> YamlPolicy {
    YamlPolicy::from_config(&config(MCPS, users)).unwrap()
}

#[test]
fn a_blocked_person_reads_the_message_whoever_else_names_them() {
    let policy = policy(
        "super_admins: [{ email: a@x }]\nusers: [{ email: b@x, role: dba }]\ndefault_user: { role: dba }\nblocked_users: \
         [{ email: ' A@x', message: Ask hr@x. }, { email: b@x }, { email: stranger@x }]",
    );
    assert_eq!(refusal(&policy, "a@x"), "a@x may not use omni: Ask hr@x.");
    assert_eq!(refusal(&policy, "b@x"), "b@x may not use omni: the account is blocked");
    assert!(refusal(&policy, "stranger@x").contains("blocked"));
    assert_eq!(&*grant(&policy, "c@x").role.name, "dba");
}

#[test]
fn permissions_are_the_roles_and_an_admins_unless_the_file_says_otherwise() {
    let policy = policy(
        "super_admins: [{ email: boss }]\nusers: [{ email: a, role: admin }, { email: b, role: auditor }, { email: c }]\nroles: \
         { auditor: { permissions: { can_view_audit_logs: true, can_manage_users: false } }, admin: { permissions: { \
         can_delete_data: false } } }",
    );
    let may = |email: &str, permission| grant(&policy, email).role.may(permission);
    assert!(may("b", Permission::CanViewAuditLogs) && !may("b", Permission::CanManageUsers));
    assert!(may("a", Permission::CanManageUsers) && !may("a", Permission::CanDeleteData));
    assert!(!may("a", Permission::CanBypassToolRestrictions));
    assert!(Permission::ALL.into_iter().all(|permission| may("boss", permission) && !may("c", permission)));
}

#[test]
fn an_operation_of_administrators_takes_scope_and_permission() {
    let policy = policy(
        "users: [{ email: a, role: admin }, { email: b, role: auditor }]\nroles: { auditor: { permissions: { \
         can_view_audit_logs: true } } }",
    );
    let with = |email: &str, scopes: &[Scope]| {
        resolve(&policy, &Principal::email(email).with_scopes(scopes.iter().copied().collect::<Scopes>())).unwrap()
    };
    assert!(with("a", &[Scope::Admin]).require_admin(Permission::CanManageUsers).is_ok());
    let no_scope = with("a", &[Scope::Ask]).require_admin(Permission::CanManageUsers);
    assert!(matches!(no_scope, Err(PolicyError::MissingScope { scope: Scope::Admin, .. })));
    let no_permission = with("b", &[Scope::Admin]).require_admin(Permission::CanManageUsers).unwrap_err();
    assert_eq!(no_permission.to_string(), "b may not do this: the role auditor has no permission `can_manage_users`");
    assert!(with("b", &[Scope::Audit]).may_view_all_logs() && with("a", &[Scope::Audit]).may_view_all_logs());
    assert!(!with("b", &[Scope::Ask, Scope::Admin]).may_view_all_logs());
}

#[test]
fn going_around_the_tool_rules_replaces_allow_lists_and_lifts_no_denial() {
    let bypass = "permissions: { can_bypass_tool_restrictions: true }";
    let policy = policy(&format!(
        "users: [{{ email: a, role: dba }}, {{ email: b, role: fixer }}]\nroles: {{ dba: {{ {bypass}, denied_tools: [drop_*] \
         }}, fixer: {{ {bypass} }} }}"
    ));
    assert_eq!(allowed(&grant(&policy, "a"), "a", &["get_x", "kill", "get_secret", "drop_x"]), ["get_x", "kill"]);
    assert_eq!(allowed(&grant(&policy, "b"), "a", &["get_x", "kill"]), ["get_x", "kill"]);
}

#[test]
fn argument_rules_of_person_and_role_both_hold() {
    let policy = policy(
        "users: [{ email: a, role: dba, argument_rules: [{ server: a, tool: get_*, argument: schema, allowed: [public, \
         'app_*'] }] }]\nroles: { dba: { argument_rules: [{ tool: '*', argument: mode, allowed: read, required: true }] } }",
    );
    let decide = |arguments| grant(&policy, "a").decide("a", "get_x", Some(&arguments));
    assert!(decide(json!({ "mode": "read", "schema": "app_1" })).is_allowed());
    assert!(decide(json!({ "mode": "read" })).is_allowed());
    let schema = decide(json!({ "mode": "read", "schema": "secret" }));
    assert_eq!(schema.rule.text, "users[0].argument_rules[0]: schema of get_* must be one of: public, app_*");
    assert_eq!(schema.rule.source.as_ref().unwrap().to_string(), "users.yaml:1");
    assert!(decide(json!({ "schema": "public" })).rule.text.starts_with("roles.dba.argument_rules[0]"));
}

#[test]
fn teams_are_shown_and_grant_nothing() {
    let policy = policy("users: [{ email: a, role: dba, teams: [dba_team] }, { email: b, role: dba }]");
    let (a, b) = (grant(&policy, "a"), grant(&policy, "b"));
    assert_eq!(a.teams, ["dba_team"]);
    assert_eq!(a.rules.fingerprint(), b.rules.fingerprint());
}

const PROVISIONING: &str = "
default_user: { role: contractor }
users: [{ email: known@x.org, role: dba }]
auto_provisioning:
  enabled: true
  require_approval: true
  email_domain_mapping:
    '@X.org': { default_role: power_user, require_approval: false }
    y.org: { default_role: dba }
    odd.org: { default_role: dbaa, require_approval: false }
  slack_team_mapping:
    T1: { default_role: qa_tester, require_approval: false }
";

#[test]
fn somebody_new_gets_the_role_of_their_domain_or_waits_for_approval() {
    let policy = policy(PROVISIONING);
    assert_eq!(&*grant(&policy, "new@x.org").role.name, "power_user");
    assert_eq!(&*grant(&policy, "known@x.org").role.name, "dba");
    let waits = resolve(&policy, &Principal::email("new@y.org"));
    assert!(matches!(waits, Err(PolicyError::PendingApproval { .. })), "{waits:?}");
    assert!(refusal(&policy, "new@y.org").contains("an administrator has to approve the account first"));
    assert_eq!(policy.standing(&Principal::email("new@y.org")).offered_role.as_deref(), Some("dba"));
    assert!(refusal(&policy, "new@odd.org").contains("\"dbaa\" is not known"));
    assert_eq!(&*grant(&policy, "new@elsewhere.org").role.name, "contractor");
}

#[test]
fn a_slack_workspace_speaks_only_for_those_who_ask_there() {
    let policy = policy(PROVISIONING);
    let from = |via: Via| {
        let mut principal = Principal::new("new@z.org", via);
        principal.groups = vec!["T1".into()];
        resolve(&policy, &principal).unwrap().role.name.to_string()
    };
    assert_eq!((from(Via::Slack).as_str(), from(Via::ProxyHeader).as_str()), ("qa_tester", "contractor"));
}

#[test]
fn nobody_is_provisioned_where_it_is_switched_off() {
    let policy = policy(&PROVISIONING.replace("enabled: true", "enabled: false").replace("default_user", "unused"));
    assert!(matches!(resolve(&policy, &Principal::email("new@x.org")), Err(PolicyError::UnknownSubject { .. })));
}

#[test]
fn whom_a_file_names_is_said_with_its_line() {
    let policy = policy("users:\n- { email: a@x, role: dba }\n- { email: b@x }\n");
    let at = |email: &str| policy.standing(&Principal::email(email)).named_at.map(|at| at.to_string());
    assert_eq!(at("B@x").as_deref(), Some("users.yaml:3"));
    assert_eq!(at("c@x"), None);
}

/// Somebody of whom the identity provider's groups say that they have a role.
fn claiming(email: &str, role: &str) -> Principal {
    Principal { claimed_role: Some(role.into()), ..Principal::new(email, Via::Oidc) }
}

#[test]
fn a_claimed_role_is_that_of_somebody_whom_nobody_named() {
    let users = "users: [{ email: ann@x.org, role: contractor }, { email: out@x.org, is_active: false }]\nblocked_users: [{ \
                 email: bad@x.org }]\ndefault_user: { role: read_only }\nauto_provisioning: { enabled: true, default_role: \
                 qa_tester, require_approval: true }";
    let policy = policy(users);
    let new = resolve(&policy, &claiming("new@x.org", "dba")).unwrap();
    assert_eq!((&*new.role.name, allowed(&new, "a", &["get_x", "kill", "get_secret"])), ("dba", vec!["get_x"]));
    // Whom the file names keeps what it says, and stays out where it keeps them out.
    let ann = resolve(&policy, &claiming("ann@x.org", "admin")).unwrap();
    assert!(&*ann.role.name == "contractor" && !ann.role.is_admin);
    for kept_out in ["out@x.org", "bad@x.org"] {
        assert!(resolve(&policy, &claiming(kept_out, "admin")).is_err(), "{kept_out}");
    }
}

#[test]
fn a_claimed_role_that_nobody_knows_is_a_denial_and_one_that_was_claimed_elsewhere_is_none() {
    let policy = policy("users: []\ndefault_user: { role: read_only }");
    let unknown = resolve(&policy, &claiming("new@x.org", "dbaa")).unwrap_err();
    assert_eq!(unknown.to_string(), "new@x.org may not use omni: the role \"dbaa\" is not known");
    let later = Principal { via: Via::Schedule, ..claiming("new@x.org", "admin") };
    assert_eq!(&*resolve(&policy, &later).unwrap().role.name, "read_only");
}

#[test]
fn who_may_act_for_a_role_may_not_act_for_a_super_admin_whose_entry_names_it() {
    let users = "super_admins: [{ email: boss@x.org, role: dba }]";
    let policy = YamlPolicy::from_config(&config("", users)).unwrap();
    let as_boss = |role: &str| Principal { subject_roles: Some(vec![role.into()]), ..Principal::email("boss@x.org") };
    assert!(resolve(&policy, &as_boss("dba")).unwrap_err().to_string().contains("of that role"));
    assert!(resolve(&policy, &as_boss("super_admin")).is_ok());
}

#[test]
fn a_role_from_which_dangerous_tools_are_taken_has_none_that_needs_a_humans_word() {
    let mcps = "mcps: [{ name: a, url: http://h, confirm: [kill_*] }]";
    let users = "super_admins: [{ email: boss, role: dev }]\nusers: [{ email: a, role: dev }, { email: b, role: dba }]\n\
        roles:\n  dev:\n    permissions:\n      can_execute_dangerous_tools: false\n  dba:\n    permissions: {}";
    let policy = YamlPolicy::from_config(&config(mcps, users)).unwrap();
    let destructive = |name| ToolRef { server: "a", name, is_destructive: true };
    let dev = grant(&policy, "a");
    for refused in [dev.decide("a", "kill_session", None), dev.decide_tool(destructive("drop"), None)] {
        assert!(!refused.is_allowed());
        assert_eq!(refused.rule.text, "roles.dev.permissions.can_execute_dangerous_tools: false");
        assert_eq!(refused.rule.source.as_ref().unwrap().to_string(), "users.yaml:6");
    }
    assert!(dev.decide("a", "get_health", None).is_allowed());
    for other in ["b", "boss"] {
        let decision = grant(&policy, other).decide_tool(destructive("drop"), None);
        assert!(decision.is_allowed() && decision.confirm, "{other}");
    }
}

#[test]
fn a_role_from_which_all_databases_are_taken_has_those_that_a_persons_list_names() {
    let mcps = "mcps: [{ name: a, url: http://h }]";
    let users = "users: [{ email: a, role: dev }, { email: b, role: dev, allowed_databases: [test_*] }, { email: c, \
        role: dba }]\nroles: { dev: { permissions: { can_access_all_databases: false } } }";
    let policy = YamlPolicy::from_config(&config(mcps, users)).unwrap();
    let may = |email: &str, database: &str| {
        grant(&policy, email).decide("a", "get_health", Some(&json!({ "database": database }))).is_allowed()
    };
    assert!(!may("a", "test_1") && may("b", "test_1") && !may("b", "prod") && may("c", "prod"));
    assert!(grant(&policy, "a").decide("a", "get_health", Some(&json!({}))).is_allowed());
}

#[tokio::test]
async fn whoever_acts_for_others_lends_them_no_domains_that_they_lack() {
    let users = "users: [{ email: bot, role: dba, allowed_domains: [sql_help, code_review] }, { email: a, role: dba }, \
                 { email: b, role: dba, allowed_domains: [code_review, python_help] }]";
    let policy = YamlPolicy::from_config(&config("", users)).unwrap();
    let domains = async |subject: &str, actor: &str| {
        let principal = Principal::new(subject, Via::ApiKey).with_actor(actor);
        crate::policy::effective(&policy, &principal).await.unwrap().domains.clone()
    };
    assert_eq!(domains("a", "a").await, None);
    assert_eq!(domains("a", "bot").await.unwrap(), ["sql_help", "code_review"]);
    assert_eq!(domains("b", "bot").await.unwrap(), ["code_review"]);
    assert_eq!(domains("b", "a").await.unwrap(), ["code_review", "python_help"]);
}
