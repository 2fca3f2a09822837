//! One binary for all integration tests: linking dominates on small machines.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "all of this is test code")]

mod mcp_http;
mod mcp_in_process;
mod mcp_modern;
mod mcp_real;
mod mcp_stdio;
