//! `settings.yaml`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{
    approvals::ApprovalsSpec,
    gateway::GatewaySpec,
    http::{AppSpec, HttpSpec, SecuritySpec},
    results::ResultsSpec,
    tools::ToolsSpec,
};

/// `settings.yaml`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("x-ignored" = [
    "monitoring", "features", "notifications", "maintenance", "development", "logging",
]))]
pub(crate) struct SettingsSpec {
    pub(crate) app: AppSpec,
    #[schemars(extend("x-enforced" = true))]
    pub(crate) database: DatabaseSpec,
    #[schemars(extend("x-enforced" = true))]
    pub(crate) llm: LlmSpec,
    #[schemars(extend("x-enforced" = true))]
    pub(crate) mcp: McpSpec,
    #[schemars(extend("x-enforced" = true))]
    pub(crate) audit: AuditSpec,
    #[schemars(extend("x-enforced" = true))]
    pub(crate) rate_limiting: RateLimitingSpec,
    pub(crate) security: SecuritySpec,
    pub(crate) http: HttpSpec,
    pub(crate) mcp_gateway: GatewaySpec,
    #[schemars(extend("x-enforced" = true))]
    pub(crate) performance: PerformanceSpec,
    pub(crate) agent: AgentSpec,
    pub(crate) policy: PolicySpec,
    pub(crate) limit: LimitSpec,
    pub(crate) tools: ToolsSpec,
    pub(crate) approvals: ApprovalsSpec,
    pub(crate) results: ResultsSpec,
    /// What may be spent on models.
    pub(crate) budgets: Vec<BudgetSpec>,
    /// Where omni keeps its files, relative to this one.
    pub(crate) data_dir: Option<String>,
}

/// Where the ledger goes.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("x-ignored" = [
    "pool_size", "max_overflow", "pool_timeout", "pool_recycle", "echo", "echo_pool",
]))]
pub(crate) struct DatabaseSpec {
    /// `sqlite:…`, a path, or `postgresql://…`.
    pub(crate) url: Option<String>,
}

/// The language model.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("x-ignored" = ["retry_delay_seconds"]))]
pub(crate) struct LlmSpec {
    /// `anthropic`, `openai`, `offline`; absent: whichever the environment has a key for.
    pub(crate) provider: Option<String>,
    /// A model id, or `haiku`, `sonnet`, `opus`.
    pub(crate) model: Option<String>,
    /// The API's address.
    pub(crate) base_url: Option<String>,
    /// The API key; absent: the provider's variable.
    #[schemars(with = "Option<String>")]
    pub(crate) api_key: Option<SecretString>,
    /// The API's version header.
    pub(crate) api_version: Option<String>,
    /// Most output tokens of a turn.
    pub(crate) max_tokens: Option<u32>,
    /// How long until an answer begins, retries included, and how long it may be silent after that.
    pub(crate) timeout_seconds: Option<f64>,
    /// Most retries before the first event. Where it is not 0, a request that was sent and got no answer, which may
    /// be charged, is made once more as well.
    pub(crate) max_retries: Option<u32>,
    /// Sent only if set.
    pub(crate) temperature: Option<f64>,
    /// Sent only if set.
    pub(crate) top_p: Option<f64>,
    /// Sent only if set.
    pub(crate) top_k: Option<u32>,
    /// Put into every request as it is.
    pub(crate) extra: Map<String, Value>,
    /// Prices by model id, over the built-in ones.
    pub(crate) prices: BTreeMap<String, PriceSpec>,
}

/// What a model costs, in US dollars per million tokens with at most six decimals.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[schemars(extend("x-own" = true))]
pub(crate) struct PriceSpec {
    /// Input.
    pub(crate) input: f64,
    /// Output.
    pub(crate) output: f64,
    /// Input written to a five-minute cache; absent: as `input`.
    #[serde(default)]
    pub(crate) cache_write: Option<f64>,
    /// Input written to a one-hour cache; absent: as `input`.
    #[serde(default)]
    pub(crate) cache_write_1h: Option<f64>,
    /// Input read from a cache; absent: as `input`.
    #[serde(default)]
    pub(crate) cache_read: Option<f64>,
}

/// All servers.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("x-ignored" = ["health_check_retries", "tool_cache_ttl_seconds"]))]
pub(crate) struct McpSpec {
    /// How long a call may take where the server does not say.
    pub(crate) request_timeout_seconds: Option<f64>,
    /// How often servers are asked for their tools although nothing changed, where mcps.yaml does not say.
    pub(crate) discovery_interval_minutes: Option<f64>,
    /// How long nothing is heard of a server before it is asked whether it lives, where mcps.yaml does not say.
    pub(crate) health_check_interval_seconds: Option<f64>,
}

/// The ledger.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("x-ignored" = [
    "log_to_file", "log_file_path", "log_tool_calls", "log_failed_attempts", "log_blocked_actions",
]))]
pub(crate) struct AuditSpec {
    /// Whether records are kept beyond this process.
    pub(crate) enabled: Option<bool>,
    /// Whether asks are refused when the ledger cannot take them.
    pub(crate) required: Option<bool>,
    /// When a caller may see the end.
    pub(crate) ack: Option<AckSpec>,
    /// How much of questions and answers is kept.
    pub(crate) store_content: Option<StoreContentSpec>,
    /// How many days omni's records are kept; 0 or absent: for ever. Rows that were there before omni stay.
    #[schemars(extend("x-enforced" = true))]
    pub(crate) retention_days: Option<u32>,
    /// `DEBUG`, `INFO`, `WARNING`, `ERROR`.
    pub(crate) log_level: Option<String>,
    /// How a service logs: `json`, or `text` for people.
    pub(crate) log_format: Option<LogFormatSpec>,
    /// What seals the ledger: 64 hexadecimal digits, for all hosts that share a database. Absent: each
    /// host makes a key of its own in its data directory.
    #[schemars(with = "Option<String>")]
    pub(crate) key: Option<SecretString>,
    /// Keys of other hosts and older ones, to prove what they sealed.
    #[schemars(with = "Vec<String>")]
    pub(crate) verify_keys: Vec<SecretString>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LogFormatSpec {
    Json,
    Text,
    Console,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AckSpec {
    Local,
    Fsync,
    Database,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum StoreContentSpec {
    Full,
    Preview,
    None,
}

/// Limits where no role says otherwise.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("x-ignored" = ["cleanup_interval_seconds"]))]
pub(crate) struct RateLimitingSpec {
    /// Whether there are limits at all.
    pub(crate) enabled: Option<bool>,
    /// Asks and direct calls in any minute; 0 is unlimited.
    pub(crate) default_requests_per_minute: Option<u64>,
    /// Asks and direct calls in any hour; 0 is unlimited.
    pub(crate) default_requests_per_hour: Option<u64>,
    /// Asks and direct calls in any second; 0 is unlimited.
    pub(crate) default_burst: Option<u64>,
}

/// Bounds of every ask.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("x-ignored" = ["compression_enabled", "compression_level", "caching_enabled"]))]
pub(crate) struct PerformanceSpec {
    /// Wall time of an ask.
    pub(crate) request_timeout_seconds: Option<f64>,
    /// Asks and direct calls of one person at the same time; 0 is unlimited.
    pub(crate) max_concurrent_requests_per_user: Option<u64>,
}

/// Bounds of every ask.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("x-own" = true))]
pub(crate) struct AgentSpec {
    /// Model turns.
    pub(crate) max_turns: Option<u32>,
    /// Wall time.
    pub(crate) timeout_seconds: Option<f64>,
    /// Input and output tokens together.
    pub(crate) max_tokens: Option<u64>,
    /// Cost in US dollars.
    pub(crate) max_cost_usd: Option<f64>,
}

/// How the access rules are read.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("x-own" = true))]
pub(crate) struct PolicySpec {
    /// `strict`, or `permissive`: as the original read them, where it allowed more.
    pub(crate) compat: Compat,
    /// Who says who people are: `yaml`, users.yaml and whom it does not name the database; or `sql`,
    /// the database alone.
    pub(crate) store: PolicyStoreSpec,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PolicyStoreSpec {
    #[default]
    Yaml,
    Sql,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Compat {
    #[default]
    Strict,
    Permissive,
}

/// The rate limiter.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("x-own" = true))]
pub(crate) struct LimitSpec {
    /// Where things are counted: `memory`, `redis`, `sql` (the ledger's database), or a kind that an
    /// embedder registered. Absent: `redis` where the environment switches one on, else `memory`.
    pub(crate) backend: Option<String>,
    /// `redis://…`, or with TLS `rediss://…`. Absent: `REDIS_URL`, else `REDIS_HOST` and its kin.
    #[schemars(with = "Option<String>")]
    pub(crate) redis_url: Option<SecretString>,
    /// What happens when the limiter cannot be asked.
    pub(crate) on_error: OnError,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OnError {
    #[default]
    Deny,
    Allow,
}

/// What may be spent in a calendar period, in UTC: by each person, by all of a role together, or by
/// everybody together.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[schemars(extend("x-own" = true))]
pub(crate) struct BudgetSpec {
    pub(crate) per: BudgetPer,
    /// The role that it is for; absent: each role.
    #[serde(default)]
    pub(crate) role: Option<String>,
    pub(crate) period: PeriodSpec,
    /// US dollars; 0 is nothing, absent is no limit.
    #[serde(default)]
    pub(crate) usd: Option<f64>,
    /// Input and output tokens together; 0 is nothing, absent is no limit.
    #[serde(default)]
    pub(crate) tokens: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum BudgetPer {
    User,
    Role,
    Tenant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PeriodSpec {
    Day,
    Month,
}
