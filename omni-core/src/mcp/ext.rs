//! Comfort on top of [`McpTransport`].

use std::sync::Arc;

use async_trait::async_trait;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::{
    CallContext, Listed, McpError, McpReply, McpRequest, McpTransport, ToolOutput,
    client::protocol,
    content::{failure, from_wire},
    list, rounds,
};
use crate::catalog::ToolDef;

/// JSON-RPC: there is no such method.
pub(super) const METHOD_NOT_FOUND: i64 = -32_601;

/// The usual requests, typed.
#[async_trait]
pub trait McpTransportExt: McpTransport {
    /// All tools, from all pages; `server` is the name they are filed under. A tool that cannot be
    /// used (no name, a schema over 64 KiB, the second of its name) is left out with a warning; a
    /// server without tools has none.
    ///
    /// # Errors
    /// An [`McpError`].
    async fn list_tools(&self, server: &Arc<str>, cx: &CallContext) -> Result<Vec<ToolDef>, McpError>;

    /// Everything that it lists, from all pages: tools, and as far as it says that it has them prompts,
    /// resources and families of resources.
    ///
    /// # Errors
    /// An [`McpError`] of the list of tools. What else cannot be listed is left out with a warning.
    async fn list_everything(&self, server: &Arc<str>, cx: &CallContext) -> Result<Listed, McpError>;

    /// Calls a tool; text beyond `max_chars` is cut.
    ///
    /// # Errors
    /// An [`McpError`]. A tool that says it failed is an `Ok` with `is_error`.
    async fn call_tool(
        &self,
        tool: &str,
        arguments: &RawValue,
        max_chars: usize,
        cx: &CallContext,
    ) -> Result<ToolOutput, McpError>;
}

/// The parameters of a call. The arguments are the caller's bytes: a number that a float cannot hold stays what it is.
#[derive(Serialize)]
struct Call<'a> {
    name: &'a str,
    arguments: &'a RawValue,
}

#[async_trait]
impl<T: McpTransport + ?Sized> McpTransportExt for T {
    async fn list_tools(&self, server: &Arc<str>, cx: &CallContext) -> Result<Vec<ToolDef>, McpError> {
        list::entries(self, server, cx, true).await.map(|(tools, _)| tools)
    }

    async fn list_everything(&self, server: &Arc<str>, cx: &CallContext) -> Result<Listed, McpError> {
        list::everything(self, server, cx).await
    }

    async fn call_tool(
        &self,
        tool: &str,
        arguments: &RawValue,
        max_chars: usize,
        cx: &CallContext,
    ) -> Result<ToolOutput, McpError> {
        let params = to_raw_value(&Call { name: tool, arguments }).map_err(|error| protocol(&error))?;
        match rounds::request(self, McpRequest::new("tools/call", Some(params)), cx).await {
            Ok(McpReply::Complete(raw)) => from_wire(&raw, max_chars),
            Ok(McpReply::InputRequired(_) | McpReply::Task(_)) => {
                Err(McpError::Protocol { message: "the answer to the call is not its result".into() })
            }
            Err(error) if rounds::is_unanswerable(&error) => Ok(failure(&format!("The tool did not run: {error}."))),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests;
