//! What a configuration says that is probably not meant.

use std::collections::BTreeSet;

use super::{
    Config, ConfigFiles, Diagnostic, Severity, nearest,
    shape::NOT_USED,
    spec::{
        AllowedMcps, ArgumentRuleSpec, AutoProvisioningSpec, Compat, McpAccess, McpMode, OfferSpec, OneOrMany,
        PolicyStoreSpec, TeamSpec, ToolPolicy, UsersSpec,
    },
};
use crate::{
    catalog::stored,
    policy::{
        Pattern, Permission, Role,
        yaml::{is_same_server, known_roles, role_of},
    },
};

/// Knowledge domains that the original names to the language model.
const DOMAINS: [&str; 7] =
    ["general_knowledge", "python_help", "code_review", "database_help", "sql_help", "testing_help", "data_analysis"];

/// What makes somebody an administrator.
const ADMINISTERS: [Permission; 4] =
    [Permission::CanManageUsers, Permission::CanModifyConfig, Permission::CanPromoteUsers, Permission::CanDeleteData];
/// What is more than using tools, and no administration.
const REACHES_FAR: [Permission; 2] = [Permission::CanViewAuditLogs, Permission::CanBypassToolRestrictions];

mod access;
mod slack;
mod unmatched;
mod unreached;

impl Config {
    /// All findings, the gravest first: what loading noticed, and what is wrong once it is needed.
    #[must_use]
    pub fn check(&self) -> Vec<Diagnostic> {
        let mut findings = self.diagnostics.clone();
        findings.extend(self.files.problems.iter().map(|problem| problem.finding.clone()));
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        findings
    }

    /// What is to be said of how the files fit together.
    pub(super) fn lint(&self) -> Vec<Diagnostic> {
        let mut linter = Linter { files: &self.files, roles: known_roles(&self.files), findings: Vec::new() };
        linter.servers();
        linter.access_rules();
        linter.unmatched(&stored::read(self));
        linter.slack(&self.slack);
        match &self.files.users {
            _ if self.files.settings.policy.store == PolicyStoreSpec::Sql => linter.people_of_database(),
            Some(users) => linter.users(users),
            None => linter.no_users(),
        }
        linter.findings
    }

    /// Whether what `users.yaml` says of people may be put elsewhere, also where it does not count here.
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    pub(crate) fn check_people(&self) -> Result<(), super::ConfigError> {
        let mut linter = Linter { files: &self.files, roles: known_roles(&self.files), findings: Vec::new() };
        if let Some(users) = &self.files.users {
            linter.users(users);
        }
        super::one_or_several(
            linter.findings.into_iter().filter(|finding| finding.severity == Severity::Error).collect(),
        )
    }
}

struct Linter<'a> {
    files: &'a ConfigFiles,
    roles: BTreeSet<String>,
    findings: Vec<Diagnostic>,
}

impl<'a> Linter<'a> {
    fn server_note(&mut self, severity: Severity, path: &str, message: impl Into<String>) {
        self.findings.push(self.files.mcps_lines.finding(severity, path, message));
    }

    fn user_note(&mut self, severity: Severity, path: &str, message: impl Into<String>) {
        self.findings.push(self.files.users_lines.finding(severity, path, message));
    }

    fn people_of_database(&mut self) {
        if self.files.users.is_some() {
            let message = "not used: policy.store is sql; `omni policy import` puts it into the database";
            self.user_note(Severity::Warning, "", message);
        }
    }

    fn no_users(&mut self) {
        let message = "there is no users.yaml: the person at the terminal is super admin, everybody else is refused";
        self.findings.push(Diagnostic {
            severity: Severity::Info,
            source: None,
            key: String::new(),
            message: message.into(),
        });
    }

    fn access_rules(&mut self) {
        let files = self.files;
        for (at, server) in files.mcps.mcps.iter().enumerate() {
            self.rules(at, server);
        }
        self.unreached();
        for (name, said) in &files.mcps.roles {
            let mut keys: Vec<&str> =
                said.as_object().into_iter().flat_map(|said| said.keys()).map(String::as_str).collect();
            keys.sort_unstable();
            if !keys.is_empty() {
                let message = format!("{NOT_USED}: {}; what a role may is in users.yaml", keys.join(", "));
                self.server_note(Severity::Info, &format!("roles.{name}"), message);
            }
        }
    }

    /// What `users.yaml` says, where that counts.
    fn people(&self) -> Option<&'a UsersSpec> {
        self.files.users.as_ref().filter(|_| self.files.settings.policy.store != PolicyStoreSpec::Sql)
    }

    fn servers(&mut self) {
        let files = self.files;
        let global = &files.mcps.global;
        let lists = [
            ("global.blocked_tools", &global.blocked_tools),
            ("global.admin_only_tools", &global.admin_only_tools),
            ("global.confirm", &global.confirm),
            ("tool_patterns.dangerous", &files.mcps.tool_patterns.dangerous),
        ];
        lists.iter().for_each(|(key, list)| self.server_patterns(key, list));
        for (at, server) in files.mcps.mcps.iter().enumerate() {
            let path = format!("mcps[{at}]");
            let lists = [
                ("blocked_tools", &server.blocked_tools),
                ("admin_only_tools", &server.admin_only_tools),
                ("allowed_tools", &server.allowed_tools),
                ("denied_tools", &server.denied_tools),
                ("confirm", &server.confirm),
            ];
            lists.iter().for_each(|(key, list)| self.server_patterns(&format!("{path}.{key}"), list));
            if let Some(ToolPolicy::Rules(rules)) = &server.tool_policy {
                self.server_patterns(&format!("{path}.tool_policy.allow"), &rules.allow);
                self.server_patterns(&format!("{path}.tool_policy.exclude"), &rules.exclude);
            }
            for (role, rule) in &server.role_restrictions {
                let path = format!("{path}.role_restrictions.{role}");
                if !self.roles.contains(role) {
                    let message = self.unknown_role(role);
                    self.server_note(Severity::Warning, &path, message);
                }
                self.server_patterns(&format!("{path}.allow_only"), rule.allow_only.as_deref().unwrap_or_default());
                self.server_patterns(&format!("{path}.deny"), &rule.deny);
                self.server_patterns(&format!("{path}.allow_all_except"), &rule.allow_all_except);
            }
            let is_restricted = !server.role_restrictions.is_empty() && server.enabled != Some(false);
            if is_restricted {
                self.roles_without_rule(&path, at);
            }
        }
    }

    /// Roles that people have and a restricted server does not speak of.
    fn roles_without_rule(&mut self, path: &str, at: usize) {
        let files = self.files;
        let rules = &files.mcps.mcps[at].role_restrictions;
        let users = files.users.iter().flat_map(|users| &users.users);
        let roles: BTreeSet<&str> = users.map(|user| user.role.as_deref().unwrap_or("read_only")).collect();
        let missing: Vec<&str> =
            roles.into_iter().filter(|role| *role != "super_admin" && !rules.contains_key(*role)).collect();
        if missing.is_empty() {
            return;
        }
        let (severity, so) = match files.settings.policy.compat {
            Compat::Strict => (
                Severity::Info,
                "may do nothing here unless allowed_mcps says so; the original allowed them everything",
            ),
            Compat::Permissive => (Severity::Warning, "may do everything here, because policy.compat is permissive"),
        };
        let message = format!("no rule for {}: they {so}", missing.join(", "));
        self.server_note(severity, &format!("{path}.role_restrictions"), message);
    }

    fn server_patterns(&mut self, path: &str, patterns: &[String]) {
        for (at, error) in malformed(patterns) {
            self.server_note(Severity::Error, &format!("{path}[{at}]"), error);
        }
    }

    fn user_patterns(&mut self, path: &str, patterns: &[String]) {
        for (at, error) in malformed(patterns) {
            self.user_note(Severity::Error, &format!("{path}[{at}]"), error);
        }
    }

    fn users(&mut self, users: &UsersSpec) {
        let lists = [("super_admins", &users.super_admins), ("users", &users.users)];
        let mut seen = BTreeSet::new();
        for (list, people) in lists {
            for (at, user) in people.iter().enumerate() {
                let path = format!("{list}[{at}]");
                let email = user.email.trim().to_lowercase();
                if email.is_empty() {
                    self.user_note(Severity::Warning, &path, "the e-mail address is empty; nobody is this person");
                } else if !seen.insert(email) {
                    let message = "this person is listed twice; super_admins holds, else the last entry";
                    self.user_note(Severity::Warning, &format!("{path}.email"), message);
                }
                self.role(&path, user.role.as_deref());
                self.access(&path, user.allowed_mcps.as_ref());
                self.domains(&path, user.allowed_domains.as_ref());
                self.user_patterns(&format!("{path}.allowed_databases"), texts(user.allowed_databases.as_ref()));
                self.argument_rules(&path, &user.argument_rules);
                self.teams(&path, &user.teams, users);
            }
        }
        if let Some(anybody) = &users.default_user {
            self.role("default_user", anybody.role.as_deref());
            self.access("default_user", anybody.allowed_mcps.as_ref());
            self.domains("default_user", anybody.allowed_domains.as_ref());
            self.user_patterns("default_user.allowed_databases", texts(anybody.allowed_databases.as_ref()));
            self.argument_rules("default_user", &anybody.argument_rules);
            if anybody.allowed_mcps.is_none() {
                self.user_note(Severity::Info, "default_user", "without allowed_mcps it may use no server");
            }
        }
        for (name, role) in &users.roles {
            self.user_patterns(&format!("roles.{name}.denied_tools"), &role.denied_tools);
            self.argument_rules(&format!("roles.{name}"), &role.argument_rules);
        }
        if let Some(spec) = &users.auto_provisioning {
            self.provisioning(spec);
        }
        for (name, team) in &users.teams {
            self.team(name, team);
        }
        self.unused_roles(users);
    }

    fn role(&mut self, path: &str, role: Option<&str>) {
        if let Some(role) = role.filter(|role| !self.roles.contains(*role)) {
            let message = format!("whoever has it is denied everything: {}", self.unknown_role(role));
            self.user_note(Severity::Warning, &format!("{path}.role"), message);
        }
    }

    fn argument_rules(&mut self, path: &str, rules: &[ArgumentRuleSpec]) {
        for (at, rule) in rules.iter().enumerate() {
            let path = format!("{path}.argument_rules[{at}]");
            self.user_patterns(&format!("{path}.tool"), std::slice::from_ref(&rule.tool));
            self.user_patterns(&format!("{path}.allowed"), rule.allowed.items());
            if let Some(server) = &rule.server {
                self.server_name(&format!("{path}.server"), server);
            }
        }
    }

    fn teams(&mut self, path: &str, teams: &[String], users: &UsersSpec) {
        // Where no team is described, names are all that there is.
        for team in teams.iter().filter(|team| !users.teams.is_empty() && !users.teams.contains_key(*team)) {
            let near = nearest(team, users.teams.keys().map(String::as_str));
            let near = near.map(|near| format!("; did you mean {near:?}?")).unwrap_or_default();
            self.user_note(Severity::Warning, &format!("{path}.teams"), format!("there is no team {team:?}{near}"));
        }
    }

    /// Keys that are kept and that nothing goes by.
    fn team(&mut self, name: &str, team: &TeamSpec) {
        let keys =
            [("slack_channel", team.slack_channel.is_some()), ("notify_on_errors", team.notify_on_errors.is_some())];
        let unused: Vec<&str> = keys.into_iter().filter(|(_, is_set)| *is_set).map(|(key, _)| key).collect();
        if !unused.is_empty() {
            let message = format!("{NOT_USED}: {}", unused.join(", "));
            self.user_note(Severity::Info, &format!("teams.{name}"), message);
        }
    }

    fn provisioning(&mut self, spec: &AutoProvisioningSpec) {
        let general = OfferSpec { default_role: spec.default_role.clone(), ..OfferSpec::default() };
        let maps =
            [("email_domain_mapping", &spec.email_domain_mapping), ("slack_team_mapping", &spec.slack_team_mapping)];
        let mapped = maps.into_iter().flat_map(|(key, offers)| {
            offers.iter().map(move |(name, offer)| (format!("auto_provisioning.{key}.{name}"), offer))
        });
        for (path, offer) in [("auto_provisioning".to_owned(), &general)].into_iter().chain(mapped) {
            self.role(&path, offer.default_role.as_deref());
            let role = offer.default_role.as_ref().or(spec.default_role.as_ref());
            let needs_approval = offer.require_approval.unwrap_or(spec.require_approval);
            if let Some(role) = role.filter(|_| spec.enabled && !needs_approval) {
                self.given_away(&format!("{path}.default_role"), &role_of(self.files, role));
            }
        }
    }

    /// Rights that somebody has by coming.
    fn given_away(&mut self, path: &str, role: &Role) {
        if role.is_admin || ADMINISTERS.into_iter().any(|permission| role.may(permission)) {
            let message = "whoever comes would be an administrator; set require_approval: true, or another role";
            return self.user_note(Severity::Error, path, message);
        }
        for permission in REACHES_FAR.into_iter().filter(|permission| role.may(*permission)) {
            let message = format!("whoever comes has {permission}, without anybody's approval");
            self.user_note(Severity::Warning, path, message);
        }
    }

    fn unknown_role(&self, role: &str) -> String {
        let near = nearest(role, self.roles.iter().map(String::as_str));
        let near = near.map(|near| format!("; did you mean {near:?}?")).unwrap_or_default();
        format!("the role {role:?} is not known{near}")
    }

    fn access(&mut self, path: &str, allowed: Option<&AllowedMcps>) {
        let path = format!("{path}.allowed_mcps");
        match allowed {
            None => {}
            Some(AllowedMcps::Word(name)) => self.server_name(&path, name),
            Some(AllowedMcps::Names(names)) => {
                names.iter().enumerate().for_each(|(at, name)| self.server_name(&format!("{path}[{at}]"), name));
            }
            Some(AllowedMcps::Map(map)) => {
                for (name, access) in map {
                    let path = format!("{path}.{name}");
                    self.server_name(&path, name);
                    self.map_entry(&path, access);
                }
            }
        }
    }

    fn map_entry(&mut self, path: &str, access: &McpAccess) {
        match access {
            McpAccess::Word(word) if word == "*" => {}
            McpAccess::Word(word) => {
                let message = format!("{word:?} gives no tool; \"*\" gives all, and a mapping with mode the rest");
                self.user_note(Severity::Warning, path, message);
            }
            McpAccess::Rules(rules) => {
                let tools = [("tools", &rules.tools), ("allowed_tools", &rules.allowed_tools)];
                for (key, tools) in tools.into_iter().filter_map(|(key, tools)| Some((key, tools.as_ref()?))) {
                    self.user_patterns(&format!("{path}.{key}"), tools);
                    if rules.mode != McpMode::Custom {
                        let message = "not used: it counts only with mode: custom";
                        self.user_note(Severity::Warning, &format!("{path}.{key}"), message);
                    }
                }
                self.user_patterns(&format!("{path}.deny"), &rules.deny);
                self.user_patterns(&format!("{path}.denied_tools"), &rules.denied_tools);
            }
        }
    }

    fn server_name(&mut self, path: &str, name: &str) {
        let servers = &self.files.mcps.mcps;
        if name == "*" || servers.iter().any(|server| is_same_server(&server.name, name)) {
            return;
        }
        let near = nearest(name, servers.iter().map(|server| server.name.as_str()));
        let near = near.map(|near| format!("; did you mean {near:?}?")).unwrap_or_default();
        self.user_note(Severity::Warning, path, format!("mcps.yaml has no server {name:?}{near}"));
    }

    fn domains(&mut self, path: &str, domains: Option<&OneOrMany>) {
        for domain in texts(domains).iter().filter(|domain| *domain != "*" && !DOMAINS.contains(&domain.as_str())) {
            let near = nearest(domain, DOMAINS.into_iter());
            let near = near.map(|near| format!("; did you mean {near:?}?")).unwrap_or_default();
            let message = format!("the domain {domain:?} is not known{near}");
            self.user_note(Severity::Warning, &format!("{path}.allowed_domains"), message);
        }
    }
}

fn texts(texts: Option<&OneOrMany>) -> &[String] {
    texts.map(OneOrMany::items).unwrap_or_default()
}

fn malformed(patterns: &[String]) -> Vec<(usize, String)> {
    let errors = patterns.iter().enumerate().filter_map(|(at, text)| Some((at, Pattern::new(text).err()?.to_string())));
    errors.collect()
}
