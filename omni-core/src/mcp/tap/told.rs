//! What a server says unasked, on its way to whoever listens.

use crate::mcp::McpEvent;

/// Something that was said, or was not heard.
#[derive(Debug, Clone)]
pub(in crate::mcp) enum Told {
    /// This.
    Event(McpEvent),
    /// For a while nobody heard what the server says: anything may have changed.
    Missed,
}
