//! Limits through the program: every `omni ask` is a process of its own, so only what they share counts.

use omni_tests::program::{Program, Ran};
use uuid::Uuid;

use crate::cli::os_user;

const ALLOWED: usize = 3;

/// A home whose person may ask so often in an hour.
fn home(settings: &str) -> Program {
    let (person, os_user) = (Uuid::new_v4(), os_user());
    let users = format!(
        "users:\n  - {{ email: {person}@company.com, role: dba, os_user: {os_user}, allowed_mcps: [], rate_limit: {{ requests_per_hour: \
         {ALLOWED} }} }}\n"
    );
    Program::new(env!("CARGO_BIN_EXE_omni-under-test"))
        .with_file("users.yaml", &users)
        .with_file("settings.yaml", settings)
}

/// More asks at the same time than are allowed, each a process.
fn ask_at_once(home: &Program, env: &[(&str, &str)]) -> Vec<Ran> {
    let start = |_| home.command(&["ask", "What can you do?"]).envs(env.iter().copied()).spawn().unwrap();
    let running: Vec<_> = (0..ALLOWED + 3).map(start).collect();
    running.into_iter().map(|child| child.wait_with_output().unwrap().into()).collect()
}

async fn refusals(home: &Program) -> Vec<(String, Option<String>)> {
    let database = home.home().join("xdg/data/omni/omni.db");
    let pool = sqlx::SqlitePool::connect(database.to_str().unwrap()).await.unwrap();
    let query = "SELECT status, error_message FROM audit_logs WHERE status <> 'success' AND status <> 'warning'";
    sqlx::query_as(query).fetch_all(&pool).await.unwrap()
}

async fn exactly_as_many_as_allowed(home: &Program, env: &[(&str, &str)]) {
    let ran = ask_at_once(home, env);
    let refused: Vec<&Ran> = ran.iter().filter(|ran| ran.code != 0).collect();
    assert_eq!(ran.len() - refused.len(), ALLOWED, "{ran:#?}");
    let words = "🚫 Rate limit exceeded. You've made 3/3 requests in the last hour. Please try again in 60 minutes.";
    assert!(refused.iter().all(|ran| ran.code == 6 && ran.err.contains(words)), "{refused:#?}");
    let rows = refusals(home).await;
    assert_eq!(rows.len(), refused.len(), "one row a refusal: {rows:?}");
    assert!(
        rows.iter().all(|(status, error)| status == "rate_limited" && error.as_deref() == Some(&words[5..])),
        "{rows:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_that_share_a_database_share_its_limits() {
    exactly_as_many_as_allowed(&home("limit: { backend: sql }"), &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_that_share_a_redis_share_its_limits() {
    let Some((url, _)) = omni_core::testing::redis() else { return };
    exactly_as_many_as_allowed(&home(""), &[("REDIS_ENABLED", "true"), ("REDIS_URL", &url)]).await;
}

#[test]
fn a_redis_that_is_away_denies_unless_the_operator_prefers_to_allow() {
    let away = [("REDIS_HOST", "127.0.0.1"), ("REDIS_PORT", "1")];
    let ask = ["ask", "What can you do?"];
    let denied = home("limit: { backend: redis }").run_with(&away, &ask);
    assert!(denied.code != 0 && denied.err.contains("the rate limiter cannot be reached"), "{denied:#?}");
    home("limit: { backend: redis, on_error: allow }").run_with(&away, &ask).exits(0);
}

#[test]
fn a_redis_without_an_address_and_a_backend_that_nobody_knows_are_said() {
    let ask = ["ask", "What can you do?"];
    let nowhere = home("limit: { backend: redis }").run(&ask);
    assert!(nowhere.code != 0 && nowhere.err.contains("limit.redis_url"), "{nowhere:#?}");
    let unknown = home("limit: { backend: reddis }").run(&ask);
    let kinds = "unknown rate limiter \"reddis\"; this build has: memory, redis, sql";
    assert!(unknown.code != 0 && unknown.err.contains(kinds), "{unknown:#?}");
}
