//! The ends of a store as processes wrote them down beside it.

use std::path::Path;

use uuid::Uuid;

use crate::{
    audit::{AuditError, AuditSink, memory},
    ledger::{dead, ends, store::StoreTag},
};

/// The last seal of a chain that ended well, as its process left it in its directory: a store that does not hold it has
/// lost an end, or everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct LastSeal {
    /// The chain.
    pub chain_id: Uuid,
    /// The seal.
    pub mac: [u8; 32],
}

/// What was left in a directory of where chains ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LastSeals {
    /// Of the store's chains that no later one names, in the order in which they ended.
    pub own: Vec<LastSeal>,
    /// How many there are of other stores' chains.
    pub elsewhere: usize,
    /// The files, by their names, that hold what did not reach the store as it was written: damaged ones, and those that
    /// contradict it.
    pub set_aside: Vec<String>,
}

impl LastSeals {
    /// What was left in a directory of the store to which a sink writes. Nothing is known of a sink that does not say
    /// which store that is, and of a store in memory, which ends with its process.
    ///
    /// # Errors
    /// [`AuditError::File`] when the directory cannot be read.
    pub fn read(dir: &Path, sink: &dyn AuditSink) -> Result<Self, AuditError> {
        let store = StoreTag::of(sink, Some(dir));
        let Some(store) = store.filter(|_| sink.place().as_deref() != Some(memory::PLACE)) else {
            return Ok(Self::default());
        };
        let own = ends::read(dir, Some(&store))?.into_iter().map(|(chain_id, mac)| LastSeal { chain_id, mac });
        let name = |path: std::path::PathBuf| Some(path.file_name()?.to_string_lossy().into_owned());
        let set_aside = dead::set_aside(dir, Some(&store))?.into_iter().filter_map(name).collect();
        Ok(Self { own: own.collect(), elsewhere: ends::of_others(dir, &store)?, set_aside })
    }
}
