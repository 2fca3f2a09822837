//! MCP servers over the legacy SSE transport.
