//! A provider that plays turns from a script, for tests of omni and of what embeds it.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use serde_json::{Value, value::RawValue};

use super::{Block, ChatEvent, ChatRequest, ChatStream, LlmError, LlmProvider, ModelInfo, StopReason, Usage};

type Played = Result<Vec<ChatEvent>, LlmError>;
type Play = dyn Fn(&ChatRequest) -> Result<Vec<ChatEvent>, LlmError> + Send + Sync;

/// Plays one turn per request: first the queued ones, then what the fallback makes of the request.
#[derive(Clone)]
pub struct Scripted {
    models: Vec<ModelInfo>,
    queue: Arc<Mutex<VecDeque<Played>>>,
    fallback: Option<Arc<Play>>,
    requests: Arc<Mutex<Vec<ChatRequest>>>,
}

impl Scripted {
    /// An empty script: a request beyond its end is an error.
    #[must_use]
    pub fn new() -> Self {
        Self {
            models: vec![ModelInfo::new("scripted", "scripted")],
            queue: Arc::default(),
            fallback: None,
            requests: Arc::default(),
        }
    }

    /// A provider that makes every turn from its request; keeps no requests, so it may run for long.
    #[must_use]
    pub fn from_fn(play: impl Fn(&ChatRequest) -> Result<Vec<ChatEvent>, LlmError> + Send + Sync + 'static) -> Self {
        Self { fallback: Some(Arc::new(play)), ..Self::new() }
    }

    /// The same script under another model description.
    #[must_use]
    pub fn with_model(mut self, model: ModelInfo) -> Self {
        self.models = vec![model];
        self
    }

    /// Adds a turn that says something.
    #[must_use]
    pub fn say(self, text: &str) -> Self {
        self.turn(text_turn(text))
    }

    /// Adds a turn that calls tools: pairs of the model's name of a tool and its arguments.
    #[must_use]
    pub fn call(self, calls: &[(&str, Value)]) -> Self {
        let turn = self.queue.lock().unwrap_or_else(PoisonError::into_inner).len();
        self.turn(call_turn(turn, calls))
    }

    /// Adds a turn, event by event.
    #[must_use]
    pub fn turn(self, events: Vec<ChatEvent>) -> Self {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).push_back(Ok(events));
        self
    }

    /// Adds a turn that fails before its first event.
    #[must_use]
    pub fn fail(self, error: LlmError) -> Self {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).push_back(Err(error));
        self
    }

    /// The requests so far, oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<ChatRequest> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn next(&self, request: &ChatRequest) -> Result<Vec<ChatEvent>, LlmError> {
        if let Some(play) = &self.fallback {
            return play(request);
        }
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).push(request.clone());
        let queued = self.queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        queued.unwrap_or_else(|| {
            let message = "the script has no more turns".into();
            Err(LlmError::InvalidRequest { provider: "scripted", status: 400, message })
        })
    }
}

/// The events of a turn that says something.
#[must_use]
pub fn text_turn(text: &str) -> Vec<ChatEvent> {
    vec![
        ChatEvent::Text(text.into()),
        ChatEvent::Block(Block::text(text)),
        ChatEvent::Usage(Usage::new(10, 5)),
        ChatEvent::Done(StopReason::EndTurn),
    ]
}

/// The events of a turn that calls tools; ids are `call_<turn>_<n>`.
#[must_use]
pub fn call_turn(turn: usize, calls: &[(&str, Value)]) -> Vec<ChatEvent> {
    let blocks = calls.iter().enumerate().map(|(n, (name, input))| {
        ChatEvent::Block(Block::ToolUse {
            id: format!("call_{turn}_{n}"),
            name: (*name).into(),
            input: RawValue::from_string(input.to_string()).unwrap_or_default(),
        })
    });
    blocks.chain([ChatEvent::Usage(Usage::new(10, 5)), ChatEvent::Done(StopReason::ToolUse)]).collect()
}

impl Default for Scripted {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Scripted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scripted").field("models", &self.models).finish_non_exhaustive()
    }
}

#[async_trait]
impl LlmProvider for Scripted {
    fn models(&self) -> &[ModelInfo] {
        &self.models
    }

    async fn stream(&self, request: ChatRequest) -> Result<ChatStream, LlmError> {
        let events = self.next(&request)?;
        Ok(Box::pin(futures::stream::iter(events.into_iter().map(Ok))))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        llm::Message,
        testing::{llm_fault_contract, llm_provider_contract},
    };

    #[tokio::test]
    async fn a_script_keeps_the_contract() {
        let request = ChatRequest::new("scripted", vec![Message::user("hello")], 100);
        let turns = [text_turn("hello"), call_turn(0, &[("db__query", json!({ "sql": "SELECT 1" }))])];
        for turn in turns {
            let scripted = Scripted::from_fn(move |_| Ok(turn.clone()));
            llm_provider_contract(&scripted, &request).await;
        }
        let scripted = Scripted::new().fail(LlmError::Timeout { provider: "scripted" }).say("hello");
        llm_fault_contract(&scripted, &request, &request).await;
    }
}
