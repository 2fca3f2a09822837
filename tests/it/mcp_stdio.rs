//! Child processes: none outlives its connection, whatever ends it.

use std::{
    collections::BTreeMap,
    env, fs,
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use futures::{StreamExt, stream};
use omni_core::mcp::{CallContext, Connector, McpTransport, stdio::StdioServer};
use omni_tests::parts::{Parts, base_env};
use tokio::time::sleep;

use crate::mcp_in_process::eventually;

const LONG: Duration = Duration::from_secs(60);

/// A server that answers `initialize` and has a child of its own. Only a polite one ends with its
/// input, and its child never does.
const SERVER: &str = r"
    const { spawn } = require('node:child_process');
    const marker = process.argv[1];
    spawn('/bin/sh', ['-c', 'while :; do sleep 1; done', marker], { stdio: 'inherit' });
    const lines = require('node:readline').createInterface({ input: process.stdin });
    lines.on('line', (line) => {
        const { id, method } = JSON.parse(line);
        if (method !== 'initialize') return;
        const result = { protocolVersion: '2025-11-25', capabilities: {}, serverInfo: { name: 's', version: '1' } };
        console.log(JSON.stringify({ jsonrpc: '2.0', id, result }));
    });
    lines.on('close', () => { if (process.argv[2] === 'polite') process.exit(0); });
    process.on('SIGTERM', () => {});
    setInterval(() => {}, 1000);
";

/// A server of few words, for those that are started a thousand times.
const BRIEF: &str = r#"
    while read -r line; do
        case $line in *'"method":"initialize"'*)
            id=${line#*'"id":'}
            echo "{\"jsonrpc\":\"2.0\",\"id\":${id%%[,\}]*},\"result\":{\"protocolVersion\":\"2025-11-25\",\"capabilities\":{},\"serverInfo\":{\"name\":\"s\",\"version\":\"1\"}}}"
        esac
    done
"#;

async fn connect(marker: &str, manners: &str) -> Arc<dyn McpTransport> {
    let args = ["-e", SERVER, marker, manners];
    let server = StdioServer::new(Parts::find().node()).with_args(args).with_base_env(base_env());
    server.connect(&CallContext::within(LONG)).await.unwrap()
}

/// Processes that have `marker` among their arguments.
pub(crate) fn processes(marker: &str) -> Vec<u32> {
    let has_marker = |pid: &u32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0).any(|argument| argument == marker.as_bytes())
    };
    pids().filter(has_marker).collect()
}

/// Processes of a process group that still run.
fn group(pgid: u32) -> Vec<u32> {
    let in_group = |pid: &u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
        fields.len() > 2 && fields[0] != "Z" && fields[2] == pgid.to_string()
    };
    pids().filter(in_group).collect()
}

fn pids() -> impl Iterator<Item = u32> {
    fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

pub(crate) fn signal(signal: &str, pid: u32) {
    // Not every machine has a program of that name, and every shell has a command.
    assert!(Command::new("sh").args(["-c", &format!("kill {signal} {pid}")]).status().unwrap().success());
}

async fn eventually_gone(pids: impl Fn() -> Vec<u32>) {
    eventually(|| pids().is_empty()).await;
}

/// The node process is its group's leader; the watchdog is in the group too.
fn leader(marker: &str) -> u32 {
    let found: BTreeMap<usize, u32> = processes(marker).into_iter().map(|pid| (group(pid).len(), pid)).collect();
    let (size, pid) = found.into_iter().next_back().unwrap();
    assert!(size >= 3, "server, child and watchdog: {size}");
    pid
}

#[tokio::test]
async fn closing_a_connection_ends_the_server_and_its_children() {
    let connection = connect("closed-connection", "rude").await;
    let pgid = leader("closed-connection");
    connection.close().await;
    eventually_gone(|| group(pgid)).await;
}

#[tokio::test]
async fn dropping_a_connection_ends_the_server_and_its_children() {
    let connection = connect("dropped-connection", "rude").await;
    let pgid = leader("dropped-connection");
    drop(connection);
    eventually_gone(|| group(pgid)).await;
}

#[tokio::test]
async fn a_connection_attempt_that_is_given_up_leaves_no_process() {
    let silent = StdioServer::new("/bin/sh")
        .with_args(["-c", "/bin/sh -c 'while :; do sleep 1; done' given-up-child; true", "given-up"])
        .with_base_env(base_env());
    silent.connect(&CallContext::within(Duration::from_millis(500))).await.unwrap_err();
    eventually_gone(|| [processes("given-up"), processes("given-up-child")].concat()).await;
}

#[tokio::test]
async fn many_connections_leave_no_process() {
    let cycle = |_| async {
        let connection = connect("many-connections", "polite").await;
        connection.close().await;
    };
    stream::iter(0..100).for_each_concurrent(20, cycle).await;
    eventually_gone(|| processes("many-connections")).await;
}

/// The watchdog of a group.
fn watchdog(pgid: u32) -> u32 {
    let is_watchdog = |pid: &u32| fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap().contains("kill -9 0");
    group(pgid).into_iter().find(is_watchdog).unwrap()
}

#[tokio::test]
async fn a_watchdog_holds_its_own_pipe_and_nothing_else() {
    let connection = connect("watched-descriptors", "polite").await;
    let pid = watchdog(leader("watched-descriptors"));
    let held = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().map(|fd| fd.unwrap());
    let held: BTreeMap<String, String> = held
        .map(|fd| (fd.file_name().into_string().unwrap(), fs::read_link(fd.path()).unwrap().display().to_string()))
        .collect();
    // A shell can let go of the first ten only; of what is above, whoever started this test gave it.
    let is_given = |fd: &str| fs::read_link(format!("/proc/self/fd/{fd}")).is_ok_and(|own| own == Path::new(&held[fd]));
    let own = held.keys().map(String::as_str).filter(|fd| fd.len() == 1 || !is_given(fd));
    assert_eq!(own.collect::<Vec<_>>(), ["0", "1", "2"], "{held:?}");
    assert!(held["0"].starts_with("pipe:") && held["1"] == "/dev/null" && held["2"] == "/dev/null", "{held:?}");
    connection.close().await;
}

#[tokio::test]
async fn a_watchdog_leaves_when_its_server_ends() {
    let connection = connect("watched-end", "rude").await;
    let pgid = leader("watched-end");
    signal("-9", pgid);
    // The server's own child goes on, and holds its pipes.
    eventually_gone(|| group(pgid)).await;
    drop(connection);
}

#[tokio::test]
async fn many_cycles_leave_no_process_and_no_descriptor() {
    let ran = apart("connects_and_closes_again_and_again").status().unwrap();
    assert!(ran.success());
}

/// Descriptors of this process, and processes that it started.
fn held() -> (usize, usize) {
    let own = std::process::id().to_string();
    let is_child = |pid: &u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit(") ").next().and_then(|rest| rest.split(' ').nth(1)) == Some(&own)
    };
    (fs::read_dir("/proc/self/fd").unwrap().count(), pids().filter(is_child).count())
}

#[tokio::test]
#[ignore = "a part of the test of many cycles: it counts what its process holds"]
async fn connects_and_closes_again_and_again() {
    let cycles = if env::var_os("OMNI_TEST_FULL").is_some() { 1_000 } else { 50 };
    let server = StdioServer::new("/bin/sh").with_args(["-c", BRIEF]);
    let cycle = async || {
        let connection = server.connect(&CallContext::within(LONG)).await.unwrap();
        connection.close().await;
    };
    cycle().await;
    let before = held();
    assert_eq!(before.1, 0);
    for _ in 0..cycles {
        cycle().await;
    }
    eventually(|| held() == before).await;
}

/// A test of this file, in a process of its own.
fn apart(test: &str) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", &format!("mcp_stdio::{test}"), "--ignored", "--nocapture"]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

#[tokio::test]
async fn a_killed_omni_leaves_no_server() {
    let mut holder = apart("holds_a_connection_until_it_is_killed").spawn().unwrap();
    eventually(|| processes("killed-omni").len() >= 2).await;
    sleep(Duration::from_millis(300)).await;
    let pgid = leader("killed-omni");
    signal("-9", holder.id());
    holder.wait().unwrap();
    eventually_gone(|| group(pgid)).await;
}

#[tokio::test]
#[ignore = "a part of the test of a killed omni"]
async fn holds_a_connection_until_it_is_killed() {
    let _connection = connect("killed-omni", "rude").await;
    sleep(LONG).await;
}
