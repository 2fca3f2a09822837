//! `mcps.yaml`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::{OneOrMany, PinSpec};
use crate::mcp::{Connect, OnStartFailure};

/// `mcps.yaml`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("x-ignored" = ["audit", "advanced"]))]
pub(crate) struct McpsSpec {
    pub(crate) global: GlobalSpec,
    /// The servers.
    pub(crate) mcps: Vec<ServerSpec>,
    pub(crate) tool_patterns: ToolPatternsSpec,
    /// Role names that this file knows; what else it says of them is not used.
    pub(crate) roles: BTreeMap<String, serde_json::Value>,
}

/// Tools by what they do.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("x-ignored" = ["read_only_safe", "analysis", "write_operations"]))]
pub(crate) struct ToolPatternsSpec {
    /// Tools that a human must agree to, as those of `global.confirm`.
    #[schemars(extend("x-enforced" = true))]
    pub(crate) dangerous: Vec<String>,
}

/// What holds for all servers.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct GlobalSpec {
    /// How long a call may take where the server does not say.
    pub(crate) default_timeout_seconds: Option<f64>,
    /// Whether servers are asked for their tools again although nothing changed.
    pub(crate) auto_discovery_enabled: Option<bool>,
    /// How often that is, where the server does not say.
    pub(crate) discovery_interval_minutes: Option<f64>,
    /// How long nothing is heard of a server before it is asked whether it lives, where the server does not say.
    pub(crate) health_check_interval_seconds: Option<f64>,
    /// When calls are kept from a server, where the server does not say.
    pub(crate) breaker: BreakerSpec,
    pub(crate) retry: RetrySpec,
    /// Tools that nobody but super admins may use.
    #[schemars(extend("x-enforced" = true))]
    pub(crate) blocked_tools: Vec<String>,
    /// Tools that only admins may use.
    #[schemars(extend("x-enforced" = true))]
    pub(crate) admin_only_tools: Vec<String>,
    /// Tools that a human must agree to.
    pub(crate) confirm: Vec<String>,
}

/// Repeated attempts.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct RetrySpec {
    /// Total attempts; 0 counts as not set.
    pub(crate) max_attempts: Option<u32>,
    /// How long a call waits before it is repeated, times the attempts made.
    pub(crate) delay_seconds: Option<f64>,
    /// How old a connection may be before it is closed when nobody uses it; 0 is never.
    pub(crate) connection_max_age_seconds: Option<f64>,
}

/// When calls are kept from a server whose connections fail.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("x-own" = true))]
pub(crate) struct BreakerSpec {
    /// So many failures within the window, or in a row, keep calls away; 0 is never.
    pub(crate) failures: Option<u32>,
    /// How long a failure counts.
    pub(crate) window_seconds: Option<f64>,
    /// How long the server is left alone at first.
    pub(crate) pause_seconds: Option<f64>,
    /// How long it is left alone at most.
    pub(crate) max_pause_seconds: Option<f64>,
    /// How many calls may find out at once whether it has recovered.
    pub(crate) probes: Option<u32>,
}

/// One server.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub(crate) struct ServerSpec {
    /// The name used everywhere.
    pub(crate) name: String,
    /// The name for people.
    #[serde(default)]
    pub(crate) display_name: Option<String>,
    /// `http`, `sse` or `stdio`.
    #[serde(default)]
    pub(crate) protocol: Option<String>,
    /// As `protocol`, and the address is taken as it stands.
    #[serde(default)]
    pub(crate) transport: Option<String>,
    /// The address; `/mcp` is added unless it ends in `/mcp` or `/sse`.
    #[serde(default)]
    pub(crate) url: Option<String>,
    /// A server of omni's own, in place of an address: `analytics`.
    #[serde(default)]
    pub(crate) builtin: Option<String>,
    /// The program.
    #[serde(default)]
    pub(crate) command: Option<String>,
    /// Its arguments.
    #[serde(default)]
    pub(crate) args: Vec<String>,
    /// Its working directory, relative to this file's.
    #[serde(default)]
    pub(crate) cwd: Option<String>,
    /// Variables set for it.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>")]
    pub(crate) env: BTreeMap<String, SecretString>,
    /// Variables of omni's own environment that it may see.
    #[serde(default)]
    pub(crate) env_allow: Vec<String>,
    /// More headers.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>")]
    pub(crate) headers: BTreeMap<String, SecretString>,
    /// Whether it is used at all.
    #[serde(default)]
    pub(crate) enabled: Option<bool>,
    /// How long a call may take.
    #[serde(default)]
    pub(crate) timeout_seconds: Option<f64>,
    /// How long connecting and listing may take.
    #[serde(default)]
    pub(crate) connect_timeout_seconds: Option<f64>,
    /// When it is connected to: `eager`, when a service starts, or `lazy`, when somebody first needs it. Absent: `eager`.
    #[serde(default)]
    #[schemars(with = "Option<String>", extend("enum" = ["eager", "lazy"]))]
    pub(crate) connect: Option<Connect>,
    /// What becomes of a start at which it cannot be used: `fail_open` starts without it, `fail_closed` does not start.
    #[serde(default)]
    #[schemars(with = "Option<String>", extend("enum" = ["fail_open", "fail_closed"]))]
    pub(crate) on_start_failure: Option<OnStartFailure>,
    /// How long nothing is heard of it before it is asked whether it lives; 0 is never.
    #[serde(default)]
    pub(crate) keep_alive_seconds: Option<f64>,
    /// How long nobody uses a connection before it is closed, until somebody does; 0, and absent, is never.
    #[serde(default)]
    pub(crate) idle_close_seconds: Option<f64>,
    /// How long its list of tools counts, where it says nothing; 0 is for ever.
    #[serde(default)]
    pub(crate) refresh_seconds: Option<f64>,
    #[serde(default)]
    pub(crate) breaker: BreakerSpec,
    /// What it is for.
    #[serde(default)]
    pub(crate) description: String,
    #[serde(default)]
    pub(crate) authentication: Option<AuthSpec>,
    /// Absent: `per_user` where `authentication` has the type `pass_through`, else `shared`.
    #[serde(default)]
    pub(crate) sharing: Option<SharingSpec>,
    #[serde(default)]
    pub(crate) retry: RetrySpec,
    #[serde(default)]
    pub(crate) tool_policy: Option<ToolPolicy>,
    /// Only these tools.
    #[serde(default)]
    #[schemars(extend("x-enforced" = true))]
    pub(crate) allowed_tools: Vec<String>,
    /// Not these tools.
    #[serde(default)]
    #[schemars(extend("x-enforced" = true))]
    pub(crate) denied_tools: Vec<String>,
    /// Tools that nobody but super admins may use.
    #[serde(default)]
    pub(crate) blocked_tools: Vec<String>,
    /// Tools that only admins may use.
    #[serde(default)]
    pub(crate) admin_only_tools: Vec<String>,
    /// Rules by role. With any, a role that has none may do nothing, and neither may one whose rule has no value.
    #[serde(default)]
    #[schemars(extend("x-keep-empty" = "deny_all"))]
    pub(crate) role_restrictions: BTreeMap<String, RoleRule>,
    #[serde(flatten)]
    pub(crate) beside: BesideSpec,
    /// Tools that a human must agree to.
    #[serde(default)]
    pub(crate) confirm: Vec<String>,
    /// Free labels.
    #[serde(default)]
    pub(crate) tags: Vec<String>,
    #[serde(default)]
    #[schemars(extend("x-enforced" = true))]
    pub(crate) rate_limit: ServerRateLimit,
    /// Tools that may be called again when the connection broke.
    #[serde(default)]
    pub(crate) retry_safe: Vec<String>,
    /// Whether the server's `readOnlyHint` is believed.
    #[serde(default)]
    pub(crate) trusted: bool,
    /// What becomes of its tools that are new or changed: `auto`, `strict` or `off`. Absent: `tools.pin`
    /// of settings.yaml.
    #[serde(default)]
    pub(crate) pin: Option<PinSpec>,
    /// How many calls may run at once.
    #[serde(default)]
    pub(crate) max_concurrent: Option<u32>,
    /// Most characters of a result that reach a model or a person.
    #[serde(default)]
    pub(crate) max_output_chars: Option<u32>,
    /// Arguments that name a database, for `allowed_databases`.
    #[serde(default)]
    pub(crate) database_argument: Option<OneOrMany>,
}

/// Calls of one person to one server.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct ServerRateLimit {
    /// Calls of one person in any minute; 0 is unlimited.
    pub(crate) requests_per_minute: Option<u64>,
    /// Calls of one person in any second; 0 is unlimited.
    pub(crate) burst: Option<u64>,
}

/// Credentials.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct AuthSpec {
    /// Whether they are sent; absent: if there are any.
    pub(crate) enabled: Option<bool>,
    #[serde(rename = "type")]
    pub(crate) kind: AuthType,
    #[schemars(with = "Option<String>")]
    pub(crate) api_key: Option<SecretString>,
    pub(crate) username: Option<String>,
    #[schemars(with = "Option<String>")]
    pub(crate) password: Option<SecretString>,
    /// For `api_key`; absent: `X-API-Key`.
    pub(crate) header_name: Option<String>,
    #[schemars(with = "Option<String>")]
    pub(crate) header_value: Option<SecretString>,
    /// For `oauth`: whose tokens omni has at the server. Absent: those of whoever runs `omni servers login`.
    pub(crate) grant: Option<GrantSpec>,
    /// For `oauth`: omni's name at the issuer of tokens, where it is registered there. Absent: omni registers itself.
    pub(crate) client_id: Option<String>,
    /// For `oauth`: omni's secret at the issuer.
    #[schemars(with = "Option<String>")]
    pub(crate) client_secret: Option<SecretString>,
    /// For `oauth`: the key that omni signs with in place of a secret, PKCS#8 in PEM.
    #[schemars(with = "Option<String>")]
    pub(crate) private_key: Option<SecretString>,
    /// For `oauth`: what the issuer calls that key.
    pub(crate) key_id: Option<String>,
    /// For `oauth`: where a document describes omni to issuers that take its address for a client's name.
    pub(crate) client_metadata_url: Option<String>,
    /// For `oauth`: the issuer of tokens, letter by letter. Absent: whom the server names.
    pub(crate) issuer: Option<String>,
    /// For `oauth`: what the tokens are for. Absent: what the server asks for.
    pub(crate) scopes: Option<OneOrMany>,
    /// For `pass_through`, the token with which whoever calls came to omni: what the `aud` of a caller's token has to name, so that it is for this server.
    pub(crate) audience: Option<String>,
    /// For `pass_through`: with what omni asks for the server's tools. Absent: with nothing, and where the server does
    /// not want that, on the connection of whoever comes first.
    #[schemars(with = "Option<String>")]
    pub(crate) discovery_token: Option<SecretString>,
    /// For `oauth`: the port of this machine that the browser comes back to. Absent: any free one.
    pub(crate) redirect_port: Option<u32>,
}

/// How omni comes by tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum GrantSpec {
    /// A person logs in with a browser.
    #[default]
    AuthorizationCode,
    /// omni itself, with a secret or a key.
    ClientCredentials,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AuthType {
    #[default]
    Bearer,
    Basic,
    ApiKey,
    CustomHeaders,
    Oauth,
    PassThrough,
}

/// Whose connections a server is used on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SharingSpec {
    /// One is everybody's, made with omni's credentials.
    Shared,
    /// Everybody has their own, made with their own token: for `authentication` of the type `pass_through`.
    PerUser,
}

/// Which tools the server offers at all: a mapping, or the mode alone.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum ToolPolicy {
    Mode(PolicyMode),
    Rules(ToolPolicySpec),
}

#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct ToolPolicySpec {
    pub(crate) mode: PolicyMode,
    /// For `allow_only`.
    pub(crate) allow: Vec<String>,
    /// For `allow_all_except`.
    pub(crate) exclude: Vec<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub(crate) enum PolicyMode {
    #[default]
    #[serde(rename = "allow_all")]
    All,
    #[serde(rename = "allow_only")]
    Only,
    #[serde(rename = "allow_all_except")]
    AllExcept,
}

impl PolicyMode {
    /// The name in `mcps.yaml`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::All => "allow_all",
            Self::Only => "allow_only",
            Self::AllExcept => "allow_all_except",
        }
    }
}

/// What a role may use of a server. An empty rule is everything; a deny always holds.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct RoleRule {
    pub(crate) allow_all: bool,
    pub(crate) deny_all: bool,
    /// Only these; an empty list is none.
    pub(crate) allow_only: Option<Vec<String>>,
    pub(crate) deny: Vec<String>,
    pub(crate) allow_all_except: Vec<String>,
    #[serde(flatten)]
    pub(crate) beside: BesideSpec,
}

/// What may be used of a server beside its tools. Absent: whoever may use any of its tools may use all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct BesideSpec {
    /// Only the prompts with these names; an empty list is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) prompts: Option<Vec<String>>,
    /// Never the prompts with these names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) denied_prompts: Vec<String>,
    /// Only the resources with these URIs; an empty list is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) resources: Option<Vec<String>>,
    /// Never the resources with these URIs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) denied_resources: Vec<String>,
}
