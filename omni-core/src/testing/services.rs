//! The real services that some suites run against: `OMNI_TEST_POSTGRES_URL` and `OMNI_TEST_REDIS_URL`.
//!
//! `tests/run.sh` sets both. Where one is missing its tests say so and pass, but never under CI.

#![allow(clippy::expect_used, clippy::print_stderr, clippy::disallowed_methods, reason = "this is test code")]

use uuid::Uuid;

/// A URL into an empty PostgreSQL schema of its own, or `None` where there is no PostgreSQL.
///
/// # Panics
/// When the schema cannot be made, and under CI when there is no PostgreSQL.
#[cfg(feature = "postgres")]
pub async fn postgres_schema() -> Option<String> {
    let url = service("OMNI_TEST_POSTGRES_URL")?;
    let schema = format!("omni_test_{}", Uuid::now_v7().simple());
    let db = crate::db::Db::connect(&url).await.expect("OMNI_TEST_POSTGRES_URL answers");
    db.execute(&format!("CREATE SCHEMA {schema}"), &[]).await.expect("a schema can be made");
    db.close().await;
    let separator = if url.contains('?') { '&' } else { '?' };
    Some(format!("{url}{separator}options[search_path]={schema}"))
}

/// A Redis URL and a prefix of keys that nobody else uses, or `None` where there is no Redis.
///
/// # Panics
/// Under CI when there is no Redis.
#[must_use]
pub fn redis() -> Option<(String, String)> {
    Some((service("OMNI_TEST_REDIS_URL")?, format!("test-{}", Uuid::now_v7().simple())))
}

fn service(variable: &str) -> Option<String> {
    let url = std::env::var(variable).ok().filter(|url| !url.is_empty());
    if url.is_none() {
        assert!(std::env::var_os("CI").is_none(), "{variable} is not set; `tests/run.sh` sets it");
        eprintln!("skipped: {variable} is not set; `tests/run.sh` sets it");
    }
    url
}
