//! MCP servers as child processes.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use async_trait::async_trait;
use secrecy::SecretString;
use tokio::time::{Instant, timeout_at};

use super::{
    CallContext, Connector, McpError, McpTransport,
    client::{Client, Lifecycle, millis, refused},
    lines::Lines,
    tap::{Reach, Tap},
};
use crate::{
    config::{
        ServerConfig,
        secrets::{of_process, of_server},
    },
    redact::Redactor,
    registry::{BuildError, Registry},
};

mod process;
mod stderr;

/// A server that is started as a child process: its own process group, an environment of its own,
/// gone with its last descendant when the connection ends, and when this process does.
#[derive(Debug, Clone)]
pub struct StdioServer {
    command: String,
    args: Vec<String>,
    env: BTreeMap<String, SecretString>,
    cwd: Option<PathBuf>,
    /// Knows the secrets of the configuration.
    known: Redactor,
}

impl StdioServer {
    /// A server from its program. It has an empty environment: see [`Self::with_base_env`].
    #[must_use]
    pub fn new(command: impl Into<String>) -> Self {
        let (args, env) = (Vec::new(), BTreeMap::new());
        Self { command: command.into(), args, env, cwd: None, known: Redactor::new() }
    }

    /// The same with arguments.
    #[must_use]
    pub fn with_args<S: Into<String>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args = args.into_iter().map(Into::into).collect();
        self
    }

    /// The same with these variables more; they win over those set before.
    #[must_use]
    pub fn with_env(mut self, env: impl IntoIterator<Item = (String, SecretString)>) -> Self {
        self.env.extend(env);
        self
    }

    /// The same with those of `vars` that [`BASE_ENV`](super::BASE_ENV) allows, such as from [`std::env::vars`].
    #[must_use]
    pub fn with_base_env(self, vars: impl IntoIterator<Item = (String, String)>) -> Self {
        let allowed = vars.into_iter().filter(|(name, _)| super::BASE_ENV.contains(&name.as_str()));
        self.with_env(allowed.map(|(name, value)| (name, SecretString::from(value))))
    }

    /// The same in another working directory.
    #[must_use]
    pub fn with_cwd(mut self, cwd: impl Into<PathBuf>) -> Self {
        self.cwd = Some(cwd.into());
        self
    }

    /// The server of a configuration entry.
    ///
    /// # Errors
    /// [`BuildError::Invalid`] without `command`.
    pub fn from_config(config: ServerConfig) -> Result<Self, BuildError> {
        let known = knowing(Redactor::new(), &of_server(&config));
        let command = config.command.filter(|command| !command.trim().is_empty()).ok_or_else(|| {
            BuildError::invalid(format!("the server {:?} of kind stdio needs the key `command`", config.name))
        })?;
        Ok(Self { command, args: config.args, env: config.env, cwd: config.cwd, known })
    }

    /// Knows the secrets of the child's arguments and environment: a child may well print them when it fails.
    fn redactor(&self) -> Redactor {
        knowing(self.known.clone(), &of_process(&self.args, &self.env))
    }

    /// `initialize` comes first: every server that runs as a child knows it, some end at any other
    /// first request, and a child gains nothing from being stateless. One that answers with an
    /// error is started again and asked by `server/discover`.
    async fn start(&self, cx: &CallContext) -> Result<Client, McpError> {
        match self.begin(Lifecycle::Legacy, cx).await {
            Err(McpError::Rpc { .. }) => self.begin(Lifecycle::Modern, cx).await,
            other => other,
        }
    }

    async fn begin(&self, lifecycle: Lifecycle, cx: &CallContext) -> Result<Client, McpError> {
        let tap = Tap::new(self.redactor(), Reach::of(cx, Reach::Nobody));
        tap.hears();
        let (process, stdin, stdout) = process::spawn(self)?;
        Client::start(Lines::new(stdout, stdin, process, tap.clone()), tap, lifecycle).await
    }
}

fn knowing(redactor: Redactor, secrets: &[String]) -> Redactor {
    secrets.iter().fold(redactor, |redactor, secret| redactor.with_value(secret))
}

#[async_trait]
impl Connector for StdioServer {
    fn kind(&self) -> &'static str {
        "stdio"
    }

    async fn connect(&self, cx: &CallContext) -> Result<Arc<dyn McpTransport>, McpError> {
        let started = Instant::now();
        cx.must_be_shared()?;
        match timeout_at(cx.deadline, Box::pin(self.start(cx))).await {
            Ok(client) => Ok(Arc::new(client.map_err(|error| refused(error, &self.redactor()))?)),
            Err(_) => Err(McpError::Timeout { after_ms: millis(started.elapsed()) }),
        }
    }
}

/// Adds the kind `stdio`.
pub fn register(registry: &mut Registry) {
    registry.transports.register("stdio", |config| {
        Box::pin(async move { StdioServer::from_config(config).map(|server| Arc::new(server) as Arc<dyn Connector>) })
    });
}

#[cfg(test)]
mod tests;
