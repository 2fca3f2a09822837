//! Live configuration: its files are read again when somebody asks for it, when they change, and at
//! `SIGHUP`, and put a new one in place.

use std::sync::Arc;

use serde_json::json;
use uuid::Uuid;

use crate::{
    Config, Error, Omni, Registry,
    compose::Reload,
    config::{Ack, LoadOptions},
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
    /// A reloader that finds its files as `options` says, as the first time.
    #[must_use]
    pub fn new(omni: Omni, registry: Arc<Registry>, options: LoadOptions) -> Self {
        Self { omni, registry, options }
    }

    /// The pipeline whose configuration it is.
    #[must_use]
    pub fn omni(&self) -> &Omni {
        &self.omni
    }

    /// Reads the files and puts what they say in place; see [`Omni::reload`].
    ///
    /// # Errors
    /// What is wrong with the files, with file and line. Nothing is changed then.
    pub async fn reload(&self) -> Result<Reload, Error> {
        let reloaded = self.load_and_replace().await;
        metrics::reloaded(reloaded.is_ok());
        self.record(&reloaded).await?;
        reloaded
    }

    async fn load_and_replace(&self) -> Result<Reload, Error> {
        let options = self.options.clone();
        let broken = |error: tokio::task::JoinError| Error::Internal { message: error.to_string() };
        let config = tokio::task::spawn_blocking(move || Config::load(options)).await.map_err(broken)??;
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
