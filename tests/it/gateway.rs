//! omni as an MCP server: what its clients see, and what the ledger does.

mod clients;
mod conformance;
mod http;
mod pairs;
mod per_user;
mod records;
mod security;
mod stdio;
mod subscriptions;
