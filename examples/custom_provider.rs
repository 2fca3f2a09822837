//! A language model of your own: `cargo run -p omni-examples --example custom_provider -- hello`.

use async_trait::async_trait;
use futures::stream;
use omni_core::{
    Ask, LlmProvider, Omni, Principal,
    llm::{Block, ChatEvent, ChatRequest, ChatStream, LlmError, ModelInfo, StopReason, Usage},
};

/// Answers with the question, backwards.
#[derive(Debug)]
struct Backwards {
    models: Vec<ModelInfo>,
}

#[async_trait]
impl LlmProvider for Backwards {
    fn models(&self) -> &[ModelInfo] {
        &self.models
    }

    async fn stream(&self, request: ChatRequest) -> Result<ChatStream, LlmError> {
        // The question is the last text of the last message.
        let question = request.messages.last().and_then(|message| match message.blocks.last() {
            Some(Block::Text { text }) => Some(text.chars().rev().collect::<String>()),
            _ => None,
        });
        let answer = question.unwrap_or_default();
        let events = vec![
            ChatEvent::Text(answer.clone()),
            ChatEvent::Block(Block::text(answer)),
            ChatEvent::Usage(Usage::new(1, 1)),
            ChatEvent::Done(StopReason::EndTurn),
        ];
        Ok(Box::pin(stream::iter(events.into_iter().map(Ok))))
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let question = std::env::args().nth(1).unwrap_or_else(|| "hello".into());
    let llm = Backwards { models: vec![ModelInfo::new("backwards", "backwards-1")] };
    let omni = Omni::builder().llm(llm).build().await?;
    let answer = omni.ask(Ask::new(Principal::email("you@company.com"), question)).await;
    omni.shutdown().await;
    show(&answer?.text);
    Ok(())
}

#[allow(clippy::print_stdout, reason = "this sample's output is for a person")]
fn show(text: &str) {
    println!("{text}");
}
