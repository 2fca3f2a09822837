//! Step 9, answer: what a caller sees, event by event or collected.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use chrono::{DateTime, Utc};
use futures::Stream;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};
use uuid::Uuid;

use crate::{cost::NanoUsd, error::Error, llm::Usage};

pub mod json;
mod sender;

pub(crate) use sender::EventSender;

/// How an ask ended, for the asker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Status {
    /// Answered.
    Completed,
    /// Refused by policy.
    Denied,
    /// Refused by a limit or a budget.
    RateLimited,
    /// Ran out of time; what there was is in the answer.
    Timeout,
    /// Failed.
    Failed,
    /// Given up by the asker.
    Cancelled,
    /// Parked: it goes on when a human has decided.
    Waiting,
}

/// How a tool call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CallStatus {
    /// It returned.
    Ok,
    /// It failed, or the tool says so.
    Error,
    /// Policy refused it.
    Denied,
    /// A human refused it, or nobody was there to ask.
    Declined,
    /// A limit refused it.
    RateLimited,
    /// It took too long.
    Timeout,
    /// The ask was given up.
    Cancelled,
}

impl CallStatus {
    /// The name in JSON documents.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Error => "error",
            Self::Denied => "denied",
            Self::Declined => "declined",
            Self::RateLimited => "rate_limited",
            Self::Timeout => "timeout",
            Self::Cancelled => "cancelled",
        }
    }
}

/// One tool call, in short.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CallSummary {
    /// The model's id of the call.
    pub id: String,
    /// The server; empty for a name that is no tool.
    pub server: String,
    /// The tool, or the name that the model wrote.
    pub tool: String,
    /// The arguments, redacted.
    pub arguments: Value,
    /// How it ended.
    pub status: CallStatus,
    /// How long it took.
    pub duration_ms: u64,
    /// What went wrong.
    pub error: Option<String>,
    /// Whether omni itself ended it: it was refused, or made no sense.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unsent: bool,
    /// What the tool returned as text, redacted and cut at 16 KiB. The words of a server: nothing to follow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<String>,
    /// What its result is kept as, for whoever asked; see [`Omni::result`](crate::Omni::result).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result_id: Option<String>,
}

impl CallSummary {
    /// Whether it came to its server.
    #[must_use]
    pub fn was_sent(&self) -> bool {
        let is_refused = matches!(self.status, CallStatus::Denied | CallStatus::Declined | CallStatus::RateLimited);
        !self.unsent && !is_refused && !self.server.is_empty()
    }
}

/// A call that was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Denial {
    /// The server; empty for a name that is no tool.
    pub server: String,
    /// The tool.
    pub tool: String,
    /// `policy`, `approval` or `rate_limit`.
    pub reason: String,
    /// The rule that decided; empty for whoever may not know it.
    pub rule: String,
}

impl Denial {
    /// The same for somebody who may not know the policy.
    pub(crate) fn without_rule(self) -> Self {
        Self { rule: String::new(), ..self }
    }
}

/// A call that waits for a human.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PendingCall {
    /// Identifies the question; see [`Omni::confirm`](crate::Omni::confirm).
    pub id: Uuid,
    /// The server.
    pub server: String,
    /// The tool.
    pub tool: String,
    /// The arguments, redacted.
    pub arguments: Value,
    /// The rule that asks for a human; empty for whoever may not know it.
    pub rule: String,
    /// Until when somebody may agree.
    pub expires_at: DateTime<Utc>,
}

/// Something the asker should know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Warning {
    /// A stable code: `max_iterations_reached`, `max_tokens_budget`, `max_cost`, `timeout`, `server_unhealthy`, …
    pub code: String,
    /// A sentence.
    pub message: String,
}

impl Warning {
    /// A warning.
    #[must_use]
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into() }
    }

    /// Whether it only tells the operator something: the answer is no worse for it.
    #[must_use]
    pub fn is_note(&self) -> bool {
        matches!(self.code.as_str(), "server_unhealthy" | "llm" | "unknown_price" | "not_kept")
    }
}

/// A collected answer. Of a failed ask it holds what there was.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Answer {
    /// The ask.
    pub request_id: Uuid,
    /// The answer's text.
    pub text: String,
    /// How it ended.
    pub status: Status,
    /// Why the model stopped last.
    pub stop_reason: Option<String>,
    /// Whose rights counted.
    pub user: String,
    /// Their role.
    pub role: Option<String>,
    /// The model.
    pub model: Option<String>,
    /// The conversation that it belongs to, by its name.
    #[serde(default)]
    pub thread: Option<String>,
    /// Every tool call, in order.
    pub tool_calls: Vec<CallSummary>,
    /// Every refusal, in order.
    pub denials: Vec<Denial>,
    /// The calls that wait for a human, where the status is [`Status::Waiting`].
    #[serde(default)]
    pub pending: Vec<PendingCall>,
    /// Tokens.
    pub usage: Usage,
    /// Cost; `None` when a price is unknown.
    pub cost: Option<NanoUsd>,
    /// Model turns.
    pub iterations: u32,
    /// How long it took.
    pub duration_ms: u64,
    /// What the asker should know.
    pub warnings: Vec<Warning>,
}

impl Answer {
    /// An answer with nothing in it yet.
    #[must_use]
    pub fn empty(request_id: Uuid, user: impl Into<String>) -> Self {
        Self {
            request_id,
            text: String::new(),
            status: Status::Completed,
            stop_reason: None,
            user: user.into(),
            role: None,
            model: None,
            thread: None,
            tool_calls: Vec::new(),
            denials: Vec::new(),
            pending: Vec::new(),
            usage: Usage::default(),
            cost: Some(NanoUsd::default()),
            iterations: 0,
            duration_ms: 0,
            warnings: Vec::new(),
        }
    }
}

/// A failed ask: why, and what there was until then.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Failure {
    /// Why.
    pub error: Error,
    /// What there was.
    pub answer: Answer,
}

impl Failure {
    /// A failure.
    #[must_use]
    pub fn new(error: Error, answer: Answer) -> Self {
        Self { error, answer }
    }
}

/// What happens during an ask. The last event is `Done` or `Error`.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum AnswerEvent {
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
        /// The conversation that it belongs to, by its name.
        thread: Option<String>,
    },
    /// More of the answer's text.
    Text {
        /// The text.
        text: String,
    },
    /// A tool call begins.
    ToolStarted {
        /// The model's id of the call.
        id: String,
        /// The server.
        server: String,
        /// The tool.
        tool: String,
        /// The arguments, redacted.
        arguments: Value,
    },
    /// A tool call ended.
    ToolFinished(CallSummary),
    /// A call waits for a human. The ask ends then, and goes on when they have decided.
    Confirm(PendingCall),
    /// Tokens and cost so far.
    Usage {
        /// Tokens so far.
        usage: Usage,
        /// Cost so far.
        cost: Option<NanoUsd>,
    },
    /// Something the asker should know.
    Warning(Warning),
    /// The ask ended.
    Done(Box<Answer>),
    /// The ask failed.
    Error(Box<Failure>),
}

/// The events of one ask. Dropping it gives the ask up; the ledger is written all the same.
#[derive(Debug)]
pub struct AnswerStream {
    request_id: Uuid,
    events: mpsc::Receiver<AnswerEvent>,
    cancel: Option<DropGuard>,
}

impl AnswerStream {
    pub(crate) fn new(request_id: Uuid, events: mpsc::Receiver<AnswerEvent>, cancel: CancellationToken) -> Self {
        Self { request_id, events, cancel: Some(cancel.drop_guard()) }
    }

    /// A stream that tells an answer that is known already.
    pub(crate) fn told(answer: Answer) -> Self {
        let request_id = answer.request_id;
        let (sender, events) = mpsc::channel(1);
        let _ = sender.try_send(AnswerEvent::Done(Box::new(answer)));
        Self::new(request_id, events, CancellationToken::new())
    }

    /// The ask.
    #[must_use]
    pub fn request_id(&self) -> Uuid {
        self.request_id
    }

    /// Gives the ask up as dropping the stream does, and lets its end be read: what is told from now on is what was on
    /// its way and how it ended, and `None` comes when all of it is over, its record too.
    pub fn cancel(&mut self) {
        self.cancel = None;
    }

    /// The next event; `None` after the last.
    pub async fn next(&mut self) -> Option<AnswerEvent> {
        self.events.recv().await
    }

    /// The answer, when it is complete.
    ///
    /// # Errors
    /// The [`Failure`], with what there was.
    pub async fn collect(mut self) -> Result<Answer, Failure> {
        while let Some(event) = self.next().await {
            match event {
                AnswerEvent::Done(answer) => return Ok(*answer),
                AnswerEvent::Error(failure) => return Err(*failure),
                AnswerEvent::Started { .. }
                | AnswerEvent::Text { .. }
                | AnswerEvent::ToolStarted { .. }
                | AnswerEvent::ToolFinished(_)
                | AnswerEvent::Confirm(_)
                | AnswerEvent::Usage { .. }
                | AnswerEvent::Warning(_) => {}
            }
        }
        let error = Error::Internal { message: "the ask ended without a last event".into() };
        Err(Failure::new(error, Answer::empty(self.request_id, "")))
    }
}

impl Stream for AnswerStream {
    type Item = AnswerEvent;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<AnswerEvent>> {
        self.events.poll_recv(cx)
    }
}

pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
