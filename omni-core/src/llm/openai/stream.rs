//! An answer on the wire: chunks of a stream, or one whole completion.

use std::collections::VecDeque;

use serde::{Deserialize, de::IgnoredAny};
use serde_json::Value;

use super::{
    VENDOR,
    calls::{Calls, Piece},
};
use crate::llm::{
    Block, ChatEvent, LlmError, StopReason, Usage,
    vendor::{Decoder, legal, refusal},
};

/// Bytes of a token, for servers that do not count: few, so that the estimate is high.
const BYTES_PER_TOKEN: usize = 3;

/// Reads one answer of `model`.
#[derive(Debug)]
pub(super) struct Completion {
    model: String,
    prompt_bytes: usize,
    text: String,
    refused: bool,
    /// Whether it thought aloud.
    thought: bool,
    calls: Calls,
    usage: Option<Usage>,
    finish: Option<String>,
    done: bool,
}

/// A chunk or a whole completion.
#[derive(Deserialize)]
struct Chunk {
    choices: Option<Vec<Choice>>,
    usage: Option<WireUsage>,
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(default)]
    index: u64,
    /// In a chunk; some servers send both.
    delta: Option<Said>,
    /// In a whole completion.
    message: Option<Said>,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Said {
    content: Option<Content>,
    refusal: Option<String>,
    tool_calls: Option<Vec<Piece>>,
    /// What the model thinks, by the two names that servers have for it. It is not kept, and it is charged.
    reasoning_content: Option<IgnoredAny>,
    reasoning: Option<IgnoredAny>,
}

/// Text, or a list of parts in which some servers put it.
#[derive(Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Parts(Vec<ContentPart>),
}

#[derive(Deserialize)]
struct ContentPart {
    text: Option<String>,
}

impl Content {
    fn text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Parts(parts) => parts.into_iter().filter_map(|part| part.text).collect(),
        }
    }
}

#[derive(Deserialize)]
struct WireUsage {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    prompt_tokens_details: Option<WireDetails>,
}

#[derive(Deserialize)]
struct WireDetails {
    cached_tokens: Option<u64>,
}

impl Completion {
    pub(super) fn new(model: &str, prompt_bytes: usize) -> Self {
        Self {
            model: model.into(),
            prompt_bytes,
            text: String::new(),
            refused: false,
            thought: false,
            calls: Calls::default(),
            usage: None,
            finish: None,
            done: false,
        }
    }

    fn read(&mut self, data: &[u8], out: &mut VecDeque<ChatEvent>) -> Result<(), LlmError> {
        let chunk: Chunk = serde_json::from_slice(data).map_err(|error| protocol(&legal::place_of(&error)))?;
        if chunk.error.is_some() {
            let body = serde_json::from_slice(data).unwrap_or_default();
            return Err(refusal::in_answer(&VENDOR, &self.model, &body));
        }
        if let Some(usage) = chunk.usage {
            self.usage = Some(usage.into());
        }
        // Only one answer is asked for; another one is nobody's.
        for choice in chunk.choices.into_iter().flatten().filter(|choice| choice.index == 0) {
            self.finish = choice.finish_reason.or(self.finish.take());
            if let Some(said) = choice.delta.or(choice.message) {
                self.say(said, out);
            }
        }
        Ok(())
    }

    /// A refusal is text like any other, and known as what it is by how the answer ends.
    fn say(&mut self, said: Said, out: &mut VecDeque<ChatEvent>) {
        self.refused |= said.refusal.as_ref().is_some_and(|refusal| !refusal.is_empty());
        self.thought |= said.reasoning_content.is_some() || said.reasoning.is_some();
        for more in
            [said.content.map(Content::text), said.refusal].into_iter().flatten().filter(|more| !more.is_empty())
        {
            self.text.push_str(&more);
            out.push_back(ChatEvent::Text(more));
        }
        said.tool_calls.into_iter().flatten().for_each(|piece| self.calls.add(piece));
    }

    fn complete(&mut self, out: &mut VecDeque<ChatEvent>) {
        let usage = self.usage.unwrap_or_else(|| self.estimate());
        let stop = self.stop();
        if !self.text.is_empty() {
            out.push_back(ChatEvent::Block(Block::Text { text: std::mem::take(&mut self.text) }));
        }
        out.extend(std::mem::take(&mut self.calls).blocks().map(ChatEvent::Block));
        out.push_back(ChatEvent::Usage(usage));
        out.push_back(ChatEvent::Done(stop));
        self.done = true;
    }

    fn estimate(&self) -> Usage {
        let tokens = |bytes: usize| u64::try_from(bytes.div_ceil(BYTES_PER_TOKEN)).unwrap_or(u64::MAX);
        let said = self.text.len() + self.calls.len();
        Usage { estimated: true, ..Usage::new(tokens(self.prompt_bytes), tokens(said)) }
    }

    /// Some servers say `stop` behind calls, or `tool_calls` without any: what was said decides.
    fn stop(&self) -> StopReason {
        match self.finish.as_deref() {
            Some("length") => StopReason::MaxTokens,
            Some("content_filter") => StopReason::Refusal,
            Some("stop" | "tool_calls" | "function_call" | "") | None if !self.calls.is_empty() => StopReason::ToolUse,
            Some("stop" | "tool_calls" | "function_call" | "") | None if self.refused => StopReason::Refusal,
            Some("stop" | "tool_calls" | "function_call" | "") | None => StopReason::EndTurn,
            Some(other) => StopReason::Other(other.into()),
        }
    }
}

impl Decoder for Completion {
    fn event(&mut self, data: &str, out: &mut VecDeque<ChatEvent>) -> Result<(), LlmError> {
        if data.trim() != "[DONE]" {
            return self.read(data.as_bytes(), out);
        }
        self.end(out)
    }

    fn whole(&mut self, body: &[u8], out: &mut VecDeque<ChatEvent>) -> Result<(), LlmError> {
        self.read(body, out)?;
        if self.finish.is_none() && self.text.is_empty() && self.calls.is_empty() {
            return Err(protocol("a JSON document that holds no answer"));
        }
        self.complete(out);
        Ok(())
    }

    fn end(&mut self, out: &mut VecDeque<ChatEvent>) -> Result<(), LlmError> {
        if self.done {
            return Ok(());
        }
        if self.finish.is_none() {
            return Err(LlmError::Cut { provider: VENDOR.kind, message: "the stream ended before the answer".into() });
        }
        self.complete(out);
        Ok(())
    }

    fn has_begun(&self) -> bool {
        self.thought || !self.calls.is_empty()
    }

    fn is_done(&self) -> bool {
        self.done
    }
}

impl From<WireUsage> for Usage {
    fn from(wire: WireUsage) -> Self {
        let prompt = wire.prompt_tokens.unwrap_or_default();
        let cached =
            wire.prompt_tokens_details.and_then(|details| details.cached_tokens).unwrap_or_default().min(prompt);
        Self { cache_read: cached, ..Self::new(prompt - cached, wire.completion_tokens.unwrap_or_default()) }
    }
}

fn protocol(message: &str) -> LlmError {
    LlmError::Protocol { provider: VENDOR.kind, message: message.into() }
}
