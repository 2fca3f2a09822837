//! What becomes of `slack.yaml` where a variable is not set.

use crate::config::{
    Severity,
    interpolate::References,
    load::Findings,
    spec::{ChannelModeSpec, SlackSpec},
    yaml::Lines,
};

/// A token may come from the environment, and a text is omni's own then; a rule would be another rule.
pub(in crate::config) fn report(spec: &SlackSpec, lines: &Lines, variables: &References, findings: &mut Findings) {
    findings.rules_need(lines, variables, |path| is_rule(spec, path));
    for unset in variables.unset.iter().filter(|unset| !is_rule(spec, &unset.path)) {
        findings.unset(Severity::Info, lines, unset, "");
    }
}

/// Whether a value says whom the bot answers, where, and how far it goes. A list that is not in force says nothing: the
/// original's file names a workspace below a restriction that is off.
fn is_rule(spec: &SlackSpec, path: &str) -> bool {
    let keys: Vec<&str> = path.split('.').map(|step| step.split('[').next().unwrap_or_default()).collect();
    match keys.as_slice() {
        ["allowed_channels", "whitelist"] => spec.allowed_channels.mode == ChannelModeSpec::Whitelist,
        ["allowed_channels", "blacklist"] => spec.allowed_channels.mode == ChannelModeSpec::Blacklist,
        ["security", "workspace_restriction", "allowed_workspaces"] => spec.security.workspace_restriction.enabled,
        ["allowed_channels", ..] | ["security", "workspace_restriction", ..] | ["security", "allow_guests"] => true,
        ["channel_overrides", _, key] => *key != "stream",
        ["commands", key] => matches!(*key, "command" | "enabled" | "required_role"),
        ["mentions", key] => {
            matches!(*key, "respond_to_mentions" | "respond_to_dm_without_command" | "follow_threads")
        }
        ["interactive", "require_confirmation", "actions"] => {
            spec.interactive.require_confirmation.enabled != Some(false)
        }
        ["diagnostic_info", "show_for_roles"] => spec.diagnostic_info.enabled,
        ["advanced", "scheduled_messages", "schedules", "max_cost_usd"] => spec.advanced.scheduled_messages.enabled,
        _ => false,
    }
}
