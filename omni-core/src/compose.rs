//! The one place where configuration and registry become objects, in the order of the pipeline.

use std::sync::Arc;

use crate::{
    builder::OmniBuilder,
    config::{Config, Need, ServerConfig},
    error::Error,
    identity::Authenticator,
    limit::{fail_open::FailOpen, unlimited::Unlimited},
    llm::LlmProvider,
    omni::Omni,
    registry::{BuildError, Registry},
};

impl Omni {
    /// Builds what the configuration describes, out of what the registry has. Connects to no server
    /// yet. Must be called within a Tokio runtime.
    ///
    /// # Errors
    /// When a kind is not in this build or a part cannot be built from its configuration; the
    /// message says which, and what to do.
    pub async fn from_config(config: &Config, registry: &Registry) -> Result<Self, Error> {
        config.require(Need::Policy)?;
        config.require(Need::Ledger)?;
        if !config.servers.is_empty() {
            config.require(Need::Servers)?;
        }
        let shared = Arc::new(config.clone());
        let mut builder = Self::builder()
            .authenticator(authenticator(config))
            .policy(registry.policies.build(&config.policy_kind, shared.clone()).await?);
        builder = match llm(config, registry).await {
            Ok(llm) => builder.llm(llm),
            // What needs no model works without one; an ask says what is missing.
            Err(error) => builder.without_llm(error),
        };
        builder = limiter(builder, config, &shared, registry).await?;
        for server in &config.servers {
            builder = add_server(builder, server, registry).await?;
        }
        builder = builder
            .bounds(config.bounds.clone())
            .max_output(config.llm.max_tokens)
            .llm_extra(config.llm.extra.clone())
            .redactor(config.redactor())
            .audit(registry.sinks.build(&config.audit.kind, config.audit.clone()).await?)
            .ledger_dir(&config.audit.dir)
            .ledger_content(config.store_content)
            .ledger_required(config.audit.required);
        match config.audit.ack {
            Some(ack) => builder.ledger_ack(ack).build().await,
            None => builder.build().await,
        }
    }
}

async fn llm(config: &Config, registry: &Registry) -> Result<Arc<dyn LlmProvider>, Error> {
    config.require(Need::Llm)?;
    Ok(registry.llm.build(&config.llm.provider, config.llm.clone()).await?)
}

async fn limiter(
    builder: OmniBuilder,
    config: &Config,
    shared: &Arc<Config>,
    registry: &Registry,
) -> Result<OmniBuilder, Error> {
    if !config.limits_enabled {
        return Ok(builder.limiter(Unlimited));
    }
    let limiter = registry.limiters.build(&config.limiter_kind, shared.clone()).await?;
    Ok(if config.limits_fail_open { builder.limiter(FailOpen::new(limiter)) } else { builder.limiter(limiter) })
}

/// Whoever can read config and database may act as anybody: they are root here anyway.
fn authenticator(config: &Config) -> Authenticator {
    let mapped = config.os_users.iter();
    mapped.fold(Authenticator::new().with_local_act_as(), |authenticator, (os_user, subject)| {
        authenticator.with_os_user(os_user, subject)
    })
}

async fn add_server(builder: OmniBuilder, server: &ServerConfig, registry: &Registry) -> Result<OmniBuilder, Error> {
    let connector = match registry.transports.build(&server.kind, server.clone()).await {
        Ok(connector) => connector,
        // One that is switched off need not be complete.
        Err(error) if !server.options.enabled => {
            tracing::debug!(server = server.name, %error, "a disabled server is left out");
            return Ok(builder);
        }
        Err(error) => return Err(located(server, error).into()),
    };
    Ok(builder.server_with(&server.name, connector, server.options.clone()))
}

fn located(server: &ServerConfig, error: BuildError) -> BuildError {
    match error {
        BuildError::Invalid { message } => {
            let place = server.source.as_ref().map(|source| format!("{source}: ")).unwrap_or_default();
            BuildError::Invalid { message: format!("{place}server {}: {message}", server.name) }
        }
        unknown @ BuildError::UnknownKind { .. } => unknown,
    }
}
