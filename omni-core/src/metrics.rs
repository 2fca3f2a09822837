//! What the pipeline counts, by the facade of the crate `metrics`: whoever runs omni chooses where it goes.
//! Without the feature `metrics` nothing is counted.
//!
//! | name | labels | what |
//! |---|---|---|
//! | [`ASKS`] | `outcome`, `source`, `role` | asks that ended |
//! | [`ASK_DURATION`] | `outcome`, `source` | how long they took |
//! | [`ASKS_RUNNING`] | – | asks that run now |
//! | [`TOOL_CALLS`] | `server`, `tool`, `outcome` | calls that ended, of asks and direct ones |
//! | [`TOOL_CALL_DURATION`] | `server`, `tool` | how long those took that were sent, a human's decision included |
//! | [`MODEL_TURNS`] | `model`, `outcome` | turns: `completed`, or `failed` |
//! | [`MODEL_TURN_DURATION`] | `model` | how long completed turns took |
//! | [`MODEL_TURN_COST`] | `model` | what turns cost; its `_sum` is the money spent |
//! | [`TOKENS`] | `model`, `kind` | `input`, `output`, `cache_read`, `cache_write`; each token is of one kind |
//! | [`REFUSALS`] | `kind` | `policy`, `identity`, `rate`, `concurrency`, `budget`; of asks and of calls |
//! | [`SERVER_UP`] | `server` | 1 where a server answered last time, else 0; no number once it is gone |
//! | [`SERVER_BREAKER`] | `server` | 0 where calls pass, 1 where a few find out whether it is back, 2 where they are kept away |
//! | [`LEDGER_BACKLOG`] | – | records that wait for the ledger's store |
//! | [`LEDGER_SINK_FAILURES`] | – | how often the store did not take what it was given |
//! | [`CONFIG_RELOADS`] | `outcome` | reloads: `success`, `error` |
//! | [`SUMMARIES`] | `outcome` | conversations that were due to be told in short: `made`, `skipped`, `failed` |
//!
//! Outcomes are those of the ledger. **Labels are bounded**: servers, tools, roles and models are named as
//! configuration, servers and providers name them; whatever else somebody writes into a request is
//! [`UNKNOWN`]. No label is about a person.
//!
//! Everything is process-wide, as the facade is: two [`Omni`](crate::Omni)s of one process add up.
//!
//! # Questions
//! * Cache hits: `sum by (model) (rate(omni_tokens_total{kind="cache_read"}[5m]))
//!   / sum by (model) (rate(omni_tokens_total{kind!="output"}[5m]))`
//! * Dollars a day: `sum by (model) (increase(omni_model_turn_cost_usd_sum[1d]))`
//! * Failed calls: `sum by (server) (rate(omni_tool_calls_total{outcome=~"error|timeout"}[5m]))`

mod facade;
mod names;
mod record;

pub(crate) use names::Names;
pub(crate) use record::{
    Running, asked, backlog, called, refused, reloaded, servers, servers_gone, sink_failed, summarized, turn_ended,
    usage,
};

/// Asks that ended.
pub const ASKS: &str = "omni_asks_total";
/// How long asks took, in seconds.
pub const ASK_DURATION: &str = "omni_ask_duration_seconds";
/// Asks that run.
pub const ASKS_RUNNING: &str = "omni_asks_running";
/// Tool calls that ended.
pub const TOOL_CALLS: &str = "omni_tool_calls_total";
/// How long tool calls took, in seconds.
pub const TOOL_CALL_DURATION: &str = "omni_tool_call_duration_seconds";
/// Turns of models.
pub const MODEL_TURNS: &str = "omni_model_turns_total";
/// How long turns took, in seconds.
pub const MODEL_TURN_DURATION: &str = "omni_model_turn_duration_seconds";
/// What turns cost, in US dollars.
pub const MODEL_TURN_COST: &str = "omni_model_turn_cost_usd";
/// Tokens.
pub const TOKENS: &str = "omni_tokens_total";
/// What was refused.
pub const REFUSALS: &str = "omni_refusals_total";
/// How servers are doing.
pub const SERVER_UP: &str = "omni_server_up";
/// Whether calls are kept from servers.
pub const SERVER_BREAKER: &str = "omni_server_breaker";
/// Records that wait for the ledger's store.
pub const LEDGER_BACKLOG: &str = "omni_ledger_backlog_records";
/// Failures of the ledger's store.
pub const LEDGER_SINK_FAILURES: &str = "omni_ledger_sink_failures_total";
/// Reloads of the configuration.
pub const CONFIG_RELOADS: &str = "omni_config_reloads_total";
/// Summaries of conversations that were due.
pub const SUMMARIES: &str = "omni_thread_summaries_total";

/// The label of what nobody configured, listed or granted.
pub const UNKNOWN: &str = "unknown";

/// Bounds of buckets for every histogram in seconds.
pub const SECONDS: [f64; 16] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0];
/// Bounds of buckets for [`MODEL_TURN_COST`], in US dollars.
pub const DOLLARS: [f64; 9] = [0.0001, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0];

/// What a metric is.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Counter,
    Gauge,
    /// In seconds.
    Seconds,
    /// In US dollars.
    Dollars,
}

const ALL: [(Kind, &str, &str); 16] = [
    (Kind::Counter, ASKS, "Asks that ended."),
    (Kind::Seconds, ASK_DURATION, "How long asks took."),
    (Kind::Gauge, ASKS_RUNNING, "Asks that run now."),
    (Kind::Counter, TOOL_CALLS, "Tool calls that ended."),
    (Kind::Seconds, TOOL_CALL_DURATION, "How long tool calls took that were sent."),
    (Kind::Counter, MODEL_TURNS, "Turns of models."),
    (Kind::Seconds, MODEL_TURN_DURATION, "How long completed turns of models took."),
    (Kind::Dollars, MODEL_TURN_COST, "What turns of models cost, in US dollars."),
    (Kind::Counter, TOKENS, "Tokens that models read and wrote."),
    (Kind::Counter, REFUSALS, "Asks and calls that were refused."),
    (Kind::Gauge, SERVER_UP, "Whether a server answered when it was asked last."),
    (Kind::Gauge, SERVER_BREAKER, "Whether calls are kept from a server: 0 no, 1 but for a few, 2 yes."),
    (Kind::Gauge, LEDGER_BACKLOG, "Records that wait for the ledger's store."),
    (Kind::Counter, LEDGER_SINK_FAILURES, "How often the ledger's store did not take records."),
    (Kind::Counter, CONFIG_RELOADS, "Reloads of the configuration."),
    (Kind::Counter, SUMMARIES, "Summaries of conversations that were due."),
];

/// Tells the recorder of the process what there is, and begins with zero what has few labels. Whoever
/// installs a recorder calls this once, after it.
pub fn describe() {
    for (kind, name, text) in ALL {
        facade::describe(kind, name, text);
    }
    record::begin();
}
