//! The files as they are written: one type a mapping. What omni does not use is listed by name, so
//! that a misspelt key is still found.

use std::collections::BTreeMap;

use serde_json::Value;

mod approvals;
mod gateway;
mod http;
mod mcps;
mod results;
mod security;
mod settings;
mod threading;
mod tools;
mod users;

pub(crate) use gateway::PrefixSpec;
pub(crate) use http::SecurityModeSpec;
pub(crate) use mcps::{
    AuthSpec, AuthType, BesideSpec, GrantSpec, McpsSpec, PolicyMode, RoleRule, ServerSpec, SharingSpec, ToolPolicy,
};
pub(crate) use security::{EgressSpec, OidcSpec, ProxySpec, TokenStoreSpec};
pub(crate) use settings::{
    AckSpec, BudgetPer, BudgetSpec, Compat, LlmSpec, LogFormatSpec, OnError, PeriodSpec, PolicyStoreSpec, PriceSpec,
    SettingsSpec, StoreContentSpec,
};
pub(crate) use threading::{ChannelSpec, ContextSpec, SummarySpec, ThreadingSpec};
pub(crate) use tools::PinSpec;
pub(crate) use users::{
    AllowedMcps, ArgumentRuleSpec, AutoProvisioningSpec, BlockedSpec, McpAccess, McpAccessSpec, McpMode, OfferSpec,
    OneOrMany, PermissionsSpec, PersonBudgetSpec, QuotaSpec, RoleSpec, SpendSpec, TeamSpec, UserSpec, UsersSpec,
};

/// The schema of one file, as the shape check wants it.
pub(crate) fn schema<T: schemars::JsonSchema>() -> Value {
    schemars::SchemaGenerator::default().into_root_schema_for::<T>().to_value()
}

/// The five files and their schemas.
pub(crate) fn schemas() -> BTreeMap<&'static str, Value> {
    [
        ("settings.yaml", schema::<SettingsSpec>()),
        ("mcps.yaml", schema::<McpsSpec>()),
        ("users.yaml", schema::<UsersSpec>()),
        ("slack.yaml", schema::<SlackSpec>()),
        ("threading.yaml", schema::<ThreadingSpec>()),
    ]
    .into()
}

/// `slack.yaml`.
#[derive(Debug, Clone, Default, serde::Deserialize, schemars::JsonSchema)]
#[serde(default)]
#[schemars(extend("x-ignored" = [
    "slack", "commands", "behavior", "channels", "allowed_channels", "formatting", "templates",
    "mentions", "security", "logging", "advanced", "user_info_display", "diagnostic_info",
]))]
pub(crate) struct SlackSpec {
    pub(crate) interactive: InteractiveSpec,
}

/// What people click on.
#[derive(Debug, Clone, Default, serde::Deserialize, schemars::JsonSchema)]
#[serde(default)]
#[schemars(extend("x-ignored" = ["use_buttons", "buttons", "use_select_menus"]))]
pub(crate) struct InteractiveSpec {
    pub(crate) require_confirmation: RequireConfirmationSpec,
}

/// Calls that need a human's word, whatever door they come by.
#[derive(Debug, Clone, Default, serde::Deserialize, schemars::JsonSchema)]
#[serde(default)]
pub(crate) struct RequireConfirmationSpec {
    /// Whether they do; absent: they do.
    pub(crate) enabled: Option<bool>,
    /// Tools that a human must agree to, as those of `global.confirm` in `mcps.yaml`.
    #[schemars(extend("x-enforced" = true))]
    pub(crate) actions: Vec<String>,
}
