//! What the access rules say that is probably not meant.

use super::{Config, LoadOptions, Severity, env, error, findings, load};

fn of_server(entry: &str, least: Severity) -> Vec<String> {
    let mcps = format!("mcps:\n  - {{ name: a, url: 'http://h', {entry} }}");
    let config = load(&[("mcps.yaml", &mcps)], &[]).unwrap();
    findings(&config, least).into_iter().filter(|finding| finding.contains("mcps.yaml")).collect()
}

#[test]
fn a_role_or_a_server_that_fails_open_is_said_with_its_line() {
    let empty = of_server("role_restrictions: { dba: {} }", Severity::Warning);
    assert_eq!(empty.len(), 1, "{empty:?}");
    assert!(empty[0].contains("mcps.yaml:2: mcps[0].role_restrictions.dba: it says nothing"), "{empty:?}");
    assert!(empty[0].contains("so dba may use everything here"), "{empty:?}");
    for meant in ["{ allow_all: true }", "{ deny_all: true }", "{ allow_only: [] }", "{ deny: [drop_*] }"] {
        let found = of_server(&format!("role_restrictions: {{ dba: {meant} }}"), Severity::Warning);
        assert_eq!(found, [""; 0], "{meant}");
    }
    let blank = of_server("role_restrictions: { dba: ~ }", Severity::Warning);
    assert_eq!(blank.len(), 1, "{blank:?}");
    assert!(blank[0].contains("mcps.yaml:2: mcps[0].role_restrictions.dba: it has no value"), "{blank:?}");
    let open = of_server("enabled: true", Severity::Info);
    assert!(open.iter().any(|finding| finding.contains("every known role may use all of it")), "{open:?}");
}

#[test]
fn a_list_that_allowed_everything_when_it_was_empty_is_said_to_allow_nothing() {
    let told = |rule: &str| {
        let found = of_server(&format!("role_restrictions: {{ dba: {rule} }}"), Severity::Info);
        found
            .into_iter()
            .filter(|finding| finding.contains("in the original it allowed everything"))
            .collect::<Vec<_>>()
    };
    for empty in ["{ allow_only: [] }", "{ allow_only: ~ }"] {
        let found = told(empty);
        assert_eq!(found.len(), 1, "{empty}: {found:?}");
        assert!(
            found[0].starts_with("mcps.yaml:2: mcps[0].role_restrictions.dba.allow_only: an empty list"),
            "{found:?}"
        );
    }
    for other in ["{ allow_only: [get_*] }", "{ allow_only: [], deny_all: true }", "{ deny: [] }"] {
        assert_eq!(told(other), [""; 0], "{other}");
    }
}

#[test]
fn nobody_becomes_an_administrator_by_coming() {
    let users = |role: &str, rest: &str| format!("auto_provisioning: {{ default_role: {role}, {rest} }}");
    for role in ["admin", "super_admin"] {
        let error = error(&[("users.yaml", &users(role, "enabled: true"))]);
        assert!(error.contains("users.yaml:1: auto_provisioning.default_role: whoever comes"), "{error}");
        for meant in ["enabled: true, require_approval: true", "enabled: false"] {
            assert!(load(&[("users.yaml", &users(role, meant))], &[]).is_ok(), "{role} {meant}");
        }
    }
    assert!(load(&[("users.yaml", &users("read_only", "enabled: true"))], &[]).is_ok());
}

#[test]
fn nobody_becomes_an_administrator_by_where_they_come_from() {
    let users = |offer: &str, rest: &str| {
        format!(
            "auto_provisioning: {{ enabled: true, {rest} email_domain_mapping: {{ p.org: {{ {offer} }} }} }}\n\
             roles: {{ porter: {{ permissions: {{ can_manage_users: true }} }}, clerk: {{ permissions: {{ \
             can_promote_users: true }} }}, guest: {{}} }}"
        )
    };
    for offer in ["admin", "super_admin", "porter", "clerk"].map(|role| format!("default_role: {role}")) {
        for approval in ["", "require_approval: false,"] {
            let error = error(&[("users.yaml", &users(&offer, approval))]);
            assert!(error.contains("auto_provisioning.email_domain_mapping.p.org"), "{offer}: {error}");
            assert!(error.contains("whoever comes would be an administrator"), "{offer}: {error}");
        }
        assert!(load(&[("users.yaml", &users(&offer, "require_approval: true,"))], &[]).is_ok(), "{offer}");
        let own = format!("{offer}, require_approval: true");
        assert!(load(&[("users.yaml", &users(&own, ""))], &[]).is_ok(), "{offer}");
    }
    // The offer of a mapping is the general one where it names no role.
    let lifted = users("require_approval: false", "default_role: admin, require_approval: true,");
    assert!(error(&[("users.yaml", &lifted)]).contains("email_domain_mapping.p.org"));
    let by_team = "auto_provisioning: { enabled: true, slack_team_mapping: { T1: { default_role: admin } } }";
    assert!(error(&[("users.yaml", by_team)]).contains("slack_team_mapping.T1"));
    assert!(load(&[("users.yaml", &users("default_role: guest", ""))], &[]).is_ok());
    let auditors = "auto_provisioning: { enabled: true, default_role: auditor }\n\
                    roles: { auditor: { permissions: { can_view_audit_logs: true } } }";
    let warned = findings(&load(&[("users.yaml", auditors)], &[]).unwrap(), Severity::Warning);
    assert!(warned.iter().any(|finding| finding.contains("can_view_audit_logs")), "{warned:?}");
}

const KNOWN: &str = r#"{ "db": ["get_a", "get_b", "drop_a"], "web": ["fetch"] }"#;

/// What is said of these files where the tools of `db` and `web` are known.
fn checked(mcps: &str, users: &str, known: &str) -> Vec<String> {
    let dir = super::dir(&[("mcps.yaml", mcps), ("users.yaml", users), ("data/omni/tools.json", known)]);
    let data = dir.path().join("data").display().to_string();
    let options = LoadOptions::new(env(&[("XDG_DATA_HOME", &data)]), dir.path()).with_dir(dir.path());
    findings(&Config::load(options).unwrap(), Severity::Warning)
}

const TWO: &str = "mcps:\n- { name: db, url: 'http://h', role_restrictions: { dba: { allow_all: true } } }\n\
                   - { name: web, url: 'http://h', role_restrictions: { dba: { allow_all: true } } }\n";

#[test]
fn a_pattern_that_matches_no_tool_is_said_wherever_it_stands() {
    let dba = |more: &str| format!("users: [{{ email: a@x, role: dba, {more} }}]\n");
    for (key, global, users) in [
        ("global.blocked_tools[0]", "global: { blocked_tools: [frop_a, get_*] }\n", dba("")),
        ("global.admin_only_tools[0]", "global: { admin_only_tools: [frop_a] }\n", dba("")),
        ("global.confirm[0]", "global: { confirm: [frop_a] }\n", dba("")),
        ("tool_patterns.dangerous[0]", "tool_patterns: { dangerous: [frop_a] }\n", dba("")),
        ("users[0].allowed_mcps.db.tools[1]", "", dba("allowed_mcps: { db: { mode: custom, tools: [get_*, fetch] } }")),
        ("users[0].allowed_mcps.db.deny[0]", "", dba("allowed_mcps: { db: { deny: [frop_*] } }")),
        (
            "users[0].allowed_mcps.*.denied_tools[0]",
            "",
            dba("allowed_mcps: { '*': { denied_tools: [frop_*, fetch] } }"),
        ),
        ("users[0].argument_rules[0].tool", "", dba("argument_rules: [{ tool: frop_*, argument: a, allowed: b }]")),
        (
            "users[0].argument_rules[0].tool",
            "",
            dba("argument_rules: [{ server: web, tool: get_*, argument: a, allowed: b }]"),
        ),
        (
            "roles.dba.denied_tools[0]",
            "",
            format!("roles: {{ dba: {{ denied_tools: [frop_*, get_a] }} }}\n{}", dba("")),
        ),
        (
            "default_user.allowed_mcps.web.tools[0]",
            "",
            "default_user: { role: dba, allowed_mcps: { web: { mode: custom, tools: [frop_*] } } }".to_owned(),
        ),
        (
            "super_admins[0].allowed_mcps.db.deny[0]",
            "",
            "super_admins: [{ email: a@x, allowed_mcps: { db: { deny: [frop_*] } } }]".to_owned(),
        ),
    ] {
        let found = checked(&format!("{global}{TWO}"), &users, KNOWN);
        assert_eq!(found.len(), 1, "{key}: {found:?}");
        assert!(
            found[0].contains(&format!("{key}: ")) && found[0].contains("matches none of the tools"),
            "{key}: {found:?}"
        );
        // Where the tools of a server are not known it may have one.
        assert_eq!(checked(&format!("{global}{TWO}"), &users, "{}"), [""; 0], "{key}");
    }
    let named = checked(&format!("global: {{ blocked_tools: [db.drop_a] }}\n{TWO}"), &dba(""), "{}");
    assert!(named[0].contains("write \"drop_a\""), "{named:?}");
    // What holds for all servers holds for those that come later, too.
    assert_eq!(checked(&format!("global: {{ blocked_tools: [frop_*] }}\n{TWO}"), &dba(""), KNOWN), [""; 0]);
}

#[test]
fn what_something_else_denies_is_not_reached_wherever_it_is_allowed() {
    let db = |rules: &str| format!("mcps:\n- {{ name: db, url: 'http://h', {rules} }}\n");
    let dba = |more: &str| format!("users: [{{ email: a@x, role: dba, {more} }}]\n");
    let custom = dba("allowed_mcps: { db: { mode: custom, tools: [drop_a, get_a] } }");
    let only = "role_restrictions: { dba: { allow_only: [drop_a, get_a] } }";
    let open = "role_restrictions: { dba: { allow_all: true } }";
    for (key, denying, mcps, users) in [
        ("allow_only[0]", "drop_*", db(&format!("blocked_tools: [drop_*], {only}")), dba("")),
        ("allow_only[0]", "drop_*", db(&format!("admin_only_tools: [drop_*], {only}")), dba("")),
        ("allow_only[0]", "drop_*", format!("global: {{ admin_only_tools: [drop_*] }}\n{}", db(only)), dba("")),
        ("allow_only[0]", "drop_*", db(only), format!("roles: {{ dba: {{ denied_tools: [drop_*] }} }}\n{}", dba(""))),
        (
            "allow_only[0]",
            "tool_policy.allow",
            db(&format!("tool_policy: {{ mode: allow_only, allow: [get_*] }}, {only}")),
            dba(""),
        ),
        ("allow_only[0]", "allowed_tools", db(&format!("allowed_tools: [get_*], {only}")), dba("")),
        (
            "tool_policy.allow[0]",
            "drop_*",
            db(&format!("tool_policy: {{ mode: allow_only, allow: [drop_a, get_*], exclude: [drop_*] }}, {open}")),
            dba(""),
        ),
        (
            "mcps[0].allowed_tools[0]",
            "drop_*",
            db(&format!("allowed_tools: [drop_a, get_*], denied_tools: [drop_*], {open}")),
            dba(""),
        ),
        (
            "users[0].allowed_mcps.db.tools[0]",
            "drop_*",
            db("role_restrictions: { dba: { deny: [drop_*] } }"),
            custom.clone(),
        ),
        (
            "users[0].allowed_mcps.db.tools[0]",
            "drop_*",
            format!("global: {{ blocked_tools: [drop_*] }}\n{}", db(open)),
            custom.clone(),
        ),
        (
            "users[0].allowed_mcps.db.tools[0]",
            "drop_*",
            db(open),
            dba("allowed_mcps: { db: { mode: custom, tools: [drop_a, get_a], deny: [drop_*] } }"),
        ),
        (
            "users[0].allowed_mcps.db.tools[0]",
            "drop_*",
            db(open),
            dba("allowed_mcps: { '*': { deny: [drop_*] }, db: { mode: custom, tools: [drop_a] } }"),
        ),
    ] {
        let found = checked(&mcps, &users, KNOWN);
        let said = found.iter().any(|it| it.contains(key) && it.contains("is not reached") && it.contains(denying));
        assert!(said, "{key} {denying}: {found:?} of {mcps} {users}");
        assert_eq!(found.iter().filter(|it| it.contains("is not reached")).count(), 1, "{found:?}");
    }
    // An administrator is not kept from what is for administrators only.
    let admins = db(
        "admin_only_tools: [drop_*], blocked_tools: [get_*], role_restrictions: { super_admin: { allow_only: [get_a] }, admin: { allow_only: [drop_a] } }",
    );
    assert_eq!(checked(&admins, "users: [{ email: a@x, role: admin }]", KNOWN), [""; 0]);
}

#[test]
fn servers_that_are_open_and_roles_that_nobody_has_are_warnings_where_there_are_people() {
    let open = "mcps: [{ name: db, url: 'http://h' }]";
    let meant = "mcps: [{ name: db, url: 'http://h', tool_policy: { mode: allow_all } }]";
    let users = "roles: { ghost: {} }\nusers: [{ email: a@x, role: dba }]";
    let found = checked(open, users, KNOWN);
    assert!(found.iter().any(|it| it.contains("every known role may use all of it")), "{found:?}");
    assert!(found.iter().any(|it| it.contains("roles.ghost: nobody in this file has this role")), "{found:?}");
    assert_eq!(checked(meant, "users: [{ email: a@x, role: dba }]", KNOWN), [""; 0]);
}
