//! The client that the MCP conformance suite drives: omni's own pool, as an agent's host uses it.
//!
//! The suite says by its environment what to do (`MCP_CONFORMANCE_SCENARIO`, `MCP_CONFORMANCE_CONTEXT`)
//! and where by the last argument.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "the suite speaks to its client by the environment, and shows what it prints"
)]

use std::{collections::BTreeMap, env, error::Error, sync::Arc, time::Duration};

use omni_core::{
    catalog::ToolDef,
    mcp::{
        CallContext, Connector, McpError, McpTransport, Peer, PeerCapabilities, Pool, ServerOptions, http::HttpServer,
        pool::ServerEntry,
    },
};
use serde_json::{
    Map, Value, json,
    value::{RawValue, to_raw_value},
};

mod auth;

type Failure = Box<dyn Error>;

/// How long a scenario may take; the suite ends clients after 30 s.
const WITHIN: Duration = Duration::from_secs(25);

const SERVER: &str = "suite";

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let scenario = env::var("MCP_CONFORMANCE_SCENARIO").unwrap_or_else(|_| "initialize".into());
    let url = env::args().next_back().ok_or("the suite's address is missing")?;
    let context: Value =
        env::var("MCP_CONFORMANCE_CONTEXT").ok().map_or(Ok(Value::Null), |text| serde_json::from_str(&text))?;
    tokio::time::timeout(WITHIN, run(&scenario, &url, &context)).await?
}

async fn run(scenario: &str, url: &str, context: &Value) -> Result<(), Failure> {
    let pool = pool(scenario, url, context)?;
    let catalog = pool.discover_server(SERVER).await?;
    let tools: Vec<&Arc<ToolDef>> = catalog.tools().collect();
    match scenario {
        "json-schema-2020-12-preservation" => echo_schema(&pool, &tools).await?,
        _ => call_all(&pool, &tools, context).await?,
    }
    pool.shutdown().await;
    Ok(())
}

/// Makes connections on which the person is asked, whatever it is about: nobody else uses them.
#[derive(Debug)]
struct Own(HttpServer);

#[async_trait::async_trait]
impl Connector for Own {
    fn kind(&self) -> &'static str {
        self.0.kind()
    }

    async fn connect(&self, cx: &CallContext) -> Result<Arc<dyn McpTransport>, McpError> {
        self.0.connect(&cx.clone().with_peer(Arc::new(Person))).await
    }
}

fn pool(scenario: &str, url: &str, context: &Value) -> Result<Pool, Failure> {
    let mut server = HttpServer::new(url)?;
    if scenario.starts_with("auth/") {
        server = server.with_credentials(auth::source(scenario, url, context)?);
    }
    let connector = Arc::new(Own(server));
    let entry = ServerEntry { connector, options: ServerOptions::default() };
    Ok(Pool::new(BTreeMap::from([(SERVER.to_owned(), entry)])))
}

/// Calls what the suite names, else every tool that is listed. An error of one does not end the others:
/// the suite judges by what it was sent.
async fn call_all(pool: &Pool, tools: &[&Arc<ToolDef>], context: &Value) -> Result<(), Failure> {
    let named = context["toolCalls"].as_array().cloned().unwrap_or_default();
    let named =
        named.iter().map(|call| (call["name"].as_str().unwrap_or_default().to_owned(), call["arguments"].clone()));
    let mut calls: Vec<(String, Value)> = named.collect();
    if calls.is_empty() {
        calls = tools.iter().map(|tool| (tool.name.to_string(), arguments(tool))).collect();
    }
    for (tool, arguments) in calls {
        match call(pool, &tool, &arguments).await {
            Ok(text) => eprintln!("{tool}: {text}"),
            Err(error) => eprintln!("{tool} failed: {error}"),
        }
    }
    Ok(())
}

/// Gives the schema of one tool to the other, as it was listed.
async fn echo_schema(pool: &Pool, tools: &[&Arc<ToolDef>]) -> Result<(), Failure> {
    let takes_schema = |tool: &&&Arc<ToolDef>| arguments(tool).get("schema").is_some();
    let echo = tools.iter().find(takes_schema).ok_or("no tool takes a schema")?;
    let other = tools.iter().find(|tool| tool.name != echo.name).ok_or("there is no other tool")?;
    let schema: Value = serde_json::from_str(other.input_schema.get())?;
    call(pool, &echo.name, &json!({ "schema": schema })).await?;
    Ok(())
}

async fn call(pool: &Pool, tool: &str, arguments: &Value) -> Result<String, Failure> {
    let cx = CallContext::within(WITHIN).with_peer(Arc::new(Person));
    let arguments = if arguments.is_null() { json!({}) } else { arguments.clone() };
    Ok(pool.call(SERVER, tool, &to_raw_value(&arguments)?, &cx).await?.for_person())
}

/// Something for each argument that a tool requires.
fn arguments(tool: &ToolDef) -> Value {
    let schema: Value = serde_json::from_str(tool.input_schema.get()).unwrap_or_default();
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    let names = required.iter().filter_map(Value::as_str);
    names.map(|name| (name.to_owned(), example(&schema["properties"][name]))).collect::<Map<_, _>>().into()
}

fn example(schema: &Value) -> Value {
    if let Some(default) = schema.get("default") {
        return default.clone();
    }
    match schema["type"].as_str() {
        Some("integer" | "number") => json!(1),
        Some("boolean") => json!(true),
        Some("array") => json!([]),
        Some("object") => json!({}),
        _ => json!("text"),
    }
}

/// Whoever is behind the calls: takes what a form proposes, and answers in place of a model.
#[derive(Debug)]
struct Person;

#[async_trait::async_trait]
impl Peer for Person {
    fn can(&self) -> PeerCapabilities {
        PeerCapabilities::everything()
    }

    async fn ask(&self, method: &str, params: Box<RawValue>) -> Result<Box<RawValue>, McpError> {
        let params: Value = serde_json::from_str(params.get()).unwrap_or_default();
        let answer = match method {
            "elicitation/create" => json!({ "action": "accept", "content": filled_in(&params["requestedSchema"]) }),
            "roots/list" => json!({ "roots": [{ "uri": "file:///tmp", "name": "tmp" }] }),
            _ => json!({
                "role": "assistant", "content": { "type": "text", "text": "an answer" }, "model": "none",
                "stopReason": "endTurn",
            }),
        };
        to_raw_value(&answer).map_err(|error| McpError::Protocol { message: error.to_string() })
    }

    fn tell(&self, method: &str, params: Box<RawValue>) {
        eprintln!("{method}: {params}");
    }
}

/// What a form proposes, and something where it proposes nothing and wants something.
fn filled_in(schema: &Value) -> Value {
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    let fields = schema["properties"].as_object().cloned().unwrap_or_default();
    let wanted = fields.into_iter().filter(|(name, field)| {
        field.get("default").is_some() || required.iter().any(|required| required == name.as_str())
    });
    wanted.map(|(name, field)| (name, example(&field))).collect::<Map<_, _>>().into()
}
