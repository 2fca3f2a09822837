//! Where sealed records go, and what can be read of them.
//!
//! A store is seen from three sides: an [`AuditSink`] takes sealed records, a [`LedgerStore`] gives
//! them back as they are, for proofs and retention, and an [`AuditReader`] shows what they say, for people.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::ledger::{ChainHead, Checkpoint, Record, TurnRecord};

mod access;
mod entry;
pub mod export;
pub mod jsonl;
pub mod memory;
mod query;
mod scan;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub mod sql;

pub use access::AuditAccess;
pub use entry::{CallEntry, LogEntry};
pub use query::{AuditQuery, AuditStats, Cursor, FAILURES, LogPage, MAX_PAGE, Order, REQUEST_TYPES, UNKNOWN_SOURCE};

/// One link of a chain: a record in canonical bytes, and its seal.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SealedRecord {
    /// The chain: one per process start.
    pub chain_id: Uuid,
    /// The place in the chain, from 0, without gaps.
    pub seq: u64,
    /// The record as canonical JSON (sorted keys, no spaces).
    pub bytes: Bytes,
    /// HMAC-SHA-256 over the previous seal, chain, place and bytes.
    pub mac: [u8; 32],
    /// What the bytes say, where whoever sealed them is not far: nobody reads it from them again then.
    pub(crate) said: Option<Said>,
}

/// What a record says, as far as whoever stores it beside its bytes wants to know.
#[derive(Debug, Clone)]
pub(crate) enum Said {
    /// All of it.
    Whole(Arc<Record>),
    /// Nothing to people; it was written then.
    Nothing(DateTime<Utc>),
}

impl SealedRecord {
    /// A link as it was sealed.
    #[must_use]
    pub fn new(chain_id: Uuid, seq: u64, bytes: impl Into<Bytes>, mac: [u8; 32]) -> Self {
        Self { chain_id, seq, bytes: bytes.into(), mac, said: None }
    }

    /// The same, for whoever keeps it for long.
    pub(crate) fn bare(&self) -> Self {
        Self { said: None, ..self.clone() }
    }

    /// What the bytes say.
    ///
    /// # Errors
    /// They hold no record that this build knows.
    pub(crate) fn read(&self) -> serde_json::Result<Said> {
        self.said.clone().map_or_else(|| Record::read(&self.bytes).map(|record| Said::Whole(Arc::new(record))), Ok)
    }
}

/// Two are the same when they are so to the byte.
impl PartialEq for SealedRecord {
    fn eq(&self, other: &Self) -> bool {
        let Self { chain_id, seq, bytes, mac, said: _ } = self;
        (*chain_id, *seq, bytes, mac) == (other.chain_id, other.seq, &other.bytes, &other.mac)
    }
}

impl Eq for SealedRecord {}

/// Why records could not be stored or read.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum AuditError {
    /// The store is away. Try again.
    #[error("the audit store cannot be reached: {message}")]
    Unavailable {
        /// What went wrong.
        message: String,
    },
    /// The store holds other bytes for this place of the chain.
    #[error("the audit store holds another record at {chain_id}/{seq}")]
    Conflict {
        /// The chain.
        chain_id: Uuid,
        /// The place.
        seq: u64,
    },
    /// The ledger cannot take any more.
    #[error("the ledger is full: {message}")]
    Full {
        /// What is full, and what to do.
        message: String,
    },
    /// The ledger was shut down.
    #[error("the ledger is closed")]
    Closed,
    /// The entries of others may not be seen.
    #[error("{subject} may see their own entries only")]
    NotYours {
        /// Who asked.
        subject: String,
    },
    /// A record has no canonical form, or something else cannot be done as it was asked for.
    #[error("the ledger cannot do this: {message}")]
    Invalid {
        /// What is wrong with it.
        message: String,
    },
    /// A file of the ledger cannot be read or written.
    #[error("the ledger's file {path} failed: {message}")]
    File {
        /// The file.
        path: String,
        /// What went wrong.
        message: String,
    },
}

/// Stores sealed records.
///
/// # Contract
/// * **Idempotent** on `(chain_id, seq)`: the same record again is `Ok`; other bytes are
///   [`AuditError::Conflict`] and store nothing.
/// * **Atomic and ordered**: a batch is stored whole and in order, or not at all.
/// * When `append` returns, the records are durable.
/// * **Cancel-safe**: an append that takes longer than half a minute is dropped, and the same records come again. So they
///   do after a panic and after every error but [`AuditError::Conflict`], with which the ledger stops, and
///   [`AuditError::Invalid`]: after three of those they come one by one, and whichever is still refused goes to
///   [`append_truth`](Self::append_truth).
/// * A ledger appends one batch at a time. Other processes append to the same store meanwhile, and bring what a process
///   that died has left, which may be what that process is just storing.
#[async_trait]
pub trait AuditSink: Send + Sync + std::fmt::Debug {
    /// Stores a batch of one chain, in order.
    ///
    /// # Errors
    /// An [`AuditError`].
    async fn append(&self, batch: &[SealedRecord]) -> Result<(), AuditError>;

    /// Where the store is, without credentials: records of two sinks that say the same are in one store.
    /// `None`, the default, where that is not known.
    fn place(&self) -> Option<String> {
        None
    }

    /// Stores a batch of which [`append`](Self::append) says again and again that it is
    /// [`AuditError::Invalid`]: the records as they are, without what a store makes of them for people. What either
    /// stored is there for both.
    ///
    /// # Errors
    /// As `append`.
    async fn append_truth(&self, batch: &[SealedRecord]) -> Result<(), AuditError> {
        self.append(batch).await
    }
}

#[async_trait]
impl<T: AuditSink + ?Sized> AuditSink for Arc<T> {
    async fn append(&self, batch: &[SealedRecord]) -> Result<(), AuditError> {
        (**self).append(batch).await
    }

    fn place(&self) -> Option<String> {
        (**self).place()
    }

    async fn append_truth(&self, batch: &[SealedRecord]) -> Result<(), AuditError> {
        (**self).append_truth(batch).await
    }
}

/// Gives sealed records back as they are: the truth, to be proved and to be pruned.
///
/// # Contract
/// * `read` and `heads` see whole batches only.
/// * `forget` is atomic and idempotent, and never lets a chain begin earlier than before.
#[async_trait]
pub trait LedgerStore: Send + Sync + std::fmt::Debug {
    /// Records of a chain from `from_seq` on, in order, at most `limit`.
    ///
    /// # Errors
    /// An [`AuditError`]; so for all of these.
    async fn read(&self, chain_id: Uuid, from_seq: u64, limit: usize) -> Result<Vec<SealedRecord>, AuditError>;

    /// The last record of every chain, the oldest chain first.
    async fn heads(&self) -> Result<Vec<ChainHead>, AuditError>;

    /// Where chains begin whose beginning was pruned.
    async fn checkpoints(&self) -> Result<Vec<Checkpoint>, AuditError>;

    /// The first place among these records of one chain, which follow each other, where the tables
    /// that people query do not say what the record says. `None` where there are no such tables.
    async fn differing(&self, records: &[SealedRecord]) -> Result<Option<u64>, AuditError>;

    /// A place for which those tables have a row though there is no record.
    async fn stray(&self) -> Result<Option<(Uuid, u64)>, AuditError>;

    /// How many rows those tables have that no record proves: they are older than the ledger, or came beside it.
    async fn unproved(&self) -> Result<u64, AuditError> {
        Ok(0)
    }

    /// How many of the rows that no record proves came after the ledger had begun.
    async fn beside(&self) -> Result<u64, AuditError> {
        Ok(0)
    }

    /// Removes such rows that are older than `before`; returns how many.
    async fn forget_unproved(&self, _before: DateTime<Utc>) -> Result<u64, AuditError> {
        Ok(0)
    }

    /// Removes what people said of answers before `before`: it names questions and who asked them.
    async fn forget_feedback(&self, _before: DateTime<Utc>) -> Result<(), AuditError> {
        Ok(())
    }

    /// Keeps a checkpoint, and removes what it stands for. Returns how many records went.
    async fn forget(&self, checkpoint: &Checkpoint) -> Result<u64, AuditError>;

    /// All chains, oldest first.
    async fn chains(&self) -> Result<Vec<Uuid>, AuditError> {
        Ok(self.heads().await?.into_iter().map(|head| head.chain_id).collect())
    }
}

#[async_trait]
impl<T: LedgerStore + ?Sized> LedgerStore for Arc<T> {
    async fn read(&self, chain_id: Uuid, from_seq: u64, limit: usize) -> Result<Vec<SealedRecord>, AuditError> {
        (**self).read(chain_id, from_seq, limit).await
    }

    async fn heads(&self) -> Result<Vec<ChainHead>, AuditError> {
        (**self).heads().await
    }

    async fn checkpoints(&self) -> Result<Vec<Checkpoint>, AuditError> {
        (**self).checkpoints().await
    }

    async fn differing(&self, records: &[SealedRecord]) -> Result<Option<u64>, AuditError> {
        (**self).differing(records).await
    }

    async fn stray(&self) -> Result<Option<(Uuid, u64)>, AuditError> {
        (**self).stray().await
    }

    async fn unproved(&self) -> Result<u64, AuditError> {
        (**self).unproved().await
    }

    async fn beside(&self) -> Result<u64, AuditError> {
        (**self).beside().await
    }

    async fn forget_unproved(&self, before: DateTime<Utc>) -> Result<u64, AuditError> {
        (**self).forget_unproved(before).await
    }

    async fn forget_feedback(&self, before: DateTime<Utc>) -> Result<(), AuditError> {
        (**self).forget_feedback(before).await
    }

    async fn forget(&self, checkpoint: &Checkpoint) -> Result<u64, AuditError> {
        (**self).forget(checkpoint).await
    }

    async fn chains(&self) -> Result<Vec<Uuid>, AuditError> {
        (**self).chains().await
    }
}

/// Shows what the records say: one entry per ask and direct call, one per tool call.
///
/// # Contract
/// * Entries come in the order of (time, number), or of their numbers, which grow as entries are stored;
///   a page goes on exactly where the last one ended.
/// * What a query names is a condition, as [`AuditQuery::finds`] has it; an empty query is everything.
/// * An entry says what its record says ([`LogEntry::of`], [`CallEntry::of`]), under its number in the store.
/// * Entries of a brief query have neither `message` nor `tool_params`.
#[async_trait]
pub trait AuditReader: LedgerStore {
    /// A page of asks and direct calls.
    ///
    /// # Errors
    /// An [`AuditError`]; so for all of these.
    async fn logs(&self, query: &AuditQuery) -> Result<LogPage, AuditError>;

    /// Sums over all that a query finds; its page does not matter.
    async fn stats(&self, query: &AuditQuery) -> Result<AuditStats, AuditError>;

    /// How many a query finds; its page does not matter.
    async fn count(&self, query: &AuditQuery) -> Result<u64, AuditError> {
        let stats = self.stats(query).await?;
        Ok(stats.total_requests + stats.admin_count)
    }

    /// The record behind an entry; `None` of a row that is older than the ledger.
    async fn sealed(&self, entry: &LogEntry) -> Result<Option<SealedRecord>, AuditError>;

    /// The record behind a call; `None` where there is none any more.
    async fn sealed_call(&self, call: &CallEntry) -> Result<Option<SealedRecord>, AuditError>;

    /// The answer of an ask as its record has it, whole or as much of it as is kept; `None` where that is
    /// nothing.
    async fn answer(&self, entry: &LogEntry) -> Result<Option<String>, AuditError> {
        Ok(self.sealed(entry).await?.as_ref().and_then(scan::answer_of))
    }

    /// The model's turns of an ask as its record has them, in order; none of records that are older than they are.
    async fn turns(&self, entry: &LogEntry) -> Result<Vec<TurnRecord>, AuditError> {
        Ok(self.sealed(entry).await?.as_ref().map(scan::turns_of).unwrap_or_default())
    }

    /// The tool calls of an ask, or a direct call itself, in order; at most [`MAX_PAGE`].
    async fn calls(&self, request_id: Uuid) -> Result<Vec<CallEntry>, AuditError>;
}

#[async_trait]
impl<T: AuditReader + ?Sized> AuditReader for Arc<T> {
    async fn logs(&self, query: &AuditQuery) -> Result<LogPage, AuditError> {
        (**self).logs(query).await
    }

    async fn stats(&self, query: &AuditQuery) -> Result<AuditStats, AuditError> {
        (**self).stats(query).await
    }

    async fn count(&self, query: &AuditQuery) -> Result<u64, AuditError> {
        (**self).count(query).await
    }

    async fn sealed(&self, entry: &LogEntry) -> Result<Option<SealedRecord>, AuditError> {
        (**self).sealed(entry).await
    }

    async fn sealed_call(&self, call: &CallEntry) -> Result<Option<SealedRecord>, AuditError> {
        (**self).sealed_call(call).await
    }

    async fn answer(&self, entry: &LogEntry) -> Result<Option<String>, AuditError> {
        (**self).answer(entry).await
    }

    async fn turns(&self, entry: &LogEntry) -> Result<Vec<TurnRecord>, AuditError> {
        (**self).turns(entry).await
    }

    async fn calls(&self, request_id: Uuid) -> Result<Vec<CallEntry>, AuditError> {
        (**self).calls(request_id).await
    }
}

/// A store, as a registry builds it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct AuditBackend {
    /// Takes records.
    pub sink: Arc<dyn AuditSink>,
    /// Gives them back; `None` where the store is for writing only.
    pub reader: Option<Arc<dyn AuditReader>>,
}

impl AuditBackend {
    /// A store that can be read.
    #[must_use]
    pub fn new(store: impl AuditSink + AuditReader + Clone + 'static) -> Self {
        Self { sink: Arc::new(store.clone()), reader: Some(Arc::new(store)) }
    }

    /// A store that only takes records.
    #[must_use]
    pub fn write_only(sink: impl AuditSink + 'static) -> Self {
        Self { sink: Arc::new(sink), reader: None }
    }
}
