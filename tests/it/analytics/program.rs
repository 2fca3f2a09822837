//! `omni mcp analytics`: over standard input and output, and over HTTP for whoever has a key.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    process::Child,
    time::Duration,
};

use omni_core::{
    McpTransport,
    config::ServerAuth,
    mcp::{CallContext, Connector as _, McpRequest, McpTransportExt as _, http::HttpServer, stdio::StdioServer},
    net::{self, ClientOptions},
};
use omni_tests::program::Program;
use serde_json::{json, value::to_raw_value};

const LONG: Duration = Duration::from_secs(60);

/// An empty home, and a key of its administrator's.
pub(super) fn home_with_key() -> (Program, String) {
    let home = Program::new(env!("CARGO_BIN_EXE_omni-under-test"));
    let made = home.run(&["keys", "create", "--user", "owner@company.com", "--scope", "mcp,audit"]).exits(0);
    let key = made.out.trim().to_owned();
    (home, key)
}

/// The program behind HTTP.
pub(super) struct Served {
    child: Child,
    log: BufReader<std::process::ChildStderr>,
    pub(super) url: String,
}

impl Served {
    pub(super) fn start(home: &Program) -> Self {
        let mut child = home.command(&["mcp", "analytics", "--http", "127.0.0.1:0"]).spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let (mut line, mut told) = (String::new(), String::new());
        let url = loop {
            line.clear();
            assert!(log.read_line(&mut line).unwrap() > 0, "it ended before it was ready: {told}");
            told.push_str(&line);
            if let Some((_, url)) = line.split_once("listens at ") {
                break url.chars().take_while(char::is_ascii_graphic).collect();
            }
        };
        Self { child, log, url }
    }

    pub(super) fn stop(mut self) -> Option<i32> {
        crate::mcp_stdio::signal("-TERM", self.child.id());
        let mut log = String::new();
        self.log.read_to_string(&mut log).unwrap();
        self.child.wait().unwrap().code()
    }
}

async fn usage(transport: &dyn McpTransport) -> String {
    let arguments = to_raw_value(&json!({ "period": "all" })).unwrap();
    let output = transport.call_tool("get_cost_summary", &arguments, 10_000, &CallContext::within(LONG)).await;
    output.unwrap().for_person()
}

async fn tools(transport: &dyn McpTransport) -> usize {
    let list = McpRequest::new("tools/list", None);
    let reply = transport.request(list, &CallContext::within(LONG)).await.unwrap();
    let listed: serde_json::Value = serde_json::from_str(reply.raw().get()).unwrap();
    listed["tools"].as_array().unwrap().len()
}

#[tokio::test(flavor = "multi_thread")]
async fn over_http_whoever_has_a_key_asks_and_there_is_nothing_else() {
    let (home, key) = home_with_key();
    let served = Served::start(&home);
    let client = net::client(&ClientOptions::for_url(&served.url.parse().unwrap())).unwrap();
    for (path, status) in [("/health", 200), ("/healthz", 200), ("/chat/ask", 401), ("/docs", 401), ("/mcp", 401)] {
        let answer = client.get(format!("{}{path}", served.url)).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), status, "{path}");
    }
    let url = format!("{}/mcp", served.url);
    assert!(HttpServer::new(&url).unwrap().connect(&CallContext::within(LONG)).await.is_err(), "a key is wanted");
    let server = HttpServer::new(&url).unwrap().with_auth(ServerAuth::Bearer(key.into()));
    let transport = server.connect(&CallContext::within(LONG)).await.unwrap();
    assert_eq!(tools(&*transport).await, 16);
    let said = usage(&*transport).await;
    assert!(said.contains("Nothing was asked") || said.contains("request"), "{said}");
    transport.close().await;
    assert_eq!(served.stop(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn over_http_whoever_is_no_administrator_has_their_own_usage_alone() {
    let home = Program::new(env!("CARGO_BIN_EXE_omni-under-test"));
    std::fs::create_dir_all(home.config_dir()).unwrap();
    let people = "users:\n- { email: owner@company.com, role: super_admin }\n- { email: dba@company.com, role: dba }\n";
    std::fs::write(home.config_dir().join("users.yaml"), people).unwrap();
    let made = home.run(&["keys", "create", "--user", "dba@company.com", "--scope", "mcp"]).exits(0);
    let served = Served::start(&home);
    let url = format!("{}/mcp", served.url);
    let server = HttpServer::new(&url).unwrap().with_auth(ServerAuth::Bearer(made.out.trim().to_owned().into()));
    let transport = server.connect(&CallContext::within(LONG)).await.unwrap();
    assert_eq!(tools(&*transport).await, 1);
    let ask = async |tool: &str| {
        let arguments = to_raw_value(&json!({ "period": "all" })).unwrap();
        transport.call_tool(tool, &arguments, 10_000, &CallContext::within(LONG)).await
    };
    assert!(ask("get_my_usage").await.is_ok_and(|output| !output.is_error));
    assert!(ask("get_cost_summary").await.is_err_and(|error| error.to_string().contains("get_cost_summary")));
    transport.close().await;
    assert_eq!(served.stop(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn over_http_an_administrators_key_without_the_scope_audit_reads_nothing_of_others() {
    let home = Program::new(env!("CARGO_BIN_EXE_omni-under-test"));
    let made = home.run(&["keys", "create", "--user", "owner@company.com", "--scope", "mcp"]).exits(0);
    let served = Served::start(&home);
    let url = format!("{}/mcp", served.url);
    let server = HttpServer::new(&url).unwrap().with_auth(ServerAuth::Bearer(made.out.trim().to_owned().into()));
    let transport = server.connect(&CallContext::within(LONG)).await.unwrap();
    let ask = async |tool: &str| {
        let arguments = to_raw_value(&json!({ "period": "all" })).unwrap();
        transport.call_tool(tool, &arguments, 10_000, &CallContext::within(LONG)).await.unwrap()
    };
    for tool in ["get_slow_queries", "get_active_users", "get_denials", "get_top_expensive_queries"] {
        let refused = ask(tool).await;
        let said = refused.for_person();
        assert!(refused.is_error && said.contains("the credential lacks the scope `audit`"), "{tool}: {said}");
    }
    assert!(!ask("get_my_usage").await.is_error);
    transport.close().await;
    assert_eq!(served.stop(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn over_standard_input_and_output_the_person_at_the_terminal_asks() {
    let home = Program::new(env!("CARGO_BIN_EXE_omni-under-test"));
    let prepared = home.command(&[]);
    let text = |text: &std::ffi::OsStr| text.to_str().unwrap().to_owned();
    let env = prepared.get_envs().filter_map(|(name, value)| Some((text(name), text(value?).into())));
    let env: Vec<(String, omni_core::SecretString)> = env.collect();
    let server = StdioServer::new(env!("CARGO_BIN_EXE_omni-under-test")).with_args(["mcp", "analytics"]).with_env(env);
    let transport = server.connect(&CallContext::within(LONG)).await.unwrap();
    assert_eq!(tools(&*transport).await, 16);
    assert!(!usage(&*transport).await.is_empty());
    transport.close().await;
}
