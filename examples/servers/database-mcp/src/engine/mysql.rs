//! MySQL and MariaDB, in sessions and transactions that only read.

use std::{str::FromStr as _, time::Duration};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret as _, SecretString};
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, MySqlConnection, Row as _,
    mysql::{MySqlConnectOptions, MySqlDatabaseError, MySqlRow},
};
use tokio::time::timeout;

use super::{
    Engine, Examined, Inspected, Recorded, Top,
    session::{Place, Trouble},
};
use crate::{
    Error,
    args::TopArguments,
    config::{DatabaseConfig, Limits},
    history::Sample,
    plan::mysql as plan,
    query::Query,
};

mod health;
mod statements;
mod tables;

/// MySQL's number for a variable that it does not know.
const UNKNOWN_VARIABLE: u16 = 1193;

/// A MySQL or MariaDB database.
#[derive(Debug)]
pub(super) struct Mysql {
    place: Place,
    url: SecretString,
    user: Option<String>,
    password: Option<SecretString>,
    may_run: bool,
}

/// Which of the two, and which version.
#[derive(Debug, Clone)]
struct Version {
    text: String,
    is_mariadb: bool,
}

impl Mysql {
    pub(super) fn new(config: &DatabaseConfig, limits: &Limits) -> Self {
        Self {
            place: Place::new(config, limits),
            url: config.url.clone(),
            user: config.user.clone(),
            password: config.password.clone(),
            may_run: config.explain_analyze,
        }
    }

    /// A connection in a transaction that only reads, and in which no statement takes longer than it may.
    async fn open(&self) -> Result<(MySqlConnection, Version), Trouble> {
        let options = MySqlConnectOptions::from_str(self.url.expose_secret());
        let mut options = options.map_err(|error| Trouble::connecting(&error))?;
        if let Some(user) = &self.user {
            options = options.username(user);
        }
        if let Some(password) = &self.password {
            options = options.password(password.expose_secret());
        }
        // The mode is set below.
        let options = options.pipes_as_concat(false).no_engine_substitution(false).disable_statement_logging();
        let mut connection = match timeout(self.place.connect_timeout(), options.connect()).await {
            Ok(connection) => connection.map_err(|error| Trouble::connecting(&error))?,
            Err(_) => return Err(Trouble::Unreachable("no connection was made in time".into())),
        };
        let version = version(&mut connection).await?;
        self.prepare(&mut connection, &version).await?;
        Ok((connection, version))
    }

    async fn prepare(&self, connection: &mut MySqlConnection, version: &Version) -> Result<(), Trouble> {
        let ms = self.place.statement_ms();
        let limit = if version.is_mariadb {
            format!("SET SESSION max_statement_time = {}", ms as f64 / 1_000.0)
        } else {
            format!("SET SESSION max_execution_time = {ms}")
        };
        let lock = (ms / 1_000).clamp(1, 2);
        let statements = [
            limit,
            // Texts and quotes are read here as they were read when the query was judged.
            "SET SESSION sql_mode = ''".to_owned(),
            format!("SET SESSION lock_wait_timeout = {lock}"),
            "SET SESSION TRANSACTION READ ONLY".to_owned(),
        ];
        for statement in statements {
            sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut *connection).await?;
        }
        if !version.is_mariadb {
            // Newer ones can write plans in another way too.
            let set = sqlx::raw_sql("SET SESSION explain_json_format_version = 1").execute(&mut *connection).await;
            match set {
                Ok(_) => {}
                Err(sqlx::Error::Database(error)) if number(&*error) == Some(UNKNOWN_VARIABLE) => {}
                Err(error) => return Err(error.into()),
            }
        }
        begin(connection).await
    }

    /// The statement that explains a query, and what to note of it.
    async fn explaining(
        &self,
        tx: &mut MySqlConnection,
        query: &Query,
        version: &Version,
    ) -> Result<(&'static str, Option<String>), Trouble> {
        if !self.may_run {
            return Ok(("EXPLAIN FORMAT=JSON", None));
        }
        if !version.is_mariadb {
            let note = "MySQL tells what it measures only as text, so these are its estimates.";
            return Ok(("EXPLAIN FORMAT=JSON", Some(note.into())));
        }
        let stored = stored(tx, query.functions()).await?;
        if stored.is_empty() {
            let note = "The query was run to measure it, within a read-only transaction.";
            return Ok(("ANALYZE FORMAT=JSON", Some(note.into())));
        }
        let note = format!("The query was not run to measure it: {} is a stored function.", stored.join(", "));
        Ok(("EXPLAIN FORMAT=JSON", Some(note)))
    }
}

/// As text, like all that opens a session: MySQL prepares no such statement.
async fn begin(connection: &mut MySqlConnection) -> Result<(), Trouble> {
    sqlx::raw_sql("START TRANSACTION READ ONLY").execute(connection).await?;
    Ok(())
}

/// Ends a call that went well.
async fn finish<T>(mut connection: MySqlConnection, found: T) -> Result<T, Trouble> {
    sqlx::raw_sql("ROLLBACK").execute(&mut connection).await?;
    connection.close().await?;
    Ok(found)
}

fn number(error: &dyn sqlx::error::DatabaseError) -> Option<u16> {
    error.try_downcast_ref::<MySqlDatabaseError>().map(MySqlDatabaseError::number)
}

/// Which of some functions are stored ones, which may do anything.
async fn stored(tx: &mut MySqlConnection, functions: &[String]) -> Result<Vec<String>, sqlx::Error> {
    let mut found = Vec::new();
    for function in functions {
        let sql =
            "SELECT 1 FROM information_schema.ROUTINES WHERE ROUTINE_NAME = ? AND ROUTINE_TYPE = 'FUNCTION' LIMIT 1";
        if sqlx::query(sql).bind(function).fetch_optional(&mut *tx).await?.is_some() {
            found.push(function.clone());
        }
    }
    Ok(found)
}

async fn version(connection: &mut MySqlConnection) -> Result<Version, sqlx::Error> {
    let row = sqlx::query("SELECT VERSION()").fetch_one(connection).await?;
    let version = text(&row, 0)?.unwrap_or_default();
    let is_mariadb = version.contains("MariaDB");
    let number = version.split('-').next().unwrap_or_default();
    let name = if is_mariadb { "MariaDB" } else { "MySQL" };
    Ok(Version { text: format!("{name} {number}"), is_mariadb })
}

/// A text, whatever the server calls its type: system tables have binary ones.
fn text<I: sqlx::ColumnIndex<MySqlRow>>(row: &MySqlRow, column: I) -> Result<Option<String>, sqlx::Error> {
    row.try_get_unchecked(column)
}

/// A number: statements add `0e0` to make it one with a point.
fn float<I: sqlx::ColumnIndex<MySqlRow>>(row: &MySqlRow, column: I) -> Result<Option<f64>, sqlx::Error> {
    row.try_get_unchecked(column)
}

/// What the server says its last plan costs.
async fn last_cost(tx: &mut MySqlConnection) -> Result<Option<f64>, sqlx::Error> {
    let row = sqlx::query("SHOW SESSION STATUS LIKE 'Last_query_cost'").fetch_optional(&mut *tx).await?;
    let value = row.map(|row| text(&row, 1)).transpose()?.flatten();
    Ok(value.and_then(|value| value.parse().ok()))
}

#[async_trait]
impl Engine for Mysql {
    async fn version(&self) -> Result<String, Error> {
        let work = async {
            let (tx, version) = self.open().await?;
            finish(tx, version.text).await
        };
        self.place.call(work).await
    }

    async fn inspect(&self, query: &Query) -> Result<Inspected, Error> {
        let work = async {
            let (mut tx, version) = self.open().await?;
            let catalog = tables::catalog(&mut tx, query.shape()).await?;
            let (explain, note) = self.explaining(&mut tx, query, &version).await?;
            let sql = AssertSqlSafe(format!("{explain} {}", query.sql()));
            let row = sqlx::query(sql).persistent(false).fetch_one(&mut tx).await?;
            let document = text(&row, 0)?.unwrap_or_default();
            // Of a query within another one it says nothing.
            let is_flat = query.shape().selects.len() == 1;
            let cost = if is_flat { last_cost(&mut tx).await? } else { None };
            let document = plan::parse(&document)
                .map_err(|error| Trouble::Refused(format!("its plan cannot be read: {error}")))?;
            let plan = plan::read(&document, cost);
            let notes = note.into_iter().collect();
            finish(tx, Inspected { version: version.text, plan, catalog, notes }).await
        };
        self.place.call(work).await
    }

    async fn health(&self, _: Duration) -> Result<Examined, Error> {
        let work = async {
            let (mut tx, version) = self.open().await?;
            let mut examined = health::examine(&mut tx).await?;
            examined.version = version.text;
            finish(tx, examined).await
        };
        self.place.call(work).await
    }

    async fn top(&self, wanted: &TopArguments) -> Result<Top, Error> {
        let work = async {
            let (mut tx, _) = self.open().await?;
            let top = statements::top(&mut tx, wanted).await?;
            finish(tx, top).await
        };
        self.place.call(work).await
    }

    async fn sample(&self) -> Result<Option<Sample>, Error> {
        let work = async {
            let (mut tx, _) = self.open().await?;
            let sample = statements::sample(&mut tx).await?;
            finish(tx, Some(sample)).await
        };
        self.place.call(work).await
    }

    async fn recorded(&self, _: DateTime<Utc>, _: Option<&str>) -> Result<Option<Recorded>, Error> {
        Ok(None)
    }
}
