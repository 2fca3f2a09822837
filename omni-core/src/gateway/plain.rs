//! Requests of clients that can be asked nothing in the middle of them, for a wire that has JSON and wants JSON:
//! what a server sent goes on as it came, save where a client of another revision could not read it.

use std::collections::BTreeMap;

use futures::FutureExt as _;
use rmcp::model::{ErrorData, ResultType, ServerResult};
use serde::Deserialize;
use serde_json::{
    Map, Value,
    value::{RawValue, to_raw_value},
};
use std::sync::Arc;
use tokio::sync::mpsc;

use super::{
    Gateway, Visitor,
    call::ByClient,
    error,
    line::{self, Line, Said},
    list, result,
};
use crate::{
    Source,
    ask::{DirectCall, Relay},
    error::Error,
    mcp::{McpReply, PeerCapabilities},
    omni::CallReply,
};

/// A call of a tool, as it came.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PlainCall {
    /// The name under which the tool is on offer.
    pub name: String,
    /// Its arguments; `None` where the client sent none.
    pub arguments: Option<Map<String, Value>>,
    /// What the client sent along.
    pub meta: Option<Map<String, Value>>,
}

impl PlainCall {
    /// A call of a tool that takes no arguments.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), arguments: None, meta: None }
    }

    /// The same with what the client sent.
    #[must_use]
    pub fn with(mut self, arguments: Option<Map<String, Value>>, meta: Option<Map<String, Value>>) -> Self {
        (self.arguments, self.meta) = (arguments, meta);
        self
    }
}

/// What servers log while a call runs.
#[derive(Debug)]
pub struct Logs(mpsc::Receiver<Said>);

impl Logs {
    /// The parameters of the next `notifications/message`; `None` once the call has ended.
    pub async fn next(&mut self) -> Option<Box<RawValue>> {
        loop {
            if let Said::Log(params) = self.0.recv().await? {
                return Some(params);
            }
        }
    }
}

/// A result: JSON, as a client of the revision reads it.
pub type PlainResult = Result<Arc<RawValue>, ErrorData>;

impl Gateway {
    /// Calls a tool, which begins at once; must be called within a Tokio runtime. `is_new`: the client speaks 2026-07-28.
    /// Dropping the future gives the call up; with `until` that does, whenever it is ready, and nothing else.
    pub fn call_plain<U: Future<Output = ()> + Send + 'static>(
        &self,
        visitor: Visitor,
        call: PlainCall,
        is_new: bool,
        until: Option<U>,
    ) -> (impl Future<Output = PlainResult> + Send + use<U>, Logs) {
        let (line, mut heard) = line::line(PeerCapabilities::default(), is_new, false);
        let is_kept = until.is_some();
        if is_new {
            // Since 2026-07-28 only whoever asks for logs gets any, and that is none of these.
            heard.close();
        }
        let name = call.name.clone();
        // It is on its way before anybody waits for it, so that whoever does holds no more than its end.
        let begun = self.direct(visitor, call, line).map(|call| match until {
            Some(until) => self.omni.call_tool_until(call, until).left_future(),
            None => self.omni.call_tool_then(call, |reply| reply).right_future(),
        });
        let running = async move {
            match begun?.await {
                Err(Error::Cancelled) if is_kept => Err(ErrorData::internal_error("the call was given up", None)),
                reply => finished(reply.and_then(CallReply::into_raw), &name, is_new),
            }
        };
        (running, Logs(heard))
    }

    /// A client's call as one of the pipeline's.
    fn direct(&self, visitor: Visitor, call: PlainCall, line: Arc<Line>) -> Result<DirectCall, ErrorData> {
        let arguments = raw(&call.arguments.as_ref().unwrap_or(&Map::new()))?;
        let mut rest = BTreeMap::new();
        if let Some(meta) = call.meta.filter(|meta| !meta.is_empty()) {
            rest.insert("_meta".to_owned(), raw(&meta)?);
        }
        let relay = Relay::new(line.clone(), rest, call.arguments.is_none());
        Ok(DirectCall::offered(visitor.credential, &call.name, self.names, arguments)
            .with_source(Source::Mcp)
            .with_client(visitor.client)
            .with_approver(Arc::new(ByClient::new(line)))
            .with_relay(relay))
    }

    /// All tools that somebody may use: `tools/list`.
    ///
    /// # Errors
    /// What the credential or the policy says.
    pub async fn list_plain(&self, visitor: &Visitor, is_new: bool) -> PlainResult {
        let tools = self.tools(visitor).await.map_err(|error| error::of(&error))?;
        let form = if is_new { "mcp" } else { "mcp before 2026-07-28" };
        Ok(tools.rendered(form, |_| {
            raw(&for_client(ServerResult::ListToolsResult(list::tools(&tools)), is_new)).unwrap_or_default().into()
        }))
    }
}

fn finished(reply: Result<McpReply, Error>, name: &str, is_new: bool) -> PlainResult {
    let written = |result| raw(&for_client(ServerResult::CallToolResult(result), is_new)).map(Arc::from);
    match reply {
        Ok(McpReply::Complete(raw)) if is_read_by(&raw, is_new) => Ok(raw.into()),
        Ok(McpReply::Complete(raw)) => written(result::of_tool(&raw, is_new)?),
        Ok(McpReply::InputRequired(raw)) => Ok(raw.into()),
        Ok(McpReply::Task(_)) => written(error::in_words("the tool goes on in the background")),
        Err(error) => written(error::of_call(&error, name)?),
    }
}

/// Whether a client reads a result as it is: since 2026-07-28 it says of itself that it is complete, before it
/// does not, and what is structured is an object.
fn is_read_by(raw: &RawValue, is_new: bool) -> bool {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Peek<'a> {
        #[serde(borrow, default)]
        result_type: Option<&'a RawValue>,
        #[serde(borrow, default)]
        structured_content: Option<&'a RawValue>,
        #[serde(borrow, default)]
        content: Option<&'a RawValue>,
    }
    let Ok(peek) = serde_json::from_str::<Peek<'_>>(raw.get()) else { return false };
    let is_object = |value: &RawValue| value.get().starts_with('{');
    peek.content.is_some_and(|content| content.get().starts_with('['))
        && peek.result_type.is_some() == is_new
        && (is_new || peek.structured_content.is_none_or(is_object))
}

/// The same in the form of the client's revision.
fn for_client(mut result: ServerResult, is_new: bool) -> ServerResult {
    if let ServerResult::CallToolResult(result) = &mut result {
        result.result_type = Some(ResultType::COMPLETE);
    }
    if is_new {
        result.fill_missing_cache_hints();
    } else {
        result.strip_result_type_for_legacy_peer();
        result.strip_non_object_output_for_legacy_peer();
    }
    result
}

fn raw<T: serde::Serialize>(value: &T) -> Result<Box<RawValue>, ErrorData> {
    to_raw_value(value).map_err(|error| ErrorData::internal_error(error.to_string(), None))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(sent: &Value, is_new: bool) -> (String, bool) {
        let sent = RawValue::from_string(sent.to_string()).unwrap();
        let shown = finished(Ok(McpReply::Complete(sent.clone())), "echo", is_new).unwrap();
        (shown.get().to_owned(), shown.get() == sent.get())
    }

    #[test]
    fn a_result_goes_on_as_it_came_where_the_client_reads_it() {
        let parts = json!([{ "type": "hologram", "z": 1, "a": 2.50 }]);
        let (old, new) = (json!({ "content": parts }), json!({ "resultType": "complete", "content": parts }));
        assert!(shown(&old, false).1 && shown(&new, true).1);
        let structured = json!({ "content": [], "structuredContent": { "a": 1 } });
        assert!(shown(&structured, false).1);
    }

    #[test]
    fn a_result_of_another_revision_is_written_as_the_client_reads_it() {
        let old = json!({ "content": [{ "type": "text", "text": "hi" }] });
        let (text, _) = shown(&old, true);
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap()["resultType"], "complete");
        let new = json!({ "resultType": "complete", "content": [], "structuredContent": [1] });
        let (text, _) = shown(&new, false);
        let text: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((text.get("resultType"), text.get("structuredContent")), (None, None), "{text}");
        assert_eq!(text["content"][0]["text"], "[1]");
    }
}
