//! What the ledger tells: costs, errors, users, tools, latency, feedback. A real MCP server over omni's own history.
//!
//! `AnalyticsServer` is an rmcp service in this process ([`Analytics::connector`]); `builtin: analytics` in `mcps.yaml`
//! makes it one of the servers. All tools but `get_my_usage` are for administrators, which the server checks itself.
//!
//! The way of a call: `server` knows who asks, `period` what stretch of time is meant, `tools` what to read of it,
//! `sums` reads what `keep` has summed up and the rows that are not summed up yet, `report` is what goes out. Sums are
//! data in `rollup`; they hold whole days and months, so that a question costs the same however long the history is.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures::FutureExt as _;
use rmcp::model::JsonObject;
use serde_json::Value;

use crate::{
    Principal, Registry,
    db::{Db, DbError},
    mcp::{Connector, in_process::InProcess},
    people::Tables,
    policy::LivePolicy,
    registry::{BuildError, BuiltinContext},
};

mod data;
mod definitions;
mod error;
pub mod history;
mod keep;
pub mod overview;
mod period;
mod report;
mod rollup;
mod server;
mod span;
mod sums;
mod tools;
mod waits;

#[cfg(test)]
mod tests;

use data::{Data, View};
use definitions::Args;
pub use error::AnalyticsError;
use server::AnalyticsServer;

/// The history of a database. Clones share its connections.
#[derive(Debug, Clone)]
pub struct Analytics {
    data: Data,
}

/// What a tool found.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Found {
    /// As a document.
    pub document: Value,
    /// The same for people: a sentence and tables.
    pub text: String,
}

impl Analytics {
    /// Over a database whose tables are there.
    #[must_use]
    pub fn new(db: Db) -> Self {
        Self { data: Data::Open(db) }
    }

    /// Over the database of these tables, which is opened when it is needed.
    #[must_use]
    pub fn of(tables: Tables) -> Self {
        Self { data: Data::Tables(tables) }
    }

    /// What a tool finds of the caller's tenant; `get_my_usage` of their own rows. Whether they may ask, the server knows.
    ///
    /// # Errors
    /// An [`AnalyticsError`].
    pub async fn ask(&self, caller: &Principal, tool: &str, arguments: JsonObject) -> Result<Found, AnalyticsError> {
        self.ask_at(caller, tool, arguments, Utc::now()).await
    }

    /// The same at another present.
    ///
    /// # Errors
    /// As [`Analytics::ask`].
    pub async fn ask_at(
        &self,
        caller: &Principal,
        tool: &str,
        arguments: JsonObject,
        now: DateTime<Utc>,
    ) -> Result<Found, AnalyticsError> {
        let args = Args::of(tool, arguments)?;
        let view = View::open(&self.data, &caller.tenant).await?;
        let report = tools::call(&view, tool, &args, &caller.subject, now).await?;
        Ok(Found { document: report.document(), text: report.text() })
    }

    /// Sums up everything that there is, so that the next question has nothing to wait for.
    ///
    /// # Errors
    /// A [`DbError`].
    pub async fn catch_up(&self) -> Result<(), DbError> {
        keep::catch_up(self.data.db().await?).await
    }

    /// The server in this process, which asks the policy of now who is an administrator.
    #[must_use]
    pub fn connector(self, policy: LivePolicy) -> InProcess {
        let server = AnalyticsServer::new(self, policy);
        InProcess::new(move || server.clone()).with_caller()
    }
}

/// The names of all tools.
#[must_use]
pub fn tool_names() -> Vec<String> {
    definitions::all().into_iter().map(|tool| tool.name.into_owned()).collect()
}

/// Adds the built-in server `analytics`.
pub fn register(registry: &mut Registry) {
    registry.builtins.register("analytics", |context| async move { build(context) }.boxed());
}

fn build(context: BuiltinContext) -> Result<Arc<dyn Connector>, BuildError> {
    let tables = Tables::of_config(&context.config).ok_or_else(|| {
        BuildError::invalid("it reads the ledger's database, and the ledger is in none; set database.url")
    })?;
    Ok(Arc::new(Analytics::of(tables).connector(context.policy)))
}
