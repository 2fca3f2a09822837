//! omni as an MCP server: what its clients see, and what the ledger does.

mod clients;
mod http;
mod security;
mod stdio;
