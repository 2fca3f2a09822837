//! What a build can be made of: a value that a frontend fills and an embedder may add to.

use std::{collections::BTreeMap, fmt, sync::Arc};

use futures::future::BoxFuture;

use crate::{
    audit::AuditBackend,
    config::{AuditConfig, Config, LlmConfig, ServerConfig},
    limit::RateLimiter,
    llm::LlmProvider,
    mcp::Connector,
    policy::{LivePolicy, PolicyStore},
};

mod full;

/// Why something could not be built from its configuration.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The kind is not in this build.
    #[error("unknown {what} {kind:?}; this build has: {}", known.join(", "))]
    UnknownKind {
        /// What was to be built: `LLM provider`, `MCP transport`, …
        what: &'static str,
        /// The kind asked for.
        kind: String,
        /// The kinds of this build.
        known: Vec<String>,
    },
    /// The configuration is not enough or not right for this kind.
    #[error("{message}")]
    Invalid {
        /// What is wrong, and what to do.
        message: String,
    },
}

impl BuildError {
    /// A configuration that does not fit.
    #[must_use]
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::Invalid { message: message.into() }
    }
}

type Factory<In, Out> = dyn Fn(In) -> BoxFuture<'static, Result<Out, BuildError>> + Send + Sync;

/// The kinds of one trait.
pub struct Kinds<In, Out> {
    what: &'static str,
    factories: BTreeMap<&'static str, Arc<Factory<In, Out>>>,
}

impl<In, Out> Kinds<In, Out> {
    fn new(what: &'static str) -> Self {
        Self { what, factories: BTreeMap::new() }
    }

    /// Adds a kind, or replaces it.
    pub fn register<F>(&mut self, kind: &'static str, factory: F)
    where
        F: Fn(In) -> BoxFuture<'static, Result<Out, BuildError>> + Send + Sync + 'static,
    {
        self.factories.insert(kind, Arc::new(factory));
    }

    /// Builds one.
    ///
    /// # Errors
    /// [`BuildError::UnknownKind`], or what the kind's factory says.
    pub async fn build(&self, kind: &str, input: In) -> Result<Out, BuildError> {
        let Some(factory) = self.factories.get(kind) else {
            return Err(BuildError::UnknownKind { what: self.what, kind: kind.into(), known: self.kinds() });
        };
        factory(input).await
    }

    /// The kinds of this build.
    #[must_use]
    pub fn kinds(&self) -> Vec<String> {
        self.factories.keys().map(ToString::to_string).collect()
    }
}

impl<In, Out> fmt::Debug for Kinds<In, Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kinds").field("what", &self.what).field("kinds", &self.kinds()).finish()
    }
}

/// What a server of the program's own is made with.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct BuiltinContext {
    /// Its entry in `mcps.yaml`.
    pub server: ServerConfig,
    /// The whole configuration.
    pub config: Arc<Config>,
    /// The policy of now, for servers that ask it themselves.
    pub policy: LivePolicy,
}

impl BuiltinContext {
    /// A server's entry, with what is around it.
    #[must_use]
    pub fn new(server: ServerConfig, config: Arc<Config>, policy: LivePolicy) -> Self {
        Self { server, config, policy }
    }
}

/// Every kind that a build has, by trait.
#[derive(Debug)]
pub struct Registry {
    /// Language models.
    pub llm: Kinds<LlmConfig, Arc<dyn LlmProvider>>,
    /// MCP transports.
    pub transports: Kinds<ServerConfig, Arc<dyn Connector>>,
    /// Servers of the program's own, in this process (`builtin` in `mcps.yaml`).
    pub builtins: Kinds<BuiltinContext, Arc<dyn Connector>>,
    /// Policy stores.
    pub policies: Kinds<Arc<Config>, Arc<dyn PolicyStore>>,
    /// Rate limiters.
    pub limiters: Kinds<Arc<Config>, Arc<dyn RateLimiter>>,
    /// Where the ledger goes, and how it is read.
    pub audit: Kinds<AuditConfig, AuditBackend>,
}

impl Registry {
    /// A registry without any kind; [`Registry::full`] has all.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            llm: Kinds::new("LLM provider"),
            transports: Kinds::new("MCP transport"),
            builtins: Kinds::new("built-in server"),
            policies: Kinds::new("policy store"),
            limiters: Kinds::new("rate limiter"),
            audit: Kinds::new("audit store"),
        }
    }
}
