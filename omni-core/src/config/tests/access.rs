//! What the access rules say that is probably not meant.

use super::{Severity, error, findings, load};

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
    let open = of_server("enabled: true", Severity::Info);
    assert!(open.iter().any(|finding| finding.contains("every known role may use all of it")), "{open:?}");
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
