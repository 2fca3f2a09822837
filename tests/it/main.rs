//! One binary for all integration tests: linking dominates on small machines.
#![cfg(test)]

mod away;
mod calls;
mod chaos;
mod cli;
mod dangerous;
mod examples;
mod gateway;
mod http;
mod identity_providers;
mod invariants;
mod ledger;
mod limits_budget;
mod limits_program;
mod limits_rates;
mod limits_redis;
mod mcp_answers;
mod mcp_http;
mod mcp_in_process;
mod mcp_modern;
mod mcp_real;
mod mcp_sse;
mod mcp_stdio;
mod oidc;
mod pipeline;
mod policy_domains;
mod policy_speed;
mod readme;
mod real_ask;
mod reload;
mod revoked;
mod vendor_ask;
mod vendor_fake;
mod vendor_program;
