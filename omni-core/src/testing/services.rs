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
    drop_old(&db).await;
    db.close().await;
    let separator = if url.contains('?') { '&' } else { '?' };
    Some(format!("{url}{separator}options[search_path]={schema}"))
}

/// Drops some of the schemas that tests left an hour ago or earlier. Their names grow with time.
#[cfg(feature = "postgres")]
async fn drop_old(db: &crate::db::Db) {
    let hour_ago = chrono::Utc::now() - chrono::TimeDelta::hours(1);
    let oldest = format!("omni_test_{:012x}", hour_ago.timestamp_millis());
    let sql = "SELECT CAST(nspname AS TEXT) AS name FROM pg_namespace WHERE nspname LIKE 'omni!_test!_%' ESCAPE '!' AND nspname < ?
        ORDER BY nspname LIMIT 3";
    for row in db.fetch_all(sql, &[oldest.into()]).await.unwrap_or_default() {
        let name = row.text("name").unwrap_or_default();
        // Another test may drop the same one.
        let _ = db.execute(&format!("DROP SCHEMA IF EXISTS \"{name}\" CASCADE"), &[]).await;
    }
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
