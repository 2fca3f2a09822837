//! How sure the ledger must be, and how much it may hold.

use std::{path::PathBuf, time::Duration};

use super::SealKey;
use crate::{
    config::{Ack, StoreContent},
    redact::Redactor,
};

/// How a [`Ledger`](super::Ledger) is opened.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LedgerOptions {
    /// The directory of the write-ahead files; `None` keeps what the sink has not taken in memory.
    pub dir: Option<PathBuf>,
    /// The key of the seals. It belongs outside the database.
    pub key: SealKey,
    /// What `write` waits for. Without a `dir`, `Fsync` waits for the sink: nothing else is durable.
    pub ack: Ack,
    /// Whether `admit` refuses when the sink is too far behind. Otherwise records are dropped
    /// then, counted, and the gap is sealed as one record.
    pub required: bool,
    /// How many records may wait for the sink. Asks that were admitted may still write as many
    /// again, so that they end in a record.
    pub max_backlog: usize,
    /// How many bytes of records may wait for the sink, by the same rule.
    pub max_backlog_bytes: usize,
    /// How long `write` waits for its assurance before it gives up. The record stays accepted.
    pub ack_within: Duration,
    /// How long `shutdown` waits for the sink.
    pub shutdown_within: Duration,
    /// What keeps secrets out.
    pub redactor: Redactor,
    /// How much of questions, answers and arguments is kept.
    pub content: StoreContent,
}

impl LedgerOptions {
    /// A ledger without a write-ahead file that must not lose anything.
    #[must_use]
    pub fn new(key: SealKey) -> Self {
        Self {
            dir: None,
            key,
            ack: Ack::Local,
            required: true,
            max_backlog: 10_000,
            max_backlog_bytes: 64 * 1024 * 1024,
            ack_within: Duration::from_secs(30),
            shutdown_within: Duration::from_secs(5),
            redactor: Redactor::new(),
            content: StoreContent::default(),
        }
    }

    /// The same with write-ahead files in `dir`.
    #[must_use]
    pub fn with_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.dir = Some(dir.into());
        self
    }

    /// The same with another assurance.
    #[must_use]
    pub fn with_ack(mut self, ack: Ack) -> Self {
        self.ack = ack;
        self
    }

    /// The same, required or not.
    #[must_use]
    pub fn with_required(mut self, required: bool) -> Self {
        self.required = required;
        self
    }

    /// The same with room for another number of records.
    #[must_use]
    pub fn with_max_backlog(mut self, records: usize) -> Self {
        self.max_backlog = records;
        self
    }

    /// The same with another wait for an assurance.
    #[must_use]
    pub fn with_ack_within(mut self, within: Duration) -> Self {
        self.ack_within = within;
        self
    }

    /// The same with another wait at shutdown.
    #[must_use]
    pub fn with_shutdown_within(mut self, within: Duration) -> Self {
        self.shutdown_within = within;
        self
    }

    /// The same with another redactor, such as one that knows the configuration's secrets.
    #[must_use]
    pub fn with_redactor(mut self, redactor: Redactor) -> Self {
        self.redactor = redactor;
        self
    }
}
