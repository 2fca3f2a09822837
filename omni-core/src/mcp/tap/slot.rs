//! What one request wants to be told, and the requests that wait.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, OnceLock, PoisonError, Weak},
};

use http::HeaderMap;
use rmcp::model::{ProgressToken, RequestId};
use serde_json::value::RawValue;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    identity::Principal,
    mcp::{CallContext, McpError, Nobody, Peer, ProgressFn},
};

/// What one request wants to be told; travels with it as an extension, never on the wire.
#[derive(Clone, Default)]
pub(in crate::mcp) struct Slot(pub(super) Arc<SlotInner>);

pub(super) struct SlotInner {
    pub(super) answer: OnceLock<Result<Box<RawValue>, McpError>>,
    pub(super) progress: Option<ProgressFn>,
    #[cfg_attr(not(feature = "mcp-http"), allow(dead_code, reason = "only HTTP has headers"))]
    headers: HeaderMap,
    deadline: Option<Instant>,
    /// Whether rmcp must see the result too, since it learns from it.
    pub(super) typed: bool,
    peer: Arc<dyn Peer>,
    /// On whose behalf it is; `None` for omni's own.
    pub(super) principal: Option<Principal>,
    /// Ends when nobody waits for the request any more.
    ended: Ended,
    /// The last event of the stream on which the answer comes: by it the stream goes on when it breaks.
    #[cfg_attr(not(feature = "mcp-http"), allow(dead_code, reason = "only HTTP has such streams"))]
    last_event: Mutex<Option<String>>,
}

impl Default for SlotInner {
    fn default() -> Self {
        Self {
            answer: OnceLock::new(),
            progress: None,
            headers: HeaderMap::new(),
            deadline: None,
            typed: false,
            peer: Arc::new(Nobody),
            principal: None,
            ended: Ended::default(),
            last_event: Mutex::default(),
        }
    }
}

/// Ends with the last who waits.
#[derive(Default)]
struct Ended(CancellationToken);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// Whom a server's question reaches, and for how long.
pub(in crate::mcp) struct Asked {
    pub(in crate::mcp) peer: Arc<dyn Peer>,
    pub(in crate::mcp) deadline: Instant,
    /// Ends when nobody waits for the answer any more.
    pub(in crate::mcp) ended: CancellationToken,
}

impl Slot {
    pub(in crate::mcp) fn new(cx: &CallContext, headers: HeaderMap, typed: bool) -> Self {
        Self(Arc::new(SlotInner {
            progress: cx.progress.clone(),
            headers,
            deadline: Some(cx.latest()),
            typed,
            peer: cx.peer.clone(),
            principal: cx.principal.clone(),
            ..SlotInner::default()
        }))
    }

    /// The result as it came, or what was wrong with the answer, once there was one.
    pub(in crate::mcp) fn answer(&self) -> Option<Result<Box<RawValue>, McpError>> {
        self.0.answer.get().cloned()
    }

    /// When nobody waits any more.
    #[cfg(feature = "mcp-http")]
    pub(in crate::mcp) fn deadline(&self) -> Option<Instant> {
        self.0.deadline
    }

    /// Headers of the caller's own credentials.
    #[cfg(feature = "mcp-http")]
    pub(in crate::mcp) fn headers(&self) -> &HeaderMap {
        &self.0.headers
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Headers are credentials.
        f.debug_struct("Slot").field("answered", &self.0.answer.get().is_some()).finish_non_exhaustive()
    }
}

impl SlotInner {
    pub(super) fn asked(&self) -> Option<Asked> {
        let (peer, ended) = (self.peer.clone(), self.ended.0.clone());
        self.deadline.map(|deadline| Asked { peer, deadline, ended })
    }

    #[cfg(feature = "mcp-http")]
    pub(super) fn remember(&self, event: &str) {
        *self.last_event.lock().unwrap_or_else(PoisonError::into_inner) = Some(event.to_owned());
    }

    #[cfg(feature = "mcp-http")]
    fn is_at(&self, event: &str) -> bool {
        self.last_event.lock().unwrap_or_else(PoisonError::into_inner).as_deref() == Some(event)
    }
}

/// The requests that wait for an answer.
#[derive(Default)]
pub(super) struct Waiting {
    pub(super) by_id: HashMap<RequestId, Weak<SlotInner>>,
    pub(super) by_token: HashMap<ProgressToken, Weak<SlotInner>>,
}

impl Waiting {
    /// Requests that were given up before they got their id leave entries behind.
    pub(super) fn prune(&mut self) {
        const MANY: usize = 1_024;
        if self.by_id.len() > MANY {
            self.by_id.retain(|_, slot| slot.strong_count() > 0);
            self.by_token.retain(|_, slot| slot.strong_count() > 0);
        }
    }

    /// The only request that waits, if there is only one.
    pub(super) fn sole(&self) -> Option<Arc<SlotInner>> {
        let mut waiting = self.by_id.values().filter_map(Weak::upgrade).filter(|slot| slot.answer.get().is_none());
        let sole = waiting.next()?;
        waiting.next().is_none().then_some(sole)
    }

    /// The request whose stream broke off after an event.
    #[cfg(feature = "mcp-http")]
    pub(super) fn at(&self, event: &str) -> Option<RequestId> {
        let is_at = |slot: &Weak<SlotInner>| slot.upgrade().is_some_and(|slot| slot.is_at(event));
        self.by_id.iter().find(|(_, slot)| is_at(slot)).map(|(id, _)| id.clone())
    }
}
