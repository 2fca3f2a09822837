//! Contracts as test suites: every implementation of a trait runs the suite of its trait.
//!
//! A suite panics where a contract is broken. It needs a backend that answers, and what else its own doc says. It can
//! run against one that others use: all that it writes is under fresh random names, and unless its doc says so it
//! removes nothing of theirs that is not over. A suite called `shared_…` takes two of what it checks, over one backend.

mod audit;
mod audit_reader;
mod kept;
mod keys;
mod limit;
mod llm;
mod mcp;
mod pins;
mod policy;
mod results;
mod runs;
mod services;
mod threads;
#[cfg(feature = "mcp-oauth")]
mod tokens;
mod uptime;

pub use audit::{audit_sink_contract, sealed, sealed_days_ago, shared_audit_sink_contract};
pub use audit_reader::{audit_prune_contract, audit_reader_contract};
pub use kept::kept_store_contract;
pub use keys::key_store_contract;
pub use limit::{rate_limiter_contract, shared_limiter_contract};
pub use llm::{llm_fault_contract, llm_provider_contract};
pub use mcp::{McpContractServer, mcp_transport_contract};
pub use pins::pin_store_contract;
pub use policy::{POLICY_MCPS, POLICY_USERS, policy_change_contract, policy_store_contract};
pub use results::{result_store_contract, shared_result_store_contract};
pub use runs::{confirmation, run_store_contract, shared_run_store_contract};
#[cfg(feature = "postgres")]
pub use services::postgres_schema;
pub use services::redis;
pub use threads::{shared_thread_store_contract, thread_store_contract};
#[cfg(feature = "mcp-oauth")]
pub use tokens::{shared_token_store_contract, token_store_contract};
pub use uptime::uptime_store_contract;
