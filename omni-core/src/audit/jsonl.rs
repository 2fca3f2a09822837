//! A sink that writes JSON lines: `{"chain_id":…,"seq":…,"mac":…,"record":{…}}`.

use std::{
    collections::{BTreeMap, HashMap},
    fs::{File, OpenOptions, TryLockError},
    io::{BufRead, BufReader, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::FutureExt;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::{
    AuditBackend, AuditError, AuditQuery, AuditReader, AuditSink, AuditStats, CallEntry, LedgerStore, LogEntry,
    LogPage, SealedRecord,
    scan::{Counting, Paging, call_of},
};
use crate::{
    Registry,
    hex::{from_hex, to_hex},
    ledger::{ChainHead, Checkpoint, files},
    registry::BuildError,
};

/// How long a writer waits for another process that writes.
const BUSY: Duration = Duration::from_secs(10);

/// Appends to a file, and reads it back. Every read goes through the whole file.
#[derive(Debug, Clone)]
pub struct JsonlSink {
    file: Arc<Mutex<Appending>>,
    path: Arc<Path>,
}

#[derive(Debug)]
struct Appending {
    file: File,
    path: PathBuf,
    /// The next place of every chain that this sink has written or looked for.
    next: HashMap<Uuid, u64>,
    /// How far into the file that is true: what stands behind it others have written.
    known_to: u64,
}

/// Most chains that are remembered; others are looked for in the file.
const MAX_CHAINS: usize = 1_000;

#[derive(Serialize, Deserialize)]
struct Line<'a> {
    chain_id: Uuid,
    seq: u64,
    mac: String,
    #[serde(borrow)]
    record: &'a RawValue,
}

impl JsonlSink {
    /// Opens a file; one that is not there is made, for its owner alone.
    ///
    /// # Errors
    /// [`AuditError::File`] with the path when it cannot be opened or written.
    pub async fn open(path: impl Into<PathBuf>) -> Result<Self, AuditError> {
        let path = path.into();
        files::blocking(move || {
            if let Some(dir) = path.parent().filter(|dir| !dir.as_os_str().is_empty()) {
                files::create_dir(dir)?;
            }
            let opened = files::private(OpenOptions::new().read(true).append(true).create(true)).open(&path);
            let file = opened.map_err(|error| files::failed(&path, &error))?;
            let shared = path.as_path().into();
            let appending = Appending { file, path, next: HashMap::new(), known_to: 0 };
            Ok(Self { file: Arc::new(Mutex::new(appending)), path: shared })
        })
        .await
    }
}

impl Appending {
    fn append(&mut self, batch: &[SealedRecord]) -> Result<(), AuditError> {
        lock(&self.file, &self.path)?;
        let appended = self.append_locked(batch);
        let unlocked = self.file.unlock().map_err(|error| files::failed(&self.path, &error));
        appended.and(unlocked)
    }

    fn append_locked(&mut self, batch: &[SealedRecord]) -> Result<(), AuditError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |error: std::io::Error| files::failed(&path, &error)
        };
        let len = self.cut_torn_end().map_err(failed(&self.path))?;
        self.learn(len)?;
        let mut text = Vec::new();
        let mut next = self.next.clone();
        for record in batch {
            let known = self.next_of(&mut next, record.chain_id)?;
            if record.seq < known {
                self.compare(record)?;
                continue;
            }
            write_line(&mut text, record)?;
            next.insert(record.chain_id, record.seq + 1);
        }
        if let Err(error) = self.file.write_all(&text).and_then(|()| self.file.sync_data()) {
            let _ = self.file.set_len(len);
            return Err(files::failed(&self.path, &error));
        }
        self.next = if next.len() > MAX_CHAINS { HashMap::new() } else { next };
        self.known_to = len + text.len() as u64;
        Ok(())
    }

    /// Takes note of what others have written since, up to `len`: nothing of it is new.
    fn learn(&mut self, len: u64) -> Result<(), AuditError> {
        let next = &mut self.next;
        if len < self.known_to {
            next.clear();
        } else if len > self.known_to && !next.is_empty() {
            scan_from(&self.path, self.known_to, |record| {
                if let Some(known) = next.get_mut(&record.chain_id) {
                    *known = (*known).max(record.seq.saturating_add(1));
                }
                true
            })?;
        }
        self.known_to = len;
        Ok(())
    }

    /// Removes the half line of a process that died while writing.
    fn cut_torn_end(&mut self) -> std::io::Result<u64> {
        let len = self.file.seek(SeekFrom::End(0))?;
        let mut end = len;
        let mut byte = [0];
        while end > 0 {
            self.file.seek(SeekFrom::Start(end - 1))?;
            self.file.read_exact(&mut byte)?;
            if byte == *b"\n" {
                break;
            }
            end -= 1;
        }
        if end < len {
            self.file.set_len(end)?;
        }
        Ok(end)
    }

    fn next_of(&self, next: &mut HashMap<Uuid, u64>, chain_id: Uuid) -> Result<u64, AuditError> {
        if let Some(known) = next.get(&chain_id) {
            return Ok(*known);
        }
        let mut found = 0;
        scan(&self.path, |record| {
            if record.chain_id == chain_id {
                found = found.max(record.seq.saturating_add(1));
            }
            true
        })?;
        next.insert(chain_id, found);
        Ok(found)
    }

    fn compare(&self, record: &SealedRecord) -> Result<(), AuditError> {
        let mut same = false;
        scan(&self.path, |known| {
            let found = known.chain_id == record.chain_id && known.seq == record.seq;
            same |= found && known == *record;
            !found
        })?;
        if same { Ok(()) } else { Err(AuditError::Conflict { chain_id: record.chain_id, seq: record.seq }) }
    }
}

/// Takes the file's lock, which other processes hold for one batch at a time.
fn lock(file: &File, path: &Path) -> Result<(), AuditError> {
    let since = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) if since.elapsed() < BUSY => std::thread::sleep(Duration::from_millis(5)),
            Err(TryLockError::WouldBlock) => {
                return Err(AuditError::Unavailable { message: format!("another process holds {}", path.display()) });
            }
            Err(TryLockError::Error(error)) => return Err(files::failed(path, &error)),
        }
    }
}

fn write_line(text: &mut Vec<u8>, record: &SealedRecord) -> Result<(), AuditError> {
    let invalid = |error: serde_json::Error| AuditError::Invalid { message: error.to_string() };
    let bytes: &RawValue = serde_json::from_slice(&record.bytes).map_err(invalid)?;
    let line = Line { chain_id: record.chain_id, seq: record.seq, mac: to_hex(record.mac), record: bytes };
    serde_json::to_writer(&mut *text, &line).map_err(invalid)?;
    text.push(b'\n');
    Ok(())
}

/// Shows every record to `see`, until it has seen enough (`false`). What is no record is skipped:
/// the verification finds it.
fn scan(path: &Path, see: impl FnMut(SealedRecord) -> bool) -> Result<(), AuditError> {
    scan_from(path, 0, see)
}

/// The same from a place on where a line begins, in bytes.
fn scan_from(path: &Path, from: u64, mut see: impl FnMut(SealedRecord) -> bool) -> Result<(), AuditError> {
    lines(path, from, |line| parse(line).is_none_or(&mut see))
}

/// Shows every line from a place on to `see`, until it has seen enough (`false`). One without an end is the last:
/// somebody writes it, or died while doing so, and what follows it on the disk is its rest.
fn lines(path: &Path, from: u64, mut see: impl FnMut(&[u8]) -> bool) -> Result<(), AuditError> {
    let failed = |error: std::io::Error| files::failed(path, &error);
    let mut file = File::open(path).map_err(failed)?;
    file.seek(SeekFrom::Start(from)).map_err(failed)?;
    let mut reader = BufReader::new(file);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line).map_err(failed)? > 0 && see(&line) && line.ends_with(b"\n") {
        line.clear();
    }
    Ok(())
}

/// The place of the first line that stands behind a later one of its chain. Whoever reads the file sees it, and whoever
/// reads a chain by its places may not. Of a line that is no record, the nil chain and the line's number.
fn first_stray(path: &Path) -> Result<Option<(Uuid, u64)>, AuditError> {
    // All that is kept of the file.
    let mut last: HashMap<Uuid, u64> = HashMap::new();
    let (mut number, mut found) = (0, None);
    lines(path, 0, |line| {
        number += 1;
        found = match parse(line) {
            Some(SealedRecord { chain_id, seq, .. }) => {
                let before = last.insert(chain_id, seq);
                before.filter(|before| seq <= *before).map(|_| (chain_id, seq))
            }
            // Nobody was told that one without an end is written, and whoever writes next removes it.
            None => line.ends_with(b"\n").then_some((Uuid::nil(), number)),
        };
        found.is_none()
    })?;
    Ok(found)
}

fn parse(line: &[u8]) -> Option<SealedRecord> {
    let line: Line<'_> = serde_json::from_slice(line).ok()?;
    let bytes = Bytes::copy_from_slice(line.record.get().as_bytes());
    Some(SealedRecord::new(line.chain_id, line.seq, bytes, from_hex(&line.mac)?))
}

#[async_trait]
impl AuditSink for JsonlSink {
    async fn append(&self, batch: &[SealedRecord]) -> Result<(), AuditError> {
        let (file, batch) = (self.file.clone(), batch.to_vec());
        files::blocking(move || file.lock().unwrap_or_else(PoisonError::into_inner).append(&batch)).await
    }

    fn place(&self) -> Option<String> {
        let path = self.path.canonicalize().unwrap_or_else(|_| self.path.to_path_buf());
        Some(format!("jsonl:{}", path.display()))
    }
}

impl JsonlSink {
    async fn of_number(&self, number: i64) -> Result<Option<SealedRecord>, AuditError> {
        let found = self.each(None, move |found, id, record| {
            if id == number {
                *found = Some(record);
            }
        });
        found.await
    }

    /// Shows every record with its number to `see`, and returns what that made of them.
    async fn each<T: Send + 'static>(
        &self,
        mut seen: T,
        mut see: impl FnMut(&mut T, i64, SealedRecord) + Send + 'static,
    ) -> Result<T, AuditError> {
        let path = self.path.clone();
        files::blocking(move || {
            let mut id = 0;
            scan(&path, |record| {
                see(&mut seen, id, record);
                id += 1;
                true
            })?;
            Ok(seen)
        })
        .await
    }
}

#[async_trait]
impl LedgerStore for JsonlSink {
    async fn read(&self, chain_id: Uuid, from_seq: u64, limit: usize) -> Result<Vec<SealedRecord>, AuditError> {
        let path = self.path.clone();
        files::blocking(move || {
            let mut records = Vec::new();
            scan(&path, |record| {
                if record.chain_id == chain_id && record.seq >= from_seq {
                    records.push(record);
                }
                records.len() < limit
            })?;
            Ok(records)
        })
        .await
    }

    async fn heads(&self) -> Result<Vec<ChainHead>, AuditError> {
        // Ids of chains grow with time.
        let heads = self.each(BTreeMap::new(), |heads, _, record| {
            let head = ChainHead::new(record.chain_id, record.seq, record.mac);
            let known = heads.entry(record.chain_id).or_insert(head);
            // Where a line stands in the file proves nothing: somebody may have put it there.
            if known.seq < head.seq {
                *known = head;
            }
        });
        Ok(heads.await?.into_values().collect())
    }

    async fn checkpoints(&self) -> Result<Vec<Checkpoint>, AuditError> {
        Ok(Vec::new())
    }

    async fn differing(&self, _: &[SealedRecord]) -> Result<Option<u64>, AuditError> {
        Ok(None)
    }

    async fn stray(&self) -> Result<Option<(Uuid, u64)>, AuditError> {
        let path = self.path.clone();
        files::blocking(move || first_stray(&path)).await
    }

    async fn forget(&self, _: &Checkpoint) -> Result<u64, AuditError> {
        Err(AuditError::Invalid { message: "a file of JSON lines is not pruned; keep the ledger in a database".into() })
    }
}

#[async_trait]
impl AuditReader for JsonlSink {
    async fn logs(&self, query: &AuditQuery) -> Result<LogPage, AuditError> {
        let paging = self.each(Paging::new(query.clone()), |paging, id, record| paging.see(id, &record));
        Ok(paging.await?.page())
    }

    async fn stats(&self, query: &AuditQuery) -> Result<AuditStats, AuditError> {
        let counting = self.each(Counting::new(query.clone()), |counting, _, record| counting.see(&record));
        Ok(counting.await?.stats())
    }

    async fn sealed(&self, entry: &LogEntry) -> Result<Option<SealedRecord>, AuditError> {
        self.of_number(entry.id).await
    }

    async fn sealed_call(&self, call: &CallEntry) -> Result<Option<SealedRecord>, AuditError> {
        self.of_number(call.id).await
    }

    async fn calls(&self, request_id: Uuid) -> Result<Vec<CallEntry>, AuditError> {
        self.each(Vec::new(), move |calls, id, record| call_of(request_id, id, &record, calls)).await
    }
}

/// Adds the kind `jsonl`.
pub fn register(registry: &mut Registry) {
    registry.audit.register("jsonl", |config| async move { open(&config.url).await.map(AuditBackend::new) }.boxed());
}

async fn open(url: &str) -> Result<JsonlSink, BuildError> {
    let path = url.strip_prefix("jsonl:").unwrap_or(url);
    JsonlSink::open(path)
        .await
        .map_err(|error| BuildError::invalid(format!("{error}; set the audit url to a file that omni may write")))
}

#[cfg(test)]
mod tests;
