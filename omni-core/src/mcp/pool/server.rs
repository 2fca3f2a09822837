//! One server of the pool: connects once for all who need it, lists, calls.

use std::{
    fmt,
    future::Future,
    panic::AssertUnwindSafe,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
};

use futures::FutureExt;
use serde_json::value::RawValue;
use tokio::{
    sync::{Mutex as AsyncMutex, Semaphore, SemaphorePermit},
    time::{Instant, timeout, timeout_at},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    ServerEntry,
    connection::Connection,
    listing::{Listing, Source},
};
use crate::{
    catalog::{Health, ServerView, ToolDef},
    mcp::{CallContext, McpError, McpTransport, McpTransportExt, ServerOptions, ToolOutput, client::millis},
};

pub(super) struct Server {
    name: Arc<str>,
    entry: ServerEntry,
    permits: Semaphore,
    /// Held while connecting, so that all who need the connection wait for one attempt.
    slot: AsyncMutex<Slot>,
    /// Held while listing, for the same reason.
    discovering: AsyncMutex<()>,
    /// How many discoveries began.
    begun: AtomicU64,
    listing: Mutex<Listing>,
    tasks: TaskTracker,
    down: CancellationToken,
}

/// The place of the connection, and how many there were.
#[derive(Default)]
struct Slot {
    connection: Option<Arc<Connection>>,
    made: u64,
}

impl Server {
    pub(super) fn new(name: String, entry: ServerEntry, tasks: TaskTracker, down: CancellationToken) -> Self {
        let health = if entry.options.enabled { Health::Unknown } else { Health::Disabled };
        Self {
            name: name.into(),
            permits: Semaphore::new(entry.options.max_concurrent.clamp(1, Semaphore::MAX_PERMITS)),
            slot: AsyncMutex::default(),
            discovering: AsyncMutex::new(()),
            begun: 0.into(),
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
        (view.checked_at, view.last_seen, view.failures) = (listing.checked_at, listing.last_seen, listing.failures);
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
        let started = Instant::now();
        let connection = self.connected(cx.deadline).await?;
        if Instant::now() >= cx.deadline {
            // A request that is handed over goes out, even when nobody waits for its answer.
            return Err(McpError::Timeout { after_ms: millis(started.elapsed()) });
        }
        let _in_use = connection.in_use();
        let call = connection.transport.call_tool(tool, arguments, self.options().max_output_chars, cx);
        guarded(call).await.inspect_err(|error| connection.learn(error))
    }

    /// How many discoveries began until now.
    pub(super) fn begun(&self) -> u64 {
        self.begun.load(SeqCst)
    }

    /// Why the server cannot be used, as far as is known.
    pub(super) fn fault(&self) -> Option<McpError> {
        self.with_listing(|listing| listing.fault.clone())
    }

    /// Brings what is known of the server up to date. With `newer_than` it is asked in any case,
    /// unless a discovery after that one began meanwhile.
    pub(super) async fn discover(&self, newer_than: Option<u64>) {
        let asked = Instant::now();
        let _one = self.discovering.lock().await;
        let answered = newer_than.map_or_else(|| self.is_known(), |number| self.begun() > number);
        if answered {
            return;
        }
        self.begun.fetch_add(1, SeqCst);
        let started = Instant::now();
        let found = self.list(started + self.options().connect_timeout, newer_than.is_some()).await;
        let latency_ms = millis(started.elapsed());
        match found {
            Ok(None) => {}
            Ok(Some((tools, source))) => self.with_listing(|listing| listing.succeeded(tools, source, latency_ms)),
            Err(error) => {
                let waited_ms = millis(asked.elapsed());
                tracing::warn!(server = %self.name, %error, waited_ms, "a server cannot be used");
                self.with_listing(|listing| listing.failed(error, latency_ms));
            }
        }
    }

    /// How many answers there were, failures included.
    pub(super) fn answers(&self) -> u64 {
        self.with_listing(|listing| listing.answers)
    }

    /// Whether asking would tell nothing new, or not soon enough. While somebody connects there is
    /// something new to come.
    pub(super) fn is_known(&self) -> bool {
        if self.with_listing(|listing| listing.is_pausing(Instant::now())) {
            return true;
        }
        let Ok(slot) = self.slot.try_lock() else { return false };
        let Some(connection) = &slot.connection else { return false };
        connection.is_alive(&self.name) && self.with_listing(|listing| listing.is_of(connection.source()))
    }

    /// The tools and what they come from; `None` when that is known already.
    async fn list(&self, deadline: Instant, again: bool) -> Result<Option<(Vec<ToolDef>, Source)>, McpError> {
        let started = Instant::now();
        let connection = self.connected(deadline).await?;
        let source = connection.source();
        if !again && self.with_listing(|listing| listing.is_of(source)) {
            return Ok(None);
        }
        let _in_use = connection.in_use();
        let mut cx = CallContext::within(self.options().connect_timeout);
        cx.deadline = deadline;
        let late = |_| Err(McpError::Timeout { after_ms: millis(started.elapsed()) });
        let list = timeout_at(deadline, guarded(connection.transport.list_tools(&self.name, &cx)));
        let tools = list.await.unwrap_or_else(late).inspect_err(|error| connection.learn(error))?;
        Ok(Some((tools, source)))
    }

    /// The connection, made anew if there is none that works.
    async fn connected(&self, deadline: Instant) -> Result<Arc<Connection>, McpError> {
        let started = Instant::now();
        let late = |_| McpError::Timeout { after_ms: millis(started.elapsed()) };
        let mut slot = timeout_at(deadline, self.slot.lock()).await.map_err(late)?;
        if let Some(connection) = &slot.connection
            && connection.is_usable(&self.name, deadline).await?
        {
            return Ok(connection.clone());
        }
        if let Some(old) = slot.connection.take() {
            self.retire(old);
        }
        let deadline = deadline.min(started + self.options().connect_timeout);
        let transport = self.connect(deadline).await?;
        slot.made += 1;
        let connection = Arc::new(Connection::new(transport, slot.made));
        slot.connection = Some(connection.clone());
        Ok(connection)
    }

    /// Ends a connection that is in doubt: no request gets it any more, and those that run on it
    /// may well come to their end.
    fn retire(&self, old: Arc<Connection>) {
        let (grace, down) = (self.options().call_timeout, self.down.clone());
        self.tasks.spawn(async move {
            let _ = down.run_until_cancelled(timeout(grace, old.idle())).await;
            old.transport.close().await;
        });
    }

    async fn connect(&self, deadline: Instant) -> Result<Arc<dyn McpTransport>, McpError> {
        let down = || McpError::Closed { message: "omni is shutting down".into(), unsent: true };
        let started = Instant::now();
        let mut cx = CallContext::within(self.options().connect_timeout);
        cx.deadline = deadline;
        let connecting = timeout_at(deadline, guarded(self.entry.connector.connect(&cx)));
        match self.down.run_until_cancelled(connecting).await {
            Some(Ok(transport)) => transport,
            Some(Err(_)) => Err(McpError::Timeout { after_ms: millis(started.elapsed()) }),
            None => Err(down()),
        }
    }

    /// Ends the connection, and any attempt at one.
    pub(super) async fn close(&self) {
        let connection = self.slot.lock().await.connection.take();
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
