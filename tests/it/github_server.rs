//! `examples/servers/github-mcp` in front of a stand-in for GitHub, through omni's own transports.

use std::{sync::Arc, time::Duration};

use github_mcp::{GithubServer, Settings};
use omni_core::mcp::{CallContext, Connector, McpTransport, McpTransportExt, ToolOutput, in_process::InProcess};
use omni_tests::github::{GitHub, TOKEN};
use serde_json::{Value, json, value::to_raw_value};

mod conformance;
mod contents;
mod failures;
mod offer;
mod program;
mod search;

const LONG: Duration = Duration::from_secs(60);
const MOST_CHARS: usize = 1_000_000;

/// The server in this process, in front of a GitHub.
struct Rig {
    github: GitHub,
    transport: Arc<dyn McpTransport>,
}

fn settings(github: &GitHub) -> Settings {
    Settings::public().unwrap().with_api_url(&github.url).unwrap()
}

fn in_process(settings: Settings) -> InProcess {
    let server = GithubServer::new(settings).unwrap();
    InProcess::new(move || server.clone())
}

impl Rig {
    async fn with(github: GitHub, settings: Settings) -> Self {
        let transport = in_process(settings).connect(&CallContext::within(LONG)).await.unwrap();
        Self { github, transport }
    }

    /// One without a token.
    async fn anonymous(github: GitHub) -> Self {
        let settings = settings(&github);
        Self::with(github, settings).await
    }

    async fn new(github: GitHub) -> Self {
        let settings = settings(&github).with_token(TOKEN).unwrap();
        Self::with(github, settings).await
    }

    async fn call(&self, tool: &str, arguments: Value) -> ToolOutput {
        call(&*self.transport, tool, arguments).await
    }

    /// A result, which there has to be.
    async fn read(&self, tool: &str, arguments: Value) -> (String, Value) {
        let output = self.call(tool, arguments).await;
        assert!(!output.is_error, "{output:?}");
        (text(&output), output.structured.unwrap())
    }

    /// Why there is none, which there must not be.
    async fn refused(&self, tool: &str, arguments: Value) -> String {
        let output = self.call(tool, arguments).await;
        assert!(output.is_error && output.structured.is_none(), "{output:?}");
        text(&output)
    }
}

async fn call(transport: &dyn McpTransport, tool: &str, arguments: Value) -> ToolOutput {
    let arguments = to_raw_value(&arguments).unwrap();
    transport.call_tool(tool, &arguments, MOST_CHARS, &CallContext::within(LONG)).await.unwrap()
}

/// The one text of an output.
fn text(output: &ToolOutput) -> String {
    let [omni_core::mcp::Content::Text { text }] = &output.content[..] else { panic!("{output:?}") };
    text.clone()
}

/// A file of `tokio-rs/tokio`, with more arguments.
fn file(path: &str, more: &Value) -> Value {
    let mut arguments = json!({ "owner": "tokio-rs", "repo": "tokio", "path": path });
    arguments.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    arguments
}
