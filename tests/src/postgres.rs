//! A PostgreSQL of a test's own, which it may stop and start.
#![allow(clippy::print_stderr, reason = "a test that is skipped says so")]

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use tempfile::TempDir;

/// A throwaway server; it goes away with this value.
#[derive(Debug)]
pub struct Postgres {
    bin: PathBuf,
    dir: TempDir,
    port: u16,
    settings: String,
}

impl Postgres {
    /// Starts one, where its programs are: in the directory `OMNI_TEST_POSTGRES_BIN`, or where Debian
    /// puts them. `None` where there are none, which never passes under CI.
    pub fn start() -> Option<Self> {
        Self::start_with(&[])
    }

    /// The same with settings, such as `work_mem=64kB`.
    pub fn start_with(settings: &[&str]) -> Option<Self> {
        let Some(bin) = bin() else {
            assert!(std::env::var_os("CI").is_none(), "there is no PostgreSQL to start; `tests/run.sh` installs one");
            eprintln!("skipped: there is no PostgreSQL to start; `tests/run.sh` installs one");
            return None;
        };
        let dir = TempDir::new().unwrap();
        if is_root() {
            run(Command::new("chown").arg("postgres").arg(dir.path()));
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let settings = settings.iter().map(|setting| format!(" -c {setting}")).collect();
        let server = Self { bin, dir, port, settings };
        run(server.program("initdb").args(["-U", "postgres", "-A", "trust", "--no-sync", "--locale=C"]));
        server.start_again();
        Some(server)
    }

    /// Where it answers while it runs.
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// Ends it at once, in the middle of whatever it does.
    pub fn stop(&self) {
        run(self.program("pg_ctl").args(["stop", "-m", "immediate", "-w"]));
    }

    /// Starts it over what it kept, and comes back when it answers.
    pub fn start_again(&self) {
        let sockets = self.dir.path().display();
        // Synced, as a real one: what it said to have it must have after it was stopped at once.
        let options = format!("-h 127.0.0.1 -p {} -k {sockets} -c max_connections=40{}", self.port, self.settings);
        let log = self.dir.path().join("log");
        run(self.program("pg_ctl").args(["start", "-w", "-t", "60", "-o", &options, "-l"]).arg(log));
    }

    /// One of its programs, which refuse to be root, on its data.
    fn program(&self, name: &str) -> Command {
        let program = self.bin.join(name);
        let mut command = if is_root() {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        command.arg("-D").arg(self.dir.path().join("data")).current_dir("/");
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let _ = self.program("pg_ctl").args(["stop", "-m", "immediate"]).stdout(Stdio::null()).status();
    }
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().unwrap();
    id.stdout.trim_ascii() == b"0"
}

fn run(command: &mut Command) {
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
    assert!(status.success(), "{command:?}: {status}");
}

fn bin() -> Option<PathBuf> {
    let named = std::env::var_os("OMNI_TEST_POSTGRES_BIN").map(PathBuf::from);
    named.filter(|bin| has_programs(bin)).or_else(|| {
        let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
        let mut bins: Vec<_> = versions.filter_map(|version| Some(version.ok()?.path().join("bin"))).collect();
        bins.retain(|bin| has_programs(bin));
        bins.sort();
        bins.pop()
    })
}

fn has_programs(bin: &Path) -> bool {
    ["initdb", "pg_ctl", "postgres"].iter().all(|name| bin.join(name).exists())
}
