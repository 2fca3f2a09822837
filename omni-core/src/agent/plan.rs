//! Judging a call before anything happens: does the tool exist, may it be called, do the arguments fit.

use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};

use super::reading::Reading;
use crate::{
    catalog::{Catalog, OfferedTool, ToolDef, ToolSet},
    policy::{Grant, Rule},
};

pub(crate) mod arguments;
mod asking;

pub use asking::Asking;

/// Why a call is not carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Refused {
    /// No such tool.
    Unknown,
    /// Policy denies it. To the model it is unknown.
    Policy,
    /// The arguments do not fit.
    Arguments,
    /// The very same call was made too often.
    Repeated,
    /// The output limit cut it off.
    Cut,
    /// It needs a human's agreement, and there is none.
    Unapproved,
}

/// What is to be done with a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Disposition {
    /// Carry it out.
    Run,
    /// Ask a human first.
    Ask(Asking),
    /// Omni itself knows the answer: no server is called.
    Answer {
        /// The answer.
        text: String,
    },
    /// Omni itself reads it in what is kept: no server is called.
    Read(Reading),
    /// Do not carry it out; the model reads the message.
    Refuse {
        /// Why.
        reason: Refused,
        /// In words that the model can act on.
        message: String,
    },
}

/// A call, judged.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PlannedCall {
    /// The model's id of the call.
    pub id: String,
    /// The server; empty where the name is no tool.
    pub server: String,
    /// The tool, or the name that the model wrote.
    pub tool: String,
    /// The exact arguments.
    pub arguments: Box<RawValue>,
    /// What is to be done.
    pub disposition: Disposition,
    /// The rule that decided, in words; empty where none was asked.
    pub rule: String,
}

impl PlannedCall {
    /// Equal for calls of the same tool with the same arguments.
    pub(super) fn signature(&self) -> String {
        format!("{}\0{}\0{}", self.server, self.tool, self.arguments_json())
    }

    pub(super) fn refuse(&mut self, reason: Refused, message: String) {
        self.disposition = Disposition::Refuse { reason, message };
    }

    /// The arguments as JSON, as they were judged; as well as it goes where they were refused. A string
    /// where the model wrote something that is not.
    #[must_use]
    pub fn arguments_json(&self) -> Value {
        let text = self.arguments.get();
        arguments::value(text).or_else(|_| serde_json::from_str(text)).unwrap_or_default()
    }
}

/// What calls are judged against: what is on offer, everything there is, and the grants that must all agree.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Judge<'a> {
    pub(crate) tools: &'a ToolSet,
    pub(crate) catalog: &'a Catalog,
    pub(crate) grants: &'a [&'a Grant],
}

impl Judge<'_> {
    /// Judges a call by the name that the model wrote.
    pub(crate) fn plan(&self, id: &str, name: &str, input: &RawValue) -> PlannedCall {
        let mut call = PlannedCall {
            id: id.into(),
            server: String::new(),
            tool: name.into(),
            arguments: input.to_owned(),
            disposition: Disposition::Run,
            rule: String::new(),
        };
        let is_own = (self.tools.has_menu() && self.plan_menu(&mut call, name))
            || (self.tools.reads_results() && self.plan_reading(&mut call, name));
        if is_own {
            return call;
        }
        match self.tools.by_llm_name(name) {
            Some(offered) => self.judge(&mut call, &offered.def),
            None => self.unknown(&mut call, name),
        }
        call
    }

    /// Judges a call of a tool that is known by its own name.
    pub(crate) fn judge(&self, call: &mut PlannedCall, def: &ToolDef) {
        call.server = def.server.to_string();
        call.tool = def.name.to_string();
        let tool = def.rule_ref();
        // A tool that may not be listed does not say what it thinks of the arguments.
        for grant in self.grants {
            let decision = grant.decide_tool(tool, None);
            if !decision.is_allowed() {
                call.rule = rule_text(&decision.rule);
                return call.refuse(Refused::Policy, self.no_such_tool(&def.full_name()));
            }
        }
        let arguments = match arguments::object(&call.arguments) {
            Ok(arguments) => arguments,
            Err(message) => return call.refuse(Refused::Arguments, message),
        };
        let mut asking = Asking::begin(tool.is_destructive);
        for grant in self.grants {
            let decision = grant.decide_tool(tool, Some(&arguments));
            call.rule = rule_text(&decision.rule);
            if !decision.is_allowed() {
                let rule = &decision.rule.text;
                let message = format!("{} may not be called with these arguments ({rule}).", def.full_name());
                return call.refuse(Refused::Policy, message);
            }
            asking.hear(&decision);
        }
        if let Err(misfit) = def.check.check(&arguments) {
            return call.refuse(Refused::Arguments, format!("The arguments do not fit the tool: {misfit}"));
        }
        call.disposition = asking.end().map_or(Disposition::Run, Disposition::Ask);
    }

    pub(super) fn unknown(&self, call: &mut PlannedCall, name: &str) {
        let message = self.no_such_tool(name);
        let is_named = |def: &ToolDef| name == format!("{}__{}", def.server, def.name) || name == def.full_name();
        let hidden = self.catalog.tools().find(|def| is_named(def));
        let denied = hidden.and_then(|def| {
            let mut decisions = self.grants.iter().map(|grant| grant.decide_tool(def.rule_ref(), None));
            decisions.find(|decision| !decision.is_allowed()).map(|decision| (def, decision))
        });
        let Some((def, decision)) = denied else { return self.withheld(call, name, message) };
        call.server = def.server.to_string();
        call.tool = def.name.to_string();
        call.rule = rule_text(&decision.rule);
        call.refuse(Refused::Policy, message);
    }

    /// A tool that is kept back is unknown; the record says why.
    fn withheld(&self, call: &mut PlannedCall, name: &str, message: String) {
        let mut withheld = self.catalog.servers.iter().flat_map(|server| &server.withheld);
        let is_named = |def: &ToolDef| name == format!("{}__{}", def.server, def.name) || name == def.full_name();
        let Some(withheld) = withheld.find(|tool| is_named(&tool.def)) else {
            return call.refuse(Refused::Unknown, message);
        };
        call.server = withheld.def.server.to_string();
        call.tool = withheld.def.name.to_string();
        call.rule = withheld.rule();
        call.refuse(Refused::Policy, message);
    }

    fn no_such_tool(&self, name: &str) -> String {
        match nearest(name, self.tools.tools()) {
            Some(near) => format!("There is no tool {name:?}. Did you mean {near:?}? Use only the tools on offer."),
            None => format!("There is no tool {name:?}. Use only the tools on offer."),
        }
    }
}

pub(crate) fn rule_text(rule: &Rule) -> String {
    match &rule.source {
        Some(source) => format!("{} ({source})", rule.text),
        None => rule.text.clone(),
    }
}

/// The offered name that is most like `name`, if any is like it at all.
pub(crate) fn nearest<'a>(name: &str, tools: &'a [OfferedTool]) -> Option<&'a str> {
    let scored = tools.iter().map(|tool| (strsim::jaro_winkler(name, &tool.llm_name), &*tool.llm_name));
    scored.filter(|(score, _)| *score > 0.85).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, near)| near)
}
