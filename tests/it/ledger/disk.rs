//! A disk that takes no more.
//!
//! Where a small disk may be mounted it is a real one that is full. Elsewhere the system takes no more of
//! any file than a limit says, which needs no rights: the test runs itself again in a process with that limit.
#![allow(clippy::print_stderr, reason = "a test that is skipped says so")]

use std::{
    os::unix::process::ExitStatusExt as _,
    process::{Command, ExitStatus},
    time::Duration,
};

use omni_core::{Ask, ErrorKind};

use super::*;

/// Tells the process that runs under a limit what it is.
const LIMITED: &str = "OMNI_TEST_LIMITED_FILES";

/// What takes no more, and takes something again.
trait Disk {
    fn dir(&self) -> &Path;
    fn fill(&self);
    fn make_room(&self);
}

/// A disk of half a megabyte, unmounted with this value.
struct Small(tempfile::TempDir);

impl Small {
    /// `None` where one may not mount.
    fn mount() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", "size=512k", "tmpfs"]).arg(dir.path()).output();
        mount.is_ok_and(|mount| mount.status.success()).then(|| Self(dir))
    }
}

impl Disk for Small {
    fn dir(&self) -> &Path {
        self.0.path()
    }

    /// As much as there is, to the last byte.
    fn fill(&self) {
        let _ = std::fs::write(self.dir().join("ballast"), vec![0; 600 * 1024]);
    }

    fn make_room(&self) {
        std::fs::remove_file(self.dir().join("ballast")).unwrap();
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.dir()).status();
    }
}

/// A directory of this process, of whose files none may be longer than a limit.
struct Limited(tempfile::TempDir);

impl Limited {
    fn set(bytes: &str) {
        let (own, limit) = (std::process::id().to_string(), format!("--fsize={bytes}:"));
        let set = Command::new("prlimit").args(["--pid", &own, &limit]).status().unwrap();
        assert!(set.success(), "prlimit of util-linux sets the limit");
    }
}

impl Disk for Limited {
    fn dir(&self) -> &Path {
        self.0.path()
    }

    fn fill(&self) {
        let files = std::fs::read_dir(self.dir()).unwrap().map(|entry| entry.unwrap());
        let wal = files.filter(|entry| entry.path().extension() == Some("wal".as_ref()));
        let longest = wal.map(|entry| entry.metadata().unwrap().len()).max().unwrap_or(0);
        // The middle of a record: what was begun must go again.
        Self::set(&(longest + 9_000).to_string());
    }

    fn make_room(&self) {
        Self::set("unlimited");
    }
}

async fn refuses_until_there_is_room(disk: &impl Disk) {
    let store = SqlAudit::open("sqlite::memory:").await.unwrap();
    let omni = pipeline(disk.dir(), &store).build().await.unwrap();
    let mut answered = HashSet::new();
    for round in 0..3 {
        disk.fill();
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
        if round == 0 {
            is_not_ready_until(&omni, || disk.make_room()).await;
        } else {
            disk.make_room();
        }
        let again = async {
            loop {
                let ask = Ask::new(ada(), "again");
                let id = ask.request_id;
                match omni.ask(ask).await {
                    Ok(_) => break id,
                    Err(error) => assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}"),
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        answered.insert(tokio::time::timeout(Duration::from_secs(60), again).await.unwrap());
    }
    omni.shutdown().await;
    assert_whole(&store, disk.dir(), &answered).await;
}

/// The disk is full, which is known for longer than asks are refused for it, and without another one that fails.
async fn is_not_ready_until(omni: &omni_core::Omni, make_room: impl FnOnce()) {
    for _ in 0..3 {
        let reason = omni.not_ready(false).await;
        assert!(reason.as_ref().is_some_and(|reason| reason.contains("audit ledger")), "{reason:?}");
        assert!(omni.ledger().file_fault().is_some());
        tokio::time::sleep(Duration::from_millis(1_500)).await;
    }
    make_room();
    let ready = async {
        while omni.not_ready(false).await.is_some() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), ready).await.unwrap();
    assert!(omni.ledger().file_fault().is_none());
}

/// Runs one test of this program again, in a process that a file's limit does not kill.
fn run_limited(test: &str) -> ExitStatus {
    let own = std::env::current_exe().unwrap();
    let mut command = Command::new("sh");
    // Whoever ignores the signal gets the error of a disk that is full; programs inherit that.
    command.args(["-c", "trap '' XFSZ; exec \"$@\"", "sh"]).arg(own).args(["--exact", test, "--nocapture"]);
    command.env(LIMITED, "1").status().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_asks_until_there_is_room_and_breaks_no_chain() {
    match Small::mount() {
        Some(disk) => refuses_until_there_is_room(&disk).await,
        None => eprintln!("skipped: a small disk cannot be mounted here; files that may grow no more stand for it"),
    }
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn files_that_may_grow_no_more_refuse_asks_until_they_may_and_break_no_chain() {
    if std::env::var_os(LIMITED).is_some() {
        return refuses_until_there_is_room(&Limited(tempfile::tempdir().unwrap())).await;
    }
    let test = "ledger::disk::files_that_may_grow_no_more_refuse_asks_until_they_may_and_break_no_chain";
    let ended = tokio::task::spawn_blocking(move || run_limited(test)).await.unwrap();
    assert!(ended.success() && ended.signal().is_none(), "{ended}");
}
