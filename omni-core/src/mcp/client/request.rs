//! Requests and their answers, between omni's form and rmcp's.

use std::str::FromStr;

use http::{HeaderMap, HeaderName, HeaderValue};
use rmcp::model::{
    CallToolRequest, CallToolRequestParams, ClientRequest, CustomRequest, ListToolsRequest, RequestMetaObject,
};
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::{
    Map, Value, json,
    value::{RawValue, to_raw_value},
};

use super::protocol;
use crate::{
    identity::Principal,
    mcp::{CallContext, McpError, McpReply, McpRequest, in_process::CALLER},
};

/// The fields of a call that rmcp knows; others it would drop.
const CALL_FIELDS: [&str; 5] = ["name", "arguments", "_meta", "inputResponses", "requestState"];

/// The extension by which a server may go on with a call in the background.
const TASKS: &str = "io.modelcontextprotocol/tasks";

/// The key of `_meta` under which a client says what it can (2026-07-28).
const CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";

/// rmcp's form of a request.
pub(super) fn typed(request: &McpRequest) -> Result<ClientRequest, McpError> {
    match (&*request.method, request.params.as_deref()) {
        ("tools/call", Some(params)) => call(params),
        ("tools/list", None) => Ok(ClientRequest::ListToolsRequest(ListToolsRequest::default())),
        (method, params) => {
            let text =
                to_raw_value(&json!({ "method": method, "params": params })).map_err(|error| protocol(&error))?;
            serde_json::from_str(text.get()).map_err(|error| protocol(&error))
        }
    }
}

fn call(params: &RawValue) -> Result<ClientRequest, McpError> {
    let mut fields: Map<String, Value> = serde_json::from_str(params.get()).map_err(|error| protocol(&error))?;
    // Who asks, nobody says of themselves.
    if let Some(meta) = fields.get_mut("_meta").and_then(Value::as_object_mut) {
        meta.remove(CALLER);
    }
    if fields.keys().any(|name| !CALL_FIELDS.contains(&&**name)) {
        let request = CustomRequest::new("tools/call", Some(Value::Object(fields)));
        return Ok(ClientRequest::CustomRequest(request));
    }
    let params: CallToolRequestParams =
        serde_json::from_value(Value::Object(fields)).map_err(|error| protocol(&error))?;
    Ok(ClientRequest::CallToolRequest(CallToolRequest::new(params)))
}

/// Headers of the caller's own, and where the request belongs.
pub(super) fn headers(cx: &CallContext) -> Result<HeaderMap, McpError> {
    let mut headers = own_headers(cx)?;
    // In the message as well: there the protocol has it, here whatever stands before the server.
    if let Some(trace) = cx.trace.as_deref().and_then(|trace| HeaderValue::from_str(trace).ok()) {
        headers.insert("traceparent", trace);
    }
    Ok(headers)
}

/// Headers of the caller's own credentials.
pub(in crate::mcp) fn own_headers(cx: &CallContext) -> Result<HeaderMap, McpError> {
    let mut headers = HeaderMap::new();
    for (name, value) in cx.credentials.iter().flatten() {
        let (Ok(key), Ok(mut value)) = (HeaderName::from_str(name), HeaderValue::from_str(value.expose_secret()))
        else {
            return Err(McpError::Unauthorized { message: format!("the credential header {name:?} cannot be sent") });
        };
        value.set_sensitive(true);
        headers.insert(key, value);
    }
    Ok(headers)
}

/// What goes along with a request: where it belongs, and since 2026-07-28 what whoever is behind it can.
pub(super) fn meta(cx: &CallContext, modern: bool, caller: Option<&Principal>) -> RequestMetaObject {
    let mut meta = extra(cx, modern);
    meta.extend(caller.map(|caller| (CALLER.to_owned(), json!(caller))));
    serde_json::from_value(Value::Object(meta)).unwrap_or_default()
}

/// The same as it is.
pub(super) fn extra(cx: &CallContext, modern: bool) -> Map<String, Value> {
    let mut meta = Map::new();
    if let Some(trace) = &cx.trace {
        meta.insert("traceparent".into(), json!(trace));
    }
    if modern {
        meta.insert(CAPABILITIES.into(), capabilities(cx));
    }
    meta
}

/// What whoever is behind a request can. A task is always taken: by omni itself where the peer does not.
fn capabilities(cx: &CallContext) -> Value {
    let mut capabilities = cx.peer.can().to_json();
    capabilities["extensions"] = json!({ TASKS: {} });
    capabilities
}

/// What kind of answer a result is (2026-07-28 says so in it).
pub(super) fn reply(raw: Box<RawValue>) -> Result<McpReply, McpError> {
    #[derive(Deserialize)]
    struct Kind<'a> {
        #[serde(rename = "resultType", borrow, default)]
        kind: Option<std::borrow::Cow<'a, str>>,
    }
    let kind: Kind<'_> = serde_json::from_str(raw.get()).map_err(|error| protocol(&error))?;
    Ok(match kind.kind.as_deref() {
        Some("input_required") => McpReply::InputRequired(raw),
        Some("task") => McpReply::Task(raw),
        _ => McpReply::Complete(raw),
    })
}
