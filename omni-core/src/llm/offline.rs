//! The offline provider: no model, and it says so.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use chrono::Utc;
use serde_json::{Map, Value, value::RawValue};

use super::{
    Block, ChatEvent, ChatRequest, ChatStream, LlmError, LlmProvider, ModelInfo, StopReason, ToolChoice, Usage,
};
use crate::{
    Registry,
    catalog::{
        OfferedTool, ToolSet,
        search::{Hit, text},
    },
    cost::{Price, Rates},
};

mod facts;
mod fill;
mod param;
mod rank;
mod render;
#[cfg(test)]
mod tests;

use param::Param;
use rank::Index;

/// How many tool sets stay indexed.
const MAX_INDEXES: usize = 8;
/// How much of a question is read, in characters.
const MAX_QUESTION_CHARS: usize = 8_000;
/// How much of a question the best tool must know for it to be called.
const MIN_COVERAGE: f64 = 0.25;
/// Into how many pieces a text is streamed, at most.
const MAX_CHUNKS: usize = 8;

/// Ranks the allowed tools against the question and calls the best. Needs no key and no network,
/// costs nothing, and says in every answer that no model made it.
#[derive(Clone)]
pub struct Offline {
    models: Vec<ModelInfo>,
    indexes: Arc<Mutex<VecDeque<Indexed>>>,
}

/// An index and the set it was made of. The definitions are held, so that none is taken for another.
#[derive(Debug)]
struct Indexed {
    catalog_version: u64,
    fingerprint: String,
    tools: Vec<OfferedTool>,
    index: Arc<Index>,
}

impl Indexed {
    fn is_of(&self, set: &ToolSet) -> bool {
        let same = |(a, b): (&OfferedTool, &OfferedTool)| Arc::ptr_eq(&a.def, &b.def) && a.llm_name == b.llm_name;
        self.catalog_version == set.catalog_version
            && self.fingerprint == set.fingerprint
            && self.tools.len() == set.len()
            && self.tools.iter().zip(set.tools()).all(same)
    }
}

/// What one turn says.
enum Turn {
    Say(String),
    Call { tool: OfferedTool, arguments: Map<String, Value> },
}

impl Offline {
    /// The provider.
    #[must_use]
    pub fn new() -> Self {
        let mut model = ModelInfo::new("offline", "offline");
        model.context_window = 1_000_000;
        model.max_output = Some(64_000);
        // It ranks them itself.
        model.reads_all_tools = true;
        model.price = Some(Price::flat(Rates::default()));
        Self { models: vec![model], indexes: Arc::default() }
    }

    fn index(&self, tools: &ToolSet) -> Arc<Index> {
        let mut indexes = self.indexes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = indexes.iter().find(|indexed| indexed.is_of(tools)) {
            return found.index.clone();
        }
        let index = Arc::new(Index::build(tools));
        indexes.truncate(MAX_INDEXES - 1);
        indexes.push_front(Indexed {
            catalog_version: tools.catalog_version,
            fingerprint: tools.fingerprint.clone(),
            tools: tools.tools().to_vec(),
            index: index.clone(),
        });
        index
    }

    fn turn(&self, request: &ChatRequest) -> Turn {
        let Some((last, earlier)) = request.messages.split_last() else {
            return Turn::Say(render::abilities(&request.tools, &[], "nothing was asked"));
        };
        if last.blocks.iter().any(|block| matches!(block, Block::ToolResult { .. })) {
            return Turn::Say(render::results(&last.blocks, earlier, &request.tools));
        }
        if request.tool_choice == ToolChoice::None {
            return Turn::Say(render::abilities(&request.tools, &[], "and no tool may be called in this turn"));
        }
        // The question is the last text; context and attachments stand before it.
        let question = last.blocks.iter().rev().find_map(|block| match block {
            Block::Text { text } => Some(text.as_str()),
            Block::ToolUse { .. } | Block::ToolResult { .. } | Block::Opaque { .. } => None,
        });
        let question: String = question.unwrap_or_default().chars().take(MAX_QUESTION_CHARS).collect();
        self.answer(&question, &request.tools)
    }

    fn answer(&self, question: &str, tools: &ToolSet) -> Turn {
        let index = self.index(tools);
        let facts = facts::read(question, Utc::now().date_naive());
        let hits = index.rank(tools, question, &facts);
        let Some((hit, tool)) = hits.first().and_then(|hit| Some((hit, tools.tools().get(hit.tool)?))) else {
            return Turn::Say(render::abilities(tools, &hits, "no tool fits this question"));
        };
        if !is_meant(hit, tool, &index, &facts) {
            return Turn::Say(render::abilities(tools, &hits, "no tool fits this question well enough"));
        }
        let entry = &index.entries[hit.tool];
        let filled = fill::fill(&entry.params, &facts, &entry.name_stems);
        if filled.missing.is_empty() {
            Turn::Call { tool: tool.clone(), arguments: fitting(tool, filled.arguments, &entry.params) }
        } else {
            Turn::Say(render::missing(tool, &filled.missing))
        }
    }
}

/// Whether a tool fits well enough to be called. One that may destroy something must also be asked
/// for by the first word of its name, which is what it does.
fn is_meant(hit: &Hit, tool: &OfferedTool, index: &Index, facts: &facts::Facts) -> bool {
    let said =
        |stem: &String| facts.tokens.iter().flat_map(|token| text::words(&token.text)).any(|word| word.stem == *stem);
    let does = index.entries[hit.tool].name_stems.first();
    let is_harmless = tool.def.annotations.destructive_hint != Some(true);
    let begins_with_it = facts.tokens.first().and_then(|token| text::words(&token.text).pop());
    let is_command = does.is_some() && begins_with_it.map(|word| word.stem).as_ref() == does;
    (hit.coverage >= MIN_COVERAGE || is_command) && (is_harmless || does.is_some_and(said))
}

/// The arguments without those that were only guessed, where the tool's schema takes them so.
fn fitting(tool: &OfferedTool, arguments: Map<String, Value>, params: &[Param]) -> Map<String, Value> {
    let all = Value::Object(arguments);
    let fits = tool.def.check.check(&all).is_ok();
    let Value::Object(mut arguments) = all else { return Map::new() };
    if !fits {
        arguments.retain(|name, _| params.iter().any(|param| param.is_required && param.name == *name));
    }
    arguments
}

impl Default for Offline {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Offline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Offline").field("models", &self.models).finish_non_exhaustive()
    }
}

/// Adds the kind `offline`.
pub fn register(registry: &mut Registry) {
    registry
        .llm
        .register("offline", |_config| Box::pin(async { Ok(Arc::new(Offline::new()) as Arc<dyn LlmProvider>) }));
}

#[async_trait]
impl LlmProvider for Offline {
    fn models(&self) -> &[ModelInfo] {
        &self.models
    }

    async fn stream(&self, request: ChatRequest) -> Result<ChatStream, LlmError> {
        let events = match self.turn(&request) {
            Turn::Say(text) => say(&text),
            Turn::Call { tool, arguments } => call(&tool, arguments, request.messages.len())?,
        };
        Ok(Box::pin(futures::stream::iter(events.into_iter().map(Ok))))
    }
}

fn say(text: &str) -> Vec<ChatEvent> {
    let mut events: Vec<ChatEvent> = chunks(text).into_iter().map(|chunk| ChatEvent::Text(chunk.to_owned())).collect();
    events.push(ChatEvent::Block(Block::text(text)));
    events.extend([ChatEvent::Usage(Usage::default()), ChatEvent::Done(StopReason::EndTurn)]);
    events
}

fn chunks(text: &str) -> Vec<&str> {
    let size = text.len().div_ceil(MAX_CHUNKS).max(64);
    let mut rest = text;
    let mut chunks = Vec::new();
    while !rest.is_empty() {
        let (chunk, after) = rest.split_at(rest.ceil_char_boundary(size));
        chunks.push(chunk);
        rest = after;
    }
    chunks
}

/// One call; its id follows from its place in the conversation.
fn call(tool: &OfferedTool, arguments: Map<String, Value>, turn: usize) -> Result<Vec<ChatEvent>, LlmError> {
    let input = RawValue::from_string(Value::Object(arguments).to_string())
        .map_err(|error| LlmError::Protocol { provider: "offline", message: error.to_string() })?;
    let call = Block::ToolUse { id: format!("offline_{turn}"), name: tool.llm_name.to_string(), input };
    let end = [ChatEvent::Usage(Usage::default()), ChatEvent::Done(StopReason::ToolUse)];
    Ok(std::iter::once(ChatEvent::Block(call)).chain(end).collect())
}
