//! Sessions of clients older than 2026-07-28: so many and no more, and each for whoever began it.

use std::{
    collections::HashMap,
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use futures::Stream;
use omni_core::{ExposeSecret as _, SecretString, config::GatewayConfig};
use rmcp::{
    model::{ClientJsonRpcMessage, ServerJsonRpcMessage},
    transport::streamable_http_server::{
        SessionId, SessionManager,
        session::{
            ServerSseMessage,
            local::{LocalSessionManager, LocalSessionManagerError},
        },
    },
};

use crate::{caller::Caller, error::ApiError};

tokio::task_local! {
    /// Who sent the request that is served now.
    static OWNER: Owner;
}

/// Whose a session is: a person by one channel, and by one key where it is a key.
#[derive(Clone)]
pub(super) struct Owner {
    tenant: String,
    subject: String,
    actor: Option<String>,
    via: omni_core::identity::Via,
    key: Option<SecretString>,
}

impl Owner {
    pub(super) fn of(caller: &Caller) -> Self {
        let principal = caller.principal();
        Self {
            tenant: principal.tenant.clone(),
            subject: principal.subject.clone(),
            actor: principal.actor.clone(),
            via: principal.via,
            key: caller.key().cloned(),
        }
    }

    /// Runs what this one asked for.
    pub(super) async fn scope<T>(self, work: impl Future<Output = T>) -> T {
        OWNER.scope(self, work).await
    }
}

impl PartialEq for Owner {
    fn eq(&self, other: &Self) -> bool {
        let key = |owner: &Self| owner.key.as_ref().map(|key| key.expose_secret().to_owned());
        (&self.tenant, &self.subject, &self.actor, self.via) == (&other.tenant, &other.subject, &other.actor, other.via)
            && key(self) == key(other)
    }
}

/// The sessions of one endpoint.
pub(super) struct Sessions {
    local: LocalSessionManager,
    owners: Mutex<HashMap<SessionId, Owner>>,
    most: usize,
    /// How many one owner may have, so that nobody takes everybody's.
    most_each: usize,
}

impl Sessions {
    pub(super) fn new(config: &GatewayConfig) -> Self {
        let mut local = LocalSessionManager::default();
        local.session_config.keep_alive = Some(config.session_idle);
        let most = config.max_sessions;
        Self { local, owners: Mutex::default(), most, most_each: (most / 4).max(1) }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.owners().is_empty()
    }

    /// Whether a session is there, for this one.
    pub(super) fn belongs(&self, id: &str, owner: &Owner) -> bool {
        self.owners().get(id).is_some_and(|own| own == owner)
    }

    /// Whether another session may begin.
    pub(super) fn check_room(&self, owner: &Owner) -> Result<(), ApiError> {
        let owners = self.owners();
        if owners.len() >= self.most {
            return Err(ApiError::no_session("there are too many sessions; one has to end before another begins"));
        }
        if owners.values().filter(|own| *own == owner).count() >= self.most_each {
            return Err(ApiError::no_session("you have too many sessions; end one before you begin another"));
        }
        Ok(())
    }

    fn owners(&self) -> MutexGuard<'_, HashMap<SessionId, Owner>> {
        self.owners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the request that is served now may know a session; the sessions' own tasks may.
    fn is_theirs(&self, id: &SessionId) -> bool {
        OWNER.try_with(|owner| self.belongs(id, owner)).unwrap_or(true)
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions").field("live", &self.owners().len()).field("most", &self.most).finish_non_exhaustive()
    }
}

impl SessionManager for Sessions {
    type Error = LocalSessionManagerError;
    type Transport = <LocalSessionManager as SessionManager>::Transport;

    async fn create_session(&self) -> Result<(SessionId, Self::Transport), Self::Error> {
        let (id, transport) = self.local.create_session().await?;
        if let Ok(owner) = OWNER.try_with(Clone::clone) {
            self.owners().insert(id.clone(), owner);
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
        self.owners().remove(id);
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
