//! What the files say of a person's prompts and resources.

use std::sync::Arc;

use super::{Maker, clauses, is_same_server};
use crate::{
    config::{
        Lines,
        spec::{AllowedMcps, BesideSpec, Compat, McpAccess, ServerSpec},
    },
    policy::{
        Rule,
        rules::{GatePlan, ServerPlan},
    },
};

/// What one place in the files says.
struct Said<'a> {
    spec: &'a BesideSpec,
    lines: &'a Lines,
    /// Where in `lines`.
    path: String,
    /// The same in words.
    text: String,
    /// Whether a list of what is allowed there counts.
    is_allowing: bool,
}

impl Said<'_> {
    fn gates(&self, key: &str, only: Option<&Vec<String>>, denied: &[String]) -> Vec<GatePlan> {
        let list = |key: &str, patterns: &[String]| {
            clauses(self.lines, &format!("{}.{key}", self.path), &format!("{}.{key}", self.text), patterns)
        };
        let mut gates = Vec::new();
        if !denied.is_empty() {
            gates.push(GatePlan::Deny(list(&format!("denied_{key}"), denied)));
        }
        if let Some(only) = only.filter(|_| self.is_allowing) {
            let source = self.lines.at(&format!("{}.{key}", self.path));
            let otherwise = Rule::new(format!("{}.{key}: does not name it", self.text), Some(source));
            gates.push(GatePlan::Require(list(key, only), Arc::new(otherwise)));
        }
        gates
    }
}

impl Maker<'_> {
    /// Adds the gates before the prompts and resources of a server; `is_replaced` is whether the person's
    /// own entry stands in place of what the role may.
    pub(super) fn put_beside(
        &self,
        plan: &mut ServerPlan,
        name: &str,
        listed: Option<(usize, &ServerSpec)>,
        is_replaced: bool,
    ) {
        for said in self.said(name, listed, is_replaced) {
            plan.prompts.extend(said.gates("prompts", said.spec.prompts.as_ref(), &said.spec.denied_prompts));
            let (only, denied) = (said.spec.resources.as_ref(), &said.spec.denied_resources);
            plan.resources.extend(said.gates("resources", only, denied));
        }
    }

    fn said<'s>(&'s self, name: &str, listed: Option<(usize, &'s ServerSpec)>, is_replaced: bool) -> Vec<Said<'s>> {
        let mut said = Vec::new();
        if let Some((at, spec)) = listed {
            let place = |key: &str| (format!("mcps[{at}]{key}"), format!("mcps.{}{key}", spec.name));
            let lines = &self.files.mcps_lines;
            let (path, text) = place("");
            said.push(Said { spec: &spec.beside, lines, path, text, is_allowing: true });
            let role = &*self.subject.role.name;
            if let Some(rule) = spec.role_restrictions.get(role).filter(|_| self.keeps_role_rules(is_replaced)) {
                let (path, text) = place(&format!(".role_restrictions.{role}"));
                said.push(Said { spec: &rule.beside, lines, path, text, is_allowing: !is_replaced });
            }
        }
        said.extend(self.own(name));
        said
    }

    /// Whether what is said of the role holds at all.
    fn keeps_role_rules(&self, is_replaced: bool) -> bool {
        let is_permissive = self.files.settings.policy.compat == Compat::Permissive;
        !(self.subject.role.is_super_admin || (is_permissive && is_replaced))
    }

    /// What the person's own entry for a server says, and what the one for every server denies.
    fn own(&self, server: &str) -> Vec<Said<'_>> {
        let Some(AllowedMcps::Map(map)) = &self.subject.user.allowed_mcps else { return Vec::new() };
        let named = map.iter().find(|(name, _)| *name != "*" && is_same_server(name, server));
        let every = map.get_key_value("*");
        let is_last = named.is_none();
        let every = every.into_iter().filter_map(|entry| self.own_entry(entry, is_last));
        every.chain(named.and_then(|entry| self.own_entry(entry, true))).collect()
    }

    fn own_entry<'s>(&'s self, (name, entry): (&'s String, &'s McpAccess), is_allowing: bool) -> Option<Said<'s>> {
        let McpAccess::Rules(rules) = entry else { return None };
        let path = format!("{}.allowed_mcps.{name}", self.subject.path);
        Some(Said { spec: &rules.beside, lines: self.subject.lines, text: path.clone(), path, is_allowing })
    }
}
