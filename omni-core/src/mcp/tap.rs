//! What rmcp's typed messages would lose, caught on the way: results as the server sent them,
//! progress in order, and why a connection ended.

use std::{
    collections::HashMap,
    error::Error as StdError,
    fmt,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, OnceLock, PoisonError, Weak},
};

use http::HeaderMap;
use rmcp::{
    RoleClient,
    model::{
        ClientJsonRpcMessage, GetExtensions, GetMeta, JsonRpcMessage, NumberOrString, ProgressToken, RequestId,
        ServerJsonRpcMessage, ServerNotification, ServerResult,
    },
    service::{RxJsonRpcMessage, TxJsonRpcMessage},
    transport::Transport,
};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::value::RawValue;
use tokio::{sync::broadcast, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{McpError, McpEvent, Progress, ProgressFn, content::clean};
use crate::redact::Redactor;

/// Largest message that a server may send, in bytes.
pub(super) const MAX_MESSAGE_BYTES: usize = 16 * 1024 * 1024;

/// Events kept for a reader that is slow.
const EVENTS: usize = 64;

/// Longest log message or error text that is taken from a server, in characters.
const MAX_WORDS: usize = 1_000;

/// Longest address of a resource, in characters.
const MAX_URI: usize = 4_096;

/// What one request wants to be told; travels with it as an extension, never on the wire.
#[derive(Clone, Default)]
pub(super) struct Slot(Arc<SlotInner>);

#[derive(Default)]
struct SlotInner {
    answer: OnceLock<Result<Box<RawValue>, McpError>>,
    progress: Option<ProgressFn>,
    #[cfg_attr(not(feature = "mcp-http"), allow(dead_code, reason = "only HTTP has headers"))]
    headers: HeaderMap,
    #[cfg_attr(not(feature = "mcp-http"), allow(dead_code, reason = "only HTTP sends apart from its answer"))]
    deadline: Option<Instant>,
    /// Whether rmcp must see the result too, since it learns from it.
    typed: bool,
}

impl Slot {
    pub(super) fn new(progress: Option<ProgressFn>, headers: HeaderMap, deadline: Instant, typed: bool) -> Self {
        Self(Arc::new(SlotInner { answer: OnceLock::new(), progress, headers, deadline: Some(deadline), typed }))
    }

    /// The result as it came, or what was wrong with the answer, once there was one.
    pub(super) fn answer(&self) -> Option<Result<Box<RawValue>, McpError>> {
        self.0.answer.get().cloned()
    }

    /// When nobody waits any more.
    #[cfg(feature = "mcp-http")]
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.0.deadline
    }

    /// Headers of the caller's own credentials.
    #[cfg(feature = "mcp-http")]
    pub(super) fn headers(&self) -> &HeaderMap {
        &self.0.headers
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Headers are credentials.
        f.debug_struct("Slot").field("answered", &self.0.answer.get().is_some()).finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Waiting {
    by_id: HashMap<RequestId, Weak<SlotInner>>,
    by_token: HashMap<ProgressToken, Weak<SlotInner>>,
}

/// One connection's ear.
pub(super) struct Tap {
    waiting: Mutex<Waiting>,
    events: broadcast::Sender<McpEvent>,
    closed: CancellationToken,
    reason: OnceLock<String>,
    redactor: Redactor,
}

/// What a message is to those who wait for answers.
pub(super) enum Caught {
    /// A result that was kept; rmcp need not see it.
    Kept(RequestId),
    /// An answer that was not.
    Answer,
    /// No answer.
    Other,
}

impl Tap {
    /// The ear of a connection to a server whose secrets `redactor` knows.
    pub(super) fn new(redactor: Redactor) -> Arc<Self> {
        Arc::new(Self {
            waiting: Mutex::default(),
            events: broadcast::channel(EVENTS).0,
            closed: CancellationToken::new(),
            reason: OnceLock::new(),
            redactor,
        })
    }

    pub(super) fn events(&self) -> broadcast::Receiver<McpEvent> {
        self.events.subscribe()
    }

    /// Ends when the connection is lost.
    pub(super) fn closed(&self) -> &CancellationToken {
        &self.closed
    }

    /// Knows the secrets that this server was given.
    pub(super) fn redactor(&self) -> &Redactor {
        &self.redactor
    }

    /// Marks the connection as lost; the first reason stays.
    pub(super) fn close(&self, reason: impl AsRef<str>) {
        let _ = self.reason.set(self.redactor.text(reason.as_ref()));
        self.closed.cancel();
    }

    pub(super) fn reason(&self) -> String {
        self.reason.get().cloned().unwrap_or_else(|| "the server ended the connection".into())
    }

    /// The error of a request on a lost connection.
    pub(super) fn lost(&self, unsent: bool) -> McpError {
        McpError::Closed { message: self.reason(), unsent }
    }

    /// Nobody waits for this request any more.
    pub(super) fn forget(&self, id: &RequestId, token: &ProgressToken) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.by_id.remove(id);
        waiting.by_token.remove(token);
    }

    fn register(&self, message: &ClientJsonRpcMessage) {
        let JsonRpcMessage::Request(request) = message else { return };
        let Some(slot) = request.request.extensions().get::<Slot>() else { return };
        let token = request.request.get_meta().get_progress_token();
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.prune();
        waiting.by_id.insert(request.id.clone(), Arc::downgrade(&slot.0));
        if let Some(token) = token.filter(|_| slot.0.progress.is_some()) {
            waiting.by_token.insert(token, Arc::downgrade(&slot.0));
        }
    }

    fn by_id(&self, id: &RequestId) -> Option<Arc<SlotInner>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).by_id.get(id)?.upgrade()
    }

    fn by_token(&self, token: &ProgressToken) -> Option<Arc<SlotInner>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).by_token.get(token)?.upgrade()
    }

    /// Decodes a message; a result that somebody waits for is kept as it came, and rmcp gets an
    /// empty one in its place unless it learns from it.
    ///
    /// # Errors
    /// What is wrong with the message.
    pub(super) fn decode(&self, bytes: &[u8]) -> Result<ServerJsonRpcMessage, serde_json::Error> {
        match self.catch(bytes, None) {
            Caught::Kept(id) => Ok(JsonRpcMessage::response(ServerResult::empty(()), id)),
            Caught::Answer | Caught::Other => serde_json::from_slice(bytes),
        }
    }

    /// Keeps the result of a request that is waited for; of `asked` only, where it is known which
    /// request the message must answer.
    pub(super) fn catch(&self, bytes: &[u8], asked: Option<&RequestId>) -> Caught {
        let Ok(envelope) = serde_json::from_slice::<Envelope<'_>>(bytes) else { return Caught::Other };
        if envelope.method.is_some() {
            return Caught::Other;
        }
        let id = envelope.id.filter(|id| asked.is_none_or(|asked| asked == id));
        let kept = id.zip(envelope.result).and_then(|(id, raw)| {
            let slot = self.by_id(&id)?;
            let _ = slot.answer.set(Ok(raw.to_owned()));
            (!slot.typed).then_some(id)
        });
        kept.map_or(Caught::Answer, Caught::Kept)
    }

    /// Gives a request an error for its answer; whether anybody waits for it.
    #[cfg(feature = "mcp-http")]
    pub(super) fn fail(&self, id: &RequestId, error: McpError) -> bool {
        self.by_id(id).is_some_and(|slot| slot.answer.set(Err(error)).is_ok())
    }

    /// Tells of something that the server said unasked.
    pub(super) fn event(&self, event: McpEvent) {
        let _ = self.events.send(event);
    }

    /// Takes what needs no answer; whatever is left goes to rmcp.
    #[allow(deprecated, reason = "servers of the revisions before 2026-07-28 log")]
    fn hear(&self, message: RxJsonRpcMessage<RoleClient>) -> Option<RxJsonRpcMessage<RoleClient>> {
        let JsonRpcMessage::Notification(heard) = &message else { return Some(message) };
        match &heard.notification {
            ServerNotification::ProgressNotification(note) => {
                let slot = self.by_token(&note.params.progress_token)?;
                let words = note.params.message.as_deref().map(|text| clean(text, MAX_WORDS));
                if let Some(report) = &slot.progress {
                    let progress = Progress::new(note.params.progress, note.params.total, words);
                    // A listener that panics must not end a connection that others use.
                    let _ = catch_unwind(AssertUnwindSafe(|| report(progress)));
                }
                None
            }
            ServerNotification::ToolListChangedNotification(_) => {
                self.event(McpEvent::ToolsChanged);
                // rmcp forgets its own cached list.
                Some(message)
            }
            ServerNotification::PromptListChangedNotification(_) => {
                self.event(McpEvent::PromptsChanged);
                Some(message)
            }
            ServerNotification::ResourceListChangedNotification(_) => {
                self.event(McpEvent::ResourcesChanged);
                Some(message)
            }
            ServerNotification::ResourceUpdatedNotification(note) => {
                self.event(McpEvent::ResourceUpdated { uri: clean(&note.params.uri, MAX_URI) });
                Some(message)
            }
            ServerNotification::LoggingMessageNotification(note) => {
                let level = serde_json::to_value(note.params.level).ok().and_then(|v| v.as_str().map(str::to_owned));
                let text = note.params.data.as_str().map_or_else(|| note.params.data.to_string(), str::to_owned);
                let event = McpEvent::Log {
                    level: level.unwrap_or_default(),
                    message: self.redactor.text(&clean(&text, MAX_WORDS)),
                };
                self.event(event);
                None
            }
            _ => Some(message),
        }
    }
}

impl fmt::Debug for Tap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tap").field("closed", &self.closed.is_cancelled()).finish_non_exhaustive()
    }
}

impl Waiting {
    /// Requests that were given up before they got their id leave entries behind.
    fn prune(&mut self) {
        const MANY: usize = 1_024;
        if self.by_id.len() > MANY {
            self.by_id.retain(|_, slot| slot.strong_count() > 0);
            self.by_token.retain(|_, slot| slot.strong_count() > 0);
        }
    }
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(default, deserialize_with = "id")]
    id: Option<RequestId>,
    #[serde(default, borrow)]
    result: Option<&'a RawValue>,
    method: Option<IgnoredAny>,
}

/// Some servers answer the number that they were sent as a string.
fn id<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<RequestId>, D::Error> {
    let id = Option::<NumberOrString>::deserialize(deserializer)?;
    Ok(id.map(|id| match &id {
        NumberOrString::String(text) => text.parse().map_or(id.clone(), NumberOrString::Number),
        NumberOrString::Number(_) => id,
    }))
}

/// A transport with an ear.
pub(super) struct Tapped<T> {
    inner: T,
    tap: Arc<Tap>,
}

impl<T> Tapped<T> {
    pub(super) fn new(inner: T, tap: Arc<Tap>) -> Self {
        Self { inner, tap }
    }
}

impl<T: Transport<RoleClient>> Transport<RoleClient> for Tapped<T> {
    type Error = T::Error;

    fn send(
        &mut self,
        item: TxJsonRpcMessage<RoleClient>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        self.tap.register(&item);
        self.inner.send(item)
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleClient>> {
        loop {
            let Some(message) = self.inner.receive().await else {
                self.tap.close("the server ended the connection");
                return None;
            };
            if let Some(message) = self.tap.hear(message) {
                return Some(message);
            }
        }
    }

    async fn close(&mut self) -> Result<(), Self::Error> {
        self.tap.close("the connection was closed");
        self.inner.close().await
    }
}

impl<T> Drop for Tapped<T> {
    fn drop(&mut self) {
        self.tap.close("the connection was dropped");
    }
}

/// A transport's error that knows what it means.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub(super) struct Fault(pub(super) McpError);

/// What an error of rmcp or of a transport means.
pub(super) fn meaning(error: &(dyn StdError + 'static)) -> Option<McpError> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(Fault(fault)) = error.downcast_ref::<Fault>() {
            return Some(fault.clone());
        }
        #[cfg(feature = "mcp-http")]
        if let Some(fault) = super::http::meaning(error) {
            return Some(fault);
        }
        cause = error.source();
    }
    None
}

/// A server's words, cut and cleaned.
pub(super) fn words(text: &str) -> String {
    clean(text, MAX_WORDS)
}

#[cfg(test)]
mod tests {
    use rmcp::model::{CallToolRequest, CallToolRequestParams, ClientRequest};

    use super::*;

    fn request(id: i64, slot: &Slot) -> ClientJsonRpcMessage {
        let mut call = CallToolRequest::new(CallToolRequestParams::new("t"));
        call.extensions.insert(slot.clone());
        JsonRpcMessage::request(ClientRequest::CallToolRequest(call), NumberOrString::Number(id))
    }

    #[test]
    fn a_result_is_kept_byte_for_byte() {
        let (tap, slot) = (Tap::new(Redactor::new()), Slot::default());
        tap.register(&request(7, &slot));
        let message = tap.decode(br#"{"jsonrpc":"2.0","id":7,"result":{"z":1.50,"a":[ 1,2]}}"#).unwrap();
        assert!(matches!(message, JsonRpcMessage::Response(_)));
        assert_eq!(slot.answer().unwrap().unwrap().get(), r#"{"z":1.50,"a":[ 1,2]}"#);
    }

    #[test]
    fn an_answer_to_another_id_is_not_taken() {
        let (tap, slot) = (Tap::new(Redactor::new()), Slot::default());
        tap.register(&request(7, &slot));
        tap.decode(br#"{"jsonrpc":"2.0","id":8,"result":{}}"#).unwrap();
        assert!(slot.answer().is_none());
    }

    #[test]
    fn where_it_is_known_what_is_answered_another_request_takes_nothing() {
        let (tap, slot) = (Tap::new(Redactor::new()), Slot::default());
        tap.register(&request(7, &slot));
        let caught = tap.catch(br#"{"jsonrpc":"2.0","id":7,"result":{}}"#, Some(&NumberOrString::Number(8)));
        assert!(matches!(caught, Caught::Answer) && slot.answer().is_none());
    }

    #[test]
    fn an_id_that_came_back_as_a_string_is_known() {
        let (tap, slot) = (Tap::new(Redactor::new()), Slot::default());
        tap.register(&request(7, &slot));
        tap.decode(br#"{"jsonrpc":"2.0","id":"7","result":{"ok":true}}"#).unwrap();
        assert!(slot.answer().is_some());
    }

    #[test]
    fn a_forgotten_request_takes_no_answer() {
        let (tap, slot) = (Tap::new(Redactor::new()), Slot::default());
        tap.register(&request(7, &slot));
        tap.forget(&NumberOrString::Number(7), &ProgressToken(NumberOrString::Number(0)));
        tap.decode(br#"{"jsonrpc":"2.0","id":7,"result":{}}"#).unwrap();
        assert!(slot.answer().is_none());
    }

    #[test]
    fn the_first_reason_stays() {
        let tap = Tap::new(Redactor::new());
        tap.close("it crashed");
        tap.close("something else");
        assert_eq!(tap.reason(), "it crashed");
    }
}
