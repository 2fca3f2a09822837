//! What the server is told: which databases there are, and how much may be asked of them.

use std::{collections::BTreeMap, fmt};

use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use crate::Kind;

mod fill;
#[cfg(test)]
mod tests;

pub use fill::ConfigError;

/// A configuration file.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// The databases.
    #[serde(default)]
    pub databases: Vec<DatabaseConfig>,
    /// How much may be asked of each.
    #[serde(default)]
    pub limits: Limits,
    /// What is remembered of databases that keep no history.
    #[serde(default)]
    pub history: HistoryConfig,
    /// The HTTP form.
    #[serde(default)]
    pub http: HttpConfig,
}

/// One database.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct DatabaseConfig {
    /// What callers call it.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Where it is: `postgres://…`, `mysql://…`, `sqlite:PATH`, or Oracle's connect string (`//host:1521/service`).
    #[serde(deserialize_with = "fill::secret")]
    pub url: SecretString,
    /// The user, where it is not in the URL.
    #[serde(default)]
    pub user: Option<String>,
    /// The password, where it is not in the URL.
    #[serde(default, deserialize_with = "fill::optional_secret")]
    pub password: Option<SecretString>,
    /// What is in it, for whoever chooses among databases.
    #[serde(default)]
    pub description: String,
    /// Whether a query may be run to measure it (`EXPLAIN ANALYZE`), within a read-only transaction and the
    /// statement's time-out.
    #[serde(default)]
    pub explain_analyze: bool,
    /// SQLite files to attach, by the schema's name.
    #[serde(default)]
    pub attach: BTreeMap<String, String>,
    /// Kinds whose tools take this database too, by its own plan: for one that stands in for another.
    #[serde(default)]
    pub tools_of: Vec<Kind>,
}

impl DatabaseConfig {
    /// A database with nothing but what it must have.
    #[must_use]
    pub fn new(name: impl Into<String>, kind: Kind, url: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            kind,
            url: SecretString::from(url.into()),
            user: None,
            password: None,
            description: String::new(),
            explain_analyze: false,
            attach: BTreeMap::new(),
            tools_of: Vec::new(),
        }
    }

    /// The same with a description.
    #[must_use]
    pub fn with_description(mut self, description: impl Into<String>) -> Self {
        self.description = description.into();
        self
    }

    /// The same, with queries run to be measured.
    #[must_use]
    pub fn with_explain_analyze(mut self) -> Self {
        self.explain_analyze = true;
        self
    }

    /// The same with an attached SQLite file.
    #[must_use]
    pub fn with_attached(mut self, schema: impl Into<String>, path: impl Into<String>) -> Self {
        self.attach.insert(schema.into(), path.into());
        self
    }

    /// The same for the tools of other kinds too.
    #[must_use]
    pub fn with_tools_of(mut self, kinds: impl IntoIterator<Item = Kind>) -> Self {
        self.tools_of.extend(kinds);
        self
    }

    /// Whether the tools of `kind` take this database.
    #[must_use]
    pub fn answers_to(&self, kind: Kind) -> bool {
        self.kind == kind || self.tools_of.contains(&kind)
    }

    /// What must never be told: the password, and the URL's part that holds it.
    pub(crate) fn secrets(&self) -> Vec<String> {
        let url = self.url.expose_secret();
        let mut secrets = vec![url.to_owned()];
        if let Some((_, rest)) = url.split_once("://")
            && let Some((user, _)) = rest.rsplit_once('@')
            && let Some((_, password)) = user.split_once(':')
        {
            secrets.push(password.to_owned());
            secrets.push(fill::percent_decoded(password));
        }
        secrets.extend(self.password.iter().map(|password| password.expose_secret().to_owned()));
        secrets.retain(|secret| secret.len() >= 3);
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        secrets.dedup();
        secrets
    }
}

/// How much may be asked of each database.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Limits {
    /// How long one statement may take, in milliseconds.
    pub statement_timeout_ms: u64,
    /// How long a connection may take to be made, in milliseconds.
    pub connect_timeout_ms: u64,
    /// How many calls are made at a database at once.
    pub max_connections: usize,
    /// Longest query that is read, in bytes.
    pub max_query_bytes: usize,
    /// Longest answer, in bytes: of its text, and again of its structured form.
    pub max_output_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            statement_timeout_ms: 5_000,
            connect_timeout_ms: 5_000,
            max_connections: 4,
            max_query_bytes: 64 << 10,
            max_output_bytes: 64 << 10,
        }
    }
}

/// What is remembered of databases that keep no history of their own, in memory.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct HistoryConfig {
    /// Every how many seconds the program takes a sample; 0 for only when a tool is called.
    pub interval_seconds: u64,
    /// How many samples of a database are kept.
    pub keep: usize,
}

impl Default for HistoryConfig {
    fn default() -> Self {
        Self { interval_seconds: 60, keep: 1_440 }
    }
}

/// The HTTP form.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct HttpConfig {
    /// Names by which it may be called, beside this machine's own.
    pub allowed_hosts: Vec<String>,
    /// Origins of pages that may call it, beside this machine's own: `https://app.example.org`.
    pub allowed_origins: Vec<String>,
    /// The token that every request has to bring. Needed to listen beyond this machine.
    #[serde(deserialize_with = "fill::optional_secret")]
    pub bearer_token: Option<SecretString>,
}

impl Config {
    /// A configuration of these databases, with limits as they are by default.
    #[must_use]
    pub fn of(databases: impl IntoIterator<Item = DatabaseConfig>) -> Self {
        Self { databases: databases.into_iter().collect(), ..Self::default() }
    }

    /// Reads a file's text. `${NAME}` and `${NAME:-default}` in its values stand for variables of `env`.
    ///
    /// # Errors
    /// When it is not what a configuration looks like, a variable is missing, or a value makes no sense. No
    /// message holds the value of a variable.
    pub fn parse(text: &str, env: &BTreeMap<String, String>) -> Result<Self, ConfigError> {
        let mut config: Self = serde_yaml::from_str(text).map_err(|error| ConfigError::new(error.to_string()))?;
        fill::fill(&mut config, env)?;
        config.check()?;
        Ok(config)
    }

    /// Whether it makes sense.
    ///
    /// # Errors
    /// A sentence that says what does not.
    pub fn check(&self) -> Result<(), ConfigError> {
        let mut names: Vec<&str> = Vec::new();
        for database in &self.databases {
            let name = database.name.as_str();
            let is_legal = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
            if name.is_empty() || name.len() > 64 || !name.chars().all(is_legal) {
                return Err(ConfigError::new(format!("{name:?} is no name of a database: letters, digits, _ - .")));
            }
            if names.contains(&name) {
                return Err(ConfigError::new(format!("there are two databases {name:?}")));
            }
            if !database.attach.is_empty() && database.kind != Kind::Sqlite {
                return Err(ConfigError::new(format!("{name}: only SQLite attaches files")));
            }
            names.push(name);
        }
        let limits = &self.limits;
        between("limits.statement_timeout_ms", limits.statement_timeout_ms, 10, 600_000)?;
        between("limits.connect_timeout_ms", limits.connect_timeout_ms, 10, 600_000)?;
        between("limits.max_connections", limits.max_connections, 1, 64)?;
        between("limits.max_query_bytes", limits.max_query_bytes, 64, 256 << 10)?;
        between("limits.max_output_bytes", limits.max_output_bytes, 2_048, 4 << 20)?;
        between("history.keep", self.history.keep, 2, 100_000)
    }
}

fn between<T: PartialOrd + fmt::Display + Copy>(key: &str, value: T, least: T, most: T) -> Result<(), ConfigError> {
    if value >= least && value <= most {
        return Ok(());
    }
    Err(ConfigError::new(format!("{key} is {value}, and has to be from {least} to {most}")))
}
