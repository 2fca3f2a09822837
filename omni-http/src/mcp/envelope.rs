//! A message before anybody acts on it: it can be read in one way only, and what its headers say of it
//! is what it says itself. Whatever stands before omni may have gone by the headers.

use axum::{
    Json,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use crate::extract::tree;

/// JSON-RPC: the message is no request.
const INVALID_REQUEST: i32 = -32_600;
/// JSON-RPC: the body is no JSON.
const PARSE_ERROR: i32 = -32_700;
/// MCP: the headers are unlike the body.
const HEADER_MISMATCH: i32 = -32_020;

/// What is not right with a message.
#[derive(Debug)]
pub(super) struct Refusal {
    code: i32,
    message: String,
    id: Value,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let Self { code, message, id } = self;
        let body = json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": message } });
        (StatusCode::BAD_REQUEST, Json(body)).into_response()
    }
}

/// What is known of a message.
#[derive(Debug)]
pub(super) struct Message {
    method: Option<String>,
}

impl Message {
    /// Whether it asks for a session.
    pub(super) fn begins_session(&self) -> bool {
        self.method.as_deref() == Some("initialize")
    }
}

/// Reads the body of a request.
pub(super) fn read(headers: &HeaderMap, body: &[u8], depth: usize) -> Result<Message, Refusal> {
    let refused = |code, message, id| Refusal { code, message, id };
    let parsed = tree::parse(body, depth).map_err(|error| refused(PARSE_ERROR, error.to_string(), Value::Null))?;
    let Value::Object(message) = parsed else {
        return Err(refused(INVALID_REQUEST, "a message is one JSON object".into(), Value::Null));
    };
    let text = |name: &str| message.get(name).and_then(Value::as_str).map(str::to_owned);
    let method = text("method");
    let id = message.get("id").filter(|id| id.is_string() || id.is_number()).cloned().unwrap_or_default();
    let params = message.get("params");
    let param = |name: &str| params.and_then(|params| params.get(name)?.as_str());
    let name = match method.as_deref() {
        Some("tools/call" | "prompts/get") => param("name"),
        Some("resources/read" | "resources/subscribe" | "resources/unsubscribe") => param("uri"),
        Some("tasks/get" | "tasks/update" | "tasks/cancel") => param("taskId"),
        _ => None,
    };
    for (header, own) in [("mcp-method", method.as_deref()), ("mcp-name", name)] {
        if !agrees(headers, header, own) {
            return Err(refused(HEADER_MISMATCH, format!("the header {header} is not what the message says"), id));
        }
    }
    Ok(Message { method })
}

/// Whether a header is not there, or is there once and says the same. One that stands in another form is
/// left to whoever reads it, which is rmcp.
fn agrees(headers: &HeaderMap, name: &str, own: Option<&str>) -> bool {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return true };
    let Ok(value) = value.to_str() else { return false };
    let is_encoded = value.starts_with("=?base64?") && headers.contains_key("mcp-protocol-version");
    values.next().is_none() && (is_encoded || Some(value) == own)
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

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
        ] {
            assert_eq!(code(headers, body), Some(HEADER_MISMATCH), "{headers:?}");
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
