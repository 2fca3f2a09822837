//! Rules in code, for embedders.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{Clause, GatePlan, PatternSets, Plan, RuleSet, ServerPlan};
use crate::policy::{PatternError, Rule};

/// The name that stands for every server.
const EVERY_SERVER: &str = "*";

/// Makes a [`RuleSet`]. What nothing allows is denied; a deny always wins.
///
/// Server names are exact, or `*` for every server; tools are patterns as in the files.
///
/// ```
/// # fn run() -> Result<(), omni_core::policy::PatternError> {
/// use omni_core::policy::RuleSet;
///
/// let rules = RuleSet::builder().allow("database", "*").deny("*", "drop_*").confirm("database", "kill_*").build()?;
/// assert!(rules.decide("database", "get_health", None).is_allowed());
/// assert!(!rules.decide("database", "drop_table", None).is_allowed());
/// # Ok(()) }
/// # run().unwrap();
/// ```
#[derive(Debug, Default)]
#[must_use]
pub struct RuleSetBuilder {
    allow: BTreeMap<String, Vec<Clause>>,
    deny: BTreeMap<String, Vec<Clause>>,
    confirm: BTreeMap<String, Vec<Clause>>,
    prompts: Beside,
    resources: Beside,
}

/// What is said of prompts, or of resources.
#[derive(Debug, Default)]
struct Beside {
    allow: BTreeMap<String, Vec<Clause>>,
    deny: BTreeMap<String, Vec<Clause>>,
}

impl Beside {
    fn names(&self) -> impl Iterator<Item = &String> {
        self.allow.keys().chain(self.deny.keys())
    }

    fn gates(&self, name: &str, kind: &str) -> Vec<GatePlan> {
        let (allowed, denied) = (clauses(&self.allow, name), clauses(&self.deny, name));
        let mut gates = Vec::new();
        if !denied.is_empty() {
            gates.push(GatePlan::Deny(denied));
        }
        if !allowed.is_empty() {
            let otherwise = Rule::new(format!("{name}: nothing allows this {kind}"), None);
            gates.push(GatePlan::Require(allowed, Arc::new(otherwise)));
        }
        gates
    }
}

impl RuleSetBuilder {
    /// Allows the tools of a server that match.
    pub fn allow(mut self, server: &str, tools: &str) -> Self {
        add(&mut self.allow, "allow", server, tools);
        self
    }

    /// Denies the tools of a server that match, whatever else allows them.
    pub fn deny(mut self, server: &str, tools: &str) -> Self {
        add(&mut self.deny, "deny", server, tools);
        self
    }

    /// Asks a human before a tool that matches runs. It allows nothing by itself.
    pub fn confirm(mut self, server: &str, tools: &str) -> Self {
        add(&mut self.confirm, "confirm", server, tools);
        self
    }

    /// Allows, of a server of which any tool is allowed, only the prompts that match; without this, all.
    pub fn prompts(mut self, server: &str, names: &str) -> Self {
        add(&mut self.prompts.allow, "prompts", server, names);
        self
    }

    /// Denies the prompts of a server that match, whatever else allows them.
    pub fn deny_prompts(mut self, server: &str, names: &str) -> Self {
        add(&mut self.prompts.deny, "deny_prompts", server, names);
        self
    }

    /// Allows, of a server of which any tool is allowed, only the resources whose URIs match; without
    /// this, all.
    pub fn resources(mut self, server: &str, uris: &str) -> Self {
        add(&mut self.resources.allow, "resources", server, uris);
        self
    }

    /// Denies the resources of a server whose URIs match, whatever else allows them.
    pub fn deny_resources(mut self, server: &str, uris: &str) -> Self {
        add(&mut self.resources.deny, "deny_resources", server, uris);
        self
    }

    /// Compiles the rules.
    ///
    /// # Errors
    /// The first pattern that cannot be used.
    pub fn build(self) -> Result<Arc<RuleSet>, PatternError> {
        let tools = self.allow.keys().chain(self.deny.keys()).chain(self.confirm.keys());
        let names: BTreeSet<&String> = tools.chain(self.prompts.names()).chain(self.resources.names()).collect();
        let servers = names.into_iter().filter(|name| *name != EVERY_SERVER);
        let plan = Plan {
            servers: servers.map(|name| (name.clone(), self.server(name))).collect(),
            other: self.server(EVERY_SERVER),
        };
        RuleSet::compile(plan, &mut PatternSets::default())
    }

    fn server(&self, name: &str) -> ServerPlan {
        let otherwise = Arc::new(Rule::new(format!("{name}: nothing allows this tool"), None));
        ServerPlan {
            gates: vec![
                GatePlan::Deny(clauses(&self.deny, name)),
                GatePlan::Require(clauses(&self.allow, name), otherwise.clone()),
            ],
            confirm: clauses(&self.confirm, name),
            arguments: Vec::new(),
            passed: otherwise,
            no_danger: None,
            prompts: self.prompts.gates(name, "prompt"),
            resources: self.resources.gates(name, "resource"),
        }
    }
}

fn add(to: &mut BTreeMap<String, Vec<Clause>>, effect: &str, server: &str, tools: &str) {
    let rule = Arc::new(Rule::new(format!("{server}.{effect}: {tools}"), None));
    to.entry(server.into()).or_default().push(Clause { pattern: tools.into(), rule });
}

/// A server's own clauses, then those for every server.
fn clauses(from: &BTreeMap<String, Vec<Clause>>, name: &str) -> Vec<Clause> {
    let own = from.get(name).into_iter().flatten();
    let every = from.get(EVERY_SERVER).filter(|_| name != EVERY_SERVER).into_iter().flatten();
    own.chain(every).cloned().collect()
}
