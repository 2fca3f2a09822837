//! What goes wrong, in the words of the protocol.

use rmcp::model::{CallToolResult, ContentBlock, ErrorData};

use crate::error::{Error, ErrorKind};

/// The one answer for a tool that does not exist, and for one that the caller may not use.
pub(super) fn unknown_tool(name: &str) -> ErrorData {
    ErrorData::invalid_params(format!("Unknown tool: {name}"), None)
}

/// How a call ends that was not carried out: in a result where the model can act on it, else in an error.
pub(super) fn of_call(error: &Error, name: &str) -> Result<CallToolResult, ErrorData> {
    match error {
        Error::UnknownTool { .. } => Err(unknown_tool(name)),
        Error::Auth(_) | Error::Policy(_) | Error::Internal { .. } => Err(of(error)),
        other => Ok(CallToolResult::error(vec![ContentBlock::text(other.public_message())])),
    }
}

/// An error of any other request.
pub(super) fn of(error: &Error) -> ErrorData {
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
