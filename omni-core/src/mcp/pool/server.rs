//! One server of the pool: connects once for all who need it, lists, calls.

use std::{
    fmt,
    future::Future,
    panic::AssertUnwindSafe,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
};

use arc_swap::ArcSwapOption;
use futures::FutureExt;
use serde_json::value::RawValue;
use tokio::{
    sync::{Mutex as AsyncMutex, Notify, Semaphore, SemaphorePermit},
    time::{Instant, timeout, timeout_at},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    ServerEntry,
    connection::Connection,
    listing::{Listing, Source},
    shared::Shared,
    tender::tend,
};
use crate::{
    catalog::{Health, ServerView},
    mcp::{
        CallContext, Listed, McpError, McpReply, McpRequest, McpTransport, McpTransportExt, ServerOptions, ToolOutput,
        client::millis, rounds,
    },
};

pub(super) struct Server {
    name: Arc<str>,
    entry: ServerEntry,
    permits: Semaphore,
    me: Weak<Self>,
    connection: ArcSwapOption<Connection>,
    /// Held while connecting, so that all who need the connection wait for one attempt: how many
    /// connections there were.
    connecting: AsyncMutex<u64>,
    /// Held while listing, for the same reason.
    discovering: AsyncMutex<()>,
    /// How many discoveries began.
    begun: AtomicU64,
    listing: Mutex<Listing>,
    /// Those who publish what it answers.
    told: Mutex<Vec<Weak<Shared>>>,
    /// Whether somebody tends it, who is woken by every new connection.
    is_tended: AtomicBool,
    woken: Arc<Notify>,
    tasks: TaskTracker,
    down: CancellationToken,
    /// Ends with this value.
    gone: CancellationToken,
}

impl Server {
    pub(super) fn new(name: String, entry: ServerEntry, tasks: TaskTracker, down: CancellationToken) -> Arc<Self> {
        let health = if entry.options.enabled { Health::Unknown } else { Health::Disabled };
        Arc::new_cyclic(|me| Self {
            me: me.clone(),
            name: name.into(),
            permits: Semaphore::new(entry.options.max_concurrent.clamp(1, Semaphore::MAX_PERMITS)),
            connection: ArcSwapOption::empty(),
            connecting: AsyncMutex::default(),
            discovering: AsyncMutex::new(()),
            begun: 0.into(),
            listing: Mutex::new(Listing::new(health)),
            told: Mutex::default(),
            is_tended: false.into(),
            woken: Arc::default(),
            entry,
            tasks,
            gone: down.child_token(),
            down,
        })
    }

    /// From now on `pool` publishes what is answered.
    pub(super) fn tell(&self, pool: Weak<Shared>) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.retain(|pool| pool.strong_count() > 0);
        told.push(pool);
    }

    /// Has what is known published by every pool that this server is in.
    fn publish(&self) {
        let told: Vec<_> = self.told.lock().unwrap_or_else(PoisonError::into_inner).clone();
        told.iter().filter_map(Weak::upgrade).for_each(|pool| pool.publish());
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
        (view.prompts, view.resources, view.templates) = (listing.prompts, listing.resources, listing.templates);
        view.capabilities = listing.capabilities;
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
        let max_chars = self.options().max_output_chars;
        self.on_connection(cx, |transport| async move { transport.call_tool(tool, arguments, max_chars, cx).await })
            .await
    }

    /// Makes a request once.
    pub(super) async fn request(&self, request: McpRequest, cx: &CallContext) -> Result<McpReply, McpError> {
        self.on_connection(cx, |transport| async move { rounds::request(&*transport, request, cx).await }).await
    }

    /// Does something once on a connection that works.
    async fn on_connection<T, F>(
        &self,
        cx: &CallContext,
        work: impl FnOnce(Arc<dyn McpTransport>) -> F,
    ) -> Result<T, McpError>
    where
        F: Future<Output = Result<T, McpError>>,
    {
        let started = Instant::now();
        let connection = self.connected(cx.deadline).await?;
        if Instant::now() >= cx.deadline {
            // A request that is handed over goes out, even when nobody waits for its answer.
            return Err(McpError::Timeout { after_ms: millis(started.elapsed()) });
        }
        let _in_use = connection.in_use();
        guarded(work(connection.transport.clone())).await.inspect_err(|error| connection.learn(error))
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
            Ok(Some((listed, source))) => {
                self.with_listing(|listing| listing.succeeded(listed, source, latency_ms));
                self.publish();
            }
            Err(error) => {
                let waited_ms = millis(asked.elapsed());
                tracing::warn!(server = %self.name, %error, waited_ms, "a server cannot be used");
                self.with_listing(|listing| listing.failed(error, latency_ms));
                self.publish();
            }
        }
    }

    /// The connection, whether it still works or not.
    pub(super) fn present(&self) -> Option<Arc<Connection>> {
        self.connection.load_full()
    }

    /// Whether the connection told of something that was not listed yet.
    pub(super) fn has_news(&self) -> bool {
        self.with_listing(|listing| listing.is_listed()) && !self.is_known()
    }

    /// Lists what there is to list, because the server said so.
    pub(super) async fn look_again(&self) {
        self.discover(None).await;
    }

    /// Whether asking would tell nothing new, or not soon enough. While somebody connects there is
    /// something new to come.
    pub(super) fn is_known(&self) -> bool {
        if self.with_listing(|listing| listing.is_pausing(Instant::now())) {
            return true;
        }
        let Ok(_nobody_connects) = self.connecting.try_lock() else { return false };
        let Some(connection) = self.present() else { return false };
        connection.is_alive(&self.name) && self.with_listing(|listing| listing.is_of(connection.source()))
    }

    /// The lists and what they come from; `None` when that is known already.
    async fn list(&self, deadline: Instant, again: bool) -> Result<Option<(Listed, Source)>, McpError> {
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
        let list = timeout_at(deadline, guarded(connection.transport.list_everything(&self.name, &cx)));
        let listed = list.await.unwrap_or_else(late).inspect_err(|error| connection.learn(error))?;
        Ok(Some((listed, source)))
    }

    /// The connection, made anew if there is none that works.
    async fn connected(&self, deadline: Instant) -> Result<Arc<Connection>, McpError> {
        let started = Instant::now();
        let late = |_| McpError::Timeout { after_ms: millis(started.elapsed()) };
        let mut made = timeout_at(deadline, self.connecting.lock()).await.map_err(late)?;
        if let Some(connection) = self.present()
            && connection.is_usable(&self.name, deadline).await?
        {
            return Ok(connection);
        }
        if let Some(old) = self.connection.swap(None) {
            self.retire(old);
        }
        let deadline = deadline.min(started + self.options().connect_timeout);
        let transport = self.connect(deadline).await?;
        *made += 1;
        let connection = Arc::new(Connection::new(transport, *made));
        self.connection.store(Some(connection.clone()));
        self.tend();
        Ok(connection)
    }

    /// Has somebody listen to the connection.
    fn tend(&self) {
        self.woken.notify_one();
        if !self.is_tended.swap(true, SeqCst) {
            let tending = tend(self.me.clone(), self.woken.clone());
            self.tasks.spawn(self.gone.clone().run_until_cancelled_owned(tending));
        }
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
        let _nobody_connects = self.connecting.lock().await;
        if let Some(connection) = self.connection.swap(None) {
            connection.transport.close().await;
        }
    }

    fn with_listing<T>(&self, change: impl FnOnce(&mut Listing) -> T) -> T {
        change(&mut self.listing.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.gone.cancel();
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
