//! `users.yaml`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

/// `users.yaml`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("x-ignored" = ["teams", "auto_provisioning", "session", "restrictions", "user_audit"]))]
pub(crate) struct UsersSpec {
    /// Anybody who is not listed; absent: they are refused.
    pub(crate) default_user: Option<DefaultUserSpec>,
    /// People with every enabled server and every tool that its `tool_policy` offers.
    pub(crate) super_admins: Vec<UserSpec>,
    /// Everybody else.
    pub(crate) users: Vec<UserSpec>,
    /// Roles beside the built-in ones.
    #[schemars(extend("x-keep-empty" = true))]
    pub(crate) roles: BTreeMap<String, RoleSpec>,
}

/// One person.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[schemars(extend("x-ignored" = ["slack_user_id", "teams", "description"]))]
pub(crate) struct UserSpec {
    /// The e-mail address; upper and lower case are the same.
    pub(crate) email: String,
    #[serde(default)]
    pub(crate) name: Option<String>,
    /// Absent: `read_only`.
    #[serde(default)]
    pub(crate) role: Option<String>,
    /// `"*"`, server names, or servers with what may be used of them. Absent: all, as the role says.
    #[serde(default)]
    pub(crate) allowed_mcps: Option<AllowedMcps>,
    /// `"*"` or ids of knowledge domains. Absent: all.
    #[serde(default)]
    pub(crate) allowed_domains: Option<OneOrMany>,
    /// Patterns that a database argument must match. Absent: any.
    #[serde(default)]
    #[schemars(extend("x-enforced" = true))]
    pub(crate) allowed_databases: Option<OneOrMany>,
    #[serde(default)]
    pub(crate) is_active: Option<bool>,
    /// The operating system's user that this person is at a terminal.
    #[serde(default)]
    pub(crate) os_user: Option<OneOrMany>,
    #[serde(default)]
    #[schemars(extend("x-own" = true))]
    pub(crate) rate_limit: QuotaSpec,
    /// What the person may spend; what is not set here is as for the role.
    #[serde(default)]
    pub(crate) budget: PersonBudgetSpec,
}

/// Anybody who is not listed.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("x-ignored" = ["email", "name", "slack_user_id", "teams", "description"]))]
pub(crate) struct DefaultUserSpec {
    /// Absent: `read_only`.
    pub(crate) role: Option<String>,
    /// As for a user; absent: no server.
    pub(crate) allowed_mcps: Option<AllowedMcps>,
    pub(crate) allowed_domains: Option<OneOrMany>,
    #[schemars(extend("x-enforced" = true))]
    pub(crate) allowed_databases: Option<OneOrMany>,
    pub(crate) is_active: Option<bool>,
    #[schemars(extend("x-own" = true))]
    pub(crate) rate_limit: QuotaSpec,
    /// What each of them may spend.
    pub(crate) budget: PersonBudgetSpec,
}

/// Which servers, in one of the three shapes.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum AllowedMcps {
    /// `"*"`: every tool of every server; another text is one server's name.
    Word(String),
    /// These servers, as the role says.
    Names(Vec<String>),
    /// These servers, each with what may be used of it.
    Map(BTreeMap<String, McpAccess>),
}

/// What may be used of a server.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum McpAccess {
    /// `"*"`: every tool; anything else: none.
    Word(String),
    Rules(McpAccessSpec),
}

#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("x-ignored" = ["description"]))]
pub(crate) struct McpAccessSpec {
    /// Absent: `inherit`.
    pub(crate) mode: McpMode,
    /// For `custom`: only these.
    pub(crate) tools: Option<Vec<String>>,
    /// Another name of `tools`.
    pub(crate) allowed_tools: Option<Vec<String>>,
    /// Never these, in any mode.
    pub(crate) deny: Vec<String>,
    /// Another name of `deny`.
    pub(crate) denied_tools: Vec<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum McpMode {
    #[default]
    Inherit,
    Custom,
    All,
    None,
}

/// One text, or a list of them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    /// All texts.
    pub(crate) fn items(&self) -> &[String] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }

    /// Whether one of them is `*`.
    pub(crate) fn is_everything(&self) -> bool {
        self.items().iter().any(|item| item == "*")
    }
}

/// How much; 0 is unlimited.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct QuotaSpec {
    pub(crate) requests_per_hour: Option<u64>,
    pub(crate) requests_per_minute: Option<u64>,
    /// In any second.
    pub(crate) burst: Option<u64>,
    pub(crate) concurrent_requests: Option<u64>,
}

/// What one person may spend in each calendar period, in UTC.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("x-own" = true))]
pub(crate) struct PersonBudgetSpec {
    pub(crate) day: SpendSpec,
    pub(crate) month: SpendSpec,
}

/// How much may be spent; 0 is nothing, absent is no limit.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("x-own" = true))]
pub(crate) struct SpendSpec {
    /// US dollars.
    pub(crate) usd: Option<f64>,
    /// Input and output tokens together.
    pub(crate) tokens: Option<u64>,
}

/// A role.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("x-ignored" = [
    "display_name", "description", "color", "permissions", "allowed_mcp_tools", "allowed_tool_patterns",
]))]
pub(crate) struct RoleSpec {
    /// Tools that the role never has, on any server.
    #[schemars(extend("x-enforced" = true))]
    pub(crate) denied_tools: Vec<String>,
    #[schemars(extend("x-enforced" = true))]
    pub(crate) rate_limit: QuotaSpec,
    /// What each person of the role may spend.
    pub(crate) budget: PersonBudgetSpec,
    /// Models that the role may use; absent: every configured one.
    pub(crate) models: Option<Vec<String>>,
}
