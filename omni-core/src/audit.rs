//! Where sealed records go: sinks, and readers over them.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use uuid::Uuid;

pub mod jsonl;
pub mod memory;
#[cfg(feature = "sqlite")]
pub mod sqlite;

/// One link of a chain: a record in canonical bytes, and its seal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedRecord {
    /// The chain: one per process start.
    pub chain_id: Uuid,
    /// The place in the chain, from 0, without gaps.
    pub seq: u64,
    /// The record as canonical JSON (sorted keys, no spaces).
    pub bytes: Bytes,
    /// HMAC-SHA-256 over the previous seal, chain, place and bytes.
    pub mac: [u8; 32],
}

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
    /// A record has no canonical form.
    #[error("a record cannot be written: {message}")]
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
#[async_trait]
pub trait AuditSink: Send + Sync + std::fmt::Debug {
    /// Stores a batch of one chain, in order.
    ///
    /// # Errors
    /// An [`AuditError`]; after [`AuditError::Unavailable`] the same batch comes again.
    async fn append(&self, batch: &[SealedRecord]) -> Result<(), AuditError>;
}

#[async_trait]
impl<T: AuditSink + ?Sized> AuditSink for Arc<T> {
    async fn append(&self, batch: &[SealedRecord]) -> Result<(), AuditError> {
        (**self).append(batch).await
    }
}

/// Reads sealed records back, for verification and export.
#[async_trait]
pub trait AuditReader: Send + Sync + std::fmt::Debug {
    /// Records of a chain from `from_seq` on, in order, at most `limit`.
    ///
    /// # Errors
    /// An [`AuditError`].
    async fn read(&self, chain_id: Uuid, from_seq: u64, limit: usize) -> Result<Vec<SealedRecord>, AuditError>;

    /// All chains, oldest first.
    ///
    /// # Errors
    /// An [`AuditError`].
    async fn chains(&self) -> Result<Vec<Uuid>, AuditError>;
}
