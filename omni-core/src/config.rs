//! The configuration: the original's files, made live, and the embedded default where there is none.
//!
//! A [`Config`] is a value: files, `.env` and environment are read once, by [`Config::load`], and
//! nothing below it looks at the environment.

use std::{collections::BTreeMap, fmt, path::PathBuf, sync::Arc, time::Duration};

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value};

use self::spec::{PolicyMode, ToolPolicy};
use crate::{cost::PriceTable, ledger::SealKey, policy::SourceRef};

#[cfg(feature = "analytics")]
mod alone;
mod approvals;
mod cidr;
mod database;
mod dotenv;
mod egress;
mod error;
mod gateway;
mod http;
mod interpolate;
mod ledger;
mod limit;
mod lint;
mod llm;
mod load;
mod nearest;
mod oauth;
mod place;
mod process;
mod results;
pub(crate) mod search;
pub(crate) mod secrets;
pub(crate) mod security;
mod server;
mod servers;
mod shape;
mod show;
mod slack;
pub(crate) mod spec;
mod threading;
mod tools;
mod yaml;

pub use cidr::{Cidr, CidrError};
pub use database::DatabasePlace;
pub use egress::EgressConfig;
pub use error::ConfigError;
pub use gateway::GatewayConfig;
pub use http::{HttpConfig, SecurityMode};
pub(crate) use load::os_users;
pub(crate) use nearest::nearest;
pub use oauth::{OAuthConfig, OAuthGrant, TokensConfig};
pub use process::Process;
pub use security::{OidcConfig, OidcLoginConfig, ProxyConfig};
pub(crate) use server::ArgVariable;
pub use server::{PassThrough, ServerAuth, ServerConfig};
pub use slack::{
    ChannelRules, CommandRules, DiagnosticRules, SlackCommand, SlackConfig, SlackPlaceRules, SlackSchedule, SlackTask,
    SlackTemplates, UserInfoFormat, UserInfoRules,
};
pub use tools::ToolsConfig;
pub(crate) use yaml::{Lines, print as to_yaml};

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Good to know, such as a key of the original that is now enforced.
    Info,
    /// Works, and is probably not what was meant.
    Warning,
    /// Does not work.
    Error,
}

/// One finding about the configuration.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Diagnostic {
    /// How bad.
    pub severity: Severity,
    /// Where.
    pub source: Option<SourceRef>,
    /// The key's path, such as `mcps[0].tool_policy.mode`.
    pub key: String,
    /// What is wrong, and what to do about it.
    pub message: String,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(source) = &self.source {
            write!(f, "{source}: ")?;
        }
        if self.key.is_empty() { write!(f, "{}", self.message) } else { write!(f, "{}: {}", self.key, self.message) }
    }
}

/// Where to look for a configuration.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct LoadOptions {
    /// The directory (`--config`); `None` searches.
    pub dir: Option<PathBuf>,
    /// The process environment, as a value.
    pub env: BTreeMap<String, String>,
    /// The working directory.
    pub cwd: PathBuf,
    /// Whether warnings are errors.
    pub strict: bool,
    /// The operating system's name of whoever runs a service that may trust them.
    pub os_user: Option<String>,
    /// Where a service listens, in place of what the files say; see [`HttpConfig::with_bind`].
    pub bind: Option<String>,
}

impl LoadOptions {
    /// A search that starts in `cwd`, with the process environment `env`.
    #[must_use]
    pub fn new(env: BTreeMap<String, String>, cwd: impl Into<PathBuf>) -> Self {
        Self { env, cwd: cwd.into(), ..Self::default() }
    }

    /// Loads from this directory instead of searching.
    #[must_use]
    pub fn with_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.dir = Some(dir.into());
        self
    }

    /// Says who runs a service.
    #[must_use]
    pub fn with_os_user(mut self, os_user: impl Into<String>) -> Self {
        self.os_user = Some(os_user.into());
        self
    }

    /// Listens there, whatever the files say.
    #[must_use]
    pub fn with_bind(mut self, bind: Option<&str>) -> Self {
        self.bind = bind.map(str::to_owned);
        self
    }

    /// Makes warnings errors.
    #[must_use]
    pub fn with_strict(mut self, strict: bool) -> Self {
        self.strict = strict;
        self
    }
}

/// What a command needs of a configuration; see [`Config::require`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Need {
    /// The language model.
    Llm,
    /// The MCP servers.
    Servers,
    /// The ledger.
    Ledger,
    /// Who may do what.
    Policy,
}

/// The language model to use, as configuration and environment say together.
#[derive(Clone)]
#[non_exhaustive]
pub struct LlmConfig {
    /// The provider's kind.
    pub provider: String,
    /// Model id; aliases are resolved. `None` takes the provider's default.
    pub model: Option<String>,
    /// Base URL; `None` is the vendor's.
    pub base_url: Option<String>,
    /// API key.
    pub api_key: Option<SecretString>,
    /// API version header, where the vendor has one.
    pub api_version: Option<String>,
    /// Most output tokens of a turn.
    pub max_tokens: u32,
    /// How long until an answer begins, retries included, and how long it may be silent after that.
    pub timeout: Duration,
    /// Most retries before the first event, none of which is charged.
    pub max_retries: u32,
    /// Parameters put into every request as they are, such as `temperature`. Empty unless set.
    pub extra: Map<String, Value>,
    /// Prices that the operator set, over the known ones.
    pub prices: PriceTable,
}

impl LlmConfig {
    /// A provider with everything else at its default.
    #[must_use]
    pub fn new(provider: impl Into<String>) -> Self {
        Self {
            provider: provider.into(),
            model: None,
            base_url: None,
            api_key: None,
            api_version: None,
            max_tokens: 4_096,
            timeout: Duration::from_secs(60),
            max_retries: 3,
            extra: Map::new(),
            prices: PriceTable::default(),
        }
    }
}

/// Where the ledger goes, and how sure it must be.
#[derive(Clone)]
#[non_exhaustive]
pub struct AuditConfig {
    /// The store's kind: `sqlite`, `postgres`, `jsonl`, `memory`.
    pub kind: String,
    /// Its URL, or a path.
    pub url: String,
    /// The directory of the write-ahead file and the sealing key.
    pub dir: PathBuf,
    /// When a caller may see the end; `None` is [`Ack::Fsync`] for asks and [`Ack::Local`] for direct calls.
    pub ack: Option<Ack>,
    /// Whether asks are refused when the ledger cannot take them.
    pub required: bool,
    /// How many days records are kept; `None` is for ever. Rows that were there before omni stay.
    pub retention_days: Option<u32>,
    /// What seals the ledger; `None` is the directory's own key.
    pub key: Option<SealKey>,
    /// What sealed it elsewhere or before, and proves that.
    pub verify_keys: Vec<SealKey>,
    /// The database, once somebody has opened it.
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    pub(crate) shared: crate::people::Shared,
}

impl AuditConfig {
    /// A ledger with everything else at its default.
    #[must_use]
    pub fn new(kind: impl Into<String>, url: impl Into<String>, dir: impl Into<PathBuf>) -> Self {
        Self {
            kind: kind.into(),
            url: url.into(),
            dir: dir.into(),
            ack: None,
            required: true,
            retention_days: None,
            key: None,
            verify_keys: Vec::new(),
            #[cfg(any(feature = "sqlite", feature = "postgres"))]
            shared: Default::default(),
        }
    }

    /// The tables of its database, the same for whoever has this configuration or a clone of it.
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    pub(crate) fn tables(&self) -> crate::people::Tables {
        self.shared.at(&self.url)
    }
}

impl fmt::Debug for AuditConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuditConfig")
            .field("kind", &self.kind)
            .field("url", &show::without_password(&self.url))
            .field("dir", &self.dir)
            .field("ack", &self.ack)
            .field("required", &self.required)
            .field("retention_days", &self.retention_days)
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

/// How much of questions and answers the ledger keeps; always redacted and capped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StoreContent {
    /// All of it.
    #[default]
    Full,
    /// The first characters.
    Preview,
    /// Nothing.
    None,
}

/// How a service logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LogFormat {
    /// A JSON document a line.
    Json,
    /// For people.
    Console,
}

/// When a record counts as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Ack {
    /// In the operating system's hands: survives `kill -9`. Without a directory for the ledger, in memory alone.
    Local,
    /// On the disk: survives a power cut. Without a directory for the ledger as `Database`.
    Fsync,
    /// In the database.
    Database,
}

/// Everything that [`Omni`](crate::Omni) is built from.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
    /// The directory it came from; `None` is the embedded default.
    pub dir: Option<PathBuf>,
    /// The language model.
    pub llm: LlmConfig,
    /// The servers, in the order of the file.
    pub servers: Vec<ServerConfig>,
    /// The policy store's kind: `yaml`, `sql`, `memory` for the embedded default, or one of a program's own.
    pub policy_kind: String,
    /// The limiter's kind: `memory`, `redis`, `sql`, or one that an embedder registered.
    pub limiter_kind: String,
    /// Whether rates are limited; what may be spent is in any case.
    pub limits_enabled: bool,
    /// The Redis of the limiter `redis`.
    pub redis_url: Option<SecretString>,
    /// Whether asks go on when the limiter cannot be asked.
    pub limits_fail_open: bool,
    /// The ledger.
    pub audit: AuditConfig,
    /// How much of questions and answers it keeps.
    pub store_content: StoreContent,
    /// Where omni keeps its files.
    pub data_dir: PathBuf,
    /// `DEBUG`, `INFO`, `WARNING` or `ERROR`, where configuration or environment say.
    pub log_level: Option<String>,
    /// How a service logs, where configuration or environment say.
    pub log_format: Option<LogFormat>,
    /// What `APP_ENV` calls this deployment; `development` where it says nothing.
    pub environment: String,
    /// The HTTP door.
    pub http: HttpConfig,
    /// Bounds of every ask.
    pub bounds: crate::policy::AskBounds,
    /// What holds for tools, whatever server they are of.
    pub tools: ToolsConfig,
    /// Who may decide on calls that need a human, and how long they have.
    pub approvals: crate::confirm::ApprovalRules,
    /// What is kept of what tools returned, and how long.
    pub results: crate::results::ResultRules,
    /// Whose tokens are believed; `None`: nobody's.
    pub oidc: Option<OidcConfig>,
    /// Which proxies are believed; `None`: none.
    pub proxy: Option<ProxyConfig>,
    /// What questions bring along of what was said before.
    pub threading: crate::thread::ThreadRules,
    /// The Slack door.
    pub slack: SlackConfig,
    /// What may be asked that servers and issuers name.
    pub egress: EgressConfig,
    /// Where the tokens of servers are kept.
    pub tokens: TokensConfig,
    /// Subjects by operating-system user.
    pub os_users: BTreeMap<String, String>,
    /// What the loader noticed; never an error.
    pub diagnostics: Vec<Diagnostic>,
    /// The files as they were parsed, for the policy and for `config show`.
    pub files: Arc<ConfigFiles>,
}

/// The files as they were parsed.
#[derive(Clone, Default)]
pub struct ConfigFiles {
    pub(crate) settings: spec::SettingsSpec,
    pub(crate) mcps: spec::McpsSpec,
    pub(crate) mcps_lines: Lines,
    /// `None` where there is no `users.yaml`.
    pub(crate) users: Option<spec::UsersSpec>,
    pub(crate) users_lines: Lines,
    pub(crate) slack: spec::SlackSpec,
    pub(crate) slack_lines: Lines,
    /// What is wrong as soon as something is needed.
    pub(crate) problems: Vec<Problem>,
}

/// Something that is wrong for those who need it.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    pub(crate) need: Need,
    pub(crate) finding: Diagnostic,
}

impl Config {
    /// Makes sure of what a command is about to use. Loading does not: a command that needs no
    /// language model works without the key of one.
    ///
    /// # Errors
    /// What is wrong with it, with file and line.
    pub fn require(&self, need: Need) -> Result<(), ConfigError> {
        let problems = self.files.problems.iter().filter(|problem| problem.need == need);
        one_or_several(
            problems.map(|problem| Diagnostic { severity: Severity::Error, ..problem.finding.clone() }).collect(),
        )
    }

    /// The address of whoever has this id in Slack.
    pub(crate) fn slack_user(&self, slack_id: &str) -> Option<String> {
        let users = self.files.users.as_ref()?;
        let mut people = users.super_admins.iter().chain(&users.users);
        let person = people.find(|person| person.slack_user_id.as_deref() == Some(slack_id))?;
        Some(person.email.trim().to_lowercase())
    }

    /// The id in Slack of whoever has this address.
    pub(crate) fn slack_id(&self, email: &str) -> Option<String> {
        let users = self.files.users.as_ref()?;
        let mut people = users.super_admins.iter().chain(&users.users);
        people.find(|person| person.email.trim().to_lowercase() == email)?.slack_user_id.clone()
    }

    /// Everybody whom `users.yaml` names, in lower case.
    pub(crate) fn named_people(&self) -> impl Iterator<Item = String> {
        let people = self.files.users.iter().flat_map(|users| users.super_admins.iter().chain(&users.users));
        people.map(|person| person.email.trim().to_lowercase())
    }

    /// What `tool_policy` makes of a server: the mode's name, and how many patterns it excludes.
    pub(crate) fn tool_policy(&self, server: &str) -> (&'static str, usize) {
        let spec = self.files.mcps.mcps.iter().find(|spec| spec.name == server);
        match spec.and_then(|spec| spec.tool_policy.as_ref()) {
            Some(ToolPolicy::Mode(mode)) => (mode.name(), 0),
            Some(ToolPolicy::Rules(rules)) => (rules.mode.name(), rules.exclude.len()),
            None => (PolicyMode::All.name(), 0),
        }
    }

    /// Whether requests are counted in the same place.
    pub(crate) fn counts_like(&self, other: &Self) -> bool {
        let redis = |config: &Self| config.redis_url.as_ref().map(|url| url.expose_secret().to_owned());
        self.limiter_kind == other.limiter_kind && redis(self) == redis(other)
    }
}

/// An error of all findings, if there are any.
fn one_or_several(mut findings: Vec<Diagnostic>) -> Result<(), ConfigError> {
    match findings.len() {
        0 => Ok(()),
        1 => Err(findings.remove(0).into()),
        _ => Err(ConfigError::Several { findings }),
    }
}

#[cfg(test)]
mod tests;
