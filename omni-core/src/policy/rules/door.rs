//! The gates before what a server offers beside its tools: its prompts and its resources.

use std::sync::Arc;

use super::{Decision, Gate, GatePlan, PatternError, PatternSet, PatternSets, RuleSet, ServerRules, compiled, walk};
use crate::policy::Rule;

/// What a server offers beside its tools.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::policy) enum Beside {
    /// Prompts, by their names.
    Prompt,
    /// Resources, by their URIs; families of resources by their templates.
    Resource,
}

/// Gates in a row, with all of their patterns in one set.
#[derive(Debug, Default)]
pub(super) struct Door {
    gates: Vec<Gate>,
    set: Arc<PatternSet>,
    rules: Vec<Arc<Rule>>,
}

impl Door {
    pub(super) fn compile(plans: Vec<GatePlan>, sets: &mut PatternSets) -> Result<Self, PatternError> {
        let (mut patterns, mut rules) = (Vec::new(), Vec::new());
        let gates = compiled(plans, &mut patterns, &mut rules);
        Ok(Self { gates, set: sets.compiled(patterns)?, rules })
    }

    fn decide(&self, name: &str, passed: &Arc<Rule>) -> Decision {
        self.set.with_matches(name, |matches| match walk(&self.gates, &self.rules, matches, passed) {
            Ok(rule) => Decision::allow(rule.clone()),
            Err(rule) => Decision::deny(rule.clone()),
        })
    }

    /// The rule that denies something by its name, whatever else is allowed or not.
    #[cfg(feature = "gateway")]
    fn denying(&self, name: &str) -> Option<&Arc<Rule>> {
        self.set.with_matches(name, |matches| {
            self.gates.iter().find_map(|gate| match gate {
                Gate::Deny(range) => super::first_in(matches, range).map(|at| &self.rules[at]),
                Gate::Refuse(_) | Gate::Require(..) => None,
            })
        })
    }
}

impl ServerRules {
    /// The rule by which no tool of the server passes, whatever it is called.
    pub(super) fn closing(&self) -> Option<&Arc<Rule>> {
        self.gates.iter().find_map(|gate| match gate {
            Gate::Refuse(rule) => Some(rule),
            Gate::Require(range, rule) => range.is_empty().then_some(rule),
            Gate::Deny(range) => range.clone().find(|&at| self.set.patterns()[at] == "*").map(|at| &self.rules[at]),
        })
    }

    /// What nothing is said of is as the tools are: there for whoever may use any.
    fn decide_beside(&self, kind: Beside, name: &str) -> Decision {
        if let Some(rule) = self.closing() {
            return Decision::deny(rule.clone());
        }
        match kind {
            Beside::Prompt => self.prompts.decide(name, &self.passed),
            Beside::Resource => self.resources.decide(name, &self.passed),
        }
    }
}

impl RuleSet {
    /// Decides a prompt by its name, listed or used.
    #[must_use]
    pub fn decide_prompt(&self, server: &str, name: &str) -> Decision {
        self.decide_beside(Beside::Prompt, server, name)
    }

    /// Decides a resource by its URI, listed, read or subscribed to; a family of resources by its template.
    #[must_use]
    pub fn decide_resource(&self, server: &str, uri: &str) -> Decision {
        self.decide_beside(Beside::Resource, server, uri)
    }

    /// The denial of a resource by a pattern of what is denied; that nothing allows it is none. So it can be asked of
    /// every URI by which a server may know the resource.
    #[cfg(feature = "gateway")]
    pub(crate) fn denial_of_resource(&self, server: &str, uri: &str) -> Option<Decision> {
        let own = self.of(server).resources.denying(uri).map(|rule| Decision::deny(rule.clone()));
        own.or_else(|| self.ceiling.as_ref()?.denial_of_resource(server, uri))
    }

    fn decide_beside(&self, kind: Beside, server: &str, name: &str) -> Decision {
        let own = self.of(server).decide_beside(kind, name);
        match &self.ceiling {
            Some(ceiling) if own.is_allowed() => match ceiling.decide_beside(kind, server, name) {
                ceiling if ceiling.is_allowed() => own,
                ceiling => ceiling,
            },
            Some(_) | None => own,
        }
    }
}
