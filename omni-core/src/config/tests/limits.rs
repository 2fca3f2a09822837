use secrecy::ExposeSecret;

use super::{Config, Severity, error, findings, load};

fn config(settings: &str, variables: &[(&str, &str)]) -> Config {
    load(&[("settings.yaml", settings)], variables).unwrap()
}

fn url(config: &Config) -> Option<&str> {
    config.redis_url.as_ref().map(ExposeSecret::expose_secret)
}

#[test]
fn things_are_counted_in_memory_unless_file_or_environment_say_otherwise() {
    assert_eq!(config("", &[]).limiter_kind, "memory");
    assert_eq!(config("limit: { backend: sql }", &[]).limiter_kind, "sql");
    assert_eq!(config("", &[("REDIS_ENABLED", "true")]).limiter_kind, "redis");
    assert_eq!(config("", &[("REDIS_ENABLED", "false"), ("REDIS_HOST", "r")]).limiter_kind, "memory");
    assert_eq!(config("limit: { backend: memory }", &[("REDIS_ENABLED", "true")]).limiter_kind, "memory");
}

#[test]
fn redis_is_where_the_url_or_the_parts_of_one_say() {
    let parts = [("REDIS_HOST", "r"), ("REDIS_PORT", "6380"), ("REDIS_PASSWORD", "p@ss"), ("REDIS_DB", "2")];
    assert_eq!(url(&config("", &parts)), Some("redis://:p%40ss@r:6380/2"));
    assert_eq!(url(&config("", &[("REDIS_HOST", "r"), ("REDIS_SSL", "true")])), Some("rediss://r:6379/0"));
    assert_eq!(url(&config("", &[("REDIS_ENABLED", "true")])), Some("redis://localhost:6379/0"));
    let own = "limit: { backend: redis, redis_url: 'redis://own' }";
    assert_eq!(url(&config(own, &[])), Some("redis://own"));
    assert_eq!(url(&config(own, &[("REDIS_URL", "redis://env")])), Some("redis://env"));
    assert_eq!(url(&config("", &[])), None);
}

#[test]
fn the_password_of_redis_is_shown_to_nobody() {
    let config = config("", &[("REDIS_URL", "redis://:hunter-22@r")]);
    let shown = format!("{} {config:?}", config.show_yaml());
    assert!(shown.contains("redis://") && !shown.contains("hunter-22"), "{shown}");
    assert_eq!(config.redactor().text("the hunter-22 of redis"), config.redactor().text("the hunter-22 of redis"));
    assert!(!config.redactor().text("the hunter-22 of redis").contains("hunter-22"));
}

#[test]
fn a_postgres_that_several_share_and_counts_that_nobody_shares_are_a_warning() {
    let warns = |backend: &str, url: &str| {
        let config = config(&format!("limit: {{ backend: {backend} }}\ndatabase: {{ url: '{url}' }}"), &[]);
        findings(&config, Severity::Warning).iter().any(|finding| finding.contains("limit.backend"))
    };
    assert!(warns("memory", "postgresql://h/d"));
    assert!(!warns("sql", "postgresql://h/d"));
    assert!(!warns("memory", "omni.db"));
}

#[test]
fn hosts_of_a_postgres_without_a_common_key_are_a_warning() {
    let warns = |audit: &str, url: &str| {
        let config = config(&format!("audit: {{ {audit} }}\ndatabase: {{ url: '{url}' }}"), &[]);
        findings(&config, Severity::Warning).iter().any(|finding| finding.contains("audit.key"))
    };
    assert!(warns("", "postgresql://h/d"));
    assert!(!warns(&format!("key: '{}'", "07".repeat(32)), "postgresql://h/d"));
    assert!(!warns("enabled: false", "postgresql://h/d"));
    assert!(!warns("", "omni.db"));
}

#[test]
fn budgets_that_are_forgotten_with_the_process_are_a_warning() {
    let warns = |settings: &str, users: &str| {
        let config = load(&[("settings.yaml", settings), ("users.yaml", users)], &[]).unwrap();
        findings(&config, Severity::Warning).iter().any(|finding| finding.contains("a process of its own"))
    };
    let general = "budgets: [{ per: user, period: day, usd: 1 }]";
    assert!(warns(general, ""));
    assert!(!warns(&format!("limit: {{ backend: sql }}\n{general}"), ""));
    assert!(!warns("", "users: [{ email: a@b.c, role: dba }]"));
    for users in [
        "users: [{ email: a@b.c, role: dba, budget: { day: { usd: 1 } } }]",
        "super_admins: [{ email: a@b.c, budget: { month: { tokens: 1 } } }]",
        "roles: { dba: { budget: { day: { usd: 1 } } } }",
        "default_user: { role: qa, allowed_mcps: [], budget: { day: { usd: 1 } } }",
    ] {
        assert!(warns("", users), "{users}");
    }
}

#[test]
fn rates_that_are_off_are_off_for_servers_too() {
    let mcps = "mcps: [{ name: a, url: 'http://h', rate_limit: { requests_per_minute: 9, burst: 2 } }]";
    let config = |settings: &str| load(&[("settings.yaml", settings), ("mcps.yaml", mcps)], &[]).unwrap();
    let on = config("");
    let options = &on.servers[0].options;
    assert_eq!((options.calls_per_minute, options.calls_burst, on.limits_enabled), (Some(9), Some(2), true));
    let off = config("rate_limiting: { enabled: false }");
    let options = &off.servers[0].options;
    assert_eq!((options.calls_per_minute, options.calls_burst, off.limits_enabled), (None, None, false));
}

#[test]
fn a_budget_that_cannot_be_is_said_with_its_line() {
    let of = |budget: &str| error(&[("settings.yaml", &format!("budgets:\n  - {{ {budget} }}"))]);
    assert!(
        of("per: user, period: day").contains("settings.yaml:2: budgets[0]: a budget needs `usd`, `tokens` or both")
    );
    assert!(of("per: user, period: day, usd: -1").contains("budgets[0].usd: what may be spent cannot be negative"));
    assert!(of("per: tenant, role: dba, period: day, usd: 1").contains("a budget of the tenant is for everybody"));
    assert!(of("per: user, period: week, usd: 1").contains("It may be: day, month"));
    assert!(of("per: user, periode: day, usd: 1").contains("did you mean \"period\"?"));
    let users = "users: [{ email: a@b.c, budget: { day: { usd: -2 } } }]";
    assert!(error(&[("users.yaml", users)]).contains("users[0].budget.day.usd: what may be spent cannot be negative"));
    let config = config("budgets: [{ per: user, role: dbaa, period: day, usd: 1 }]", &[]);
    let found = findings(&config, Severity::Warning);
    assert!(
        found.iter().any(|finding| finding.contains("there is no role \"dbaa\"; did you mean \"dba\"?")),
        "{found:?}"
    );
}

#[test]
fn counts_are_kept_by_a_reload_unless_they_are_made_elsewhere() {
    let before = config("limit: { backend: redis, redis_url: 'redis://a' }", &[]);
    assert!(
        before.counts_like(&config("limit: { backend: redis, redis_url: 'redis://a' }\nagent: { max_turns: 3 }", &[]))
    );
    assert!(!before.counts_like(&config("limit: { backend: redis, redis_url: 'redis://b' }", &[])));
    assert!(!before.counts_like(&config("limit: { backend: memory }", &[])));
    let lenient = "limit: { backend: redis, redis_url: 'redis://a', on_error: allow }";
    assert!(before.counts_like(&config(lenient, &[])));
}

#[test]
fn rates_that_a_terminal_does_not_share_are_told_where_a_database_could_hold_them() {
    let told = |settings: &str| {
        let found = findings(&config(settings, &[]), Severity::Info);
        found.iter().any(|finding| finding.contains("limit.backend") && finding.contains("counts by itself"))
    };
    assert!(told("") && told("limit: { backend: memory }"));
    assert!(!told("limit: { backend: sql }"));
    assert!(!told("rate_limiting: { enabled: false }"));
    assert!(!told("audit: { enabled: false }"), "there is no database at hand");
    assert_eq!(findings(&config("", &[]), Severity::Warning), [""; 0]);
}
