//! Questions and answers.

use omni_core::{
    Answer,
    answer::{
        CallSummary, Status,
        json::{AnswerJson, DenialJson, UsageJson},
    },
    ask::ChatPlace,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

/// A question.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct AskRequest {
    /// Whose question it is: an e-mail address. Absent: the key's owner; anybody else takes a key with
    /// the scope `act_as`.
    #[serde(default)]
    pub(crate) user_id: Option<String>,
    /// The question.
    pub(crate) message: String,
    /// Where in Slack it was asked.
    #[serde(default)]
    pub(crate) slack_context: Option<SlackContext>,
    /// A model's id, or `haiku`, `sonnet`, `opus`. Absent: the service's own.
    #[serde(default)]
    pub(crate) model: Option<String>,
    /// The conversation that it belongs to: a name of your choice, by which only you find it. Absent: none,
    /// unless `slack_context` names channel and thread.
    #[serde(default)]
    pub(crate) thread_id: Option<String>,
    /// Whether what servers ask in the middle of a call is told and answered (`POST /elicitations/{id}`); streams only.
    #[serde(default)]
    pub(crate) elicitation: bool,
}

/// Where in Slack a question was asked. The log has it where it names person and channel, and the key may ask for
/// others, or the person is its owner.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct SlackContext {
    /// Who asked, where `user_id` does not say.
    #[serde(default)]
    pub(crate) slack_user_id: Option<String>,
    /// The channel.
    #[serde(default)]
    pub(crate) slack_channel: Option<String>,
    /// The message.
    #[serde(default)]
    pub(crate) slack_message_ts: Option<String>,
    /// The message that begins the thread.
    #[serde(default)]
    pub(crate) slack_thread_ts: Option<String>,
}

/// An answer.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AskResponse {
    /// Whether it is an answer, be it a partial one.
    pub(crate) success: bool,
    /// The text.
    pub(crate) answer: String,
    /// How many calls of tools there were.
    pub(crate) tool_calls: usize,
    /// `server.tool` of each, in order.
    pub(crate) tools_used: Vec<String>,
    /// Each call in short.
    pub(crate) tool_results: Vec<ToolResult>,
    /// Turns of the model.
    pub(crate) iterations: u32,
    /// Always `null`: what went wrong is another status.
    pub(crate) error: Option<String>,
    /// Why it is partial: `max_iterations_reached`, `max_tokens_budget`, `max_cost`, `timeout`, …
    pub(crate) warning: Option<String>,
    /// Identifies the question in the ledger.
    pub(crate) request_id: Uuid,
    /// Whose rights counted.
    pub(crate) user: String,
    /// Their role.
    pub(crate) role: Option<String>,
    /// The model.
    pub(crate) model: Option<String>,
    /// The conversation that it belongs to, as the question named it.
    pub(crate) thread_id: Option<String>,
    /// Calls that were refused.
    pub(crate) denials: Vec<Refused>,
    /// Tokens and cost.
    pub(crate) usage: Usage,
    /// How long it took.
    pub(crate) duration_ms: u64,
}

/// An event of a stream.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StreamEvent {
    /// What `Last-Event-ID` says to go on after it.
    pub(crate) id: String,
    /// `started`, `token`, `tool_start`, `tool_end`, `approval_required`, `elicitation`, `usage`, `warning`, `done`, `error`.
    pub(crate) event: String,
    /// A JSON object with the same name in `event`, and what there is to tell.
    pub(crate) data: String,
}

/// A call of a tool.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ToolResult {
    /// The server.
    pub(crate) mcp: String,
    /// The tool.
    pub(crate) tool: String,
    /// The arguments, without secrets.
    pub(crate) arguments: Value,
    /// How it ended: `ok`, `error`, `denied`, `declined`, `rate_limited`, `timeout`, `cancelled`.
    pub(crate) status: &'static str,
    /// How long it took.
    pub(crate) duration_ms: u64,
    /// What went wrong.
    pub(crate) error: Option<String>,
    /// What the tool returned as text, without secrets, and cut at 16 KiB.
    pub(crate) result: Option<String>,
    /// What all of it is kept as: `GET /results/{id}`. `null` where it is not kept.
    pub(crate) result_id: Option<String>,
}

/// A call that was refused.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Refused {
    /// The server.
    pub(crate) mcp: String,
    /// The tool.
    pub(crate) tool: String,
    /// `policy`, `approval` or `rate_limit`.
    pub(crate) reason: String,
}

/// Tokens and cost.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Usage {
    /// Input tokens, cached ones left out.
    pub(crate) input_tokens: u64,
    /// Output tokens.
    pub(crate) output_tokens: u64,
    /// Input tokens from a cache.
    pub(crate) cached_tokens: u64,
    /// Input tokens written to a cache.
    pub(crate) cache_write_tokens: u64,
    /// Whether part of it is reckoned and not the vendor's word.
    pub(crate) estimated: bool,
    /// Cost in dollars; `null` where a price is unknown.
    pub(crate) cost_usd: Option<f64>,
}

/// A question in short.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct ShortRequest {
    /// The question.
    pub(crate) question: String,
    /// Whose question it is, as of `/chat/ask`.
    #[serde(default)]
    pub(crate) user_id: Option<String>,
    /// The same, by their id in Slack.
    #[serde(default)]
    pub(crate) slack_user_id: Option<String>,
}

/// An answer in short.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ShortResponse {
    /// The text.
    pub(crate) answer: String,
    /// The first tool that was called; one whose call was refused was not.
    pub(crate) tool_called: Option<String>,
    /// Its server.
    pub(crate) mcp_source: Option<String>,
    /// How long it took.
    pub(crate) execution_time_ms: u64,
}

impl AskRequest {
    /// Whom the request names, by address or by their id in Slack.
    pub(crate) fn slack_user(&self) -> Option<&str> {
        self.slack_context.as_ref()?.slack_user_id.as_deref()
    }

    /// The channel and thread in Slack, where both are named.
    pub(crate) fn slack_thread(&self) -> Option<(&str, &str)> {
        let context = self.slack_context.as_ref()?;
        let (channel, thread) = (context.slack_channel.as_deref()?, context.slack_thread_ts.as_deref()?);
        (!channel.is_empty() && !thread.is_empty()).then_some((channel, thread))
    }

    /// Who asked where in Slack, where both are named.
    pub(crate) fn slack_place(&self) -> Option<ChatPlace> {
        let context = self.slack_context.as_ref()?;
        let [user, channel, message, thread] =
            [&context.slack_user_id, &context.slack_channel, &context.slack_message_ts, &context.slack_thread_ts]
                .map(|id| id.as_deref().map(str::trim).filter(|id| !id.is_empty()));
        Some(ChatPlace::new(user?, channel?).with_message(message, thread))
    }
}

impl From<&Answer> for AskResponse {
    fn from(answer: &Answer) -> Self {
        let json = AnswerJson::from(answer);
        Self {
            success: answer.status != Status::Failed,
            answer: json.answer,
            tool_calls: json.tool_calls,
            tools_used: json.tools_used,
            tool_results: answer.tool_calls.iter().map(Into::into).collect(),
            iterations: json.iterations,
            error: None,
            warning: answer.warnings.iter().find(|warning| !warning.is_note()).map(|warning| warning.code.clone()),
            request_id: json.request_id,
            user: json.user,
            role: json.role,
            model: json.model,
            thread_id: json.thread_id,
            denials: json.denials.into_iter().map(Into::into).collect(),
            usage: json.usage.into(),
            duration_ms: json.duration_ms,
        }
    }
}

impl From<&Answer> for ShortResponse {
    fn from(answer: &Answer) -> Self {
        let first = answer.tool_calls.iter().find(|call| call.was_sent());
        let (tool_called, mcp_source) = first.map(|call| (call.tool.clone(), call.server.clone())).unzip();
        Self { answer: answer.text.clone(), tool_called, mcp_source, execution_time_ms: answer.duration_ms }
    }
}

impl From<&CallSummary> for ToolResult {
    fn from(call: &CallSummary) -> Self {
        Self {
            mcp: call.server.clone(),
            tool: call.tool.clone(),
            arguments: call.arguments.clone(),
            status: call.status.as_str(),
            duration_ms: call.duration_ms,
            error: call.error.clone(),
            result: call.result.clone(),
            result_id: call.result_id.clone(),
        }
    }
}

impl From<DenialJson> for Refused {
    fn from(denial: DenialJson) -> Self {
        Self { mcp: denial.server, tool: denial.tool, reason: denial.reason }
    }
}

impl From<UsageJson> for Usage {
    fn from(usage: UsageJson) -> Self {
        Self {
            input_tokens: usage.input_tokens,
            output_tokens: usage.output_tokens,
            cached_tokens: usage.cached_tokens,
            cache_write_tokens: usage.cache_write_tokens,
            estimated: usage.estimated,
            cost_usd: usage.cost_usd,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_tells_all_tokens_that_its_cost_is_of_and_whether_they_are_reckoned() {
        let mut answer = Answer::empty(Uuid::nil(), "ada@company.com");
        (answer.usage.cache_write, answer.usage.cache_write_1h, answer.usage.estimated) = (3, 4, true);
        let usage = AskResponse::from(&answer).usage;
        assert_eq!((usage.cache_write_tokens, usage.estimated), (7, true));
    }
}
