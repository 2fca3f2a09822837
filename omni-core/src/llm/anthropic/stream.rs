//! An answer on the wire: events of a stream, or one whole message.

use std::collections::{BTreeMap, VecDeque};

use serde::Deserialize;
use serde_json::{
    Map, Value,
    value::{RawValue, to_raw_value},
};

use super::VENDOR;
use crate::llm::{
    Block, ChatEvent, LlmError, StopReason, Usage,
    vendor::{Decoder, legal, refusal},
};

/// Reads one answer of `model`.
#[derive(Debug)]
pub(super) struct Messages {
    model: String,
    usage: Usage,
    open: BTreeMap<u64, Open>,
    stop: Option<StopReason>,
    done: bool,
}

/// A block that is not complete.
#[derive(Debug)]
enum Open {
    Text(String),
    ToolUse {
        id: String,
        name: String,
        input: Box<RawValue>,
        json: String,
    },
    /// What this build does not know, or need not understand: the block as it began, and what was
    /// added to it, if anything was.
    Other {
        start: Box<RawValue>,
        grown: Option<Map<String, Value>>,
        json: String,
    },
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    index: u64,
    #[serde(borrow)]
    message: Option<&'a RawValue>,
    #[serde(borrow)]
    content_block: Option<&'a RawValue>,
    /// As it came: what it holds is a matter of the event's kind, and kinds are added to the API.
    #[serde(borrow)]
    delta: Option<&'a RawValue>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
}

/// What is added to a block, or to the message. Members of all kinds in one: unknown ones do no harm.
#[derive(Deserialize)]
struct Delta {
    text: Option<String>,
    partial_json: Option<String>,
    thinking: Option<String>,
    signature: Option<String>,
    citation: Option<Value>,
    stop_reason: Option<String>,
    stop_details: Option<Value>,
}

#[derive(Deserialize)]
struct WireMessage<'a> {
    #[serde(borrow, default)]
    content: Vec<&'a RawValue>,
    stop_reason: Option<String>,
    stop_details: Option<Value>,
    usage: Option<WireUsage>,
}

#[derive(Deserialize)]
struct BlockStart {
    #[serde(rename = "type")]
    kind: String,
    text: Option<String>,
    id: Option<String>,
    name: Option<String>,
    input: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
struct WireUsage {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    cache_creation: Option<WireCacheCreation>,
}

#[derive(Deserialize)]
struct WireCacheCreation {
    ephemeral_5m_input_tokens: Option<u64>,
    ephemeral_1h_input_tokens: Option<u64>,
}

impl Messages {
    pub(super) fn new(model: &str) -> Self {
        Self { model: model.into(), usage: Usage::default(), open: BTreeMap::new(), stop: None, done: false }
    }

    fn start(&mut self, index: u64, raw: &RawValue, out: &mut VecDeque<ChatEvent>) -> Result<(), LlmError> {
        let block: BlockStart = parse(raw.get().as_bytes())?;
        let open = match block.kind.as_str() {
            "text" => {
                let text = block.text.unwrap_or_default();
                show(&text, out);
                Open::Text(text)
            }
            "tool_use" => Open::ToolUse {
                id: block.id.unwrap_or_default(),
                name: block.name.unwrap_or_default(),
                input: block.input.unwrap_or_else(|| legal::arguments("")),
                json: String::new(),
            },
            _ => Open::Other { start: raw.to_owned(), grown: None, json: String::new() },
        };
        self.open.insert(index, open);
        Ok(())
    }

    fn add(&mut self, index: u64, delta: Delta, out: &mut VecDeque<ChatEvent>) -> Result<(), LlmError> {
        match self.open.get_mut(&index) {
            Some(Open::Text(text)) => {
                let more = delta.text.unwrap_or_default();
                show(&more, out);
                text.push_str(&more);
            }
            Some(Open::ToolUse { json, .. }) => json.push_str(&delta.partial_json.unwrap_or_default()),
            Some(Open::Other { start, grown, json }) => {
                json.push_str(delta.partial_json.as_deref().unwrap_or_default());
                grow(grown.get_or_insert(parse(start.get().as_bytes())?), delta);
            }
            None => return Err(protocol("more of a block that never began")),
        }
        Ok(())
    }

    fn close(&mut self, index: u64, out: &mut VecDeque<ChatEvent>) {
        let Some(open) = self.open.remove(&index) else { return };
        let block = match open {
            Open::Text(text) if text.is_empty() => return,
            Open::Text(text) => Block::Text { text },
            Open::ToolUse { id, name, input, json } => {
                // Some servers give the whole input at the start.
                let input = if json.is_empty() { input } else { legal::arguments(&json) };
                Block::ToolUse { id, name, input }
            }
            Open::Other { start, grown, json } => Block::Opaque {
                provider: VENDOR.kind.into(),
                model: self.model.clone(),
                raw: grown.and_then(|grown| to_raw_value(&with_input(grown, &json)).ok()).unwrap_or(start),
            },
        };
        out.push_back(ChatEvent::Block(block));
    }

    fn close_all(&mut self, out: &mut VecDeque<ChatEvent>) {
        while let Some(index) = self.open.keys().next().copied() {
            self.close(index, out);
        }
    }

    /// Later numbers replace earlier ones. A prompt of nothing is a server that does not repeat itself.
    fn count(&mut self, wire: &WireUsage, out: &mut VecDeque<ChatEvent>) {
        let written = wire.cache_creation_input_tokens;
        if [wire.input_tokens, written, wire.cache_read_input_tokens].into_iter().flatten().any(|n| n > 0) {
            self.usage.input = wire.input_tokens.unwrap_or(self.usage.input);
            self.usage.cache_read = wire.cache_read_input_tokens.unwrap_or(self.usage.cache_read);
            self.count_written(wire);
        }
        self.usage.output = wire.output_tokens.unwrap_or(self.usage.output);
        out.push_back(ChatEvent::Usage(self.usage));
    }

    fn count_written(&mut self, wire: &WireUsage) {
        let parts = wire.cache_creation.as_ref();
        let hour = parts.and_then(|parts| parts.ephemeral_1h_input_tokens).unwrap_or(self.usage.cache_write_1h);
        let five = parts.and_then(|parts| parts.ephemeral_5m_input_tokens).unwrap_or(self.usage.cache_write);
        let total = wire.cache_creation_input_tokens.unwrap_or(hour.saturating_add(five));
        self.usage.cache_write_1h = hour.min(total);
        self.usage.cache_write = total - self.usage.cache_write_1h;
    }

    fn stopped(&mut self, reason: Option<String>, details: Option<&Value>, out: &mut VecDeque<ChatEvent>) {
        let Some(reason) = reason else { return };
        let why = details.and_then(|details| details["explanation"].as_str());
        if let Some(why) = why {
            out.push_back(ChatEvent::Warning(format!("{} stopped: {why}", self.model)));
        }
        self.stop = Some(match reason.as_str() {
            "end_turn" => StopReason::EndTurn,
            "tool_use" => StopReason::ToolUse,
            "max_tokens" => StopReason::MaxTokens,
            "stop_sequence" => StopReason::StopSequence,
            "refusal" => StopReason::Refusal,
            "pause_turn" => StopReason::PauseTurn,
            "model_context_window_exceeded" => StopReason::ContextExceeded,
            _ => StopReason::Other(reason),
        });
    }

    fn finish(&mut self, out: &mut VecDeque<ChatEvent>) -> Result<(), LlmError> {
        self.close_all(out);
        let stop = self.stop.take().ok_or_else(|| protocol("an answer that does not say why it ends"))?;
        out.push_back(ChatEvent::Done(stop));
        self.done = true;
        Ok(())
    }

    fn error(&self, data: &[u8]) -> LlmError {
        match parse(data) {
            Ok(body) => refusal::in_answer(&VENDOR, &self.model, &body),
            Err(error) => error,
        }
    }
}

impl Decoder for Messages {
    fn event(&mut self, data: &str, out: &mut VecDeque<ChatEvent>) -> Result<(), LlmError> {
        let event: Event<'_> = parse(data.as_bytes())?;
        match event.kind.as_str() {
            "message_start" => {
                let message = event.message.ok_or_else(|| protocol("a message_start without a message"))?;
                let message: WireMessage<'_> = parse(message.get().as_bytes())?;
                message.usage.iter().for_each(|usage| self.count(usage, out));
            }
            "content_block_start" => {
                let block = event.content_block.ok_or_else(|| protocol("a block that begins without a block"))?;
                self.start(event.index, block, out)?;
            }
            "content_block_delta" => {
                let delta = event.delta.ok_or_else(|| protocol("a delta without a delta"))?;
                self.add(event.index, parse(delta.get().as_bytes())?, out)?;
            }
            "content_block_stop" => self.close(event.index, out),
            "message_delta" => {
                if let Some(delta) = event.delta {
                    let delta: Delta = parse(delta.get().as_bytes())?;
                    self.stopped(delta.stop_reason, delta.stop_details.as_ref(), out);
                }
                if let Some(usage) = event.usage {
                    self.count(&parse(usage.get().as_bytes())?, out);
                }
            }
            "message_stop" => self.finish(out)?,
            "error" => return Err(self.error(data.as_bytes())),
            // `ping`, and whatever is added to the API: to be ignored, says its documentation.
            _ => {}
        }
        Ok(())
    }

    fn whole(&mut self, body: &[u8], out: &mut VecDeque<ChatEvent>) -> Result<(), LlmError> {
        let document: Value = parse(body)?;
        if document["type"] == "error" || !document["error"].is_null() {
            return Err(self.error(body));
        }
        let message: WireMessage<'_> = parse(body)?;
        for (index, block) in (0..).zip(&message.content) {
            self.start(index, block, out)?;
            self.close(index, out);
        }
        message.usage.iter().for_each(|usage| self.count(usage, out));
        self.stopped(message.stop_reason, message.stop_details.as_ref(), out);
        self.finish(out)
    }

    fn end(&mut self, out: &mut VecDeque<ChatEvent>) -> Result<(), LlmError> {
        if self.done {
            return Ok(());
        }
        // All was said, only the goodbye is missing.
        if self.stop.is_some() && self.open.is_empty() {
            return self.finish(out);
        }
        Err(LlmError::Cut { provider: VENDOR.kind, message: "the stream ended before the message did".into() })
    }

    fn has_begun(&self) -> bool {
        !self.open.is_empty()
    }

    fn is_done(&self) -> bool {
        self.done
    }
}

fn show(text: &str, out: &mut VecDeque<ChatEvent>) {
    if !text.is_empty() {
        out.push_back(ChatEvent::Text(text.to_owned()));
    }
}

fn grow(block: &mut Map<String, Value>, delta: Delta) {
    for (key, more) in [("text", delta.text), ("thinking", delta.thinking), ("signature", delta.signature)] {
        let Some(more) = more else { continue };
        match block.get_mut(key) {
            Some(Value::String(text)) => text.push_str(&more),
            Some(_) | None => drop(block.insert(key.into(), Value::String(more))),
        }
    }
    if let Some(citation) = delta.citation {
        match block.get_mut("citations") {
            Some(Value::Array(citations)) => citations.push(citation),
            Some(_) | None => drop(block.insert("citations".into(), Value::Array(vec![citation]))),
        }
    }
}

fn with_input(mut block: Map<String, Value>, json: &str) -> Map<String, Value> {
    if let Ok(input) = serde_json::from_str(json) {
        block.insert("input".into(), input);
    }
    block
}

fn parse<'a, T: Deserialize<'a>>(data: &'a [u8]) -> Result<T, LlmError> {
    serde_json::from_slice(data).map_err(|error| protocol(&legal::place_of(&error)))
}

fn protocol(message: &str) -> LlmError {
    LlmError::Protocol { provider: VENDOR.kind, message: message.into() }
}
