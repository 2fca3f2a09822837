//! The short way: a request whose client can be asked nothing in the middle of it needs no transport that holds a
//! conversation. Its answer is one JSON text, in which a tool's result stands as its server sent it; where a server
//! logs before it answers, it is a stream.

use std::convert::Infallible;

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use futures::{FutureExt as _, StreamExt as _, future::ready, stream};
use omni_core::gateway::{Gateway, Logs, PlainCall, PlainResult, Visitor};
use serde_json::{Map, Value, json};
use tokio::select;

use super::{
    METHOD, NAME, PROTOCOL_VERSION,
    envelope::Message,
    sessions::{Running, Stay},
};

/// The revision that knows no sessions.
const STATELESS: &str = "2026-07-28";
/// The revisions with sessions.
const WITH_SESSIONS: [&str; 3] = ["2025-03-26", "2025-06-18", "2025-11-25"];
/// What a client says of itself with every request since 2026-07-28.
const VERSION: &str = "io.modelcontextprotocol/protocolVersion";
const CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
const CLIENT: &str = "io.modelcontextprotocol/clientInfo";
/// What makes a request one with which the client wants to hear more than its answer.
const WANTS_MORE: [&str; 2] = ["progressToken", "io.modelcontextprotocol/logLevel"];
/// JSON-RPC: there is no such method.
const METHOD_NOT_FOUND: i32 = -32_601;
/// MCP: the headers are unlike the body, the client lacks a capability, its revision is not spoken.
const BAD_REQUESTS: [i32; 3] = [-32_020, -32_021, -32_022];

const JSON: &str = "application/json";
const EVENTS: &str = "text/event-stream";

/// A request that goes the short way.
#[derive(Debug)]
pub(super) struct Plain {
    /// The client's own name of it, which no other may get.
    pub(super) id: Value,
    asks: Asks,
    is_new: bool,
}

#[derive(Debug)]
enum Asks {
    Call(PlainCall),
    List,
}

impl Plain {
    /// A request that can go the short way; `session` is the one that it belongs to, where it belongs to one. All
    /// others are given back.
    pub(super) fn of(headers: &HeaderMap, message: &mut Message, session: Option<&Stay>) -> Option<Self> {
        let is_list = match message.method()? {
            "tools/call" => false,
            "tools/list" => true,
            _ => return None,
        };
        let is_new = speaks(headers, message, session)?;
        let allowed: &[&str] = if is_list { &["_meta"] } else { &["_meta", "name", "arguments"] };
        let params = message.params();
        let fits = params.is_none_or(|params| params.keys().all(|key| allowed.contains(&&**key)));
        let is_object = |key: &str| params.and_then(|params| params.get(key)).is_none_or(Value::is_object);
        if !fits || !is_object("_meta") || !is_object("arguments") {
            return None;
        }
        let id = message.id().filter(|id| id.is_string() || id.is_i64() || id.is_u64())?.clone();
        let asks = if is_list { Asks::List } else { Asks::Call(call(message)?) };
        Some(Self { id, asks, is_new })
    }

    /// Carries it out. `running` is where its session has it, if it has one.
    pub(super) async fn answer(self, gateway: &Gateway, visitor: Visitor, running: Option<Running>) -> Response {
        let Self { id, asks, is_new } = self;
        let call = match asks {
            Asks::List => return whole(&id, &gateway.list_plain(&visitor, is_new).await, is_new),
            Asks::Call(call) => call,
        };
        // That the connection of a session's call is lost does not say that its client wants no answer.
        let until = running.map(Running::until_given_up);
        let (call, mut logs) = gateway.call_plain(visitor, call, is_new, until);
        // In a box: it may go on behind a stream.
        let mut call = call.boxed();
        select! {
            biased;
            Some(first) = logs.next() => {
                let first = event(&notification(first.get()));
                stream(id, call, logs, first)
            }
            // What the server logged before it answered comes before the answer.
            ended = &mut call => match logged(&mut logs) {
                logged if logged.is_empty() => whole(&id, &ended, is_new),
                logged => stream(id, ready(ended), logs, logged.into()),
            },
        }
    }
}

/// Which revision is spoken; `None` where it is not plain, or the client can be asked something.
fn speaks(headers: &HeaderMap, message: &Message, session: Option<&Stay>) -> Option<bool> {
    let text = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let is_json = text(header::CONTENT_TYPE).and_then(|kind| kind.split(';').next()).map(str::trim);
    let accepts = text(header::ACCEPT).unwrap_or_default();
    if !is_json?.eq_ignore_ascii_case(JSON) || !accepts.contains(JSON) || !accepts.contains(EVENTS) {
        return None;
    }
    let meta = message.params().and_then(|params| params.get("_meta")).and_then(Value::as_object);
    let told = |key: &str| meta.and_then(|meta| meta.get(key));
    if WANTS_MORE.iter().any(|key| told(key).is_some()) {
        return None;
    }
    let version = text(PROTOCOL_VERSION);
    if let Some(session) = session {
        let is_known = version.is_none_or(|version| WITH_SESSIONS.contains(&version));
        return (is_known && session.is_plain && told(VERSION).is_none()).then_some(false);
    }
    let is_named = message.method() != Some("tools/call") || headers.contains_key(NAME);
    let is_whole = headers.contains_key(METHOD) && is_named && told(CLIENT).is_some_and(Value::is_object);
    let is_asked_nothing = told(CAPABILITIES).and_then(Value::as_object).is_some_and(can_be_asked_nothing);
    let is_new = version == Some(STATELESS) && told(VERSION).and_then(Value::as_str) == version;
    (is_new && is_whole && is_asked_nothing).then_some(true)
}

/// Whether a client that can this can be asked nothing, and takes no answers but whole ones.
pub(super) fn can_be_asked_nothing(capabilities: &Map<String, Value>) -> bool {
    ["elicitation", "sampling", "roots", "tasks", "extensions"].iter().all(|name| !capabilities.contains_key(*name))
}

fn call(message: &mut Message) -> Option<PlainCall> {
    let params = message.params_mut()?;
    let mut taken = |key: &str| match params.remove(key) {
        Some(Value::Object(fields)) => Some(fields),
        _ => None,
    };
    let (arguments, meta) = (taken("arguments"), taken("_meta"));
    let name = params.get("name")?.as_str()?;
    Some(PlainCall::new(name).with(arguments, meta))
}

/// The answer as one text. Since 2026-07-28 the status says of some errors what they are.
fn whole(id: &Value, result: &PlainResult, is_new: bool) -> Response {
    let status = match result {
        Err(error) if is_new && BAD_REQUESTS.contains(&error.code.0) => StatusCode::BAD_REQUEST,
        Err(error) if is_new && error.code.0 == METHOD_NOT_FOUND => StatusCode::NOT_FOUND,
        Ok(_) | Err(_) => StatusCode::OK,
    };
    let headers = [(header::CONTENT_TYPE, HeaderValue::from_static(JSON))];
    (status, headers, response(id, result)).into_response()
}

/// What servers log, and in the end the answer.
fn stream(
    id: Value,
    call: impl Future<Output = PlainResult> + Send + Unpin + 'static,
    logs: Logs,
    first: Bytes,
) -> Response {
    let rest = stream::unfold(Some((id, call, logs)), |state| async move {
        let (id, mut call, mut logs) = state?;
        select! {
            biased;
            Some(log) = logs.next() => Some((event(&notification(log.get())), Some((id, call, logs)))),
            ended = &mut call => {
                let mut last = logged(&mut logs);
                last.extend_from_slice(&event(&response(&id, &ended)));
                Some((Bytes::from(last), None))
            }
        }
    });
    let events = stream::once(async move { first }).chain(rest).map(Ok::<_, Infallible>);
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(EVENTS)),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    (headers, Body::from_stream(events)).into_response()
}

/// The events of what was logged until now.
fn logged(logs: &mut Logs) -> Vec<u8> {
    let mut events = Vec::new();
    while let Some(log) = logs.next().now_or_never().flatten() {
        events.extend_from_slice(&event(&notification(log.get())));
    }
    events
}

fn response(id: &Value, result: &PlainResult) -> String {
    match result {
        Ok(result) => format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{}}}"#, result.get()),
        Err(error) => json!({ "jsonrpc": "2.0", "id": id, "error": error }).to_string(),
    }
}

fn notification(params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","method":"notifications/message","params":{params}}}"#)
}

/// One event. JSON may hold line ends between its parts, and an event has none in a line: of either kind.
fn event(text: &str) -> Bytes {
    let lines = text.split(['\r', '\n']).filter(|line| !line.is_empty());
    let lines: Vec<String> = lines.map(|line| format!("data: {line}\n")).collect();
    Bytes::from(lines.concat() + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_ends_of_every_kind_end_no_event() {
        let sent = event("{\r\n\"a\":\r1,\n\n\"b\":2}");
        assert_eq!(&sent[..], b"data: {\ndata: \"a\":\ndata: 1,\ndata: \"b\":2}\n\n");
    }
}
