use super::{YamlPolicy, grant, resolve, with_settings};
use crate::{
    Principal,
    cost::NanoUsd,
    limit::{BudgetScope, Spend},
    policy::Quota,
};

fn quota(settings: &str, user: &str, roles: &str) -> (Option<u64>, Option<u64>, Option<u64>) {
    let users = format!("users: [{{ email: u, {user} }}]\nroles: {{ custom: {{}}, {roles} }}");
    let policy = YamlPolicy::from_config(&with_settings("", &users, settings)).unwrap();
    let quota = grant(&policy, "u").quota.clone();
    (quota.per_hour, quota.per_minute, quota.concurrent)
}

#[test]
fn every_role_of_the_readme_has_its_limit() {
    let table = [
        ("admin", None),
        ("super_admin", None),
        ("dba", Some(200)),
        ("senior_dev", Some(150)),
        ("power_user", Some(100)),
        ("junior_dba", Some(50)),
        ("qa_tester", Some(50)),
        ("contractor", Some(20)),
        ("read_only", Some(30)),
        ("developer", Some(30)),
        ("custom", Some(30)),
    ];
    for (role, per_hour) in table {
        assert_eq!(quota("", &format!("role: {role}"), ""), (per_hour, None, None), "{role}");
    }
}

#[test]
fn a_credential_with_a_role_has_the_tighter_of_both_quotas() {
    let settings = "
rate_limiting: { default_requests_per_minute: 9 }
budgets:
  - { per: role, role: contractor, period: day, usd: 1 }
  - { per: tenant, period: month, usd: 100 }
";
    let users = "
users: [{ email: u, role: dba, rate_limit: { concurrent_requests: 2 }, budget: { day: { usd: 5, tokens: 10 } } }]
roles:
  contractor: { rate_limit: { requests_per_minute: 3, concurrent_requests: 4 }, budget: { day: { usd: 2, tokens: 99 } } }
";
    let policy = YamlPolicy::from_config(&with_settings("", users, settings)).unwrap();
    let under = |ceiling: Option<&str>| {
        let mut principal = Principal::email("u");
        principal.ceiling_role = ceiling.map(str::to_owned);
        resolve(&policy, &principal).unwrap().quota.clone()
    };
    let numbers = |quota: &Quota| (quota.per_hour, quota.per_minute, quota.concurrent);
    assert_eq!(numbers(&under(None)), (Some(200), Some(9), Some(2)));
    let cut = under(Some("contractor"));
    assert_eq!(numbers(&cut), (Some(20), Some(3), Some(2)));
    let most: Vec<_> = cut.budgets.iter().map(|budget| (budget.scope, budget.max)).collect();
    let usd = |usd| Spend::Usd(NanoUsd::from_usd(usd));
    let expected =
        [(BudgetScope::User, Spend::Tokens(10)), (BudgetScope::User, usd(2.0)), (BudgetScope::Tenant, usd(100.0))];
    assert_eq!(most, expected, "what contractors may spend together is for contractors");
    assert_eq!(numbers(&under(Some("admin"))), (Some(200), Some(9), Some(2)), "nothing is widened");
}

#[test]
fn a_person_wins_over_the_files_role_and_that_over_the_table_and_the_default() {
    let settings = "rate_limiting: { default_requests_per_hour: 7, default_requests_per_minute: 3 }";
    let roles = "dba: { rate_limit: { requests_per_hour: 9, concurrent_requests: 2 } }";
    assert_eq!(quota(settings, "role: custom", ""), (Some(7), Some(3), None));
    assert_eq!(quota(settings, "role: dba", ""), (Some(200), Some(3), None));
    assert_eq!(quota(settings, "role: dba", roles), (Some(9), Some(3), Some(2)));
    let own = "role: dba, rate_limit: { requests_per_hour: 1, requests_per_minute: 0, concurrent_requests: 5 }";
    assert_eq!(quota(settings, own, roles), (Some(1), None, Some(5)));
}

#[test]
fn nought_is_unlimited_and_limits_can_be_off() {
    assert_eq!(quota("", "role: dba", "dba: { rate_limit: { requests_per_hour: 0 } }"), (None, None, None));
    let settings =
        "rate_limiting: { default_requests_per_minute: 3 }\nperformance: { max_concurrent_requests_per_user: 4 }";
    assert_eq!(quota(settings, "role: dba", ""), (Some(200), Some(3), Some(4)));
    assert_eq!(quota(settings, "role: admin", ""), (None, None, None));
    assert_eq!(quota("rate_limiting: { enabled: false }", "role: dba", ""), (None, None, None));
}

#[test]
fn bursts_are_limited_only_where_a_file_says_so() {
    let burst = |settings: &str, user: &str, roles: &str| {
        let users = format!("users: [{{ email: u, role: dba, {user} }}]\nroles: {{ {roles} }}");
        let policy = YamlPolicy::from_config(&with_settings("", &users, settings)).unwrap();
        grant(&policy, "u").quota.burst
    };
    let settings = "rate_limiting: { default_burst: 10 }";
    assert_eq!(burst("", "", ""), None);
    assert_eq!(burst(settings, "", ""), Some(10));
    assert_eq!(burst(settings, "", "dba: { rate_limit: { burst: 4 } }"), Some(4));
    assert_eq!(burst(settings, "rate_limit: { burst: 0 }", "dba: { rate_limit: { burst: 4 } }"), None);
}
