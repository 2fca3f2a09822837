//! Everything that a build has: one row per implementation.

use super::Registry;
#[cfg(any(feature = "mcp-http", feature = "mcp-stdio"))]
use crate::mcp;
use crate::{audit, limit, llm, policy};

impl Registry {
    /// Every implementation of this crate, each under its feature. A program adds what is its own.
    #[must_use]
    pub fn full() -> Self {
        let mut r = Self::empty();
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
        #[cfg(all(feature = "analytics", any(feature = "sqlite", feature = "postgres")))]
        crate::analytics::register(&mut r);
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_full_registry_has_what_this_build_has_and_nothing_else() {
        let full = Registry::full();
        let of = |all: &[(&str, bool)]| -> Vec<String> {
            all.iter().filter(|(_, is_built)| *is_built).map(|(kind, _)| (*kind).to_owned()).collect()
        };
        let is_sql = cfg!(any(feature = "sqlite", feature = "postgres"));
        let llm = [("anthropic", cfg!(feature = "anthropic")), ("offline", true), ("openai", cfg!(feature = "openai"))];
        assert_eq!(full.llm.kinds(), of(&llm));
        let (is_http, is_stdio) = (cfg!(feature = "mcp-http"), cfg!(feature = "mcp-stdio"));
        assert_eq!(full.transports.kinds(), of(&[("http", is_http), ("sse", is_http), ("stdio", is_stdio)]));
        assert_eq!(full.builtins.kinds().is_empty(), !(is_sql && cfg!(feature = "analytics")));
        assert_eq!(full.policies.kinds(), of(&[("memory", true), ("sql", is_sql), ("yaml", true)]));
        let limiters = [("memory", true), ("redis", cfg!(feature = "redis")), ("sql", is_sql)];
        assert_eq!(full.limiters.kinds(), of(&limiters));
        let audit = [
            ("jsonl", true),
            ("memory", true),
            ("postgres", cfg!(feature = "postgres")),
            ("sqlite", cfg!(feature = "sqlite")),
        ];
        assert_eq!(full.audit.kinds(), of(&audit));
    }
}
