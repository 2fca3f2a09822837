//! What this build of `omni` ships.

use omni_core::Registry;

/// Every implementation of the core, and what is this program's own.
#[must_use]
pub fn registry() -> Registry {
    let registry = Registry::full();
    #[cfg(feature = "demo")]
    let registry = {
        let mut registry = registry;
        crate::demo::register(&mut registry);
        registry
    };
    registry
}

/// The features that this build was made with.
#[must_use]
pub fn features() -> Vec<&'static str> {
    let all = [
        ("anthropic", cfg!(feature = "anthropic")),
        ("openai", cfg!(feature = "openai")),
        ("mcp-http", cfg!(feature = "mcp-http")),
        ("mcp-stdio", cfg!(feature = "mcp-stdio")),
        ("sqlite", cfg!(feature = "sqlite")),
        ("postgres", cfg!(feature = "postgres")),
        ("oidc", cfg!(feature = "oidc")),
        ("mcp-oauth", cfg!(feature = "mcp-oauth")),
        ("analytics", cfg!(feature = "analytics")),
        ("demo", cfg!(feature = "demo")),
        ("serve", cfg!(feature = "serve")),
        ("slack", cfg!(feature = "slack")),
    ];
    all.into_iter().filter_map(|(name, on)| on.then_some(name)).collect()
}
