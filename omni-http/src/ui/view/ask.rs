//! One ask as a timeline: the model's turns and its calls, what they cost, and whether the ledger proves them.

use askama::Template;
use chrono::{DateTime, TimeDelta, Utc};
use omni_core::{
    audit::{CallEntry, LogEntry},
    ledger::TurnRecord,
};
use serde::Serialize;

use self::proof::Seal;
use crate::{
    ui::{
        answer::Frame,
        chart::{self, Svg},
        fields::link,
        show,
    },
    wire::{CallLine, LogDetail},
};

mod proof;

pub(in crate::ui) use proof::Proof;

/// What the core said.
#[derive(Debug)]
pub(in crate::ui) struct Seen {
    pub(in crate::ui) entry: LogEntry,
    pub(in crate::ui) calls: Vec<(CallEntry, Proof)>,
    pub(in crate::ui) turns: Vec<TurnRecord>,
    pub(in crate::ui) answer: Option<String>,
    pub(in crate::ui) proof: Proof,
}

#[derive(Debug, Template, Serialize)]
#[template(path = "ask.html")]
pub(in crate::ui) struct View {
    #[serde(skip)]
    frame: Frame,
    #[serde(flatten)]
    detail: LogDetail,
    /// The answer, as much of it as is kept.
    #[serde(rename = "answer")]
    full_answer: Option<String>,
    /// The model's turns, as far as its record has them.
    turns: Vec<TurnLine>,
    /// The calls of an ask, in order, or the direct call itself.
    tool_calls: Vec<ProvedCall>,
    proof: Proof,
    #[serde(skip)]
    seal: Seal,
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
    /// Why no turns are shown although there were some.
    #[serde(skip)]
    is_in_sum: bool,
    #[serde(skip)]
    person: Option<(String, String)>,
}

/// A turn of the model.
#[derive(Debug, Serialize)]
struct TurnLine {
    /// When it ended.
    at: DateTime<Utc>,
    tokens_input: u64,
    tokens_output: u64,
    tokens_cached: u64,
    tokens_cache_write: u64,
    /// Whether the vendor told of no tokens, so that they are reckoned.
    estimated: bool,
    /// Dollars; `null` where the price is unknown.
    cost_estimate: Option<f64>,
    duration_ms: u64,
}

#[derive(Debug, Serialize)]
struct ProvedCall {
    #[serde(flatten)]
    call: CallLine,
    proof: Proof,
}

/// A step of the timeline.
#[derive(Debug)]
enum Step {
    Turn(Turn),
    Call(Call),
}

#[derive(Debug)]
struct Turn {
    number: usize,
    model: String,
    bar: Svg,
    took: String,
    tokens: String,
    cost: String,
}

#[derive(Debug)]
struct Call {
    name: String,
    to: String,
    bar: Svg,
    status: String,
    mark: &'static str,
    seal: Seal,
    took: String,
    /// Where it is not part of a turn that is shown.
    cost: Option<String>,
    size: String,
    rule: Option<String>,
    error: Option<String>,
    arguments: String,
}

pub(in crate::ui) fn of(frame: Frame, seen: Seen) -> View {
    let Seen { entry, calls, turns, answer, proof } = seen;
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
        steps: steps(&entry, &turns, &calls),
        is_in_sum: turns.is_empty() && entry.iterations > 0,
        person: entry.user_email.as_ref().map(|email| (email.clone(), link("user", &[("email", email)]))),
        seal: proof::of_all(&proof, calls.iter().map(|(_, proof)| proof)),
        proof,
        turns: turns.iter().map(TurnLine::of).collect(),
        tool_calls: calls.into_iter().map(|(call, proof)| ProvedCall { call: call.into(), proof }).collect(),
        detail: LogDetail::from(entry),
        full_answer: answer,
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
        ("Source", entry.source.clone()),
        ("Called itself", entry.x_source.clone()),
        ("Address", entry.ip_address.map(|address| address.to_string())),
        ("Program", entry.user_agent.clone()),
        ("Model", entry.model.clone()),
        ("Model turns", Some(entry.iterations.to_string()).filter(|_| entry.model.is_some())),
        ("Tokens", Some(tokens).filter(|_| entry.model.is_some())),
        ("Cache", Some(cached).filter(|_| entry.model.is_some())),
        ("Cost", entry.cost_estimate.map(|cost| show::cost(cost, entry.cost_is_estimated))),
        ("Warning", entry.warning.clone()),
        ("Slack channel", entry.slack_channel.clone()),
        ("Request", Some(entry.request_id.to_string())),
    ];
    facts.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

/// Turns and calls in the order in which they ended: a turn's calls come after it.
fn steps(entry: &LogEntry, turns: &[TurnRecord], calls: &[(CallEntry, Proof)]) -> Vec<Step> {
    let has_turns = !turns.is_empty();
    let turns = turns.iter().enumerate().map(|(at, one)| (one.at, Step::Turn(turn(entry, at + 1, one))));
    let calls = calls.iter().map(|(one, proof)| (one.created_at, Step::Call(call(entry, one, proof, has_turns))));
    let mut steps: Vec<_> = turns.chain(calls).collect();
    steps.sort_by_key(|(at, _)| *at);
    steps.into_iter().map(|(_, step)| step).collect()
}

impl TurnLine {
    fn of(turn: &TurnRecord) -> Self {
        let usage = turn.usage;
        Self {
            at: turn.at,
            tokens_input: usage.input,
            tokens_output: usage.output,
            tokens_cached: usage.cache_read,
            tokens_cache_write: usage.cache_write.saturating_add(usage.cache_write_1h),
            estimated: usage.estimated,
            cost_estimate: turn.cost.map(|cost| cost.as_usd()),
            duration_ms: turn.duration_ms,
        }
    }
}

fn turn(entry: &LogEntry, number: usize, turn: &TurnRecord) -> Turn {
    let TurnLine { tokens_input, tokens_output, tokens_cached, estimated, .. } = TurnLine::of(turn);
    let mut tokens = format!("{} in, {} out", show::count(tokens_input), show::count(tokens_output));
    if tokens_cached > 0 {
        tokens = format!("{tokens}, {} from the cache", show::count(tokens_cached));
    }
    let (from, to) = within(entry, turn.at, turn.duration_ms);
    let took = show::duration(turn.duration_ms);
    Turn {
        number,
        model: entry.model.clone().unwrap_or_default(),
        bar: chart::stretch(&format!("Turn {number}: {took}"), "s3", from, to),
        took,
        tokens: if estimated { format!("about {tokens}") } else { tokens },
        cost: turn.cost.map_or_else(|| show::NONE.into(), |cost| show::cost(cost.as_usd(), estimated)),
    }
}

/// What a call cost is part of the turn that made it, and told there.
fn call(entry: &LogEntry, call: &CallEntry, proof: &Proof, has_turns: bool) -> Call {
    let (from, to) = within(entry, call.created_at, call.duration_ms);
    let mark = super::mark_of(&call.status);
    Call {
        name: format!("{}.{}", call.server, call.tool),
        to: link("tool", &[("server", &call.server), ("tool", &call.tool)]),
        bar: chart::stretch(&format!("{} {}", call.tool, show::duration(call.duration_ms)), mark, from, to),
        status: call.status.replace('_', " "),
        mark,
        seal: proof.seal(),
        took: show::duration(call.duration_ms),
        cost: call.cost_estimate.filter(|_| !has_turns).map(show::usd),
        size: call.bytes.map_or_else(|| show::NONE.into(), show::bytes),
        rule: call.rule.clone(),
        error: call.error.clone(),
        arguments: show::json(&call.arguments),
    }
}

/// Where a step lies within its ask, as shares of it.
fn within(entry: &LogEntry, ended: DateTime<Utc>, took_ms: u64) -> (f64, f64) {
    let long = |ms: u64| TimeDelta::milliseconds(i64::try_from(ms).unwrap_or(0));
    let begins = entry.created_at - long(entry.duration_ms);
    let whole = entry.duration_ms.max(1) as f64;
    let share = |at: DateTime<Utc>| (at - begins).num_milliseconds() as f64 / whole;
    (share(ended - long(took_ms)), share(ended))
}
