//! Segments, as a power cut would find them.

use super::*;
use crate::testing::sealed;

/// A chain of three records in the first segment of its file.
fn written(dir: &Path) -> Wal {
    let chain = sealed(3);
    let mut wal = Wal::create(dir, chain[0].chain_id, None).unwrap();
    wal.append(&chain).unwrap();
    wal
}

#[test]
fn a_segment_is_durable_before_another_one_follows_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut wal = written(dir.path());
    let full = wal.segment();
    assert!(!full.named.load(Ordering::Acquire), "nobody waited for that");
    wal.rotate(3, &[]).unwrap();
    assert!(full.named.load(Ordering::Acquire) && !Arc::ptr_eq(&full, &wal.segment()));
}

#[cfg(unix)]
#[test]
fn a_segment_that_cannot_be_made_durable_has_failed_and_is_followed_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let mut wal = written(dir.path());
    let file = wal.current.file.try_clone().unwrap();
    // There is no directory that could hold its name.
    let path = dir.path().join("gone/segment.wal");
    wal.current = Arc::new(Segment { file, path, named: AtomicBool::new(false), failed: AtomicBool::new(false) });
    let full = wal.segment();
    wal.rotate(3, &[]).unwrap();
    assert!(full.has_failed() && full.sync().is_err());
    assert!(!wal.is_full() && wal.segment().sync().is_ok());
}

#[test]
fn a_segment_that_failed_before_keeps_no_other_from_following_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut wal = written(dir.path());
    wal.current.failed.store(true, Ordering::Release);
    assert!(wal.is_full());
    wal.rotate(3, &[]).unwrap();
    assert!(!wal.is_full());
}
