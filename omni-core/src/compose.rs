//! The one place where configuration and registry become objects, in the order of the pipeline.

use std::{
    collections::BTreeSet,
    sync::{Arc, atomic::Ordering},
};

#[cfg(feature = "oidc")]
use crate::identity::Oidc;
#[cfg(feature = "mcp-oauth")]
use crate::mcp::auth::OAuth;
use crate::{
    audit::AuditBackend,
    builder::OmniBuilder,
    config::{AuditConfig, Config, ConfigError, Need, ServerConfig},
    error::Error,
    identity::Authenticator,
    ledger::{SealKey, SealKeys},
    llm::LlmProvider,
    omni::Omni,
    policy::{LivePolicy, PolicyStore},
    registry::{BuildError, BuiltinContext, Registry},
};
#[cfg(any(feature = "sqlite", feature = "postgres"))]
use crate::{
    identity::{Keys, keys::sql::SqlKeys},
    pin::sql::SqlPins,
};

/// The kinds of policy that configuration files can name.
const POLICIES_OF_FILES: [&str; 3] = ["memory", "yaml", "sql"];

impl Omni {
    /// Builds what the configuration describes, out of what the registry has. Connects to no server
    /// yet. Must be called within a Tokio runtime.
    ///
    /// # Errors
    /// When a kind is not in this build or a part cannot be built from its configuration; the
    /// message says which, and what to do.
    pub async fn from_config(config: &Config, registry: &Registry) -> Result<Self, Error> {
        config.require(Need::Ledger)?;
        let shared = Arc::new(config.clone());
        let builder = described(&shared, registry, None).await?;
        let builder = threads(limiter(builder, &shared, registry).await?);
        let audit = ledger(config, registry).await?;
        let keys = config.audit.keys(SealKeys::load_or_create).map_err(Error::of_opening)?;
        builder.audit_backend(audit).ledger_dir(&config.audit.dir).ledger_keys(keys).build().await
    }

    /// Puts what another configuration describes in the place of what there is, for everything that
    /// begins from now on. All of it is built and checked first, then swapped at once; an error
    /// changes nothing. Running asks keep model, servers and tools that they began with, but every
    /// call of theirs is decided by the new policy too. Servers whose entries are the same keep
    /// their connections, and limits that are the same keep their counts.
    ///
    /// # Errors
    /// As of [`Omni::from_config`]; and when there is no directory any more where there was one.
    pub async fn reload(&self, config: &Config, registry: &Registry) -> Result<Reload, Error> {
        let _one_at_a_time = self.reloading().await;
        let old = self.parts();
        is_still_there(old.config.as_deref(), config)?;
        let mut config = config.clone();
        let reload = Reload::between(old.config.as_deref(), self.begun_with(), &config);
        if let Some(old) = &old.config {
            stay_until_restart(&mut config, old);
        }
        let config = Arc::new(config);
        let keeps_limits = old.config.as_ref().is_some_and(|old| old.counts_like(&config));
        let live = old.live.policy.clone();
        let mut builder = described(&config, registry, Some(live)).await?;
        if !keeps_limits {
            builder = limiter(builder, &config, registry).await?;
        }
        let parts = builder.succeed(&old, &reload.kept(&config), keeps_limits)?;
        if old.live.is_started.load(Ordering::Acquire) {
            parts.start().await?;
        }
        // Whom only the database knows would be refused until it was looked into for the first time.
        parts.policy.refresh().await?;
        parts.ledger.keep(parts.redactor.clone(), config.store_content);
        self.replace_parts(parts);
        Ok(reload)
    }
}

/// Puts back what [`Reload::between`] says waits for a restart, as far as anything is built of it.
fn stay_until_restart(config: &mut Config, old: &Config) {
    // The database stays the one that the ledger writes to, for people and keys as well, and so does the directory.
    config.data_dir.clone_from(&old.data_dir);
    config.audit = AuditConfig { ack: config.audit.ack, ..old.audit.clone() };
    config.tokens.clone_from(&old.tokens);
    config.egress.clone_from(&old.egress);
    // A policy of a program's own is named by that program, and by no file.
    if !POLICIES_OF_FILES.contains(&&*old.policy_kind) {
        config.policy_kind.clone_from(&old.policy_kind);
    }
    if let Some(oidc) = &mut config.oidc {
        oidc.egress.clone_from(old.oidc.as_ref().map_or(&old.egress, |oidc| &oidc.egress));
    }
}

/// Where there are no files everybody at this machine may do everything: right for whoever never had any.
fn is_still_there(old: Option<&Config>, new: &Config) -> Result<(), ConfigError> {
    match old.and_then(|old| old.dir.as_ref()) {
        Some(dir) if new.dir.is_none() => {
            Err(ConfigError::Read { path: dir.display().to_string(), message: "it is not found any more".into() })
        }
        Some(_) | None => Ok(()),
    }
}

/// What a reload changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reload {
    /// Servers that are new or whose entries changed: they are connected anew.
    pub servers: BTreeSet<String>,
    /// Settings that changed and count only after a restart.
    pub after_restart: Vec<&'static str>,
}

impl Reload {
    /// `begun` is what the process began with: what counts only after a restart stays so, whatever is reloaded meanwhile.
    fn between(old: Option<&Config>, begun: Option<&Config>, new: &Config) -> Self {
        let (Some(old), Some(begun)) = (old, begun) else {
            return Self { servers: names(new).collect(), ..Self::default() };
        };
        let same = |server: &&ServerConfig| old.servers.iter().any(|known| known.is_same(server));
        let servers = new.servers.iter().filter(|server| !same(server)).map(|server| server.name.clone());
        let id = |key: &Option<SealKey>| key.as_ref().map(SealKey::id);
        let ids = |keys: &[SealKey]| keys.iter().map(SealKey::id).collect::<Vec<_>>();
        let ledger = [
            ("app, http, mcp_gateway, security.mode", begun.http != new.http),
            ("database.url", begun.audit.url != new.audit.url || begun.audit.kind != new.audit.kind),
            ("data_dir", begun.audit.dir != new.audit.dir),
            ("security.egress", begun.egress != new.egress),
            ("security.token_store", begun.tokens.in_database != new.tokens.in_database),
            ("security.secret_key", id(&begun.tokens.key) != id(&new.tokens.key)),
            ("audit.key", id(&begun.audit.key) != id(&new.audit.key)),
            ("audit.verify_keys", ids(&begun.audit.verify_keys) != ids(&new.audit.verify_keys)),
            ("audit.required", begun.audit.required != new.audit.required),
            ("audit.retention_days", begun.audit.retention_days != new.audit.retention_days),
        ];
        let after_restart = ledger.into_iter().filter_map(|(key, changed)| changed.then_some(key));
        Self { servers: servers.collect(), after_restart: after_restart.collect() }
    }

    fn kept(&self, config: &Config) -> BTreeSet<String> {
        names(config).filter(|name| !self.servers.contains(name)).collect()
    }
}

fn names(config: &Config) -> impl Iterator<Item = String> {
    config.servers.iter().map(|server| server.name.clone())
}

/// The policy that a configuration describes, for whoever asks nothing else of it.
///
/// # Errors
/// What is wrong with what the files say of people and rules, or that this build has no such policy.
pub async fn policy_store(config: &Arc<Config>, registry: &Registry) -> Result<Arc<dyn PolicyStore>, Error> {
    config.require(Need::Policy)?;
    Ok(registry.policies.build(&config.policy_kind, config.clone()).await?)
}

/// The store of a configuration's ledger, for those who have its database and its key anyway and so need no policy.
///
/// # Errors
/// What is wrong with where the ledger is, or that this build has no such store.
pub async fn ledger_store(config: &Config, registry: &Registry) -> Result<AuditBackend, Error> {
    config.require(Need::Ledger)?;
    ledger(config, registry).await
}

async fn ledger(config: &Config, registry: &Registry) -> Result<AuditBackend, Error> {
    Ok(registry.audit.build(&config.audit.kind, config.audit.clone()).await?)
}

/// Everything but limiter and sink, which a reload may keep.
async fn described(config: &Arc<Config>, registry: &Registry, live: Option<LivePolicy>) -> Result<OmniBuilder, Error> {
    let policy = policy_store(config, registry).await?;
    if !config.servers.is_empty() {
        config.require(Need::Servers)?;
    }
    let mut builder = people(Omni::builder(), config)?.policy(policy);
    if let Some(live) = live {
        builder = builder.with_live_policy(live);
    }
    builder = match llm(config, registry).await {
        Ok(llm) => builder.llm(llm),
        // What needs no model works without one; an ask says what is missing.
        Err(error) => builder.without_llm(error),
    };
    for server in &config.servers {
        let server = with_credentials(config, server.clone())?;
        builder = Box::pin(add_server(builder, server, config, registry)).await?;
    }
    let builder = builder
        .config(config.clone())
        .bounds(config.bounds.clone())
        .thread_rules(config.threading.clone())
        .approvals(config.approvals.clone())
        .result_rules(config.results)
        .tools(config.tools)
        .limits_fail_open(config.limits_fail_open)
        .max_output(config.llm.max_tokens)
        .llm_extra(config.llm.extra.clone())
        .redactor(config.redactor())
        .ledger_content(config.store_content)
        .ledger_required(config.audit.required)
        .retention_days(config.audit.retention_days);
    Ok(match config.audit.ack {
        Some(ack) => builder.ledger_ack(ack),
        None => builder,
    })
}

async fn llm(config: &Config, registry: &Registry) -> Result<Arc<dyn LlmProvider>, Error> {
    config.require(Need::Llm)?;
    Ok(registry.llm.build(&config.llm.provider, config.llm.clone()).await?)
}

async fn limiter(builder: OmniBuilder, config: &Arc<Config>, registry: &Registry) -> Result<OmniBuilder, Error> {
    Ok(builder.limiter(registry.limiters.build(&config.limiter_kind, config.clone()).await?))
}

/// Conversations, what tools returned, asks that wait for a human and how servers did are kept where people and keys
/// are, or else in memory; what frontends keep of their own, there or nowhere.
#[cfg(any(feature = "sqlite", feature = "postgres"))]
fn threads(builder: OmniBuilder) -> OmniBuilder {
    match builder.tables().cloned() {
        Some(tables) => builder
            .threads(crate::thread::sql::SqlThreads::new(tables.clone()))
            .runs(crate::confirm::sql::SqlRuns::new(tables.clone()))
            .results(crate::results::sql::SqlResults::new(tables.clone()))
            .kept(crate::kept::sql::SqlKept::new(tables.clone()))
            .uptime(crate::uptime::sql::SqlUptime::new(tables)),
        None => builder,
    }
}

#[cfg(not(any(feature = "sqlite", feature = "postgres")))]
fn threads(builder: OmniBuilder) -> OmniBuilder {
    builder
}

/// Who credentials belong to: people at the terminal and whom an issuer or a proxy vouches for, and
/// keys where there is a database.
fn people(builder: OmniBuilder, config: &Config) -> Result<OmniBuilder, BuildError> {
    let authenticator = with_providers(authenticator(config), config)?;
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    if let Some(tables) = crate::people::Tables::of_config(config) {
        let keys = Keys::new(SqlKeys::new(tables.clone()));
        let pins = SqlPins::new(tables.clone());
        return Ok(builder.authenticator(authenticator.with_keys(keys)).pins(pins).people(tables));
    }
    Ok(builder.authenticator(authenticator))
}

/// With those who know people by other means than omni's own.
fn with_providers(mut authenticator: Authenticator, config: &Config) -> Result<Authenticator, BuildError> {
    if let Some(proxy) = &config.proxy {
        authenticator = authenticator.with_proxy(proxy.clone());
    }
    let Some(oidc) = &config.oidc else { return Ok(authenticator) };
    #[cfg(feature = "oidc")]
    return Ok(authenticator.with_oidc(Oidc::new(oidc.clone())?));
    #[cfg(not(feature = "oidc"))]
    Err(BuildError::invalid(format!("this build knows no tokens, and security.oidc wants those of {}", oidc.issuer)))
}

/// Whoever can read config and database may act as anybody: they are root here anyway.
fn authenticator(config: &Config) -> Authenticator {
    let mapped = config.os_users.iter();
    mapped.fold(Authenticator::new().with_local_act_as(), |authenticator, (os_user, subject)| {
        authenticator.with_os_user(os_user, subject)
    })
}

/// The server with what its tokens come from, where it wants some.
#[cfg_attr(not(feature = "mcp-oauth"), allow(unused_mut, clippy::unnecessary_wraps, reason = "there are no tokens"))]
fn with_credentials(config: &Config, mut server: ServerConfig) -> Result<ServerConfig, BuildError> {
    #[cfg(feature = "mcp-oauth")]
    if let Some(oauth) = OAuth::of_config(config, &server)? {
        server.credentials = Some(Arc::new(oauth));
    }
    #[cfg(not(feature = "mcp-oauth"))]
    let _ = config;
    Ok(server)
}

async fn add_server(
    builder: OmniBuilder,
    server: ServerConfig,
    config: &Arc<Config>,
    registry: &Registry,
) -> Result<OmniBuilder, Error> {
    let built = match &server.builtin {
        Some(name) => {
            let context = BuiltinContext::new(server.clone(), config.clone(), builder.live_policy());
            registry.builtins.build(name, context).await
        }
        None => registry.transports.build(&server.kind, server.clone()).await,
    };
    let connector = match built {
        Ok(connector) => connector,
        // What nobody asked for is there where the build has it.
        Err(BuildError::UnknownKind { .. }) if server.builtin.is_some() && config.dir.is_none() => return Ok(builder),
        // One that is switched off need not be complete.
        Err(error) if !server.options.enabled => {
            tracing::debug!(server = server.name, %error, "a disabled server is left out");
            return Ok(builder);
        }
        Err(error) => return Err(located(&server, error).into()),
    };
    Ok(builder.server_with(server.name, connector, server.options))
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
