use super::{YamlPolicy, grant, with_settings};
use crate::{
    cost::NanoUsd,
    limit::{Budget, BudgetScope, Period, Spend},
};

const USERS: &str = "
default_user: { role: qa, allowed_mcps: [], budget: { month: { tokens: 7 } } }
super_admins: [{ email: root, budget: { month: { usd: 3 } } }]
users:
  - { email: own, role: dba, budget: { day: { usd: 9.5 } } }
  - { email: dba, role: dba }
  - { email: qa, role: qa }
roles:
  dba: { budget: { day: { usd: 5, tokens: 1000 } } }
";

fn budgets(settings: &str, email: &str) -> Vec<Budget> {
    let policy = YamlPolicy::from_config(&with_settings("", USERS, settings)).unwrap();
    grant(&policy, email).quota.budgets.clone()
}

fn usd(scope: BudgetScope, period: Period, usd: f64) -> Budget {
    Budget { scope, period, max: Spend::Usd(NanoUsd::from_usd(usd)) }
}

fn tokens(scope: BudgetScope, period: Period, tokens: u64) -> Budget {
    Budget { scope, period, max: Spend::Tokens(tokens) }
}

#[test]
fn nobody_has_a_budget_unless_a_file_says_so() {
    assert_eq!(budgets("", "qa"), []);
}

#[test]
fn whoever_is_listed_anywhere_or_nowhere_can_have_a_budget() {
    assert_eq!(budgets("", "nobody"), [tokens(BudgetScope::User, Period::Month, 7)]);
    assert_eq!(budgets("", "root"), [usd(BudgetScope::User, Period::Month, 3.0)]);
}

#[test]
fn what_is_set_for_a_person_wins_over_the_role_and_that_over_the_settings() {
    let settings = "
budgets:
  - { per: user, period: day, usd: 1, tokens: 10 }
  - { per: user, role: qa, period: day, usd: 2 }
";
    let (day, user) = (Period::Day, BudgetScope::User);
    assert_eq!(budgets(settings, "own"), [tokens(user, day, 1_000), usd(user, day, 9.5)]);
    assert_eq!(budgets(settings, "dba"), [tokens(user, day, 1_000), usd(user, day, 5.0)]);
    assert_eq!(budgets(settings, "qa"), [tokens(user, day, 10), usd(user, day, 2.0)]);
}

#[test]
fn roles_and_the_tenant_have_budgets_beside_those_of_people() {
    let settings = "
budgets:
  - { per: role, role: qa, period: month, usd: 50 }
  - { per: role, period: month, usd: 70 }
  - { per: tenant, period: month, usd: 1000 }
  - { per: tenant, period: month, usd: 900 }
";
    let month = Period::Month;
    assert_eq!(
        budgets(settings, "qa"),
        [usd(BudgetScope::Role, month, 50.0), usd(BudgetScope::Tenant, month, 900.0)],
        "of two for the same the tighter holds"
    );
    assert_eq!(
        budgets(settings, "dba")[2..],
        [usd(BudgetScope::Role, month, 70.0), usd(BudgetScope::Tenant, month, 900.0)]
    );
}

#[test]
fn rates_that_are_off_leave_budgets_on() {
    let settings = "rate_limiting: { enabled: false }\nbudgets: [{ per: user, period: day, usd: 0 }]";
    assert_eq!(budgets(settings, "qa"), [usd(BudgetScope::User, Period::Day, 0.0)]);
}
