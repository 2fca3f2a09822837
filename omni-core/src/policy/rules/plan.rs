//! Rules before they are compiled: cheap to make and to compare.

use std::{collections::BTreeMap, sync::Arc};

use sha2::{Digest, Sha256};

use crate::{hex::to_hex, policy::Rule};

/// A pattern and the rule that it belongs to.
#[derive(Debug, Clone)]
pub(in crate::policy) struct Clause {
    pub(in crate::policy) pattern: String,
    pub(in crate::policy) rule: Arc<Rule>,
}

/// A gate: what it stops.
#[derive(Debug, Clone)]
pub(in crate::policy) enum GatePlan {
    /// Everything.
    Refuse(Arc<Rule>),
    /// What matches.
    Deny(Vec<Clause>),
    /// What does not match; then the second rule is named.
    Require(Vec<Clause>, Arc<Rule>),
}

/// Values that arguments of certain names must match.
#[derive(Debug, Clone)]
pub(in crate::policy) struct ArgumentPlan {
    /// Of tools that match; `None` is every tool.
    pub(in crate::policy) tools: Option<String>,
    /// Whether one of them must be there.
    pub(in crate::policy) required: bool,
    pub(in crate::policy) names: Vec<String>,
    pub(in crate::policy) values: Vec<String>,
    pub(in crate::policy) rule: Arc<Rule>,
}

/// One server's gates.
#[derive(Debug, Clone)]
pub(in crate::policy) struct ServerPlan {
    pub(in crate::policy) gates: Vec<GatePlan>,
    pub(in crate::policy) confirm: Vec<Clause>,
    pub(in crate::policy) arguments: Vec<ArgumentPlan>,
    /// The rule that is named when a tool passes and no gate required a match.
    pub(in crate::policy) passed: Arc<Rule>,
    /// The rule that keeps from whatever needs a human's word.
    pub(in crate::policy) no_danger: Option<Arc<Rule>>,
    /// Gates before the prompts, beside those that close the whole server.
    pub(in crate::policy) prompts: Vec<GatePlan>,
    /// The same before the resources.
    pub(in crate::policy) resources: Vec<GatePlan>,
}

impl ServerPlan {
    /// Everything passes.
    pub(in crate::policy) fn open(rule: Rule) -> Self {
        Self::of(Arc::new(rule))
    }

    fn of(passed: Arc<Rule>) -> Self {
        Self {
            gates: Vec::new(),
            confirm: Vec::new(),
            arguments: Vec::new(),
            passed,
            no_danger: None,
            prompts: Vec::new(),
            resources: Vec::new(),
        }
    }

    /// Nothing passes.
    pub(in crate::policy) fn closed(rule: Rule) -> Self {
        let rule = Arc::new(rule);
        Self { gates: vec![GatePlan::Refuse(rule.clone())], ..Self::of(rule) }
    }
}

impl Default for ServerPlan {
    fn default() -> Self {
        Self::closed(Rule::new("there is no such server", None))
    }
}

/// All servers' gates, and those of a server that is not named.
#[derive(Debug, Clone, Default)]
pub(in crate::policy) struct Plan {
    pub(in crate::policy) servers: BTreeMap<String, ServerPlan>,
    pub(in crate::policy) other: ServerPlan,
}

impl Plan {
    /// A hash of what the rules say.
    pub(in crate::policy) fn fingerprint(&self) -> String {
        self.hash(false)
    }

    /// A hash of what the rules say, how they are worded and where they stand.
    pub(in crate::policy) fn identity(&self) -> String {
        self.hash(true)
    }

    fn hash(&self, worded: bool) -> String {
        let mut hasher = Hasher { sha: Sha256::new(), worded };
        for (name, server) in &self.servers {
            hasher.text("server", name);
            hasher.server(server);
        }
        hasher.text("other", "");
        hasher.server(&self.other);
        to_hex(hasher.sha.finalize())
    }
}

/// Hashes parts with their lengths, so that no two plans read the same.
struct Hasher {
    sha: Sha256,
    worded: bool,
}

impl Hasher {
    fn text(&mut self, kind: &str, text: &str) {
        for part in [kind, text] {
            self.sha.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
            self.sha.update(part);
        }
    }

    fn rule(&mut self, rule: &Rule) {
        if self.worded {
            self.text("rule", &rule.text);
            self.text("source", &rule.source.as_ref().map(ToString::to_string).unwrap_or_default());
        }
    }

    fn clauses(&mut self, kind: &str, clauses: &[Clause]) {
        self.text(kind, &clauses.len().to_string());
        // The order only says which rule is named.
        let mut ordered: Vec<&Clause> = clauses.iter().collect();
        if !self.worded {
            ordered.sort_by(|a, b| a.pattern.cmp(&b.pattern));
        }
        for clause in ordered {
            self.text("pattern", &clause.pattern);
            self.rule(&clause.rule);
        }
    }

    fn gates(&mut self, gates: &[GatePlan]) {
        for gate in gates {
            match gate {
                GatePlan::Refuse(rule) => {
                    self.text("refuse", "");
                    self.rule(rule);
                }
                GatePlan::Deny(clauses) => self.clauses("deny", clauses),
                GatePlan::Require(clauses, rule) => {
                    self.clauses("require", clauses);
                    self.rule(rule);
                }
            }
        }
    }

    fn server(&mut self, server: &ServerPlan) {
        self.gates(&server.gates);
        self.clauses("confirm", &server.confirm);
        for argument in &server.arguments {
            self.text("argument", &argument.names.join("\n"));
            self.text(if argument.required { "required of" } else { "of" }, argument.tools.as_deref().unwrap_or("*"));
            self.text("values", &argument.values.join("\n"));
            self.rule(&argument.rule);
        }
        self.rule(&server.passed);
        if let Some(rule) = &server.no_danger {
            self.text("no danger", "");
            self.rule(rule);
        }
        for (kind, gates) in [("prompts", &server.prompts), ("resources", &server.resources)] {
            if !gates.is_empty() {
                self.text(kind, "");
                self.gates(gates);
            }
        }
    }
}
