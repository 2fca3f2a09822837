//! A strict stand-in for the Messages API of Anthropic and the Chat Completions API of OpenAI.
//!
//! Every request is checked against the vendor's rules. One that breaks a rule is refused as the
//! vendor would refuse it, and is kept in [`Vendor::violations`], which a test asserts to be empty.
//! What is answered follows from the newest text of the user; see [`plan`] for the scenarios.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicUsize, atomic::Ordering},
};

use axum::{
    Router,
    body::Bytes,
    extract::State as Extract,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

mod anthropic;
mod check;
mod openai;
pub mod plan;
mod prefix;
mod stream;

pub use check::Refusal;
pub use plan::{Mischief, Part, Plan};

/// The key that the vendor takes, in both dialects.
pub const KEY: &str = "test-key";

/// Which API a request came by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// `POST /v1/messages`.
    Anthropic,
    /// `POST /v1/chat/completions`.
    OpenAi,
}

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The API.
    pub dialect: Dialect,
    /// Its headers, keys included.
    pub headers: HeaderMap,
    /// Its body; null where it was no JSON.
    pub body: Value,
    /// Its body, byte for byte.
    pub raw: Bytes,
    /// The status that it was answered with.
    pub status: u16,
}

/// An answer that a test queues, used before any scenario.
#[derive(Debug, Clone)]
pub enum Reply {
    /// A turn of the model, in the dialect of the request.
    Turn(Plan),
    /// An error in the dialect of the request.
    Error(Refusal),
    /// These very bytes as an event stream.
    Raw(String),
    /// This status, content type and body.
    Body(u16, String, String),
}

/// The running stand-in; stops when it is dropped.
#[derive(Debug)]
pub struct Vendor {
    base_url: String,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    inner: Mutex<Inner>,
    /// Streams that the client left before their end.
    abandoned: Arc<AtomicUsize>,
    stop: CancellationToken,
}

#[derive(Debug, Default)]
struct Inner {
    seen: Vec<Seen>,
    violations: Vec<String>,
    queue: VecDeque<Reply>,
    memory: Memory,
    prefixes: Option<prefix::Prefixes>,
}

/// What the stand-in remembers between requests.
#[derive(Debug, Default)]
struct Memory {
    /// Attempts by conversation.
    attempts: HashMap<String, u32>,
    /// Thinking by signature.
    thoughts: HashMap<String, Thought>,
    /// Signature of the thinking that preceded a call, by the call's id.
    thought_before: HashMap<String, String>,
    /// How many ids were given out.
    ids: u64,
}

/// A signed thought.
#[derive(Debug)]
struct Thought {
    block: Value,
    /// All that it came after: it is taken back nowhere else.
    behind: Vec<Value>,
}

impl Memory {
    fn id(&mut self, prefix: &str) -> String {
        self.ids += 1;
        format!("{prefix}{:06}", self.ids)
    }
}

impl State {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Vendor {
    /// Starts on a free port of loopback.
    ///
    /// # Panics
    /// When no port can be bound.
    #[expect(clippy::expect_used, reason = "without a socket no test can go on")]
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a loopback port is free");
        let address = listener.local_addr().expect("a bound socket has an address");
        let state = Arc::new(State::default());
        let app = Router::new()
            .route("/v1/messages", post(messages))
            .route("/v1/chat/completions", post(completions))
            .with_state(state.clone());
        let stop = state.stop.clone().cancelled_owned();
        tokio::spawn(async move { axum::serve(listener, app).with_graceful_shutdown(stop).await });
        Self { base_url: format!("http://{address}"), state }
    }

    /// `http://127.0.0.1:<port>`, without the `/v1`.
    #[must_use]
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// Every rule that a request broke, in the order of the requests.
    #[must_use]
    pub fn violations(&self) -> Vec<String> {
        self.state.lock().violations.clone()
    }

    /// Every request so far, oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<Seen> {
        self.state.lock().seen.clone()
    }

    /// How many streams the client left before their end.
    #[must_use]
    pub fn abandoned(&self) -> usize {
        self.state.abandoned.load(Ordering::SeqCst)
    }

    /// Queues an answer; queued answers come before any scenario.
    pub fn push(&self, reply: Reply) {
        self.state.lock().queue.push_back(reply);
    }

    /// From now on, requests of one conversation (of equal model and first user message) must repeat tools and
    /// system prompt byte for byte, and must only ever append messages.
    pub fn check_prefixes(&self) {
        self.state.lock().prefixes = Some(prefix::Prefixes::default());
    }
}

impl Drop for Vendor {
    fn drop(&mut self) {
        self.state.stop.cancel();
    }
}

async fn messages(Extract(state): Extract<Arc<State>>, headers: HeaderMap, raw: Bytes) -> Response {
    answer(&state, Dialect::Anthropic, headers, raw)
}

async fn completions(Extract(state): Extract<Arc<State>>, headers: HeaderMap, raw: Bytes) -> Response {
    answer(&state, Dialect::OpenAi, headers, raw)
}

fn answer(state: &Arc<State>, dialect: Dialect, headers: HeaderMap, raw: Bytes) -> Response {
    let mut inner = state.lock();
    let inner = &mut *inner;
    let body: Value = serde_json::from_slice(&raw).unwrap_or_default();
    let made = judge(inner, dialect, &headers, &body, &raw).and_then(|()| make(inner, dialect, &body));
    let response = match made {
        Ok(Made::Stream(frames, mischief)) => {
            stream::respond(frames, mischief, state.abandoned.clone(), state.stop.clone())
        }
        Ok(Made::Body(status, kind, body)) => {
            (StatusCode::from_u16(status).unwrap_or_default(), [(header::CONTENT_TYPE, kind)], body).into_response()
        }
        Err(refusal) => refuse(dialect, &refusal),
    };
    inner.seen.push(Seen { dialect, headers, body, raw, status: response.status().as_u16() });
    response
}

/// Refuses what breaks a rule, and remembers it.
fn judge(inner: &mut Inner, dialect: Dialect, headers: &HeaderMap, body: &Value, raw: &Bytes) -> Result<(), Refusal> {
    let judged = match dialect {
        Dialect::Anthropic => anthropic::check(headers, body, &inner.memory),
        Dialect::OpenAi => openai::check(headers, body),
    };
    let judged = judged.and_then(|()| match &mut inner.prefixes {
        Some(prefixes) => prefixes.check(raw, body),
        None => Ok(()),
    });
    // A wrong key is the operator's fault, not a broken rule of the protocol.
    if let Some(refusal) = judged.as_ref().err().filter(|refusal| refusal.status != 401) {
        inner.violations.push(format!("request {}: {}", inner.seen.len(), refusal.message));
    }
    judged
}

enum Made {
    Stream(Vec<String>, Option<Mischief>),
    Body(u16, String, String),
}

fn make(inner: &mut Inner, dialect: Dialect, body: &Value) -> Result<Made, Refusal> {
    let plan = match inner.queue.pop_front() {
        Some(Reply::Turn(plan)) => plan,
        Some(Reply::Error(refusal)) => return Err(refusal),
        Some(Reply::Raw(text)) => return Ok(Made::Stream(vec![text], None)),
        Some(Reply::Body(status, kind, text)) => return Ok(Made::Body(status, kind, text)),
        None => {
            let asked = match dialect {
                Dialect::Anthropic => anthropic::asked(body),
                Dialect::OpenAi => openai::asked(body),
            };
            plan::plan(&asked, &mut inner.memory.attempts)?
        }
    };
    let frames = match dialect {
        Dialect::Anthropic => anthropic::frames(&plan, body, &mut inner.memory),
        Dialect::OpenAi => openai::frames(&plan, body, &mut inner.memory),
    };
    Ok(Made::Stream(frames, plan.mischief))
}

/// The refusal as the vendor words it.
fn refuse(dialect: Dialect, refusal: &Refusal) -> Response {
    let Refusal { status, kind, message, retry_after } = refusal;
    let body = match dialect {
        Dialect::Anthropic => {
            json!({ "type": "error", "error": { "type": kind, "message": message }, "request_id": "req_1" })
        }
        Dialect::OpenAi => {
            json!({ "error": { "message": message, "type": kind, "param": null, "code": openai::code(refusal) } })
        }
    };
    let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response();
    if let Some(seconds) = retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, (*seconds).into());
    }
    response
}
