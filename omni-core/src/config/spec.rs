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
mod slack;
mod threading;
mod tools;
mod users;

pub(crate) use gateway::PrefixSpec;
pub(crate) use http::SecurityModeSpec;
pub(crate) use mcps::{
    AuthSpec, AuthType, BesideSpec, GrantSpec, McpsSpec, PolicyMode, RoleRule, ServerSpec, SharingSpec, ToolPolicy,
};
pub(crate) use security::{EgressSpec, OidcLoginSpec, OidcSpec, ProxySpec, TokenStoreSpec};
pub(crate) use settings::{
    AckSpec, BudgetPer, BudgetSpec, Compat, LlmSpec, LogFormatSpec, OnError, PeriodSpec, PolicyStoreSpec, PriceSpec,
    SettingsSpec, StoreContentSpec,
};
pub(crate) use slack::{
    AllowedChannelsSpec, ChannelModeSpec, DiagnosticSpec, NamedReactionSpec, ReactionSpec, ReactionTriggersSpec,
    ScheduledMessageSpec, ScheduledMessagesSpec, SignedTemplateSpec, SlackSpec, TemplateSpec, TemplatesSpec,
    UserInfoFormatSpec, UserInfoSpec,
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
