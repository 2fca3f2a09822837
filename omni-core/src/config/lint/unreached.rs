//! Patterns of allow lists that something else denies before they count.

use super::{
    super::{
        Severity,
        spec::{AllowedMcps, Compat, McpAccess, McpAccessSpec, McpMode, PolicyMode, RoleRule, ServerSpec, ToolPolicy},
    },
    Linter,
};
use crate::policy::{
    Pattern, Role,
    yaml::{NO_ROLE, is_same_server, role_of},
};

/// What stands before an allow list.
#[derive(Default)]
struct Before<'a> {
    /// What any of these matches is denied.
    denied: Vec<&'a String>,
    /// What one of these lists does not name is denied, by the list's key.
    required: Vec<(&'static str, &'a [String])>,
}

impl<'a> Before<'a> {
    /// What a server offers to nobody.
    fn of_server(server: &'a ServerSpec) -> Self {
        let mut before = Self { denied: server.denied_tools.iter().collect(), ..Self::default() };
        if let Some(ToolPolicy::Rules(rules)) = &server.tool_policy {
            before.denied.extend(&rules.exclude);
            if rules.mode == PolicyMode::Only {
                before.required.push(("tool_policy.allow", &rules.allow));
            }
        }
        if !server.allowed_tools.is_empty() {
            before.required.push(("allowed_tools", &server.allowed_tools));
        }
        before
    }

    /// Why a pattern is not reached. What is not sure is reached.
    fn stops(&self, pattern: &str) -> Option<String> {
        if let Some(denying) = self.denied.iter().find(|denying| covers(denying, pattern)) {
            return Some(format!("{pattern:?} is not reached: {denying:?} is denied before"));
        }
        let is_name = !pattern.contains(['*', '?', '[']);
        let names = |list: &[String]| list.iter().any(|own| Pattern::new(own).is_ok_and(|own| own.is_match(pattern)));
        let (key, _) = self.required.iter().find(|(_, list)| is_name && !names(list))?;
        Some(format!("{pattern:?} is not reached: {key} does not name it"))
    }
}

impl<'a> Linter<'a> {
    pub(super) fn unreached(&mut self) {
        let files = self.files;
        for (at, server) in files.mcps.mcps.iter().enumerate().filter(|(_, server)| server.enabled != Some(false)) {
            let path = format!("mcps[{at}]");
            self.of_server(&path, server);
            for (name, rule) in &server.role_restrictions {
                let before = self.before(server, &role_of(self.files, name), Some(rule));
                let only = rule.allow_only.as_deref().unwrap_or_default();
                for (at, message) in stopped(&before, only) {
                    let path = format!("{path}.role_restrictions.{name}.allow_only[{at}]");
                    self.server_note(Severity::Warning, &path, message);
                }
            }
        }
        let Some(users) = self.people() else { return };
        for (at, user) in users.users.iter().enumerate() {
            self.of_person(&format!("users[{at}]"), user.role.as_deref(), user.allowed_mcps.as_ref());
        }
        if let Some(anybody) = &users.default_user {
            self.of_person("default_user", anybody.role.as_deref(), anybody.allowed_mcps.as_ref());
        }
    }

    /// What a server names and takes back itself.
    fn of_server(&mut self, path: &str, server: &'a ServerSpec) {
        let whole = Before::of_server(server);
        if let Some(ToolPolicy::Rules(rules)) = &server.tool_policy
            && rules.mode == PolicyMode::Only
        {
            let denied = Before { denied: whole.denied.clone(), ..Before::default() };
            for (at, message) in stopped(&denied, &rules.allow) {
                self.server_note(Severity::Warning, &format!("{path}.tool_policy.allow[{at}]"), message);
            }
        }
        for (at, message) in stopped(&whole, &server.allowed_tools) {
            self.server_note(Severity::Warning, &format!("{path}.allowed_tools[{at}]"), message);
        }
    }

    /// What stands before the allow lists of a role, and of its people, at a server.
    fn before(&self, server: &'a ServerSpec, role: &Role, rule: Option<&'a RoleRule>) -> Before<'a> {
        let (global, mut before) = (&self.files.mcps.global, Before::of_server(server));
        if !role.is_super_admin {
            before.denied.extend(global.blocked_tools.iter().chain(&server.blocked_tools));
            let declared = self.people().and_then(|users| users.roles.get(&*role.name));
            before.denied.extend(declared.into_iter().flat_map(|declared| &declared.denied_tools));
        }
        if !role.is_admin {
            before.denied.extend(global.admin_only_tools.iter().chain(&server.admin_only_tools));
        }
        before.denied.extend(rule.into_iter().flat_map(|rule| rule.deny.iter().chain(&rule.allow_all_except)));
        before
    }

    /// Lists of a person's own.
    fn of_person(&mut self, path: &str, role: Option<&str>, allowed: Option<&'a AllowedMcps>) {
        let Some(AllowedMcps::Map(map)) = allowed else { return };
        let role = role_of(self.files, role.unwrap_or(NO_ROLE));
        let every = map.get("*").and_then(rules).map(denied).unwrap_or_default();
        for (name, own) in map.iter().filter_map(|(name, access)| Some((name, rules(access)?))) {
            if own.mode != McpMode::Custom {
                continue;
            }
            let server = self.files.mcps.mcps.iter().find(|server| is_same_server(&server.name, name));
            let mut before = server.map(|server| self.before_own(server, &role)).unwrap_or_default();
            before.denied.extend(every.iter().copied().chain(denied(own)));
            for (key, tools) in [("tools", &own.tools), ("allowed_tools", &own.allowed_tools)] {
                for (at, message) in stopped(&before, tools.as_deref().unwrap_or_default()) {
                    self.user_note(Severity::Warning, &format!("{path}.allowed_mcps.{name}.{key}[{at}]"), message);
                }
            }
        }
    }

    /// What stands before a person's own list: with `policy.compat: permissive` nothing of the role.
    fn before_own(&self, server: &'a ServerSpec, role: &Role) -> Before<'a> {
        match self.files.settings.policy.compat {
            Compat::Permissive => Before::of_server(server),
            Compat::Strict => self.before(server, role, server.role_restrictions.get(&*role.name)),
        }
    }
}

fn rules(access: &McpAccess) -> Option<&McpAccessSpec> {
    if let McpAccess::Rules(rules) = access { Some(rules) } else { None }
}

fn denied(rules: &McpAccessSpec) -> Vec<&String> {
    rules.deny.iter().chain(&rules.denied_tools).collect()
}

/// Those of the patterns that are not reached, and why.
fn stopped(before: &Before<'_>, patterns: &[String]) -> Vec<(usize, String)> {
    patterns.iter().enumerate().filter_map(|(at, pattern)| Some((at, before.stops(pattern)?))).collect()
}

/// Whether every name that `pattern` matches is matched by `denying`. What is not sure is no.
fn covers(denying: &str, pattern: &str) -> bool {
    // A `*` of the pattern can only be matched by a `*` of the other, if that has nothing else.
    let is_plain = !denying.contains(['?', '[']);
    is_plain && Pattern::new(denying).is_ok_and(|denying| denying.is_match(pattern))
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
