//! Patterns that match no tool, as far as the servers' tools are known.

use super::{
    super::{
        Severity,
        spec::{AllowedMcps, ArgumentRuleSpec, McpAccess, McpMode, ServerSpec, ToolPolicy, UsersSpec},
    },
    Linter,
};
use crate::{
    catalog::stored::StoredTools,
    policy::{Pattern, yaml::is_same_server},
};

/// A pattern of tool names where it stands.
struct Placed<'a> {
    path: String,
    /// Of which server's tools; `None` is every server.
    server: Option<&'a str>,
    pattern: &'a str,
}

/// The servers that a pattern speaks of.
struct Spoken<'a> {
    servers: Vec<&'a str>,
    /// All tools that they had; `None` where those of one of them are not known.
    tools: Option<Vec<&'a str>>,
}

impl<'a> Linter<'a> {
    pub(super) fn unmatched(&mut self, stored: &StoredTools) {
        for placed in self.of_servers() {
            if let Some((is_misspelled, message)) = self.matches_nothing(&placed, stored) {
                // A pattern for all servers is for those too that are still to come; a name is rather misspelled.
                let is_for_later = !is_misspelled && placed.server.is_none() && placed.pattern.contains('*');
                let severity = if is_for_later { Severity::Info } else { Severity::Warning };
                self.server_note(severity, &placed.path, message);
            }
        }
        for placed in self.people().map(of_people).unwrap_or_default() {
            if let Some((_, message)) = self.matches_nothing(&placed, stored) {
                self.user_note(Severity::Warning, &placed.path, message);
            }
        }
    }

    fn of_servers(&self) -> Vec<Placed<'a>> {
        let global = &self.files.mcps.global;
        let mut placed = Vec::new();
        add(&mut placed, "global.blocked_tools", None, &global.blocked_tools);
        add(&mut placed, "global.admin_only_tools", None, &global.admin_only_tools);
        add(&mut placed, "global.confirm", None, &global.confirm);
        add(&mut placed, "tool_patterns.dangerous", None, &self.files.mcps.tool_patterns.dangerous);
        for (at, server) in self.files.mcps.mcps.iter().enumerate() {
            of_server(&mut placed, &format!("mcps[{at}]"), server);
        }
        placed
    }

    /// Why no tool can have a name that matches, and whether none ever can.
    fn matches_nothing(&self, placed: &Placed<'_>, stored: &StoredTools) -> Option<(bool, String)> {
        let text = placed.pattern;
        if text.trim() != text {
            return Some((true, format!("{text:?} matches nothing: no tool has such a name")));
        }
        let spoken = self.spoken(placed.server, stored);
        let own = |server: &&str| [".", "__"].into_iter().find_map(|dot| text.strip_prefix(&format!("{server}{dot}")));
        if let Some(tool) = spoken.servers.iter().find_map(own) {
            let message =
                format!("{text:?} matches nothing: here tools are named without their server; write {tool:?}");
            return Some((true, message));
        }
        let pattern = Pattern::new(text).ok()?;
        if spoken.tools?.into_iter().any(|tool| pattern.is_match(tool)) {
            return None;
        }
        let message = match spoken.servers[..] {
            [server] => format!("{text:?} matches none of the tools that {server} had when it was last asked"),
            _ => format!("{text:?} matches none of the tools that the servers had when they were last asked"),
        };
        Some((false, message))
    }

    fn spoken<'s>(&self, server: Option<&str>, stored: &'s StoredTools) -> Spoken<'s>
    where
        'a: 's,
    {
        let is_meant = |spec: &&ServerSpec| match server {
            Some(server) => is_same_server(&spec.name, server),
            None => spec.enabled != Some(false),
        };
        let servers: Vec<&str> = self.files.mcps.mcps.iter().filter(is_meant).map(|spec| spec.name.as_str()).collect();
        let known = |server: &&str| stored.get(*server).filter(|tools| !tools.is_empty());
        let tools: Option<Vec<_>> = servers.iter().map(known).collect();
        let tools = tools.filter(|tools| !tools.is_empty());
        Spoken {
            servers,
            tools: tools.map(|all| all.into_iter().flat_map(|own| own.keys()).map(String::as_str).collect()),
        }
    }
}

fn add<'a>(placed: &mut Vec<Placed<'a>>, path: &str, server: Option<&'a str>, patterns: &'a [String]) {
    placed.extend(patterns.iter().enumerate().map(|(at, pattern)| Placed {
        path: format!("{path}[{at}]"),
        server,
        pattern,
    }));
}

/// Every list of patterns of a server.
fn of_server<'a>(placed: &mut Vec<Placed<'a>>, path: &str, server: &'a ServerSpec) {
    let mut add =
        |key: &str, patterns: &'a [String]| add(placed, &format!("{path}.{key}"), Some(&server.name), patterns);
    add("blocked_tools", &server.blocked_tools);
    add("admin_only_tools", &server.admin_only_tools);
    add("allowed_tools", &server.allowed_tools);
    add("denied_tools", &server.denied_tools);
    add("confirm", &server.confirm);
    if let Some(ToolPolicy::Rules(rules)) = &server.tool_policy {
        add("tool_policy.allow", &rules.allow);
        add("tool_policy.exclude", &rules.exclude);
    }
    for (role, rule) in &server.role_restrictions {
        let key = |key: &str| format!("role_restrictions.{role}.{key}");
        add(&key("allow_only"), rule.allow_only.as_deref().unwrap_or_default());
        add(&key("deny"), &rule.deny);
        add(&key("allow_all_except"), &rule.allow_all_except);
    }
}

/// Every list of patterns of tools in `users.yaml`.
fn of_people(users: &UsersSpec) -> Vec<Placed<'_>> {
    let mut placed = Vec::new();
    for (list, people) in [("super_admins", &users.super_admins), ("users", &users.users)] {
        for (at, user) in people.iter().enumerate() {
            let path = format!("{list}[{at}]");
            of_access(&mut placed, &path, user.allowed_mcps.as_ref());
            of_arguments(&mut placed, &path, &user.argument_rules);
        }
    }
    if let Some(anybody) = &users.default_user {
        of_access(&mut placed, "default_user", anybody.allowed_mcps.as_ref());
        of_arguments(&mut placed, "default_user", &anybody.argument_rules);
    }
    for (name, role) in &users.roles {
        add(&mut placed, &format!("roles.{name}.denied_tools"), None, &role.denied_tools);
        of_arguments(&mut placed, &format!("roles.{name}"), &role.argument_rules);
    }
    placed
}

fn of_access<'a>(placed: &mut Vec<Placed<'a>>, path: &str, allowed: Option<&'a AllowedMcps>) {
    let Some(AllowedMcps::Map(map)) = allowed else { return };
    for (name, access) in map {
        let McpAccess::Rules(rules) = access else { continue };
        let server = Some(name.as_str()).filter(|name| *name != "*");
        let mut add = |key: &str, patterns: &'a [String]| {
            add(placed, &format!("{path}.allowed_mcps.{name}.{key}"), server, patterns)
        };
        if rules.mode == McpMode::Custom {
            add("tools", rules.tools.as_deref().unwrap_or_default());
            add("allowed_tools", rules.allowed_tools.as_deref().unwrap_or_default());
        }
        add("deny", &rules.deny);
        add("denied_tools", &rules.denied_tools);
    }
}

fn of_arguments<'a>(placed: &mut Vec<Placed<'a>>, path: &str, rules: &'a [ArgumentRuleSpec]) {
    placed.extend(rules.iter().enumerate().map(|(at, rule)| Placed {
        path: format!("{path}.argument_rules[{at}].tool"),
        server: rule.server.as_deref().filter(|server| *server != "*"),
        pattern: &rule.tool,
    }));
}
