//! What answers show of whoever asked, and of how they came about.

use std::collections::BTreeMap;

use crate::config::spec::{DiagnosticSpec, UserInfoFormatSpec, UserInfoSpec};

/// The key of the sign of all roles that have none of their own.
const ANY_OTHER: &str = "default";

/// How much is shown of whoever asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum UserInfoFormat {
    /// The role.
    Minimal,
    /// Name and role.
    Standard,
    /// Name, address, role and servers.
    Detailed,
}

/// Where answers show who asked.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UserInfoRules {
    /// How much.
    pub format: UserInfoFormat,
    /// In direct messages.
    pub in_direct: bool,
    /// In channels.
    pub in_channels: bool,
    /// In threads.
    pub in_threads: bool,
    /// Their name.
    pub name: bool,
    /// Their role.
    pub role: bool,
    /// Their address; in [`UserInfoFormat::Detailed`] alone, as what follows.
    pub email: bool,
    /// How many servers they may use.
    pub server_count: bool,
    /// Which ones.
    pub server_names: bool,
    /// The sign of each role, by its name.
    pub emojis: BTreeMap<String, String>,
}

impl UserInfoRules {
    /// The sign of a role.
    #[must_use]
    pub fn emoji_of(&self, role: &str) -> Option<&str> {
        self.emojis.get(role).or_else(|| self.emojis.get(ANY_OTHER)).map(String::as_str)
    }
}

/// What answers show of how they came about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DiagnosticRules {
    /// In direct messages.
    pub in_direct: bool,
    /// In channels.
    pub in_channels: bool,
    /// Turns of the model.
    pub iterations: bool,
    /// The calls of tools.
    pub tool_calls: bool,
    /// The servers.
    pub servers: bool,
    /// The time.
    pub timing: bool,
    /// The tokens.
    pub tokens: bool,
    /// The cost.
    pub cost: bool,
    /// The roles that it is shown to; empty: all.
    pub roles: Vec<String>,
}

pub(super) fn user_info(spec: &UserInfoSpec) -> UserInfoRules {
    let is_on = spec.enabled.unwrap_or(true);
    let format = match spec.format {
        UserInfoFormatSpec::Minimal => UserInfoFormat::Minimal,
        UserInfoFormatSpec::Standard | UserInfoFormatSpec::FirstOnly => UserInfoFormat::Standard,
        UserInfoFormatSpec::Detailed => UserInfoFormat::Detailed,
    };
    let elements = &spec.elements;
    UserInfoRules {
        format,
        in_direct: is_on && spec.show_in_dm.unwrap_or(true),
        in_channels: is_on && spec.show_in_channels.unwrap_or(false),
        in_threads: is_on && spec.show_in_threads.unwrap_or(true),
        name: elements.show_name.unwrap_or(true),
        role: elements.show_role.unwrap_or(true),
        email: elements.show_email.unwrap_or(false),
        server_count: elements.show_mcp_count.unwrap_or(true),
        server_names: elements.show_mcp_names.unwrap_or(true),
        emojis: spec.role_emojis.clone(),
    }
}

pub(super) fn diagnostics(own: &DiagnosticSpec) -> DiagnosticRules {
    DiagnosticRules {
        in_direct: own.enabled && own.show_in_dm.unwrap_or(true),
        in_channels: own.enabled && own.show_in_channels.unwrap_or(false),
        iterations: own.show_iterations.unwrap_or(true),
        tool_calls: own.show_tool_calls.unwrap_or(true),
        servers: own.show_mcp_choices.unwrap_or(true),
        timing: own.show_timing.unwrap_or(true),
        tokens: own.show_tokens.unwrap_or(false),
        cost: own.show_cost.unwrap_or(false),
        roles: own.show_for_roles.clone(),
    }
}
