//! What a record says to people: a row of `audit_logs`, a row of `tool_calls`, and who it was.
//!
//! This is the one place where records become rows. Stores write these rows, readers return them,
//! and the verification compares the two.

use std::{collections::BTreeSet, net::IpAddr};

use chrono::{DateTime, SubsecRound as _, Utc};
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use super::query::ADMIN;
use crate::{
    cost::NanoUsd,
    identity::DEFAULT_TENANT,
    ledger::{AdminRecord, AskRecord, CallRecord, Event, Outcome, Party, Record},
};

#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod same;

/// Who does what nobody asked for.
const SYSTEM: &str = "omni";

/// Most characters of a name; more does not fit into the original's columns.
const MAX_NAME: usize = 255;
/// The largest number of the original's columns.
const MAX_NUMBER: u64 = i32::MAX as u64;
/// The largest amount of the original's columns, in dollars.
const MAX_USD: f64 = 9_999.999_999;

/// What somebody reads of a failure of their own who may not read what is inside.
const FAILED: &str = "it failed; an administrator can see why";

/// An ask or a direct call: a row of `audit_logs`. Fields have the original's names.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct LogEntry {
    /// The row's number in its store.
    pub id: i64,
    /// The ask or direct call; nil for rows that are older than omni.
    pub request_id: Uuid,
    /// When it ended.
    pub created_at: DateTime<Utc>,
    /// The tenant.
    pub tenant: String,
    /// Whose rights counted.
    pub user_email: Option<String>,
    /// Their role at that time.
    pub user_role: Option<String>,
    /// Who acted, if somebody else; `omni` for what it does by itself.
    pub actor: Option<String>,
    /// The door: `slack`, `http`, `cli`, `mcp`, `embed`.
    pub source: Option<String>,
    /// What the request called its origin: its word only.
    pub x_source: Option<String>,
    /// What the program called itself that sent it.
    pub user_agent: Option<String>,
    /// The address that it came from.
    pub ip_address: Option<IpAddr>,
    /// The channel of a chat in which it was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slack_channel: Option<String>,
    /// Who asked there, by the chat's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slack_user_id: Option<String>,
    /// The message with which they did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slack_message_ts: Option<String>,
    /// The thread that that is in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slack_thread_ts: Option<String>,
    /// `chat`, `tool_call`, `admin`.
    pub request_type: String,
    /// The question.
    pub message: Option<String>,
    /// Its first characters.
    pub message_preview: Option<String>,
    /// The model.
    pub model: Option<String>,
    /// Model turns.
    pub iterations: u64,
    /// Calls that came to their servers.
    pub tool_calls_count: u64,
    /// `server.tool` of each, in order.
    pub tools_used: Vec<String>,
    /// Their servers.
    pub mcps_accessed: Vec<String>,
    /// Input tokens.
    pub tokens_input: u64,
    /// Output tokens.
    pub tokens_output: u64,
    /// Input tokens from a cache.
    pub tokens_cached: u64,
    /// Input tokens written to a cache.
    pub tokens_cache_write: u64,
    /// Dollars, rounded to millionths; `None` when a price is unknown.
    pub cost_estimate: Option<f64>,
    /// The exact cost.
    pub cost_nano_usd: Option<u64>,
    /// Whether part of tokens and cost is reckoned and not the vendor's word, as of an answer that was cut.
    pub cost_is_estimated: bool,
    /// The server of a direct call, whether it came there or not.
    pub mcp_target: Option<String>,
    /// The tool of a direct call, or what was taken for one.
    pub tool_called: Option<String>,
    /// The arguments of a direct call, or of an administrator's operation, redacted.
    pub tool_params: Option<Value>,
    /// Whether it was answered.
    pub success: bool,
    /// `success`, `warning`, `error`, `denied`, `rate_limited`, `cancelled`, `timeout`, `unknown_outcome`.
    pub status: String,
    /// The first warning's code.
    pub warning: Option<String>,
    /// From the first step to the last, in milliseconds.
    pub duration_ms: u64,
    /// The answer's first characters, or the failure's.
    pub response_preview: Option<String>,
    /// What went wrong.
    pub error_message: Option<String>,
    /// Whether policy or a limit refused it.
    pub was_blocked: bool,
    /// Why.
    pub block_reason: Option<String>,
}

/// A call of a tool: a row of `tool_calls`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct CallEntry {
    /// The row's number in its store.
    pub id: i64,
    /// The ask or direct call that it belongs to.
    pub request_id: Uuid,
    /// When it ended.
    pub created_at: DateTime<Utc>,
    /// The tenant.
    pub tenant: String,
    /// Whose rights counted.
    pub user_email: Option<String>,
    /// The server.
    pub server: String,
    /// The tool.
    pub tool: String,
    /// The arguments, redacted.
    pub arguments: Value,
    /// How it ended, as in [`LogEntry::status`].
    pub status: String,
    /// Whether it came to its server; what omni refused did not.
    pub sent: bool,
    /// The rule that decided.
    pub rule: Option<String>,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// The size of its result.
    pub bytes: Option<u64>,
    /// Its share of what the model turn cost that made it, in dollars.
    pub cost_estimate: Option<f64>,
    /// The same, exactly.
    pub cost_nano_usd: Option<u64>,
    /// What went wrong.
    pub error: Option<String>,
}

/// Everything that a record says; nothing while its ask goes on, or of the chain's own records.
#[derive(Debug, Default)]
pub(crate) struct Entries {
    pub(crate) log: Option<LogEntry>,
    pub(crate) call: Option<CallEntry>,
}

impl Entries {
    pub(crate) fn of(record: &Record) -> Self {
        Self { log: LogEntry::of(record), call: CallEntry::of(record) }
    }
}

impl LogEntry {
    /// What a record says of an ask, a direct call or an administrator's operation that has ended; `None` for any other
    /// record. Its number is 0: a store gives it the one that it has there.
    #[must_use]
    pub fn of(record: &Record) -> Option<Self> {
        match &record.event {
            Event::Ask(ask) => Some(Self::of_ask(record, ask)),
            Event::DirectCall(call) => Some(Self::of_call(record, call)),
            Event::Admin(admin) => Some(Self::of_admin(record, admin)),
            Event::ToolCall(_) | Event::Started(_) | Event::AskStarted { .. } => None,
            Event::ChainOpened { .. } | Event::Gap { .. } => None,
        }
    }

    fn new(record: &Record, request_type: &str, outcome: Outcome, error: Option<&str>) -> Self {
        let party = record.party.as_ref();
        let chat = party.and_then(|party| party.client.chat.as_ref());
        let was_blocked = matches!(outcome, Outcome::Denied | Outcome::RateLimited);
        let error = error.map(text);
        Self {
            id: 0,
            request_id: record.request_id,
            created_at: moment(record),
            tenant: tenant(party),
            user_email: party.map(|party| name(&party.subject)),
            user_role: party.and_then(|party| party.role.as_deref()).map(name),
            actor: party.and_then(|party| party.actor.as_deref()).map(name),
            source: party.map(|party| party.source.as_str().to_owned()),
            x_source: party.and_then(|party| party.client.x_source.as_deref()).map(name),
            user_agent: party.and_then(|party| party.client.user_agent.as_deref()).map(name),
            ip_address: party.and_then(|party| party.client.address),
            slack_channel: chat.map(|chat| name(&chat.channel)),
            slack_user_id: chat.map(|chat| name(&chat.user)),
            slack_message_ts: chat.and_then(|chat| chat.message.as_deref()).map(name),
            slack_thread_ts: chat.and_then(|chat| chat.thread.as_deref()).map(name),
            request_type: request_type.into(),
            message: None,
            message_preview: None,
            model: None,
            iterations: 0,
            tool_calls_count: 0,
            tools_used: Vec::new(),
            mcps_accessed: Vec::new(),
            tokens_input: 0,
            tokens_output: 0,
            tokens_cached: 0,
            tokens_cache_write: 0,
            cost_estimate: None,
            cost_nano_usd: None,
            cost_is_estimated: false,
            mcp_target: None,
            tool_called: None,
            tool_params: None,
            success: matches!(outcome, Outcome::Success | Outcome::Warning),
            status: outcome.as_str().into(),
            warning: None,
            duration_ms: 0,
            response_preview: error.as_deref().map(|error| preview(error, 500, 500)),
            block_reason: error.clone().filter(|_| was_blocked),
            error_message: error,
            was_blocked,
        }
    }

    fn of_ask(record: &Record, ask: &AskRecord) -> Self {
        let mut entry = Self::new(record, "chat", ask.outcome, ask.error.as_deref());
        entry.message_preview = Some(preview(&text(&ask.question), 200, 197));
        entry.message = Some(text(&ask.question));
        if !ask.answer.is_empty() {
            entry.response_preview = Some(preview(&text(&ask.answer), 500, 500));
        }
        entry.model = ask.model.as_deref().map(name);
        entry.iterations = number(u64::from(ask.iterations));
        let servers = ask.servers_used.iter().map(String::as_str);
        // Records of before name no servers.
        let before = ask.tools_used.iter().filter(|_| ask.servers_used.is_empty());
        let before = before.filter_map(|tool| tool.split('.').next());
        entry.use_tools(ask.tools_used.iter().map(String::as_str), servers.chain(before));
        entry.tokens_input = number(ask.usage.input);
        entry.tokens_output = number(ask.usage.output);
        entry.tokens_cached = number(ask.usage.cache_read);
        entry.tokens_cache_write = number(ask.usage.cache_write.saturating_add(ask.usage.cache_write_1h));
        entry.cost_estimate = ask.cost.map(dollars);
        entry.cost_nano_usd = ask.cost.map(nano);
        entry.cost_is_estimated = ask.usage.estimated;
        entry.warning = ask.warning.as_deref().map(name);
        entry.duration_ms = number(ask.duration_ms);
        entry
    }

    fn of_call(record: &Record, call: &CallRecord) -> Self {
        let mut entry = Self::new(record, "tool_call", call.outcome, call.error.as_deref());
        if call.was_sent() {
            let tool = format!("{}.{}", call.server, call.tool);
            entry.use_tools([tool.as_str()].into_iter(), [call.server.as_str()].into_iter());
        }
        entry.mcp_target = Some(name(&call.server));
        entry.tool_called = Some(name(&call.tool));
        entry.tool_params = Some(call.arguments.clone());
        entry.duration_ms = number(call.duration_ms);
        entry
    }

    fn of_admin(record: &Record, admin: &AdminRecord) -> Self {
        let mut entry = Self::new(record, ADMIN, admin.outcome, admin.error.as_deref());
        // What nobody asked for, such as retention, omni does by itself.
        if record.party.is_none() {
            entry.actor = Some(SYSTEM.into());
        }
        let message = text(&format!("{} {}", admin.action, admin.target));
        entry.message_preview = Some(preview(&message, 200, 197));
        entry.message = Some(message);
        entry.tool_params = Some(admin.details.clone()).filter(|details| !details.is_null());
        entry
    }

    /// Leaves out what a failure tells of the inside. Why something was refused everybody may read.
    pub(super) fn hide_inside(&mut self) {
        // Of a decision on a call, the rule that wanted it.
        if let Some(Value::Object(params)) = self.tool_params.as_mut().filter(|_| self.request_type == ADMIN) {
            params.remove("rule");
        }
        let Some(error) = self.error_message.take_if(|_| !self.was_blocked) else { return };
        if self.response_preview == Some(preview(&error, 500, 500)) {
            self.response_preview = Some(FAILED.into());
        }
        self.error_message = Some(FAILED.into());
    }

    fn use_tools<'a>(&mut self, tools: impl Iterator<Item = &'a str>, servers: impl Iterator<Item = &'a str>) {
        self.tools_used = tools.map(name).collect();
        self.tool_calls_count = number(self.tools_used.len() as u64);
        let servers: BTreeSet<String> = servers.map(name).collect();
        self.mcps_accessed = servers.into_iter().collect();
    }
}

impl CallEntry {
    /// What a record says of a call that has ended, be it an ask's or a direct one; `None` for any other record. Its
    /// number is 0: a store gives it the one that it has there.
    #[must_use]
    pub fn of(record: &Record) -> Option<Self> {
        match &record.event {
            Event::ToolCall(call) | Event::DirectCall(call) => Some(Self::of_call(record, call)),
            Event::Ask(_) | Event::Admin(_) | Event::Started(_) | Event::AskStarted { .. } => None,
            Event::ChainOpened { .. } | Event::Gap { .. } => None,
        }
    }

    fn of_call(record: &Record, call: &CallRecord) -> Self {
        let party = record.party.as_ref();
        Self {
            id: 0,
            request_id: record.request_id,
            created_at: moment(record),
            tenant: tenant(party),
            user_email: party.map(|party| name(&party.subject)),
            server: name(&call.server),
            tool: name(&call.tool),
            arguments: call.arguments.clone(),
            status: call.outcome.as_str().into(),
            sent: call.was_sent(),
            rule: call.rule.as_deref().map(text),
            duration_ms: number(call.duration_ms),
            bytes: call.bytes,
            cost_estimate: call.cost.map(dollars),
            cost_nano_usd: call.cost.map(nano),
            error: call.error.as_deref().map(text),
        }
    }

    /// Leaves out what it tells of the inside: the rule that decided, and of a failure everything.
    pub(super) fn hide_inside(&mut self) {
        self.rule = None;
        if !matches!(self.status.as_str(), "denied" | "rate_limited") {
            self.error = self.error.take().map(|_| FAILED.into());
        }
    }
}

/// The databases hold microseconds.
fn moment(record: &Record) -> DateTime<Utc> {
    record.at.trunc_subsecs(6)
}

fn tenant(party: Option<&Party>) -> String {
    party.map_or_else(|| DEFAULT_TENANT.to_owned(), |party| name(&party.tenant))
}

fn number(number: u64) -> u64 {
    number.min(MAX_NUMBER)
}

fn nano(cost: NanoUsd) -> u64 {
    cost.0.min(i64::MAX as u64)
}

fn dollars(cost: NanoUsd) -> f64 {
    ((cost.as_usd() * 1e6).round() / 1e6).min(MAX_USD)
}

/// PostgreSQL has no character 0 in texts.
fn text(text: &str) -> String {
    if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text.to_owned() }
}

fn name(name: &str) -> String {
    let end = name.char_indices().nth(MAX_NAME).map_or(name.len(), |(end, _)| end);
    text(&name[..end])
}

/// The text, or its first `keep` characters and "..." where it has more than `max`.
fn preview(text: &str, max: usize, keep: usize) -> String {
    if text.char_indices().nth(max).is_none() {
        return text.to_owned();
    }
    text.chars().take(keep).chain("...".chars()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_does_not_fit_into_the_originals_columns_is_cut() {
        let mut ask = AskRecord::new("?", Outcome::Success);
        ask.iterations = u32::MAX;
        ask.tools_used = vec![format!("db.{}", "é".repeat(400))];
        ask.cost = Some(NanoUsd(u64::MAX));
        let entry = Entries::of(&Record::new(Uuid::nil(), None, Event::Ask(Box::new(ask)))).log.unwrap();
        assert_eq!((entry.iterations, entry.cost_estimate), (MAX_NUMBER, Some(MAX_USD)));
        assert_eq!(entry.tools_used[0].chars().count(), MAX_NAME);
    }

    #[test]
    fn a_failure_tells_its_owner_nothing_of_the_inside_and_a_refusal_why() {
        let entry = |outcome: Outcome, answer: &str| {
            let mut ask = AskRecord::new("?", outcome);
            (ask.error, ask.answer) = (Some("http://10.0.0.7 refused".into()), answer.into());
            let mut log = Entries::of(&Record::new(Uuid::nil(), None, Event::Ask(Box::new(ask)))).log.unwrap();
            log.hide_inside();
            (log.error_message.unwrap(), log.response_preview.unwrap())
        };
        assert_eq!(entry(Outcome::Error, ""), (FAILED.into(), FAILED.into()));
        assert_eq!(entry(Outcome::Timeout, "So far."), (FAILED.into(), "So far.".into()));
        assert!(entry(Outcome::Denied, "").0.contains("refused"));
    }

    #[test]
    fn what_is_told_has_a_row_and_nothing_else() {
        let call = || CallRecord::new("db", "drop", json!({}), Outcome::Success);
        let events = [
            Event::ChainOpened { previous: None, also: Vec::new(), key: None },
            Event::AskStarted { question: "?".into() },
            Event::Ask(Box::new(AskRecord::new("?", Outcome::Success))),
            Event::Admin(AdminRecord::new("user.add", "ann@x.org")),
            Event::Started(call()),
            Event::ToolCall(call()),
            Event::DirectCall(call()),
            Event::Gap { count: 1 },
        ];
        for event in events {
            let is_told = event.is_told();
            let rows = Entries::of(&Record::new(Uuid::nil(), None, event));
            assert_eq!(rows.call.is_some() || rows.log.is_some(), is_told, "{rows:?}");
        }
    }

    #[test]
    fn a_decision_tells_its_owner_no_rule() {
        let mut admin = AdminRecord::new("confirmation.approved", "db.drop");
        admin.details = json!({ "rule": "mcps.db.confirm: drop", "arguments": {} });
        let mut log = Entries::of(&Record::new(Uuid::nil(), None, Event::Admin(admin))).log.unwrap();
        log.hide_inside();
        assert_eq!(log.tool_params, Some(json!({ "arguments": {} })));
    }

    #[test]
    fn a_call_tells_its_owner_no_rule() {
        for (outcome, shown) in [(Outcome::Denied, "There is no tool."), (Outcome::Error, FAILED)] {
            let mut call = CallRecord::new("db", "drop", json!({}), outcome);
            (call.rule, call.error) = (Some("mcps.db.deny: drop".into()), Some("There is no tool.".into()));
            let mut call = Entries::of(&Record::new(Uuid::nil(), None, Event::ToolCall(call))).call.unwrap();
            call.hide_inside();
            assert_eq!((call.rule, call.error.as_deref()), (None, Some(shown)));
        }
    }
}
