//! A message before anybody acts on it: it can be read in one way only, and what its headers say of it
//! is what it says itself. Whatever stands before omni may have gone by the headers.
//!
//! A request has one message. Batches, which 2025-03-26 alone has and the revisions after it took back, are refused for
//! every revision: a client that gets the error sends its messages one by one.

use axum::{
    Json,
    http::{HeaderMap, HeaderName, StatusCode},
    response::{IntoResponse, Response},
};
use serde_json::{Map, Value, json};

use super::{METHOD, NAME, PROTOCOL_VERSION, encoded};
use crate::extract::tree;

/// JSON-RPC: the message is no request.
const INVALID_REQUEST: i32 = -32_600;
/// JSON-RPC: the body is no JSON.
const PARSE_ERROR: i32 = -32_700;
/// MCP: the headers are unlike the body.
const HEADER_MISMATCH: i32 = -32_020;

/// The first revision in which headers say what the message does, and may say it in another form.
const IN_HEADERS_SINCE: &[u8] = b"2026-07-28";

/// What is not right with a message.
#[derive(Debug)]
pub(super) struct Refusal {
    code: i32,
    message: String,
    id: Value,
}

impl Refusal {
    fn body(self) -> Json<Value> {
        let Self { code, message, id } = self;
        Json(json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": message } }))
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (StatusCode::BAD_REQUEST, self.body()).into_response()
    }
}

/// A message that can be read in one way only.
#[derive(Debug)]
pub(super) struct Message(Map<String, Value>);

impl Message {
    pub(super) fn method(&self) -> Option<&str> {
        self.0.get("method")?.as_str()
    }

    pub(super) fn id(&self) -> Option<&Value> {
        self.0.get("id")
    }

    pub(super) fn params(&self) -> Option<&Map<String, Value>> {
        self.0.get("params")?.as_object()
    }

    pub(super) fn params_mut(&mut self) -> Option<&mut Map<String, Value>> {
        self.0.get_mut("params")?.as_object_mut()
    }

    /// The refusal of headers that are unlike it.
    pub(super) fn mismatch(&self, why: &str) -> Refusal {
        self.refusal(HEADER_MISMATCH, why)
    }

    /// The answer for whoever may not send it, in the form in which the gateway refuses what comes within a session.
    pub(super) fn denied(&self, why: &str) -> Response {
        self.refusal(INVALID_REQUEST, why).body().into_response()
    }

    fn refusal(&self, code: i32, why: &str) -> Refusal {
        let id = self.id().filter(|id| id.is_string() || id.is_number()).cloned().unwrap_or_default();
        Refusal { code, message: why.into(), id }
    }

    /// Whether its client says that it can be asked nothing.
    pub(super) fn is_of_plain_client(&self) -> bool {
        let capabilities = self.params().and_then(|params| params.get("capabilities")?.as_object());
        capabilities.is_some_and(super::plain::can_be_asked_nothing)
    }

    /// Whether it asks for a session.
    pub(super) fn begins_session(&self) -> bool {
        self.method() == Some("initialize")
    }
}

/// Reads the body of a request.
pub(super) fn read(headers: &HeaderMap, body: &[u8], depth: usize) -> Result<Message, Refusal> {
    let refused = |code, message, id| Refusal { code, message, id };
    let parsed = tree::parse(body, depth).map_err(|error| refused(PARSE_ERROR, error.to_string(), Value::Null))?;
    let Value::Object(message) = parsed else {
        return Err(refused(INVALID_REQUEST, "a message is one JSON object, and no batch".into(), Value::Null));
    };
    let message = Message(message);
    let method = message.method();
    let param = |name: &str| message.params().and_then(|params| params.get(name)?.as_str());
    let name = match method {
        Some("tools/call" | "prompts/get") => param("name"),
        Some("resources/read" | "resources/subscribe" | "resources/unsubscribe") => param("uri"),
        Some("tasks/get" | "tasks/update" | "tasks/cancel") => param("taskId"),
        _ => None,
    };
    for (header, own) in [(METHOD, method), (NAME, name)] {
        if !agrees(headers, &header, own) {
            return Err(message.mismatch(&format!("the header {header} is not what the message says")));
        }
    }
    Ok(message)
}

/// Whether a header is not there, or is there once and says the same. Only a name may stand in another form.
fn agrees(headers: &HeaderMap, name: &HeaderName, own: Option<&str>) -> bool {
    if *name == NAME && says_all_in_headers(headers) {
        return encoded::read(headers, name).is_ok_and(|says| says.is_none() || says.as_deref() == own);
    }
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return true };
    let Ok(value) = value.to_str() else { return false };
    values.next().is_none() && Some(value) == own
}

/// Whether a request is of a revision in which its headers say what its message does.
pub(super) fn says_all_in_headers(headers: &HeaderMap) -> bool {
    headers.get(PROTOCOL_VERSION).is_some_and(|version| version.as_bytes() >= IN_HEADERS_SINCE)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn code(headers: &[(&'static str, &'static str)], body: &str) -> Option<i32> {
        let headers = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        read(&headers, body.as_bytes(), 32).err().map(|refusal| refusal.code)
    }

    #[test]
    fn a_message_is_one_object_that_can_be_read_in_one_way() {
        let call = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo"}}"#;
        assert_eq!(code(&[], call), None);
        for (body, expected) in [
            (r#"{"method":"tools/call","method":"tools/list"}"#, PARSE_ERROR),
            (r#"{"params":{"name":"a","name":"b"}}"#, PARSE_ERROR),
            ("{", PARSE_ERROR),
            ("[]", INVALID_REQUEST),
            ("1", INVALID_REQUEST),
        ] {
            assert_eq!(code(&[], body), Some(expected), "{body}");
        }
    }

    #[test]
    fn headers_that_are_unlike_the_body_are_refused() {
        let call = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo"}}"#;
        let list = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
        assert_eq!(code(&[("mcp-method", "tools/call"), ("mcp-name", "echo")], call), None);
        for (headers, body) in [
            (&[("mcp-name", "drop")][..], call),
            (&[("mcp-method", "tools/list")], call),
            (&[("mcp-name", "echo")], list),
            (&[("mcp-name", "=?base64?ZWNobw==?=")], call),
            (&[("mcp-name", "=?base64?ZWNobw==?="), ("mcp-protocol-version", "2025-11-25")], call),
            (&[("mcp-method", "=?base64?eA==?="), ("mcp-protocol-version", "2026-07-28")], call),
        ] {
            assert_eq!(code(headers, body), Some(HEADER_MISMATCH), "{headers:?}");
        }
        for (name, is_echo) in [("=?base64?ZWNobw==?=", true), ("=?base64?ZHJvcA==?=", false), ("=?base64?!?=", false)]
        {
            let headers = [("mcp-name", name), ("mcp-protocol-version", "2026-07-28")];
            assert_eq!(code(&headers, call), (!is_echo).then_some(HEADER_MISMATCH), "{name}");
        }
        let twice = HeaderMap::from_iter([
            (HeaderName::from_static("mcp-name"), HeaderValue::from_static("echo")),
            (HeaderName::from_static("mcp-method"), HeaderValue::from_static("tools/call")),
        ]);
        let mut twice = twice;
        twice.append("mcp-name", HeaderValue::from_static("drop"));
        assert_eq!(read(&twice, call.as_bytes(), 32).unwrap_err().code, HEADER_MISMATCH);
    }
}
