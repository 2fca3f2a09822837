//! One server of the pool: connects once for all who need it, lists, calls.

use std::{
    fmt,
    future::Future,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, PoisonError},
};

use futures::FutureExt;
use serde_json::value::RawValue;
use tokio::{
    sync::{Mutex as AsyncMutex, Semaphore, SemaphorePermit},
    time::{Instant, timeout_at},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{ServerEntry, connection::Connection, listing::Listing};
use crate::{
    catalog::{Health, ServerView},
    mcp::{CallContext, McpError, McpTransportExt, ServerOptions, ToolOutput, client::millis},
};

pub(super) struct Server {
    name: Arc<str>,
    entry: ServerEntry,
    permits: Semaphore,
    /// Held while connecting, so that all who need the connection wait for one attempt.
    connection: AsyncMutex<Option<Arc<Connection>>>,
    /// Held while listing, for the same reason.
    discovering: AsyncMutex<()>,
    listing: Mutex<Listing>,
    tasks: TaskTracker,
    down: CancellationToken,
}

impl Server {
    pub(super) fn new(name: String, entry: ServerEntry, tasks: TaskTracker, down: CancellationToken) -> Self {
        let health = if entry.options.enabled { Health::Unknown } else { Health::Disabled };
        Self {
            name: name.into(),
            permits: Semaphore::new(entry.options.max_concurrent.clamp(1, Semaphore::MAX_PERMITS)),
            connection: AsyncMutex::new(None),
            discovering: AsyncMutex::new(()),
            listing: Mutex::new(Listing::new(health)),
            entry,
            tasks,
            down,
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn options(&self) -> &ServerOptions {
        &self.entry.options
    }

    pub(super) fn view(&self) -> ServerView {
        let listing = self.with_listing(|listing| listing.clone());
        let mut view = ServerView::new(self.name.clone(), self.entry.connector.kind());
        if let Some(name) = &self.options().display_name {
            view.display_name.clone_from(name);
        }
        view.description.clone_from(&self.options().description);
        (view.health, view.latency_ms, view.tools) = (listing.health, listing.latency_ms, listing.tools);
        view
    }

    /// One of the calls that may run at once.
    pub(super) async fn permit(&self, deadline: Instant) -> Result<SemaphorePermit<'_>, McpError> {
        let busy = McpError::Busy { limit: self.options().max_concurrent };
        timeout_at(deadline, self.permits.acquire()).await.ok().and_then(Result::ok).ok_or(busy)
    }

    /// Calls a tool once.
    pub(super) async fn call(
        &self,
        tool: &str,
        arguments: &RawValue,
        cx: &CallContext,
    ) -> Result<ToolOutput, McpError> {
        let connection = self.connected(cx.deadline).await?;
        let call = connection.transport.call_tool(tool, arguments, self.options().max_output_chars, cx);
        guarded(call).await.inspect_err(|error| connection.learn(error))
    }

    /// Brings what is known of the server up to date: always when `again`, else when it is not.
    pub(super) async fn discover(&self, again: bool) {
        if !self.options().enabled {
            return;
        }
        let asked = Instant::now();
        let _one = self.discovering.lock().await;
        // Somebody asked while this waited; a forced question is answered by a later answer only.
        if !again && self.is_known().await {
            return;
        }
        let started = Instant::now();
        let found = self.list(started + self.options().connect_timeout).await;
        let latency_ms = millis(started.elapsed());
        match found {
            Ok(tools) => self.with_listing(|listing| listing.succeeded(tools, latency_ms)),
            Err(error) => {
                let waited_ms = millis(asked.elapsed());
                tracing::warn!(server = %self.name, %error, waited_ms, "a server cannot be used");
                self.with_listing(|listing| listing.failed(&error, latency_ms));
            }
        }
    }

    /// Whether asking would tell nothing new, or not soon enough.
    async fn is_known(&self) -> bool {
        let connection = self.connection.lock().await.clone();
        let alive = connection.is_some_and(|now| now.is_alive(&self.name) && !now.take_tools_changed());
        self.with_listing(|listing| listing.is_pausing(Instant::now()) || (alive && listing.health.is_healthy()))
    }

    async fn list(&self, deadline: Instant) -> Result<Vec<crate::catalog::ToolDef>, McpError> {
        let connection = self.connected(deadline).await?;
        connection.take_tools_changed();
        let mut cx = CallContext::within(self.options().connect_timeout);
        cx.deadline = deadline;
        let list = connection.transport.list_tools(&self.name, &cx);
        guarded(list).await.inspect_err(|error| connection.learn(error))
    }

    /// The connection, made anew if there is none that works.
    async fn connected(&self, deadline: Instant) -> Result<Arc<Connection>, McpError> {
        let started = Instant::now();
        let late = |_| McpError::Timeout { after_ms: millis(started.elapsed()) };
        let mut slot = timeout_at(deadline, self.connection.lock()).await.map_err(late)?;
        if let Some(connection) = &*slot {
            if connection.is_usable(&self.name, deadline).await {
                return Ok(connection.clone());
            }
        }
        if let Some(old) = slot.take() {
            // Those who still use it see it end; nobody waits for that.
            self.tasks.spawn(async move { old.transport.close().await });
        }
        let deadline = deadline.min(started + self.options().connect_timeout);
        let connection = Arc::new(self.connect(deadline).await?);
        *slot = Some(connection.clone());
        Ok(connection)
    }

    async fn connect(&self, deadline: Instant) -> Result<Connection, McpError> {
        let down = || McpError::Closed { message: "omni is shutting down".into(), unsent: true };
        let started = Instant::now();
        let mut cx = CallContext::within(self.options().connect_timeout);
        cx.deadline = deadline;
        let connecting = timeout_at(deadline, guarded(self.entry.connector.connect(&cx)));
        match self.down.run_until_cancelled(connecting).await {
            Some(Ok(transport)) => Ok(Connection::new(transport?)),
            Some(Err(_)) => Err(McpError::Timeout { after_ms: millis(started.elapsed()) }),
            None => Err(down()),
        }
    }

    /// Ends the connection, and any attempt at one.
    pub(super) async fn close(&self) {
        let connection = self.connection.lock().await.take();
        if let Some(connection) = connection {
            connection.transport.close().await;
        }
    }

    fn with_listing<T>(&self, change: impl FnOnce(&mut Listing) -> T) -> T {
        change(&mut self.listing.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A panic in one transport is that server's failure, not the ask's.
async fn guarded<T>(work: impl Future<Output = Result<T, McpError>>) -> Result<T, McpError> {
    let crashed = McpError::Closed { message: "its transport crashed".into(), unsent: false };
    AssertUnwindSafe(work).catch_unwind().await.unwrap_or(Err(crashed))
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("name", &self.name)
            .field("connector", &self.entry.connector)
            .finish_non_exhaustive()
    }
}
