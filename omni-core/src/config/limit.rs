//! Where things are counted, and what may be spent.

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::{
    Lines, Severity,
    load::{Findings, Source},
    nearest::nearest,
    spec::{BudgetPer, BudgetSpec, PersonBudgetSpec, UsersSpec},
};
use crate::policy::yaml::known_roles_of;

/// The limiter's kind: the file's, else `redis` where the environment switches one on, else `memory`.
pub(super) fn kind(source: &Source<'_>) -> String {
    let own = source.settings.limit.backend.as_ref().map(|kind| kind.trim().to_lowercase());
    let default = || if is_on(source, "REDIS_ENABLED") { "redis" } else { "memory" }.to_owned();
    own.filter(|kind| !kind.is_empty()).unwrap_or_else(default)
}

/// `REDIS_URL`, else the parts of one, else the file's.
pub(super) fn redis_url(source: &Source<'_>) -> Option<SecretString> {
    let own = || source.settings.limit.redis_url.clone().filter(|url| !url.expose_secret().is_empty());
    let url = set(source, "REDIS_URL").map(str::to_owned).or_else(|| from_parts(source));
    url.map(Into::into).or_else(own)
}

/// A URL of `REDIS_HOST`, `_PORT`, `_PASSWORD`, `_DB` and `_SSL`.
fn from_parts(source: &Source<'_>) -> Option<String> {
    let host = set(source, "REDIS_HOST").or_else(|| is_on(source, "REDIS_ENABLED").then_some("localhost"))?;
    let scheme = if is_on(source, "REDIS_SSL") { "rediss" } else { "redis" };
    let mut url = Url::parse(&format!("{scheme}://{host}")).ok()?;
    url.set_port(Some(set(source, "REDIS_PORT").and_then(|port| port.parse().ok()).unwrap_or(6379))).ok()?;
    url.set_password(set(source, "REDIS_PASSWORD")).ok()?;
    url.set_path(set(source, "REDIS_DB").unwrap_or("0"));
    Some(url.into())
}

fn set<'a>(source: &Source<'a>, name: &str) -> Option<&'a str> {
    source.env.get(name).map(String::as_str).filter(|value| !value.is_empty())
}

fn is_on(source: &Source<'_>, name: &str) -> bool {
    set(source, name).is_some_and(|value| matches!(value.to_lowercase().as_str(), "1" | "true" | "yes" | "on"))
}

/// What cannot be right about limits, or is probably not what was meant.
pub(super) fn check(
    source: &Source<'_>,
    users: Option<(&UsersSpec, &Lines)>,
    ledger_kind: &str,
    findings: &mut Findings,
) {
    let lines = source.settings_lines;
    if ledger_kind == "postgres" && kind(source) == "memory" {
        let message = "every process counts by itself; where several share the ledger's PostgreSQL, limits hold for \
                       all of them with `sql` or `redis`";
        findings.all.push(lines.finding(Severity::Warning, "limit.backend", message));
    }
    let has_rates = source.dir.is_some() && source.settings.rate_limiting.enabled != Some(false);
    if ledger_kind == "sqlite" && kind(source) == "memory" && has_rates {
        let message = "every service and every `omni` command counts by itself; rates hold for all of them together \
                       with `sql`, in the ledger's database";
        findings.all.push(lines.finding(Severity::Info, "limit.backend", message));
    }
    if kind(source) == "memory"
        && (!source.settings.budgets.is_empty() || users.is_some_and(|(users, _)| budgeted(users)))
    {
        let message = "what was spent is forgotten when the process ends, and every `omni ask` is a process of its \
                       own; budgets hold with `sql` or `redis`";
        findings.all.push(lines.finding(Severity::Warning, "limit.backend", message));
    }
    for (at, budget) in source.settings.budgets.iter().enumerate() {
        check_budget(source, users.map(|(users, _)| users), budget, &format!("budgets[{at}]"), findings);
    }
    let Some((users, lines)) = users else { return };
    let mut check = |path: String, budget: &PersonBudgetSpec| {
        check_usd(budget.day.usd, lines, &format!("{path}.day.usd"), findings);
        check_usd(budget.month.usd, lines, &format!("{path}.month.usd"), findings);
    };
    for (list, people) in [("super_admins", &users.super_admins), ("users", &users.users)] {
        people.iter().enumerate().for_each(|(at, person)| check(format!("{list}[{at}].budget"), &person.budget));
    }
    users.roles.iter().for_each(|(name, role)| check(format!("roles.{name}.budget"), &role.budget));
    if let Some(person) = &users.default_user {
        check("default_user.budget".into(), &person.budget);
    }
}

/// Whether people or roles have budgets of their own.
fn budgeted(users: &UsersSpec) -> bool {
    let people = users.super_admins.iter().chain(&users.users).map(|person| &person.budget);
    let roles = users.roles.values().map(|role| &role.budget);
    let anybody = users.default_user.iter().map(|person| &person.budget);
    people.chain(roles).chain(anybody).any(|budget| !budget.is_empty())
}

fn check_budget(
    source: &Source<'_>,
    users: Option<&UsersSpec>,
    budget: &BudgetSpec,
    path: &str,
    findings: &mut Findings,
) {
    let lines = source.settings_lines;
    check_usd(budget.usd, lines, &format!("{path}.usd"), findings);
    if budget.usd.is_none() && budget.tokens.is_none() {
        findings.all.push(lines.finding(Severity::Error, path, "a budget needs `usd`, `tokens` or both"));
    }
    let Some(role) = &budget.role else { return };
    let at = format!("{path}.role");
    if budget.per == BudgetPer::Tenant {
        let message = "a budget of the tenant is for everybody; `per: role` is for all of a role together";
        findings.all.push(lines.finding(Severity::Error, &at, message));
    }
    let known = known_roles_of(users, source.mcps);
    if !known.contains(role) {
        let near = nearest(role, known.iter().map(String::as_str));
        let hint = near.map(|name| format!("; did you mean {name:?}?")).unwrap_or_default();
        findings.all.push(lines.finding(Severity::Warning, &at, format!("there is no role {role:?}{hint}")));
    }
}

fn check_usd(usd: Option<f64>, lines: &Lines, path: &str, findings: &mut Findings) {
    if usd.is_some_and(|usd| !usd.is_finite() || usd < 0.0) {
        findings.all.push(lines.finding(Severity::Error, path, "what may be spent cannot be negative"));
    }
}
