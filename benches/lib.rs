//! What the benchmarks share: catalogs, policies and servers of any size.
#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "benchmarks may stop at a fault")]

use std::sync::Arc;

use futures::stream::BoxStream;
use omni_core::{
    McpTransport,
    catalog::{Catalog, Health, ServerView, ToolDef},
    mcp::{CallContext, Connector, McpError, McpEvent, McpReply, McpRequest},
    policy::RuleSet,
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
