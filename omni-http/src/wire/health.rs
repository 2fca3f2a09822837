//! How omni is doing.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// What this is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Root {
    pub(crate) name: &'static str,
    pub(crate) version: &'static str,
    pub(crate) description: &'static str,
    /// Where the documentation is.
    pub(crate) docs: String,
    /// Where it says how it is doing.
    pub(crate) health: String,
    /// Always `running`.
    pub(crate) status: &'static str,
}

/// How something is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    Healthy,
    Degraded,
    Unhealthy,
}

/// How omni is doing, as far as is known; nobody is asked for it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Health {
    pub(crate) status: State,
    pub(crate) version: &'static str,
    pub(crate) timestamp: DateTime<Utc>,
    /// What `APP_ENV` says, or else `development`; for administrators.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) environment: Option<String>,
    pub(crate) database: Database,
    pub(crate) mcps: Servers,
    /// Seconds since the start.
    pub(crate) uptime: u64,
}

/// The database of the ledger.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Database {
    pub(crate) status: DatabaseStatus,
    /// Records that wait for it.
    pub(crate) backlog: usize,
    /// Its name, or its file; for administrators, as all that is about where it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) database: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) host: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) port: Option<u16>,
    /// What is wrong with it; for administrators.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
}

/// Whether the database takes records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DatabaseStatus {
    /// It does.
    Connected,
    /// It does not, and records wait for it.
    Away,
    /// So many wait that nobody is let in.
    Unavailable,
}

/// All servers.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Servers {
    pub(crate) status: ServersStatus,
    /// How many of them answer.
    pub(crate) healthy: usize,
    /// How many are switched on.
    pub(crate) enabled: usize,
    /// How many there are.
    pub(crate) configured: usize,
    pub(crate) servers: Vec<Server>,
}

/// How the servers are doing together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ServersStatus {
    NoServers,
    Unknown,
    Healthy,
    Degraded,
    Unhealthy,
}

/// One server.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Server {
    pub(crate) name: String,
    /// `healthy`, `unhealthy`, `unknown`, `disabled`.
    pub(crate) status: &'static str,
    /// How many tools it has.
    pub(crate) tools: usize,
    /// Its name for people.
    pub(crate) display_name: String,
    /// Its address; for administrators.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) url: Option<String>,
    /// Whether it is switched on; for administrators.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) enabled: Option<bool>,
    /// How it is reached; for administrators.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) protocol: Option<String>,
    /// What is wrong with it; for administrators.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
}

/// This process answers.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Live {
    pub(crate) alive: bool,
    pub(crate) version: &'static str,
    pub(crate) timestamp: DateTime<Utc>,
}

/// Whether questions are let in.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Ready {
    pub(crate) ready: bool,
    /// Why they are not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
}

/// What is known of the servers' tools.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Cache {
    pub(crate) success: bool,
    /// Always `null`: what a server told counts until it tells of a change, or its connection ends.
    pub(crate) cache_ttl_seconds: Option<u64>,
    /// How many servers' tools are known.
    pub(crate) cached_servers: usize,
    pub(crate) servers: BTreeMap<String, CachedServer>,
}

/// What is known of one server's tools.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CachedServer {
    /// Since when.
    pub(crate) age_seconds: i64,
    /// Always `null`, as `cache_ttl_seconds` is.
    pub(crate) ttl_remaining: Option<u64>,
    pub(crate) tool_count: usize,
}

/// Whose tools are to be asked for again.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Invalidate {
    /// A server's name. Absent: all of them.
    #[serde(default)]
    pub(crate) server_name: Option<String>,
}

/// The tools were asked for again.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Invalidated {
    pub(crate) success: bool,
    pub(crate) message: String,
}
