//! What people are told when they ask whether somebody may use a tool. Calls are decided by the rules, and by what
//! the pool keeps back at that moment.

use serde_json::Value;

use crate::{
    pin::Why,
    policy::{Decision, Grant, Rule, ToolRef},
};

/// Whether somebody may use a tool, and which rule says so: theirs, unless it lets them use one that is kept back,
/// which nobody may. With the `arguments` of a call those are judged too.
#[must_use]
pub fn explain(grant: &Grant, tool: ToolRef<'_>, withheld: Option<Why>, arguments: Option<&Value>) -> Decision {
    let decision = grant.decide_tool(tool, arguments);
    match withheld.filter(|_| decision.is_allowed()) {
        Some(why) => Decision::deny(Rule::new(kept_back(why), None).into()),
        None => decision,
    }
}

/// The rule that decides about a tool which is kept back.
pub(super) fn kept_back(why: Why) -> String {
    format!("kept back: {}; `omni tools approve` lets it in", why.told())
}
