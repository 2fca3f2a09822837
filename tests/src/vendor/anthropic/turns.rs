//! The conversation: who speaks when, and that every call is answered once.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::{
    super::{
        Memory,
        check::{Judged, array, bad, ensure, only_keys, str_of},
        prefix::unmarked,
    },
    blocks,
};

pub(super) fn check(body: &Value, memory: &Memory) -> Judged {
    let messages = array(&body["messages"], "messages")?;
    let first = messages.first().ok_or_else(|| bad("messages: at least one message is required"))?;
    ensure(first["role"] == "user", || "messages: first message must use the \"user\" role".into())?;
    let turns: Vec<(&str, Vec<Value>)> = messages.iter().map(|m| (str_of(m, "role"), blocks(m))).collect();
    let asked =
        turns.iter().rposition(|(role, blocks)| *role == "user" && ids_of(blocks, "tool_result", "type").is_empty());
    let mut ids = HashSet::new();
    for (i, (role, blocks)) in turns.iter().enumerate() {
        let at = format!("messages.{i}");
        ensure(["user", "assistant"].contains(role), || format!("{at}.role: {role:?} is not known"))?;
        ensure(i == 0 || turns[i - 1].0 != *role, || format!("{at}: two {role} messages in a row"))?;
        ensure(!blocks.is_empty(), || format!("{at}: all messages must have non-empty content"))?;
        for (j, block) in blocks.iter().enumerate() {
            check_block(block, role, &format!("{at}.content.{j}"), memory)?;
        }
        for id in ids_of(blocks, "tool_use", "id") {
            ensure(ids.insert(id.to_owned()), || "messages: `tool_use` ids must be unique".into())?;
        }
        check_pairing(&turns, i)?;
        // Thoughts about former questions may be left out.
        if Some(i) > asked {
            check_thoughts(blocks, &at, memory)?;
        }
    }
    check_places(body, memory)?;
    let has_calls =
        turns.iter().any(|(_, blocks)| blocks.iter().any(|block| str_of(block, "type").starts_with("tool_")));
    let tools = body["tools"].as_array().is_some_and(|tools| !tools.is_empty());
    ensure(tools || !has_calls, || {
        "Requests which include `tool_use` or `tool_result` blocks must define tools".into()
    })?;
    check_end(&turns)
}

/// The user has the last word, unless a turn that paused in a tool of the vendor's is sent back.
fn check_end(turns: &[(&str, Vec<Value>)]) -> Judged {
    let Some(("assistant", blocks)) = turns.last().map(|(role, blocks)| (*role, blocks)) else { return Ok(()) };
    let is_paused = blocks.last().is_some_and(|block| block["type"] == "server_tool_use");
    ensure(is_paused, || {
        "This model does not support assistant message prefill. The conversation must end with a user message.".into()
    })
}

fn check_block(block: &Value, role: &str, at: &str, memory: &Memory) -> Judged {
    let map = block.as_object().ok_or_else(|| bad(format!("{at}: Input should be an object")))?;
    let kind = str_of(block, "type");
    match kind {
        "text" => {
            only_keys(map, &["type", "text", "cache_control"], &format!("{at}."))?;
            ensure(!str_of(block, "text").trim().is_empty(), || format!("{at}: text content blocks must be non-empty"))
        }
        "tool_use" if role == "assistant" => {
            only_keys(map, &["type", "id", "name", "input", "cache_control"], &format!("{at}."))?;
            ensure(!str_of(block, "name").is_empty(), || format!("{at}.name: Field required"))?;
            ensure(block["input"].is_object(), || format!("{at}.input: Input should be a valid dictionary"))
        }
        "tool_result" if role == "user" => {
            only_keys(map, &["type", "tool_use_id", "content", "is_error", "cache_control"], &format!("{at}."))?;
            check_result(block, at)
        }
        "image" if role == "user" => Ok(()),
        "server_tool_use" if role == "assistant" => Ok(()),
        "thinking" if role == "assistant" => {
            let known = memory.thoughts.get(str_of(block, "signature"));
            ensure(known.is_some_and(|thought| thought.block == *block), || {
                format!("{at}: Invalid `signature` in `thinking` block")
            })
        }
        _ => Err(bad(format!("{at}: a block of type {kind:?} cannot be in a message of role {role:?}"))),
    }
}

fn check_result(block: &Value, at: &str) -> Judged {
    let is_empty = match &block["content"] {
        Value::String(text) => text.is_empty(),
        Value::Array(parts) => {
            for part in parts {
                let is_text = part["type"] == "text";
                let is_blank = is_text && str_of(part, "text").trim().is_empty();
                ensure(!is_blank, || format!("{at}: text content blocks must be non-empty"))?;
                ensure(is_text || part["type"] == "image", || {
                    format!("{at}: {} is no part of a result", part["type"])
                })?;
            }
            parts.is_empty()
        }
        _ => true,
    };
    ensure(!is_empty || block["is_error"] != true, || format!("{at}: content cannot be empty if `is_error` is true"))
}

fn ids_of<'a>(blocks: &'a [Value], kind: &str, key: &str) -> Vec<&'a str> {
    blocks.iter().filter(|block| block["type"] == kind).map(|block| str_of(block, key)).collect()
}

/// Every call is answered exactly once, at the head of the message that follows.
fn check_pairing(turns: &[(&str, Vec<Value>)], i: usize) -> Judged {
    let (role, blocks) = &turns[i];
    let at = format!("messages.{i}");
    if *role == "assistant" {
        let next = turns.get(i + 1).map(|(_, blocks)| blocks.as_slice()).unwrap_or_default();
        let head = next.iter().take_while(|block| block["type"] == "tool_result").count();
        let answered = ids_of(&next[..head], "tool_result", "tool_use_id");
        let calls = ids_of(blocks, "tool_use", "id");
        let missing: Vec<&&str> = calls.iter().filter(|id| !answered.contains(id)).collect();
        return ensure(missing.is_empty(), || {
            format!("{at}: `tool_use` ids were found without `tool_result` blocks immediately after: {missing:?}")
        });
    }
    let calls = i.checked_sub(1).map(|before| ids_of(&turns[before].1, "tool_use", "id")).unwrap_or_default();
    let mut seen = HashSet::new();
    for id in ids_of(blocks, "tool_result", "tool_use_id") {
        ensure(calls.contains(&id), || format!("{at}: unexpected `tool_use_id` found in `tool_result` blocks: {id}"))?;
        ensure(seen.insert(id), || format!("{at}: each tool_use must have a single result: {id}"))?;
    }
    Ok(())
}

/// The prompt, the tools and every block with who says it, in order.
pub(super) fn said(body: &Value) -> Vec<Value> {
    let messages = body["messages"].as_array().into_iter().flatten();
    let blocks = messages
        .flat_map(|message| blocks(message).into_iter().map(move |block| json!([message["role"], unmarked(&block)])));
    ["system", "tools"].iter().map(|key| unmarked(&body[*key])).chain(blocks).collect()
}

/// A thought comes back behind all that it came after, or not at all.
fn check_places(body: &Value, memory: &Memory) -> Judged {
    let said = said(body);
    for (at, one) in said.iter().enumerate() {
        let Some(thought) = memory.thoughts.get(str_of(&one[1], "signature")) else { continue };
        ensure(said[..at].starts_with(&thought.behind), || {
            "messages: Invalid `signature` in `thinking` block. The block is bound to a different conversation. Remove \
             the block, or set `thinking.block_binding.prefix_mismatch_behavior` to \"drop_block\"."
                .into()
        })?;
    }
    Ok(())
}

/// A call that followed a thought comes back with that thought before it.
fn check_thoughts(blocks: &[Value], at: &str, memory: &Memory) -> Judged {
    for id in ids_of(blocks, "tool_use", "id") {
        let Some(signature) = memory.thought_before.get(id) else { continue };
        let is_there = ids_of(blocks, "thinking", "signature").contains(&signature.as_str());
        ensure(is_there, || format!("{at}: the thinking block before `tool_use` {id} is gone"))?;
    }
    Ok(())
}
