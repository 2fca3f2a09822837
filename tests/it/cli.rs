//! The program as people and scripts use it.

use std::{
    net::{TcpListener, TcpStream},
    process::{Child, Command},
    thread::sleep,
    time::{Duration, Instant},
};

use omni_core::{
    audit::{AuditSink as _, sql::SqlAudit},
    ledger::SealKey,
    testing::sealed_days_ago,
};
use omni_tests::{
    loopback::Loopback,
    program::{Program, Ran},
};

mod ask;
mod audit;
mod auditor;
mod bad_input;
mod chat;
mod config;
mod db;
mod doctor;
mod health;
mod manual;
mod options;
mod people;
mod pins;
mod pipes;
mod policy;
mod proofs;
mod results;
mod schema;
mod sessions;
mod terminal;
mod tools;

/// Longer than anything here takes; whoever waits this long waits for ever.
const LONG: Duration = Duration::from_secs(60);

fn omni() -> Program {
    Program::new(env!("CARGO_BIN_EXE_omni-under-test"))
}

/// A home whose configuration has one server, `db`, with more keys for it.
fn with_server(server: &Loopback, more: &str) -> Program {
    omni().with_file("mcps.yaml", &server.mcps(more))
}

/// How asks and calls of a home ended, by its audit log.
fn statuses(home: &Program) -> Vec<String> {
    let database = home.home().join("xdg/data/omni/omni.db");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let pool = sqlx::SqlitePool::connect(database.to_str().unwrap()).await.unwrap();
        sqlx::query_scalar("SELECT status FROM audit_logs ORDER BY id").fetch_all(&pool).await.unwrap()
    })
}

/// Puts two records into a database that the program in a home sealed two days ago, one of them an ask.
fn aged(home: &Program, url: &str) {
    let key = SealKey::load(&home.home().join("xdg/data/omni")).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = SqlAudit::open(url).await.unwrap();
        store.append(&sealed_days_ago(&key, 2)).await.unwrap();
        store.db().close().await;
    });
}

/// A vendor that takes the connection and says nothing; then `settings.yaml` that names it.
fn silent_vendor() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let settings =
        format!("llm:\n  provider: openai\n  model: m\n  api_key: sk-x\n  base_url: {url}\n  max_retries: 0\n");
    (listener, settings)
}

/// The next connection.
fn accept(listener: &TcpListener) -> TcpStream {
    listener.set_nonblocking(true).unwrap();
    let mut accepted = None;
    eventually("nobody connects", || {
        accepted = listener.accept().ok();
        accepted.is_some()
    });
    let (connection, _) = accepted.unwrap();
    connection.set_nonblocking(false).unwrap();
    connection
}

/// Waits until something is so.
fn eventually(otherwise: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < LONG, "{otherwise}");
        sleep(Duration::from_millis(10));
    }
}

/// Presses Ctrl-C, and waits for the end.
fn interrupt(child: Child) -> Ran {
    signalled(child, "INT")
}

/// Sends a signal, and waits for the end.
fn signalled(child: Child, signal: &str) -> Ran {
    // Not every machine has a program of that name, and every shell has a command.
    let kill = Command::new("sh").args(["-c", &format!("kill -{signal} {}", child.id())]).status().unwrap();
    assert!(kill.success());
    child.wait_with_output().unwrap().into()
}

/// Whether what is started here hears of a terminal that is closed, and says so: not where these tests are to outlive
/// theirs, nor where the kernel does not tell.
pub(crate) fn hears_hangup() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    ignored.is_some_and(|mask| u64::from_str_radix(mask.trim(), 16).unwrap() & 1 == 0)
}

/// What the system calls whoever runs this.
pub(crate) fn os_user() -> String {
    let id = Command::new("id").arg("-un").output().unwrap();
    String::from_utf8(id.stdout).unwrap().trim().to_owned()
}
