//! A server's connection: made once for all who need it, closed when nobody does.

use std::sync::Arc;

use futures::future::join_all;
use tokio::time::{Instant, timeout, timeout_at};

use super::{
    super::{
        breaker::Breaker,
        connection::{Connection, InUse, Pulse},
    },
    Server, guarded,
    lane::Lane,
};
use crate::{
    clock,
    mcp::{CallContext, McpError, McpTransport, client::millis},
};

/// What became of attempts to connect.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    /// How many connections there were.
    made: u64,
    /// How the last attempt failed, and when.
    failed: Option<(Instant, McpError)>,
}

impl Attempts {
    /// Whoever waited while an attempt failed need not wait for another one to fail.
    fn failed_since(&self, began: Instant) -> Option<McpError> {
        self.failed.as_ref().filter(|(at, _)| *at >= began).map(|(_, error)| error.clone())
    }
}

impl Server {
    /// Everybody's connection, whether it still works or not.
    pub(in super::super) fn present(&self) -> Option<Arc<Connection>> {
        self.shared.present()
    }

    /// A connection, made anew if there is none that works.
    pub(super) async fn connected(&self, lane: &Arc<Lane>, deadline: Instant) -> Result<InUse, McpError> {
        let began = Instant::now();
        if let Some(connection) = lane.present()
            && !connection.is_doubted()
            && connection.is_alive(&self.name)
            && let Some(in_use) = connection.enter()
        {
            return Ok(in_use);
        }
        // In a box: whoever finds a connection carries nothing of making one.
        Box::pin(self.connected_anew(lane, deadline, began)).await
    }

    async fn connected_anew(&self, lane: &Arc<Lane>, deadline: Instant, began: Instant) -> Result<InUse, McpError> {
        let late = |_| McpError::Timeout { after_ms: millis(began.elapsed()) };
        let mut attempts = timeout_at(deadline, lane.connecting.lock()).await.map_err(late)?;
        if let Some(connection) = lane.present()
            && self.is_usable(lane, &connection, deadline).await?
            && let Some(in_use) = connection.enter()
        {
            return Ok(in_use);
        }
        if let Some(error) = attempts.failed_since(began) {
            return Err(error);
        }
        if let Some(old) = lane.connection.swap(None) {
            self.retire(old);
        }
        self.connect_anew(lane, &mut attempts, deadline).await
    }

    async fn connect_anew(
        &self,
        lane: &Arc<Lane>,
        attempts: &mut Attempts,
        deadline: Instant,
    ) -> Result<InUse, McpError> {
        self.tend();
        let until = clock::from_now(self.options().connect_timeout);
        let transport = match self.connect(lane, deadline.min(until)).await {
            Ok(transport) => transport,
            Err(error) => {
                // Whoever had less time than it may take found out nothing.
                let is_hurried = matches!(error, McpError::Timeout { .. }) && deadline < until;
                if !is_hurried {
                    attempts.failed = Some((Instant::now(), error.clone()));
                    // That one caller's token is not accepted says nothing of the server.
                    if lane.key().is_none() || error.is_transport_fault() {
                        self.not_connected(&error);
                    }
                }
                return Err(error);
            }
        };
        attempts.made += 1;
        let connection = Arc::new(Connection::new(transport, attempts.made));
        let in_use = connection.enter();
        self.follow(lane, &connection);
        self.log_as_wanted(&connection, deadline).await;
        lane.connection.store(Some(connection.clone()));
        self.subscribe_again(lane, &connection);
        self.woken.notify_one();
        lane.woken.notify_one();
        in_use.ok_or_else(|| McpError::Closed { message: "the connection was closed".into(), unsent: true })
    }

    async fn connect(&self, lane: &Lane, deadline: Instant) -> Result<Arc<dyn McpTransport>, McpError> {
        let down = || McpError::Closed { message: "omni is shutting down".into(), unsent: true };
        let started = Instant::now();
        let mut cx = lane.lets_in(CallContext::within(self.options().connect_timeout));
        cx.deadline = deadline;
        let connecting = timeout_at(deadline, guarded(self.entry.connector.connect(&cx)));
        match self.down.run_until_cancelled(connecting).await {
            Some(Ok(transport)) => transport,
            Some(Err(_)) => Err(McpError::Timeout { after_ms: millis(started.elapsed()) }),
            None => Err(down()),
        }
    }

    /// Whether a connection can be used. Asks the server if there is doubt, which stays until it
    /// answers.
    async fn is_usable(&self, lane: &Lane, connection: &Connection, deadline: Instant) -> Result<bool, McpError> {
        if connection.is_alive(&self.name) && connection.is_doubted() {
            match connection.ping(deadline).await {
                Pulse::Lives => self.with_breaker(Breaker::lives),
                Pulse::Hurried(error) => return Err(error),
                Pulse::Dead(error) => {
                    if lane.key().is_some() && !error.is_transport_fault() {
                        // One caller's token counts no more, or their session: the server is well.
                        connection.is_at_fault();
                    }
                    connection.lose(&self.name, format!("the server does not answer any more: {error}"));
                }
            }
        }
        let is_alive = connection.is_alive(&self.name);
        if !is_alive {
            self.lost(connection);
        }
        Ok(is_alive)
    }

    /// Asks the server whether it lives, so that whoever needs it next need not find out.
    pub(in super::super) async fn check(&self, deadline: Instant) {
        let _nobody_connects = self.shared.connecting.lock().await;
        if let Some(connection) = self.present() {
            connection.doubt();
            let _ = self.is_usable(&self.shared, &connection, deadline).await;
        }
    }

    /// Ends a connection that is in doubt: no request gets it any more, and those that run on it
    /// may well come to their end.
    pub(super) fn retire(&self, old: Arc<Connection>) {
        let (grace, down) = (self.options().call_timeout, self.down.clone());
        self.tasks.spawn(async move {
            let _ = down.run_until_cancelled(timeout(grace, old.idle())).await;
            old.transport.close().await;
        });
    }

    /// Closes a connection that nobody uses. Somebody who needs the server opens one again; until
    /// then what it said counts.
    pub(in super::super) async fn fall_asleep(&self) {
        let _nobody_connects = self.shared.connecting.lock().await;
        let is_idle =
            |one: &Arc<Connection>| one.is_alive(&self.name) && !self.hearers.has_any(None) && one.begin_close();
        let idle = self.present().filter(is_idle);
        let Some(connection) = idle else { return };
        self.with_listing(|listing| listing.is_asleep = listing.is_of(connection.source()));
        self.shared.connection.store(None);
        tracing::debug!(server = %self.name, "a connection that nobody uses is closed");
        self.retire(connection);
    }

    /// Ends the connections, and any attempt at one; what is to be kept of it is.
    pub(in super::super) async fn close(&self) {
        let mut lanes = self.lanes.clear();
        lanes.push(self.shared.clone());
        let closing = lanes.iter().map(|lane| async move {
            let _nobody_connects = lane.connecting.lock().await;
            if let Some(connection) = lane.connection.swap(None) {
                connection.transport.close().await;
            }
        });
        join_all(closing).await;
        self.entry.connector.settle().await;
    }
}
