//! MCP servers in this process.
