//! What the access rules say that is probably not meant: servers and roles that get everything, rules
//! that rule each other out, roles that nobody has.

use std::collections::BTreeSet;

use super::Linter;
use crate::{
    config::{
        Severity,
        spec::{PolicyMode, PolicyStoreSpec, RoleRule, ServerSpec, ToolPolicy, UsersSpec},
    },
    policy::yaml::BUILT_IN,
};

impl Linter<'_> {
    /// What a server's rules say.
    pub(super) fn rules(&mut self, at: usize, server: &ServerSpec) {
        let path = format!("mcps[{at}]");
        // Of everybody's history nobody but administrators sees anything anyway.
        if server.enabled == Some(false) || server.builtin.as_deref() == Some("analytics") {
            return;
        }
        let is_open = matches!(&server.tool_policy, None | Some(ToolPolicy::Mode(PolicyMode::All)))
            && server.role_restrictions.is_empty()
            && server.allowed_tools.is_empty();
        if is_open {
            // Where there is nobody but whoever sits at the terminal, nobody else may use it.
            let has_people = self.files.users.is_some() || self.files.settings.policy.store == PolicyStoreSpec::Sql;
            let is_meant = server.tool_policy.is_some();
            let severity = if has_people && !is_meant { Severity::Warning } else { Severity::Info };
            let rest = if is_meant { "" } else { "; `tool_policy: allow_all` says that this is meant" };
            let message = format!("nothing restricts it: every known role may use all of it{rest}");
            self.server_note(severity, &path, message);
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
        if rule.allow_only.as_ref().is_some_and(Vec::is_empty) && !rule.allow_all && !rule.deny_all {
            let message = "an empty list allows nothing; in the original it allowed everything";
            self.server_note(Severity::Info, &format!("{path}.allow_only"), message);
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
        let security = &self.files.settings.security;
        let claimed =
            security.oidc.iter().map(|oidc| &oidc.roles).chain(security.proxy.iter().map(|proxy| &proxy.roles));
        used.extend(claimed.flat_map(|roles| roles.values()).map(String::as_str));
        for role in users.roles.keys().filter(|role| !used.contains(role.as_str())) {
            let unknown = if BUILT_IN.contains(&role.as_str()) { "" } else { ", and omni does not know it by itself" };
            let message = format!("nobody in this file has this role{unknown}");
            self.user_note(Severity::Warning, &format!("roles.{role}"), message);
        }
    }
}
