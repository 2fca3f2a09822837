//! The tools: what they are called, what they take, and when to use them. A client that finds tools by words finds
//! them by these.

use std::sync::{Arc, LazyLock};

use rmcp::model::{JsonObject, Tool, ToolAnnotations};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    data::UserId,
    error::AnalyticsError,
    period::{PERIODS, PeriodArgs},
};

/// The one that is for everybody.
pub(crate) const FOR_ALL: &str = "get_my_usage";

/// Everything that any of them takes.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Args {
    #[serde(flatten)]
    pub(super) period: PeriodArgs,
    pub(super) user_id: Option<UserId>,
    pub(super) group_by: Option<String>,
    pub(super) limit: Option<u64>,
    pub(super) min_duration_ms: Option<u64>,
    pub(super) min_iterations: Option<u64>,
    pub(super) mcp_name: Option<String>,
    pub(super) tool_name: Option<String>,
    pub(super) role: Option<String>,
    pub(super) forecast_days: Option<u64>,
}

impl Args {
    /// The arguments of a call, held to what the tool takes.
    pub(super) fn of(tool: &str, arguments: JsonObject) -> Result<Self, AnalyticsError> {
        let listed = all().into_iter().find(|listed| listed.name == tool);
        let listed = listed.ok_or_else(|| AnalyticsError::UnknownTool { name: tool.into() })?;
        let known = listed.input_schema.get("properties").and_then(Value::as_object);
        if let Some(name) = arguments.keys().find(|name| !known.is_some_and(|known| known.contains_key(*name))) {
            return Err(AnalyticsError::argument(name, "the tool takes no such argument"));
        }
        serde_json::from_value(Value::Object(arguments))
            .map_err(|error| AnalyticsError::Argument { name: "arguments".into(), reason: error.to_string() })
    }

    /// How many rows, of at most a hundred.
    pub(super) fn limit(&self, default: u64) -> u64 {
        self.limit.unwrap_or(default).clamp(1, 100)
    }
}

/// All tools, always the same: whoever pinned them finds them unchanged.
pub(crate) fn all() -> Vec<Tool> {
    static TOOLS: LazyLock<Vec<Tool>> = LazyLock::new(list);
    TOOLS.clone()
}

type Properties = Vec<(&'static str, Value)>;

fn list() -> Vec<Tool> {
    let mut tools = costs();
    tools.extend(requests());
    tools.extend(people_and_tools());
    tools.extend(beyond());
    tools
}

fn costs() -> Vec<Tool> {
    vec![
        tool(
            "get_cost_summary",
            "Cost summary",
            "Costs and spending: how much money was spent, what a user, an MCP server or a model did cost, in total and \
             on average, by day, with tokens. Use it for what we spend.",
            [
                period("week"),
                vec![user(), group_by(&["user", "mcp", "day", "date", "model"], "By what to split the costs.")],
            ],
        ),
        tool(
            "get_top_expensive_queries",
            "Expensive queries",
            "Expensive queries: the questions that cost the most money, each with its user, tools, tokens and time. Use it \
             to find what is expensive.",
            [period("week"), vec![limit(10), user()]],
        ),
        tool(
            "get_token_usage",
            "Token usage",
            "Tokens used: how many input, output and cached tokens each user and model used, and what the prompt cache \
             saved. Use it for token counts and consumption.",
            [period("week"), vec![user()]],
        ),
        tool(
            "get_cache_hit_rate",
            "Prompt cache hit rate",
            "Prompt cache hit rate: which share of the prompt was read from the cache, by model, what that saved, and \
             whether caching works well.",
            [period("week"), vec![]],
        ),
    ]
}

fn requests() -> Vec<Tool> {
    vec![
        tool(
            "get_slow_queries",
            "Slow queries",
            "Slow queries: the slowest questions and requests, which took longer than a limit, with who asked, the \
             tools and the duration. Use it for what is slow for users.",
            [
                period("week"),
                vec![number("min_duration_ms", "Least duration in milliseconds.", 5_000, 0, 86_400_000), limit(20)],
            ],
        ),
        tool(
            "get_iteration_analysis",
            "Iterations",
            "Questions that needed many iterations: model turns and rounds, warnings, tools. Use it to find what the \
             model had trouble with.",
            [period("week"), vec![number("min_iterations", "Least model turns.", 5, 1, 1_000), limit(20)]],
        ),
        tool(
            "get_error_summary",
            "Error rates",
            "Error rate and errors: how many requests failed, the success rate, the failing MCP servers and tools with \
             the error rate of each, and the most frequent error messages.",
            [period("week"), vec![mcp(), name("tool_name", "Only this tool.")]],
        ),
        tool(
            "get_failed_queries",
            "Failed queries",
            "Failed queries: the recent failures one by one, with the question, who asked, the error and when. Use it \
             to look into what failed.",
            [period("week"), vec![limit(10), user()]],
        ),
    ]
}

fn people_and_tools() -> Vec<Tool> {
    vec![
        tool(
            "get_active_users",
            "Active users",
            "Active users: who is using this the most, user activity with queries, errors, average time, costs and when \
             they were last active.",
            [period("week"), vec![name("role", "Only people of this role."), limit(20)]],
        ),
        tool(
            "get_tool_popularity",
            "Popular tools",
            "Tool popularity: which tools are used most, how often each tool is called, its errors and its average \
             time. Use it for the most popular and most used tools.",
            [period("week"), vec![limit(20), mcp()]],
        ),
        tool(
            "get_mcp_health_summary",
            "MCP server health",
            "Health of the MCP servers: whether each MCP server is on and healthy or down, its tools, requests, success \
             rate and last check.",
            [period("all"), vec![]],
        ),
        tool(
            FOR_ALL,
            "My usage",
            "My own usage: the queries that I asked myself, my tokens, my costs and my servers. Use it for what \
             somebody did themselves.",
            [period("week"), vec![limit(10)]],
        ),
    ]
}

fn beyond() -> Vec<Tool> {
    vec![
        tool(
            "get_latency_percentiles",
            "Latency percentiles",
            "Latency percentiles: p50, p90, p95 and p99 of response times, of requests as a whole and of each server's \
             or tool's own calls, a human's decision included. Use it for the median, the distribution and tail \
             latency.",
            [
                period("week"),
                vec![group_by(&["request", "mcp", "tool"], "Whole requests, or calls by server or tool."), mcp()],
            ],
        ),
        tool(
            "get_cost_trend",
            "Cost trend and forecast",
            "Trend of the costs with a forecast: how they develop day by day, whether they rise or fall, and what the \
             coming days are expected to bring.",
            [period("month"), vec![number("forecast_days", "How many days to forecast.", 7, 1, 92)]],
        ),
        tool(
            "get_denials",
            "Denied requests",
            "Denials: what was denied, blocked or refused by permissions, policy or rate limits, by rule, user and \
             tool, with the recent ones. Use it for access denied and violations.",
            [period("week"), vec![limit(10), user()]],
        ),
        tool(
            "get_feedback_summary",
            "Feedback",
            "Feedback of users: thumbs up and thumbs down on answers, the share of satisfied ones, by model, and recent \
             complaints with their reasons.",
            [period("month"), vec![limit(10)]],
        ),
    ]
}

fn tool<const N: usize>(
    name: &'static str,
    title: &'static str,
    description: &'static str,
    properties: [Properties; N],
) -> Tool {
    let properties: Map<String, Value> =
        properties.into_iter().flatten().map(|(name, schema)| (name.to_owned(), schema)).collect();
    let mut schema = JsonObject::new();
    schema.insert("type".into(), json!("object"));
    schema.insert("properties".into(), Value::Object(properties));
    schema.insert("additionalProperties".into(), json!(false));
    let annotations =
        ToolAnnotations::with_title(title).read_only(true).destructive(false).idempotent(true).open_world(false);
    Tool::new(name, description, Arc::new(schema)).with_title(title).with_annotations(annotations)
}

fn period(default: &str) -> Properties {
    let text = |description: &str| json!({ "type": "string", "description": description });
    vec![
        (
            "period",
            json!({ "type": "string", "enum": PERIODS, "default": default,
                    "description": "The period: today, yesterday, week is the last 7 days, month since the 1st." }),
        ),
        ("since", text("In place of a period: a first date, or a moment with its offset.")),
        ("until", text("In place of a period: a last date, or a moment with its offset.")),
        ("timezone", text("IANA name of the zone whose days count; UTC where there is none.")),
    ]
}

fn user() -> (&'static str, Value) {
    let description = "Only this user, by e-mail address or number.";
    ("user_id", json!({ "type": ["string", "integer"], "description": description }))
}

fn group_by(options: &[&str], description: &str) -> (&'static str, Value) {
    ("group_by", json!({ "type": "string", "enum": options, "description": description }))
}

fn limit(default: u64) -> (&'static str, Value) {
    number("limit", "How many at most.", default, 1, 100)
}

fn mcp() -> (&'static str, Value) {
    name("mcp_name", "Only this MCP server.")
}

fn name(name: &'static str, description: &str) -> (&'static str, Value) {
    (name, json!({ "type": "string", "description": description }))
}

fn number(name: &'static str, description: &str, default: u64, least: u64, most: u64) -> (&'static str, Value) {
    let schema = json!({ "type": "integer", "description": description, "default": default, "minimum": least,
                         "maximum": most });
    (name, schema)
}
