//! One connection of the pool: what is known of it beside the transport.

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
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
    events: Mutex<BoxStream<'static, McpEvent>>,
    lost: AtomicBool,
    suspect: AtomicBool,
    lists_changed: AtomicU64,
    requests: TaskTracker,
}

impl Connection {
    pub(super) fn new(transport: Arc<dyn McpTransport>, number: u64) -> Self {
        let events = Mutex::new(transport.events());
        Self {
            transport,
            number,
            events,
            lost: false.into(),
            suspect: false.into(),
            lists_changed: 0.into(),
            requests: TaskTracker::new(),
        }
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// What lists that are asked for now come from.
    pub(super) fn source(&self) -> Source {
        (self.number, self.lists_changed.load(Relaxed))
    }

    /// Held by a request while it runs.
    pub(super) fn in_use(&self) -> TaskTrackerToken {
        self.requests.token()
    }

    /// Waits until no request runs any more.
    pub(super) async fn idle(&self) {
        self.requests.close();
        self.requests.wait().await;
    }

    /// Takes note of how a request ended. Whether the connection still works is found out before its
    /// next use: one failed request does not end those that run well.
    pub(super) fn learn(&self, error: &McpError) {
        if error.is_transport_fault() {
            self.suspect.store(true, Relaxed);
        }
    }

    /// Whether it can be used, by what is known without asking.
    pub(super) fn is_alive(&self, server: &str) -> bool {
        self.hear(server);
        !self.lost.load(Relaxed)
    }

    /// Whether it can be used. Asks the server if there is doubt, which stays until it answers.
    ///
    /// # Errors
    /// [`McpError::Timeout`] when the caller had less time than a server may take to show that it
    /// lives: that tells nothing of the connection.
    pub(super) async fn is_usable(&self, server: &str, deadline: Instant) -> Result<bool, McpError> {
        if !self.is_alive(server) {
            return Ok(false);
        }
        if !self.suspect.load(Relaxed) {
            return Ok(true);
        }
        let mut cx = CallContext::within(PING_WITHIN);
        let cut_short = deadline < cx.deadline;
        cx.deadline = cx.deadline.min(deadline);
        match self.transport.request(McpRequest::new("ping", None), &cx).await {
            // That there is no such method is an answer too; other errors may be those of a server
            // that has forgotten the session.
            Ok(_) | Err(McpError::Rpc { code: METHOD_NOT_FOUND, .. }) => {
                self.suspect.store(false, Relaxed);
                Ok(true)
            }
            Err(error @ McpError::Timeout { .. }) if cut_short => Err(error),
            Err(error) => {
                tracing::info!(server, %error, "a server does not answer any more");
                self.lost.store(true, Relaxed);
                Ok(false)
            }
        }
    }

    /// Takes in what the server said unasked.
    fn hear(&self, server: &str) {
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        for _ in 0..MANY_EVENTS {
            match events.next().now_or_never() {
                Some(Some(McpEvent::ToolsChanged | McpEvent::PromptsChanged | McpEvent::ResourcesChanged)) => {
                    self.lists_changed.fetch_add(1, Relaxed);
                }
                Some(Some(McpEvent::ResourceUpdated { uri })) => tracing::debug!(server, uri, "a resource was updated"),
                Some(Some(McpEvent::Log { level, message })) => tracing::debug!(server, level, "{message}"),
                Some(Some(McpEvent::Closed { reason })) => {
                    if !self.lost.swap(true, Relaxed) {
                        tracing::info!(server, reason, "a connection is lost");
                    }
                }
                Some(None) | None => return,
            }
        }
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
