//! A request on the wire. Order and bytes of system, tools and earlier messages are the same in
//! every request of a run: what changes is appended, and the cache markers, which are no content.

use std::{borrow::Cow, sync::Arc};

use serde::Serialize;
use serde_json::{Map, Value, json, value::RawValue};

use super::VENDOR;
use crate::{
    catalog::Dialect,
    llm::{
        Block, ChatRequest, LlmError, Message, ResultPart, Speaker, ToolChoice,
        vendor::{
            legal,
            tools::{Form, Rendered},
        },
    },
};

/// What is sent, and what the operator should know of it.
pub(super) struct Made {
    pub(super) body: Vec<u8>,
    pub(super) warnings: Vec<String>,
}

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    max_tokens: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    tools: Option<Arc<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    system: Option<[Part<'a>; 1]>,
    messages: Vec<Turn<'a>>,
    stream: bool,
    #[serde(flatten)]
    extra: Map<String, Value>,
}

#[derive(Serialize)]
struct Turn<'a> {
    role: Speaker,
    content: Vec<Part<'a>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Part<'a> {
    /// A block of the vendor's own, byte for byte.
    Raw(&'a RawValue),
    Known {
        #[serde(flatten)]
        block: Known<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<CacheControl>,
    },
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Known<'a> {
    Text {
        text: Cow<'a, str>,
    },
    Image {
        source: Source<'a>,
    },
    ToolUse {
        id: Cow<'a, str>,
        name: Cow<'a, str>,
        input: Cow<'a, RawValue>,
    },
    ToolResult {
        tool_use_id: Cow<'a, str>,
        content: Vec<Self>,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        is_error: bool,
    },
}

#[derive(Serialize)]
#[serde(tag = "type", rename = "base64")]
struct Source<'a> {
    media_type: &'a str,
    data: &'a str,
}

#[derive(Serialize)]
#[serde(tag = "type", rename = "ephemeral")]
struct CacheControl {}

/// What omni itself says in every request.
const RESERVED: [&str; 7] = ["model", "max_tokens", "tools", "tool_choice", "system", "messages", "stream"];

const SAMPLING: [&str; 3] = ["temperature", "top_p", "top_k"];

/// The first version that takes no sampling parameters; versions are dates.
const NO_SAMPLING_SINCE: &str = "2026-10-21";

/// Pictures that the API takes.
const PICTURES: [&str; 4] = ["image/jpeg", "image/png", "image/gif", "image/webp"];

const TOOLS: Form = Form {
    key: "anthropic",
    warnings_key: "anthropic.warnings",
    max_tools: usize::MAX,
    max_name: 128,
    max_description: usize::MAX,
    tool: |name, description, schema, _| json!({"name": name, "description": description, "input_schema": schema}),
    dialect: Dialect::Anthropic,
};

/// The same with a cache marker behind the last tool.
const CACHED_TOOLS: Form = Form {
    key: "anthropic.cached",
    tool: |name, description, schema, last| {
        let mut tool = (TOOLS.tool)(name, description, schema, last);
        if last {
            tool["cache_control"] = json!({"type": "ephemeral"});
        }
        tool
    },
    ..TOOLS
};

/// Makes the body for one turn of `model`.
pub(super) fn make(
    request: &ChatRequest,
    model: &str,
    api_version: &str,
    mut extra: Map<String, Value>,
) -> Result<Made, LlmError> {
    let form = if request.cache.prefix { &CACHED_TOOLS } else { &TOOLS };
    let Rendered { tools, mut warnings } = form.render(&request.tools);
    drop_reserved(&mut extra, &mut warnings);
    drop_sampling(&mut extra, model, api_version, &mut warnings);
    let mut messages = turns(&request.messages, model, tools.is_some());
    // An operator's marker for the whole request does what those of the turns do.
    if request.cache.last_turn && !extra.contains_key("cache_control") {
        mark_turns(&mut messages);
    }
    let body = Body {
        model,
        max_tokens: request.max_tokens,
        tool_choice: (tools.is_some() && request.tool_choice == ToolChoice::None).then(|| json!({"type": "none"})),
        tools,
        system: system(&request.system, request.cache.prefix),
        messages,
        stream: true,
        extra,
    };
    let body = serde_json::to_vec(&body)
        .map_err(|error| LlmError::Protocol { provider: VENDOR.kind, message: error.to_string() })?;
    Ok(Made { body, warnings })
}

/// The same request without what the model thought; `None` where nothing of that is in it.
pub(super) fn without_thoughts(request: &ChatRequest) -> Option<ChatRequest> {
    let is_thought = |block: &Block| matches!(block, Block::Opaque { .. });
    if !request.messages.iter().any(|message| message.blocks.iter().any(is_thought)) {
        return None;
    }
    let mut messages = (*request.messages).clone();
    for message in &mut messages {
        message.blocks.retain(|block| !is_thought(block));
    }
    Some(ChatRequest { messages: Arc::new(messages), ..request.clone() })
}

fn drop_reserved(extra: &mut Map<String, Value>, warnings: &mut Vec<String>) {
    for key in RESERVED {
        if extra.remove(key).is_some() {
            warnings.push(format!("the parameter {key:?} is not sent: omni sets it itself"));
        }
    }
}

fn drop_sampling(extra: &mut Map<String, Value>, model: &str, api_version: &str, warnings: &mut Vec<String>) {
    let who = if refuses_sampling(model) {
        model.to_owned()
    } else if api_version >= NO_SAMPLING_SINCE {
        format!("API version {api_version}")
    } else {
        return;
    };
    for key in SAMPLING {
        if extra.remove(key).is_some() {
            warnings.push(format!("the parameter {key:?} is not sent: {who} refuses it"));
        }
    }
}

/// Claude refuses sampling parameters from version 4.7 on: `claude-<family>-<major>[-<minor>][-<date>]`.
fn refuses_sampling(model: &str) -> bool {
    let mut words = model.split('-');
    if words.next() != Some("claude") {
        return false;
    }
    let Some(family) = words.next().filter(|word| word.starts_with(|c: char| c.is_ascii_alphabetic())) else {
        return false;
    };
    let mut number = || words.next().filter(|word| word.len() <= 2)?.parse::<u32>().ok();
    match number() {
        Some(major) => (major, number().unwrap_or(0)) >= (4, 7),
        None => family == "mythos",
    }
}

fn system(text: &str, cached: bool) -> Option<[Part<'_>; 1]> {
    let cache_control = cached.then_some(CacheControl {});
    let said = !text.trim().is_empty();
    said.then_some([Part::Known { block: Known::Text { text: Cow::Borrowed(text) }, cache_control }])
}

/// The messages, neighbours of one speaker joined; what the API would refuse is left out.
fn turns<'a>(messages: &'a [Message], model: &str, with_tools: bool) -> Vec<Turn<'a>> {
    let turns = legal::turns(messages, |block| part(block, model, with_tools)).into_iter();
    turns
        .map(|(role, mut content)| {
            // Every result must come before any text.
            content.sort_by_key(|part| !matches!(part, Part::Known { block: Known::ToolResult { .. }, .. }));
            Turn { role, content }
        })
        .collect()
}

fn part<'a>(block: &'a Block, model: &str, with_tools: bool) -> Option<Part<'a>> {
    let block = match block {
        Block::Text { text } => Known::Text { text: said(text)? },
        // The API refuses calls and results in a request that defines no tools.
        Block::ToolUse { name, input, .. } if !with_tools => {
            Known::Text { text: format!("[called the tool {name} with {input}]").into() }
        }
        Block::ToolResult { content, .. } if !with_tools => {
            let words: Vec<Cow<'_, str>> = content.iter().map(in_words).collect();
            Known::Text { text: format!("[the tool answered: {}]", words.join("\n")).into() }
        }
        Block::ToolUse { id, name, input } => {
            Known::ToolUse { id: call_id(id), name: legal::name(name, TOOLS.max_name), input: legal::object(input) }
        }
        Block::ToolResult { id, content, is_error } => {
            Known::ToolResult { tool_use_id: call_id(id), content: results(content, *is_error), is_error: *is_error }
        }
        Block::Opaque { provider, model: of, raw } => {
            return (provider == VENDOR.kind && of == model).then_some(Part::Raw(raw));
        }
    };
    Some(Part::Known { block, cache_control: None })
}

/// The id of a call in characters that the API takes; one that is legal stays as it is.
fn call_id(id: &str) -> Cow<'_, str> {
    legal::word(id, usize::MAX, "call")
}

/// Text, unless it is blank: the API itself may send blank text, and refuses it in a request.
fn said(text: &str) -> Option<Cow<'_, str>> {
    (!text.trim().is_empty()).then_some(Cow::Borrowed(text))
}

fn results(content: &[ResultPart], is_error: bool) -> Vec<Known<'_>> {
    let mut parts: Vec<Known<'_>> = content.iter().filter_map(|part| result(part, is_error)).collect();
    if parts.is_empty() {
        parts.push(Known::Text { text: "(no output)".into() });
    }
    parts
}

fn result(part: &ResultPart, is_error: bool) -> Option<Known<'_>> {
    match part {
        // Only text may say what went wrong.
        ResultPart::Image { mime, data } if !is_error && PICTURES.contains(&mime.as_str()) => {
            Some(Known::Image { source: Source { media_type: mime, data } })
        }
        ResultPart::Image { .. } => Some(Known::Text { text: in_words(part) }),
        ResultPart::Text { text } => said(text).map(|text| Known::Text { text }),
    }
}

fn in_words(part: &ResultPart) -> Cow<'_, str> {
    match part {
        ResultPart::Text { text } => Cow::Borrowed(text),
        ResultPart::Image { mime, data } => Cow::Owned(legal::picture_in_words(mime, data)),
    }
}

/// Marks the end of the conversation, so that the next turn reads it from the cache, and of the
/// question before: the API looks back only twenty blocks for what it has, and a turn of many
/// parallel calls is longer.
fn mark_turns(turns: &mut [Turn<'_>]) {
    let Some((last, before)) = turns.split_last_mut() else { return };
    mark(last);
    if let Some(question) = before.iter_mut().rev().find(|turn| turn.role == Speaker::User) {
        mark(question);
    }
}

fn mark(turn: &mut Turn<'_>) {
    if let Some(Part::Known { cache_control, .. }) = turn.content.last_mut() {
        *cache_control = Some(CacheControl {});
    }
}
