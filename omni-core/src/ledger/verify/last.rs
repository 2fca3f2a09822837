//! The end of a store as a process wrote it down beside it.

use std::path::Path;

use uuid::Uuid;

use crate::{
    audit::{AuditSink, memory},
    ledger::{dead, store::StoreTag},
};

/// The last seal of the youngest chain that ended well, as its process left it in its directory: a store that does not
/// hold it has lost an end, or everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct LastSeal {
    /// The chain.
    pub chain_id: Uuid,
    /// The seal.
    pub mac: [u8; 32],
}

impl LastSeal {
    /// What was left in a directory of the store to which a sink writes; `None` where nothing was, where the sink does not
    /// say which store that is, and of a store in memory, which ends with its process.
    #[must_use]
    pub fn read(dir: &Path, sink: &dyn AuditSink) -> Option<Self> {
        if sink.place().as_deref() == Some(memory::PLACE) {
            return None;
        }
        let (chain_id, mac) = dead::read_head(dir, Some(&StoreTag::of(sink)?))?;
        Some(Self { chain_id, mac })
    }
}
