//! Oracle, by its own client library, which is loaded when it is first used.
//!
//! Whatever asks for statistics does so in a read-only transaction. `EXPLAIN PLAN` itself writes its rows to the
//! session's `PLAN_TABLE`, so it stands in a transaction of its own, which is rolled back; the account should have
//! no right to change anything.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use oracle::Connection;
use secrecy::{ExposeSecret as _, SecretString};

use super::{
    Engine, Examined, Inspected, Recorded, Top,
    session::{Place, Trouble},
};
use crate::{
    Error,
    args::TopArguments,
    config::{DatabaseConfig, Limits},
    history::Sample,
    plan::oracle as plan,
    query::Query,
};

mod health;
mod statements;
mod tables;

/// ORA-01013: the user asked to stop, and DPI's own words for a call that took too long.
const STOPPED: i32 = 1013;
const CALL_TIMEOUT: i32 = 1067;
/// How the rows of this plan are known in the plan table.
const STATEMENT_ID: &str = "database-mcp";

/// An Oracle database.
#[derive(Debug)]
pub(super) struct Oracle {
    place: Place,
    login: Arc<Login>,
}

#[derive(Debug)]
struct Login {
    url: SecretString,
    user: String,
    password: SecretString,
    statement: Duration,
}

impl Oracle {
    pub(super) fn new(config: &DatabaseConfig, limits: &Limits) -> Self {
        let place = Place::new(config, limits);
        let login = Login {
            url: config.url.clone(),
            user: config.user.clone().unwrap_or_default(),
            password: config.password.clone().unwrap_or_default(),
            statement: Duration::from_millis(place.statement_ms()),
        };
        Self { place, login: Arc::new(login) }
    }

    /// Does a call's work on a thread that may wait: the client library knows no other way.
    async fn with<T, F>(&self, is_read_only: bool, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Trouble> + Send + 'static,
    {
        let login = self.login.clone();
        let running = async move {
            let done = tokio::task::spawn_blocking(move || {
                let connection = login.connect()?;
                if is_read_only {
                    connection.execute("SET TRANSACTION READ ONLY", &[])?;
                }
                let found = work(&connection);
                connection.rollback()?;
                found
            });
            done.await.unwrap_or_else(|_| Err(Trouble::Refused("the call ended in the middle".into())))
        };
        self.place.call(running).await
    }
}

impl Login {
    fn connect(&self) -> Result<Connection, Trouble> {
        let password = self.password.expose_secret();
        let connection = Connection::connect(&self.user, password, self.url.expose_secret());
        let connection = connection.map_err(|error| Trouble::Unreachable(error.to_string()))?;
        connection.set_call_timeout(Some(self.statement))?;
        Ok(connection)
    }
}

impl From<oracle::Error> for Trouble {
    fn from(error: oracle::Error) -> Self {
        let is_stopped = error.oci_code() == Some(STOPPED) || error.dpi_code() == Some(CALL_TIMEOUT);
        if is_stopped { Self::Stopped } else { Self::Refused(error.to_string()) }
    }
}

fn version(connection: &Connection) -> Result<String, Trouble> {
    let (version, _) = connection.server_version()?;
    Ok(format!("Oracle {version}"))
}

fn explain(connection: &Connection, sql: &str) -> Result<Vec<plan::Row>, Trouble> {
    connection.execute(&format!("EXPLAIN PLAN SET STATEMENT_ID = '{STATEMENT_ID}' FOR {sql}"), &[])?;
    let rows = connection.query(
        "SELECT depth, operation, options, object_type, object_name, object_alias, cost, cardinality,
           access_predicates, filter_predicates
         FROM plan_table WHERE statement_id = :1 ORDER BY id",
        &[&STATEMENT_ID],
    )?;
    let mut plan = Vec::new();
    for row in rows {
        let row = row?;
        let conditions: [Option<String>; 2] = [row.get(8)?, row.get(9)?];
        let conditions: Vec<String> = conditions.into_iter().flatten().collect();
        plan.push(plan::Row {
            depth: row.get::<_, Option<u32>>(0)?.unwrap_or_default() as usize,
            operation: row.get::<_, Option<String>>(1)?.unwrap_or_default(),
            options: row.get(2)?,
            object_type: row.get(3)?,
            object_name: row.get(4)?,
            object_alias: row.get(5)?,
            cost: row.get(6)?,
            rows: row.get(7)?,
            condition: (!conditions.is_empty()).then(|| conditions.join(" and ")),
        });
    }
    Ok(plan)
}

#[async_trait]
impl Engine for Oracle {
    async fn version(&self) -> Result<String, Error> {
        self.with(true, version).await
    }

    async fn inspect(&self, query: &Query) -> Result<Inspected, Error> {
        let query = query.clone();
        let work = move |connection: &Connection| {
            let rows = explain(connection, query.sql())?;
            let catalog = tables::catalog(connection, query.shape())?;
            Ok(Inspected { version: version(connection)?, plan: plan::read(&rows), catalog, notes: Vec::new() })
        };
        self.with(false, work).await
    }

    async fn health(&self, _: Duration) -> Result<Examined, Error> {
        self.with(true, health::examine).await
    }

    async fn top(&self, wanted: &TopArguments) -> Result<Top, Error> {
        let wanted = wanted.clone();
        self.with(true, move |connection| statements::top(connection, &wanted)).await
    }

    async fn sample(&self) -> Result<Option<Sample>, Error> {
        self.with(true, |connection| statements::sample(connection).map(Some)).await
    }

    async fn recorded(&self, _: DateTime<Utc>, _: Option<&str>) -> Result<Option<Recorded>, Error> {
        Ok(None)
    }
}
