//! The Messages API: what it refuses, and how it streams.

use axum::http::HeaderMap;
use serde_json::{Value, json};

use super::{
    Dialect, KEY, Memory, Thought,
    check::{Judged, Refusal, array, bad, ensure, object, only_keys, schema, str_of, tool_names},
    plan::{Asked, Mischief, Part, Plan},
    stream::FRAMES_BEFORE,
};

mod turns;

const VERSIONS: [&str; 2] = ["2026-10-21", "2023-06-01"];
const KEYS: &[&str] = &[
    "cache_control",
    "max_tokens",
    "messages",
    "metadata",
    "model",
    "output_config",
    "service_tier",
    "stop_sequences",
    "stream",
    "system",
    "temperature",
    "thinking",
    "tool_choice",
    "tools",
    "top_k",
    "top_p",
];

pub(super) fn check(headers: &HeaderMap, body: &Value, memory: &Memory) -> Judged {
    let version = check_headers(headers)?;
    let map = object(body, "body")?;
    only_keys(map, KEYS, "")?;
    for key in ["temperature", "top_p", "top_k"] {
        let is_known = version < VERSIONS[0] || !map.contains_key(key);
        ensure(is_known, || format!("{key}: Extra inputs are not permitted"))?;
    }
    ensure(!str_of(body, "model").is_empty(), || "model: Field required".into())?;
    ensure(body["stream"] == true, || "stream: should be true".into())?;
    ensure(body["max_tokens"].as_u64().is_some_and(|n| n > 0), || "max_tokens: Field required".into())?;
    check_system(&body["system"])?;
    check_tools(body)?;
    turns::check(body, memory)?;
    let marks = breakpoints(body);
    ensure(marks <= 4, || format!("A maximum of 4 blocks with cache_control may be provided. Found {marks}."))
}

fn check_headers(headers: &HeaderMap) -> Result<&str, Refusal> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let key = text("x-api-key").or_else(|| text("authorization")?.strip_prefix("Bearer "));
    if key != Some(KEY) {
        let message = if key.is_none() { "x-api-key header is required" } else { "invalid x-api-key" };
        return Err(Refusal::new(401, "authentication_error", message));
    }
    let kind = text("content-type").unwrap_or_default();
    ensure(kind.starts_with("application/json"), || "content-type: must be application/json".into())?;
    let version = text("anthropic-version").ok_or_else(|| bad("anthropic-version: header is required"))?;
    ensure(VERSIONS.contains(&version), || format!("anthropic-version: {version:?} is not a valid version"))?;
    Ok(version)
}

fn check_system(system: &Value) -> Judged {
    match system {
        Value::Null => Ok(()),
        Value::String(text) => ensure(!text.is_empty(), || "system: text content blocks must be non-empty".into()),
        blocks => array(blocks, "system")?.iter().try_for_each(|block| {
            only_keys(object(block, "system")?, &["type", "text", "cache_control"], "system.")?;
            let is_text = block["type"] == "text" && !str_of(block, "text").is_empty();
            ensure(is_text, || "system: text content blocks must be non-empty".into())
        }),
    }
}

fn check_tools(body: &Value) -> Judged {
    let Some(tools) = body.get("tools") else {
        return ensure(body.get("tool_choice").is_none(), || {
            "tool_choice: may only be specified while providing tools".into()
        });
    };
    let tools = array(tools, "tools")?;
    let names: Vec<&str> = tools.iter().map(|tool| str_of(tool, "name")).collect();
    tool_names(&names, 128)?;
    for (i, tool) in tools.iter().enumerate() {
        let known = ["name", "description", "input_schema", "cache_control", "type", "strict"];
        only_keys(object(tool, "tools")?, &known, &format!("tools.{i}.custom."))?;
        let at = format!("tools.{i}.custom.input_schema");
        schema(&tool["input_schema"], &["oneOf", "anyOf", "allOf"], &at)?;
        let keys = tool["input_schema"]["properties"].as_object().into_iter().flatten();
        for (key, _) in keys {
            let legal = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
            let fits = (1..=64).contains(&key.len()) && key.chars().all(legal);
            ensure(fits, || format!("{at}.properties: Property keys should match pattern '^[a-zA-Z0-9_.-]{{1,64}}$'"))?;
        }
    }
    let choice = str_of(&body["tool_choice"], "type");
    let is_known = body.get("tool_choice").is_none() || ["auto", "any", "none", "tool"].contains(&choice);
    ensure(is_known, || format!("tool_choice.type: {choice:?} is not known"))
}

/// How many blocks bear a `cache_control`.
fn breakpoints(value: &Value) -> usize {
    match value {
        Value::Object(map) => {
            let own = usize::from(map.get("cache_control").is_some_and(Value::is_object));
            own + map
                .iter()
                .filter(|(key, _)| *key != "input_schema" && *key != "input")
                .map(|(_, v)| breakpoints(v))
                .sum::<usize>()
        }
        Value::Array(list) => list.iter().map(breakpoints).sum(),
        _ => 0,
    }
}

/// A message's blocks; text alone is one.
fn blocks(message: &Value) -> Vec<Value> {
    match &message["content"] {
        Value::String(text) => vec![json!({ "type": "text", "text": text })],
        Value::Array(list) => list.clone(),
        _ => Vec::new(),
    }
}

fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(list) => list.iter().map(|block| str_of(block, "text")).collect(),
        _ => String::new(),
    }
}

pub(super) fn asked(body: &Value) -> Asked {
    let (mut text, mut rounds, mut results) = (String::new(), 0, Vec::new());
    for message in body["messages"].as_array().into_iter().flatten() {
        if message["role"] == "assistant" {
            rounds += 1;
            continue;
        }
        let blocks = blocks(message);
        let answered = blocks.iter().filter(|block| block["type"] == "tool_result");
        let answered: Vec<(String, bool)> =
            answered.map(|block| (text_of(&block["content"]), block["is_error"] == true)).collect();
        let said: Vec<&str> = blocks.iter().filter(|b| b["type"] == "text").map(|b| str_of(b, "text")).collect();
        if answered.is_empty() {
            (text, rounds, results) = (said.join("\n"), 0, Vec::new());
        }
        results.extend(answered);
    }
    let offered = body["tools"].as_array().into_iter().flatten().map(|tool| str_of(tool, "name").to_owned()).collect();
    Asked { text, rounds, results, offered, key: body["messages"].to_string() }
}

pub(super) fn frames(plan: &Plan, body: &Value, memory: &mut Memory) -> Vec<String> {
    let size = |value: &str| (value.len() as u64).div_ceil(4).max(1);
    let (input, output, cached) =
        plan.usage.unwrap_or((size(&body.to_string()), size(&format!("{:?}", plan.parts)), 0));
    let usage = json!({ "input_tokens": input, "output_tokens": 1, "cache_creation_input_tokens": 0, "cache_read_input_tokens": cached });
    let message = json!({
        "id": memory.id("msg_"), "type": "message", "role": "assistant", "model": body["model"], "content": [],
        "stop_reason": null, "stop_sequence": null, "usage": usage,
    });
    let mut frames =
        vec![frame(&json!({ "type": "message_start", "message": message })), frame(&json!({ "type": "ping" }))];
    let (mut thought, behind) = (None, turns::said(body));
    for (index, part) in plan.parts.iter().enumerate() {
        let (start, deltas) = block(part, &behind, &mut thought, memory);
        frames.push(frame(&json!({ "type": "content_block_start", "index": index, "content_block": start })));
        let delta = |delta| frame(&json!({ "type": "content_block_delta", "index": index, "delta": delta }));
        frames.extend(deltas.into_iter().map(delta));
        frames.push(frame(&json!({ "type": "content_block_stop", "index": index })));
    }
    let delta = json!({ "stop_reason": plan.stop, "stop_sequence": null });
    frames.push(frame(&json!({ "type": "message_delta", "delta": delta, "usage": { "output_tokens": output } })));
    frames.push(frame(&json!({ "type": "message_stop" })));
    trouble(&mut frames, plan.mischief, Dialect::Anthropic);
    frames
}

/// A block's beginning and the pieces that follow. A thought is signed together with what it comes `behind`.
fn block(part: &Part, behind: &[Value], thought: &mut Option<String>, memory: &mut Memory) -> (Value, Vec<Value>) {
    match part {
        Part::Text(text) => {
            let deltas = pieces(text, 9).map(|text| json!({ "type": "text_delta", "text": text })).collect();
            (json!({ "type": "text", "text": "" }), deltas)
        }
        Part::Thought(text) => {
            let signature = memory.id("sig+/");
            let block = json!({ "type": "thinking", "thinking": text, "signature": signature });
            memory.thoughts.insert(signature.clone(), Thought { block, behind: behind.to_vec() });
            *thought = Some(signature.clone());
            let mut deltas: Vec<Value> =
                pieces(text, 9).map(|text| json!({ "type": "thinking_delta", "thinking": text })).collect();
            deltas.push(json!({ "type": "signature_delta", "signature": signature }));
            (json!({ "type": "thinking", "thinking": "", "signature": "" }), deltas)
        }
        Part::Vendors => {
            let id = memory.id("srvtoolu_");
            (
                json!({ "type": "server_tool_use", "id": id, "name": "web_search", "input": { "query": "x" } }),
                Vec::new(),
            )
        }
        Part::Call(name, arguments) => {
            let id = memory.id("toolu_");
            if let Some(signature) = thought {
                memory.thought_before.insert(id.clone(), signature.clone());
            }
            let written = if arguments == "{}" { "" } else { arguments };
            let deltas = std::iter::once(String::new()).chain(pieces(written, 7));
            let deltas = deltas.map(|json| json!({ "type": "input_json_delta", "partial_json": json })).collect();
            (json!({ "type": "tool_use", "id": id, "name": name, "input": {} }), deltas)
        }
    }
}

/// Pieces of `n` characters.
pub(super) fn pieces(text: &str, n: usize) -> impl Iterator<Item = String> {
    let chars: Vec<char> = text.chars().collect();
    chars.chunks(n).map(|piece| piece.iter().collect()).collect::<Vec<String>>().into_iter()
}

/// Puts what goes wrong in the middle of the stream there.
pub(super) fn trouble(frames: &mut Vec<String>, mischief: Option<Mischief>, dialect: Dialect) {
    let rubbish = match (mischief, dialect) {
        (Some(Mischief::Malformed), _) => {
            "event: content_block_delta\ndata: {\"type\":\"content_block_del\n\n".to_owned()
        }
        (Some(Mischief::StreamError), Dialect::Anthropic) => {
            frame(&json!({ "type": "error", "error": { "type": "overloaded_error", "message": "Overloaded" } }))
        }
        (Some(Mischief::StreamError), Dialect::OpenAi) => {
            let error =
                json!({ "message": "The server had an error", "type": "server_error", "param": null, "code": null });
            format!("data: {}\n\n", json!({ "error": error }))
        }
        _ => return,
    };
    frames.truncate(FRAMES_BEFORE);
    frames.push(rubbish);
}

fn frame(data: &Value) -> String {
    format!("event: {}\ndata: {data}\n\n", str_of(data, "type"))
}
