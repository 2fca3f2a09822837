//! The write-ahead file of one chain, in segments that go away as the sink takes their records.
//!
//! A line is `<seq> <seal in hex> <canonical bytes>`. Every segment is locked by the process that
//! writes it, so that another one tells the living from the dead, and is named
//! `<chain>.<number>.<store>.wal` once it is locked, where the store says which one it is.

use std::{
    collections::VecDeque,
    fs::{self, File, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use uuid::Uuid;

use super::{files, store::StoreTag};
use crate::{
    audit::{AuditError, SealedRecord},
    hex::{from_hex, push_hex},
};

/// A segment longer than this is followed by another.
pub(crate) const SEGMENT_BYTES: u64 = 8 * 1024 * 1024;

/// One file.
#[derive(Debug)]
pub(crate) struct Segment {
    file: File,
    path: PathBuf,
    named: AtomicBool,
    /// The disk did not take what was written.
    failed: AtomicBool,
}

impl Segment {
    fn create(dir: &Path, chain_id: Uuid, store: Option<&StoreTag>, number: u64) -> Result<Self, AuditError> {
        let store = store.map(|store| format!("{store}.")).unwrap_or_default();
        let path = dir.join(format!("{chain_id}.{number:06}.{store}wal"));
        let draft = path.with_extension("new");
        let failed = |error: &std::io::Error| files::failed(&path, error);
        // One that an attempt before left on a full disk.
        let _ = fs::remove_file(&draft);
        let file = files::private(OpenOptions::new().append(true).create_new(true)).open(&draft);
        let file = file.map_err(|error| failed(&error))?;
        file.lock().map_err(|error| failed(&error))?;
        fs::rename(&draft, &path).map_err(|error| failed(&error))?;
        Ok(Self { file, path, named: AtomicBool::new(false), failed: AtomicBool::new(false) })
    }

    /// Makes all that was written durable, the first time the file's name too.
    pub(crate) fn sync(&self) -> Result<(), AuditError> {
        let named = || match self.path.parent() {
            Some(dir) if !self.named.load(Ordering::Acquire) => files::sync_dir(dir),
            Some(_) | None => Ok(()),
        };
        if self.has_failed() {
            return Err(files::failed(&self.path, &std::io::Error::other("the disk did not take an earlier write")));
        }
        let synced = self.file.sync_data().and_then(|()| named());
        synced.map_err(|error| {
            self.failed.store(true, Ordering::Release);
            files::failed(&self.path, &error)
        })?;
        self.named.store(true, Ordering::Release);
        Ok(())
    }

    fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }
}

/// The segments of one living chain.
#[derive(Debug)]
pub(crate) struct Wal {
    dir: PathBuf,
    chain_id: Uuid,
    store: Option<StoreTag>,
    current: Arc<Segment>,
    len: u64,
    number: u64,
    limit: u64,
    torn: bool,
    /// Older segments, each with the first place that it does NOT hold.
    older: VecDeque<(u64, Arc<Segment>)>,
}

impl Wal {
    pub(crate) fn create(dir: &Path, chain_id: Uuid, store: Option<StoreTag>) -> Result<Self, AuditError> {
        let current = Arc::new(Segment::create(dir, chain_id, store.as_ref(), 0)?);
        Ok(Self {
            dir: dir.into(),
            chain_id,
            store,
            current,
            len: 0,
            number: 0,
            limit: SEGMENT_BYTES,
            torn: false,
            older: VecDeque::new(),
        })
    }

    #[cfg(test)]
    pub(crate) fn with_limit(mut self, limit: u64) -> Self {
        self.limit = limit;
        self
    }

    /// The same with a file that cannot be written.
    #[cfg(test)]
    pub(crate) fn broken(mut self) -> Self {
        let path = self.current.path.clone();
        let file = File::open(&path).unwrap();
        self.current = Arc::new(Segment { file, path, named: AtomicBool::new(true), failed: AtomicBool::new(false) });
        self
    }

    /// The segment that the last append went to.
    pub(crate) fn segment(&self) -> Arc<Segment> {
        self.current.clone()
    }

    /// Hands records to the operating system: all, or none.
    pub(crate) fn append(&mut self, records: &[SealedRecord]) -> Result<(), AuditError> {
        let text = lines(records);
        // Append mode: the file's end is the only place to write to.
        if let Err(error) = (&self.current.file).write_all(&text) {
            self.torn = self.current.file.set_len(self.len).is_err();
            return Err(files::failed(&self.current.path, &error));
        }
        self.len += text.len() as u64;
        Ok(())
    }

    /// Whether the next append belongs into a new segment.
    pub(crate) fn is_full(&self) -> bool {
        self.torn || self.current.has_failed() || self.len >= self.limit
    }

    /// Begins a new segment with the records that the next start must see: those of requests that
    /// are not closed, and the chain's last one. `next` is the place after the last record. What the full one holds is
    /// durable by then: a power cut that took its end and left what follows would leave a hole in the chain for ever.
    pub(crate) fn rotate(&mut self, next: u64, carried: &[SealedRecord]) -> Result<(), AuditError> {
        self.settle();
        let segment = Segment::create(&self.dir, self.chain_id, self.store.as_ref(), self.number + 1)?;
        let text = lines(carried);
        (&segment.file).write_all(&text).map_err(|error| files::failed(&segment.path, &error))?;
        segment.sync()?;
        let full = std::mem::replace(&mut self.current, Arc::new(segment));
        self.older.push_back((next, full));
        self.number += 1;
        self.len = text.len() as u64;
        self.torn = false;
        Ok(())
    }

    /// Makes the current segment durable. The chain goes on behind one that the disk does not take, as behind one that
    /// it did not take before: that is told once, and whoever waits for it is told too.
    fn settle(&self) {
        if !self.current.has_failed()
            && let Err(error) = self.current.sync()
        {
            tracing::error!(%error, "the ledger's file cannot be made durable; a power cut can take what the audit store does not have yet");
        }
    }

    /// Removes older segments of which the sink has every record below `taken`.
    pub(crate) fn forget(&mut self, taken: u64) {
        while let Some((_, segment)) = self.older.pop_front_if(|(end, _)| *end <= taken) {
            remove(&segment.path);
        }
    }

    /// Removes everything: the sink has it all.
    pub(crate) fn remove(self) {
        for (_, segment) in &self.older {
            remove(&segment.path);
        }
        remove(&self.current.path);
    }
}

fn remove(path: &Path) {
    if let Err(error) = fs::remove_file(path) {
        tracing::warn!(path = %path.display(), %error, "a write-ahead file that is no longer needed stays behind");
    }
}

fn lines(records: &[SealedRecord]) -> Vec<u8> {
    let size = records.iter().map(|record| record.bytes.len() + 90).sum();
    records.iter().fold(Vec::with_capacity(size), |mut text, record| {
        text.extend_from_slice(record.seq.to_string().as_bytes());
        text.push(b' ');
        push_hex(&mut text, record.mac);
        text.push(b' ');
        text.extend_from_slice(&record.bytes);
        text.push(b'\n');
        text
    })
}

/// What a segment of a dead process holds.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    pub(crate) records: Vec<SealedRecord>,
    /// Whether whole lines follow one that is not: more than a torn end. They are among the records, so that the
    /// verification finds what is missing before them.
    pub(crate) damaged: bool,
}

/// Reads a segment. Its last line may be torn; nobody was told that it was written.
pub(crate) fn parse(chain_id: Uuid, text: &[u8]) -> Contents {
    let mut contents = Contents::default();
    let mut torn = false;
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        match parse_line(chain_id, line) {
            Some(record) => {
                contents.damaged |= torn;
                contents.records.push(record);
            }
            None => torn = true,
        }
    }
    contents
}

fn parse_line(chain_id: Uuid, line: &[u8]) -> Option<SealedRecord> {
    let line = line.strip_suffix(b"\n")?;
    let mut parts = line.splitn(3, |byte| *byte == b' ');
    let seq = std::str::from_utf8(parts.next()?).ok()?.parse().ok()?;
    let mac = from_hex(std::str::from_utf8(parts.next()?).ok()?)?;
    let bytes = parts.next().filter(|bytes| bytes.ends_with(b"}"))?;
    Some(SealedRecord::new(chain_id, seq, Bytes::copy_from_slice(bytes), mac))
}

#[cfg(test)]
mod tests;
