//! What rmcp's typed messages would lose, caught on the way: results as the server sent them,
//! progress in order, and why a connection ended.

use std::{
    borrow::Cow,
    error::Error as StdError,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use rmcp::{
    RoleClient,
    model::{
        ClientJsonRpcMessage, GetExtensions, GetMeta, JsonRpcMessage, NumberOrString, ProgressToken, RequestId,
        ServerJsonRpcMessage, ServerNotification, ServerResult,
    },
    service::RxJsonRpcMessage,
};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::{
    sync::broadcast,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{CallContext, McpError, McpEvent, Peer, PeerCapabilities, Progress, content::clean, peer};
use crate::redact::Redactor;

mod people;
mod questions;
mod slot;
mod tapped;
mod told;

use people::People;
use questions::Questions;
pub(super) use slot::{Asked, Slot};
use slot::{SlotInner, Waiting};
pub(super) use tapped::Tapped;
pub(super) use told::Told;

/// Largest message that a server may send, in bytes.
pub(super) const MAX_MESSAGE_BYTES: usize = 16 * 1024 * 1024;

/// Events kept for a reader that is slow.
const EVENTS: usize = 64;

/// Longest log message or error text that is taken from a server, in characters.
const MAX_WORDS: usize = 1_000;

/// Notifications that whoever is behind a call is told of.
const TOLD: [&str; 2] = ["notifications/message", "notifications/elicitation/complete"];

/// Longest notification that is passed on, in bytes.
const MAX_TOLD: usize = 64 * 1024;

/// How long a peer with a connection of its own has for an answer.
const ANSWERED_WITHIN: Duration = Duration::from_secs(600);

/// How long a server may take to open the stream on which it speaks unasked.
const HEARD_WITHIN: Duration = Duration::from_millis(500);

/// Longest address of a resource, in characters.
const MAX_URI: usize = 4_096;

/// Whom a server's questions reach.
#[derive(Debug, Clone)]
pub(super) enum Reach {
    /// The peer that the connection was made for, and nobody else uses.
    Own(Arc<dyn Peer>),
    /// The call on whose stream they come.
    #[cfg_attr(not(feature = "mcp-http"), allow(dead_code, reason = "only HTTP has a stream for each request"))]
    ByStream,
    /// The call that runs, if it is the only one.
    Sole,
    /// Nobody: on a shared connection it is not known whose call they belong to.
    Nobody,
}

impl Reach {
    /// The reach of a connection that is made on behalf of `cx`; `shared` if it is for everybody.
    pub(super) fn of(cx: &CallContext, shared: Self) -> Self {
        if cx.peer.can().is_empty() { shared } else { Self::Own(cx.peer.clone()) }
    }

    /// What can be asked of whoever it may be.
    pub(super) fn can(&self) -> PeerCapabilities {
        match self {
            Self::Own(peer) => peer.can(),
            Self::ByStream | Self::Sole => PeerCapabilities::everything(),
            Self::Nobody => PeerCapabilities::default(),
        }
    }
}

/// One connection's ear.
pub(super) struct Tap {
    waiting: Mutex<Waiting>,
    events: broadcast::Sender<Told>,
    closed: CancellationToken,
    reason: OnceLock<String>,
    redactor: Redactor,
    reach: Reach,
    /// Whose requests there were.
    people: Mutex<People>,
    /// Ends once the server can speak unasked.
    heard: CancellationToken,
    /// What the server's questions say, as it came.
    questions: Questions,
    /// The newest of the secrets that change with time.
    #[cfg(feature = "mcp-http")]
    passing: Mutex<std::collections::VecDeque<String>>,
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
    pub(super) fn new(redactor: Redactor, reach: Reach) -> Arc<Self> {
        Arc::new(Self {
            waiting: Mutex::default(),
            events: broadcast::channel(EVENTS).0,
            closed: CancellationToken::new(),
            reason: OnceLock::new(),
            redactor,
            reach,
            people: Mutex::default(),
            heard: CancellationToken::new(),
            questions: Questions::default(),
            #[cfg(feature = "mcp-http")]
            passing: Mutex::default(),
        })
    }

    /// From now on the server can speak unasked, or it is known that it does not.
    pub(super) fn hears(&self) {
        self.heard.cancel();
    }

    /// Waits a moment until the server can speak unasked: what it asks before that gets lost.
    pub(super) async fn until_heard(&self) {
        let _ = timeout(HEARD_WITHIN, self.heard.cancelled()).await;
        self.heard.cancel();
    }

    pub(super) fn events(&self) -> broadcast::Receiver<Told> {
        self.events.subscribe()
    }

    /// Ends when the connection is lost.
    pub(super) fn closed(&self) -> &CancellationToken {
        &self.closed
    }

    /// Whom the server's questions reach.
    pub(super) fn reach(&self) -> &Reach {
        &self.reach
    }

    /// Whom a question reaches that came on the stream of a request, where that is known.
    pub(super) fn asked(&self, stream: Option<&RequestId>) -> Option<Asked> {
        match &self.reach {
            Reach::Own(peer) => {
                let (peer, ended) = (peer.clone(), self.closed.clone());
                Some(Asked { peer, deadline: Instant::now() + ANSWERED_WITHIN, ended })
            }
            Reach::ByStream => self.by_id(stream?)?.asked(),
            Reach::Sole => self.waiting().sole()?.asked(),
            Reach::Nobody => None,
        }
    }

    /// Whom a notification reaches. Servers log on the stream of no call too; that is taken to be about
    /// the call that runs, if it is the only one and nobody else's was there lately: it may be about theirs.
    /// Questions are not: an answer would be given to another.
    fn told(&self, stream: Option<&RequestId>) -> Option<Asked> {
        let sole = || {
            let slot = self.waiting().sole()?;
            let people = self.people();
            let person = slot.principal.as_ref().map(|principal| people.person(principal));
            person.is_none_or(|person| people.is_alone(person, Instant::now())).then(|| slot.asked()).flatten()
        };
        self.asked(stream).or_else(|| if matches!(self.reach, Reach::ByStream) { sole() } else { None })
    }

    /// A request began, or came to its end.
    fn saw(&self, slot: &SlotInner) {
        if let Some(principal) = &slot.principal {
            let mut people = self.people();
            let person = people.person(principal);
            people.saw(person, Instant::now());
        }
    }

    fn people(&self) -> MutexGuard<'_, People> {
        self.people.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The parameters of a question as they came, once.
    pub(super) fn take_params(&self, id: &RequestId) -> Option<Box<RawValue>> {
        self.questions.take(id)
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Knows the secrets that this server was given.
    #[cfg(not(feature = "mcp-http"))]
    pub(super) fn redactor(&self) -> Redactor {
        self.redactor.clone()
    }

    /// Knows the secrets that this server was given, those that change with time as well.
    #[cfg(feature = "mcp-http")]
    pub(super) fn redactor(&self) -> Redactor {
        let passing = self.passing.lock().unwrap_or_else(PoisonError::into_inner);
        passing.iter().fold(self.redactor.clone(), |redactor, secret| redactor.with_value(secret))
    }

    /// Remembers a secret that is being sent. Of those before it only the last ones can still come back.
    #[cfg(feature = "mcp-http")]
    pub(super) fn learn(&self, secret: &str) {
        const REMEMBERED: usize = 4;
        let mut passing = self.passing.lock().unwrap_or_else(PoisonError::into_inner);
        if passing.iter().any(|known| known == secret) {
            return;
        }
        passing.push_back(secret.to_owned());
        if passing.len() > REMEMBERED {
            passing.pop_front();
        }
    }

    /// Marks the connection as lost; the first reason stays.
    pub(super) fn close(&self, reason: impl AsRef<str>) {
        let _ = self.reason.set(self.redactor().text(reason.as_ref()));
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
    pub(super) fn forget(&self, id: &RequestId, token: Option<&ProgressToken>) {
        let mut waiting = self.waiting();
        let slot = waiting.by_id.remove(id).and_then(|slot| slot.upgrade());
        if let Some(token) = token {
            waiting.by_token.remove(token);
        }
        drop(waiting);
        if let Some(slot) = slot {
            self.saw(&slot);
        }
    }

    fn register(&self, message: &ClientJsonRpcMessage) {
        let JsonRpcMessage::Request(request) = message else { return };
        let Some(slot) = request.request.extensions().get::<Slot>() else { return };
        let token = request.request.get_meta().get_progress_token();
        self.saw(&slot.0);
        let mut waiting = self.waiting();
        waiting.prune();
        waiting.by_id.insert(request.id.clone(), Arc::downgrade(&slot.0));
        if let Some(token) = token.filter(|_| slot.0.progress.is_some()) {
            waiting.by_token.insert(token, Arc::downgrade(&slot.0));
        }
    }

    /// A request waits that rmcp does not know.
    #[cfg(feature = "mcp-http")]
    pub(super) fn waits(&self, id: &RequestId, slot: &Slot) {
        self.saw(&slot.0);
        let mut waiting = self.waiting();
        waiting.prune();
        waiting.by_id.insert(id.clone(), Arc::downgrade(&slot.0));
    }

    fn by_id(&self, id: &RequestId) -> Option<Arc<SlotInner>> {
        self.waiting().by_id.get(id)?.upgrade()
    }

    fn by_token(&self, token: &ProgressToken) -> Option<Arc<SlotInner>> {
        self.waiting().by_token.get(token)?.upgrade()
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
        if let Some(method) = &envelope.method {
            self.overhear(method, &envelope, asked);
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

    /// Keeps what a question says, and hands what is told on to whoever is behind the call.
    fn overhear(&self, method: &str, envelope: &Envelope<'_>, asked: Option<&RequestId>) {
        let Some(params) = envelope.params else { return };
        match &envelope.id {
            Some(id) if peer::is_askable(method) => self.questions.keep(id, params),
            None if TOLD.contains(&method) && params.get().len() <= MAX_TOLD => {
                if let Some(asked) = self.told(asked) {
                    // A peer that panics must not end a connection that others use.
                    let _ = catch_unwind(AssertUnwindSafe(|| asked.peer.tell(method, self.without_secrets(params))));
                }
            }
            Some(_) | None => {}
        }
    }

    /// The same words without the secrets that this server was given.
    fn without_secrets(&self, params: &RawValue) -> Box<RawValue> {
        let shown = self.redactor().text(params.get());
        RawValue::from_string(shown).unwrap_or_default()
    }

    /// Remembers how far the stream has come on which a request is answered.
    #[cfg(feature = "mcp-http")]
    pub(super) fn remember(&self, asked: &RequestId, event: &str) {
        if let Some(slot) = self.by_id(asked) {
            slot.remember(event);
        }
    }

    /// What a request that waits wants to be told.
    #[cfg(feature = "mcp-http")]
    pub(super) fn slot(&self, id: &RequestId) -> Option<Slot> {
        self.by_id(id).map(Slot)
    }

    /// The request whose stream broke off after an event.
    #[cfg(feature = "mcp-http")]
    pub(super) fn at(&self, event: &str) -> Option<RequestId> {
        self.waiting().at(event)
    }

    /// Gives a request an error for its answer; whether anybody waits for it.
    #[cfg(feature = "mcp-http")]
    pub(super) fn fail(&self, id: &RequestId, error: McpError) -> bool {
        self.by_id(id).is_some_and(|slot| slot.answer.set(Err(error)).is_ok())
    }

    /// Tells of something that the server said unasked.
    pub(super) fn event(&self, event: McpEvent) {
        let _ = self.events.send(Told::Event(event));
    }

    /// Tells that for a while nobody heard what it says.
    pub(super) fn missed(&self) {
        let _ = self.events.send(Told::Missed);
    }

    /// Takes what needs no answer; whatever is left goes to rmcp.
    #[allow(deprecated, reason = "servers of the revisions before 2026-07-28 log")]
    pub(super) fn hear(&self, message: RxJsonRpcMessage<RoleClient>) -> Option<RxJsonRpcMessage<RoleClient>> {
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
                    message: self.redactor().text(&clean(&text, MAX_WORDS)),
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

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(default, deserialize_with = "id")]
    id: Option<RequestId>,
    #[serde(default, borrow)]
    result: Option<&'a RawValue>,
    #[serde(default, borrow)]
    method: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    params: Option<&'a RawValue>,
}

/// Some servers answer the number that they were sent as a string.
fn id<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<RequestId>, D::Error> {
    let id = Option::<NumberOrString>::deserialize(deserializer)?;
    Ok(id.map(|id| match &id {
        NumberOrString::String(text) => text.parse().map_or(id.clone(), NumberOrString::Number),
        NumberOrString::Number(_) => id,
    }))
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
mod tests;
