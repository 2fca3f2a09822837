//! What was asked and called.

use chrono::{DateTime, Utc};
use omni_core::audit::{AuditStats, CallEntry, LogEntry};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

mod query;

pub(crate) use query::{Format, LogQuery, MyLogQuery, MyStatsQuery, StatsQuery, within};

use super::moment::Moment;

/// A page of the log, the newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LogList {
    pub(crate) logs: Vec<LogLine>,
    /// How many the query finds. All of them have to be gone through for it, so a page that goes on
    /// by `after` leaves it out.
    pub(crate) total: Option<u64>,
    pub(crate) limit: usize,
    pub(crate) offset: usize,
    /// What `after` has to be for the next page; `null` at the end.
    pub(crate) next: Option<String>,
}

/// An ask, a direct call, or what an administrator did.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LogLine {
    pub(crate) id: i64,
    pub(crate) request_id: Uuid,
    /// When it ended.
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) tenant: String,
    /// Whose rights counted.
    pub(crate) user_email: Option<String>,
    /// Their role at that time.
    pub(crate) user_role: Option<String>,
    /// Who acted, if somebody else.
    pub(crate) actor: Option<String>,
    /// The door: `slack`, `http`, `cli`, `mcp`, `embed`.
    pub(crate) source: Option<String>,
    /// What the request called its origin: its word only.
    pub(crate) x_source: Option<String>,
    /// `chat`, `tool_call`, `admin`.
    pub(crate) request_type: String,
    /// The question's first characters.
    pub(crate) message_preview: Option<String>,
    pub(crate) model: Option<String>,
    /// Model turns.
    pub(crate) iterations: u64,
    pub(crate) tool_calls_count: u64,
    /// `server.tool` of each, in order.
    pub(crate) tools_used: Vec<String>,
    /// Their servers.
    pub(crate) mcps_accessed: Vec<String>,
    pub(crate) tokens_input: u64,
    pub(crate) tokens_output: u64,
    pub(crate) tokens_cached: u64,
    pub(crate) tokens_cache_write: u64,
    /// Dollars, rounded to millionths; `null` where a price is unknown.
    pub(crate) cost_estimate: Option<f64>,
    /// The exact cost, in billionths of a dollar.
    pub(crate) cost_nano_usd: Option<u64>,
    /// Whether part of tokens and cost is reckoned and not the vendor's word, as of an answer that was cut.
    pub(crate) cost_is_estimated: bool,
    /// The server of a direct call.
    pub(crate) mcp_target: Option<String>,
    /// The tool of a direct call.
    pub(crate) tool_called: Option<String>,
    pub(crate) success: bool,
    /// `success`, `warning`, `error`, `denied`, `rate_limited`, `cancelled`, `timeout`, `unknown_outcome`.
    pub(crate) status: String,
    /// The first warning's code.
    pub(crate) warning: Option<String>,
    pub(crate) duration_ms: u64,
    /// Whether policy or a limit refused it.
    pub(crate) was_blocked: bool,
    /// Why.
    pub(crate) block_reason: Option<String>,
}

/// The same with everything that is kept of it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LogDetail {
    #[serde(flatten)]
    pub(crate) line: LogLine,
    /// The question.
    pub(crate) message: Option<String>,
    /// The answer's first characters, or the failure's.
    pub(crate) response_preview: Option<String>,
    /// The arguments of a direct call, or of an administrator's operation, without secrets.
    #[schema(value_type = Option<Object>)]
    pub(crate) tool_params: Option<Value>,
    /// What went wrong; what exactly, only those who may read everybody's entries are told.
    pub(crate) error_message: Option<String>,
    /// What the program called itself that sent it.
    pub(crate) user_agent: Option<String>,
    /// The address that it came from.
    pub(crate) ip_address: Option<String>,
}

/// An entry of the log with its calls.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LogWithCalls {
    #[serde(flatten)]
    pub(crate) detail: LogDetail,
    /// The answer, as much of it as is kept.
    pub(crate) answer: Option<String>,
    /// The calls of an ask, in order, or the direct call itself.
    pub(crate) tool_calls: Vec<CallLine>,
}

/// A call of a tool.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CallLine {
    pub(crate) id: i64,
    /// When it ended.
    pub(crate) created_at: DateTime<Utc>,
    /// The server.
    pub(crate) mcp: String,
    pub(crate) tool: String,
    /// The arguments, without secrets.
    #[schema(value_type = Object)]
    pub(crate) arguments: Value,
    /// As of the log.
    pub(crate) status: String,
    /// The rule that decided; for those who may read everybody's entries.
    pub(crate) rule: Option<String>,
    pub(crate) duration_ms: u64,
    /// The size of its result.
    pub(crate) bytes: Option<u64>,
    /// Its share of what the model's turn cost, in dollars.
    pub(crate) cost_estimate: Option<f64>,
    /// What went wrong, as of the log.
    pub(crate) error: Option<String>,
}

/// Sums.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Stats {
    pub(crate) total_requests: u64,
    pub(crate) total_tool_calls: u64,
    /// Model turns of a question.
    pub(crate) avg_iterations: f64,
    pub(crate) avg_duration_ms: f64,
    /// Dollars, of all whose price is known.
    pub(crate) total_cost: f64,
    pub(crate) error_count: u64,
    pub(crate) success_count: u64,
    pub(crate) warning_count: u64,
    /// Over so many days up to now.
    pub(crate) period_days: u32,
    /// Refused by policy or a limit.
    pub(crate) blocked_count: u64,
    /// Asks that used a model whose price is not known.
    pub(crate) unpriced_count: u64,
    /// Asks of which tokens and cost are in part reckoned and not the vendor's word.
    pub(crate) estimated_count: u64,
    pub(crate) total_tokens_input: u64,
    pub(crate) total_tokens_output: u64,
    pub(crate) total_tokens_cached: u64,
    pub(crate) total_tokens_cache_write: u64,
    /// How many ended how.
    pub(crate) by_status: std::collections::BTreeMap<String, u64>,
}

impl From<LogEntry> for LogLine {
    fn from(entry: LogEntry) -> Self {
        Self {
            id: entry.id,
            request_id: entry.request_id,
            created_at: entry.created_at,
            tenant: entry.tenant,
            user_email: entry.user_email,
            user_role: entry.user_role,
            actor: entry.actor,
            source: entry.source,
            x_source: entry.x_source,
            request_type: entry.request_type,
            message_preview: entry.message_preview,
            model: entry.model,
            iterations: entry.iterations,
            tool_calls_count: entry.tool_calls_count,
            tools_used: entry.tools_used,
            mcps_accessed: entry.mcps_accessed,
            tokens_input: entry.tokens_input,
            tokens_output: entry.tokens_output,
            tokens_cached: entry.tokens_cached,
            tokens_cache_write: entry.tokens_cache_write,
            cost_estimate: entry.cost_estimate,
            cost_nano_usd: entry.cost_nano_usd,
            cost_is_estimated: entry.cost_is_estimated,
            mcp_target: entry.mcp_target,
            tool_called: entry.tool_called,
            success: entry.success,
            status: entry.status,
            warning: entry.warning,
            duration_ms: entry.duration_ms,
            was_blocked: entry.was_blocked,
            block_reason: entry.block_reason,
        }
    }
}

impl From<LogEntry> for LogDetail {
    fn from(mut entry: LogEntry) -> Self {
        Self {
            message: entry.message.take(),
            response_preview: entry.response_preview.take(),
            tool_params: entry.tool_params.take(),
            error_message: entry.error_message.take(),
            user_agent: entry.user_agent.take(),
            ip_address: entry.ip_address.map(|address| address.to_string()),
            line: entry.into(),
        }
    }
}

impl From<CallEntry> for CallLine {
    fn from(call: CallEntry) -> Self {
        Self {
            id: call.id,
            created_at: call.created_at,
            mcp: call.server,
            tool: call.tool,
            arguments: call.arguments,
            status: call.status,
            rule: call.rule,
            duration_ms: call.duration_ms,
            bytes: call.bytes,
            cost_estimate: call.cost_estimate,
            error: call.error,
        }
    }
}

impl Stats {
    /// The sums over so many days.
    pub(crate) fn new(stats: AuditStats, period_days: u32) -> Self {
        let count = |status: &str| stats.by_status.get(status).copied().unwrap_or(0);
        Self {
            error_count: count("error"),
            success_count: count("success"),
            warning_count: count("warning"),
            total_requests: stats.total_requests,
            total_tool_calls: stats.total_tool_calls,
            avg_iterations: stats.avg_iterations,
            avg_duration_ms: stats.avg_duration_ms,
            total_cost: stats.total_cost,
            period_days,
            blocked_count: stats.blocked_count,
            unpriced_count: stats.unpriced_count,
            estimated_count: stats.estimated_count,
            total_tokens_input: stats.total_tokens_input,
            total_tokens_output: stats.total_tokens_output,
            total_tokens_cached: stats.total_tokens_cached,
            total_tokens_cache_write: stats.total_tokens_cache_write,
            by_status: stats.by_status,
        }
    }
}
