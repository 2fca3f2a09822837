//! The MCP server: a call comes in, a document and its text go out.

use std::{borrow::Cow, sync::Arc, time::Duration};

use chrono::Utc;
use futures::future::join_all;
use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, Implementation, JsonObject,
        ListToolsResult, PaginatedRequestParams, ServerCapabilities, ServerConfig,
    },
    service::RequestContext,
};
use serde::{Serialize, de::DeserializeOwned};
use tokio_util::sync::CancellationToken;

use crate::{
    Config, Error, Kind,
    config::{ConfigError, DatabaseConfig, Limits},
    engine::{Engine, engine},
    history::History,
    report::Readable,
    shrink,
    tools::{self, Called},
};

mod query_tools;
mod watch_tools;

const INSTRUCTIONS: &str = "Performance of databases, read-only. list_available_databases tells the names that other \
    tools take as db_name, and which query tools are for which database. get_database_health, get_top_queries and \
    get_performance_trends tell how a database is; analyze_…_query and compare_…_query_plans explain SELECT \
    statements. Statements that they suggest are for a person to check and run.";

/// The server. Clones share everything; one is made for each connection.
#[derive(Debug, Clone)]
pub struct DatabaseServer {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    entries: Vec<Entry>,
    limits: Limits,
    interval: Option<Duration>,
}

/// A configured database.
#[derive(Debug)]
struct Entry {
    config: DatabaseConfig,
    /// Nothing where this build cannot talk to such a database.
    engine: Option<Arc<dyn Engine>>,
    history: History,
}

impl DatabaseServer {
    /// A server of the databases of a configuration. Nothing is connected to yet.
    ///
    /// # Errors
    /// When the configuration makes no sense.
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        config.check()?;
        let seconds = config.history.interval_seconds;
        let entry = |database: DatabaseConfig| Entry {
            engine: engine(&database, &config.limits),
            history: History::new(config.history.keep),
            config: database,
        };
        let entries = config.databases.into_iter().map(entry).collect();
        let interval = (seconds > 0).then(|| Duration::from_secs(seconds));
        Ok(Self { inner: Arc::new(Inner { entries, limits: config.limits, interval }) })
    }

    /// Takes samples of all databases as often as the configuration says, until `stop`. Databases that keep no
    /// history of their own have trends by these.
    pub async fn watch(&self, stop: CancellationToken) {
        let Some(interval) = self.inner.interval else { return };
        let mut ticks = tokio::time::interval(interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            let samples = join_all(self.inner.entries.iter().map(Entry::remember));
            tokio::select! {
                () = stop.cancelled() => return,
                _ = samples => {}
            }
        }
    }

    async fn call(&self, name: &str, arguments: JsonObject) -> Result<CallToolResult, Error> {
        let called = Called::by_name(name);
        match called {
            Some(Called::List) => {
                self.parsed::<crate::args::NoArguments>(name, arguments)?;
                self.answer(&self.list().await)
            }
            Some(Called::Health) => self.answer(&self.health(self.parsed(name, arguments)?).await?),
            Some(Called::Top) => self.answer(&self.top(self.parsed(name, arguments)?).await?),
            Some(Called::Trends) => self.answer(&self.trends(self.parsed(name, arguments)?).await?),
            Some(Called::Analyze(kind)) => self.answer(&self.analyze(kind, self.parsed(name, arguments)?).await?),
            Some(Called::Compare(kind)) => self.answer(&self.compare(kind, self.parsed(name, arguments)?).await?),
            None => Err(Error::Arguments { tool: name.to_owned(), reason: "there is no such tool".into() }),
        }
    }

    fn parsed<T: DeserializeOwned>(&self, tool: &str, arguments: JsonObject) -> Result<T, Error> {
        serde_json::from_value(arguments.into())
            .map_err(|error| Error::Arguments { tool: tool.to_owned(), reason: error.to_string() })
    }

    fn answer<T: Readable + Serialize>(&self, report: &T) -> Result<CallToolResult, Error> {
        let max = self.inner.limits.max_output_bytes;
        let mut text = report.text();
        let document = serde_json::to_value(report);
        let mut document = document.map_err(|error| Error::Unsupported { what: error.to_string() })?;
        if shrink::document(&mut document, max) {
            text.push_str("\n(The structured form of this answer was cut to its limit.)\n");
        }
        let mut result = CallToolResult::structured(document);
        result.content = vec![ContentBlock::text(shrink::text(text, max))];
        Ok(result)
    }

    /// A database by its very name: whoever restricts who may ask about which compares names too.
    fn entry(&self, name: &str) -> Result<&Entry, Error> {
        let found = self.inner.entries.iter().find(|entry| entry.config.name == name);
        found.ok_or_else(|| Error::UnknownDatabase { name: crate::text::cut(name, 64), known: self.known(name) })
    }

    fn known(&self, name: &str) -> String {
        let names: Vec<&str> = self.inner.entries.iter().map(|entry| entry.config.name.as_str()).collect();
        if names.is_empty() {
            return "none is configured".into();
        }
        let near =
            names.iter().find(|known| strsim::jaro_winkler(&known.to_lowercase(), &name.trim().to_lowercase()) > 0.85);
        let guess = near.map(|near| format!(" Did you mean {near}?")).unwrap_or_default();
        let shown: Vec<&str> = names.iter().take(20).copied().collect();
        format!("the databases are {}.{guess}", crate::text::listed(&shown))
    }

    /// A database for a tool of one kind.
    fn entry_for(&self, name: &str, kind: Kind, tool: fn(Kind) -> String) -> Result<&Entry, Error> {
        let entry = self.entry(name)?;
        if entry.config.answers_to(kind) {
            return Ok(entry);
        }
        let (name, own) = (entry.config.name.clone(), entry.config.kind);
        Err(Error::OtherKind { name, kind: own, use_instead: tool(own) })
    }
}

impl Entry {
    fn engine(&self) -> Result<&dyn Engine, Error> {
        self.engine.as_deref().ok_or_else(|| Error::not_built(&self.config.name, self.config.kind))
    }

    /// Takes a sample, if the database gives one. Nobody waits for it to succeed.
    async fn remember(&self) {
        let Some(engine) = &self.engine else { return };
        match engine.sample().await {
            Ok(Some(sample)) => self.history.add(Utc::now(), sample),
            Ok(None) => {}
            Err(error) => tracing::debug!(database = %self.config.name, %error, "no sample was taken"),
        }
    }
}

impl ServerHandler for DatabaseServer {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(Implementation::new("database-mcp", env!("CARGO_PKG_VERSION")))
            .with_instructions(INSTRUCTIONS)
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(tools::all()))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        if Called::by_name(&request.name).is_none() {
            let message: Cow<'static, str> = format!("there is no tool {:?}", request.name).into();
            return Err(ErrorData::invalid_params(message, None));
        }
        let result = self.call(&request.name, request.arguments.unwrap_or_default()).await;
        // What went wrong is the answer, so that whoever called can do better.
        Ok(result.unwrap_or_else(|error| CallToolResult::error(vec![ContentBlock::text(error.to_string())])).into())
    }
}
