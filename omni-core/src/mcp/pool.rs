//! The pool: every configured server, its connection, its health and its tools.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::value::RawValue;

use super::{CallContext, Connector, McpError, ServerOptions, ToolOutput};
use crate::catalog::Catalog;

/// One server that the pool is given.
#[derive(Debug, Clone)]
pub struct ServerEntry {
    /// How to connect.
    pub connector: Arc<dyn Connector>,
    /// How to treat it.
    pub options: ServerOptions,
}

/// Keeps many servers usable.
#[derive(Debug)]
pub struct Pool {
    _servers: BTreeMap<String, ServerEntry>,
}

impl Pool {
    /// A pool that has connected to nothing yet.
    #[must_use]
    pub fn new(servers: BTreeMap<String, ServerEntry>) -> Self {
        Self { _servers: servers }
    }

    /// The newest snapshot, without asking anybody.
    #[must_use]
    pub fn catalog(&self) -> Arc<Catalog> {
        Arc::new(Catalog::default())
    }

    /// A snapshot in which every enabled server was asked once: connects what is not connected and
    /// lists what was not listed, all servers at once. A dead or hung one costs its own deadline and
    /// is unhealthy. Calls at the same time share one discovery.
    pub async fn discover(&self) -> Arc<Catalog> {
        self.catalog()
    }

    /// Asks every enabled server again, whatever is known (`servers check`).
    pub async fn refresh(&self) -> Arc<Catalog> {
        self.catalog()
    }

    /// Calls a tool. Takes the server's concurrency permit, keeps `cx.deadline`, repeats only what
    /// may be repeated.
    ///
    /// # Errors
    /// An [`McpError`]. A tool that says it failed is an `Ok` with `is_error`.
    pub async fn call(
        &self,
        server: &str,
        _tool: &str,
        _arguments: &RawValue,
        _cx: &CallContext,
    ) -> Result<ToolOutput, McpError> {
        Err(McpError::UnknownServer { server: server.into() })
    }

    /// How a server is treated; `None` for an unknown one.
    #[must_use]
    pub fn options(&self, server: &str) -> Option<&ServerOptions> {
        self._servers.get(server).map(|entry| &entry.options)
    }

    /// Closes every connection; leaves no process.
    pub async fn shutdown(&self) {}
}
