//! What the access rules say that is probably not meant: roles that get everything, patterns that
//! match nothing, rules that nothing reaches, roles that nobody has.

use std::collections::BTreeSet;

use super::Linter;
use crate::{
    catalog::stored::StoredTools,
    config::{
        Severity,
        spec::{PolicyMode, RoleRule, ServerSpec, ToolPolicy, UsersSpec},
    },
    policy::{Pattern, yaml::BUILT_IN},
};

impl Linter<'_> {
    /// What a server's rules say.
    pub(super) fn rules(&mut self, at: usize, server: &ServerSpec) {
        let path = format!("mcps[{at}]");
        if server.enabled == Some(false) {
            return;
        }
        let is_open = matches!(&server.tool_policy, None | Some(ToolPolicy::Mode(PolicyMode::All)))
            && server.role_restrictions.is_empty()
            && server.allowed_tools.is_empty();
        if is_open {
            let message = "nothing restricts it: every known role may use all of it";
            self.server_note(Severity::Info, &path, message);
        }
        if let Some(ToolPolicy::Rules(rules)) = &server.tool_policy
            && rules.mode != PolicyMode::Only
            && !rules.allow.is_empty()
        {
            let message = "not used: it counts only with mode: allow_only";
            self.server_note(Severity::Warning, &format!("{path}.tool_policy.allow"), message);
        }
        for (role, rule) in &server.role_restrictions {
            self.role_rule(&format!("{path}.role_restrictions.{role}"), role, rule);
            self.unreachable(&path, server, role, rule);
        }
    }

    fn role_rule(&mut self, path: &str, role: &str, rule: &RoleRule) {
        let only = rule.allow_only.is_some();
        let denies = !rule.deny.is_empty() || !rule.allow_all_except.is_empty();
        if !rule.allow_all && !rule.deny_all && !only && !denies {
            let message =
                format!("it says nothing, so {role} may use everything here; write allow_all: true to mean it");
            self.server_note(Severity::Warning, path, message);
        }
        if rule.allow_all && only {
            let message = "not reached: allow_all is true";
            self.server_note(Severity::Warning, &format!("{path}.allow_only"), message);
        }
        if rule.deny_all && (rule.allow_all || only || denies) {
            let message = "nothing else of this rule is reached: deny_all is true";
            self.server_note(Severity::Warning, &format!("{path}.deny_all"), message);
        }
    }

    /// Patterns of an allow list that something denies before they count.
    fn unreachable(&mut self, path: &str, server: &ServerSpec, role: &str, rule: &RoleRule) {
        let none = Vec::new();
        let excluded = match &server.tool_policy {
            Some(ToolPolicy::Rules(rules)) => &rules.exclude,
            Some(ToolPolicy::Mode(_)) | None => &none,
        };
        let blocked = if role == "super_admin" { &none } else { &self.files.mcps.global.blocked_tools };
        let lists = [excluded, &server.denied_tools, &rule.deny, &rule.allow_all_except, blocked];
        let denied: Vec<&String> = lists.into_iter().flatten().collect();
        for (at, pattern) in rule.allow_only.iter().flatten().enumerate() {
            if let Some(denying) = denied.iter().find(|denying| covers(denying, pattern)) {
                let message = format!("{pattern:?} is not reached: {denying:?} is denied before");
                let path = format!("{path}.role_restrictions.{role}.allow_only[{at}]");
                self.server_note(Severity::Warning, &path, message);
            }
        }
    }

    /// Patterns that match no tool of a server, as far as its tools are known.
    pub(super) fn unmatched(&mut self, at: usize, server: &ServerSpec, stored: &StoredTools) {
        let known = stored.get(&server.name);
        for (path, patterns) in lists(&format!("mcps[{at}]"), server) {
            for (at, pattern) in patterns.iter().enumerate() {
                if let Some(message) = matches_nothing(pattern, &server.name, known) {
                    self.server_note(Severity::Warning, &format!("{path}[{at}]"), message);
                }
            }
        }
    }

    /// Roles that are declared and that nobody has.
    pub(super) fn unused_roles(&mut self, users: &UsersSpec) {
        let people = users.users.iter().chain(&users.super_admins).map(|user| user.role.as_deref());
        let anybody = users.default_user.iter().map(|user| user.role.as_deref());
        let mut used: BTreeSet<&str> = people.chain(anybody).map(|role| role.unwrap_or("read_only")).collect();
        if let Some(spec) = &users.auto_provisioning {
            let offers = spec.email_domain_mapping.values().chain(spec.slack_team_mapping.values());
            used.extend(offers.filter_map(|offer| offer.default_role.as_deref()));
            used.extend(spec.default_role.as_deref());
        }
        for role in users.roles.keys().filter(|role| !used.contains(role.as_str())) {
            let unknown = if BUILT_IN.contains(&role.as_str()) { "" } else { ", and omni does not know it by itself" };
            let message = format!("nobody in this file has this role{unknown}");
            self.user_note(Severity::Info, &format!("roles.{role}"), message);
        }
    }
}

/// Every list of patterns of a server, with its path.
fn lists<'a>(path: &str, server: &'a ServerSpec) -> Vec<(String, &'a [String])> {
    let mut lists: Vec<(String, &[String])> = vec![
        (format!("{path}.blocked_tools"), &server.blocked_tools),
        (format!("{path}.admin_only_tools"), &server.admin_only_tools),
        (format!("{path}.allowed_tools"), &server.allowed_tools),
        (format!("{path}.denied_tools"), &server.denied_tools),
        (format!("{path}.confirm"), &server.confirm),
    ];
    if let Some(ToolPolicy::Rules(rules)) = &server.tool_policy {
        lists.push((format!("{path}.tool_policy.allow"), &rules.allow));
        lists.push((format!("{path}.tool_policy.exclude"), &rules.exclude));
    }
    for (role, rule) in &server.role_restrictions {
        let path = format!("{path}.role_restrictions.{role}");
        lists.push((format!("{path}.allow_only"), rule.allow_only.as_deref().unwrap_or_default()));
        lists.push((format!("{path}.deny"), &rule.deny));
        lists.push((format!("{path}.allow_all_except"), &rule.allow_all_except));
    }
    lists
}

/// Whether every name that `pattern` matches is matched by `denying`. What is not sure is no.
fn covers(denying: &str, pattern: &str) -> bool {
    // A `*` of the pattern can only be matched by a `*` of the other, if that has nothing else.
    let is_plain = !denying.contains(['?', '[']);
    is_plain && Pattern::new(denying).is_ok_and(|denying| denying.is_match(pattern))
}

/// Why no tool can have a name that matches.
fn matches_nothing(pattern: &str, server: &str, known: Option<&BTreeSet<String>>) -> Option<String> {
    if pattern.trim() != pattern {
        return Some(format!("{pattern:?} matches nothing: no tool has such a name"));
    }
    let own = [".", "__"].into_iter().find_map(|dot| pattern.strip_prefix(&format!("{server}{dot}")));
    if let Some(tool) = own {
        return Some(format!("{pattern:?} matches nothing: here tools are named without their server; write {tool:?}"));
    }
    let pattern = Pattern::new(pattern).ok()?;
    let none = known.is_some_and(|tools| !tools.is_empty() && !tools.iter().any(|tool| pattern.is_match(tool)));
    none.then(|| format!("{:?} matches none of the tools that {server} had when it was last asked", pattern.as_str()))
}

#[cfg(test)]
mod tests {
    use super::covers;

    #[test]
    fn a_pattern_covers_another_only_where_that_is_sure() {
        for (denying, pattern, expected) in [
            ("*", "get_*", true),
            ("drop_*", "drop_*", true),
            ("drop_*", "drop_a", true),
            ("drop_*", "*", false),
            ("get_*_x", "get_*", false),
            ("get_?", "get_*", false),
            ("[g]*", "get_*", false),
            ("get_a", "get_a", true),
        ] {
            assert_eq!(covers(denying, pattern), expected, "{denying} {pattern}");
        }
    }
}
