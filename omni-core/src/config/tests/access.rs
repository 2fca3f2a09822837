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
