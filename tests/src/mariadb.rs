//! A MariaDB of a test's own, with settings of its own.
#![allow(clippy::print_stderr, reason = "a test that is skipped says so")]

use std::{
    net::{TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// How long it may take to answer.
const STARTS_WITHIN: Duration = Duration::from_secs(60);

/// A throwaway server that lets `root` in without a password; it goes away with this value.
#[derive(Debug)]
pub struct MariaDb {
    child: Child,
    port: u16,
    _dir: TempDir,
}

impl MariaDb {
    /// Starts one with more arguments; `None` where its programs are missing, which never passes under CI.
    pub fn start(args: &[&str]) -> Option<Self> {
        let (Some(server), Some(install)) = (program("mariadbd"), program("mariadb-install-db")) else {
            assert!(std::env::var_os("CI").is_none(), "there is no MariaDB to start; `tests/run.sh` installs one");
            eprintln!("skipped: there is no MariaDB to start; `tests/run.sh` installs one");
            return None;
        };
        let dir = TempDir::new().unwrap();
        let data = dir.path().join("data");
        // One that starts removes what others have begun in a directory that they share.
        let scratch = dir.path().join("tmp");
        std::fs::create_dir(&scratch).unwrap();
        // It refuses to be root unless it is told to.
        let user = Command::new("id").arg("-un").output().unwrap().stdout;
        let user = format!("--user={}", String::from_utf8_lossy(&user).trim());
        let common = ["--no-defaults", &user];
        let mut installing = Command::new(install);
        installing.env("TMPDIR", &scratch);
        installing.args(common).arg(format!("--datadir={}", data.display()));
        installing.args(["--auth-root-authentication-method=normal", "--skip-test-db"]);
        let installed = installing.stdin(Stdio::null()).output().unwrap();
        assert!(installed.status.success(), "{}", String::from_utf8_lossy(&installed.stderr));
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new(server);
        command.env("TMPDIR", &scratch);
        command.args(common).arg(format!("--datadir={}", data.display())).arg(format!("--port={port}"));
        command.arg(format!("--socket={}", dir.path().join("socket").display())).arg("--bind-address=127.0.0.1");
        command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut server = Self { child: command.spawn().unwrap(), port, _dir: dir };
        server.wait();
        Some(server)
    }

    fn wait(&mut self) {
        let started = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(self.child.try_wait().unwrap().is_none(), "MariaDB ended");
            assert!(started.elapsed() < STARTS_WITHIN, "MariaDB does not answer");
            sleep(Duration::from_millis(50));
        }
    }

    /// Where it answers.
    pub fn url(&self) -> String {
        format!("mysql://root@127.0.0.1:{}/mysql", self.port)
    }
}

impl Drop for MariaDb {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let dirs = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin"), PathBuf::from("/usr/bin")]);
    dirs.map(|dir| dir.join(name)).find(|file| file.is_file())
}
