//! The Chat Completions API: what it refuses, and how it streams.

use axum::http::HeaderMap;
use serde_json::{Value, json};

use super::{
    Dialect, KEY, Memory,
    anthropic::{pieces, trouble},
    check::{Judged, Refusal, array, bad, ensure, object, only_keys, schema, str_of, tool_names},
    plan::{Asked, Part, Plan},
};

const KEYS: &[&str] = &[
    "frequency_penalty",
    "logit_bias",
    "logprobs",
    "max_completion_tokens",
    "max_tokens",
    "messages",
    "metadata",
    "model",
    "n",
    "parallel_tool_calls",
    "presence_penalty",
    "prompt_cache_key",
    "reasoning_effort",
    "response_format",
    "safety_identifier",
    "seed",
    "service_tier",
    "stop",
    "store",
    "stream",
    "stream_options",
    "temperature",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "user",
    "verbosity",
];
const BANNED: &[&str] = &["oneOf", "anyOf", "allOf", "enum", "not"];

pub(super) fn check(headers: &HeaderMap, body: &Value) -> Judged {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if text("authorization").strip_prefix("Bearer ") != Some(KEY) {
        return Err(Refusal::new(401, "invalid_request_error", "Incorrect API key provided"));
    }
    ensure(text("content-type").starts_with("application/json"), || "content-type: must be application/json".into())?;
    only_keys(object(body, "body")?, KEYS, "Unrecognized request argument supplied: ")?;
    ensure(!str_of(body, "model").is_empty(), || "you must provide a model parameter".into())?;
    ensure(body["stream"] == true, || "stream: should be true".into())?;
    ensure(body["stream_options"]["include_usage"] == true, || {
        "stream_options.include_usage: without it the cost is unknown".into()
    })?;
    let limits = [&body["max_tokens"], &body["max_completion_tokens"]].iter().filter(|limit| limit.is_u64()).count();
    ensure(limits == 1, || "one of 'max_tokens' and 'max_completion_tokens' is needed".into())?;
    check_tools(body)?;
    check_messages(array(&body["messages"], "messages")?)
}

fn check_tools(body: &Value) -> Judged {
    let Some(tools) = body.get("tools") else {
        let choice = body.get("tool_choice").is_none() && body.get("parallel_tool_calls").is_none();
        return ensure(choice, || "'tool_choice' is only allowed when 'tools' are specified".into());
    };
    let tools = array(tools, "tools")?;
    ensure((1..=128).contains(&tools.len()), || format!("Invalid 'tools': {} of 1 to 128", tools.len()))?;
    let names: Vec<&str> = tools.iter().map(|tool| str_of(&tool["function"], "name")).collect();
    tool_names(&names, 64)?;
    for tool in tools {
        only_keys(object(tool, "tools")?, &["type", "function"], "tools.")?;
        ensure(tool["type"] == "function", || "tools.type: should be 'function'".into())?;
        let function = object(&tool["function"], "tools.function")?;
        only_keys(function, &["name", "description", "parameters", "strict"], "tools.function.")?;
        let at = format!("Invalid schema for function {}", function["name"]);
        let parameters = &tool["function"]["parameters"];
        schema(parameters, BANNED, &at)?;
        ensure(parameters["properties"].is_object(), || format!("{at}: object schema missing properties"))?;
        check_arrays(parameters, &at)?;
    }
    Ok(())
}

/// An array must say what its items are.
fn check_arrays(schema: &Value, at: &str) -> Judged {
    let Some(map) = schema.as_object() else { return Ok(()) };
    let is_array = map.get("type").is_some_and(|kind| kind == "array");
    ensure(!is_array || map.contains_key("items"), || format!("{at}: array schema missing items"))?;
    let children = map.get("properties").and_then(Value::as_object).into_iter().flatten().map(|(_, child)| child);
    children.chain(map.get("items")).try_for_each(|child| check_arrays(child, at))
}

fn check_messages(messages: &[Value]) -> Judged {
    ensure(!messages.is_empty(), || "messages: array too short".into())?;
    let mut open: Vec<&str> = Vec::new();
    for (i, message) in messages.iter().enumerate() {
        let at = format!("messages.[{i}]");
        let role = str_of(message, "role");
        if role == "tool" {
            let id = str_of(message, "tool_call_id");
            let place = open.iter().position(|other| *other == id);
            let place = place.ok_or_else(|| {
                bad(format!("{at}: messages with role 'tool' must answer a preceding tool call: {id:?}"))
            })?;
            open.remove(place);
            ensure(!text_of(&message["content"]).is_empty(), || format!("{at}.content: a result must not be empty"))?;
            continue;
        }
        ensure(open.is_empty(), || format!("{at}: tool_call_ids without response messages: {open:?}"))?;
        match role {
            "system" | "developer" => {
                ensure(i == 0, || format!("{at}: the system prompt comes first"))?;
                ensure(!text_of(&message["content"]).is_empty(), || format!("{at}.content: must not be empty"))?;
            }
            "user" => ensure(!text_of(&message["content"]).trim().is_empty() || has_image(message), || {
                format!("{at}.content: must not be empty")
            })?,
            "assistant" => open = check_assistant(message, &at)?,
            other => return Err(bad(format!("{at}.role: {other:?} is not known"))),
        }
    }
    ensure(open.is_empty(), || format!("tool_call_ids without response messages: {open:?}"))
}

fn has_image(message: &Value) -> bool {
    message["content"].as_array().into_iter().flatten().any(|part| part["type"] == "image_url")
}

fn check_assistant<'a>(message: &'a Value, at: &str) -> Result<Vec<&'a str>, Refusal> {
    only_keys(object(message, at)?, &["role", "content", "tool_calls", "refusal", "name"], &format!("{at}."))?;
    let Some(calls) = message.get("tool_calls") else {
        ensure(!text_of(&message["content"]).is_empty(), || format!("{at}.content: expected a string, got null"))?;
        return Ok(Vec::new());
    };
    let calls = array(calls, at)?;
    ensure(!calls.is_empty(), || format!("{at}.tool_calls: empty array"))?;
    for call in calls {
        let is_whole = call["type"] == "function"
            && !str_of(call, "id").is_empty()
            && !str_of(&call["function"], "name").is_empty();
        ensure(is_whole, || format!("{at}.tool_calls: id, type and function.name are required"))?;
        ensure(call["function"]["arguments"].is_string(), || format!("{at}.tool_calls: arguments should be a string"))?;
    }
    Ok(calls.iter().map(|call| str_of(call, "id")).collect())
}

fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().map(|part| str_of(part, "text")).collect(),
        _ => String::new(),
    }
}

pub(super) fn asked(body: &Value) -> Asked {
    let (mut text, mut rounds, mut results) = (String::new(), 0, Vec::new());
    for message in body["messages"].as_array().into_iter().flatten() {
        let said = text_of(&message["content"]);
        match str_of(message, "role") {
            "user" if !is_companion(message) => (text, rounds, results) = (said, 0, Vec::new()),
            "assistant" => rounds += 1,
            // This dialect has no mark for errors: what begins like one is one.
            "tool" => results.push((said.clone(), said.to_lowercase().contains("error"))),
            _ => {}
        }
    }
    let tools = body["tools"].as_array().into_iter().flatten();
    let offered = tools.map(|tool| str_of(&tool["function"], "name").to_owned()).collect();
    Asked { text, rounds, results, offered, key: body["messages"].to_string() }
}

/// Pictures of a result come in a user message of their own.
fn is_companion(message: &Value) -> bool {
    has_image(message) && !text_of(&message["content"]).contains('#')
}

/// The `code` beside an error.
pub(super) fn code(refusal: &Refusal) -> Option<&str> {
    match (refusal.status, refusal.kind.as_str()) {
        (401, _) => Some("invalid_api_key"),
        (429, "insufficient_quota") => Some("insufficient_quota"),
        (429, _) => Some("rate_limit_exceeded"),
        _ => None,
    }
}

pub(super) fn frames(plan: &Plan, body: &Value, memory: &mut Memory) -> Vec<String> {
    let id = memory.id("chatcmpl-");
    let chunk = |choices: Value, usage: Value| {
        let chunk = json!({ "id": id, "object": "chat.completion.chunk", "created": 1, "model": body["model"], "choices": choices, "usage": usage });
        format!("data: {chunk}\n\n")
    };
    let delta = |delta: Value, finish: Option<&str>| {
        chunk(json!([{ "index": 0, "delta": delta, "logprobs": null, "finish_reason": finish }]), Value::Null)
    };
    let mut frames = vec![delta(json!({ "role": "assistant", "content": "", "refusal": null }), None)];
    let mut calls = 0;
    for part in &plan.parts {
        match part {
            Part::Text(text) => frames.extend(pieces(text, 9).map(|text| delta(json!({ "content": text }), None))),
            Part::Thought(_) | Part::Vendors => {}
            Part::Call(name, arguments) => {
                let start = json!({ "index": calls, "id": memory.id("call_"), "type": "function", "function": { "name": name, "arguments": "" } });
                frames.push(delta(json!({ "tool_calls": [start] }), None));
                let more = |text| {
                    delta(json!({ "tool_calls": [{ "index": calls, "function": { "arguments": text } }] }), None)
                };
                frames.extend(pieces(arguments, 7).map(more));
                calls += 1;
            }
        }
    }
    if plan.stop == "refusal" {
        frames.push(delta(json!({ "refusal": "I can't help with that." }), None));
    }
    frames.push(delta(json!({}), Some(finish(plan.stop))));
    frames.push(chunk(json!([]), usage(plan, body)));
    frames.push("data: [DONE]\n\n".into());
    trouble(&mut frames, plan.mischief, Dialect::OpenAi);
    frames
}

fn finish(stop: &str) -> &'static str {
    match stop {
        "tool_use" => "tool_calls",
        "max_tokens" | "model_context_window_exceeded" => "length",
        _ => "stop",
    }
}

fn usage(plan: &Plan, body: &Value) -> Value {
    let size = |value: &str| (value.len() as u64).div_ceil(4).max(1);
    let (input, output, cached) =
        plan.usage.unwrap_or((size(&body.to_string()), size(&format!("{:?}", plan.parts)), 0));
    json!({
        "prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output,
        "prompt_tokens_details": { "cached_tokens": cached },
    })
}
