//! The server at the other end.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, JsonObject, ListToolsResult,
        PaginatedRequestParams, ServerCapabilities, ServerConfig, Tool,
    },
    service::RequestContext,
};
use serde_json::{Value, json};
use tokio::time::sleep;

/// The server that [`mcp_transport_contract`](super::mcp_transport_contract) expects at the other end, as an rmcp
/// service: to be served over whatever way is to be checked, a new one for each connection.
///
/// | tool | does |
/// |---|---|
/// | `echo` | says the argument `text`, sooner or later |
/// | `fail` | says of itself that it failed (`isError`) |
/// | `hang` | answers when it is cancelled |
/// | `cancelled` | says how many calls of `hang` were cancelled |
/// | `change` | tells as often as the argument `times` says that the tools changed |
#[derive(Debug, Clone, Default)]
pub struct McpContractServer {
    cancelled: Arc<AtomicU64>,
}

impl McpContractServer {
    /// A server.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

fn tools() -> Vec<Tool> {
    let schema = Arc::new(JsonObject::from_iter([("type".to_owned(), json!("object"))]));
    let tools = [
        ("echo", "Says it again"),
        ("fail", "Fails"),
        ("hang", "Answers nobody"),
        ("cancelled", "Says how many calls nobody waited for"),
        ("change", "Says that the tools changed"),
    ];
    tools.map(|(name, description)| Tool::new(name, description, schema.clone())).into()
}

fn says(text: impl Into<String>) -> CallToolResult {
    CallToolResult::success(vec![ContentBlock::text(text)])
}

impl ServerHandler for McpContractServer {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().enable_tool_list_changed().build())
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(tools()))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let arguments = request.arguments.unwrap_or_default();
        match &*request.name {
            "echo" => {
                let text = arguments.get("text").and_then(Value::as_str).unwrap_or_default();
                // Answers in another order than the questions came in.
                sleep(Duration::from_millis(text.len() as u64 % 7)).await;
                Ok(says(text).into())
            }
            "fail" => Ok(CallToolResult::error(vec![ContentBlock::text("it failed")]).into()),
            "hang" => {
                context.ct.cancelled().await;
                self.cancelled.fetch_add(1, SeqCst);
                Err(ErrorData::internal_error("it was cancelled", None))
            }
            "cancelled" => Ok(says(self.cancelled.load(SeqCst).to_string()).into()),
            "change" => {
                for _ in 0..arguments.get("times").and_then(Value::as_u64).unwrap_or(1) {
                    let told = context.peer.notify_tool_list_changed().await;
                    told.map_err(|error| ErrorData::internal_error(error.to_string(), None))?;
                }
                Ok(says("done").into())
            }
            _ => Err(ErrorData::invalid_params("there is no such tool", None)),
        }
    }
}
