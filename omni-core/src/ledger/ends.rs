//! Where chains ended, one line a chain in a file of each store, until a later chain names them: nothing in a store
//! shows that the end of such a chain is missing there.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Write},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use super::{dead::Head, files, store::StoreTag};
use crate::{
    audit::AuditError,
    hex::{from_hex, to_hex},
};

/// The most that are kept, and that one chain names. There are as many as processes ended beside each other since one
/// began that ended well.
pub(crate) const MOST: usize = 256;

/// How long others may be at the file. Whoever waits longer leaves the write-ahead file to the next start, which writes
/// down the end then.
const LOCKED: Duration = Duration::from_secs(4);

/// The ends of a store's chains, in the order in which they came.
pub(crate) fn read(dir: &Path, store: Option<&StoreTag>) -> Result<Vec<Head>, AuditError> {
    let mut ends = Vec::new();
    for path in paths(dir, store) {
        for end in lines(&path)? {
            if !ends.contains(&end) {
                ends.push(end);
            }
        }
    }
    Ok(ends)
}

/// Writes down where a chain ended, in place of the ends that it names.
pub(crate) fn write(dir: &Path, store: Option<&StoreTag>, end: Head, named: &[Head]) -> Result<(), AuditError> {
    let _locked = lock(dir)?;
    let mut ends = read(dir, store)?;
    ends.retain(|known| known.0 != end.0 && !named.contains(known));
    ends.push(end);
    let surplus = ends.len().saturating_sub(MOST);
    if surplus > 0 {
        tracing::warn!(chains = surplus, "too many processes end beside each other; the ends of some are forgotten");
        ends.drain(..surplus);
    }
    let mut paths = paths(dir, store).into_iter();
    let Some(path) = paths.next() else { return Ok(()) };
    replace(&path, &dir.join(format!("head.{}", end.0)), &ends).map_err(|error| files::failed(&path, &error))?;
    for other in paths {
        let _ = fs::remove_file(other);
    }
    Ok(())
}

/// How many ends of other stores' chains lie there.
pub(crate) fn of_others(dir: &Path, store: &StoreTag) -> Result<usize, AuditError> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        entries => entries.map_err(|error| files::failed(dir, &error))?,
    };
    let mut count = 0;
    for entry in entries {
        let path = entry.map_err(|error| files::failed(dir, &error))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_prefix("head."));
        if name.and_then(StoreTag::parse).is_some_and(|named| !store.is(&named)) {
            count += lines(&path)?.len();
        }
    }
    Ok(count)
}

/// The files in which the ends of a store's chains may be. What is written goes to the first one.
fn paths(dir: &Path, store: Option<&StoreTag>) -> Vec<PathBuf> {
    match store {
        Some(store) => store.names().map(|name| dir.join(format!("head.{name}"))).collect(),
        None => vec![dir.join("head")],
    }
}

/// A line that is none was left by a power cut.
fn lines(path: &Path) -> Result<Vec<Head>, AuditError> {
    let text = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        text => text.map_err(|error| files::failed(path, &error))?,
    };
    let parse = |line: &str| -> Option<Head> {
        let (chain_id, seal) = line.trim().split_once(' ')?;
        Some((chain_id.parse().ok()?, from_hex(seal)?))
    };
    Ok(String::from_utf8_lossy(&text).lines().filter_map(parse).collect())
}

/// The file is whole at any moment, and durable before the write-ahead file goes.
fn replace(path: &Path, draft: &Path, ends: &[Head]) -> io::Result<()> {
    let lines: Vec<String> = ends.iter().map(|(chain_id, seal)| format!("{chain_id} {}\n", to_hex(seal))).collect();
    let mut options = OpenOptions::new();
    let mut file = files::private(options.write(true).create(true).truncate(true)).open(draft)?;
    if let Some(dir) = path.parent() {
        files::give(&file, dir);
    }
    file.write_all(lines.concat().as_bytes())?;
    file.sync_all()?;
    fs::rename(draft, path)?;
    path.parent().map_or(Ok(()), files::sync_dir)
}

/// Keeps other processes from the files of ends for as long as what comes back lives.
fn lock(dir: &Path) -> Result<File, AuditError> {
    let path = dir.join("head.lock");
    let failed = |error: &io::Error| files::failed(&path, error);
    let file = files::private(OpenOptions::new().append(true).create(true)).open(&path);
    let file = file.map_err(|error| failed(&error))?;
    files::give(&file, dir);
    let since = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if since.elapsed() < LOCKED => thread::sleep(Duration::from_millis(5)),
            Err(TryLockError::WouldBlock) => return Err(failed(&io::ErrorKind::TimedOut.into())),
            Err(TryLockError::Error(error)) => return Err(failed(&error)),
        }
    }
}
