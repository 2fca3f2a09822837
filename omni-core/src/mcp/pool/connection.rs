//! One connection of the pool: what is known of it beside the transport.

use std::{
    fmt,
    ops::Deref,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use futures::{FutureExt, StreamExt, stream::BoxStream};
use tokio::time::Instant;
use tokio_util::task::{TaskTracker, task_tracker::TaskTrackerToken};

use super::listing::Source;
use crate::mcp::{CallContext, McpError, McpEvent, McpRequest, McpTransport, ext::METHOD_NOT_FOUND};

/// How long a server that let a request time out may take to show that it lives.
const PING_WITHIN: Duration = Duration::from_secs(3);

/// Most events that are looked at in one go.
const MANY_EVENTS: usize = 1_000;

pub(super) struct Connection {
    pub(super) transport: Arc<dyn McpTransport>,
    /// Which one of its server's connections it is.
    number: u64,
    made_at: Instant,
    events: Mutex<BoxStream<'static, McpEvent>>,
    /// Why it is lost.
    lost: OnceLock<String>,
    is_blamed: AtomicBool,
    is_doubted: AtomicBool,
    is_closing: AtomicBool,
    lists_changed: AtomicU64,
    requests: TaskTracker,
    times: Mutex<Times>,
}

/// When something last happened on a connection.
#[derive(Debug, Clone, Copy)]
struct Times {
    heard: Instant,
    used: Instant,
}

/// What came of asking a server whether it lives.
pub(super) enum Pulse {
    Lives,
    /// Whoever asked had less time than a server may take: that tells nothing of the connection.
    Hurried(McpError),
    Dead(McpError),
}

/// A connection as its tender sees it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Link {
    pub(super) is_alive: bool,
    pub(super) is_doubted: bool,
    pub(super) source: Source,
    pub(super) made_at: Instant,
    pub(super) heard_at: Instant,
    /// Since when nobody uses it; `None` while somebody does.
    pub(super) idle_since: Option<Instant>,
}

impl Connection {
    pub(super) fn new(transport: Arc<dyn McpTransport>, number: u64) -> Self {
        let events = Mutex::new(transport.events());
        let now = Instant::now();
        Self {
            transport,
            number,
            made_at: now,
            events,
            lost: OnceLock::new(),
            is_blamed: false.into(),
            is_doubted: false.into(),
            is_closing: false.into(),
            lists_changed: 0.into(),
            requests: TaskTracker::new(),
            times: Mutex::new(Times { heard: now, used: now }),
        }
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// What lists that are asked for now come from.
    pub(super) fn source(&self) -> Source {
        (self.number, self.lists_changed.load(SeqCst))
    }

    /// Keeps it open for as long as a request runs; `None` when it is being closed.
    pub(super) fn enter(self: &Arc<Self>) -> Option<InUse> {
        // The token comes first: whoever closes it looks for tokens after having said so.
        let in_use = InUse { _token: self.requests.token(), connection: self.clone() };
        self.with_times(|times| times.used = Instant::now());
        (!self.is_closing.load(SeqCst)).then_some(in_use)
    }

    /// Whether it may be closed, because nobody uses it: nobody gets in any more then.
    pub(super) fn begin_close(&self) -> bool {
        self.is_closing.store(true, SeqCst);
        let is_idle = self.requests.is_empty();
        self.is_closing.store(is_idle, SeqCst);
        is_idle
    }

    /// Waits until no request runs any more.
    pub(super) async fn idle(&self) {
        self.requests.close();
        self.requests.wait().await;
    }

    /// Something was heard from the server.
    pub(super) fn heard(&self) {
        self.with_times(|times| times.heard = Instant::now());
    }

    /// Whether the connection still works is found out before its next use: one failed request does
    /// not end those that run well.
    pub(super) fn doubt(&self) {
        self.is_doubted.store(true, SeqCst);
    }

    pub(super) fn is_doubted(&self) -> bool {
        self.is_doubted.load(SeqCst)
    }

    /// Whether it can be used, by what is known without asking.
    pub(super) fn is_alive(&self, server: &str) -> bool {
        self.hear(server);
        self.lost.get().is_none()
    }

    /// It is of no use any more.
    pub(super) fn lose(&self, server: &str, reason: String) {
        if self.lost.set(reason).is_ok() {
            let reason = self.lost.get().map_or("", String::as_str);
            tracing::info!(server, reason, "a connection is lost");
        }
    }

    /// A request failed that counts as a failure: that the connection is lost then is no other one.
    pub(super) fn is_at_fault(&self) {
        self.is_blamed.store(true, SeqCst);
    }

    /// Why it was lost, told once: that all its requests fail is one failure.
    pub(super) fn blame(&self) -> Option<McpError> {
        let reason = self.lost.get()?;
        (!self.is_blamed.swap(true, SeqCst)).then(|| McpError::Closed { message: reason.clone(), unsent: true })
    }

    /// Asks the server whether it lives.
    pub(super) async fn ping(&self, deadline: Instant) -> Pulse {
        let mut cx = CallContext::within(PING_WITHIN);
        let is_hurried = deadline < cx.deadline;
        cx.deadline = cx.deadline.min(deadline);
        match self.transport.request(McpRequest::new("ping", None), &cx).await {
            // That there is no such method is an answer too; other errors may be those of a server
            // that has forgotten the session.
            Ok(_) | Err(McpError::Rpc { code: METHOD_NOT_FOUND, .. }) => {
                self.is_doubted.store(false, SeqCst);
                self.heard();
                Pulse::Lives
            }
            Err(error @ McpError::Timeout { .. }) if is_hurried => Pulse::Hurried(error),
            Err(error) => Pulse::Dead(error),
        }
    }

    pub(super) fn link(&self, server: &str) -> Link {
        let times = self.with_times(|times| *times);
        Link {
            is_alive: self.is_alive(server),
            is_doubted: self.is_doubted(),
            source: self.source(),
            made_at: self.made_at,
            heard_at: times.heard,
            idle_since: self.requests.is_empty().then_some(times.used),
        }
    }

    /// Takes in what the server said unasked.
    fn hear(&self, server: &str) {
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        for _ in 0..MANY_EVENTS {
            match events.next().now_or_never() {
                Some(Some(McpEvent::ToolsChanged | McpEvent::PromptsChanged | McpEvent::ResourcesChanged)) => {
                    self.lists_changed.fetch_add(1, SeqCst);
                }
                Some(Some(McpEvent::ResourceUpdated { uri })) => tracing::debug!(server, uri, "a resource was updated"),
                Some(Some(McpEvent::Log { level, message })) => tracing::debug!(server, level, "{message}"),
                Some(Some(McpEvent::Closed { reason })) => self.lose(server, reason),
                Some(None) | None => return,
            }
        }
    }

    fn with_times<T>(&self, change: impl FnOnce(&mut Times) -> T) -> T {
        change(&mut self.times.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("transport", &self.transport)
            .field("lost", &self.lost)
            .finish_non_exhaustive()
    }
}

/// A connection that stays open for as long as this lives.
pub(super) struct InUse {
    connection: Arc<Connection>,
    _token: TaskTrackerToken,
}

impl Deref for InUse {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.connection
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        self.connection.with_times(|times| times.used = Instant::now());
    }
}
