//! The one JSON form of answer events: SSE payloads, `--jsonl` lines, what Slack renders.
//!
//! Its JSON Schema is `schema/events.json` beside this crate's sources; a test holds both together.

use std::time::Duration;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use super::{Answer, AnswerEvent, CallStatus, CallSummary, Denial, Failure, PendingCall, Status, Warning};
use crate::{
    error::{Error, ErrorKind},
    llm::Usage,
    mcp::McpError,
};

/// One event, tagged by `event`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum EventJson {
    /// The ask was accepted.
    Started {
        /// The ask.
        request_id: Uuid,
        /// Whose rights count.
        user: String,
        /// Their role.
        role: String,
        /// The model.
        model: String,
        /// How many tools are on offer.
        tools: usize,
        /// The conversation that it belongs to; absent where it stands alone.
        #[serde(skip_serializing_if = "Option::is_none")]
        thread_id: Option<String>,
    },
    /// More text.
    Token {
        /// The text.
        text: String,
    },
    /// A tool call begins.
    ToolStart {
        /// The call.
        id: String,
        /// The server.
        server: String,
        /// The tool.
        tool: String,
        /// The arguments, redacted.
        arguments: Value,
    },
    /// A tool call ended.
    ToolEnd(CallJson),
    /// A call waits for a human. The ask ends then, with the status `waiting`.
    ApprovalRequired(PendingJson),
    /// Tokens and cost so far.
    Usage(UsageJson),
    /// Something the asker should know.
    Warning(WarningJson),
    /// The ask ended.
    Done(Box<AnswerJson>),
    /// The ask failed.
    Error(Box<FailureJson>),
}

impl EventJson {
    /// The event's name: its tag.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Started { .. } => "started",
            Self::Token { .. } => "token",
            Self::ToolStart { .. } => "tool_start",
            Self::ToolEnd(_) => "tool_end",
            Self::ApprovalRequired(_) => "approval_required",
            Self::Usage(_) => "usage",
            Self::Warning(_) => "warning",
            Self::Done(_) => "done",
            Self::Error(_) => "error",
        }
    }
}

/// A tool call.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct CallJson {
    /// The model's id of the call.
    pub id: String,
    /// The server; empty for a name that is no tool.
    pub server: String,
    /// The tool.
    pub tool: String,
    /// The arguments, redacted.
    pub arguments: Value,
    /// How it ended.
    pub status: CallStatus,
    /// How long it took.
    pub duration_ms: u64,
    /// What went wrong.
    pub error: Option<String>,
    /// What its result is kept as; absent where it is not kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result_id: Option<String>,
}

/// A call that waits for a human.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct PendingJson {
    /// The question: what a decision names.
    pub confirm_id: Uuid,
    /// The server.
    pub server: String,
    /// The tool.
    pub tool: String,
    /// The arguments, redacted.
    pub arguments: Value,
    /// The rule that asks for a human; for administrators, and at the terminal.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub rule: String,
    /// Until when somebody may agree.
    #[schemars(with = "String")]
    pub expires_at: DateTime<Utc>,
}

/// A refused call.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct DenialJson {
    /// The server.
    pub server: String,
    /// The tool.
    pub tool: String,
    /// `policy`, `approval` or `rate_limit`.
    pub reason: String,
    /// The rule that decided; for administrators, and at the terminal.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub rule: String,
}

/// Tokens and cost.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct UsageJson {
    /// Input tokens, cached ones left out.
    pub input_tokens: u64,
    /// Output tokens.
    pub output_tokens: u64,
    /// Input tokens read from a cache.
    pub cached_tokens: u64,
    /// Input tokens written to a cache.
    pub cache_write_tokens: u64,
    /// Whether part of it is a bound instead of the vendor's word.
    pub estimated: bool,
    /// Cost in dollars; `null` when a price is unknown.
    pub cost_usd: Option<f64>,
}

/// A warning.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct WarningJson {
    /// A stable code.
    pub code: String,
    /// A sentence.
    pub message: String,
}

/// A collected answer.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct AnswerJson {
    /// The ask.
    pub request_id: Uuid,
    /// The text.
    pub answer: String,
    /// How it ended.
    pub status: Status,
    /// Why the model stopped.
    pub stop_reason: Option<String>,
    /// Whose rights counted.
    pub user: String,
    /// Their role.
    pub role: Option<String>,
    /// The model.
    pub model: Option<String>,
    /// The conversation that it belongs to; absent where it stands alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thread_id: Option<String>,
    /// How many tool calls were made.
    pub tool_calls: usize,
    /// `server.tool` of each, in order.
    pub tools_used: Vec<String>,
    /// Each call in short.
    pub calls: Vec<CallJson>,
    /// Each refusal.
    pub denials: Vec<DenialJson>,
    /// The calls that wait for a human, where the status is `waiting`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pending: Vec<PendingJson>,
    /// Tokens and cost.
    pub usage: UsageJson,
    /// Model turns.
    pub iterations: u32,
    /// How long it took.
    pub duration_ms: u64,
    /// What the asker should know.
    pub warnings: Vec<WarningJson>,
}

/// Why an ask failed.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct ErrorJson {
    /// A stable code, such as `rate_limited`.
    pub code: String,
    /// What went wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// Seconds until it may work.
    pub retry_after_s: Option<u64>,
}

/// A failed ask.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct FailureJson {
    /// Why.
    pub error: ErrorJson,
    /// What there was until then.
    pub partial: AnswerJson,
}

impl From<&AnswerEvent> for EventJson {
    fn from(event: &AnswerEvent) -> Self {
        match event.clone() {
            AnswerEvent::Started { request_id, user, role, model, tools, thread } => {
                Self::Started { request_id, user, role, model, tools, thread_id: thread }
            }
            AnswerEvent::Text { text } => Self::Token { text },
            AnswerEvent::ToolStarted { id, server, tool, arguments } => Self::ToolStart { id, server, tool, arguments },
            AnswerEvent::ToolFinished(call) => Self::ToolEnd((&call).into()),
            AnswerEvent::Confirm(call) => Self::ApprovalRequired((&call).into()),
            AnswerEvent::Usage { usage, cost } => Self::Usage(UsageJson::new(&usage, cost.map(|cost| cost.as_usd()))),
            AnswerEvent::Warning(warning) => Self::Warning((&warning).into()),
            AnswerEvent::Done(answer) => Self::Done(Box::new((&*answer).into())),
            AnswerEvent::Error(failure) => Self::Error(Box::new((&*failure).into())),
        }
    }
}

impl UsageJson {
    fn new(usage: &Usage, cost_usd: Option<f64>) -> Self {
        Self {
            input_tokens: usage.input,
            output_tokens: usage.output,
            cached_tokens: usage.cache_read,
            cache_write_tokens: usage.cache_write + usage.cache_write_1h,
            estimated: usage.estimated,
            cost_usd,
        }
    }
}

impl From<&CallSummary> for CallJson {
    fn from(call: &CallSummary) -> Self {
        Self {
            id: call.id.clone(),
            server: call.server.clone(),
            tool: call.tool.clone(),
            arguments: call.arguments.clone(),
            status: call.status,
            duration_ms: call.duration_ms,
            error: call.error.clone(),
            result_id: call.result_id.clone(),
        }
    }
}

impl From<&PendingCall> for PendingJson {
    fn from(call: &PendingCall) -> Self {
        Self {
            confirm_id: call.id,
            server: call.server.clone(),
            tool: call.tool.clone(),
            arguments: call.arguments.clone(),
            rule: call.rule.clone(),
            expires_at: call.expires_at,
        }
    }
}

impl From<&Denial> for DenialJson {
    fn from(denial: &Denial) -> Self {
        Self {
            server: denial.server.clone(),
            tool: denial.tool.clone(),
            reason: denial.reason.clone(),
            rule: denial.rule.clone(),
        }
    }
}

impl From<&Warning> for WarningJson {
    fn from(warning: &Warning) -> Self {
        Self { code: warning.code.clone(), message: warning.message.clone() }
    }
}

impl From<&Answer> for AnswerJson {
    fn from(answer: &Answer) -> Self {
        let used: Vec<String> = answer
            .tool_calls
            .iter()
            .filter(|call| call.was_sent())
            .map(|call| format!("{}.{}", call.server, call.tool))
            .collect();
        Self {
            request_id: answer.request_id,
            answer: answer.text.clone(),
            status: answer.status,
            stop_reason: answer.stop_reason.clone(),
            user: answer.user.clone(),
            role: answer.role.clone(),
            model: answer.model.clone(),
            thread_id: answer.thread.clone(),
            tool_calls: used.len(),
            tools_used: used,
            calls: answer.tool_calls.iter().map(Into::into).collect(),
            denials: answer.denials.iter().map(Into::into).collect(),
            pending: answer.pending.iter().map(Into::into).collect(),
            usage: UsageJson::new(&answer.usage, answer.cost.map(|cost| cost.as_usd())),
            iterations: answer.iterations,
            duration_ms: answer.duration_ms,
            warnings: answer.warnings.iter().map(Into::into).collect(),
        }
    }
}

impl From<&Error> for ErrorJson {
    fn from(error: &Error) -> Self {
        Self {
            code: error.kind().as_str().into(),
            message: error.public_message(),
            hint: hint(error).map(Into::into),
            retry_after_s: error.retry_after().map(whole_seconds),
        }
    }
}

impl From<&Failure> for FailureJson {
    fn from(failure: &Failure) -> Self {
        Self { error: (&failure.error).into(), partial: (&failure.answer).into() }
    }
}

/// Rounded up, and at least 1: whoever comes back sooner is refused again.
fn whole_seconds(after: Duration) -> u64 {
    after.as_secs().saturating_add(u64::from(after.subsec_nanos() > 0)).max(1)
}

fn hint(error: &Error) -> Option<&'static str> {
    match error.kind() {
        ErrorKind::Config => Some("`omni config check` and `omni doctor` show what is wrong"),
        ErrorKind::Denied => Some("`omni policy explain` shows which rule decides"),
        ErrorKind::NotFound if is_of_tools(error) => Some("`omni tools list` shows what there is"),
        ErrorKind::Unavailable | ErrorKind::Timeout => Some("it may work again in a while"),
        ErrorKind::NotFound
        | ErrorKind::Invalid
        | ErrorKind::Unauthenticated
        | ErrorKind::RateLimited
        | ErrorKind::Cancelled
        | ErrorKind::Conflict
        | ErrorKind::Failed => None,
    }
}

/// Whether what is not there is a tool or a server.
fn is_of_tools(error: &Error) -> bool {
    matches!(error, Error::UnknownTool { .. } | Error::Server { source: McpError::UnknownServer { .. }, .. })
}

/// JSON Schema of [`EventJson`].
#[must_use]
pub fn schema() -> Value {
    schemars::schema_for!(EventJson).to_value()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_server(source: McpError) -> Error {
        Error::Server { server: "db".into(), source }
    }

    #[test]
    fn what_is_not_found_and_is_no_tool_is_not_looked_for_among_tools() {
        let hint = |error: &Error| ErrorJson::from(error).hint;
        let tools = Some("`omni tools list` shows what there is".to_owned());
        assert_eq!(hint(&Error::UnknownTool { name: "db.get".into(), near: None }), tools);
        assert_eq!(hint(&of_server(McpError::UnknownServer { server: "db".into() })), tools);
        assert_eq!(hint(&Error::NotFound { message: "no result \"r_x\" is kept".into() }), None);
    }

    #[test]
    fn whoever_waits_as_long_as_told_is_let_in() {
        for (retry_after_ms, told_s) in [(0, 1), (1, 1), (1_000, 1), (1_001, 2), (1_900, 2), (60_000, 60)] {
            let resting = McpError::Resting { reason: "refused".into(), retry_after_ms };
            let told = ErrorJson::from(&of_server(resting)).retry_after_s;
            assert_eq!(told, Some(told_s), "{retry_after_ms} ms");
        }
    }
}
