//! Whether the beginning of a conversation stays as it was, so that a vendor's prompt cache hits.

use std::collections::HashMap;

use axum::body::Bytes;
use serde_json::{Map, Value, value::RawValue};

use super::check::{Judged, bad, ensure};

/// The newest request of each conversation.
#[derive(Debug, Default)]
pub(super) struct Prefixes(HashMap<String, Prefix>);

#[derive(Debug)]
struct Prefix {
    tools: String,
    system: String,
    messages: Vec<Value>,
}

impl Prefixes {
    pub(super) fn check(&mut self, raw: &Bytes, body: &Value) -> Judged {
        let parts: HashMap<String, Box<RawValue>> =
            serde_json::from_slice(raw).map_err(|error| bad(format!("not a JSON object: {error}")))?;
        let part = |key: &str| parts.get(key).map(|raw| raw.get().to_owned()).unwrap_or_default();
        let messages = body["messages"].as_array().into_iter().flatten();
        let messages: Vec<Value> = messages.map(|message| without_thoughts(unmarked(message))).collect();
        let first =
            messages.iter().find(|message| message["role"] == "user").map(ToString::to_string).unwrap_or_default();
        let conversation = format!("{} {first}", body["model"]);
        let now = Prefix { tools: part("tools"), system: part("system"), messages };
        if let Some(before) = self.0.get(&conversation) {
            ensure(before.tools == now.tools, || "prefix: the tools changed within a conversation".into())?;
            ensure(before.system == now.system, || "prefix: the system prompt changed within a conversation".into())?;
            ensure(now.messages.starts_with(&before.messages), || "prefix: an earlier message changed".into())?;
        }
        self.0.insert(conversation, now);
        Ok(())
    }
}

/// A message without what the model thought, which is for the question that it thought about alone.
fn without_thoughts(mut message: Value) -> Value {
    if let Some(blocks) = message.get_mut("content").and_then(Value::as_array_mut) {
        blocks.retain(|block| block["type"] != "thinking");
    }
    message
}

/// A message without its cache breakpoints, which wander.
pub(super) fn unmarked(message: &Value) -> Value {
    match message {
        Value::Object(map) => {
            let rest = map.iter().filter(|(key, _)| *key != "cache_control");
            Value::Object(rest.map(|(key, value)| (key.clone(), unmarked(value))).collect::<Map<_, _>>())
        }
        Value::Array(list) => list.iter().map(unmarked).collect(),
        other => other.clone(),
    }
}
