//! Live configuration: its files are read again when somebody asks for it, when they change, and at
//! `SIGHUP`, and put a new one in place.

use std::{path::PathBuf, sync::Arc};

use serde_json::json;
use uuid::Uuid;

use crate::{
    Config, Error, Omni, Registry,
    compose::Reload,
    config::{Ack, ConfigError, LoadOptions, search::holds_configuration},
    ledger::{self, AdminRecord, Event, Record},
    metrics,
};

#[cfg(feature = "watch")]
mod watch;

#[cfg(feature = "watch")]
pub use watch::{Outcome, Watching};

/// Reads the files of one configuration again, for one [`Omni`].
#[derive(Debug, Clone)]
pub struct Reloader {
    omni: Omni,
    registry: Arc<Registry>,
    options: LoadOptions,
}

impl Reloader {
    /// A reloader that finds its files as `options` says, as the first time. A directory that was searched for stays the
    /// one that was found: another one, or none, would let in others.
    #[must_use]
    pub fn new(omni: Omni, registry: Arc<Registry>, options: LoadOptions) -> Self {
        let found = omni.parts().config.as_ref().and_then(|config| config.dir.clone());
        Self { omni, registry, options: staying(options, found) }
    }

    /// The pipeline whose configuration it is.
    #[must_use]
    pub fn omni(&self) -> &Omni {
        &self.omni
    }

    /// Reads the files and puts what they say in place; see [`Omni::reload`].
    ///
    /// # Errors
    /// What is wrong with the files, with file and line, or that none is there. Nothing is changed then.
    pub async fn reload(&self) -> Result<Reload, Error> {
        let reloaded = self.load_and_replace().await;
        metrics::reloaded(reloaded.is_ok());
        self.record(&reloaded).await?;
        reloaded
    }

    async fn load_and_replace(&self) -> Result<Reload, Error> {
        let options = self.options.clone();
        let broken = |error: tokio::task::JoinError| Error::Internal { message: error.to_string() };
        let config = tokio::task::spawn_blocking(move || load(options)).await.map_err(broken)??;
        self.omni.reload(&config, &self.registry).await
    }

    /// What the files brought is an administrator's act, whoever changed them.
    async fn record(&self, reloaded: &Result<Reload, Error>) -> Result<(), Error> {
        let parts = self.omni.parts();
        let dir = parts.config.as_ref().and_then(|config| config.dir.as_ref());
        let mut record =
            AdminRecord::new("config.reload", dir.map(|dir| dir.display().to_string()).unwrap_or_default());
        match reloaded {
            Ok(reload) => {
                record.details = json!({ "servers": reload.servers, "after_restart": reload.after_restart });
            }
            Err(error) => {
                record.outcome = ledger::Outcome::Error;
                record.error = Some(error.to_string());
            }
        }
        let record = Record::new(Uuid::now_v7(), None, Event::Admin(record));
        Ok(self.omni.ledger().write_with(record, Ack::Local).await?)
    }
}

/// The same options without a search, where there was one.
fn staying(mut options: LoadOptions, found: Option<PathBuf>) -> LoadOptions {
    // A relative one was found below the working directory, and is looked for there again.
    let named = |dir: PathBuf| match dir.strip_prefix(&options.cwd) {
        Ok(below) if dir.is_relative() => below.to_path_buf(),
        Ok(_) | Err(_) => dir,
    };
    if options.dir.is_none() {
        options.dir = found.map(named);
    }
    options
}

/// A directory without any of its files is on its way to others. Read as it is, it would be a configuration with other
/// people and servers.
fn load(options: LoadOptions) -> Result<Config, ConfigError> {
    let config = Config::load(options)?;
    if let Some(dir) = &config.dir
        && !holds_configuration(dir)?
    {
        let message = "none of its files is there".into();
        return Err(ConfigError::Read { path: dir.display().to_string(), message });
    }
    Ok(config)
}
