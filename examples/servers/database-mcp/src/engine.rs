//! A database behind one trait: each kind says in its own words what the tools ask.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::{
    Error, Kind,
    args::TopArguments,
    catalog::Catalog,
    config::{DatabaseConfig, Limits},
    finding::Finding,
    history::{Interval, Sample},
    plan::Plan,
    query::Query,
    report::{Metric, QueryStat, Wait},
};

#[cfg(feature = "mysql")]
mod mysql;
#[cfg(feature = "oracle")]
mod oracle;
#[cfg(feature = "postgres")]
mod postgres;
mod session;
mod sqlite;

/// A database. Every call has a connection of its own, which ends with it: nothing that one call set is there
/// in another.
#[async_trait]
pub(crate) trait Engine: Send + Sync + fmt::Debug {
    /// What it calls itself: `PostgreSQL 15.4`.
    async fn version(&self) -> Result<String, Error>;

    /// The plan of a query, and what is known of its tables.
    async fn inspect(&self, query: &Query) -> Result<Inspected, Error>;

    /// How it is. Statistics that it recorded are looked at as far back as `range` goes.
    async fn health(&self, range: Duration) -> Result<Examined, Error>;

    /// The queries that take most.
    async fn top(&self, wanted: &TopArguments) -> Result<Top, Error>;

    /// Its counters now; nothing where it keeps a history of its own.
    async fn sample(&self) -> Result<Option<Sample>, Error>;

    /// What it recorded since a time, of all queries or of one; nothing where it records none.
    async fn recorded(&self, since: DateTime<Utc>, sql_id: Option<&str>) -> Result<Option<Recorded>, Error>;
}

/// A plan, with all that it is judged by.
#[derive(Debug, Clone, Default)]
pub(crate) struct Inspected {
    pub(crate) version: String,
    pub(crate) plan: Plan,
    pub(crate) catalog: Catalog,
    pub(crate) notes: Vec<String>,
}

/// How a database is.
#[derive(Debug, Clone, Default)]
pub(crate) struct Examined {
    pub(crate) version: String,
    pub(crate) metrics: Vec<Metric>,
    pub(crate) waits: Vec<Wait>,
    pub(crate) findings: Vec<Finding>,
    pub(crate) notes: Vec<String>,
}

/// Queries, ranked.
#[derive(Debug, Clone, Default)]
pub(crate) struct Top {
    pub(crate) source: String,
    pub(crate) queries: Vec<QueryStat>,
    pub(crate) notes: Vec<String>,
}

/// What a database recorded itself.
#[derive(Debug, Clone)]
pub(crate) struct Recorded {
    pub(crate) source: String,
    pub(crate) intervals: Vec<Interval>,
}

/// The engine of a configured database; nothing where this build has none for its kind.
pub(crate) fn engine(config: &DatabaseConfig, limits: &Limits) -> Option<Arc<dyn Engine>> {
    match config.kind {
        Kind::Sqlite => Some(Arc::new(sqlite::Sqlite::new(config, limits))),
        #[cfg(feature = "postgres")]
        Kind::Postgres => Some(Arc::new(postgres::Postgres::new(config, limits))),
        #[cfg(feature = "mysql")]
        Kind::Mysql => Some(Arc::new(mysql::Mysql::new(config, limits))),
        #[cfg(feature = "oracle")]
        Kind::Oracle => Some(Arc::new(oracle::Oracle::new(config, limits))),
        #[allow(unreachable_patterns, reason = "with all features there is an engine for each")]
        Kind::Oracle | Kind::Mysql | Kind::Postgres => None,
    }
}
