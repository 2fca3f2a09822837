//! Sessions of clients older than 2026-07-28: so many and no more, and each for whoever began it.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use futures::Stream;
use omni_core::{config::GatewayConfig, gateway};
use rmcp::{
    model::{ClientJsonRpcMessage, ClientNotification, CustomNotification, ServerJsonRpcMessage},
    transport::streamable_http_server::{
        SessionId, SessionManager,
        session::{
            ServerSseMessage,
            local::{LocalSessionManager, LocalSessionManagerError},
        },
    },
};

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::{caller::Caller, error::ApiError};

/// After how many parts of its idle time a session is kept alive by a request that did not pass its transport.
const PARTS_OF_IDLE: u32 = 4;
/// What keeps a session alive: rmcp's sessions live by what passes them, and this means nothing to them.
const ALIVE: &str = "notifications/omni/alive";

tokio::task_local! {
    /// Who sent the request that is served now.
    static OWNER: Owner;
}

/// Whose a session is, and what its client can.
#[derive(Clone)]
pub(super) struct Owner {
    who: gateway::Owner,
    /// Whether the client can be asked nothing, where the request says what it can.
    is_plain: bool,
}

impl Owner {
    pub(super) fn of(caller: &Caller) -> Self {
        Self { who: gateway::Owner::of(caller.principal(), &caller.credential(None)), is_plain: false }
    }

    /// The same whose client can be asked nothing.
    pub(super) fn plain(self, is_plain: bool) -> Self {
        Self { is_plain, ..self }
    }

    /// Runs what this one asked for.
    pub(super) async fn scope<T>(self, work: impl Future<Output = T>) -> T {
        OWNER.scope(self, work).await
    }
}

impl PartialEq for Owner {
    fn eq(&self, other: &Self) -> bool {
        self.who == other.who
    }
}

/// A session, as a request finds it.
#[derive(Debug, Clone)]
pub(super) struct Stay {
    /// Whether its client can be asked nothing, and did not ask for logs.
    pub(super) is_plain: bool,
    id: SessionId,
    is_quiet: bool,
}

/// What is known of a session.
struct Known {
    owner: Owner,
    is_plain: bool,
    touched: Instant,
    /// What runs outside its transport, by the client's own names.
    running: HashMap<String, CancellationToken>,
}

/// A request that runs outside the transport of its session.
pub(super) struct Running {
    sessions: Arc<Sessions>,
    session: SessionId,
    id: String,
    given_up: CancellationToken,
}

impl Running {
    /// Ends when the client does not wait any more.
    pub(super) fn given_up(&self) -> &CancellationToken {
        &self.given_up
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(known) = self.sessions.known().get_mut(&self.session) {
            known.running.remove(&self.id);
        }
    }
}

/// The sessions of one endpoint.
pub(super) struct Sessions {
    local: LocalSessionManager,
    known: Mutex<HashMap<SessionId, Known>>,
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
        Self { local, known: Mutex::default(), idle: config.session_idle, most, most_each: (most / 4).max(1) }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.known().is_empty()
    }

    /// Whether a session is there, for this one.
    pub(super) fn belongs(&self, id: &str, owner: &Owner) -> bool {
        self.known().get(id).is_some_and(|known| known.owner == *owner)
    }

    /// A session that is there, for this one.
    pub(super) fn find(&self, id: &str, owner: &Owner) -> Option<Stay> {
        let known = self.known();
        let (id, known) = known.get_key_value(id).filter(|(_, known)| known.owner == *owner)?;
        let is_quiet = known.touched.elapsed() >= self.idle / PARTS_OF_IDLE;
        Some(Stay { is_plain: known.is_plain, id: id.clone(), is_quiet })
    }

    /// A client that sets the level of what is logged wants to hear it, in the order in which it comes.
    pub(super) fn wants_logs(&self, stay: &Stay) {
        if let Some(known) = self.known().get_mut(&stay.id) {
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
        if let Some(known) = self.known().get_mut(&stay.id) {
            known.touched = Instant::now();
        }
        let alive = ClientNotification::CustomNotification(CustomNotification::new(ALIVE, None));
        self.local.accept_message(&stay.id, ClientJsonRpcMessage::notification(alive)).await.is_ok()
    }

    /// A request runs outside the transport of its session.
    pub(super) fn runs(self: &Arc<Self>, stay: &Stay, id: &Value) -> Running {
        let (token, id) = (CancellationToken::new(), id.to_string());
        if let Some(known) = self.known().get_mut(&stay.id) {
            known.running.insert(id.clone(), token.clone());
        }
        Running { sessions: self.clone(), session: stay.id.clone(), id, given_up: token }
    }

    /// The client does not wait any more for a request that it names.
    pub(super) fn give_up(&self, stay: &Stay, id: &Value) {
        let running = self.known().get(&stay.id).and_then(|known| known.running.get(&id.to_string()).cloned());
        if let Some(running) = running {
            running.cancel();
        }
    }

    /// Whether another session may begin.
    pub(super) fn check_room(&self, owner: &Owner) -> Result<(), ApiError> {
        let known = self.known();
        if known.len() >= self.most {
            return Err(ApiError::no_session("there are too many sessions; one has to end before another begins"));
        }
        if known.values().filter(|known| known.owner == *owner).count() >= self.most_each {
            return Err(ApiError::no_session("you have too many sessions; end one before you begin another"));
        }
        Ok(())
    }

    fn known(&self) -> MutexGuard<'_, HashMap<SessionId, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the request that is served now may know a session; the sessions' own tasks may.
    fn is_theirs(&self, id: &SessionId) -> bool {
        OWNER.try_with(|owner| self.belongs(id, owner)).unwrap_or(true)
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions").field("live", &self.known().len()).field("most", &self.most).finish_non_exhaustive()
    }
}

impl SessionManager for Sessions {
    type Error = LocalSessionManagerError;
    type Transport = <LocalSessionManager as SessionManager>::Transport;

    async fn create_session(&self) -> Result<(SessionId, Self::Transport), Self::Error> {
        let (id, transport) = self.local.create_session().await?;
        if let Ok(owner) = OWNER.try_with(Clone::clone) {
            let (is_plain, touched) = (owner.is_plain, Instant::now());
            self.known().insert(id.clone(), Known { owner, is_plain, touched, running: HashMap::new() });
        }
        Ok((id, transport))
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
        let ended = self.known().remove(id);
        // What still runs for it has nobody to tell.
        ended.iter().flat_map(|known| known.running.values()).for_each(CancellationToken::cancel);
        self.local.close_session(id).await
    }

    async fn create_stream(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Self::Error> {
        self.local.create_stream(id, message).await
    }

    async fn accept_message(&self, id: &SessionId, message: ClientJsonRpcMessage) -> Result<(), Self::Error> {
        self.local.accept_message(id, message).await
    }

    async fn create_standalone_stream(
        &self,
        id: &SessionId,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Self::Error> {
        self.local.create_standalone_stream(id).await
    }

    async fn resume(
        &self,
        id: &SessionId,
        last_event_id: String,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Self::Error> {
        self.local.resume(id, last_event_id).await
    }
}
