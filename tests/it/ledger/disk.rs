//! A disk that is full.
#![allow(clippy::print_stderr, reason = "a test that is skipped says so")]

use std::process::Command;

use omni_core::{Ask, ErrorKind};

use super::*;

/// A disk of half a megabyte, unmounted with this value; `None` where one may not mount.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", "size=512k", "tmpfs"]).arg(dir.path()).output();
        if !mount.is_ok_and(|mount| mount.status.success()) {
            eprintln!("skipped: a small disk cannot be mounted here");
            return None;
        }
        Some(Self(dir))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_asks_until_there_is_room_and_breaks_no_chain() {
    let Some(disk) = SmallDisk::mount() else { return };
    let store = SqlAudit::open("sqlite::memory:").await.unwrap();
    let omni = pipeline(disk.path(), &store).build().await.unwrap();
    let ballast = disk.path().join("ballast");
    let mut answered = HashSet::new();
    for _ in 0..3 {
        // As much as there is, to the last byte.
        let _ = std::fs::write(&ballast, vec![0; 600 * 1024]);
        let refused = loop {
            let ask = Ask::new(ada(), "q".repeat(5_000));
            let id = ask.request_id;
            match omni.ask(ask).await {
                Ok(_) => answered.insert(id),
                Err(error) => break error,
            };
        };
        assert_eq!(refused.kind(), ErrorKind::Unavailable, "{refused}");
        assert!(refused.to_string().contains(".wal"), "{refused}");
        std::fs::remove_file(&ballast).unwrap();
        let again = async {
            loop {
                let ask = Ask::new(ada(), "again");
                let id = ask.request_id;
                match omni.ask(ask).await {
                    Ok(_) => break id,
                    Err(error) => assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}"),
                }
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        };
        answered.insert(tokio::time::timeout(std::time::Duration::from_secs(60), again).await.unwrap());
    }
    omni.shutdown().await;
    assert_whole(&store, disk.path(), &answered).await;
}
