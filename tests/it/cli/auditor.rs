//! What others asked, for those who may see it.

use omni_tests::loopback::Loopback;
use serde_json::Value;

use super::with_server;

const USERS: &str = "\
roles:
  auditor: { permissions: { can_view_audit_logs: true } }
users:
  - { email: ada@company.com, role: power_user }
  - { email: eve@company.com, role: auditor }
";

#[test]
fn who_looks_as_an_auditor_sees_what_the_auditor_sees() {
    let server = Loopback::start();
    let home = with_server(&server, "").with_file("users.yaml", USERS);
    for who in ["ada@company.com", "eve@company.com"] {
        home.run(&["tools", "call", "db.get_health", "--as", who]).exits(0);
    }
    let seen = |args: &[&str]| {
        let page = home.run(&[&["audit", "list", "--json", "--as"], args].concat()).exits(0).json();
        let mut people: Vec<Value> =
            page["entries"].as_array().unwrap().iter().map(|it| it["user_email"].clone()).collect();
        people.sort_by_key(ToString::to_string);
        people
    };
    assert_eq!(seen(&["eve@company.com"]), ["ada@company.com", "eve@company.com"]);
    assert_eq!(seen(&["eve@company.com", "--user", "Ada@company.com"]), ["ada@company.com"]);
    assert_eq!(seen(&["ada@company.com"]), ["ada@company.com"]);
    home.run(&["audit", "list", "--as", "ada@company.com", "--user", "eve@company.com"]).exits(5);
}
