//! One server of the pool: connects once for all who need it, lists, calls.

use std::{
    borrow::Cow,
    fmt,
    future::Future,
    panic::AssertUnwindSafe,
    pin::pin,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use futures::FutureExt;
use serde_json::value::RawValue;
use tokio::{
    sync::{Mutex as AsyncMutex, Notify, Semaphore, SemaphorePermit},
    time::{Instant, timeout_at},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    ServerEntry,
    breaker::Breaker,
    hearing::Hearers,
    jitter::spread,
    listing::{Listing, Source},
    shared::Shared,
    tender::{Condition, tend},
};
use crate::{
    catalog::{Health, ServerView},
    clock,
    identity::CallerToken,
    mcp::{
        CallContext, Listed, McpError, McpReply, McpRequest, McpTransport, McpTransportExt, ServerOptions, ToolOutput,
        client::millis, rounds,
    },
    pin::vet::Vetter,
};

mod connecting;
mod faults;
mod judging;
mod lane;
mod logging;
mod own;
mod subscribing;

use lane::{Lane, Lanes};
pub(crate) use logging::LogLevel;
use logging::Wanted;

/// How much longer than it may a transport takes before nobody waits for it.
const OVERTIME: Duration = Duration::from_secs(5);

/// What lists are of that a caller was told on a connection of their own.
const BY_CALLER: Source = (0, 0);

pub(super) struct Server {
    me: Weak<Self>,
    name: Arc<str>,
    entry: ServerEntry,
    /// Says which tools may be used; `None` lets all pass.
    vetter: Option<Arc<Vetter>>,
    permits: Semaphore,
    /// Everybody's way to it; of a server that is used with callers' own tokens, that of omni's own questions.
    shared: Arc<Lane>,
    /// Callers' own ways.
    lanes: Lanes,
    /// Held while listing, for the same reason.
    discovering: AsyncMutex<()>,
    /// How many discoveries began.
    begun: AtomicU64,
    listing: Mutex<Listing>,
    breaker: Mutex<Breaker>,
    /// Those who publish what it answers.
    told: Mutex<Vec<Weak<Shared>>>,
    /// Whether somebody tends it, who is woken whenever there may be something to do.
    is_tended: AtomicBool,
    woken: Arc<Notify>,
    hearers: Hearers,
    /// From which level on clients want it to log.
    level: Wanted,
    tasks: TaskTracker,
    down: CancellationToken,
    /// Ends with this value.
    gone: CancellationToken,
}

impl Server {
    pub(super) fn new(
        name: String,
        entry: ServerEntry,
        vetter: Option<Arc<Vetter>>,
        tasks: TaskTracker,
        down: CancellationToken,
    ) -> Arc<Self> {
        let health = if entry.options.enabled { Health::Unknown } else { Health::Disabled };
        Arc::new_cyclic(|me| Self {
            me: me.clone(),
            name: name.into(),
            permits: Semaphore::new(entry.options.max_concurrent.clamp(1, Semaphore::MAX_PERMITS)),
            shared: Lane::shared(),
            lanes: Lanes::default(),
            discovering: AsyncMutex::new(()),
            begun: 0.into(),
            listing: Mutex::new(Listing::new(health)),
            breaker: Mutex::new(Breaker::new(entry.options.breaker)),
            told: Mutex::default(),
            is_tended: false.into(),
            woken: Arc::default(),
            hearers: Hearers::default(),
            level: Wanted::default(),
            entry,
            vetter,
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
        (view.withheld, view.flagged) = (listing.withheld, listing.flagged);
        (view.checked_at, view.last_seen, view.failures) = (listing.checked_at, listing.last_seen, listing.failures);
        (view.prompts, view.resources, view.templates) = (listing.prompts, listing.resources, listing.templates);
        view.capabilities = listing.capabilities;
        view.breaker = self.with_breaker(|breaker| breaker.shown(Instant::now()));
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
        let cx = &self.calling(tool, cx);
        let call =
            |transport: Arc<dyn McpTransport>| async move { transport.call_tool(tool, arguments, max_chars, cx).await };
        self.on_connection(cx, || self.lets_call(tool), call).await
    }

    /// Calls a tool once, by a whole request.
    pub(super) async fn call_raw(
        &self,
        tool: &str,
        request: McpRequest,
        cx: &CallContext,
    ) -> Result<McpReply, McpError> {
        let cx = &self.calling(tool, cx);
        let call = |transport: Arc<dyn McpTransport>| async move { rounds::request(&*transport, request, cx).await };
        self.on_connection(cx, || self.lets_call(tool), call).await
    }

    /// The same context for a call of a tool, which an older server may take as a task only, and a newer one with
    /// headers.
    fn calling<'a>(&self, tool: &str, cx: &'a CallContext) -> Cow<'a, CallContext> {
        match self.with_listing(|listing| (listing.needs_task(tool), listing.has_param_headers(tool))) {
            (true, _) => Cow::Owned(cx.clone().with_task()),
            (false, true) => Cow::Owned(cx.clone().with_param_headers()),
            (false, false) => Cow::Borrowed(cx),
        }
    }

    /// Makes a request other than a tool's call once.
    pub(super) async fn request(&self, request: McpRequest, cx: &CallContext) -> Result<McpReply, McpError> {
        let ask = |transport: Arc<dyn McpTransport>| async move { rounds::request(&*transport, request, cx).await };
        self.on_connection(cx, || Ok(()), ask).await
    }

    /// Does something once on a connection that works, unless requests are kept from the server. `may` is
    /// asked right before: a good while may have been waited until then.
    async fn on_connection<T, F>(
        &self,
        cx: &CallContext,
        may: impl FnOnce() -> Result<(), McpError>,
        work: impl FnOnce(Arc<dyn McpTransport>) -> F,
    ) -> Result<T, McpError>
    where
        F: Future<Output = Result<T, McpError>>,
    {
        let started = Instant::now();
        let lane = self.lane(cx)?;
        let _admitted = self.admit()?;
        let connection = self.connected(&lane, cx.until()).await?;
        if Instant::now() >= cx.until() {
            // A request that is handed over goes out, even when nobody waits for its answer.
            return Err(McpError::Timeout { after_ms: millis(started.elapsed()) });
        }
        may()?;
        // A transport ends by itself in time; one that does not would keep its permit for ever.
        let done = cx.in_time(OVERTIME, pin!(guarded(work(connection.transport.clone())))).await;
        let answer = done.unwrap_or_else(|_| Err(McpError::Timeout { after_ms: millis(started.elapsed()) }));
        // Where a question was open until the end it was not the server that took too long; nor did it answer.
        if !matches!(answer, Err(McpError::Timeout { .. })) || !cx.is_unanswered() {
            self.learn(&connection, answer.as_ref().err());
        }
        answer
    }

    /// Finds out what there is to find out, and makes sure of a connection that is in doubt.
    pub(super) async fn look(&self) {
        if let Some(connection) = self.present().filter(|connection| !connection.is_alive(&self.name)) {
            self.lost(&connection);
        }
        self.discover(None, None).await;
    }

    /// How many answers there were, failures included.
    pub(super) fn answers(&self) -> u64 {
        self.with_listing(|listing| listing.answers)
    }

    /// How many discoveries began until now.
    pub(super) fn begun(&self) -> u64 {
        self.begun.load(SeqCst)
    }

    /// Why the server cannot be used, as far as is known.
    pub(super) fn fault(&self) -> Option<McpError> {
        let fault = self.with_listing(|listing| listing.fault.clone())?;
        let rest = self.with_breaker(|breaker| breaker.refuses(Instant::now()));
        Some(rest.map_or_else(|| fault.clone(), |wait| resting(&fault, wait)))
    }

    /// When a server that failed a moment ago is looked at again; `None` where that may be now, or
    /// calls are kept from it.
    pub(super) fn look_at(&self) -> Option<Instant> {
        let now = Instant::now();
        self.with_breaker(|breaker| breaker.look_at(now).filter(|at| now < *at && breaker.refuses(now).is_none()))
    }

    /// Brings what is known of the server up to date. With `newer_than` it is asked in any case,
    /// unless a discovery after that one began meanwhile. A server that tells omni itself nothing is asked on behalf
    /// of whoever has `token`.
    pub(super) async fn discover(&self, newer_than: Option<u64>, token: Option<&Arc<CallerToken>>) {
        let asked = Instant::now();
        let _one = self.discovering.lock().await;
        self.judge_again().await;
        let answered = newer_than.map_or_else(|| self.is_known(token), |number| self.begun() > number);
        if answered {
            return;
        }
        self.begun.fetch_add(1, SeqCst);
        let started = Instant::now();
        let until = clock::after(started, self.options().connect_timeout);
        let found = self.list(until, newer_than.is_some(), token).await;
        match found {
            Ok(None) => self.with_breaker(Breaker::seen),
            Ok(Some((listed, source))) => self.listed(listed, source, started).await,
            // Nobody was asked, and it is known why.
            Err(McpError::Resting { .. }) => {}
            // That one caller is not told says nothing of the server: whoever comes next asks.
            Err(error) if self.is_left_to_callers() && !error.is_transport_fault() => {
                tracing::debug!(server = %self.name, %error, "a server's tools are not listed for a caller");
                self.with_listing(Listing::wait_for_caller);
            }
            Err(error) => {
                let waited_ms = millis(asked.elapsed());
                tracing::warn!(server = %self.name, %error, waited_ms, "a server cannot be used");
                self.not_listed(error, started);
            }
        }
    }

    async fn listed(&self, mut listed: Listed, source: Source, started: Instant) {
        self.with_breaker(|breaker| {
            breaker.seen();
            breaker.is_back();
        });
        let (latency_ms, refresh) = (millis(started.elapsed()), self.options().refresh.map(spread));
        let tools = std::mem::take(&mut listed.tools);
        let tools = self.with_listing(|listing| listing.merged(tools));
        let vetted = self.vet(tools.clone()).await;
        self.with_listing(|listing| listing.succeeded((tools, vetted), listed, source, latency_ms, refresh));
        self.publish();
        self.woken.notify_one();
    }

    fn not_listed(&self, error: McpError, started: Instant) {
        let now = Instant::now();
        let is_lasting = self.with_breaker(|breaker| {
            breaker.not_seen(now - started, now);
            breaker.refuses(now).is_some()
        });
        self.with_listing(|listing| listing.failed(error, millis(now - started), is_lasting));
        self.publish();
        self.woken.notify_one();
    }

    /// Whether asking would tell nothing new, or not soon enough. While somebody connects there is
    /// something new to come.
    pub(super) fn is_known(&self, token: Option<&Arc<CallerToken>>) -> bool {
        if self.is_judging_due() {
            return false;
        }
        if self.with_breaker(|breaker| breaker.is_quiet(Instant::now())) {
            return true;
        }
        if self.is_left_to_callers() {
            let can_be_asked = token.is_some_and(|token| self.refusal(Some(token)).is_none());
            return !can_be_asked || self.with_listing(|listing| listing.is_of(BY_CALLER));
        }
        let Ok(_nobody_connects) = self.shared.connecting.try_lock() else { return false };
        match self.present() {
            Some(connection) => {
                connection.is_alive(&self.name) && self.with_listing(|listing| listing.is_of(connection.source()))
            }
            None => self.with_listing(|listing| listing.is_asleep && listing.is_listed()),
        }
    }

    /// The lists and what they come from; `None` when that is known already, or nobody is there to ask for it.
    async fn list(
        &self,
        deadline: Instant,
        again: bool,
        token: Option<&Arc<CallerToken>>,
    ) -> Result<Option<(Listed, Source)>, McpError> {
        let _admitted = match self.admit() {
            // Whoever asks in any case is not kept away.
            Err(_) if again => None,
            admitted => Some(admitted?),
        };
        if !self.is_left_to_callers() {
            match self.list_shared(deadline, again).await {
                Err(error @ McpError::Unauthorized { .. }) if self.may_leave_to_callers() => {
                    self.leave_to_callers(&error);
                }
                listed => return listed,
            }
        }
        let Some(token) = token.filter(|token| self.refusal(Some(token)).is_none()) else {
            self.with_listing(Listing::wait_for_caller);
            return Ok(None);
        };
        let mut cx = CallContext::within(self.options().connect_timeout);
        cx.deadline = deadline;
        self.in_time(deadline, self.list_on_own(token, &cx)).await.map(|listed| Some((listed, BY_CALLER)))
    }

    async fn list_shared(&self, deadline: Instant, again: bool) -> Result<Option<(Listed, Source)>, McpError> {
        let connection = self.connected(&self.shared, deadline).await?;
        let source = connection.source();
        if !again && self.with_listing(|listing| listing.is_of(source)) {
            return Ok(None);
        }
        let mut cx = CallContext::within(self.options().connect_timeout);
        cx.deadline = deadline;
        let listed = self.in_time(deadline, connection.transport.list_everything(&self.name, &cx)).await;
        self.learn(&connection, listed.as_ref().err());
        Ok(Some((listed?, source)))
    }

    async fn in_time<T>(
        &self,
        deadline: Instant,
        work: impl Future<Output = Result<T, McpError>>,
    ) -> Result<T, McpError> {
        let started = Instant::now();
        let late = |_| Err(McpError::Timeout { after_ms: millis(started.elapsed()) });
        timeout_at(deadline, guarded(work)).await.unwrap_or_else(late)
    }

    /// What its tender needs to know.
    pub(super) fn condition(&self) -> Condition {
        let mut link = self.present().map(|connection| connection.link(&self.name));
        if let Some(link) = link.as_mut().filter(|_| self.hearers.has_any(None)) {
            // Whoever wants to be told uses it.
            link.idle_since = None;
        }
        self.with_listing(|listing| Condition {
            look_at: self.with_breaker(|breaker| breaker.look_at(Instant::now())),
            refresh_at: listing.refresh_at,
            is_asleep: listing.is_asleep,
            is_listed: link.map_or(listing.is_listed(), |link| listing.is_of(link.source)),
            was_listed: listing.is_listed(),
            link,
        })
    }

    /// How often it had other things to offer than before.
    pub(super) fn version(&self) -> u64 {
        self.with_listing(|listing| listing.version)
    }

    /// Has somebody look after the server from now on.
    fn tend(&self) {
        if !self.is_tended.swap(true, SeqCst) {
            let tending = tend(self.me.clone(), self.woken.clone());
            self.tasks.spawn(self.gone.clone().run_until_cancelled_owned(tending));
        }
    }

    fn with_listing<T>(&self, change: impl FnOnce(&mut Listing) -> T) -> T {
        change(&mut self.listing.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn with_breaker<T>(&self, change: impl FnOnce(&mut Breaker) -> T) -> T {
        change(&mut self.breaker.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.hearers.lose_all();
        self.gone.cancel();
    }
}

fn resting(fault: &McpError, wait: Duration) -> McpError {
    McpError::Resting { reason: fault.to_string(), retry_after_ms: millis(wait).max(1) }
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
