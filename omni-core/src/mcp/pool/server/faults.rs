//! What is learnt from how requests end, and who is let through because of it.

use tokio::time::Instant;

use super::{
    super::{
        breaker::{Breaker, Pass},
        connection::Connection,
    },
    Server, resting,
};
use crate::mcp::McpError;

/// A request that was let through, for as long as it runs.
pub(super) struct Admitted<'a> {
    server: &'a Server,
    pass: Pass,
}

impl Drop for Admitted<'_> {
    fn drop(&mut self) {
        self.server.with_breaker(|breaker| breaker.ended(self.pass));
    }
}

impl Server {
    /// Lets a request through, or says why not.
    pub(super) fn admit(&self) -> Result<Admitted<'_>, McpError> {
        match self.with_breaker(|breaker| breaker.admit(Instant::now())) {
            Ok(pass) => {
                if pass != Pass::Free {
                    self.publish();
                }
                Ok(Admitted { server: self, pass })
            }
            Err(wait) => {
                let fault = self.with_listing(|listing| listing.fault.clone());
                let fault = fault.unwrap_or_else(|| McpError::Connect { message: "it failed".into() });
                Err(resting(&fault, wait))
            }
        }
    }

    /// Takes note of how a request on a connection ended.
    pub(super) fn learn(&self, connection: &Connection, error: Option<&McpError>) {
        match error {
            None | Some(McpError::Rpc { .. }) => {
                connection.heard();
                if self.with_breaker(Breaker::answered) {
                    self.recovered();
                }
            }
            // It may have forgotten the session; that is no failure of the connection.
            Some(McpError::Unauthorized { .. }) => {
                connection.doubt();
                self.woken.notify_one();
            }
            Some(
                error @ (McpError::Connect { .. }
                | McpError::Timeout { .. }
                | McpError::Closed { .. }
                | McpError::Protocol { .. }),
            ) => self.fault_of(connection, error),
            Some(McpError::UnknownServer { .. } | McpError::Busy { .. } | McpError::Resting { .. }) => {}
        }
    }

    fn fault_of(&self, connection: &Connection, error: &McpError) {
        connection.doubt();
        match connection.is_alive(&self.name) {
            true => {
                connection.is_at_fault();
                self.failed(error);
            }
            false => self.lost(connection),
        }
        self.woken.notify_one();
    }

    /// A connection is lost. That is one failure, however many requests were on it.
    pub(in super::super) fn lost(&self, connection: &Connection) {
        let Some(error) = connection.blame() else { return };
        self.failed(&error);
        let now = Instant::now();
        self.with_breaker(|breaker| breaker.restart(now));
        self.woken.notify_one();
    }

    /// Nobody could be connected to.
    pub(super) fn not_connected(&self, error: &McpError) {
        self.with_listing(|listing| listing.is_away(error.clone(), false));
        self.failed(error);
        self.publish();
        self.woken.notify_one();
    }

    /// The server failed once.
    pub(super) fn failed(&self, error: &McpError) {
        if !error.is_transport_fault() || !self.with_breaker(|breaker| breaker.failed(error, Instant::now())) {
            return;
        }
        tracing::warn!(server = %self.name, %error, "a server fails too often and is left alone for a while");
        self.with_listing(|listing| listing.is_away(error.clone(), true));
        self.publish();
        self.woken.notify_one();
    }

    fn recovered(&self) {
        tracing::info!(server = %self.name, "a server works again");
        self.publish();
        self.woken.notify_one();
    }
}
