//! What all engines share: how many calls at once, how long, and what of an error is told.

use std::{future::Future, sync::Arc, time::Duration};

use tokio::{sync::Semaphore, time::timeout};

use crate::{
    Error,
    config::{DatabaseConfig, Limits},
    text::cut,
};

/// Longest message of a database that is passed on, in characters.
const MAX_MESSAGE: usize = 400;
/// A call makes several statements: how many times the time-out of one they may take together.
const STATEMENTS: u64 = 3;

/// The way to one database.
#[derive(Debug)]
pub(super) struct Place {
    name: String,
    secrets: Vec<String>,
    slots: Arc<Semaphore>,
    limits: Limits,
}

/// Why a call failed, before it is put into words.
#[derive(Debug)]
pub(super) enum Trouble {
    /// No connection.
    Unreachable(String),
    /// The statement was stopped for its time.
    Stopped,
    /// The database refused.
    Refused(String),
    /// There is no such thing to tell.
    Unsupported(String),
}

impl Place {
    pub(super) fn new(config: &DatabaseConfig, limits: &Limits) -> Self {
        let slots = Arc::new(Semaphore::new(limits.max_connections));
        Self { name: config.name.clone(), secrets: config.secrets(), slots, limits: limits.clone() }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn statement_ms(&self) -> u64 {
        self.limits.statement_timeout_ms
    }

    pub(super) fn connect_timeout(&self) -> Duration {
        Duration::from_millis(self.limits.connect_timeout_ms)
    }

    /// Does a call's work, when there is a slot for it and as long as its time lasts.
    pub(super) async fn call<T, F>(&self, work: F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Trouble>>,
    {
        let slot = timeout(self.connect_timeout(), self.slots.acquire()).await;
        let Ok(Ok(_slot)) = slot else { return Err(Error::Busy { name: self.name.clone() }) };
        let within = self.limits.connect_timeout_ms + STATEMENTS * self.limits.statement_timeout_ms;
        match timeout(Duration::from_millis(within), work).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(trouble)) => Err(self.told(trouble)),
            Err(_) => Err(Error::TimedOut { name: self.name.clone(), after_ms: within }),
        }
    }

    fn told(&self, trouble: Trouble) -> Error {
        let name = self.name.clone();
        match trouble {
            Trouble::Unreachable(reason) => Error::Unreachable { name, reason: self.redacted(&reason) },
            Trouble::Stopped => Error::TimedOut { name, after_ms: self.limits.statement_timeout_ms },
            Trouble::Refused(reason) => Error::Failed { name, reason: self.redacted(&reason) },
            Trouble::Unsupported(what) => Error::Unsupported { what },
        }
    }

    fn redacted(&self, message: &str) -> String {
        let mut message = message.to_owned();
        for secret in &self.secrets {
            message = message.replace(secret, "[secret]");
        }
        cut(&message, MAX_MESSAGE)
    }
}

impl Trouble {
    /// While connecting.
    pub(super) fn connecting(error: &sqlx::Error) -> Self {
        Self::Unreachable(match error {
            sqlx::Error::Database(error) => error.message().to_owned(),
            sqlx::Error::Io(error) => error.to_string(),
            sqlx::Error::Tls(_) => "no TLS connection could be made".into(),
            // It may hold the URL.
            sqlx::Error::Configuration(_) => "its url is not one for this kind of database".into(),
            _ => "the connection failed".into(),
        })
    }
}

impl From<sqlx::Error> for Trouble {
    fn from(error: sqlx::Error) -> Self {
        // PostgreSQL, MariaDB and SQLite in this order; MySQL has no code of its own for it.
        const STOPPED: [&str; 3] = ["57014", "70100", "9"];
        match error {
            sqlx::Error::Database(error) => {
                let code = error.code().unwrap_or_default();
                let is_stopped =
                    STOPPED.contains(&&*code) || error.message().contains("statement execution time exceeded");
                if is_stopped { Self::Stopped } else { Self::Refused(error.message().to_owned()) }
            }
            sqlx::Error::Io(error) => Self::Unreachable(error.to_string()),
            error => Self::Refused(error.to_string()),
        }
    }
}
