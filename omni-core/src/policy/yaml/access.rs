//! What the files say of one person, as gates: `blocked_tools`, `admin_only_tools`, the server's
//! `tool_policy`, the role's rule, and what the person's `allowed_mcps` makes of that.

use std::{collections::BTreeMap, sync::Arc};

use super::role::said;
use crate::{
    config::{
        ConfigFiles, Lines,
        spec::{
            AllowedMcps, ArgumentRuleSpec, Compat, McpAccess, McpMode, PolicyMode, RoleRule, ServerSpec, ToolPolicy,
            UserSpec,
        },
    },
    policy::{
        Permission, Role, Rule,
        rules::{ArgumentPlan, Clause, GatePlan, Plan, ServerPlan},
    },
};

mod beside;

/// Arguments that name a database.
const DATABASE_ARGUMENTS: [&str; 4] = ["database", "db", "db_name", "database_name"];
/// Two names of the built-in analytics server.
const ANALYTICS: [&str; 2] = ["analytics_mcp", "omni2_analytics_mcp"];

/// The tool of the analytics server that is for everybody.
const OWN_ROWS: &str = "get_my_usage";

/// Which list a person is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum SubjectKind {
    SuperAdmin,
    User,
    Default,
}

/// A person as the files have them.
pub(super) struct Subject<'a> {
    pub(super) kind: SubjectKind,
    /// Where in `lines`.
    pub(super) path: String,
    /// The lines of `users.yaml`, or those that a table does not have.
    pub(super) lines: &'a Lines,
    pub(super) user: &'a UserSpec,
    pub(super) role: &'a Role,
}

/// Whether two server names mean the same server.
pub(crate) fn is_same_server(one: &str, other: &str) -> bool {
    one == other || (ANALYTICS.contains(&one) && ANALYTICS.contains(&other))
}

/// The rules of one person for every server.
pub(super) fn plan(files: &ConfigFiles, subject: &Subject<'_>) -> Plan {
    let maker = Maker { files, subject };
    let listed = files.mcps.mcps.iter().enumerate();
    let mut servers: BTreeMap<String, ServerPlan> =
        listed.map(|(at, spec)| (spec.name.clone(), maker.server(&spec.name, Some((at, spec))))).collect();
    // A server that only the program knows may be used by whom the file names it for.
    for name in maker.named_servers() {
        if !servers.keys().any(|known| is_same_server(known, name)) {
            servers.insert(name.to_owned(), maker.server(name, None));
        }
    }
    let is_super_admin = subject.kind == SubjectKind::SuperAdmin;
    let other = if is_super_admin { ServerPlan::open(every_server()) } else { ServerPlan::default() };
    Plan { servers, other }
}

fn every_server() -> Rule {
    Rule::new("super admins may use every server", None)
}

/// What `allowed_mcps` makes of a server.
enum Access {
    /// Nothing, by this rule.
    Nothing(Rule),
    /// What the role may.
    Inherit,
    /// Everything that nothing denies, by this rule.
    Everything(Rule),
    /// These tools; the rule is for the others.
    Custom(Vec<Clause>, Rule),
}

struct Maker<'a> {
    files: &'a ConfigFiles,
    subject: &'a Subject<'a>,
}

impl Maker<'_> {
    fn server(&self, name: &str, listed: Option<(usize, &ServerSpec)>) -> ServerPlan {
        let (access, denied) = self.access(name);
        let mut gates = Vec::new();
        let mut passed = Rule::new(format!("{name}: nothing restricts the role {}", self.subject.role.name), None);
        if let Some((at, spec)) = listed {
            if spec.enabled == Some(false) {
                return ServerPlan::closed(self.server_rule(at, spec, "enabled", "false"));
            }
            passed.source = Some(self.files.mcps_lines.at(&format!("mcps[{at}]")));
        }
        gates.extend(self.global_gates(listed));
        gates.extend(listed.into_iter().flat_map(|(at, spec)| self.tool_policy(at, spec)));
        gates.extend(self.role_gates(listed, &access));
        gates.push(GatePlan::Deny(denied));
        let is_replaced = self.is_replaced(&access);
        match access {
            Access::Nothing(rule) => gates.push(GatePlan::Refuse(Arc::new(rule))),
            Access::Everything(rule) => passed = rule,
            Access::Custom(clauses, otherwise) => gates.push(GatePlan::Require(clauses, Arc::new(otherwise))),
            Access::Inherit => {}
        }
        let mut plan = ServerPlan {
            gates,
            confirm: self.confirm(listed),
            arguments: self.arguments(name, listed),
            no_danger: self.no_danger(),
            ..ServerPlan::open(passed)
        };
        self.put_beside(&mut plan, name, listed, is_replaced);
        plan
    }

    /// Whether the person's own entry, or what the role may bypass, stands in place of what the role allows.
    fn is_replaced(&self, access: &Access) -> bool {
        let bypasses = self.subject.role.may(Permission::CanBypassToolRestrictions);
        bypasses || matches!(access, Access::Everything(_) | Access::Custom(..))
    }

    /// `blocked_tools` and `admin_only_tools`, of all servers and of this one.
    fn global_gates(&self, listed: Option<(usize, &ServerSpec)>) -> Vec<GatePlan> {
        let (global, role) = (&self.files.mcps.global, self.subject.role);
        let mut gates = Vec::new();
        if !role.is_super_admin {
            let mut clauses = self.globals("blocked_tools", &global.blocked_tools);
            clauses.extend(listed.into_iter().flat_map(|own| self.clauses(own, "blocked_tools", &own.1.blocked_tools)));
            gates.push(GatePlan::Deny(clauses));
        }
        if !role.is_admin {
            let mut clauses = self.globals("admin_only_tools", &global.admin_only_tools);
            clauses.extend(
                listed.into_iter().flat_map(|own| self.clauses(own, "admin_only_tools", &own.1.admin_only_tools)),
            );
            gates.push(GatePlan::Deny(clauses));
            gates.extend(listed.and_then(|own| self.builtin_gate(own)));
        }
        gates
    }

    /// What everybody's history says is for administrators; their own everybody may see.
    fn builtin_gate(&self, own: (usize, &ServerSpec)) -> Option<GatePlan> {
        own.1.builtin.as_ref().filter(|name| *name == "analytics")?;
        let otherwise = self.server_rule(own.0, own.1, "builtin", "analytics is for administrators");
        let own_rows = self.clauses(own, "builtin", &[OWN_ROWS.to_owned()]);
        Some(GatePlan::Require(own_rows, Arc::new(otherwise)))
    }

    /// What the server offers at all.
    fn tool_policy(&self, at: usize, spec: &ServerSpec) -> Vec<GatePlan> {
        let own = (at, spec);
        let nothing = Vec::new();
        let (mode, allow, exclude) = match &spec.tool_policy {
            None => (PolicyMode::All, &nothing, &nothing),
            Some(ToolPolicy::Mode(mode)) => (*mode, &nothing, &nothing),
            Some(ToolPolicy::Rules(rules)) => (rules.mode, &rules.allow, &rules.exclude),
        };
        // An exclusion is an explicit deny, whatever the mode.
        let mut gates = vec![
            GatePlan::Deny(self.clauses(own, "tool_policy.exclude", exclude)),
            GatePlan::Deny(self.clauses(own, "denied_tools", &spec.denied_tools)),
        ];
        let require = |key: &str, patterns: &[String]| {
            let otherwise = self.server_rule(at, spec, key, "does not name it");
            GatePlan::Require(self.clauses(own, key, patterns), Arc::new(otherwise))
        };
        if mode == PolicyMode::Only {
            gates.push(require("tool_policy.allow", allow));
        }
        if !spec.allowed_tools.is_empty() {
            gates.push(require("allowed_tools", &spec.allowed_tools));
        }
        gates
    }

    /// The role's rule. What it denies always holds; what it allows, unless the person's own list replaces that.
    fn role_gates(&self, listed: Option<(usize, &ServerSpec)>, access: &Access) -> Vec<GatePlan> {
        let role = self.subject.role;
        let is_permissive = self.files.settings.policy.compat == Compat::Permissive;
        let bypasses = role.may(Permission::CanBypassToolRestrictions);
        let is_replaced = self.is_replaced(access);
        // `"*"` for every server names none: it does not open one that has rules, but none for the role.
        let is_named = || role.is_admin || listed.is_some_and(|(_, spec)| self.names(&spec.name));
        let is_opened = bypasses || (is_replaced && is_named());
        if role.is_super_admin || (is_permissive && is_replaced) {
            return Vec::new();
        }
        let mut gates = vec![GatePlan::Deny(self.role_denied())];
        let Some((at, spec)) = listed else { return gates };
        match spec.role_restrictions.get(&*role.name) {
            Some(rule) => gates.extend(self.role_rule(at, spec, rule, is_replaced)),
            None if spec.role_restrictions.is_empty() || is_permissive || is_opened => {}
            None => {
                let text = format!("has no rule for the role {}", role.name);
                gates.push(GatePlan::Refuse(Arc::new(self.server_rule(at, spec, "role_restrictions", &text))));
            }
        }
        gates
    }

    fn role_rule(&self, at: usize, spec: &ServerSpec, rule: &RoleRule, is_replaced: bool) -> Vec<GatePlan> {
        let key = |key: &str| format!("role_restrictions.{}.{key}", self.subject.role.name);
        let mut gates = Vec::new();
        if rule.deny_all {
            gates.push(GatePlan::Refuse(Arc::new(self.server_rule(at, spec, &key("deny_all"), "true"))));
        }
        let mut denied = self.clauses((at, spec), &key("deny"), &rule.deny);
        denied.extend(self.clauses((at, spec), &key("allow_all_except"), &rule.allow_all_except));
        gates.push(GatePlan::Deny(denied));
        if let (Some(only), false, false) = (&rule.allow_only, rule.allow_all, is_replaced) {
            let otherwise = self.server_rule(at, spec, &key("allow_only"), "does not name it");
            let clauses = self.clauses((at, spec), &key("allow_only"), only);
            gates.push(GatePlan::Require(clauses, Arc::new(otherwise)));
        }
        gates
    }

    /// Tools that `users.yaml` denies the role on every server.
    fn role_denied(&self) -> Vec<Clause> {
        let role = &self.subject.role.name;
        let declared = self.files.users.as_ref().and_then(|users| users.roles.get(&**role));
        let key = format!("roles.{role}.denied_tools");
        declared.map(|role| clauses(&self.files.users_lines, &key, &key, &role.denied_tools)).unwrap_or_default()
    }

    /// What the person's `allowed_mcps` makes of a server, and what it denies there.
    fn access(&self, server: &str) -> (Access, Vec<Clause>) {
        let nothing = |why: String| (Access::Nothing(Rule::new(why, None)), Vec::new());
        let by_map = match &self.subject.user.allowed_mcps {
            Some(AllowedMcps::Map(map)) => Some(map),
            Some(AllowedMcps::Word(_) | AllowedMcps::Names(_)) | None => None,
        };
        if self.subject.kind == SubjectKind::SuperAdmin {
            let denied = by_map.map(|map| self.map_entry(map, server).1).unwrap_or_default();
            return (Access::Everything(every_server()), denied);
        }
        match &self.subject.user.allowed_mcps {
            None if self.subject.kind == SubjectKind::Default => nothing("default_user has no allowed_mcps".into()),
            None => (Access::Inherit, Vec::new()),
            Some(AllowedMcps::Word(word)) if word == "*" => {
                (Access::Everything(self.own_rule("allowed_mcps", "*")), Vec::new())
            }
            Some(AllowedMcps::Word(name)) if is_same_server(name, server) => (Access::Inherit, Vec::new()),
            Some(AllowedMcps::Names(names)) if names.iter().any(|name| name == "*" || is_same_server(name, server)) => {
                (Access::Inherit, Vec::new())
            }
            Some(AllowedMcps::Word(_) | AllowedMcps::Names(_)) => {
                nothing(format!("allowed_mcps does not name {server}"))
            }
            Some(AllowedMcps::Map(map)) => self.map_entry(map, server),
        }
    }

    /// What the entry for a server makes of it, else the one for every server. What the latter denies
    /// holds beside an entry for this very server too.
    fn map_entry(&self, map: &BTreeMap<String, McpAccess>, server: &str) -> (Access, Vec<Clause>) {
        let entry = map.get_key_value(server).or_else(|| map.iter().find(|(name, _)| is_same_server(name, server)));
        let every = map.get_key_value("*");
        let mut denied = every.map(|(name, entry)| self.entry_denies(name, entry)).unwrap_or_default();
        if let Some((name, entry)) = entry.filter(|(name, _)| *name != "*") {
            denied.extend(self.entry_denies(name, entry));
        }
        let access = match entry.or(every) {
            Some((name, entry)) => self.entry_access(name, entry),
            None => Access::Nothing(Rule::new(format!("allowed_mcps does not name {server}"), None)),
        };
        (access, denied)
    }

    fn entry_denies(&self, name: &str, entry: &McpAccess) -> Vec<Clause> {
        let McpAccess::Rules(rules) = entry else { return Vec::new() };
        let mut denied = self.own_clauses(&format!("allowed_mcps.{name}.deny"), &rules.deny);
        denied.extend(self.own_clauses(&format!("allowed_mcps.{name}.denied_tools"), &rules.denied_tools));
        denied
    }

    fn entry_access(&self, name: &str, entry: &McpAccess) -> Access {
        let key = format!("allowed_mcps.{name}");
        let rules = match entry {
            McpAccess::Word(word) if word == "*" => return Access::Everything(self.own_rule(&key, "*")),
            McpAccess::Word(word) => return Access::Nothing(self.own_rule(&key, word)),
            McpAccess::Rules(rules) => rules,
        };
        match rules.mode {
            McpMode::Inherit => Access::Inherit,
            McpMode::All => Access::Everything(self.own_rule(&format!("{key}.mode"), "all")),
            McpMode::None => Access::Nothing(self.own_rule(&format!("{key}.mode"), "none")),
            McpMode::Custom => {
                let lists = [("tools", &rules.tools), ("allowed_tools", &rules.allowed_tools)].into_iter();
                let tools = lists.filter_map(|(list, tools)| Some((list, tools.as_ref()?)));
                let clauses = tools.flat_map(|(list, tools)| self.own_clauses(&format!("{key}.{list}"), tools));
                Access::Custom(clauses.collect(), self.own_rule(&format!("{key}.tools"), "does not name it"))
            }
        }
    }

    /// Whether the person's `allowed_mcps` says something of this very server.
    fn names(&self, server: &str) -> bool {
        matches!(&self.subject.user.allowed_mcps,
            Some(AllowedMcps::Map(map)) if map.keys().any(|name| is_same_server(name, server)))
    }

    /// Servers that the person's `allowed_mcps` names.
    fn named_servers(&self) -> Vec<&str> {
        match &self.subject.user.allowed_mcps {
            None => Vec::new(),
            Some(AllowedMcps::Word(name)) => vec![name.as_str()].into_iter().filter(|name| *name != "*").collect(),
            Some(AllowedMcps::Names(names)) => names.iter().map(String::as_str).filter(|name| *name != "*").collect(),
            Some(AllowedMcps::Map(map)) => map.keys().map(String::as_str).filter(|name| *name != "*").collect(),
        }
    }

    fn confirm(&self, listed: Option<(usize, &ServerSpec)>) -> Vec<Clause> {
        let mcps = &self.files.mcps;
        let mut clauses = self.globals("confirm", &mcps.global.confirm);
        let dangerous = "tool_patterns.dangerous";
        clauses.extend(self::clauses(&self.files.mcps_lines, dangerous, dangerous, &mcps.tool_patterns.dangerous));
        let clicked = &self.files.slack.interactive.require_confirmation;
        if clicked.enabled != Some(false) {
            let actions = "interactive.require_confirmation.actions";
            clauses.extend(self::clauses(&self.files.slack_lines, actions, actions, &clicked.actions));
        }
        clauses.extend(listed.into_iter().flat_map(|own| self.clauses(own, "confirm", &own.1.confirm)));
        clauses
    }

    /// What is asked of a call's arguments: `allowed_databases`, and the rules of person and role.
    fn arguments(&self, server: &str, listed: Option<(usize, &ServerSpec)>) -> Vec<ArgumentPlan> {
        let mut plans: Vec<ArgumentPlan> = self.databases(listed).into_iter().collect();
        let own = format!("{}.argument_rules", self.subject.path);
        plans.extend(argument_rules(server, self.subject.lines, &own, &self.subject.user.argument_rules));
        let role = &self.subject.role.name;
        if let Some(declared) = self.files.users.as_ref().and_then(|users| users.roles.get(&**role)) {
            let key = format!("roles.{role}.argument_rules");
            plans.extend(argument_rules(server, &self.files.users_lines, &key, &declared.argument_rules));
        }
        plans
    }

    /// The databases that a person's list names; without a list all of them, unless the role may not
    /// look at all of them and so at none.
    fn databases(&self, listed: Option<(usize, &ServerSpec)>) -> Option<ArgumentPlan> {
        let (values, rule) = match &self.subject.user.allowed_databases {
            Some(allowed) if allowed.is_everything() => return None,
            Some(allowed) => {
                (allowed.items().to_vec(), self.own_rule("allowed_databases", &allowed.items().join(", ")))
            }
            None => (Vec::new(), self.taken(Permission::CanAccessAllDatabases)?),
        };
        let own = listed.and_then(|(_, spec)| spec.database_argument.as_ref());
        let names = own.map_or_else(|| DATABASE_ARGUMENTS.map(String::from).to_vec(), |names| names.items().to_vec());
        Some(ArgumentPlan { tools: None, required: false, names, values, rule: Arc::new(rule) })
    }

    /// What keeps a role from calls that need a human's word.
    fn no_danger(&self) -> Option<Arc<Rule>> {
        self.taken(Permission::CanExecuteDangerousTools).map(Arc::new)
    }

    /// The rule by which `users.yaml` takes a permission away from the person's role.
    fn taken(&self, permission: Permission) -> Option<Rule> {
        let (users, role) = (self.files.users.as_ref()?, self.subject.role);
        let declared = users.roles.get(&*role.name).filter(|_| !role.is_super_admin)?;
        let is_taken = said(&declared.permissions, permission) == Some(false);
        let key = format!("roles.{}.permissions.{permission}", role.name);
        is_taken.then(|| Rule::new(format!("{key}: false"), Some(self.files.users_lines.at(&key))))
    }

    fn globals(&self, key: &str, patterns: &[String]) -> Vec<Clause> {
        let key = format!("global.{key}");
        clauses(&self.files.mcps_lines, &key, &key, patterns)
    }

    fn clauses(&self, (at, spec): (usize, &ServerSpec), key: &str, patterns: &[String]) -> Vec<Clause> {
        let text = format!("mcps.{}.{key}", spec.name);
        clauses(&self.files.mcps_lines, &format!("mcps[{at}].{key}"), &text, patterns)
    }

    fn own_clauses(&self, key: &str, patterns: &[String]) -> Vec<Clause> {
        let key = format!("{}.{key}", self.subject.path);
        clauses(self.subject.lines, &key, &key, patterns)
    }

    fn own_rule(&self, key: &str, value: &str) -> Rule {
        let key = format!("{}.{key}", self.subject.path);
        Rule::new(format!("{key}: {value}"), Some(self.subject.lines.at(&key)))
    }

    fn server_rule(&self, at: usize, spec: &ServerSpec, key: &str, value: &str) -> Rule {
        let source = self.files.mcps_lines.at(&format!("mcps[{at}].{key}"));
        Rule::new(format!("mcps.{}.{key}: {value}", spec.name), Some(source))
    }
}

/// Patterns of a list, each with the line it stands on.
fn clauses(lines: &Lines, path: &str, text: &str, patterns: &[String]) -> Vec<Clause> {
    let clause = |(at, pattern): (usize, &String)| Clause {
        pattern: pattern.clone(),
        rule: Arc::new(Rule::new(format!("{text}: {pattern}"), Some(lines.at(&format!("{path}[{at}]"))))),
    };
    patterns.iter().enumerate().map(clause).collect()
}

/// Those of the rules that speak of a server.
fn argument_rules(server: &str, lines: &Lines, path: &str, rules: &[ArgumentRuleSpec]) -> Vec<ArgumentPlan> {
    let speaks = |rule: &ArgumentRuleSpec| rule.server.as_deref().is_none_or(|name| is_same_server(name, server));
    let plan = |(at, rule): (usize, &ArgumentRuleSpec)| {
        let allowed = rule.allowed.items().join(", ");
        let text = format!("{path}[{at}]: {} of {} must be one of: {allowed}", rule.argument, rule.tool);
        ArgumentPlan {
            tools: Some(rule.tool.clone()),
            required: rule.required,
            names: vec![rule.argument.clone()],
            values: rule.allowed.items().to_vec(),
            rule: Arc::new(Rule::new(text, Some(lines.at(&format!("{path}[{at}]"))))),
        }
    };
    rules.iter().enumerate().filter(|(_, rule)| speaks(rule)).map(plan).collect()
}
