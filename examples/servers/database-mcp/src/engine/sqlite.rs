//! SQLite, opened read-only. It keeps no statistics of queries; where a table `omni_query_stats` does, it is read.

use std::{
    collections::BTreeMap,
    str::FromStr as _,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use secrecy::ExposeSecret as _;
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, Row as _, SqliteConnection, sqlite::SqliteConnectOptions,
};

use super::{
    Engine, Examined, Inspected, Recorded, Top,
    session::{Place, Trouble},
};
use crate::{
    Error,
    args::TopArguments,
    config::{DatabaseConfig, Limits},
    history::Sample,
    plan::sqlite as plan,
    query::Query,
};

mod health;
mod stats;
mod tables;

/// After how many steps of its machine SQLite looks whether its time is over.
const STEPS: i32 = 1_000;

/// A SQLite file.
#[derive(Debug)]
pub(super) struct Sqlite {
    place: Place,
    url: secrecy::SecretString,
    attach: BTreeMap<String, String>,
}

impl Sqlite {
    pub(super) fn new(config: &DatabaseConfig, limits: &Limits) -> Self {
        let (url, attach) = (config.url.clone(), config.attach.clone());
        Self { place: Place::new(config, limits), url, attach }
    }

    async fn connect(&self) -> Result<SqliteConnection, Trouble> {
        let options = SqliteConnectOptions::from_str(self.url.expose_secret());
        let options = options.map_err(|error| Trouble::connecting(&error))?;
        let options = options
            .read_only(true)
            .create_if_missing(false)
            .busy_timeout(self.place.connect_timeout())
            .pragma("query_only", "ON")
            .pragma("trusted_schema", "OFF")
            .disable_statement_logging();
        let mut connection = options.connect().await.map_err(|error| Trouble::connecting(&error))?;
        for (schema, path) in &self.attach {
            // What is attached to a connection that only reads is only read.
            let sql = format!("ATTACH DATABASE ? AS \"{}\"", schema.replace('"', "\"\""));
            let attached = sqlx::query(AssertSqlSafe(sql)).bind(path).execute(&mut connection).await;
            attached.map_err(|error| Trouble::connecting(&error))?;
        }
        let ends = Instant::now() + Duration::from_millis(self.place.statement_ms());
        connection.lock_handle().await?.set_progress_handler(STEPS, move || Instant::now() < ends);
        Ok(connection)
    }
}

/// Ends a call that went well.
async fn finish<T>(connection: SqliteConnection, found: T) -> Result<T, Trouble> {
    connection.close().await?;
    Ok(found)
}

async fn version(connection: &mut SqliteConnection) -> Result<String, Trouble> {
    let version: String = sqlx::query_scalar("SELECT sqlite_version()").fetch_one(connection).await?;
    Ok(format!("SQLite {version}"))
}

#[async_trait]
impl Engine for Sqlite {
    async fn version(&self) -> Result<String, Error> {
        let work = async {
            let mut connection = self.connect().await?;
            let version = version(&mut connection).await?;
            // A file that is no database is only found out when it is read.
            sqlx::query("SELECT count(*) FROM sqlite_schema").fetch_one(&mut connection).await?;
            finish(connection, version).await
        };
        self.place.call(work).await
    }

    async fn inspect(&self, query: &Query) -> Result<Inspected, Error> {
        let work = async {
            let mut connection = self.connect().await?;
            let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {}", query.sql()));
            let rows = sqlx::query(explain).persistent(false).fetch_all(&mut connection).await?;
            let row = |row: &sqlx::sqlite::SqliteRow| {
                Ok(plan::Row { id: row.try_get(0)?, parent: row.try_get(1)?, detail: row.try_get(3)? })
            };
            let rows: Vec<plan::Row> = rows.iter().map(row).collect::<Result<_, sqlx::Error>>()?;
            let catalog = tables::catalog(&mut connection, query.shape()).await?;
            let version = version(&mut connection).await?;
            finish(connection, Inspected { version, plan: plan::read(&rows), catalog, notes: Vec::new() }).await
        };
        self.place.call(work).await
    }

    async fn health(&self, range: Duration) -> Result<Examined, Error> {
        let work = async {
            let mut connection = self.connect().await?;
            let examined = health::examine(&mut connection, range).await?;
            finish(connection, examined).await
        };
        self.place.call(work).await
    }

    async fn top(&self, wanted: &TopArguments) -> Result<Top, Error> {
        let work = async {
            let mut connection = self.connect().await?;
            let top = stats::top(&mut connection, self.place.name(), wanted).await?;
            finish(connection, top).await
        };
        self.place.call(work).await
    }

    async fn sample(&self) -> Result<Option<Sample>, Error> {
        Ok(None)
    }

    async fn recorded(&self, since: DateTime<Utc>, sql_id: Option<&str>) -> Result<Option<Recorded>, Error> {
        let work = async {
            let mut connection = self.connect().await?;
            let recorded = stats::recorded(&mut connection, self.place.name(), since, sql_id).await?;
            finish(connection, Some(recorded)).await
        };
        self.place.call(work).await
    }
}
