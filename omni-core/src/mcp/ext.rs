//! Comfort on top of [`McpTransport`].

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::value::RawValue;

use super::{CallContext, McpError, McpTransport, ToolOutput};
use crate::catalog::ToolDef;

/// The usual requests, typed.
#[async_trait]
pub trait McpTransportExt: McpTransport {
    /// All tools, from all pages; `server` is the name they are filed under.
    ///
    /// # Errors
    /// An [`McpError`].
    async fn list_tools(&self, server: &Arc<str>, cx: &CallContext) -> Result<Vec<ToolDef>, McpError>;

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

#[async_trait]
impl<T: McpTransport + ?Sized> McpTransportExt for T {
    async fn list_tools(&self, _server: &Arc<str>, _cx: &CallContext) -> Result<Vec<ToolDef>, McpError> {
        Err(McpError::Protocol { message: "not yet".into() })
    }

    async fn call_tool(
        &self,
        _tool: &str,
        _arguments: &RawValue,
        _max_chars: usize,
        _cx: &CallContext,
    ) -> Result<ToolOutput, McpError> {
        Err(McpError::Protocol { message: "not yet".into() })
    }
}
