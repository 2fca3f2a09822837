//! The pool: every configured server, its connection, its health and its tools.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    sync::Arc,
    time::Duration,
};

use futures::future::join_all;
use serde_json::value::RawValue;
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep_until, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{CallContext, Connect, Connector, McpError, OnStartFailure, ServerOptions, ToolOutput};
use crate::{
    catalog::{Catalog, ToolDef},
    clock,
    identity::CallerToken,
    pin::vet::Vetter,
};

mod breaker;
mod connection;
mod hearing;
mod jitter;
mod listing;
mod pass;
mod server;
mod shared;
mod tender;
mod vetting;

pub use hearing::{Heard, Hearing, Subscription};
use jitter::spread;
pub(crate) use server::LogLevel;
use server::Server;
use shared::{Board, Shared};

/// How long connections that were given up may take to end at a shutdown.
const SHUTDOWN_WITHIN: Duration = Duration::from_secs(5);

/// How long a call waits for a server that failed a moment ago and is about to be looked at again.
const WAIT_FOR_LOOK: Duration = Duration::from_secs(3);

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
    shared: Arc<Shared>,
    /// Says which tools may be used; `None` lets all pass.
    vetter: Option<Arc<Vetter>>,
    tasks: TaskTracker,
    down: CancellationToken,
}

impl Pool {
    /// A pool that has connected to nothing yet.
    #[must_use]
    pub fn new(servers: BTreeMap<String, ServerEntry>) -> Self {
        Self::vetted(servers, None)
    }

    /// The same, with somebody who says which tools may be used.
    pub(crate) fn vetted(servers: BTreeMap<String, ServerEntry>, vetter: Option<Arc<Vetter>>) -> Self {
        let (tasks, down) = (TaskTracker::new(), CancellationToken::new());
        let server = |(name, entry): (String, ServerEntry)| {
            (name.clone(), Server::new(name, entry, vetter.clone(), tasks.clone(), down.clone()))
        };
        let shared = Shared::new(servers.into_iter().map(server).collect(), Board::new());
        Self { shared, vetter, tasks, down }
    }

    /// The pool after this one: the servers in `unchanged` keep their connections, tools and health,
    /// all others begin anew. Both pools work; a server that only this one has goes with it. What
    /// changes in the new one is told once it [takes over](Self::take_over).
    #[must_use]
    pub fn succeed(&self, servers: BTreeMap<String, ServerEntry>, unchanged: &BTreeSet<String>) -> Self {
        let known = |name: &str| self.shared.servers.get(name).filter(|_| unchanged.contains(name)).cloned();
        let server = |(name, entry): (String, ServerEntry)| {
            let server = known(&name).unwrap_or_else(|| {
                let new = self.new_server(name.clone(), entry);
                if let Some(old) = self.shared.servers.get(&name) {
                    new.logs_like(old);
                }
                new
            });
            (name, server)
        };
        let shared = Shared::new(servers.into_iter().map(server).collect(), self.shared.board().clone());
        let (vetter, tasks, down) = (self.vetter.clone(), self.tasks.clone(), self.down.clone());
        Self { shared, vetter, tasks, down }
    }

    /// From now on it is this pool whose changes are told, and no more those of the pool before.
    pub fn take_over(&self) {
        self.shared.take_over();
    }

    fn new_server(&self, name: String, entry: ServerEntry) -> Arc<Server> {
        Server::new(name, entry, self.vetter.clone(), self.tasks.clone(), self.down.clone())
    }

    /// Told of every answer of a server, of this pool's and those that follow it.
    pub(crate) fn answered(&self) -> Arc<Notify> {
        self.shared.answered()
    }

    /// The version of the newest snapshot, whenever there is another one: of this pool, and once they
    /// [take over](Self::take_over) of those that follow it. [`Self::catalog`] has it by then.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.shared.changes()
    }

    /// The newest snapshot, without asking anybody.
    #[must_use]
    pub fn catalog(&self) -> Arc<Catalog> {
        self.shared.catalog()
    }

    /// A snapshot in which every enabled server was asked once: connects what is not connected and
    /// lists what was not listed, all servers at once. A dead or hung one costs its own deadline and
    /// is unhealthy; it is asked again after a pause that grows, at first from a second and never less
    /// than what it cost, so that it does not hold up every ask. Calls at the same time share one
    /// discovery.
    ///
    /// Each server's answer is in [`Self::catalog`] as soon as it is there. Dropping the future
    /// leaves the discovery running: what it finds is there for the next one who asks.
    pub async fn discover(&self) -> Arc<Catalog> {
        self.discover_for(None).await
    }

    /// The same on behalf of somebody who came with a token: servers that tell omni itself nothing are asked with it,
    /// where it is for them.
    pub(crate) async fn discover_for(&self, token: Option<&Arc<CallerToken>>) -> Arc<Catalog> {
        self.ask_all(false, token).await;
        self.shared.catch_up();
        self.catalog()
    }

    /// The same for one server, whatever the others do.
    ///
    /// # Errors
    /// Why that server cannot be used.
    pub async fn discover_server(&self, name: &str) -> Result<Arc<Catalog>, McpError> {
        self.discover_server_for(name, None).await
    }

    /// The same on behalf of somebody who came with a token.
    pub(crate) async fn discover_server_for(
        &self,
        name: &str,
        token: Option<&Arc<CallerToken>>,
    ) -> Result<Arc<Catalog>, McpError> {
        let server = self.enabled(name)?;
        // One that restarts is back in a moment: whoever needs it would rather wait than hear of it.
        if let Some(at) = server.look_at().filter(|at| *at <= Instant::now() + WAIT_FOR_LOOK) {
            sleep_until(at).await;
        }
        self.ask(server, false, token).await;
        self.shared.catch_up();
        server.fault().map_or_else(|| Ok(self.catalog()), Err)
    }

    /// Begins to connect to the servers that are [eager](Connect::Eager), and waits for none.
    pub fn warm(&self) {
        for server in self.shared.servers.values().filter(|server| server.options().connect == Connect::Eager) {
            drop(self.ask(server, false, None));
        }
    }

    /// Connects to the servers without which nothing is to start ([`OnStartFailure::FailClosed`]).
    ///
    /// # Errors
    /// The name of one that cannot be used, and why.
    pub async fn require(&self) -> Result<(), (String, McpError)> {
        let is_needed = |server: &&Arc<Server>| {
            server.options().enabled && server.options().on_start_failure == OnStartFailure::FailClosed
        };
        let needed: Vec<_> = self.shared.servers.values().filter(is_needed).collect();
        join_all(needed.iter().map(|server| self.ask(server, false, None))).await;
        let failed = needed.iter().find_map(|server| Some((server.name().to_owned(), server.fault()?)));
        failed.map_or(Ok(()), Err)
    }

    /// Asks every enabled server again, whatever is known (`servers check`).
    pub async fn refresh(&self) -> Arc<Catalog> {
        self.ask_all(true, None).await;
        self.catalog()
    }

    /// Asks one enabled server again, whatever is known.
    ///
    /// # Errors
    /// [`McpError::UnknownServer`]. A server that does not answer is unhealthy in the snapshot.
    pub async fn refresh_server(&self, name: &str) -> Result<Arc<Catalog>, McpError> {
        self.ask(self.enabled(name)?, true, None).await;
        Ok(self.catalog())
    }

    /// The same on behalf of somebody who may have come with a token.
    pub(crate) async fn look_at(&self, name: &str, token: Option<&Arc<CallerToken>>) -> Result<Arc<Catalog>, McpError> {
        self.ask(self.enabled(name)?, true, token).await;
        Ok(self.catalog())
    }

    /// Calls a tool. Takes the server's concurrency permit, keeps `cx.deadline`, repeats only what
    /// may be repeated.
    ///
    /// # Errors
    /// An [`McpError`]. A tool that says it failed is an `Ok` with `is_error`.
    pub async fn call(
        &self,
        server: &str,
        tool: &str,
        arguments: &RawValue,
        cx: &CallContext,
    ) -> Result<ToolOutput, McpError> {
        let server = self.enabled(server)?;
        // Before anything is waited for; it is asked again right before the call is sent.
        server.lets_call(tool)?;
        let cx = within_own_time(server, cx);
        let once = || server.call(tool, arguments, &cx);
        self.attempts(server, tool, cx.deadline, || !cx.once && self.is_harmless(server, tool), once).await
    }

    /// Attempts something within the server's permits, again only where that may be done.
    async fn attempts<T, F: Future<Output = Result<T, McpError>>>(
        &self,
        server: &Server,
        what: &str,
        deadline: Instant,
        is_harmless: impl Fn() -> bool,
        once: impl Fn() -> F,
    ) -> Result<T, McpError> {
        let _permit = server.permit(deadline).await?;
        let mut attempt = 1;
        loop {
            let error = match once().await {
                Ok(output) => return Ok(output),
                Err(error) => error,
            };
            let again = clock::from_now(spread(server.options().retry_delay).saturating_mul(attempt));
            let repeat = attempt < server.options().max_attempts && again < deadline;
            if !repeat || !may_repeat(&error, &is_harmless) {
                return Err(error);
            }
            tracing::info!(server = %server.name(), what, attempt, %error, "a request is repeated");
            sleep_until(again).await;
            attempt += 1;
        }
    }

    /// How a server is treated; `None` for an unknown one.
    #[must_use]
    pub fn options(&self, server: &str) -> Option<&ServerOptions> {
        self.shared.servers.get(server).map(|server| server.options())
    }

    /// Closes every connection; leaves no process. Later calls fail.
    pub async fn shutdown(&self) {
        self.down.cancel();
        join_all(self.shared.servers.values().map(|server| server.close())).await;
        self.tasks.close();
        if timeout(SHUTDOWN_WITHIN, self.tasks.wait()).await.is_err() {
            tracing::warn!("a connection to a server did not end in time");
        }
    }

    fn enabled(&self, name: &str) -> Result<&Arc<Server>, McpError> {
        let unknown = || McpError::UnknownServer { server: name.into() };
        self.shared.servers.get(name).filter(|server| server.options().enabled).ok_or_else(unknown)
    }

    /// Asks every server. What one of them turned out to have may be what another one's tools pass for, which were
    /// judged before that was known.
    async fn ask_all(&self, again: bool, token: Option<&Arc<CallerToken>>) {
        let servers = || self.shared.servers.values();
        join_all(servers().map(|server| self.ask(server, again, token))).await;
        let due = servers().filter(|server| server.is_judging_due());
        join_all(due.map(|server| self.ask(server, false, token))).await;
    }

    /// Asks one server, unless it was; with `again` in any case. The question is a task of the
    /// pool's: one that its asker has no time for still finds out that a server hangs.
    fn ask(
        &self,
        server: &Arc<Server>,
        again: bool,
        token: Option<&Arc<CallerToken>>,
    ) -> impl Future<Output = ()> + use<> {
        let task = (server.options().enabled && (again || !server.is_known(token))).then(|| {
            let (server, down, token) = (server.clone(), self.down.clone(), token.cloned());
            let newer_than = again.then(|| server.begun());
            let asked = async move { server.discover(newer_than, token.as_ref()).await };
            self.tasks.spawn(async move { down.run_until_cancelled(asked).await })
        });
        async move {
            if let Some(task) = task {
                let _ = task.await;
            }
        }
    }

    /// Whether a tool may be called twice: configuration says so, or a server says so whose hints
    /// configuration believes.
    fn is_harmless(&self, server: &Server, tool: &str) -> bool {
        let options = server.options();
        if options.retry_safe.is_match(tool) {
            return true;
        }
        let hinted = |def: &Arc<ToolDef>| {
            let (hints, is_set) = (&def.annotations, |hint| hint == Some(true));
            !is_set(hints.destructive_hint) && (is_set(hints.read_only_hint) || is_set(hints.idempotent_hint))
        };
        options.trusted && self.catalog().tool(server.name(), tool).is_some_and(hinted)
    }
}

/// What is asked of a server ends at the server's own timeout too.
fn within_own_time(server: &Server, cx: &CallContext) -> CallContext {
    cx.clone().with_own_time(server.options().call_timeout)
}

/// Whether a failed call may be made again: nothing of it was sent, or it does no harm twice.
fn may_repeat(error: &McpError, is_harmless: impl FnOnce() -> bool) -> bool {
    match error {
        McpError::Connect { .. } | McpError::Closed { unsent: true, .. } => true,
        McpError::Closed { unsent: false, .. } => is_harmless(),
        McpError::Timeout { .. }
        | McpError::Protocol { .. }
        | McpError::Unauthorized { .. }
        | McpError::Rpc { .. }
        | McpError::UnknownServer { .. }
        | McpError::Busy { .. }
        | McpError::Resting { .. } => false,
    }
}

#[cfg(test)]
mod tests;
