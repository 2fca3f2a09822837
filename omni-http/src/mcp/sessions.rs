//! Sessions of clients older than 2026-07-28: so many and no more, each for whoever began it, and for as long as its
//! client uses it.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use futures::{Stream, StreamExt as _};
use omni_core::{config::GatewayConfig, gateway::Newest, identity::Holder};
use rmcp::{
    model::{ClientJsonRpcMessage, ClientNotification, CustomNotification, RequestId, ServerJsonRpcMessage},
    transport::streamable_http_server::{
        SessionId, SessionManager,
        session::{
            ServerSseMessage,
            local::{LocalSessionManager, LocalSessionManagerError},
        },
    },
};

use serde::Deserialize as _;
use serde_json::Value;
use tokio::{select, time::sleep};
use tokio_util::sync::CancellationToken;

use crate::{caller::Caller, error::ApiError};

mod used;
mod watched;

use used::{Held, Used};
use watched::Watched;

/// After how many parts of its idle time a session is kept alive by a request that did not pass its transport.
const PARTS_OF_IDLE: u32 = 4;
/// The least time after which that is done again.
const ALIVE_AFTER: Duration = Duration::from_millis(100);
/// What keeps a session alive: rmcp's sessions live by what passes them, and this means nothing to them.
const ALIVE: &str = "notifications/omni/alive";

tokio::task_local! {
    /// Who sent the request that is served now.
    static OWNER: Owner;
}

/// Whose a session is, and what is known of it before it is there.
#[derive(Clone)]
pub(super) struct Owner {
    holder: Holder,
    newest: Newest,
    /// Whether the client can be asked nothing, where the request says what it can.
    is_plain: bool,
    /// The place that is kept for it.
    place: Option<Arc<Place>>,
}

impl Owner {
    pub(super) fn of(caller: &Caller) -> Self {
        Self { holder: caller.holder(), newest: Newest::default(), is_plain: false, place: None }
    }

    /// The same whose client can be asked nothing, with a place that is kept for a session.
    pub(super) fn begins(self, is_plain: bool, newest: Newest, place: Place) -> Self {
        Self { is_plain, newest, place: Some(Arc::new(place)), ..self }
    }

    /// Runs what this one asked for.
    pub(super) async fn scope<T>(self, work: impl Future<Output = T>) -> T {
        OWNER.scope(self, work).await
    }
}

/// A session, as a request finds it.
#[derive(Debug, Clone)]
pub(super) struct Stay {
    /// Who sent its newest message.
    pub(super) newest: Newest,
    /// Whether its client can be asked nothing, and did not ask for logs.
    pub(super) is_plain: bool,
    id: SessionId,
    is_quiet: bool,
}

/// What is known of a session.
struct Known {
    holder: Holder,
    newest: Newest,
    is_plain: bool,
    touched: Instant,
    used: Arc<Used>,
    /// What runs outside its transport, each with the client's own name of it. A client should use a name once; of one
    /// that does not, each request is one by itself.
    running: HashMap<u64, (String, CancellationToken)>,
}

/// All sessions, and places that are kept for those that begin.
#[derive(Default)]
struct Table {
    known: HashMap<SessionId, Known>,
    kept: HashMap<u64, Holder>,
    numbers: u64,
}

impl Table {
    /// A number that nothing else has.
    fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    /// Frees the places of sessions that nobody uses any more; they end by themselves.
    fn sweep(&mut self) {
        let now = Instant::now();
        self.known.retain(|_, known| !known.used.ends_if_abandoned(now));
    }
}

/// A place for a session that begins: nobody else takes it meanwhile. It is free again with this value.
pub(super) struct Place {
    sessions: Arc<Sessions>,
    number: u64,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.sessions.table().kept.remove(&self.number);
    }
}

/// A request that runs outside the transport of its session.
pub(super) struct Running {
    sessions: Arc<Sessions>,
    session: SessionId,
    number: u64,
    given_up: CancellationToken,
    _held: Option<Held>,
}

impl Running {
    /// Keeps its session alive until the client does not wait for it any more.
    pub(super) async fn until_given_up(self) {
        select! {
            () = self.given_up.cancelled() => {}
            () = self.keeps_alive() => {}
        }
    }

    async fn keeps_alive(&self) {
        let pause = (self.sessions.idle / PARTS_OF_IDLE).max(ALIVE_AFTER);
        loop {
            sleep(pause).await;
            self.sessions.keep_alive(&self.session).await;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(known) = self.sessions.table().known.get_mut(&self.session) {
            known.running.remove(&self.number);
        }
    }
}

/// The sessions of one endpoint.
pub(super) struct Sessions {
    local: LocalSessionManager,
    table: Mutex<Table>,
    idle: Duration,
    most: usize,
    /// How many one owner may have, so that nobody takes everybody's.
    most_each: usize,
}

impl Sessions {
    pub(super) fn new(config: &GatewayConfig) -> Self {
        let mut local = LocalSessionManager::default();
        local.session_config.keep_alive = Some(config.session_idle);
        let most = config.max_sessions;
        Self { local, table: Mutex::default(), idle: config.session_idle, most, most_each: (most / 4).max(1) }
    }

    /// Whether there may be any; where there are none older clients are served request by request.
    pub(super) fn are_kept(&self) -> bool {
        self.most > 0
    }

    pub(super) fn is_empty(&self) -> bool {
        self.table().known.is_empty()
    }

    /// Whether a session is there, for this one.
    fn belongs(&self, id: &str, owner: &Owner) -> bool {
        self.table().known.get(id).is_some_and(|known| known.holder == owner.holder)
    }

    /// A session that is there, for this one, who uses it.
    pub(super) fn find(&self, id: &str, owner: &Owner) -> Option<Stay> {
        let table = self.table();
        let is_theirs = |known: &Known| known.holder == owner.holder && known.used.again();
        let (id, known) = table.known.get_key_value(id).filter(|(_, known)| is_theirs(known))?;
        let is_quiet = known.touched.elapsed() >= self.idle / PARTS_OF_IDLE;
        Some(Stay { newest: known.newest.clone(), is_plain: known.is_plain, id: id.clone(), is_quiet })
    }

    /// A client that sets the level of what is logged wants to hear it, in the order in which it comes.
    pub(super) fn wants_logs(&self, stay: &Stay) {
        if let Some(known) = self.table().known.get_mut(&stay.id) {
            known.is_plain = false;
        }
    }

    /// Keeps a session alive that is used outside its transport; whether it still is there.
    pub(super) async fn touch(&self, stay: &Stay) -> bool {
        if !self.local.has_session(&stay.id).await.unwrap_or(false) {
            return false;
        }
        if !stay.is_quiet {
            return true;
        }
        self.keep_alive(&stay.id).await
    }

    /// Keeps a session alive, if it still is there.
    async fn keep_alive(&self, id: &SessionId) -> bool {
        if let Some(known) = self.table().known.get_mut(id) {
            known.touched = Instant::now();
        }
        let alive = ClientNotification::CustomNotification(CustomNotification::new(ALIVE, None));
        self.local.accept_message(id, ClientJsonRpcMessage::notification(alive)).await.is_ok()
    }

    /// A request runs outside the transport of its session.
    pub(super) fn runs(self: &Arc<Self>, stay: &Stay, id: &Value) -> Running {
        let given_up = CancellationToken::new();
        let mut table = self.table();
        let number = table.number();
        let held = table.known.get_mut(&stay.id).map(|known| {
            known.running.insert(number, (id.to_string(), given_up.clone()));
            Held::of(&known.used)
        });
        drop(table);
        Running { sessions: self.clone(), session: stay.id.clone(), number, given_up, _held: held }
    }

    /// Whether a request of this name is in the session's transport, and has no answer yet.
    pub(super) fn waits_for(&self, stay: &Stay, id: &Value) -> bool {
        let Ok(id) = RequestId::deserialize(id) else { return false };
        self.table().known.get(&stay.id).is_some_and(|known| known.used.waits_for(&id))
    }

    /// The client does not wait any more for a request that it names.
    pub(super) fn give_up(&self, stay: &Stay, id: &Value) {
        let (table, id) = (self.table(), id.to_string());
        let running = table.known.get(&stay.id).into_iter().flat_map(|known| known.running.values());
        let named: Vec<_> = running.filter(|(own, _)| *own == id).map(|(_, token)| token.clone()).collect();
        drop(table);
        named.iter().for_each(CancellationToken::cancel);
    }

    /// Keeps a place for another session, if there is one for this owner.
    pub(super) fn reserve(self: &Arc<Self>, owner: &Owner) -> Result<Place, ApiError> {
        let mut table = self.table();
        table.sweep();
        if table.known.len() + table.kept.len() >= self.most {
            return Err(ApiError::full("there are too many sessions; one has to end before another begins"));
        }
        let holders = table.known.values().map(|known| &known.holder).chain(table.kept.values());
        if holders.filter(|holder| **holder == owner.holder).count() >= self.most_each {
            return Err(ApiError::full("you have too many sessions; end one before you begin another"));
        }
        let number = table.number();
        table.kept.insert(number, owner.holder.clone());
        drop(table);
        Ok(Place { sessions: self.clone(), number })
    }

    /// A stream of a session's, which is used while it is open.
    fn holding<S>(&self, id: &SessionId, stream: S) -> impl Stream<Item = S::Item> + 'static + use<S>
    where
        S: Stream + 'static,
    {
        let held = self.table().known.get(id).map(|known| Held::of(&known.used));
        stream.inspect(move |_| {
            let _lasts = &held;
        })
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the request that is served now may know a session; the sessions' own tasks may.
    fn is_theirs(&self, id: &SessionId) -> bool {
        OWNER.try_with(|owner| self.belongs(id, owner)).unwrap_or(true)
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions")
            .field("live", &self.table().known.len())
            .field("most", &self.most)
            .finish_non_exhaustive()
    }
}

impl SessionManager for Sessions {
    type Error = LocalSessionManagerError;
    type Transport = Watched<<LocalSessionManager as SessionManager>::Transport>;

    async fn create_session(&self) -> Result<(SessionId, Self::Transport), Self::Error> {
        let (id, transport) = self.local.create_session().await?;
        let used = Arc::new(Used::new(self.idle));
        if let Ok(owner) = OWNER.try_with(Clone::clone) {
            let Owner { holder, newest, is_plain, place } = owner;
            let (touched, used, running) = (Instant::now(), used.clone(), HashMap::new());
            let known = Known { holder, newest, is_plain, touched, used, running };
            let mut table = self.table();
            table.known.insert(id.clone(), known);
            // From here on the session itself takes the place.
            if let Some(place) = &place {
                table.kept.remove(&place.number);
            }
        }
        Ok((id, Watched::new(transport, used)))
    }

    async fn initialize_session(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<ServerJsonRpcMessage, Self::Error> {
        self.local.initialize_session(id, message).await
    }

    async fn has_session(&self, id: &SessionId) -> Result<bool, Self::Error> {
        Ok(self.is_theirs(id) && self.local.has_session(id).await?)
    }

    async fn close_session(&self, id: &SessionId) -> Result<(), Self::Error> {
        if !self.is_theirs(id) {
            return Err(LocalSessionManagerError::SessionNotFound(id.clone()));
        }
        let ended = self.table().known.remove(id);
        // What still runs for it has nobody to tell.
        ended.iter().flat_map(|known| known.running.values()).for_each(|(_, token)| token.cancel());
        self.local.close_session(id).await
    }

    async fn create_stream(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Self::Error> {
        Ok(self.holding(id, self.local.create_stream(id, message).await?))
    }

    async fn accept_message(&self, id: &SessionId, message: ClientJsonRpcMessage) -> Result<(), Self::Error> {
        self.local.accept_message(id, message).await
    }

    async fn create_standalone_stream(
        &self,
        id: &SessionId,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Self::Error> {
        Ok(self.holding(id, self.local.create_standalone_stream(id).await?))
    }

    async fn resume(
        &self,
        id: &SessionId,
        last_event_id: String,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Self::Error> {
        let replayed = self.local.resume(id, last_event_id.clone()).await?;
        // rmcp begins with the event that the client names: it has that, and a question in it is answered once. What
        // stays of it is where the client is, should the stream break again.
        let rest = replayed.map(move |mut event| {
            if event.event_id.as_ref() == Some(&last_event_id) {
                event.message = None;
            }
            event
        });
        Ok(self.holding(id, rest))
    }
}
