//! One ask as a timeline: its calls, what they cost, and whether the ledger proves it.

use askama::Template;
use chrono::TimeDelta;
use omni_core::audit::{CallEntry, LogEntry};
use serde::Serialize;

use crate::{
    ui::{
        answer::Frame,
        chart::{self, Svg},
        fields::link,
        show,
    },
    wire::{LogDetail, LogWithCalls},
};

/// Whether the ledger proves an entry.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "snake_case", tag = "state", content = "fault")]
pub(in crate::ui) enum Proof {
    Proved,
    /// It is older than the ledger.
    Unproved,
    /// The record is not what the ledger wrote, or the row not what the record says.
    Broken(String),
}

#[derive(Debug, Template, Serialize)]
#[template(path = "ask.html")]
pub(in crate::ui) struct View {
    #[serde(skip)]
    frame: Frame,
    #[serde(flatten)]
    ask: LogWithCalls,
    proof: Proof,
    #[serde(skip)]
    heading: String,
    #[serde(skip)]
    status: String,
    #[serde(skip)]
    mark: &'static str,
    #[serde(skip)]
    question: Option<String>,
    #[serde(skip)]
    answer: Option<String>,
    #[serde(skip)]
    error: Option<String>,
    #[serde(skip)]
    facts: Vec<(&'static str, String)>,
    #[serde(skip)]
    params: Option<String>,
    #[serde(skip)]
    whole: Svg,
    #[serde(skip)]
    steps: Vec<Step>,
    #[serde(skip)]
    person: Option<(String, String)>,
}

/// A call of the timeline.
#[derive(Debug)]
struct Step {
    name: String,
    to: String,
    bar: Svg,
    status: String,
    mark: &'static str,
    took: String,
    cost: String,
    size: String,
    rule: Option<String>,
    error: Option<String>,
    arguments: String,
}

pub(in crate::ui) fn of(
    frame: Frame,
    entry: LogEntry,
    calls: Vec<CallEntry>,
    answer: Option<String>,
    proof: Proof,
) -> View {
    let steps = calls.iter().map(|call| step(&entry, call)).collect();
    let heading = entry.message_preview.clone().unwrap_or_else(|| entry.request_type.replace('_', " "));
    View {
        frame,
        heading,
        mark: super::mark_of(&entry.status),
        status: entry.status.replace('_', " "),
        question: entry.message.clone(),
        answer: answer.clone().or_else(|| entry.response_preview.clone()),
        error: entry.error_message.clone().or_else(|| entry.block_reason.clone()),
        facts: facts(&entry),
        params: entry.tool_params.as_ref().map(show::json),
        whole: chart::stretch(&format!("all of it: {}", show::duration(entry.duration_ms)), "s0", 0.0, 1.0),
        steps,
        person: entry.user_email.as_ref().map(|email| (email.clone(), link("user", &[("email", email)]))),
        proof,
        ask: LogWithCalls {
            detail: LogDetail::from(entry),
            answer,
            tool_calls: calls.into_iter().map(Into::into).collect(),
        },
    }
}

fn facts(entry: &LogEntry) -> Vec<(&'static str, String)> {
    let tokens = format!("{} in, {} out", show::count(entry.tokens_input), show::count(entry.tokens_output));
    let cached =
        format!("{} read, {} written", show::count(entry.tokens_cached), show::count(entry.tokens_cache_write));
    let facts = [
        ("When", Some(format!("{} UTC", show::moment(entry.created_at)))),
        ("Took", Some(show::duration(entry.duration_ms))),
        ("Role", entry.user_role.clone()),
        ("By whom", entry.actor.clone()),
        ("Door", entry.source.clone()),
        ("Called itself", entry.x_source.clone()),
        ("Address", entry.ip_address.map(|address| address.to_string())),
        ("Program", entry.user_agent.clone()),
        ("Model", entry.model.clone()),
        ("Model turns", Some(entry.iterations.to_string()).filter(|_| entry.model.is_some())),
        ("Tokens", Some(tokens).filter(|_| entry.model.is_some())),
        ("Cache", Some(cached).filter(|_| entry.model.is_some())),
        ("Cost", entry.cost_estimate.map(show::usd)),
        ("Warning", entry.warning.clone()),
        ("Slack channel", entry.slack_channel.clone()),
        ("Request", Some(entry.request_id.to_string())),
    ];
    facts.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

fn step(entry: &LogEntry, call: &CallEntry) -> Step {
    let (from, to) = within(entry, call);
    let mark = super::mark_of(&call.status);
    Step {
        name: format!("{}.{}", call.server, call.tool),
        to: link("tool", &[("server", &call.server), ("tool", &call.tool)]),
        bar: chart::stretch(&format!("{} {}", call.tool, show::duration(call.duration_ms)), mark, from, to),
        status: call.status.replace('_', " "),
        mark,
        took: show::duration(call.duration_ms),
        cost: call.cost_estimate.map_or_else(|| show::NONE.into(), show::usd),
        size: call.bytes.map_or_else(|| show::NONE.into(), show::bytes),
        rule: call.rule.clone(),
        error: call.error.clone(),
        arguments: show::json(&call.arguments),
    }
}

/// Where a call lies within its ask, as shares of it.
fn within(entry: &LogEntry, call: &CallEntry) -> (f64, f64) {
    let long = |ms: u64| TimeDelta::milliseconds(i64::try_from(ms).unwrap_or(0));
    let begins = entry.created_at - long(entry.duration_ms);
    let whole = entry.duration_ms.max(1) as f64;
    let share = |at: chrono::DateTime<chrono::Utc>| (at - begins).num_milliseconds() as f64 / whole;
    (share(call.created_at - long(call.duration_ms)), share(call.created_at))
}
