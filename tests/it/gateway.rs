//! omni as an MCP server: what its clients see, and what the ledger does.

mod asked;
mod clients;
mod conformance;
mod headers;
mod http;
mod metadata;
mod modern;
mod pairs;
mod per_user;
mod plain;
mod records;
mod security;
mod sessions;
mod stdio;
mod subscriptions;
mod tasks;
