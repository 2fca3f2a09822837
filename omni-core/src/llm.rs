//! Language models: one trait, its messages, and what every provider needs.
//!
//! Providers stream; a collected answer is a folded stream. Wire forms live in each provider's
//! module and nowhere else.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use futures::stream::BoxStream;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::time::Instant;

use crate::{catalog::ToolSet, cost::Price};

#[cfg(feature = "anthropic")]
pub mod anthropic;
mod error;
mod message;
pub mod offline;
#[cfg(feature = "openai")]
pub mod openai;
#[cfg(any(feature = "anthropic", feature = "openai"))]
mod retry;
pub mod scripted;
#[cfg(any(feature = "anthropic", feature = "openai"))]
mod sse;
#[cfg(any(feature = "anthropic", feature = "openai"))]
mod vendor;

pub use error::LlmError;
pub use message::{Block, Message, ResultPart, Speaker};

/// What is known of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ModelInfo {
    /// The vendor's id.
    pub id: String,
    /// The provider's kind: `anthropic`, `openai`, `offline`, `scripted`.
    pub provider: &'static str,
    /// Context window in tokens.
    pub context_window: u64,
    /// Most output tokens; `None` where it is not known.
    pub max_output: Option<u32>,
    /// Longest tool name.
    pub tool_name_len: usize,
    /// Most tools in a request; `None` is no limit.
    pub max_tools: Option<usize>,
    /// Whether it takes any number of tools as they are, and ranks them itself: it is never given tools of omni's own.
    pub reads_all_tools: bool,
    /// Shortest prefix, in tokens, that the vendor caches; `None` where it has no prompt cache.
    pub cache_min_tokens: Option<u64>,
    /// Its price; `None` makes its cost unknown, never a guess.
    pub price: Option<Price>,
}

impl ModelInfo {
    /// A model of which only the id is known.
    #[must_use]
    pub fn new(provider: &'static str, id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            provider,
            context_window: 128_000,
            max_output: None,
            tool_name_len: 64,
            max_tools: None,
            reads_all_tools: false,
            cache_min_tokens: None,
            price: None,
        }
    }
}

/// Whether the model may, must or must not call tools.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ToolChoice {
    /// As the model sees fit.
    #[default]
    Auto,
    /// Not in this turn, though the definitions stay (so that caches hit).
    None,
}

/// Where a provider with a prompt cache puts its breakpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct CachePlan {
    /// After system prompt and tools.
    pub prefix: bool,
    /// After the last message, so that the next turn reads this one from the cache.
    pub last_turn: bool,
}

impl CachePlan {
    /// Both breakpoints.
    #[must_use]
    pub fn full() -> Self {
        Self { prefix: true, last_turn: true }
    }

    /// No breakpoints.
    #[must_use]
    pub fn off() -> Self {
        Self { prefix: false, last_turn: false }
    }
}

/// One model turn to be made.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ChatRequest {
    /// The model's id.
    pub model: String,
    /// The system prompt; empty is none.
    pub system: Arc<str>,
    /// The conversation, the newest message last.
    pub messages: Arc<Vec<Message>>,
    /// The tools on offer.
    pub tools: Arc<ToolSet>,
    /// Whether they may be used.
    pub tool_choice: ToolChoice,
    /// Most output tokens.
    pub max_tokens: u32,
    /// Cache breakpoints.
    pub cache: CachePlan,
    /// When the answer must be complete, retries included.
    pub deadline: Option<Instant>,
    /// Vendor parameters that the operator set, such as `temperature`; put into the request as they are.
    pub extra: Map<String, Value>,
}

impl ChatRequest {
    /// A request without tools.
    #[must_use]
    pub fn new(model: impl Into<String>, messages: Vec<Message>, max_tokens: u32) -> Self {
        Self {
            model: model.into(),
            system: "".into(),
            messages: Arc::new(messages),
            tools: Arc::new(ToolSet::empty()),
            tool_choice: ToolChoice::Auto,
            max_tokens,
            cache: CachePlan::full(),
            deadline: None,
            extra: Map::new(),
        }
    }
}

/// Tokens of one turn or of many. Prompt size = `input + cache_write + cache_read`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Usage {
    /// Input tokens read neither from nor into a cache.
    pub input: u64,
    /// Output tokens.
    pub output: u64,
    /// Input tokens written to a cache for five minutes.
    pub cache_write: u64,
    /// Input tokens written to a cache for an hour.
    pub cache_write_1h: u64,
    /// Input tokens read from a cache.
    pub cache_read: u64,
    /// Whether part of it is a bound and not the vendor's word, as after a cut stream.
    pub estimated: bool,
}

impl Usage {
    /// Tokens in and out.
    #[must_use]
    pub fn new(input: u64, output: u64) -> Self {
        Self { input, output, ..Self::default() }
    }

    /// The whole prompt.
    #[must_use]
    pub fn prompt(&self) -> u64 {
        [self.cache_write, self.cache_write_1h, self.cache_read].into_iter().fold(self.input, u64::saturating_add)
    }

    /// What came on top of `before`.
    pub(crate) fn since(&self, before: Self) -> Self {
        Self {
            input: self.input.saturating_sub(before.input),
            output: self.output.saturating_sub(before.output),
            cache_write: self.cache_write.saturating_sub(before.cache_write),
            cache_write_1h: self.cache_write_1h.saturating_sub(before.cache_write_1h),
            cache_read: self.cache_read.saturating_sub(before.cache_read),
            estimated: self.estimated,
        }
    }

    /// Prompt and output.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.prompt().saturating_add(self.output)
    }
}

impl std::ops::AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        // The numbers are a vendor's, and may be anything.
        let sums = [
            (&mut self.input, other.input),
            (&mut self.output, other.output),
            (&mut self.cache_write, other.cache_write),
            (&mut self.cache_write_1h, other.cache_write_1h),
            (&mut self.cache_read, other.cache_read),
        ];
        for (sum, more) in sums {
            *sum = sum.saturating_add(more);
        }
        if other.estimated {
            self.estimated = true;
        }
    }
}

/// Why a model stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum StopReason {
    /// It was done.
    EndTurn,
    /// It calls tools.
    ToolUse,
    /// It ran into the output limit; what it said is cut.
    MaxTokens,
    /// It met a stop sequence.
    StopSequence,
    /// It refused.
    Refusal,
    /// It paused a long turn, and goes on when it is asked again.
    PauseTurn,
    /// The conversation does not fit into the window.
    ContextExceeded,
    /// A reason that this build does not know.
    Other(String),
}

impl StopReason {
    /// The name in answers and the ledger.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::EndTurn => "end_turn",
            Self::ToolUse => "tool_use",
            Self::MaxTokens => "max_tokens",
            Self::StopSequence => "stop_sequence",
            Self::Refusal => "refusal",
            Self::PauseTurn => "pause_turn",
            Self::ContextExceeded => "context_exceeded",
            Self::Other(other) => other,
        }
    }
}

/// What a provider streams. Order: any number of `Text` and `Block`, `Usage` at any time, one `Done` last.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum ChatEvent {
    /// More text, to be shown at once. The whole text comes again as a `Block`.
    Text(String),
    /// A block is complete. Blocks come in the order of the message; empty text never comes.
    Block(Block),
    /// Usage so far in this turn; replaces what came before.
    Usage(Usage),
    /// Something the operator should know, such as a tool that the vendor would refuse.
    Warning(String),
    /// The turn is over. A stream that ends without it was cut.
    Done(StopReason),
}

/// The events of one turn.
pub type ChatStream = BoxStream<'static, Result<ChatEvent, LlmError>>;

/// A turn, collected.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ModelTurn {
    /// What the model said, in order.
    pub blocks: Vec<Block>,
    /// What it took.
    pub usage: Usage,
    /// Why it stopped.
    pub stop: StopReason,
}

impl ModelTurn {
    /// A turn.
    #[must_use]
    pub fn new(blocks: Vec<Block>, usage: Usage, stop: StopReason) -> Self {
        Self { blocks, usage, stop }
    }
}

/// A source of model turns.
///
/// # Contract
/// * `models` is never empty, and always the same; the first is the default.
/// * A turn's events come in the order of [`ChatEvent`]. Turns are made at the same time, and none waits for what
///   another one says to be read.
/// * `stream` retries (with jitter, within `request.deadline`) only before the first event; after
///   it, a fault is the stream's last item.
/// * What may be charged though nothing of it came is no retry of `stream`, but [`LlmError::Cut`]: whoever pays
///   makes it again, if `makes_again` lets it.
/// * Dropping the stream cancels the request at the vendor.
/// * `request.model` is one of `models`, or a name that a role, a request or the configuration brought: a provider
///   that does not know it says so, or passes it on to a vendor that does.
/// * A turn tells its [`Usage`] with [`ChatEvent::Usage`]. One that tells none is counted, and paid, by an estimate:
///   what its request may have taken, and all of `max_tokens`.
/// * The prefix (system, tools, earlier messages) of two requests of one run is byte-equal on the wire, but for thoughts
///   that the vendor does not take back.
/// * A tool that the vendor would refuse is repaired or left out alone, with a `Warning` event.
#[async_trait]
pub trait LlmProvider: Send + Sync + fmt::Debug {
    /// The models on offer, the default first.
    fn models(&self) -> &[ModelInfo];

    /// Makes one turn.
    ///
    /// # Errors
    /// An [`LlmError`], after retries where these make sense.
    async fn stream(&self, request: ChatRequest) -> Result<ChatStream, LlmError>;

    /// Whether a turn of which nothing came though it was sent is made once more: both may be charged.
    fn makes_again(&self) -> bool {
        true
    }
}

#[async_trait]
impl<T: LlmProvider + ?Sized> LlmProvider for Arc<T> {
    fn models(&self) -> &[ModelInfo] {
        (**self).models()
    }

    async fn stream(&self, request: ChatRequest) -> Result<ChatStream, LlmError> {
        (**self).stream(request).await
    }

    fn makes_again(&self) -> bool {
        (**self).makes_again()
    }
}
