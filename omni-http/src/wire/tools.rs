//! Tools without a model, and their servers.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use omni_core::{
    catalog::{Health, ToolDef},
    mcp::ServerOptions,
    omni::{CallReply, OfferedServer, ServerPlace},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

mod content;

use content::Part;

/// Whose tools are listed.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListTools {
    /// A server's name. Absent: all of them.
    #[serde(default)]
    pub(crate) server: Option<String>,
}

/// Something of a kind, in the envelope of the original.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ToolList {
    /// Always `true`.
    pub(crate) success: bool,
    pub(crate) data: ToolListData,
}

/// Tools by their servers.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ToolListData {
    /// By the server's name.
    pub(crate) servers: BTreeMap<String, ServerTools>,
    /// How many tools there are altogether.
    pub(crate) total_tools: usize,
    pub(crate) timestamp: DateTime<Utc>,
}

/// The tools of a server.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ServerTools {
    pub(crate) tools: Vec<Tool>,
    pub(crate) server_info: ServerInfo,
    /// `healthy`, `unhealthy`, `unknown`, `disabled`.
    pub(crate) status: &'static str,
    /// When it was asked last.
    pub(crate) last_check: Option<DateTime<Utc>>,
    /// Why it does not answer; what exactly is wrong, administrators are told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
}

/// What a server is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ServerInfo {
    pub(crate) name: String,
    /// Always `mcp`.
    pub(crate) protocol: &'static str,
}

/// A tool.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Tool {
    pub(crate) name: String,
    /// What the server says of it.
    pub(crate) description: String,
    /// JSON Schema of its arguments.
    #[serde(rename = "inputSchema")]
    #[schema(value_type = Object)]
    pub(crate) input_schema: Value,
}

/// A call.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct CallRequest {
    /// The server's name.
    pub(crate) server: String,
    /// The tool's name at that server.
    pub(crate) tool: String,
    /// The arguments: an object.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub(crate) arguments: Option<Map<String, Value>>,
    /// For whom: an e-mail address. Absent: the key's owner; anybody else takes a key with the scope
    /// `act_as`.
    #[serde(default)]
    pub(crate) user_id: Option<String>,
}

/// The end of a call.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CallResponse {
    /// Whether the tool did what it was called for; `false` where it says that it failed.
    pub(crate) success: bool,
    pub(crate) server: String,
    pub(crate) tool: String,
    pub(crate) result: CallResult,
    /// What the tool says that went wrong.
    pub(crate) error: Option<String>,
    /// Identifies the call in the ledger.
    pub(crate) request_id: Uuid,
}

/// What a tool returned.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CallResult {
    /// As MCP has it.
    pub(crate) result: ToolResult,
    /// `success` or `error`.
    pub(crate) status: &'static str,
    pub(crate) server: String,
    pub(crate) tool: String,
    /// Always `mcp`.
    pub(crate) protocol: &'static str,
    pub(crate) timestamp: DateTime<Utc>,
    /// As above.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
    /// What else there is to know of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) notice: Option<&'static str>,
    /// How long it took.
    pub(crate) duration_ms: u64,
}

/// A result as MCP has it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = McpResult)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ToolResult {
    content: Vec<Part>,
    /// Its structured form, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    structured_content: Option<Value>,
    is_error: bool,
}

/// Which servers are listed.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListServers {
    /// Whether servers that are switched off are left out.
    #[serde(default)]
    pub(crate) enabled_only: bool,
    /// Whether to say how each is doing; one that was not asked yet is asked for it.
    #[serde(default)]
    pub(crate) include_health: bool,
}

/// Servers.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ServerList {
    /// Always `true`.
    pub(crate) success: bool,
    pub(crate) data: ServerListData,
}

/// Servers, and how many there are of each kind.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ServerListData {
    pub(crate) servers: Vec<ServerEntry>,
    pub(crate) summary: ServerSummary,
}

/// How many servers there are.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct ServerSummary {
    /// In this list.
    pub(crate) total: usize,
    /// Of which the caller may know.
    pub(crate) total_configured: usize,
    /// In this list, and switched on.
    pub(crate) enabled: usize,
    /// In this list, and switched off.
    pub(crate) disabled: usize,
    /// By protocol; `http`, `stdio` and `sse` are always there.
    pub(crate) protocols: BTreeMap<String, usize>,
}

/// A server.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ServerEntry {
    pub(crate) name: String,
    /// Its name for people.
    pub(crate) display_name: String,
    /// `http`, `sse`, `stdio`, `in_process`.
    pub(crate) protocol: String,
    pub(crate) enabled: bool,
    pub(crate) description: String,
    pub(crate) tags: Vec<String>,
    /// How long a call may take.
    pub(crate) timeout_seconds: f64,
    /// Its address; for administrators, as all that is about how it is reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) authentication: Option<Authentication>,
    /// Its program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) command: Option<String>,
    /// The program's arguments.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) args: Option<Vec<String>>,
    pub(crate) tool_policy: ToolPolicy,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rate_limit: Option<RateLimit>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) health: Option<ServerHealth>,
}

/// Whether a server is sent credentials.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Authentication {
    pub(crate) enabled: bool,
    /// `bearer`, `basic` or `api_key`.
    #[serde(rename = "type")]
    pub(crate) kind: Option<&'static str>,
}

/// Which tools a server offers at all.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ToolPolicy {
    /// `allow_all`, `allow_only`, `allow_all_except`.
    pub(crate) mode: &'static str,
    /// How many patterns are excluded.
    pub(crate) excluded_count: usize,
}

/// How often one person may call a server.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RateLimit {
    pub(crate) requests_per_minute: Option<u64>,
    /// In any second.
    pub(crate) burst: Option<u64>,
}

/// How a server is doing.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ServerHealth {
    /// `healthy`, `unhealthy`, `unknown`, `disabled`.
    pub(crate) status: &'static str,
    /// How many tools it has for the caller.
    pub(crate) tool_count: usize,
    pub(crate) last_check: Option<DateTime<Utc>>,
    /// Why it does not answer; what exactly is wrong, administrators are told.
    pub(crate) error: Option<String>,
}

/// How one server is doing.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OneHealth {
    /// Always `true`: that a server is away is told in `health`.
    pub(crate) success: bool,
    pub(crate) server: String,
    pub(crate) health: Probe,
}

/// What is known of a server.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Probe {
    pub(crate) healthy: bool,
    pub(crate) protocol: String,
    pub(crate) tool_count: usize,
    pub(crate) last_check: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
}

/// For whom tools are listed.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ForUser {
    /// An e-mail address. Absent: the key's owner; anybody else takes a key with the scope `act_as`.
    #[serde(default)]
    pub(crate) user_email: Option<String>,
}

/// The tools that somebody may use of a server.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UserTools {
    /// Always `true`.
    pub(crate) success: bool,
    pub(crate) mcp_name: String,
    pub(crate) description: String,
    pub(crate) tools: Vec<Tool>,
    /// How many the server has. What one may not use is not there for one, so that this is
    /// `user_allowed` for all but administrators.
    pub(crate) total_available: usize,
    /// How many of them are listed.
    pub(crate) user_allowed: usize,
}

/// The status of a server, and why it does not answer.
pub(crate) fn server_status(health: &Health) -> (&'static str, Option<String>) {
    match health {
        Health::Healthy => ("healthy", None),
        Health::Unhealthy { reason } => ("unhealthy", Some(reason.clone())),
        Health::Disabled => ("disabled", None),
        _ => ("unknown", None),
    }
}

impl From<&ToolDef> for Tool {
    fn from(def: &ToolDef) -> Self {
        Self {
            name: def.name.to_string(),
            description: def.description.clone(),
            input_schema: serde_json::from_str(def.input_schema.get()).unwrap_or_default(),
        }
    }
}

/// The tools of a server.
pub(crate) fn tools_of(server: &OfferedServer) -> Vec<Tool> {
    server.view.tools.iter().map(|def| Tool::from(&**def)).collect()
}

impl From<&OfferedServer> for ServerTools {
    fn from(server: &OfferedServer) -> Self {
        let (status, error) = server_status(&server.view.health);
        let server_info = ServerInfo { name: server.view.name.to_string(), protocol: "mcp" };
        Self { tools: tools_of(server), server_info, status, last_check: server.view.checked_at, error }
    }
}

impl From<&OfferedServer> for ServerHealth {
    fn from(server: &OfferedServer) -> Self {
        let (status, error) = server_status(&server.view.health);
        Self { status, tool_count: server.view.tools.len(), last_check: server.view.checked_at, error }
    }
}

impl From<&OfferedServer> for Probe {
    fn from(server: &OfferedServer) -> Self {
        let ServerHealth { tool_count, last_check, error, .. } = server.into();
        let (healthy, protocol) = (server.view.health.is_healthy(), server.view.kind.clone());
        Self { healthy, protocol, tool_count, last_check, error }
    }
}

impl From<&OfferedServer> for ServerEntry {
    fn from(server: &OfferedServer) -> Self {
        let (view, options, place) = (&server.view, &server.options, server.place.as_ref());
        let auth = |place: &ServerPlace| Authentication { enabled: place.auth.is_some(), kind: place.auth };
        Self {
            name: view.name.to_string(),
            display_name: view.display_name.clone(),
            protocol: view.kind.clone(),
            enabled: options.enabled,
            description: view.description.clone(),
            tags: server.tags.clone(),
            timeout_seconds: options.call_timeout.as_secs_f64(),
            url: place.and_then(|place| place.url.clone()),
            authentication: place.map(auth),
            command: place.and_then(|place| place.command.clone()),
            args: place.filter(|place| place.command.is_some()).map(|place| place.args.clone()),
            tool_policy: ToolPolicy { mode: server.policy_mode, excluded_count: server.excluded },
            rate_limit: rate_limit(options),
            health: None,
        }
    }
}

fn rate_limit(options: &ServerOptions) -> Option<RateLimit> {
    let limit = RateLimit { requests_per_minute: options.calls_per_minute, burst: options.calls_burst };
    (limit.requests_per_minute.is_some() || limit.burst.is_some()).then_some(limit)
}

impl CallResponse {
    /// What came of a call.
    pub(crate) fn new(request_id: Uuid, reply: CallReply) -> Self {
        let CallReply { summary, output, .. } = reply;
        let success = !output.is_error;
        let (server, tool, error) = (summary.server, summary.tool, summary.error);
        let result = CallResult {
            status: if success { "success" } else { "error" },
            server: server.clone(),
            tool: tool.clone(),
            protocol: "mcp",
            timestamp: Utc::now(),
            error: error.clone(),
            notice: output.truncated.then_some("the result was longer, and is cut"),
            duration_ms: summary.duration_ms,
            result: ToolResult {
                content: output.content.into_iter().map(Part::from).collect(),
                structured_content: output.structured,
                is_error: output.is_error,
            },
        };
        Self { success, server, tool, result, error, request_id }
    }
}
