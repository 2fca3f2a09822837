//! What `settings.yaml` says of the MCP endpoint.

use schemars::JsonSchema;
use serde::Deserialize;

/// omni as an MCP server: `/mcp` of the service, and `omni mcp`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("x-own" = true))]
pub(crate) struct GatewaySpec {
    /// When the name of a tool begins with its server's: `always` (`server__tool`), or `on_conflict`,
    /// where two servers have a tool of that name.
    pub(crate) prefix: PrefixSpec,
    /// Sessions of clients that speak a protocol older than 2026-07-28, at the same time; 0 serves them
    /// without sessions. Absent: 1000.
    pub(crate) max_sessions: Option<u32>,
    /// How many seconds such a session lives in which nothing happens; absent: 1800.
    pub(crate) session_idle_seconds: Option<f64>,
    /// Names, perhaps with a port, by which clients reach the service, beside those of this machine and
    /// `app.host`: whoever comes for another one is refused. `*` is any.
    pub(crate) allowed_hosts: Vec<String>,
    /// The address of the endpoint as clients know it, such as `https://omni.company.com/mcp`. Absent: that of
    /// `http.public_url`, else the one that a request names.
    pub(crate) url: Option<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PrefixSpec {
    #[default]
    Always,
    OnConflict,
}
