//! Comfort on top of [`McpTransport`].

use std::{collections::HashSet, sync::Arc};

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{
    json,
    value::{RawValue, to_raw_value},
};

use super::{
    CallContext, McpError, McpReply, McpRequest, McpTransport, ToolOutput,
    client::protocol,
    content::{clean, failure, from_wire},
};
use crate::catalog::{MAX_DESCRIPTION_CHARS, ToolAnnotations, ToolDef, empty_schema};

/// Most pages of one list.
const MAX_PAGES: usize = 100;

/// Most tools of one server.
const MAX_TOOLS: usize = 10_000;

/// Largest schema of a tool, in bytes.
const MAX_SCHEMA_BYTES: usize = 64 * 1024;

/// Most bytes of the definitions of all tools of one server.
const MAX_LIST_BYTES: usize = 32 * 1024 * 1024;

/// Longest name of a tool, in characters.
const MAX_NAME_CHARS: usize = 256;

/// JSON-RPC: there is no such method.
pub(super) const METHOD_NOT_FOUND: i64 = -32_601;

/// The usual requests, typed.
#[async_trait]
pub trait McpTransportExt: McpTransport {
    /// All tools, from all pages; `server` is the name they are filed under. A tool that cannot be
    /// used (no name, a schema over 64 KiB, the second of its name) is left out with a warning; a
    /// server without tools has none.
    ///
    /// # Errors
    /// An [`McpError`].
    async fn list_tools(&self, server: &Arc<str>, cx: &CallContext) -> Result<Vec<ToolDef>, McpError>;

    /// Calls a tool; text beyond `max_chars` is cut.
    ///
    /// # Errors
    /// An [`McpError`]. A tool that says it failed is an `Ok` with `is_error`.
    async fn call_tool(
        &self,
        tool: &str,
        arguments: &RawValue,
        max_chars: usize,
        cx: &CallContext,
    ) -> Result<ToolOutput, McpError>;
}

#[async_trait]
impl<T: McpTransport + ?Sized> McpTransportExt for T {
    async fn list_tools(&self, server: &Arc<str>, cx: &CallContext) -> Result<Vec<ToolDef>, McpError> {
        let mut list = List::new(server);
        for _ in 0..MAX_PAGES {
            let page = match self.request(McpRequest::new("tools/list", list.params()?), cx).await {
                Ok(reply) => reply,
                Err(McpError::Rpc { code: METHOD_NOT_FOUND, .. }) if list.tools.is_empty() => return Ok(Vec::new()),
                Err(error) => return Err(error),
            };
            let McpReply::Complete(page) = page else {
                return Err(McpError::Protocol { message: "the list of tools is not a list".into() });
            };
            if !list.take(&page)? {
                return Ok(list.tools);
            }
        }
        tracing::warn!(server = %server, pages = MAX_PAGES, "a server's list of tools does not end; the rest is left out");
        Ok(list.tools)
    }

    async fn call_tool(
        &self,
        tool: &str,
        arguments: &RawValue,
        max_chars: usize,
        cx: &CallContext,
    ) -> Result<ToolOutput, McpError> {
        let params =
            to_raw_value(&json!({ "name": tool, "arguments": arguments })).map_err(|error| protocol(&error))?;
        match self.request(McpRequest::new("tools/call", Some(params)), cx).await? {
            McpReply::Complete(raw) => from_wire(&raw, max_chars),
            McpReply::InputRequired(_) => {
                Ok(failure("The tool asks for input in the middle of the call; nobody is there to give it."))
            }
            McpReply::Task(_) => Ok(failure("The tool went on in the background; its result cannot be awaited.")),
        }
    }
}

/// A list in the making.
struct List<'a> {
    server: &'a Arc<str>,
    tools: Vec<ToolDef>,
    names: HashSet<Arc<str>>,
    bytes: usize,
    cursor: Option<String>,
    cursors: HashSet<String>,
}

#[derive(Deserialize)]
struct Page {
    tools: Vec<Box<RawValue>>,
    #[serde(rename = "nextCursor")]
    next: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireTool {
    name: String,
    title: Option<String>,
    description: Option<String>,
    input_schema: Option<Box<RawValue>>,
    output_schema: Option<Box<RawValue>>,
    annotations: Option<Box<RawValue>>,
}

impl<'a> List<'a> {
    fn new(server: &'a Arc<str>) -> Self {
        Self { server, tools: Vec::new(), names: HashSet::new(), bytes: 0, cursor: None, cursors: HashSet::new() }
    }

    fn params(&self) -> Result<Option<Box<RawValue>>, McpError> {
        let Some(cursor) = &self.cursor else { return Ok(None) };
        to_raw_value(&json!({ "cursor": cursor })).map(Some).map_err(|error| protocol(&error))
    }

    /// Takes a page; whether there is another.
    fn take(&mut self, page: &RawValue) -> Result<bool, McpError> {
        let page: Page = serde_json::from_str(page.get()).map_err(|error| protocol(&error))?;
        for raw in page.tools {
            self.bytes += raw.get().len();
            if self.tools.len() >= MAX_TOOLS || self.bytes > MAX_LIST_BYTES {
                tracing::warn!(server = %self.server, tools = self.tools.len(), "a server has too many tools; the rest is left out");
                return Ok(false);
            }
            self.add(&raw);
        }
        Ok(self.turn(page.next))
    }

    fn turn(&mut self, next: Option<String>) -> bool {
        let Some(next) = next.filter(|cursor| !cursor.is_empty()) else { return false };
        if !self.cursors.insert(next.clone()) {
            tracing::warn!(server = %self.server, "a server's list of tools goes round in circles; the rest is left out");
            return false;
        }
        self.cursor = Some(next);
        true
    }

    fn add(&mut self, raw: &RawValue) {
        match definition(self.server, raw) {
            Ok(tool) if self.names.insert(tool.name.clone()) => self.tools.push(tool),
            Ok(tool) => {
                tracing::warn!(server = %self.server, tool = %tool.name, "a server has two tools of one name; the second is left out");
            }
            Err(reason) => tracing::warn!(server = %self.server, %reason, "a tool is left out"),
        }
    }
}

fn definition(server: &Arc<str>, raw: &RawValue) -> Result<ToolDef, String> {
    let wire: WireTool = serde_json::from_str(raw.get()).map_err(|error| error.to_string())?;
    let name = usable_name(&wire.name)?;
    let schema = match wire.input_schema {
        Some(schema) => schema,
        None => to_raw_value(&empty_schema()).map_err(|error| error.to_string())?,
    };
    if schema.get().len() > MAX_SCHEMA_BYTES {
        return Err(format!("the schema of {name:?} has more than {MAX_SCHEMA_BYTES} bytes"));
    }
    if !schema.get().starts_with('{') {
        return Err(format!("the schema of {name:?} is not an object"));
    }
    let description = clean(wire.description.as_deref().unwrap_or_default(), MAX_DESCRIPTION_CHARS);
    let mut tool = ToolDef::new(server.clone(), name, schema).with_description(&description);
    // Hints of the wrong shape are no hints.
    tool.annotations =
        wire.annotations.and_then(|raw| serde_json::from_str::<ToolAnnotations>(raw.get()).ok()).unwrap_or_default();
    tool.annotations.title = tool.annotations.title.take().map(|title| clean(&title, MAX_NAME_CHARS));
    tool.title = wire.title.map(|title| clean(&title, MAX_NAME_CHARS)).or_else(|| tool.annotations.title.clone());
    tool.output_schema = wire.output_schema.filter(|schema| schema.get().len() <= MAX_SCHEMA_BYTES);
    Ok(tool)
}

/// A name is an identifier: one that hides characters would pass for another.
fn usable_name(name: &str) -> Result<&str, String> {
    let fits = !name.is_empty() && name.chars().count() <= MAX_NAME_CHARS;
    if fits && clean(name, usize::MAX) == name && !name.contains(['\n', '\t']) {
        Ok(name)
    } else {
        Err(format!("{:?} is no name for a tool", clean(name, MAX_NAME_CHARS)))
    }
}

#[cfg(test)]
mod tests;
