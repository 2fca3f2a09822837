//! The rules of a grant and the one function that decides.
//!
//! A server's rules are gates in a row. A tool passes when no gate stops it: a gate refuses
//! everything, refuses what matches, or refuses what does not match. So an explicit deny always
//! wins, wherever it stands in the row; the order only says which rule is named.

use std::{collections::HashMap, ops::Range, sync::Arc};

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{Decision, Pattern, PatternError, PatternSet, Rule};
use crate::hex::to_hex;

mod builder;
mod door;
mod plan;

pub use builder::RuleSetBuilder;
use door::Door;
pub(super) use plan::{ArgumentPlan, Clause, GatePlan, Plan, ServerPlan};

/// Everything that decides about tools, compiled. Users with equal rules share one.
#[derive(Debug)]
pub struct RuleSet {
    fingerprint: String,
    rules: Arc<Rules>,
    ceiling: Option<Arc<Self>>,
}

#[derive(Debug)]
struct Rules {
    servers: HashMap<Box<str>, ServerRules>,
    other: ServerRules,
}

/// The gates of one server. All patterns of all gates are in one set and matched in one pass.
#[derive(Debug)]
struct ServerRules {
    gates: Vec<Gate>,
    set: Arc<PatternSet>,
    rules: Vec<Arc<Rule>>,
    confirm: Range<usize>,
    passed: Arc<Rule>,
    no_danger: Option<Arc<Rule>>,
    arguments: Vec<ArgumentRule>,
    prompts: Door,
    resources: Door,
}

/// A tool, as far as rules ask: its names, and what it says of itself.
#[derive(Debug, Clone, Copy)]
pub struct ToolRef<'a> {
    /// The server.
    pub server: &'a str,
    /// The tool's own name.
    pub name: &'a str,
    /// Whether it says that it may destroy something. A tool that says nothing does not.
    pub is_destructive: bool,
}

#[derive(Debug)]
enum Gate {
    Refuse(Arc<Rule>),
    Deny(Range<usize>),
    Require(Range<usize>, Arc<Rule>),
}

/// Values that arguments of certain names must have.
#[derive(Debug)]
struct ArgumentRule {
    /// Of tools whose name matches; `None` is every tool.
    tools: Option<Pattern>,
    /// Whether one of the arguments must be there.
    required: bool,
    names: Vec<String>,
    values: Arc<PatternSet>,
    rule: Arc<Rule>,
}

/// Compiled pattern sets by their patterns: many people have the same ones.
#[derive(Debug, Default)]
pub(super) struct PatternSets(HashMap<Vec<String>, Arc<PatternSet>>);

impl PatternSets {
    fn compiled(&mut self, patterns: Vec<String>) -> Result<Arc<PatternSet>, PatternError> {
        if let Some(set) = self.0.get(&patterns) {
            return Ok(set.clone());
        }
        let set = Arc::new(PatternSet::new(&patterns)?);
        self.0.insert(patterns, set.clone());
        Ok(set)
    }
}

impl RuleSet {
    /// Every tool of every server.
    #[must_use]
    pub fn allow_all() -> Arc<Self> {
        Self::uniform(ServerPlan::open(Rule::new("everything is allowed", None)))
    }

    /// No tool at all.
    #[must_use]
    pub fn deny_all() -> Arc<Self> {
        Self::uniform(ServerPlan::closed(Rule::new("nothing is allowed", None)))
    }

    /// Rules in code: each server's tools by name pattern.
    pub fn builder() -> RuleSetBuilder {
        RuleSetBuilder::default()
    }

    /// Equal for equal rules, and only for these: the SHA-256 of what they say, in hexadecimal.
    /// Where a rule stands and how it is worded is not part of it.
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Decides one tool of which only the names are known. Without `arguments` the question is whether
    /// it may be listed; a call that is allowed with arguments is always allowed without them.
    #[must_use]
    pub fn decide(&self, server: &str, tool: &str, arguments: Option<&Value>) -> Decision {
        self.decide_tool(ToolRef { server, name: tool, is_destructive: false }, arguments)
    }

    /// The same for a tool that said of itself what it does: one that may destroy needs a human's word.
    #[must_use]
    pub fn decide_tool(&self, tool: ToolRef<'_>, arguments: Option<&Value>) -> Decision {
        let own = self.of(tool.server).decide(tool, arguments);
        match &self.ceiling {
            Some(ceiling) if own.is_allowed() => lower(own, ceiling.decide_tool(tool, arguments)),
            Some(_) | None => own,
        }
    }

    /// Whether no tool of the server is allowed, whatever it is called: to whoever has these rules
    /// there is no such server.
    #[must_use]
    pub fn is_closed(&self, server: &str) -> bool {
        let is_closed = self.of(server).closing().is_some();
        is_closed || self.ceiling.as_ref().is_some_and(|ceiling| ceiling.is_closed(server))
    }

    /// The patterns of a server's rules, in the order in which they decide; a ceiling's are left out.
    #[must_use]
    pub fn patterns(&self, server: &str) -> &[String] {
        self.of(server).set.patterns()
    }

    fn of(&self, server: &str) -> &ServerRules {
        self.rules.servers.get(server).unwrap_or(&self.rules.other)
    }

    /// These rules under a ceiling: only what both allow is allowed.
    #[must_use]
    pub fn under(&self, ceiling: Arc<Self>) -> Arc<Self> {
        let fingerprint = to_hex(Sha256::digest(format!("{}\n{}", self.fingerprint, ceiling.fingerprint)));
        Arc::new(Self { fingerprint, rules: self.rules.clone(), ceiling: Some(ceiling) })
    }

    /// Compiles a plan, with the pattern sets that other plans left in `sets`.
    pub(super) fn compile(plan: Plan, sets: &mut PatternSets) -> Result<Arc<Self>, PatternError> {
        let fingerprint = plan.fingerprint();
        let other = ServerRules::compile(plan.other, sets)?;
        let servers = plan
            .servers
            .into_iter()
            .map(|(name, plan)| Ok((name.into_boxed_str(), ServerRules::compile(plan, sets)?)))
            .collect::<Result<_, PatternError>>()?;
        Ok(Arc::new(Self { fingerprint, rules: Arc::new(Rules { servers, other }), ceiling: None }))
    }

    /// The same for every server; `plan` has no patterns, so nothing can fail.
    fn uniform(plan: ServerPlan) -> Arc<Self> {
        let fingerprint = Plan { other: plan.clone(), ..Plan::default() }.fingerprint();
        let gates = plan.gates.into_iter().filter_map(|gate| match gate {
            GatePlan::Refuse(rule) => Some(Gate::Refuse(rule)),
            GatePlan::Deny(_) | GatePlan::Require(..) => None,
        });
        let other = ServerRules {
            gates: gates.collect(),
            set: Arc::default(),
            rules: Vec::new(),
            confirm: 0..0,
            passed: plan.passed,
            no_danger: plan.no_danger,
            arguments: Vec::new(),
            prompts: Door::default(),
            resources: Door::default(),
        };
        Arc::new(Self { fingerprint, rules: Arc::new(Rules { servers: HashMap::new(), other }), ceiling: None })
    }
}

/// What is left of an allowed decision under a ceiling's.
fn lower(own: Decision, ceiling: Decision) -> Decision {
    if !ceiling.is_allowed() {
        return ceiling;
    }
    let (confirm, confirm_rule) = (own.confirm || ceiling.confirm, own.confirm_rule.or(ceiling.confirm_rule));
    Decision { effect: own.effect, confirm, rule: own.rule, confirm_rule }
}

impl ServerRules {
    fn compile(plan: ServerPlan, sets: &mut PatternSets) -> Result<Self, PatternError> {
        let (mut patterns, mut rules) = (Vec::new(), Vec::new());
        let gates = compiled(plan.gates, &mut patterns, &mut rules);
        let confirm = added(plan.confirm, &mut patterns, &mut rules);
        let arguments = plan.arguments.into_iter().map(|plan| ArgumentRule::compile(plan, sets));
        let arguments = arguments.collect::<Result<_, PatternError>>()?;
        let (prompts, resources) = (Door::compile(plan.prompts, sets)?, Door::compile(plan.resources, sets)?);
        let set = sets.compiled(patterns)?;
        let (passed, no_danger) = (plan.passed, plan.no_danger);
        Ok(Self { gates, set, rules, confirm, passed, no_danger, arguments, prompts, resources })
    }

    fn decide(&self, tool: ToolRef<'_>, arguments: Option<&Value>) -> Decision {
        let decision = self.set.with_matches(tool.name, |matches| self.pass(matches, tool.is_destructive));
        let Some(arguments) = arguments.filter(|_| decision.is_allowed()) else { return decision };
        match self.arguments.iter().find(|rule| !rule.accepts(tool.name, arguments)) {
            Some(refusing) => Decision::deny(refusing.rule.clone()),
            None => decision,
        }
    }

    /// Goes through the gates with the sorted positions of the patterns that match.
    fn pass(&self, matches: &[usize], is_destructive: bool) -> Decision {
        let allowing = match walk(&self.gates, &self.rules, matches, &self.passed) {
            Ok(rule) => rule,
            Err(rule) => return Decision::deny(rule.clone()),
        };
        let asking = first_in(matches, &self.confirm);
        let confirm = is_destructive || asking.is_some();
        match &self.no_danger {
            Some(rule) if confirm => Decision::deny(rule.clone()),
            Some(_) | None => {
                let confirm_rule = asking.map(|at| self.rules[at].clone());
                Decision { confirm, confirm_rule, ..Decision::allow(allowing.clone()) }
            }
        }
    }
}

/// Adds clauses to the patterns of a set; where they stand in it.
fn added(clauses: Vec<Clause>, patterns: &mut Vec<String>, rules: &mut Vec<Arc<Rule>>) -> Range<usize> {
    let from = patterns.len();
    for clause in clauses {
        patterns.push(clause.pattern);
        rules.push(clause.rule);
    }
    from..patterns.len()
}

/// Gates whose patterns are added to those of a set.
fn compiled(plans: Vec<GatePlan>, patterns: &mut Vec<String>, rules: &mut Vec<Arc<Rule>>) -> Vec<Gate> {
    let gate = |plan| match plan {
        GatePlan::Refuse(rule) => Gate::Refuse(rule),
        GatePlan::Deny(clauses) => Gate::Deny(added(clauses, patterns, rules)),
        GatePlan::Require(clauses, otherwise) => Gate::Require(added(clauses, patterns, rules), otherwise),
    };
    plans.into_iter().map(gate).collect()
}

/// Goes through gates with the sorted positions of the patterns that match: the rule by which something
/// passes, or the one that stops it.
fn walk<'a>(
    gates: &'a [Gate],
    rules: &'a [Arc<Rule>],
    matches: &[usize],
    passed: &'a Arc<Rule>,
) -> Result<&'a Arc<Rule>, &'a Arc<Rule>> {
    let mut allowing = passed;
    for gate in gates {
        match gate {
            Gate::Refuse(rule) => return Err(rule),
            Gate::Deny(range) => {
                if let Some(at) = first_in(matches, range) {
                    return Err(&rules[at]);
                }
            }
            Gate::Require(range, otherwise) => match first_in(matches, range) {
                Some(at) => allowing = &rules[at],
                None => return Err(otherwise),
            },
        }
    }
    Ok(allowing)
}

/// The first position that is within a range.
fn first_in(matches: &[usize], range: &Range<usize>) -> Option<usize> {
    let at = matches.partition_point(|&position| position < range.start);
    matches.get(at).copied().filter(|&position| position < range.end)
}

impl ArgumentRule {
    fn compile(plan: ArgumentPlan, sets: &mut PatternSets) -> Result<Self, PatternError> {
        let tools = plan.tools.as_deref().map(Pattern::new).transpose()?;
        let values = sets.compiled(plan.values)?;
        Ok(Self { tools, required: plan.required, names: plan.names, values, rule: plan.rule })
    }

    /// Whether every argument of one of the names has a permitted value; one that is not there is
    /// fine, unless it is required. A server may read a name in any case, the last one that comes, so each is
    /// judged; and another may not, so what is required has to be there under its own name.
    fn accepts(&self, tool: &str, arguments: &Value) -> bool {
        if self.tools.as_ref().is_some_and(|tools| !tools.is_match(tool)) {
            return true;
        }
        let mut is_given = false;
        for (key, value) in arguments.as_object().into_iter().flatten() {
            let is_own = self.names.contains(key);
            if !is_own && !self.names.iter().any(|name| is_same_name(name, key)) {
                continue;
            }
            let is_fine = match value {
                // Where it counts it would take away what is required.
                Value::Null => is_own || !self.required,
                value => self.permits(value),
            };
            if !is_fine {
                return false;
            }
            is_given |= is_own && !value.is_null();
        }
        is_given || !self.required
    }

    fn permits(&self, value: &Value) -> bool {
        match value {
            Value::String(text) => self.values.is_match(text),
            // To a server an empty list may well mean everything.
            Value::Array(items) => !items.is_empty() && items.iter().all(|item| self.permits(item)),
            Value::Bool(_) | Value::Number(_) => self.values.is_match(&value.to_string()),
            Value::Null | Value::Object(_) => false,
        }
    }
}

/// Whether two names are one to who reads them in any case: by Unicode's letters, some of which are ASCII's in
/// another case.
fn is_same_name(one: &str, other: &str) -> bool {
    if one.is_ascii() && other.is_ascii() {
        return one.eq_ignore_ascii_case(other);
    }
    let folded = |name: &str| -> String { name.to_uppercase().to_lowercase() };
    folded(one) == folded(other)
}

#[cfg(test)]
mod tests;
