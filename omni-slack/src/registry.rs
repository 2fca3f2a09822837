//! What this build of the bot ships: one row per implementation.

#[cfg(any(feature = "mcp-http", feature = "mcp-stdio"))]
use omni_core::mcp;
use omni_core::{Registry, audit, limit, llm, policy};

/// Every implementation under its feature.
#[must_use]
pub fn registry() -> Registry {
    let mut r = Registry::empty();
    llm::offline::register(&mut r);
    #[cfg(feature = "anthropic")]
    llm::anthropic::register(&mut r);
    #[cfg(feature = "openai")]
    llm::openai::register(&mut r);
    #[cfg(feature = "mcp-http")]
    mcp::http::register(&mut r);
    #[cfg(feature = "mcp-http")]
    mcp::sse::register(&mut r);
    #[cfg(feature = "mcp-stdio")]
    mcp::stdio::register(&mut r);
    policy::yaml::register(&mut r);
    policy::memory::register(&mut r);
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    policy::sql::register(&mut r);
    limit::memory::register(&mut r);
    #[cfg(feature = "redis")]
    limit::redis::register(&mut r);
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    limit::sql::register(&mut r);
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    audit::sql::register(&mut r);
    audit::jsonl::register(&mut r);
    audit::memory::register(&mut r);
    r
}
