//! What goes wrong, in the words of the protocol.

use rmcp::model::{CallToolResult, ContentBlock, ErrorCode, ErrorData};
use serde_json::json;

use crate::{
    error::{Error, ErrorKind},
    mcp::McpError,
};

/// The one answer for a tool that does not exist, and for one that the caller may not use.
fn unknown_tool(name: &str) -> ErrorData {
    ErrorData::invalid_params(format!("Unknown tool: {name}"), None)
}

/// A server's answer is not what the protocol says.
pub(super) fn not_understood() -> ErrorData {
    ErrorData::internal_error("the server's answer is not understood", None)
}

/// How a call ends that was not carried out: in a result where the model can act on it, else in an error.
pub(super) fn of_call(error: &Error, name: &str) -> Result<CallToolResult, ErrorData> {
    match error {
        Error::UnknownTool { .. } => Err(unknown_tool(name)),
        Error::Server { source: McpError::Rpc { .. }, .. }
        | Error::Auth(_)
        | Error::Policy(_)
        | Error::Internal { .. } => Err(of(error)),
        other => Ok(in_words(&other.public_message())),
    }
}

/// A failure that the model reads.
pub(super) fn in_words(message: &str) -> CallToolResult {
    CallToolResult::error(vec![ContentBlock::text(message)])
}

/// There is no such resource, or not for this caller.
pub(super) fn no_resource(uri: &str) -> ErrorData {
    ErrorData::resource_not_found("Resource not found", Some(json!({ "uri": uri })))
}

/// The same for a resource: one that is not there is told as the protocol wants it.
pub(super) fn of_resource(error: &Error, uri: &str) -> ErrorData {
    match error {
        Error::NotFound { .. } => no_resource(uri),
        other => {
            let mut told = of(other);
            if matches!(other, Error::Server { source: McpError::Rpc { .. }, .. }) {
                told.data.get_or_insert_with(|| json!({ "uri": uri }));
            }
            told
        }
    }
}

/// An error of any other request. What a server says goes on in its own words and with its own code.
pub(super) fn of(error: &Error) -> ErrorData {
    if let Error::Server { source: McpError::Rpc { code, message, data }, .. } = error {
        let code = i32::try_from(*code).map_or(ErrorCode::INTERNAL_ERROR, ErrorCode);
        return ErrorData::new(code, message.clone(), data.as_deref().cloned());
    }
    if matches!(error, Error::Internal { .. }) {
        tracing::error!(%error, "a request of the gateway's failed");
    }
    let message = error.public_message();
    match error.kind() {
        ErrorKind::Invalid | ErrorKind::NotFound => ErrorData::invalid_params(message, None),
        ErrorKind::Unauthenticated | ErrorKind::Denied | ErrorKind::RateLimited | ErrorKind::Conflict => {
            ErrorData::invalid_request(message, None)
        }
        ErrorKind::Config | ErrorKind::Timeout | ErrorKind::Unavailable | ErrorKind::Cancelled | ErrorKind::Failed => {
            ErrorData::internal_error(message, None)
        }
    }
}
