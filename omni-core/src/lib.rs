//! One door between people, agents and many MCP servers.
//!
//! Whoever asks, by whichever door, passes one pipeline: identity → policy → limit → thread →
//! catalog → agent → tools → confirm → answer → settle → ledger. [`Omni`] is that pipeline;
//! every step is a module here.
//!
//! ```no_run
//! # async fn run() -> Result<(), omni_core::Error> {
//! use omni_core::{Ask, Omni, Principal};
//! use omni_core::llm::offline::Offline;
//!
//! let omni = Omni::builder()
//!     .llm(Offline::new())
//!     .build()
//!     .await?;
//! let answer = omni.ask(Ask::new(Principal::email("dba@company.com"), "What can you do?")).await?;
//! # let _ = answer.text;
//! # Ok(()) }
//! ```
//!
//! # Features
//!
//! | feature | brings |
//! |---|---|
//! | `anthropic` | the Anthropic Messages API as an [`LlmProvider`] |
//! | `openai` | any OpenAI-compatible Chat Completions API as an [`LlmProvider`] |
//! | `mcp-http` | MCP servers over streamable HTTP and legacy SSE |
//! | `mcp-oauth` | OAuth 2.1 for servers over HTTP: logins, client credentials, stored tokens |
//! | `mcp-stdio` | MCP servers as child processes |
//! | `sqlite` | ledger, conversations, parked runs and all other stores in SQLite |
//! | `postgres` | the same in PostgreSQL |
//! | `redis` | counts of limits in Redis: [`limit::redis`] |
//! | `watch` | a reload when the files of the configuration change |
//! | `oidc` | tokens of an OpenID Connect provider as credentials |
//! | `gateway` | omni itself as an MCP server: [`gateway::Gateway`] |
//! | `metrics` | what the pipeline counts, for any recorder of the crate `metrics` |
//! | `schedule` | when something is to happen again and again: [`schedule::When`] |
//! | `otel` | calls carry the trace that they are part of, where the program has OpenTelemetry |
//! | `analytics` | omni's own history as an MCP server ([`analytics`]); of use beside `sqlite` or `postgres` only |
//! | `testing` | public contract suites that every implementation of a trait must pass: [`testing`] |
//! | `net` | what builds HTTP clients ([`net`]); whatever needs it brings it |
//! | `full` | all of the above, `testing` too |
//!
//! All features are additive. `anthropic`, `openai`, `mcp-http`, `mcp-stdio` and `sqlite` are on by default, which brings
//! no web server, no Redis and no argument parser.

pub mod agent;
#[cfg(all(feature = "analytics", any(feature = "sqlite", feature = "postgres")))]
pub mod analytics;
pub mod answer;
pub mod ask;
pub mod audit;
pub mod builder;
mod call;
pub mod catalog;
mod clock;
pub mod compose;
pub mod config;
pub mod confirm;
pub mod cost;
mod csv;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub mod db;
pub mod elicit;
pub mod error;
pub mod feedback;
#[cfg(feature = "gateway")]
pub mod gateway;
mod hex;
pub mod identity;
pub mod kept;
pub mod ledger;
pub mod limit;
pub mod llm;
pub mod log;
mod loopback;
pub mod mcp;
pub mod metrics;
#[cfg(feature = "net")]
pub mod net;
#[cfg(any(feature = "mcp-oauth", feature = "oidc"))]
#[cfg_attr(
    not(all(feature = "mcp-oauth", feature = "oidc")),
    allow(dead_code, reason = "tokens for servers take other parts of it than people who log in")
)]
mod oauth;
pub mod omni;
mod parts;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub mod people;
pub mod pin;
pub mod policy;
pub mod redact;
pub mod registry;
pub mod reload;
pub mod results;
pub mod scan;
#[cfg(feature = "schedule")]
pub mod schedule;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod thread;
mod trace;
pub mod uptime;

pub use answer::{Answer, AnswerEvent, AnswerStream};
pub use ask::{Ask, Source};
pub use audit::AuditSink;
pub use builder::OmniBuilder;
pub use config::Config;
pub use error::{Error, ErrorKind};
pub use identity::Principal;
pub use limit::RateLimiter;
pub use llm::LlmProvider;
pub use mcp::McpTransport;
pub use omni::Omni;
pub use policy::PolicyStore;
pub use registry::Registry;
pub use secrecy::{ExposeSecret, SecretString};
pub use thread::ThreadStore;
