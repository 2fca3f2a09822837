//! Lists of a server, from all pages: tools, prompts, resources and families of resources.

use std::{collections::HashSet, sync::Arc, time::Duration};

use serde::Deserialize;
use serde_json::{
    json,
    value::{RawValue, to_raw_value},
};

use super::{
    CallContext, McpError, McpReply, McpRequest, McpTransport,
    client::protocol,
    content::clean,
    ext::METHOD_NOT_FOUND,
    lenient::{self, duration_ms},
};
use crate::catalog::{Definition, PromptDef, ResourceDef, ResourceTemplateDef, ServerCapabilities, ToolDef};

mod definition;
mod headers;
mod hints;
#[cfg(feature = "gateway")]
pub(super) mod param;

pub(super) use headers::may_want_headers;

/// Most pages of one list.
const MAX_PAGES: usize = 100;

/// Most entries of one list.
const MAX_ENTRIES: usize = 10_000;

/// Most bytes of the definitions of one list.
const MAX_LIST_BYTES: usize = 32 * 1024 * 1024;

/// Since this revision arguments may be headers.
const HEADERS_SINCE: &str = "2026-07-28";

/// Everything that a server lists.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Listed {
    /// Its tools.
    pub tools: Vec<ToolDef>,
    /// Its prompts.
    pub prompts: Vec<PromptDef>,
    /// Its resources.
    pub resources: Vec<ResourceDef>,
    /// Its families of resources.
    pub templates: Vec<ResourceTemplateDef>,
    /// What it says that it can do.
    pub capabilities: Arc<ServerCapabilities>,
    /// For how long the lists hold by the server's word (2026-07-28); `None` until it tells of a change.
    pub fresh_for: Option<Duration>,
}

/// What a list is of.
pub(super) trait Entry: Definition + Sized {
    /// The method that lists.
    const METHOD: &'static str;
    /// One entry in words.
    const WORD: &'static str;

    /// Takes the entries out of a page.
    fn of_page(page: &mut Page) -> Option<Vec<Box<RawValue>>>;

    /// Reads an entry.
    fn read(server: &Arc<str>, raw: Box<RawValue>) -> Result<Self, String>;
}

/// One page of any list.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", bound = "")]
pub(super) struct Page {
    #[serde(default, deserialize_with = "lenient::list")]
    tools: Option<Vec<Box<RawValue>>>,
    #[serde(default, deserialize_with = "lenient::list")]
    prompts: Option<Vec<Box<RawValue>>>,
    #[serde(default, deserialize_with = "lenient::list")]
    resources: Option<Vec<Box<RawValue>>>,
    #[serde(default, deserialize_with = "lenient::list")]
    resource_templates: Option<Vec<Box<RawValue>>>,
    next_cursor: Option<String>,
    #[serde(default, deserialize_with = "duration_ms")]
    ttl_ms: Option<u64>,
}

/// Lists everything that the server says it has, all at once. Without its tools there is no list;
/// what else it cannot list is left out with a warning.
pub(super) async fn everything<T>(transport: &T, server: &Arc<str>, cx: &CallContext) -> Result<Listed, McpError>
where
    T: McpTransport + ?Sized,
{
    let capabilities = transport.capabilities();
    let (has_prompts, has_resources) = (capabilities.prompts(), capabilities.resources());
    let (tools, prompts, resources, templates) = tokio::join!(
        entries::<ToolDef, T>(transport, server, cx, true),
        entries::<PromptDef, T>(transport, server, cx, has_prompts),
        entries::<ResourceDef, T>(transport, server, cx, has_resources),
        entries::<ResourceTemplateDef, T>(transport, server, cx, has_resources),
    );
    let (mut tools, mut fresh_for) = tools?;
    if capabilities.protocol.as_deref().is_some_and(|protocol| protocol >= HEADERS_SINCE) {
        tools.retain(|tool| can_be_called(server, tool));
    }
    let listed = Listed {
        tools,
        prompts: besides(server, prompts, &mut fresh_for),
        resources: besides(server, resources, &mut fresh_for),
        templates: besides(server, templates, &mut fresh_for),
        capabilities,
        fresh_for: None,
    };
    Ok(Listed { fresh_for, ..listed })
}

/// Whether the headers that a call to the tool takes can be sent.
fn can_be_called(server: &str, tool: &ToolDef) -> bool {
    let checked = headers::check(tool.input_schema.get());
    if let Err(reason) = &checked {
        tracing::warn!(server, tool = %tool.name, reason, "a tool is left out");
    }
    checked.is_ok()
}

type Entries<T> = (Vec<T>, Option<Duration>);

/// A list beside that of the tools.
fn besides<T: Entry>(server: &str, listed: Result<Entries<T>, McpError>, fresh_for: &mut Option<Duration>) -> Vec<T> {
    match listed {
        Ok((entries, fresh)) => {
            *fresh_for = [*fresh_for, fresh].into_iter().flatten().min();
            entries
        }
        Err(error) => {
            tracing::warn!(server, %error, method = T::METHOD, "a server does not list what it says it has");
            Vec::new()
        }
    }
}

/// All entries of one list, and for how long they hold by the server's word. A server that does not
/// know the method has none.
pub(super) async fn entries<E, T>(
    transport: &T,
    server: &Arc<str>,
    cx: &CallContext,
    is_there: bool,
) -> Result<Entries<E>, McpError>
where
    E: Entry,
    T: McpTransport + ?Sized,
{
    let mut list = List::<E>::new(server);
    for _ in 0..if is_there { MAX_PAGES } else { 0 } {
        let page = match transport.request(McpRequest::new(E::METHOD, list.params()?), cx).await {
            Ok(reply) => reply,
            Err(McpError::Rpc { code: METHOD_NOT_FOUND, .. }) if list.entries.is_empty() => return Ok(list.end()),
            Err(error) => return Err(error),
        };
        let McpReply::Complete(page) = page else {
            return Err(McpError::Protocol { message: format!("the answer to {} is not a list", E::METHOD) });
        };
        if !list.take(&page)? {
            return Ok(list.end());
        }
    }
    if is_there {
        tracing::warn!(server = %server, method = E::METHOD, pages = MAX_PAGES, "a list does not end; the rest is left out");
    }
    Ok(list.end())
}

/// A list in the making.
struct List<'a, E> {
    server: &'a Arc<str>,
    entries: Vec<E>,
    keys: HashSet<Arc<str>>,
    bytes: usize,
    cursor: Option<String>,
    cursors: HashSet<String>,
    fresh_for: Option<Duration>,
}

impl<'a, E: Entry> List<'a, E> {
    fn new(server: &'a Arc<str>) -> Self {
        Self {
            server,
            entries: Vec::new(),
            keys: HashSet::new(),
            bytes: 0,
            cursor: None,
            cursors: HashSet::new(),
            fresh_for: None,
        }
    }

    fn end(self) -> Entries<E> {
        (self.entries, self.fresh_for)
    }

    fn params(&self) -> Result<Option<Box<RawValue>>, McpError> {
        let Some(cursor) = &self.cursor else { return Ok(None) };
        to_raw_value(&json!({ "cursor": cursor })).map(Some).map_err(|error| protocol(&error))
    }

    /// Takes a page; whether there is another.
    fn take(&mut self, page: &RawValue) -> Result<bool, McpError> {
        let mut page: Page = serde_json::from_str(page.get()).map_err(|error| protocol(&error))?;
        let missing = || McpError::Protocol { message: format!("the answer to {} has no list", E::METHOD) };
        for raw in E::of_page(&mut page).ok_or_else(missing)? {
            self.bytes += raw.get().len();
            if self.entries.len() >= MAX_ENTRIES || self.bytes > MAX_LIST_BYTES {
                tracing::warn!(server = %self.server, method = E::METHOD, entries = self.entries.len(), "a list is too long; the rest is left out");
                return Ok(false);
            }
            self.add(raw);
        }
        self.fresh_for = [self.fresh_for, page.ttl_ms.map(Duration::from_millis)].into_iter().flatten().min();
        Ok(self.turn(page.next_cursor))
    }

    fn turn(&mut self, next: Option<String>) -> bool {
        let Some(next) = next.filter(|cursor| !cursor.is_empty()) else { return false };
        if !self.cursors.insert(next.clone()) {
            tracing::warn!(server = %self.server, method = E::METHOD, "a list goes round in circles; the rest is left out");
            return false;
        }
        self.cursor = Some(next);
        true
    }

    fn add(&mut self, raw: Box<RawValue>) {
        match E::read(self.server, raw) {
            Ok(entry) if self.keys.insert(entry.key().clone()) => self.entries.push(entry),
            Ok(entry) => {
                let name = clean(entry.key(), definition::MAX_NAME_CHARS);
                tracing::warn!(server = %self.server, name, "a server has two of one name; the second {} is left out", E::WORD);
            }
            Err(reason) => tracing::warn!(server = %self.server, %reason, "a {} is left out", E::WORD),
        }
    }
}

#[cfg(test)]
mod tests;
