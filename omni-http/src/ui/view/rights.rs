//! What somebody may do, by server and by rule.

use std::collections::BTreeMap;

use omni_core::omni::{Rights, ToolRight};
use serde::Serialize;

/// Tools of a server, and what was decided on each.
#[derive(Debug, Serialize)]
pub(super) struct ServerRights {
    pub(super) server: String,
    pub(super) allowed: usize,
    pub(super) tools: Vec<Right>,
}

#[derive(Debug, Serialize)]
pub(super) struct Right {
    pub(super) tool: String,
    pub(super) effect: &'static str,
    /// Whether a human must agree before a call runs.
    pub(super) confirm: bool,
    pub(super) rule: String,
    pub(super) source: String,
    #[serde(skip)]
    pub(super) mark: &'static str,
}

/// A rule, and the tools that it decides.
#[derive(Debug, Serialize)]
pub(super) struct ByRule {
    pub(super) rule: String,
    pub(super) source: String,
    pub(super) effect: &'static str,
    pub(super) tools: Vec<String>,
    #[serde(skip)]
    pub(super) mark: &'static str,
}

fn effect(right: &ToolRight) -> &'static str {
    if right.decision.is_allowed() { "allow" } else { "deny" }
}

fn source(right: &ToolRight) -> String {
    right.decision.rule.source.as_ref().map_or_else(|| "built in".into(), ToString::to_string)
}

pub(super) fn by_server(rights: &Rights) -> Vec<ServerRights> {
    let mut servers = BTreeMap::<&str, Vec<Right>>::new();
    for right in &rights.tools {
        let (effect, confirm) = (effect(right), right.decision.confirm);
        servers.entry(&right.server).or_default().push(Right {
            tool: right.tool.to_string(),
            effect,
            confirm,
            rule: right.decision.rule.text.clone(),
            source: source(right),
            mark: if confirm { "warn" } else { super::mark_of(effect) },
        });
    }
    let of = |(server, tools): (&str, Vec<Right>)| ServerRights {
        server: server.to_owned(),
        allowed: tools.iter().filter(|right| right.effect == "allow").count(),
        tools,
    };
    servers.into_iter().map(of).collect()
}

/// The rules that decide, those that decide the most first.
pub(super) fn by_rule(rights: &Rights) -> Vec<ByRule> {
    let mut rules = BTreeMap::<(&str, String, &'static str), Vec<String>>::new();
    for right in &rights.tools {
        let key = (right.decision.rule.text.as_str(), source(right), effect(right));
        rules.entry(key).or_default().push(format!("{}.{}", right.server, right.tool));
    }
    let of = |((rule, source, effect), tools): ((&str, String, &'static str), Vec<String>)| ByRule {
        rule: rule.to_owned(),
        source,
        effect,
        mark: super::mark_of(effect),
        tools,
    };
    let mut rules: Vec<ByRule> = rules.into_iter().map(of).collect();
    rules.sort_by_key(|rule| std::cmp::Reverse(rule.tools.len()));
    rules
}
