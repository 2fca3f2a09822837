//! A request on the wire.

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
    messages: Vec<Wire<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tools: Option<Arc<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<&'static str>,
    stream: bool,
    stream_options: Value,
    #[serde(flatten)]
    extra: Map<String, Value>,
}

#[derive(Serialize)]
#[serde(tag = "role", rename_all = "snake_case")]
enum Wire<'a> {
    System {
        content: &'a str,
    },
    User {
        content: String,
    },
    Assistant {
        content: Option<String>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        tool_calls: Vec<Call<'a>>,
    },
    Tool {
        tool_call_id: &'a str,
        content: String,
    },
}

#[derive(Serialize)]
#[serde(tag = "type", rename = "function")]
struct Call<'a> {
    id: &'a str,
    function: Function<'a>,
}

#[derive(Serialize)]
struct Function<'a> {
    name: Cow<'a, str>,
    /// JSON in a string.
    arguments: String,
}

/// What omni itself says in every request.
const RESERVED: [&str; 6] = ["model", "messages", "tools", "tool_choice", "stream", "stream_options"];

const TOOLS: Form = Form {
    key: "openai",
    warnings_key: "openai.warnings",
    max_tools: 128,
    max_name: 64,
    // Some of OpenAI's models refuse longer ones.
    max_description: 1_024,
    tool: |name, description, schema, _| {
        let function = json!({"name": name, "description": description, "parameters": schema});
        json!({"type": "function", "function": function})
    },
    dialect: Dialect::OpenAi,
};

/// Makes the body for one turn of `model` at `host`.
pub(super) fn make(
    request: &ChatRequest,
    model: &str,
    host: &str,
    mut extra: Map<String, Value>,
) -> Result<Made, LlmError> {
    let Rendered { tools, mut warnings } = TOOLS.render(&request.tools);
    for key in RESERVED.into_iter().filter(|key| extra.remove(*key).is_some()) {
        warnings.push(format!("the parameter {key:?} is not sent: omni sets it itself"));
    }
    drop_sampling(&mut extra, model, &mut warnings);
    // The number is omni's; the operator may say by which name the server knows it.
    let named = OUTPUT_LIMITS.into_iter().filter(|name| extra.remove(*name).is_some()).last();
    extra.insert(named.unwrap_or(output_limit(host)).into(), request.max_tokens.into());
    let body = Body {
        model,
        messages: messages(&request.system, &request.messages),
        tool_choice: (tools.is_some() && request.tool_choice == ToolChoice::None).then_some("none"),
        tools,
        stream: true,
        stream_options: json!({"include_usage": true}),
        extra,
    };
    let body = serde_json::to_vec(&body)
        .map_err(|error| LlmError::Protocol { provider: VENDOR.kind, message: error.to_string() })?;
    Ok(Made { body, warnings })
}

/// The names of the output limit, the older first.
const OUTPUT_LIMITS: [&str; 2] = ["max_tokens", "max_completion_tokens"];

/// OpenAI's newer models know only the newer name, most other servers only the older.
fn output_limit(host: &str) -> &'static str {
    let openai = host == "api.openai.com" || host.ends_with(".openai.azure.com");
    if openai { "max_completion_tokens" } else { "max_tokens" }
}

/// Models that think (`o1` and on, `gpt-5`) take no other temperature than their own.
fn drop_sampling(extra: &mut Map<String, Value>, model: &str, warnings: &mut Vec<String>) {
    let numbered = model.strip_prefix('o').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    if !numbered && !model.starts_with("gpt-5") {
        return;
    }
    for key in ["temperature", "top_p"] {
        if extra.remove(key).is_some() {
            warnings.push(format!("the parameter {key:?} is not sent: {model} refuses it"));
        }
    }
}

fn messages<'a>(system: &'a str, messages: &'a [Message]) -> Vec<Wire<'a>> {
    let mut wire = Vec::new();
    if !system.trim().is_empty() {
        wire.push(Wire::System { content: system });
    }
    for (speaker, blocks) in legal::turns(messages, said) {
        let blocks = blocks.into_iter();
        match speaker {
            Speaker::User => user(blocks, &mut wire),
            Speaker::Assistant => assistant(blocks, &mut wire),
        }
    }
    wire
}

/// What can be said in this API: all but blank text and what only another vendor understands.
fn said(block: &Block) -> Option<&Block> {
    match block {
        Block::Text { text } if text.trim().is_empty() => None,
        Block::Opaque { .. } => None,
        Block::Text { .. } | Block::ToolUse { .. } | Block::ToolResult { .. } => Some(block),
    }
}

/// Results first, each a message of its own, then what the person said.
fn user<'a>(blocks: impl Iterator<Item = &'a Block> + Clone, wire: &mut Vec<Wire<'a>>) {
    wire.extend(blocks.clone().filter_map(|block| match block {
        Block::ToolResult { id, content, is_error } => {
            Some(Wire::Tool { tool_call_id: call_id(id), content: result(content, *is_error) })
        }
        Block::Text { .. } | Block::ToolUse { .. } | Block::Opaque { .. } => None,
    }));
    wire.extend(text(blocks).map(|content| Wire::User { content }));
}

fn assistant<'a>(blocks: impl Iterator<Item = &'a Block> + Clone, wire: &mut Vec<Wire<'a>>) {
    let content = text(blocks.clone());
    let tool_calls: Vec<Call<'a>> = blocks.filter_map(call).collect();
    if content.is_some() || !tool_calls.is_empty() {
        wire.push(Wire::Assistant { content, tool_calls });
    }
}

fn call(block: &Block) -> Option<Call<'_>> {
    let Block::ToolUse { id, name, input } = block else { return None };
    let name = legal::name(name, TOOLS.max_name);
    Some(Call { id: call_id(id), function: Function { name, arguments: legal::object(input).get().to_owned() } })
}

/// The id of a call as the server made it: some servers keep in it what they have to know of the call again.
fn call_id(id: &str) -> &str {
    if id.is_empty() { "call" } else { id }
}

fn text<'a>(blocks: impl Iterator<Item = &'a Block>) -> Option<String> {
    let texts: Vec<&str> = blocks
        .filter_map(|block| match block {
            Block::Text { text } => Some(text.as_str()),
            Block::ToolUse { .. } | Block::ToolResult { .. } | Block::Opaque { .. } => None,
        })
        .collect();
    (!texts.is_empty()).then(|| texts.join("\n\n"))
}

/// A result in words: this API has no field for errors and takes no pictures here.
fn result(content: &[ResultPart], is_error: bool) -> String {
    let parts = content.iter().map(|part| match part {
        ResultPart::Text { text } => Cow::Borrowed(text.as_str()),
        ResultPart::Image { mime, data } => Cow::Owned(legal::picture_in_words(mime, data)),
    });
    let said: Vec<Cow<'_, str>> = parts.filter(|part| !part.trim().is_empty()).collect();
    let text = if said.is_empty() { "(no output)".to_owned() } else { said.join("\n") };
    if is_error { format!("Error: {text}") } else { text }
}
