//! `threading.yaml`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

/// `threading.yaml`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct ThreadingSpec {
    /// Threads in channels, and what holds for all conversations.
    pub(crate) threading: ThreadsSpec,
    /// Direct messages.
    pub(crate) direct_messages: DirectSpec,
    /// Channels that have something of their own, by id.
    #[schemars(extend("x-enforced" = true))]
    pub(crate) channel_overrides: BTreeMap<String, ChannelSpec>,
    /// Sessions at a terminal and conversations by HTTP.
    #[schemars(extend("x-own" = true))]
    pub(crate) sessions: SessionsSpec,
}

/// Threads in channels, and what holds for all conversations.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("x-ignored" = ["metadata"]))]
pub(crate) struct ThreadsSpec {
    /// Whether answers stand in threads; absent: they do.
    pub(crate) enabled: Option<bool>,
    pub(crate) behavior: BehaviorSpec,
    pub(crate) context: ContextSpec,
    /// How long a conversation is kept after it was used last; absent: 24.
    pub(crate) expire_hours: Option<f64>,
    /// Most tokens that what was said before may take, estimated; absent: 32000.
    pub(crate) max_context_tokens: Option<u32>,
    pub(crate) summary: SummarySpec,
}

/// What is no longer brought along, told in short by a model at the expense of whoever asked last.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("x-own" = true))]
pub(crate) struct SummarySpec {
    /// Whether it is; absent: it is not.
    pub(crate) enabled: Option<bool>,
    /// How many tokens of turns, estimated, may go without; absent: 2000.
    pub(crate) above_tokens: Option<u32>,
    /// Most tokens of a summary; absent: 800.
    pub(crate) max_tokens: Option<u32>,
    /// The model that writes it, for whoever may use that; absent: the one that answers.
    pub(crate) model: Option<String>,
}

/// Where answers stand.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("x-ignored" = ["new_thread_per_conversation"]))]
pub(crate) struct BehaviorSpec {
    /// Whether every answer in a channel begins a thread; absent: it does.
    pub(crate) always_use_threads: Option<bool>,
    /// Whether a question in a thread is answered there; absent: it is.
    pub(crate) continue_threads: Option<bool>,
}

/// What questions bring along of what was said before.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("x-ignored" = ["format", "send_to_llm"]))]
pub(crate) struct ContextSpec {
    /// Whether they do; absent: they do.
    pub(crate) enabled: Option<bool>,
    /// Most messages, of people and of omni; 0 is none. Absent: 3 in channels, 5 in direct messages.
    pub(crate) max_messages: Option<u32>,
}

/// Direct messages.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct DirectSpec {
    /// Whether they are answered in threads; absent: they are not.
    pub(crate) use_threads: Option<bool>,
    pub(crate) context: ContextSpec,
}

/// What one channel has of its own.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct ChannelSpec {
    /// Whether answers stand in threads there.
    pub(crate) threading_enabled: Option<bool>,
    /// Whether questions bring along what was said before.
    pub(crate) context_enabled: Option<bool>,
    /// Most messages that they bring along.
    pub(crate) max_messages: Option<u32>,
}

/// Sessions at a terminal and conversations by HTTP.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct SessionsSpec {
    /// Whether they are kept; absent: they are.
    pub(crate) enabled: Option<bool>,
    /// Most messages that a question brings along; 0 is none. Absent: what is set for direct messages, else 20.
    pub(crate) max_messages: Option<u32>,
}
