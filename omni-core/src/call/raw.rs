//! A call whose result goes on to an MCP client as the server sent it.

use serde::Deserialize;
use serde_json::{
    Value,
    value::{RawValue, to_raw_value},
};

use super::{CallEnd, Caller};
use crate::{
    agent::PlannedCall,
    answer::CallStatus,
    ask::Relay,
    mcp::{CallContext, McpError, McpReply},
    parts::Parts,
};

/// Most of a failed tool's words that are kept, in characters.
const MAX_SAID: usize = 500;

/// What is looked at of a result.
#[derive(Deserialize)]
struct Peek<'a> {
    #[serde(rename = "isError", default)]
    is_error: Option<bool>,
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
}

/// Sends a call with all that came with it. The arguments are those that were judged.
pub(super) async fn send(
    parts: &Parts,
    caller: &Caller<'_>,
    relay: &Relay,
    call: &PlannedCall,
    cx: CallContext,
) -> Result<CallEnd, McpError> {
    let mut params = relay.rest.clone();
    if !relay.bare {
        params.insert("arguments".into(), call.arguments.clone());
    }
    let params = to_raw_value(&params).map_err(|error| McpError::Protocol { message: error.to_string() })?;
    let cx = cx.with_peer(relay.peer.clone());
    caller.sent.note();
    parts.pool.call_raw(&call.server, &call.tool, &params, &cx).await.map(returned)
}

fn returned(reply: McpReply) -> CallEnd {
    let said = match &reply {
        McpReply::Complete(raw) => failure(raw),
        McpReply::InputRequired(_) | McpReply::Task(_) => None,
    };
    let status = if said.is_some() { CallStatus::Error } else { CallStatus::Ok };
    CallEnd { reply: Some(reply), error: said, ..CallEnd::sent(status) }
}

/// What a tool says that says that it failed.
fn failure(raw: &RawValue) -> Option<String> {
    let peek: Peek<'_> = serde_json::from_str(raw.get()).ok()?;
    if peek.is_error != Some(true) {
        return None;
    }
    let parts: Vec<Value> = peek.content.and_then(|parts| serde_json::from_str(parts.get()).ok()).unwrap_or_default();
    let texts: String = parts.iter().filter_map(|part| part.get("text")?.as_str()).collect();
    Some(texts.chars().take(MAX_SAID).collect())
}
