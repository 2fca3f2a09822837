//! One connection of the pool: what is known of it beside the transport.

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use futures::{FutureExt, StreamExt, stream::BoxStream};
use tokio::time::Instant;

use crate::mcp::{CallContext, McpError, McpEvent, McpRequest, McpTransport};

/// How long a server that let a request time out may take to show that it lives.
const PING_WITHIN: Duration = Duration::from_secs(3);

/// Most events that are looked at in one go.
const MANY_EVENTS: usize = 1_000;

pub(super) struct Connection {
    pub(super) transport: Arc<dyn McpTransport>,
    events: Mutex<BoxStream<'static, McpEvent>>,
    lost: AtomicBool,
    suspect: AtomicBool,
    tools_changed: AtomicBool,
}

impl Connection {
    pub(super) fn new(transport: Arc<dyn McpTransport>) -> Self {
        let events = Mutex::new(transport.events());
        Self { transport, events, lost: false.into(), suspect: false.into(), tools_changed: false.into() }
    }

    /// Whether the server's tools are other ones since the last time this was asked.
    pub(super) fn take_tools_changed(&self) -> bool {
        self.tools_changed.swap(false, Relaxed)
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

    /// Whether it can be used. Asks the server if there is doubt.
    pub(super) async fn is_usable(&self, server: &str, deadline: Instant) -> bool {
        if !self.is_alive(server) {
            return false;
        }
        if !self.suspect.swap(false, Relaxed) {
            return true;
        }
        let mut cx = CallContext::within(PING_WITHIN);
        cx.deadline = cx.deadline.min(deadline);
        // Any answer shows that it lives, also that there is no such method.
        match self.transport.request(McpRequest::new("ping", None), &cx).await {
            Ok(_) | Err(McpError::Rpc { .. }) => true,
            Err(error) => {
                tracing::info!(server, %error, "a server does not answer any more");
                self.lost.store(true, Relaxed);
                false
            }
        }
    }

    /// Takes in what the server said unasked.
    fn hear(&self, server: &str) {
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        for _ in 0..MANY_EVENTS {
            match events.next().now_or_never() {
                Some(Some(McpEvent::ToolsChanged)) => self.tools_changed.store(true, Relaxed),
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
