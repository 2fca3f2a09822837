//! The built program: over standard input and output, over HTTP, and as the README says.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
};

use omni_core::{
    mcp::{CallContext, Connector as _, McpTransport, http::HttpServer, stdio::StdioServer},
    net::{self, ClientOptions},
};
use omni_tests::{
    github::{Answer, GitHub, README, TOKEN},
    program::Program,
};
use reqwest::StatusCode;
use serde_json::json;

use super::{LONG, call, file, text};

const PROGRAM: &str = env!("CARGO_BIN_EXE_github-mcp-under-test");
const PATH: &str = "/repos/tokio-rs/tokio/contents/README.md";

/// The program behind HTTP, which ends with this value.
pub(super) struct Served {
    child: Child,
    log: BufReader<std::process::ChildStderr>,
    pub(super) url: String,
}

impl Served {
    /// It, in front of a GitHub, with more arguments.
    pub(super) fn start(github: &GitHub, more: &[&str]) -> Self {
        let mut command = program(&[&["--http", "127.0.0.1:0"], more].concat());
        command.env("GITHUB_API_URL", &github.url).env("GITHUB_TOKEN", TOKEN);
        let mut child = command.spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        let url = loop {
            line.clear();
            assert!(log.read_line(&mut line).unwrap() > 0, "it ended before it was ready");
            if let Some((_, url)) = line.split_once("listening at ") {
                break url.chars().take_while(char::is_ascii_graphic).collect();
            }
        };
        Self { child, log, url }
    }

    /// Ends it as a service manager does. What it logged, and its exit code.
    fn stop(mut self) -> (String, Option<i32>) {
        crate::mcp_stdio::signal("-TERM", self.child.id());
        let mut log = String::new();
        self.log.read_to_string(&mut log).unwrap();
        (log, self.child.wait().unwrap().code())
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn program(args: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(args).env_clear().env("NO_COLOR", "1");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

async fn reads_the_readme(transport: Arc<dyn McpTransport>, github: &GitHub) {
    let output = call(&*transport, "get_file_contents", file("README.md", &json!({}))).await;
    assert!(!output.is_error && text(&output).contains("# Tokio"), "{output:?}");
    assert_eq!(github.asked()[0].headers["authorization"], format!("Bearer {TOKEN}"));
    transport.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_serves_whoever_runs_it_over_standard_input_and_output() {
    let github = GitHub::start().await.having(PATH, [Answer::new(200, README)]);
    let env = [("GITHUB_API_URL", &*github.url), ("GITHUB_PERSONAL_ACCESS_TOKEN", TOKEN)];
    let env = env.map(|(name, value)| (name.to_owned(), value.to_owned().into()));
    let server = StdioServer::new(PROGRAM).with_env(env);
    let transport = server.connect(&CallContext::within(LONG)).await.unwrap();
    reads_the_readme(transport, &github).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_serves_over_http_and_ends_when_it_is_told_to() {
    let github = GitHub::start().await.having(PATH, [Answer::new(200, README)]);
    let served = Served::start(&github, &[]);
    let server = HttpServer::new(&served.url).unwrap();
    let transport = server.connect(&CallContext::within(LONG)).await.unwrap();
    reads_the_readme(transport, &github).await;
    let health = net::client(&ClientOptions::for_url(&served.url.parse().unwrap())).unwrap();
    for path in ["/health", "/healthz"] {
        let answer = health.get(served.url.replace("/mcp", path)).send().await.unwrap();
        assert_eq!(answer.text().await.unwrap(), r#"{"status":"ok"}"#);
    }
    drop(health);
    let (log, code) = served.stop();
    assert_eq!(code, Some(0), "{log}");
    assert!(!log.contains(TOKEN), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn over_http_it_answers_no_other_name_and_no_foreign_page() {
    let github = GitHub::start().await;
    let served = Served::start(&github, &["--allow-host", "github-mcp.internal"]);
    let client = net::client(&ClientOptions::for_url(&served.url.parse().unwrap())).unwrap();
    let own = served.url.trim_end_matches("/mcp").to_owned();
    let post = async |host: Option<&str>, origin: Option<&str>, size: usize| {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": { "protocolVersion": "2025-11-25",
            "capabilities": {}, "clientInfo": { "name": "x".repeat(size), "version": "1" } } });
        let mut request = client.post(&served.url).header("accept", "application/json, text/event-stream").json(&body);
        if let Some(host) = host {
            request = request.header("host", host);
        }
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        request.send().await.unwrap().status()
    };
    assert_eq!(post(None, None, 1).await, StatusCode::OK);
    assert_eq!(post(None, Some(&own), 1).await, StatusCode::OK);
    assert_eq!(post(Some("github-mcp.internal"), None, 1).await, StatusCode::OK);
    assert_eq!(post(Some("evil.example.com"), None, 1).await, StatusCode::FORBIDDEN);
    for origin in ["http://evil.example.com", "null", "http://127.0.0.1:1", "https://github.com"] {
        assert_eq!(post(None, Some(origin), 1).await, StatusCode::FORBIDDEN, "{origin}");
    }
    assert_eq!(post(None, None, 300_000).await, StatusCode::PAYLOAD_TOO_LARGE);
}

#[test]
fn it_listens_for_others_only_where_that_was_said() {
    let ran = program(&["--http", "0.0.0.0:0"]).output().unwrap();
    let told = String::from_utf8(ran.stderr).unwrap();
    assert!(
        !ran.status.success() && told.contains("is open to other machines") && told.contains("--allow-host"),
        "{told}"
    );
}

#[test]
fn settings_that_cannot_be_used_are_told_without_secrets() {
    for (name, value, told) in [
        ("GITHUB_API_URL", "http://github.example.com", "is not encrypted: use https"),
        ("GITHUB_API_URL", "https://ada:s3cret@github.example.com", "is no address of an API"),
        ("GITHUB_TOKEN", "s3cret with spaces", "the token is none"),
    ] {
        let ran = program(&[]).env(name, value).output().unwrap();
        let error = String::from_utf8(ran.stderr).unwrap();
        assert!(!ran.status.success() && error.contains(told) && !error.contains("s3cret"), "{error}");
    }
}

fn readme() -> (PathBuf, String) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/servers/github-mcp");
    let text = fs::read_to_string(folder.join("README.md")).unwrap();
    (folder, text)
}

#[test]
fn every_configuration_of_the_readme_loads() {
    let (_, text) = readme();
    let blocks: Vec<&str> = text.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert_eq!(blocks.len(), 4);
    for block in blocks {
        let home = Program::new(env!("CARGO_BIN_EXE_omni-under-test")).with_file("mcps.yaml", block);
        let named = ["GITHUB_PERSONAL_ACCESS_TOKEN", "GITHUB_OAUTH_CLIENT_ID", "GITHUB_OAUTH_CLIENT_SECRET"];
        let ran = home.run_with(&named.map(|name| (name, TOKEN)), &["config", "check", "--strict"]);
        assert_eq!(ran.code, 0, "{block}\n{ran:?}");
    }
}

#[test]
fn the_readme_names_every_option_and_variable() {
    let (_, text) = readme();
    let help = String::from_utf8(program(&["--help"]).output().unwrap().stdout).unwrap();
    for name in ["--http", "--allow-host", "GITHUB_TOKEN", "GITHUB_PERSONAL_ACCESS_TOKEN", "GITHUB_API_URL", "RUST_LOG"]
    {
        assert!(text.contains(name) && help.contains(name), "{name}");
    }
}
