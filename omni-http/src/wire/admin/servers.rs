//! Servers, and all their tools.

use chrono::{DateTime, Utc};
use omni_core::{
    catalog::{ToolAnnotations, ToolDef},
    omni::{OfferedServer, Refreshed},
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::ToolFinding;
use crate::wire::{ServerEntry, Tool, server_status};

/// A server, how it is reached, and how it is doing.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AdminServer {
    #[serde(flatten)]
    pub(crate) entry: ServerEntry,
    /// `healthy`, `unhealthy`, `unknown`, `disabled`.
    pub(crate) status: &'static str,
    /// How many tools it has.
    pub(crate) tools: usize,
    /// Why it does not answer.
    pub(crate) error: Option<String>,
    /// When it was asked last.
    pub(crate) last_check: Option<DateTime<Utc>>,
    /// How long that took.
    pub(crate) latency_ms: Option<u64>,
    /// When it last answered.
    pub(crate) last_seen: Option<DateTime<Utc>>,
    /// How often in a row it did not answer.
    pub(crate) failures: u32,
    /// Whether calls are kept from it because its connections fail: `closed` (they are not), `half_open`, `open`.
    pub(crate) breaker: &'static str,
}

/// Whose tools are listed.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListAdminTools {
    /// A server's name. Absent: all of them.
    #[serde(default)]
    pub(crate) mcp: Option<String>,
}

/// A tool of a server.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AdminTool {
    /// The server.
    pub(crate) mcp: String,
    #[serde(flatten)]
    pub(crate) tool: Tool,
    /// A title for people.
    pub(crate) title: Option<String>,
    pub(crate) annotations: Annotations,
    /// Why it is kept back, so that nobody may use it: `changed`, `new`, `suspicious`, `unverified`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) withheld: Option<&'static str>,
    /// What looks suspicious in it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) findings: Vec<ToolFinding>,
}

/// What a server says of a tool. Hints only.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Annotations {
    #[serde(skip_serializing_if = "Option::is_none")]
    read_only_hint: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    destructive_hint: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    idempotent_hint: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    open_world_hint: Option<bool>,
}

/// What came of asking everything again.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RefreshedServers {
    /// Always `true`: that a server is away is told of it.
    pub(crate) success: bool,
    /// Whether the configuration was read again too.
    pub(crate) reloaded: bool,
    /// Servers that are new in it, or whose entries changed.
    pub(crate) changed: Vec<String>,
    /// Settings that changed and count only after a restart.
    pub(crate) after_restart: Vec<&'static str>,
    pub(crate) servers: Vec<RefreshedServer>,
}

/// How a server answered.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RefreshedServer {
    pub(crate) name: String,
    /// `healthy`, `unhealthy`, `unknown`, `disabled`.
    pub(crate) status: &'static str,
    /// How many tools it has.
    pub(crate) tools: usize,
    /// Why it did not.
    pub(crate) error: Option<String>,
}

impl From<&OfferedServer> for AdminServer {
    fn from(server: &OfferedServer) -> Self {
        let RefreshedServer { status, tools, error, .. } = server.into();
        let (last_check, latency_ms) = (server.view.checked_at, server.view.latency_ms);
        Self {
            entry: server.into(),
            status,
            tools,
            error,
            last_check,
            latency_ms,
            last_seen: server.view.last_seen,
            failures: server.view.failures,
            breaker: server.view.breaker.as_str(),
        }
    }
}

impl From<&OfferedServer> for RefreshedServer {
    fn from(server: &OfferedServer) -> Self {
        let (status, error) = server_status(&server.view.health);
        Self { name: server.view.name.to_string(), status, tools: server.view.tools.len(), error }
    }
}

impl From<&ToolDef> for AdminTool {
    fn from(def: &ToolDef) -> Self {
        let title = def.title.clone().or_else(|| def.annotations.title.clone());
        Self {
            mcp: def.server.to_string(),
            tool: def.into(),
            title,
            annotations: (&def.annotations).into(),
            withheld: None,
            findings: Vec::new(),
        }
    }
}

/// All tools of a server, those that are kept back among them.
pub(crate) fn all_tools(server: &OfferedServer) -> Vec<AdminTool> {
    let view = &server.view;
    let usable = view.tools.iter().map(|def| AdminTool {
        findings: view.flagged.get(&def.name).into_iter().flatten().map(Into::into).collect(),
        ..AdminTool::from(&**def)
    });
    let withheld = view.withheld.iter().map(|tool| AdminTool {
        withheld: Some(tool.why.as_str()),
        findings: tool.findings.iter().map(Into::into).collect(),
        ..AdminTool::from(&*tool.def)
    });
    usable.chain(withheld).collect()
}

impl From<&ToolAnnotations> for Annotations {
    fn from(hints: &ToolAnnotations) -> Self {
        Self {
            read_only_hint: hints.read_only_hint,
            destructive_hint: hints.destructive_hint,
            idempotent_hint: hints.idempotent_hint,
            open_world_hint: hints.open_world_hint,
        }
    }
}

impl From<Refreshed> for RefreshedServers {
    fn from(refreshed: Refreshed) -> Self {
        let servers = refreshed.servers.iter().map(Into::into).collect();
        let reloaded = refreshed.reload.is_some();
        let reload = refreshed.reload.unwrap_or_default();
        let changed = reload.servers.into_iter().collect();
        Self { success: true, reloaded, changed, after_restart: reload.after_restart, servers }
    }
}
