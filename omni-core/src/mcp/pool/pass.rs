//! What passes through the pool as it is: for whoever speaks MCP to omni.

use std::sync::Arc;

use serde_json::value::RawValue;

use super::{Hearing, LogLevel, Pool, Subscription, within_own_time};
use crate::{
    identity::CallerToken,
    mcp::{CallContext, McpError, McpReply, McpRequest, Sharing, params},
};

/// Methods that change nothing at a server, so that they may be repeated.
const READS: [&str; 5] = ["prompts/get", "resources/read", "completion/complete", "tasks/get", "logging/setLevel"];

impl Pool {
    /// Makes a request other than a tool's call: `prompts/get`, `resources/read`, `completion/complete`,
    /// `tasks/get` and the like. Takes permit, deadline and reconnection as [`Pool::call`] does.
    ///
    /// # Errors
    /// An [`McpError`].
    pub async fn request(&self, server: &str, request: McpRequest, cx: &CallContext) -> Result<McpReply, McpError> {
        let server = self.enabled(server)?;
        let cx = within_own_time(server, cx);
        let params = request.params.as_deref().map(params::without_meta_of_others).transpose()?;
        let request = McpRequest { params, ..request };
        let is_read = READS.contains(&&*request.method);
        let once = || server.request(request.clone(), &cx);
        self.attempts(server, &request.method, cx.deadline, || is_read, once).await
    }

    /// Why nothing is sent to a server on behalf of somebody with this token, in a sentence; `None` where it may be.
    pub(crate) fn refusal(&self, server: &str, token: Option<&CallerToken>) -> Option<String> {
        self.shared.servers.get(server)?.refusal(token)
    }

    /// Whether any server is used with callers' own tokens.
    pub(crate) fn takes_tokens(&self) -> bool {
        self.shared.servers.values().any(|server| server.options().sharing != Sharing::Shared)
    }

    /// Has a server log from this level on, now and on connections to come, unless it does so already.
    pub(crate) async fn log_from(&self, server: &str, level: LogLevel, cx: &CallContext) -> Result<(), McpError> {
        self.enabled(server)?.log_from(level, cx).await
    }

    /// Tells `hearing` when what a resource holds changes, from now on and for as long as the subscription lives:
    /// after the server was lost and is back as well, and then once because of that. The last subscription that ends
    /// unsubscribes.
    ///
    /// # Errors
    /// An [`McpError`]; so where 1,000 resources of the server are told of already, or 250 to whoever wants this one.
    pub async fn subscribe(
        &self,
        server: &str,
        uri: &str,
        hearing: &Arc<Hearing>,
        cx: &CallContext,
    ) -> Result<Subscription, McpError> {
        let server = self.enabled(server)?;
        let cx = within_own_time(server, cx);
        let once = || server.subscribe(uri, hearing, &cx);
        self.attempts(server, "resources/subscribe", cx.deadline, || true, once).await
    }

    /// Calls a tool with all of the parameters of a `tools/call`, and gives its result as the server sent
    /// it. `params.name` is replaced by `tool`; `arguments`, `_meta`, `task`, `inputResponses` and
    /// `requestState` go along. What a server wants in between is handed through to a peer that takes
    /// it, and answered by any other.
    ///
    /// # Errors
    /// An [`McpError`]. A tool that says it failed is an `Ok`.
    pub async fn call_raw(
        &self,
        server: &str,
        tool: &str,
        params: &RawValue,
        cx: &CallContext,
    ) -> Result<McpReply, McpError> {
        let server = self.enabled(server)?;
        let cx = within_own_time(server, cx);
        server.lets_call(tool)?;
        let params = params::of_call(tool, params)?;
        let request = McpRequest::new("tools/call", Some(params));
        let once = || server.call_raw(tool, request.clone(), &cx);
        self.attempts(server, tool, cx.deadline, || !cx.once && self.is_harmless(server, tool), once).await
    }
}
