//! What the benchmarks share: catalogs, policies and servers of any size.
#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "benchmarks may stop at a fault")]

pub mod harness;
pub mod history;
#[allow(clippy::print_stdout, reason = "it says when there is none")]
mod nginx;
#[allow(clippy::print_stdout, dead_code, reason = "it says where it serves; benchmarks use more of it")]
mod upstream;

use std::sync::Arc;

use futures::stream::BoxStream;
use omni_core::{
    Config, McpTransport,
    catalog::{Catalog, Health, ServerView, ToolDef},
    config::LoadOptions,
    mcp::{CallContext, Connector, McpError, McpEvent, McpReply, McpRequest},
    policy::{RuleSet, yaml::YamlPolicy},
};
use serde_json::{Value, json, value::RawValue};

/// A catalog of `tools` tools on ten servers, with schemas of a usual size.
#[must_use]
pub fn catalog(tools: usize) -> Catalog {
    let servers = (0..10).map(|server| {
        let name = format!("server_{server}");
        let mut view = ServerView::new(name.as_str(), "in_process");
        view.health = Health::Healthy;
        view.tools = (0..tools / 10).map(|tool| Arc::new(definition(&name, tool))).collect();
        view
    });
    Catalog::new(1, servers.collect())
}

fn definition(server: &str, tool: usize) -> ToolDef {
    let schema = json!({
        "type": "object",
        "properties": {
            "database": { "type": "string", "description": "The database to look at." },
            "limit": { "type": "integer", "minimum": 1, "maximum": 100, "description": "How many rows." },
            "order": { "type": "string", "enum": ["asc", "desc"] },
        },
        "required": ["database"],
    });
    ToolDef::new(server, format!("get_report_{tool}"), raw(&schema))
        .with_description("Returns a report about the database, newest rows first.")
}

/// Rules of `rules` patterns for `server_0`: every other one denies.
#[must_use]
pub fn rules(rules: usize) -> Arc<RuleSet> {
    let mut builder = RuleSet::builder();
    for rule in 0..rules {
        let pattern = format!("get_*_{rule}");
        builder = if rule % 2 == 0 { builder.allow("server_0", &pattern) } else { builder.deny("server_0", &pattern) };
    }
    builder.build().unwrap()
}

/// JSON in raw form.
#[must_use]
pub fn raw(value: &Value) -> Box<RawValue> {
    RawValue::from_string(value.to_string()).unwrap()
}

/// A server in this process whose one tool answers at once.
#[derive(Debug, Clone, Copy)]
pub struct Instant;

#[async_trait::async_trait]
impl Connector for Instant {
    fn kind(&self) -> &'static str {
        "instant"
    }

    async fn connect(&self, _: &CallContext) -> Result<Arc<dyn McpTransport>, McpError> {
        Ok(Arc::new(*self))
    }
}

#[async_trait::async_trait]
impl McpTransport for Instant {
    async fn request(&self, request: McpRequest, _: &CallContext) -> Result<McpReply, McpError> {
        let answer = if request.method == "tools/list" {
            json!({ "tools": [{ "name": "echo", "inputSchema": { "type": "object" } }] })
        } else {
            json!({ "content": [{ "type": "text", "text": "hi" }] })
        };
        Ok(McpReply::Complete(raw(&answer)))
    }

    fn events(&self) -> BoxStream<'static, McpEvent> {
        Box::pin(futures::stream::pending())
    }

    async fn close(&self) {}
}

/// A configuration of one server with `rules` patterns for a role that `people` people have; the
/// last of each hundred may use one database only.
#[must_use]
pub fn many_people(rules: usize, people: usize) -> Config {
    let dir = tempfile::TempDir::new().unwrap();
    let patterns = |from: usize| (from..rules).step_by(2).map(|rule| format!("get_*_{rule}")).collect::<Vec<_>>();
    let role = json!({ "dba": { "allow_only": patterns(0), "deny": patterns(1) } });
    let mcps = json!({ "mcps": [{ "name": "database", "url": "http://h", "role_restrictions": role }] });
    let user = |at: usize| match at % 100 {
        99 => format!("- {{email: user{at}@company.com, role: dba, allowed_databases: db_{}}}\n", at % 1_000),
        _ => format!("- {{email: user{at}@company.com, role: dba}}\n"),
    };
    let users: String = std::iter::once("users:\n".to_owned()).chain((0..people).map(user)).collect();
    std::fs::write(dir.path().join("mcps.yaml"), mcps.to_string()).unwrap();
    std::fs::write(dir.path().join("users.yaml"), users).unwrap();
    Config::load(LoadOptions::default().with_dir(dir.path())).unwrap()
}

/// The policy of a configuration.
#[must_use]
pub fn policy_of(config: &Config) -> YamlPolicy {
    YamlPolicy::from_config(config).unwrap()
}
