//! A database of a test's own, on a server that is there: `OMNI_TEST_POSTGRES_URL` or `OMNI_TEST_MYSQL_URL`.
#![allow(clippy::print_stderr, clippy::disallowed_methods, reason = "a test that is skipped says so")]

use sqlx::{AssertSqlSafe, Connection as _, MySqlConnection, PgConnection};
use tokio::runtime::Runtime;
use uuid::Uuid;

/// It goes away with this value.
#[derive(Debug)]
pub struct OwnDatabase {
    server: String,
    name: String,
}

impl OwnDatabase {
    /// An empty PostgreSQL database; `None` where there is no server, which never passes under CI.
    pub async fn postgres() -> Option<Self> {
        Self::create("OMNI_TEST_POSTGRES_URL").await
    }

    /// An empty MySQL or MariaDB database, likewise.
    pub async fn mysql() -> Option<Self> {
        Self::create("OMNI_TEST_MYSQL_URL").await
    }

    async fn create(variable: &str) -> Option<Self> {
        let Some(server) = std::env::var(variable).ok().filter(|url| !url.is_empty()) else {
            assert!(std::env::var_os("CI").is_none(), "{variable} is not set; `tests/run.sh` sets it");
            eprintln!("skipped: {variable} is not set; `tests/run.sh` sets it");
            return None;
        };
        Some(Self::on(server).await)
    }

    /// One on a server whose URL names a database of its own.
    ///
    /// # Panics
    /// When it cannot be made.
    pub async fn on(server: String) -> Self {
        let name = format!("omni_test_{}", Uuid::now_v7().simple());
        run(&server, &format!("CREATE DATABASE {name}")).await;
        Self { server, name }
    }

    /// Where it is.
    pub fn url(&self) -> String {
        let (place, _) = self.server.rsplit_once('/').unwrap();
        format!("{place}/{}", self.name)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs statements in it.
    ///
    /// # Panics
    /// When one fails.
    pub async fn run(&self, sql: &str) {
        run(&self.url(), sql).await;
    }
}

async fn run(url: &str, sql: &str) {
    let sql = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
    if url.starts_with("mysql") {
        let mut connection = MySqlConnection::connect(url).await.unwrap();
        sql.execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    } else {
        let mut connection = PgConnection::connect(url).await.unwrap();
        sql.execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }
}

impl Drop for OwnDatabase {
    fn drop(&mut self) {
        let (server, name) = (self.server.clone(), self.name.clone());
        let force = if server.starts_with("mysql") { "" } else { " WITH (FORCE)" };
        // Whoever drops it may be within a runtime.
        let dropping = std::thread::spawn(move || {
            Runtime::new().unwrap().block_on(run(&server, &format!("DROP DATABASE {name}{force}")));
        });
        let _ = dropping.join();
    }
}
