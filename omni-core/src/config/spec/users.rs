//! `users.yaml`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::mcps::BesideSpec;

/// `users.yaml`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("x-ignored" = ["session", "restrictions", "user_audit"]))]
pub(crate) struct UsersSpec {
    /// Anybody who is not listed; absent: they are refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) default_user: Option<DefaultUserSpec>,
    /// People with every enabled server and every tool that its `tool_policy` offers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) super_admins: Vec<UserSpec>,
    /// Everybody else.
    pub(crate) users: Vec<UserSpec>,
    /// People who may not use omni, whoever else names them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) blocked_users: Vec<BlockedSpec>,
    /// Roles beside the built-in ones.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("x-keep-empty" = true))]
    pub(crate) roles: BTreeMap<String, RoleSpec>,
    /// Teams. They grant nothing.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("x-keep-empty" = true))]
    pub(crate) teams: BTreeMap<String, TeamSpec>,
    /// What somebody gets who is not listed, before `default_user`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-enforced" = true))]
    pub(crate) auto_provisioning: Option<AutoProvisioningSpec>,
}

/// One person.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-ignored" = ["description"]))]
pub(crate) struct UserSpec {
    /// The e-mail address; upper and lower case are the same.
    pub(crate) email: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    /// Absent: `read_only`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) role: Option<String>,
    /// `"*"`, server names, or servers with what may be used of them. Absent: all, as the role says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) allowed_mcps: Option<AllowedMcps>,
    /// `"*"` or ids of knowledge domains. Absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) allowed_domains: Option<OneOrMany>,
    /// Patterns that a database argument must match. Absent: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-enforced" = true))]
    pub(crate) allowed_databases: Option<OneOrMany>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) is_active: Option<bool>,
    /// The operating system's user that this person is at a terminal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) os_user: Option<OneOrMany>,
    #[serde(default, skip_serializing_if = "QuotaSpec::is_empty")]
    #[schemars(extend("x-own" = true))]
    pub(crate) rate_limit: QuotaSpec,
    /// What the person may spend; what is not set here is as for the role.
    #[serde(default, skip_serializing_if = "PersonBudgetSpec::is_empty")]
    pub(crate) budget: PersonBudgetSpec,
    /// Values that arguments of certain tools must have.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) argument_rules: Vec<ArgumentRuleSpec>,
    /// Teams that the person belongs to. They grant nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) teams: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) slack_user_id: Option<String>,
}

/// Anybody who is not listed.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("x-ignored" = ["email", "name", "slack_user_id", "teams", "description"]))]
pub(crate) struct DefaultUserSpec {
    /// Absent: `read_only`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) role: Option<String>,
    /// As for a user; absent: no server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) allowed_mcps: Option<AllowedMcps>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) allowed_domains: Option<OneOrMany>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-enforced" = true))]
    pub(crate) allowed_databases: Option<OneOrMany>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) is_active: Option<bool>,
    #[serde(skip_serializing_if = "QuotaSpec::is_empty")]
    #[schemars(extend("x-own" = true))]
    pub(crate) rate_limit: QuotaSpec,
    /// What each of them may spend.
    #[serde(skip_serializing_if = "PersonBudgetSpec::is_empty")]
    pub(crate) budget: PersonBudgetSpec,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) argument_rules: Vec<ArgumentRuleSpec>,
}

/// Somebody who may not use omni.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-own" = true))]
pub(crate) struct BlockedSpec {
    /// The e-mail address.
    pub(crate) email: String,
    /// What the person reads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) message: Option<String>,
}

/// A value that an argument must have.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-own" = true))]
pub(crate) struct ArgumentRuleSpec {
    /// The server's name; absent: every server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) server: Option<String>,
    /// A pattern of tool names.
    pub(crate) tool: String,
    /// The argument's name.
    pub(crate) argument: String,
    /// Patterns of which the value must match one.
    pub(crate) allowed: OneOrMany,
    /// Whether a call without the argument is refused.
    #[serde(default)]
    pub(crate) required: bool,
}

/// A team.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct TeamSpec {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) slack_channel: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) notify_on_errors: Option<bool>,
}

/// What somebody gets whom neither the file nor an administrator named.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("x-ignored" = ["notify_admins", "notification_channel"]))]
pub(crate) struct AutoProvisioningSpec {
    pub(crate) enabled: bool,
    /// For whom no mapping speaks; absent: they are `default_user`, or refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) default_role: Option<String>,
    /// Whether an administrator must approve first, where a mapping does not say.
    pub(crate) require_approval: bool,
    /// By what follows the `@` of the address, with or without it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("x-keep-empty" = true))]
    pub(crate) email_domain_mapping: BTreeMap<String, OfferSpec>,
    /// By Slack workspace, for those who ask there.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("x-keep-empty" = true))]
    pub(crate) slack_team_mapping: BTreeMap<String, OfferSpec>,
}

/// A role on offer.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct OfferSpec {
    /// Absent: as in general.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) default_role: Option<String>,
    /// Absent: as in general.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) require_approval: Option<bool>,
}

/// Which servers, in one of the three shapes.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
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
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum McpAccess {
    /// `"*"`: every tool; anything else: none.
    Word(String),
    Rules(McpAccessSpec),
}

#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("x-ignored" = ["description"]))]
pub(crate) struct McpAccessSpec {
    /// Absent: `inherit`.
    pub(crate) mode: McpMode,
    /// For `custom`: only these.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tools: Option<Vec<String>>,
    /// Another name of `tools`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) allowed_tools: Option<Vec<String>>,
    /// Never these, in any mode.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) deny: Vec<String>,
    /// Another name of `deny`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) denied_tools: Vec<String>,
    #[serde(flatten)]
    pub(crate) beside: BesideSpec,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum McpMode {
    #[default]
    Inherit,
    Custom,
    All,
    None,
}

/// One text, or a list of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct QuotaSpec {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) requests_per_hour: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) requests_per_minute: Option<u64>,
    /// In any second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) burst: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) concurrent_requests: Option<u64>,
}

impl QuotaSpec {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What one person may spend in each calendar period, in UTC.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("x-own" = true))]
pub(crate) struct PersonBudgetSpec {
    #[serde(skip_serializing_if = "SpendSpec::is_empty")]
    pub(crate) day: SpendSpec,
    #[serde(skip_serializing_if = "SpendSpec::is_empty")]
    pub(crate) month: SpendSpec,
}

impl PersonBudgetSpec {
    /// Whether nothing is limited.
    pub(crate) fn is_empty(&self) -> bool {
        self.day.is_empty() && self.month.is_empty()
    }
}

/// How much may be spent; 0 is nothing, absent is no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("x-own" = true))]
pub(crate) struct SpendSpec {
    /// US dollars.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) usd: Option<f64>,
    /// Input and output tokens together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tokens: Option<u64>,
}

impl SpendSpec {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A role.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("x-ignored" = [
    "description", "color", "allowed_mcp_tools", "allowed_tool_patterns",
]))]
pub(crate) struct RoleSpec {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) display_name: Option<String>,
    /// What the role may do beside using tools; admins may do all of it unless it says otherwise.
    #[serde(skip_serializing_if = "PermissionsSpec::is_empty")]
    #[schemars(extend("x-enforced" = true))]
    pub(crate) permissions: PermissionsSpec,
    /// Tools that the role never has, on any server.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-enforced" = true))]
    pub(crate) denied_tools: Vec<String>,
    #[serde(skip_serializing_if = "QuotaSpec::is_empty")]
    #[schemars(extend("x-enforced" = true))]
    pub(crate) rate_limit: QuotaSpec,
    /// What each person of the role may spend.
    #[serde(skip_serializing_if = "PersonBudgetSpec::is_empty")]
    pub(crate) budget: PersonBudgetSpec,
    /// Models that the role may use; absent: every configured one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) models: Option<Vec<String>>,
    /// Values that arguments of certain tools must have.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) argument_rules: Vec<ArgumentRuleSpec>,
}

/// What may stand under `permissions`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct PermissionsSpec {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) can_bypass_tool_restrictions: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) can_manage_users: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) can_modify_config: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) can_view_audit_logs: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) can_execute_dangerous_tools: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) can_access_all_databases: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) can_promote_users: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) can_delete_data: Option<bool>,
}

impl PermissionsSpec {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
