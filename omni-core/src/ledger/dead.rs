//! What processes that are gone left in the directory: their segments.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use uuid::Uuid;

use super::{
    Record, files,
    seal::Seal,
    store::{StoreTag, differ},
    unsettled::Orphans,
    wal::{self, Contents},
};
use crate::audit::{AuditError, SealedRecord};

/// How the names of files end that are kept for a human: a damaged one, and one that contradicts its store.
const DAMAGED: &str = "damaged";
const CONFLICT: &str = "conflict";

/// A chain, and its last seal.
pub(crate) type Head = (Uuid, Seal);

/// The segments of one chain whose process is gone. They stay locked as long as this lives.
#[derive(Debug)]
pub(crate) struct DeadChain {
    pub(crate) chain_id: Uuid,
    segments: Vec<(PathBuf, File)>,
}

/// Every chain in `dir` that nobody writes any more, oldest first. What is on its way to another store
/// stays where it is: half of it may be there already, and whoever reads this one would miss that.
pub(crate) fn find(dir: &Path, store: Option<&StoreTag>) -> Result<Vec<DeadChain>, AuditError> {
    let mut chains: BTreeMap<Uuid, BTreeSet<PathBuf>> = BTreeMap::new();
    for entry in fs::read_dir(dir).map_err(|error| files::failed(dir, &error))? {
        let path = entry.map_err(|error| files::failed(dir, &error))?.path();
        if let Some(chain_id) = chain_of(&path, "wal") {
            chains.entry(chain_id).or_default().insert(path);
        } else if chain_of(&path, "new").is_some() {
            remove_old_draft(&path);
        }
    }
    let dead = chains.into_iter().filter_map(|(chain_id, paths)| lock(chain_id, paths));
    let (own, others): (Vec<_>, Vec<_>) = dead.partition(|chain| !differ(chain.store().as_ref(), store));
    if !others.is_empty() {
        tracing::warn!(
            dir = %dir.display(),
            chains = others.len(),
            "write-ahead files of another store are kept; they go there once database.url names it again"
        );
    }
    Ok(own)
}

fn chain_of(path: &Path, extension: &str) -> Option<Uuid> {
    let name = path.file_name()?.to_str()?.strip_suffix(extension)?;
    name.split('.').next()?.parse().ok()
}

/// The store that a file's name says, where it says one.
fn store_of(path: &Path) -> Option<StoreTag> {
    StoreTag::parse(path.file_stem()?.to_str()?.rsplit('.').next()?)
}

/// A draft lives for the moment between its creation and its lock; an hour later nobody wants it.
fn remove_old_draft(path: &Path) {
    let written = fs::metadata(path).and_then(|metadata| metadata.modified());
    let age = written.ok().and_then(|at| SystemTime::now().duration_since(at).ok());
    if age.is_some_and(|age| age > Duration::from_secs(3600)) {
        let _ = fs::remove_file(path);
    }
}

/// All segments of a chain, or `None` when somebody holds one of them.
fn lock(chain_id: Uuid, paths: BTreeSet<PathBuf>) -> Option<DeadChain> {
    let mut segments = Vec::new();
    for path in paths {
        // A file that went away belonged to a process that lives, or was replayed by another.
        let Ok(file) = File::open(&path) else { continue };
        match file.try_lock() {
            // Another process may have replayed and removed it between the two.
            Ok(()) if path.exists() => segments.push((path, file)),
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return None,
            Err(TryLockError::Error(error)) => {
                tracing::warn!(path = %path.display(), %error, "cannot lock a write-ahead file; it is left alone");
                return None;
            }
        }
    }
    (!segments.is_empty()).then_some(DeadChain { chain_id, segments })
}

impl DeadChain {
    /// The store that it was on its way to, where its files' names say so.
    fn store(&self) -> Option<StoreTag> {
        self.segments.first().and_then(|(path, _)| store_of(path))
    }

    /// How many segments there are.
    pub(crate) fn len(&self) -> usize {
        self.segments.len()
    }

    /// What one segment holds.
    fn read(&self, index: usize) -> Result<(Contents, Vec<u8>), AuditError> {
        let Some((path, file)) = self.segments.get(index) else { return Ok((Contents::default(), Vec::new())) };
        let mut text = Vec::new();
        let failed = |error: io::Error| files::failed(path, &error);
        // Each read has its own place in the file: the lock's handle is read more than once.
        let mut reader = File::open(path).or_else(|_| file.try_clone()).map_err(failed)?;
        reader.read_to_end(&mut text).map_err(failed)?;
        Ok((wal::parse(self.chain_id, &text), text))
    }

    /// The records of one segment, for the sink. A damaged one is kept beside as `.damaged`, for it will be removed.
    pub(crate) fn records(&self, index: usize) -> Result<Vec<SealedRecord>, AuditError> {
        let (contents, text) = self.read(index)?;
        if let Some((path, _)) = self.segments.get(index).filter(|_| contents.damaged) {
            let copy = path.with_extension(DAMAGED);
            keep(&copy, &text).map_err(|error| files::failed(&copy, &error))?;
            tracing::error!(
                path = %copy.display(),
                "a write-ahead file is damaged in the middle: its readable records go to the audit store, `omni audit \
                 verify` finds which are missing, and this copy has what is left of them; keep it elsewhere once you \
                 have looked at it"
            );
        }
        Ok(contents.records)
    }

    /// Tells `orphans` every record, and says where the chain ended.
    pub(crate) fn scan(&self, orphans: &mut Orphans) -> Result<Option<Head>, AuditError> {
        let mut head = None;
        for index in 0..self.len() {
            for sealed in self.read(index)?.0.records {
                head = Some((self.chain_id, sealed.mac));
                if let Ok(record) = serde_json::from_slice::<Record>(&sealed.bytes) {
                    orphans.observe(record);
                }
            }
        }
        Ok(head)
    }

    /// Removes the segments: the sink has their records.
    pub(crate) fn remove(self) {
        for (path, _) in &self.segments {
            let _ = fs::remove_file(path);
        }
    }

    /// Keeps the segments for a human: the sink holds other records in their places.
    pub(crate) fn set_aside(self) {
        for (path, _) in &self.segments {
            let _ = fs::rename(path, path.with_extension(CONFLICT));
        }
    }
}

/// The file is its owner's alone, and durable before the one that it is a copy of goes.
fn keep(copy: &Path, text: &[u8]) -> io::Result<()> {
    // One that is there keeps the rights that it was made with.
    let _ = fs::remove_file(copy);
    let mut options = OpenOptions::new();
    let mut file = files::private(options.write(true).create(true).truncate(true)).open(copy)?;
    file.write_all(text)?;
    file.sync_all()?;
    copy.parent().map_or(Ok(()), files::sync_dir)
}

/// The files in `dir` that were kept for a human: what they hold did not reach this store as it was written.
pub(crate) fn set_aside(dir: &Path, store: Option<&StoreTag>) -> Result<Vec<PathBuf>, AuditError> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(|error| files::failed(dir, &error))?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| files::failed(dir, &error))?.path();
        let is_kept = [DAMAGED, CONFLICT].into_iter().any(|extension| chain_of(&path, extension).is_some());
        if is_kept && !differ(store_of(&path).as_ref(), store) {
            found.push(path);
        }
    }
    found.sort_unstable();
    Ok(found)
}
