//! PostgreSQL, in transactions that only read.

use std::{str::FromStr as _, time::Duration};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection, postgres::PgConnectOptions};
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
    plan::postgres as plan,
    query::Query,
};

mod health;
mod statements;
mod tables;

/// Longest name that PostgreSQL knows, in bytes.
const LONGEST_NAME: usize = 63;

/// A PostgreSQL database.
#[derive(Debug)]
pub(super) struct Postgres {
    place: Place,
    url: SecretString,
    user: Option<String>,
    password: Option<SecretString>,
    may_run: bool,
}

impl Postgres {
    pub(super) fn new(config: &DatabaseConfig, limits: &Limits) -> Self {
        Self {
            place: Place::new(config, limits),
            url: config.url.clone(),
            user: config.user.clone(),
            password: config.password.clone(),
            may_run: config.explain_analyze,
        }
    }

    async fn connect(&self) -> Result<PgConnection, Trouble> {
        let options = PgConnectOptions::from_str(self.url.expose_secret());
        let mut options = options.map_err(|error| Trouble::connecting(&error))?.application_name("database-mcp");
        if let Some(user) = &self.user {
            options = options.username(user);
        }
        if let Some(password) = &self.password {
            options = options.password(password.expose_secret());
        }
        let options = options.disable_statement_logging();
        match timeout(self.place.connect_timeout(), options.connect()).await {
            Ok(connection) => connection.map_err(|error| Trouble::connecting(&error)),
            Err(_) => Err(Trouble::Unreachable("no connection was made in time".into())),
        }
    }

    /// A connection in a transaction that only reads, and in which no statement takes longer than it may.
    async fn open(&self) -> Result<PgConnection, Trouble> {
        let mut connection = self.connect().await?;
        let ms = self.place.statement_ms();
        let settings = [
            "SET default_transaction_read_only = on".to_owned(),
            "BEGIN READ ONLY".to_owned(),
            format!("SET LOCAL statement_timeout = {ms}"),
            format!("SET LOCAL lock_timeout = {}", ms.min(2_000)),
            // Texts are read here as they were read when the query was judged.
            "SET LOCAL standard_conforming_strings = on".to_owned(),
        ];
        for setting in settings {
            sqlx::query(AssertSqlSafe(setting)).persistent(false).execute(&mut connection).await?;
        }
        Ok(connection)
    }

    /// Explains a query; returns what its plan is and what to note.
    async fn explain(&self, tx: &mut PgConnection, query: &Query) -> Result<(Value, Vec<String>), Trouble> {
        let mut notes = Vec::new();
        let count = query.placeholders();
        if count > 0 {
            notes.push("The plan is the general one, for whatever values take the place of $1 and so on.".into());
            return Ok((generic(tx, query, count).await?, notes));
        }
        let mut options = "FORMAT JSON";
        if self.may_run {
            match volatile(tx, query.functions()).await?.as_slice() {
                [] => {
                    options = "ANALYZE, BUFFERS, FORMAT JSON";
                    notes.push("The query was run to measure it, within a read-only transaction.".into());
                }
                functions => notes.push(format!(
                    "The query was not run to measure it: {} may do more than to compute.",
                    functions.join(", ")
                )),
            }
        }
        let sql = AssertSqlSafe(format!("EXPLAIN ({options}) {}", query.sql()));
        Ok((sqlx::query_scalar(sql).persistent(false).fetch_one(tx).await?, notes))
    }
}

/// The plan for any values. What is prepared is forgotten with the connection.
async fn generic(tx: &mut PgConnection, query: &Query, count: usize) -> Result<Value, Trouble> {
    let prepare = AssertSqlSafe(format!("PREPARE omni_plan AS {}", query.sql()));
    sqlx::query("SET LOCAL plan_cache_mode = force_generic_plan").persistent(false).execute(&mut *tx).await?;
    sqlx::query(prepare).persistent(false).execute(&mut *tx).await?;
    let nulls = vec!["NULL"; count].join(", ");
    let explain = AssertSqlSafe(format!("EXPLAIN (FORMAT JSON) EXECUTE omni_plan({nulls})"));
    Ok(sqlx::query_scalar(explain).persistent(false).fetch_one(tx).await?)
}

/// Which of some functions may do more than to compute a value, however the query spells them. They are compared here:
/// what `lower` makes of a name depends on the database.
async fn volatile(tx: &mut PgConnection, functions: &[String]) -> Result<Vec<String>, sqlx::Error> {
    if functions.is_empty() {
        return Ok(Vec::new());
    }
    let sql = "SELECT DISTINCT proname::text FROM pg_proc WHERE provolatile = 'v' ORDER BY 1";
    let mut volatile: Vec<String> = sqlx::query_scalar(sql).fetch_all(tx).await?;
    volatile.retain(|name| functions.iter().any(|function| is_named(function, &name.to_lowercase())));
    Ok(volatile)
}

/// Whether a function of a query may be one of this name, both in lower case. Of long names PostgreSQL reads the
/// beginning.
fn is_named(function: &str, name: &str) -> bool {
    function == name || (function.len() > LONGEST_NAME && function.starts_with(name))
}

/// Ends a call that went well.
async fn finish<T>(mut connection: PgConnection, found: T) -> Result<T, Trouble> {
    sqlx::query("ROLLBACK").execute(&mut connection).await?;
    connection.close().await?;
    Ok(found)
}

async fn version(tx: &mut PgConnection) -> Result<String, sqlx::Error> {
    let version: String = sqlx::query_scalar("SELECT current_setting('server_version')").fetch_one(tx).await?;
    // Distributions say their own name too.
    Ok(format!("PostgreSQL {}", version.split(' ').next().unwrap_or_default()))
}

#[async_trait]
impl Engine for Postgres {
    async fn version(&self) -> Result<String, Error> {
        let work = async {
            let mut tx = self.open().await?;
            let version = version(&mut tx).await?;
            finish(tx, version).await
        };
        self.place.call(work).await
    }

    async fn inspect(&self, query: &Query) -> Result<Inspected, Error> {
        let work = async {
            let mut tx = self.open().await?;
            let version = version(&mut tx).await?;
            let catalog = tables::catalog(&mut tx, query.shape()).await?;
            let (document, notes) = self.explain(&mut tx, query).await?;
            finish(tx, Inspected { version, plan: plan::read(&document), catalog, notes }).await
        };
        self.place.call(work).await
    }

    async fn health(&self, _: Duration) -> Result<Examined, Error> {
        let work = async {
            let mut tx = self.open().await?;
            let examined = health::examine(&mut tx).await?;
            finish(tx, examined).await
        };
        self.place.call(work).await
    }

    async fn top(&self, wanted: &TopArguments) -> Result<Top, Error> {
        let work = async {
            let mut tx = self.open().await?;
            let top = statements::top(&mut tx, wanted).await?;
            finish(tx, top).await
        };
        self.place.call(work).await
    }

    async fn sample(&self) -> Result<Option<Sample>, Error> {
        let work = async {
            let mut tx = self.open().await?;
            let sample = statements::sample(&mut tx).await?;
            finish(tx, Some(sample)).await
        };
        self.place.call(work).await
    }

    async fn recorded(&self, _: DateTime<Utc>, _: Option<&str>) -> Result<Option<Recorded>, Error> {
        Ok(None)
    }
}
