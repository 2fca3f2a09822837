//! Projections of a record: the tables that people and dashboards query.

use std::collections::BTreeSet;

use serde_json::json;
use sqlx::{Sqlite, Transaction};

use super::{SealedRecord, stamp};
use crate::ledger::{AdminRecord, AskRecord, CallRecord, Event, Outcome, Party, Record};

type Tx = Transaction<'static, Sqlite>;

/// Writes what follows from a record that is new.
pub(super) async fn project(tx: &mut Tx, sealed: &SealedRecord, record: &Record) -> Result<(), sqlx::Error> {
    match &record.event {
        Event::ToolCall(call) => tool_call(tx, sealed, record, call).await,
        Event::DirectCall(call) => {
            tool_call(tx, sealed, record, call).await?;
            audit_log(tx, sealed, record, &Row::of_call(call)).await
        }
        Event::Admin(admin) => audit_log(tx, sealed, record, &Row::of_admin(admin)).await,
        Event::Ask(ask) => audit_log(tx, sealed, record, &Row::of_ask(ask)).await,
        Event::ChainOpened { .. } | Event::AskStarted { .. } | Event::Started(_) | Event::Gap { .. } => Ok(()),
    }
}

async fn tool_call(tx: &mut Tx, sealed: &SealedRecord, record: &Record, call: &CallRecord) -> Result<(), sqlx::Error> {
    let party = record.party.as_ref();
    sqlx::query(
        "INSERT INTO tool_calls (request_id, tenant, user_email, server, tool, arguments, outcome, rule, duration_ms, error,
             chain_id, seq, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(record.request_id.to_string())
    .bind(tenant(party))
    .bind(party.map(|party| party.subject.as_str()))
    .bind(&call.server)
    .bind(&call.tool)
    .bind(call.arguments.to_string())
    .bind(call.outcome.as_str())
    .bind(&call.rule)
    .bind(whole(call.duration_ms))
    .bind(&call.error)
    .bind(sealed.chain_id.to_string())
    .bind(whole(sealed.seq))
    .bind(stamp(record.at))
    .execute(&mut **tx)
    .await
    .map(drop)
}

/// The person's row, made at their first closing record. The role is what they had, not a grant.
async fn user(tx: &mut Tx, record: &Record, party: &Party) -> Result<i64, sqlx::Error> {
    let at = stamp(record.at);
    sqlx::query_scalar::<_, i64>(
        "INSERT INTO users (tenant, email, name, role, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?)
         ON CONFLICT (tenant, email) DO UPDATE SET
             role = CASE WHEN role_source = 'seen' THEN coalesce(excluded.role, role) ELSE role END,
             updated_at = max(updated_at, excluded.updated_at)
         RETURNING id",
    )
    .bind(&party.tenant)
    .bind(&party.subject)
    .bind(name_of(&party.subject))
    .bind(&party.role)
    .bind(&at)
    .bind(&at)
    .fetch_one(&mut **tx)
    .await
}

fn name_of(subject: &str) -> &str {
    let subject = subject.strip_prefix("local:").unwrap_or(subject);
    subject.split('@').next().unwrap_or(subject)
}

fn tenant(party: Option<&Party>) -> &str {
    party.map_or(crate::identity::DEFAULT_TENANT, |party| party.tenant.as_str())
}

/// What the two kinds of closing records say in `audit_logs`.
#[derive(Default)]
struct Row<'a> {
    request_type: &'static str,
    message: Option<&'a str>,
    response: &'a str,
    outcome: Option<Outcome>,
    model: Option<&'a str>,
    iterations: u32,
    tools: Vec<String>,
    servers: BTreeSet<&'a str>,
    call: Option<&'a CallRecord>,
    ask: Option<&'a AskRecord>,
    admin: Option<&'a AdminRecord>,
    warning: Option<&'a str>,
    error: Option<&'a str>,
    duration_ms: u64,
}

impl<'a> Row<'a> {
    fn of_ask(ask: &'a AskRecord) -> Self {
        Self {
            request_type: "chat",
            message: Some(&ask.question),
            response: &ask.answer,
            outcome: Some(ask.outcome),
            model: ask.model.as_deref(),
            iterations: ask.iterations,
            tools: ask.tools_used.clone(),
            servers: ask.tools_used.iter().filter_map(|tool| tool.split('.').next()).collect(),
            call: None,
            ask: Some(ask),
            admin: None,
            warning: ask.warning.as_deref(),
            error: ask.error.as_deref(),
            duration_ms: ask.duration_ms,
        }
    }

    fn of_call(call: &'a CallRecord) -> Self {
        Self {
            request_type: "tool_call",
            outcome: Some(call.outcome),
            tools: vec![format!("{}.{}", call.server, call.tool)],
            servers: BTreeSet::from([call.server.as_str()]),
            call: Some(call),
            error: call.error.as_deref(),
            duration_ms: call.duration_ms,
            ..Self::default()
        }
    }

    fn of_admin(admin: &'a AdminRecord) -> Self {
        Self {
            request_type: "admin",
            message: Some(&admin.action),
            outcome: Some(admin.outcome),
            admin: Some(admin),
            error: admin.error.as_deref(),
            ..Self::default()
        }
    }

    fn is_success(&self) -> bool {
        matches!(self.outcome, Some(Outcome::Success | Outcome::Warning))
    }

    fn is_blocked(&self) -> bool {
        matches!(self.outcome, Some(Outcome::Denied | Outcome::RateLimited))
    }

    /// The first 500 characters of the answer; of a failure's message where there is no answer.
    fn response_preview(&self) -> Option<String> {
        let text = if self.response.is_empty() { self.error? } else { self.response };
        Some(preview(text, 500, 500))
    }
}

async fn audit_log(tx: &mut Tx, sealed: &SealedRecord, record: &Record, row: &Row<'_>) -> Result<(), sqlx::Error> {
    let party = record.party.as_ref();
    let user_id = match party {
        Some(party) => Some(user(tx, record, party).await?),
        None => None,
    };
    let usage = row.ask.map(|ask| ask.usage).unwrap_or_default();
    let cost = row.ask.and_then(|ask| ask.cost);
    let at = stamp(record.at);
    sqlx::query(
        "INSERT INTO audit_logs (user_id, timestamp, request_id, tenant, user_email, user_role, actor, source, request_type,
             message, message_preview, model, iterations, tool_calls_count, tools_used, mcps_accessed, tokens_input,
             tokens_output, tokens_cached, tokens_cache_write, cost_estimate, cost_nano_usd, mcp_target, tool_called,
             tool_params, success, status, warning, duration_ms, response_preview, error_message, was_blocked,
             block_reason, chain_id, seq, created_at)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(user_id)
    .bind(&at)
    .bind(record.request_id.to_string())
    .bind(tenant(party))
    .bind(party.map(|party| party.subject.as_str()))
    .bind(party.and_then(|party| party.role.as_deref()))
    .bind(party.and_then(|party| party.actor.as_deref()))
    .bind(party.map(|party| party.source.as_str()))
    .bind(row.request_type)
    .bind(row.message)
    .bind(row.message.map(|message| preview(message, 200, 197)))
    .bind(row.model)
    .bind(row.iterations)
    .bind(whole(row.tools.len() as u64))
    .bind(json!(row.tools).to_string())
    .bind(json!(row.servers).to_string())
    .bind(whole(usage.input))
    .bind(whole(usage.output))
    .bind(whole(usage.cache_read))
    .bind(whole(usage.cache_write.saturating_add(usage.cache_write_1h)))
    .bind(cost.map(|cost| (cost.as_usd() * 1e6).round() / 1e6))
    .bind(cost.map(|cost| whole(cost.0)))
    .bind(row.call.map(|call| call.server.as_str()))
    .bind(row.call.map(|call| call.tool.as_str()).or(row.admin.map(|admin| admin.target.as_str())))
    .bind(row.call.map(|call| call.arguments.to_string()).or(row.admin.map(|admin| admin.details.to_string())))
    .bind(row.is_success())
    .bind(row.outcome.map(Outcome::as_str))
    .bind(row.warning)
    .bind(whole(row.duration_ms))
    .bind(row.response_preview())
    .bind(row.error)
    .bind(row.is_blocked())
    .bind(row.error.filter(|_| row.is_blocked()))
    .bind(sealed.chain_id.to_string())
    .bind(whole(sealed.seq))
    .bind(&at)
    .execute(&mut **tx)
    .await
    .map(drop)
}

/// The text, or its first `keep` characters and "..." where it has more than `max`.
fn preview(text: &str, max: usize, keep: usize) -> String {
    if text.char_indices().nth(max).is_none() {
        return text.to_owned();
    }
    text.chars().take(keep).chain("...".chars()).collect()
}

/// SQLite's integers are signed.
fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
