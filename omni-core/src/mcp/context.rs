//! On whose behalf a request is made, and within what bounds.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use tokio::time::{Instant, error::Elapsed, timeout_at};

use super::{McpError, Nobody, Peer, thinking::Thinking};
use crate::{
    clock,
    identity::{CallerToken, Principal},
};

/// How long it is at the least until it is looked at again whether a server's time is over that stood still.
const LOOK: Duration = Duration::from_millis(100);

/// Progress that a server reports of a call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Progress {
    /// How far it is.
    pub progress: f64,
    /// How far it will go.
    pub total: Option<f64>,
    /// What it is doing.
    pub message: Option<String>,
}

impl Progress {
    /// Progress.
    #[must_use]
    pub fn new(progress: f64, total: Option<f64>, message: Option<String>) -> Self {
        Self { progress, total, message }
    }
}

/// Receives progress of a call. Called on the transport's task: must not block.
pub type ProgressFn = Arc<dyn Fn(Progress) + Send + Sync>;

/// On whose behalf a request is made, and within what bounds.
#[derive(Clone)]
#[non_exhaustive]
pub struct CallContext {
    /// On whose behalf; `None` for omni's own requests, such as discovery.
    pub principal: Option<Principal>,
    /// When the answer is no longer wanted. Where the pool gives a server less time than its caller has, time during
    /// which a question of the server's is open does not count.
    pub deadline: Instant,
    /// Where progress goes.
    pub progress: Option<ProgressFn>,
    /// Who is behind the call.
    pub peer: Arc<dyn Peer>,
    /// The token with which whoever calls came; the pool shows it to servers alone that are used with it.
    pub(crate) token: Option<Arc<CallerToken>>,
    /// Headers of this caller's own credentials at the server. Those with which a connection is made go along with
    /// all that is sent on it.
    pub credentials: Option<BTreeMap<String, secrecy::SecretString>>,
    /// W3C trace context to send along.
    pub trace: Option<String>,
    /// Whether the server takes the call as a task only (2025-11-25).
    pub(super) as_task: bool,
    /// Whether it may be sent once only, whatever is known of the tool.
    pub(crate) once: bool,
    /// Whether arguments of the call may be HTTP headers too (2026-07-28).
    #[cfg_attr(not(feature = "mcp-http"), allow(dead_code, reason = "only HTTP has headers"))]
    pub(super) has_param_headers: bool,
    /// How long questions of the server's took, where that does not count.
    thinking: Option<Arc<Thinking>>,
}

impl CallContext {
    /// Refuses a connection with a caller's own credentials, for transports that have omni's own alone.
    pub(super) fn must_be_shared(&self) -> Result<(), McpError> {
        if self.credentials.is_none() { Ok(()) } else { Err(Self::only_over_http()) }
    }

    /// A connection of another kind would be everybody's.
    pub(super) fn only_over_http() -> McpError {
        let message = "a caller's token is passed on over streamable HTTP only";
        McpError::Unauthorized { message: message.into() }
    }

    /// A request of omni's own that must be answered within `timeout`.
    #[must_use]
    pub fn within(timeout: Duration) -> Self {
        Self {
            principal: None,
            deadline: clock::from_now(timeout),
            progress: None,
            peer: Arc::new(Nobody),
            token: None,
            credentials: None,
            trace: None,
            as_task: false,
            once: false,
            has_param_headers: false,
            thinking: None,
        }
    }

    /// The same on somebody's behalf.
    #[must_use]
    pub fn with_principal(mut self, principal: Principal) -> Self {
        self.principal = Some(principal);
        self
    }

    /// The same by somebody who came with a token.
    #[must_use]
    pub(crate) fn with_token(mut self, token: Option<Arc<CallerToken>>) -> Self {
        self.token = token;
        self
    }

    /// The same with somebody behind the call whom the server may ask.
    #[must_use]
    pub fn with_peer(mut self, peer: Arc<dyn Peer>) -> Self {
        self.peer = peer;
        self
    }

    /// The same of a call that its server takes as a task only.
    pub(super) fn with_task(mut self) -> Self {
        self.as_task = true;
        self
    }

    /// The same of a call whose tool may want arguments as headers too.
    pub(super) fn with_param_headers(mut self) -> Self {
        self.has_param_headers = true;
        self
    }

    /// The same of a request whose server has so much time of its own: what whoever is behind the request takes to
    /// answer its questions is not of it.
    pub(super) fn with_own_time(mut self, timeout: Duration) -> Self {
        let latest = self.deadline;
        self.deadline = latest.min(clock::from_now(timeout));
        if self.deadline < latest && !self.peer.can().is_empty() {
            let thinking = Arc::new(Thinking::of(self.peer, latest));
            self.peer = thinking.clone();
            self.thinking = Some(thinking);
        }
        self
    }

    /// When nobody waits for the answer any more, whatever is asked in between.
    pub(super) fn latest(&self) -> Instant {
        self.thinking.as_ref().map_or(self.deadline, |thinking| thinking.latest())
    }

    /// When the server's time is over, as it looks now.
    pub(super) fn until(&self) -> Instant {
        self.thinking.as_ref().map_or(self.deadline, |thinking| thinking.put_off(self.deadline))
    }

    /// Whether a question of the server's was open when nobody waited any more.
    pub(super) fn is_unanswered(&self) -> bool {
        self.thinking.as_ref().is_some_and(|thinking| thinking.is_unanswered())
    }

    /// What comes of `work`, if that comes before the server's time is over, and `grace` after it.
    pub(super) async fn in_time<F>(&self, grace: Duration, mut work: F) -> Result<F::Output, Elapsed>
    where
        F: Future + Unpin,
    {
        let mut look = self.until() + grace;
        loop {
            let over = match timeout_at(look, &mut work).await {
                Ok(done) => return Ok(done),
                Err(over) => over,
            };
            let (now, until) = (Instant::now(), self.until() + grace);
            if until <= now {
                return Err(over);
            }
            // While a question is open that is put off again and again.
            look = until.max(now + LOOK).min(self.latest() + grace);
        }
    }

    /// The same with progress reports.
    #[must_use]
    pub fn with_progress(mut self, progress: ProgressFn) -> Self {
        self.progress = Some(progress);
        self
    }
}

impl fmt::Debug for CallContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallContext")
            .field("principal", &self.principal.as_ref().map(|p| &p.subject))
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}
