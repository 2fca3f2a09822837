//! Child processes: none outlives its connection, whatever ends it.

use std::{
    collections::BTreeMap,
    env, fs,
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

#[tokio::test]
async fn a_killed_omni_leaves_no_server() {
    let mut holder = Command::new(env::current_exe().unwrap())
        .args(["--exact", "mcp_stdio::holds_a_connection_until_it_is_killed", "--ignored", "--nocapture"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
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
