//! omni as an MCP server: what its clients see, and what the ledger does.

mod clients;
mod conformance;
mod http;
mod pairs;
mod security;
mod stdio;
