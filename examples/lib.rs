//! Samples that embedders copy: `cargo run -p omni-examples --example embed`.
//!
//! * `embed.rs`: one question through one MCP server
//! * `stream.rs`: the answer as it comes, event by event
//! * `custom_provider.rs`: a language model of your own
//! * `custom_policy.rs`: a policy of your own
//! * `http.rs`: omni's own endpoints in a service of yours

/// The README's sample compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
