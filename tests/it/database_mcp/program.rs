//! The program: over standard input and output, and over HTTP.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader},
    process::{Child, ChildStderr, Command, Stdio},
};

use database_mcp::Config;
use omni_core::{
    mcp::{CallContext, Connector as _, McpTransportExt as _, http::HttpServer, stdio::StdioServer},
    net::{self, ClientOptions},
};
use omni_tests::{
    parts::{Conformance, base_env},
    program::Program,
};
use serde_json::{json, value::to_raw_value};
use tempfile::TempDir;

const LONG: std::time::Duration = std::time::Duration::from_secs(60);

const PROGRAM: &str = env!("CARGO_BIN_EXE_database-mcp-under-test");

/// A running program and the directory that it works in.
struct Running {
    child: Child,
    _log: BufReader<ChildStderr>,
    url: String,
    _dir: TempDir,
}

impl Running {
    fn start(config: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("databases.yaml");
        std::fs::write(&file, config).unwrap();
        let mut command = Command::new(PROGRAM);
        command.arg("--config").arg(&file).arg("--sample").arg(dir.path()).args(["--http", "127.0.0.1:0"]);
        command.env("TOKEN", "t0ken").stdin(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        let url = loop {
            line.clear();
            assert!(log.read_line(&mut line).unwrap() > 0, "it ended before it listened");
            if let Some((_, url)) = line.split_once("listens at ") {
                break url.trim().to_owned();
            }
        };
        Self { child, _log: log, url, _dir: dir }
    }

    fn base(&self) -> &str {
        self.url.trim_end_matches("/mcp")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn listed(transport: &dyn omni_core::McpTransport) -> String {
    let nothing = to_raw_value(&json!({})).unwrap();
    let output = transport.call_tool("list_available_databases", &nothing, 100_000, &CallContext::within(LONG)).await;
    output.unwrap().for_person()
}

#[tokio::test]
async fn omni_reaches_it_over_standard_input_and_output() {
    let dir = tempfile::tempdir().unwrap();
    let args = ["--sample".to_owned(), dir.path().display().to_string()];
    let server = StdioServer::new(PROGRAM).with_args(args).with_base_env(base_env());
    let transport = server.connect(&CallContext::within(LONG)).await.unwrap();
    assert!(listed(&*transport).await.contains("transformer_master (SQLite 3"));
    transport.close().await;
}

#[tokio::test]
async fn omni_reaches_it_over_http() {
    let running = Running::start("databases: []\n");
    let server = HttpServer::new(&running.url).unwrap();
    let transport = server.connect(&CallContext::within(LONG)).await.unwrap();
    assert!(listed(&*transport).await.contains("way4_docker8"));
    let client = net::client(&ClientOptions::for_url(&running.url.parse().unwrap())).unwrap();
    for path in ["/health", "/healthz"] {
        let health = client.get(format!("{}{path}", running.base())).send().await.unwrap();
        assert_eq!((health.status().as_u16(), health.text().await.unwrap().as_str()), (200, "ok"));
    }
}

#[tokio::test]
async fn who_has_no_token_and_who_comes_from_elsewhere_is_not_let_in() {
    let running = Running::start("http:\n  bearer_token: ${TOKEN}\n");
    let client = net::client(&ClientOptions::for_url(&running.url.parse().unwrap())).unwrap();
    let ping = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": { "protocolVersion": "2025-11-25",
        "capabilities": {}, "clientInfo": { "name": "test", "version": "1" } } });
    let post = || client.post(&running.url).json(&ping).header("accept", "application/json, text/event-stream");
    let status = async |request: reqwest::RequestBuilder| request.send().await.unwrap().status().as_u16();
    assert_eq!(status(post()).await, 401);
    assert_eq!(status(post().bearer_auth("t0ke")).await, 401);
    assert_eq!(status(post().bearer_auth("t0ken")).await, 200);
    assert_eq!(status(post().bearer_auth("t0ken").header("host", "evil.example.com")).await, 403);
    assert_eq!(status(post().bearer_auth("t0ken").header("origin", "http://evil.example.com")).await, 403);
    assert_eq!(status(post().bearer_auth("t0ken").header("origin", "http://localhost:3000")).await, 403);
    assert_eq!(status(post().bearer_auth("t0ken").header("origin", running.base())).await, 200);
    assert_eq!(status(client.get(format!("{}/health", running.base()))).await, 200);
}

#[test]
fn it_does_not_listen_beyond_this_machine_without_a_token() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = Command::new(PROGRAM);
    command.arg("--sample").arg(dir.path()).args(["--http", "0.0.0.0:0"]).stdin(Stdio::null());
    let ran = command.output().unwrap();
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(!ran.status.success() && said.contains("set http.bearer_token"), "{said}");
}

#[test]
fn a_configuration_that_makes_no_sense_ends_it_with_the_reason() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("databases.yaml");
    std::fs::write(&file, "databases:\n  - {name: a, kind: mysql, url: \"${NO_SUCH_VARIABLE}\"}\n").unwrap();
    let ran = Command::new(PROGRAM).arg("--config").arg(&file).stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(!ran.status.success() && said.contains("needs the variable NO_SUCH_VARIABLE"), "{said}");
}

/// Blocks of YAML in the README, each with the file that its first line names.
fn readme() -> Vec<(String, String)> {
    let text = include_str!("../../../examples/servers/database-mcp/README.md");
    let blocks = text.split("```yaml\n# ").skip(1).map(|block| block.split("\n```").next().unwrap());
    blocks.map(|block| block.split_once('\n').unwrap()).map(|(file, text)| (file.into(), text.into())).collect()
}

#[test]
fn configurations_of_the_readme_and_the_example_load() {
    let example = include_str!("../../../examples/servers/database-mcp/databases.yaml");
    assert_eq!(Config::parse(example, &BTreeMap::new()).unwrap().databases.len(), 3);
    let mut loaded = 0;
    for (file, text) in readme() {
        if file == "databases.yaml" {
            assert_eq!(Config::parse(&text, &BTreeMap::new()).unwrap().databases.len(), 1);
        } else {
            let home = Program::new(env!("CARGO_BIN_EXE_omni-under-test")).with_file("mcps.yaml", &text);
            home.run(&["config", "check", "--strict"]).exits(0);
        }
        loaded += 1;
    }
    assert_eq!(loaded, 3);
}

/// The scenarios that need no fixture's tools.
#[tokio::test(flavor = "multi_thread")]
async fn its_http_form_conforms() {
    let running = Running::start("databases: []\n");
    let common = ["tools-list", "dns-rebinding-protection", "server-sse-multiple-streams"];
    let of = |revision: &'static str, more: &[&'static str]| {
        common.iter().chain(more).map(|scenario| (revision, *scenario)).collect::<Vec<_>>()
    };
    let scenarios = [
        of("2025-11-25", &["server-initialize", "ping", "server-session-lifecycle", "server-sse-polling"]),
        of("2026-07-28", &["http-header-validation", "sep-2164-resource-not-found"]),
    ];
    let scenarios = scenarios.concat();
    for (revision, scenario) in scenarios {
        let out = tempfile::tempdir().unwrap();
        let args = ["server", "--url", &running.url, "--scenario", scenario, "--spec-version", revision];
        let mut suite = Conformance::find().command(&args);
        suite.arg("-o").arg(out.path());
        let ran = tokio::process::Command::from(suite).kill_on_drop(true).output().await.unwrap();
        let told = String::from_utf8_lossy(&ran.stdout);
        assert!(ran.status.success(), "{revision} {scenario}\n{told}\n{}", String::from_utf8_lossy(&ran.stderr));
    }
}
