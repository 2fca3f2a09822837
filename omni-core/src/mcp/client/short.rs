//! Calls that pass rmcp by: see the transport that has such a way.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use async_trait::async_trait;
use rmcp::model::RequestId;
use serde::Deserialize;
use serde_json::{Map, Value, value::RawValue};

use super::{Client, Guard, HEADER_MISMATCH, request};
use crate::mcp::{
    CallContext, McpError, McpReply, McpRequest,
    tap::{Reach, Slot},
};

/// A call of a tool, on behalf of somebody who can be asked nothing.
pub(in crate::mcp) struct ShortCall<'a> {
    pub(in crate::mcp) params: &'a RawValue,
    /// What goes along in `_meta`.
    pub(in crate::mcp) meta: BTreeMap<String, Value>,
    pub(in crate::mcp) slot: &'a Slot,
    /// Whether the server is spoken to as since 2026-07-28.
    pub(in crate::mcp) is_modern: bool,
    /// Whether arguments of it may be headers too.
    pub(in crate::mcp) has_param_headers: bool,
}

impl ShortCall<'_> {
    /// The name of the tool.
    pub(in crate::mcp) fn tool(&self) -> Option<String> {
        #[derive(Deserialize)]
        struct Named {
            name: String,
        }
        serde_json::from_str::<Named>(self.params.get()).ok().map(|named| named.name)
    }
}

/// How calls are made without rmcp.
#[async_trait]
pub(in crate::mcp) trait ShortWay: Send + Sync {
    /// Whether it is known to lead anywhere.
    fn is_open(&self) -> bool;

    /// Whether a call can be made like this.
    fn takes(&self, call: &ShortCall<'_>) -> bool;

    /// It does not lead everywhere: from now on calls pass rmcp.
    fn close(&self);

    /// An id that no other request of the connection has.
    fn next_id(&self) -> RequestId;

    /// Makes a call; its result, as it came.
    async fn call(&self, id: &RequestId, call: ShortCall<'_>) -> Result<Box<RawValue>, McpError>;
}

impl Client {
    /// The same with a way by which calls pass rmcp by.
    pub(in crate::mcp) fn with_short_way(mut self, short: Arc<dyn ShortWay>) -> Self {
        self.short = Some(short);
        self
    }

    /// The answer to a call that may go the short way; `None` where it has to go the other one.
    pub(super) async fn short_exchange(
        &self,
        request: &McpRequest,
        cx: &CallContext,
    ) -> Option<Result<McpReply, McpError>> {
        let short = self.short.as_ref().filter(|short| short.is_open())?;
        let params = request.params.as_deref().filter(|_| request.method == "tools/call")?;
        if cx.progress.is_some() || !cx.peer.can().is_empty() || matches!(self.tap.reach(), Reach::Own(_)) {
            return None;
        }
        let slot = match request::headers(cx) {
            Ok(headers) => Slot::new(cx, headers, false),
            Err(error) => return Some(Err(error)),
        };
        let meta: Map<String, Value> = request::extra(cx, self.modern);
        let (meta, is_modern) = (meta.into_iter().collect(), self.modern);
        let call = ShortCall { params, meta, slot: &slot, is_modern, has_param_headers: cx.has_param_headers };
        if !short.takes(&call) {
            return None;
        }
        let id = short.next_id();
        self.tap.waits(&id, &slot);
        let mut guard = Guard { client: self, id: id.clone(), token: None, done: false };
        let answer = short.call(&id, call).await;
        guard.done = true;
        match answer {
            // It did not run: a header is wanted that only rmcp makes.
            Err(McpError::Rpc { code: HEADER_MISMATCH, .. }) if self.modern => {
                short.close();
                self.listed.store(false, Relaxed);
                None
            }
            answer => Some(answer.and_then(request::reply)),
        }
    }
}
