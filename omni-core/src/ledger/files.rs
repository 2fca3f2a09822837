//! Files that only their owner may read, and errors that name them.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    path::Path,
};

use uuid::Uuid;

use crate::audit::AuditError;

/// How much a disk must still take to be said to have room: a question and its answer with a few calls.
const ROOM: usize = 64 << 10;

/// An input or output error as an [`AuditError`] that names the file. A disk that is full is full for now.
pub(crate) fn failed(path: &Path, error: &io::Error) -> AuditError {
    let path = path.display().to_string();
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            AuditError::Full { message: format!("{path}: {error}; make room there") }
        }
        _ => AuditError::File { path, message: error.to_string() },
    }
}

/// Whether a directory takes what a request writes: a draft there is made, filled, made durable and removed.
pub(crate) fn try_out(draft: &Path) -> Result<(), AuditError> {
    let mut options = OpenOptions::new();
    let file = private(options.write(true).create(true).truncate(true)).open(draft);
    let tried = file.and_then(|mut file| {
        // What no file system makes smaller.
        let bytes: Vec<u8> = (0..ROOM / 16).flat_map(|_| Uuid::new_v4().into_bytes()).collect();
        file.write_all(&bytes)?;
        file.sync_data()
    });
    let _ = fs::remove_file(draft);
    tried.map_err(|error| failed(draft, &error))
}

/// Makes a directory and its parents; a new one is its owner's alone.
pub(crate) fn create_dir(dir: &Path) -> Result<(), AuditError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir).map_err(|error| failed(dir, &error))
}

/// New files of these options are their owner's alone.
pub(crate) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

/// Takes a file's rights away from everybody but its owner.
#[cfg(unix)]
pub(crate) fn restrict(path: &Path) -> Result<(), AuditError> {
    use std::os::unix::fs::PermissionsExt;
    let mode = fs::metadata(path).map_err(|error| failed(path, &error))?.permissions().mode();
    if mode & 0o077 == 0 {
        return Ok(());
    }
    tracing::warn!(path = %path.display(), "others could read a key of omni's; their rights are taken away");
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(|error| failed(path, &error))
}

/// Rights are the directory's matter here.
#[cfg(not(unix))]
pub(crate) fn restrict(_path: &Path) -> Result<(), AuditError> {
    Ok(())
}

/// Makes the names in a directory durable.
pub(crate) fn sync_dir(dir: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(dir)?.sync_all() } else { Ok(()) }
}

/// What root makes in a directory of somebody else is theirs: whoever runs the service there reads and replaces it.
pub(crate) fn give(file: &File, dir: &Path) {
    #[cfg(unix)]
    if let Ok(owner) = fs::metadata(dir) {
        use std::os::unix::fs::{MetadataExt as _, fchown};
        let _ = fchown(file, Some(owner.uid()), Some(owner.gid()));
    }
    #[cfg(not(unix))]
    let _ = (file, dir);
}

/// Runs file work where it may block.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, AuditError> + Send + 'static,
) -> Result<T, AuditError> {
    let broken = |error: tokio::task::JoinError| AuditError::Unavailable { message: error.to_string() };
    tokio::task::spawn_blocking(work).await.map_err(broken)?
}
