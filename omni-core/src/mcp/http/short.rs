//! The short way of a tool call: where a server answers calls with one JSON text, the call is one POST, and its
//! result the bytes that came. It shares the session with rmcp's transport, which the connection began with and
//! which everything else passes.

use std::{
    collections::BTreeMap,
    ops::ControlFlow,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicI64, Ordering::Relaxed},
    },
    time::Duration,
};

use async_trait::async_trait;
use futures::StreamExt as _;
use http::{
    HeaderMap, HeaderName, HeaderValue, StatusCode,
    header::{ACCEPT, CONTENT_TYPE},
};
use reqwest::Response;
use rmcp::model::{JsonRpcMessage, RequestId, ServerJsonRpcMessage};
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};
use sse_stream::SseStream;
use tokio::time::sleep;

use super::{
    FORGOTTEN,
    admit::admitted,
    capped,
    endpoint::status_error,
    lost,
    wire::{EVENT_STREAM, JSON, LAST_EVENT, MAX_ERROR_BYTES, SESSION, Wire, is},
};
use crate::{
    mcp::{
        McpError, Nobody,
        client::{ShortCall, ShortWay, protocol},
        params, peer,
        tap::{MAX_MESSAGE_BYTES, words},
    },
    net::body,
};

const METHOD: HeaderName = HeaderName::from_static("mcp-method");
const NAME: HeaderName = HeaderName::from_static("mcp-name");
pub(super) const VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");

/// Where ids of requests begin that rmcp does not count: a server need not know greater ones than 32 bits hold.
const FIRST_ID: i64 = 1 << 30;

/// JSON-RPC: the server cannot read a request.
const UNREADABLE: [i64; 2] = [-32_700, -32_600];

/// How often in a row a stream that broke is asked for without anything more on it.
const RESUMES: u32 = 4;
/// How long is waited before it is asked for, times the attempts made, and at most where the server says how long.
const RESUME_AFTER: Duration = Duration::from_millis(200);
const RESUME_AFTER_AT_MOST: Duration = Duration::from_secs(10);

/// What the requests of a connection have in common.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    pub(super) session: Option<HeaderValue>,
    pub(super) version: Option<HeaderValue>,
}

/// What is learned of a connection by whoever has its wire.
#[derive(Debug, Default)]
pub(super) struct Learned {
    known: Mutex<Known>,
    /// Whether the last call was answered with one JSON text.
    is_open: AtomicBool,
    /// Whether some call cannot be made like this.
    is_closed: AtomicBool,
}

impl Learned {
    /// What rmcp sends with a request.
    pub(super) fn sends(&self, session: Option<&str>, version: Option<&HeaderValue>) {
        let session = session.and_then(|session| HeaderValue::from_str(session).ok());
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Known { session, version: version.cloned() };
    }

    /// How a call was answered.
    pub(super) fn answers_json(&self, is_json: bool) {
        self.is_open.store(is_json, Relaxed);
    }

    fn known(&self) -> Known {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// How far a stream was heard.
#[derive(Debug, Default)]
struct Place {
    /// Its last event.
    event: Option<HeaderValue>,
    /// How long the server wants to be left alone before it is asked for the rest.
    pause: Option<Duration>,
}

impl Place {
    fn after(&mut self, event: Option<&str>, retry_ms: Option<u64>) {
        if let Some(event) = event.and_then(|id| HeaderValue::from_str(id).ok()) {
            self.event = Some(event);
        }
        if let Some(retry) = retry_ms {
            self.pause = Some(Duration::from_millis(retry).clamp(RESUME_AFTER, RESUME_AFTER_AT_MOST));
        }
    }
}

/// The short way of one connection.
pub(super) struct Short {
    wire: Wire,
    url: url::Url,
    ids: AtomicI64,
}

impl Short {
    pub(super) fn new(wire: Wire, url: url::Url) -> Arc<Self> {
        Arc::new(Self { wire, url, ids: FIRST_ID.into() })
    }

    fn headers(&self, call: &ShortCall<'_>) -> HeaderMap {
        let mut headers = self.wire.headers.clone();
        headers.extend(call.slot.headers().clone());
        let known = self.wire.learned.known();
        headers.extend(
            [(SESSION, known.session), (VERSION, known.version)].into_iter().filter_map(|(k, v)| Some((k, v?))),
        );
        headers.insert(ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
        if call.is_modern {
            headers.insert(METHOD, HeaderValue::from_static("tools/call"));
            let name = call.tool().and_then(|name| HeaderValue::from_str(&name).ok());
            headers.extend(name.map(|name| (NAME, name)));
        }
        headers
    }

    async fn answer(
        &self,
        response: Response,
        id: &RequestId,
        call: &ShortCall<'_>,
    ) -> Result<Box<RawValue>, McpError> {
        if is(&response, EVENT_STREAM) {
            self.wire.learned.answers_json(false);
            // In a box: whoever gets one text carries nothing of a stream.
            return Box::pin(self.listen(response, id, call)).await;
        }
        let body = capped::answer(response, MAX_MESSAGE_BYTES).await?;
        answer(&body, id)?.ok_or_else(|| protocol(&"the answer is to another request than the one that was sent"))
    }

    /// A server may answer with a stream after all. One that ends before the answer is gone on with, where the server
    /// said where it was.
    async fn listen(
        &self,
        response: Response,
        id: &RequestId,
        call: &ShortCall<'_>,
    ) -> Result<Box<RawValue>, McpError> {
        let mut place = Place::default();
        let mut ended = self.hear(response, id, call, &mut place).await;
        let mut attempt = 0;
        loop {
            let why = match ended {
                ControlFlow::Break(answer) => return answer,
                ControlFlow::Continue(why) => why,
            };
            let Some(event) = place.event.clone().filter(|_| attempt < RESUMES) else { return Err(why) };
            attempt += 1;
            sleep(place.pause.unwrap_or(RESUME_AFTER * attempt)).await;
            ended = match self.resumed(event.clone(), call).await {
                Some(response) => self.hear(response, id, call, &mut place).await,
                None => ControlFlow::Continue(why),
            };
            if place.event.as_ref() != Some(&event) {
                attempt = 0;
            }
        }
    }

    /// What comes on a stream after one of its events.
    async fn resumed(&self, event: HeaderValue, call: &ShortCall<'_>) -> Option<Response> {
        let mut headers = self.headers(call);
        for of_a_message in [CONTENT_TYPE, METHOD, NAME] {
            headers.remove(of_a_message);
        }
        headers.insert(LAST_EVENT, event);
        let request = self.wire.client.get(self.url.clone()).headers(headers);
        let response = admitted(request, self.wire.credentials.as_ref(), &self.wire.tap).await.ok()?;
        (response.status().is_success() && is(&response, EVENT_STREAM)).then_some(response)
    }

    /// Hears a stream to the answer, or to its end.
    async fn hear(
        &self,
        response: Response,
        id: &RequestId,
        call: &ShortCall<'_>,
        place: &mut Place,
    ) -> ControlFlow<Result<Box<RawValue>, McpError>, McpError> {
        let broken = |message: &str| McpError::Closed { message: words(message), unsent: false };
        let mut events = SseStream::from_bytes_stream(capped::events(response.bytes_stream(), MAX_MESSAGE_BYTES));
        while let Some(event) = events.next().await {
            let event = match event {
                Ok(event) => event,
                // Asked for once more it would be as large.
                Err(error) => match capped::over(&error) {
                    Some(over) => return ControlFlow::Break(Err(over)),
                    None => return ControlFlow::Continue(broken(&error.to_string())),
                },
            };
            place.after(event.id.as_deref(), event.retry);
            let Some(data) = event.data.filter(|data| !data.is_empty()) else { continue };
            if let Some(answer) = answer(data.as_bytes(), id).transpose() {
                return ControlFlow::Break(answer);
            }
            match serde_json::from_str::<ServerJsonRpcMessage>(&data) {
                // The tap would keep it for whoever is asked, and nobody is.
                Ok(JsonRpcMessage::Request(_)) => {
                    // The answer may come all the same.
                    if let Err(error) = self.reply(&data, call).await {
                        tracing::debug!(%error, "a server's question was not answered");
                    }
                }
                Ok(message) => {
                    // Logs reach whoever is behind the call.
                    self.wire.tap.catch(data.as_bytes(), Some(id));
                    drop(self.wire.tap.hear(message));
                }
                Err(_) => {}
            }
        }
        ControlFlow::Continue(broken("the stream ended before the answer came"))
    }

    /// Answers a server's question: that the connection lives, and all else as nobody would.
    async fn reply(&self, question: &str, call: &ShortCall<'_>) -> Result<(), McpError> {
        #[derive(Deserialize)]
        struct Question<'a> {
            #[serde(borrow)]
            id: &'a RawValue,
            method: String,
        }
        let question: Question<'_> = serde_json::from_str(question).map_err(|error| protocol(&error))?;
        let nothing = RawValue::from_string("{}".into()).unwrap_or_default();
        let answer = match &*question.method {
            "ping" => Ok(nothing),
            method => peer::ask(&Nobody, method, nothing).await,
        };
        let answer = match answer {
            Ok(result) => json!({ "jsonrpc": "2.0", "id": question.id, "result": result }),
            Err(McpError::Rpc { code, message, .. }) => {
                json!({ "jsonrpc": "2.0", "id": question.id, "error": { "code": code, "message": message } })
            }
            Err(error) => return Err(error),
        };
        let request = self.wire.client.post(self.url.clone()).headers(self.headers(call)).body(answer.to_string());
        admitted(request, self.wire.credentials.as_ref(), &self.wire.tap).await.map(drop)
    }
}

#[async_trait]
impl ShortWay for Short {
    fn is_open(&self) -> bool {
        self.wire.learned.is_open.load(Relaxed) && !self.wire.learned.is_closed.load(Relaxed)
    }

    fn takes(&self, call: &ShortCall<'_>) -> bool {
        // Headers of arguments are made by rmcp.
        !call.is_modern || (!call.has_param_headers && call.tool().is_some_and(|name| is_plain(&name)))
    }

    fn close(&self) {
        self.wire.learned.is_closed.store(true, Relaxed);
    }

    fn next_id(&self) -> RequestId {
        RequestId::Number(self.ids.fetch_add(1, Relaxed))
    }

    async fn call(&self, id: &RequestId, call: ShortCall<'_>) -> Result<Box<RawValue>, McpError> {
        let headers = self.headers(&call);
        let has_session = headers.contains_key(SESSION);
        let params = params::with_meta(call.params, &self.meta(&call))?;
        let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{params}}}"#);
        let request = self.wire.client.post(self.url.clone()).headers(headers).body(body);
        let exchange = async {
            let response = admitted(request, self.wire.credentials.as_ref(), &self.wire.tap).await?;
            match response.status() {
                StatusCode::NOT_FOUND if has_session => Err(lost(FORGOTTEN)),
                status if status.is_success() => self.answer(response, id, &call).await,
                _ => Err(Box::pin(self.refusal(response, id, has_session)).await),
            }
        };
        let exchanged = self.wire.tap.closed().run_until_cancelled(exchange).await;
        exchanged.unwrap_or_else(|| Err(self.wire.tap.lost(false))).inspect_err(|error| self.learns_from(error))
    }
}

impl Short {
    /// What an answer means that is no success: as rmcp's transport is told it.
    async fn refusal(&self, response: Response, id: &RequestId, in_session: bool) -> McpError {
        let (status, is_json) = (response.status(), is(&response, JSON));
        let body = body::prefix(response, MAX_ERROR_BYTES).await.map(|(body, _)| body).unwrap_or_default();
        if is_json && let Err(error @ McpError::Rpc { .. }) = answer(&body, id) {
            self.learns_from(&error);
            let of_connection = match status {
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => true,
                StatusCode::BAD_REQUEST => in_session,
                _ => false,
            };
            let has_id = serde_json::from_slice::<Envelope<'_>>(&body)
                .is_ok_and(|told| told.id.is_some_and(|id| id.get() != "null"));
            return match error {
                McpError::Rpc { message, .. } if of_connection || !has_id => status_error(status, &message),
                error => error,
            };
        }
        status_error(status, &String::from_utf8_lossy(&body))
    }

    /// A server that cannot read what is sent like this may well read what rmcp sends.
    fn learns_from(&self, error: &McpError) {
        if matches!(error, McpError::Rpc { code, .. } if UNREADABLE.contains(code)) {
            self.close();
        }
    }

    /// What goes along with every request: since 2026-07-28 who omni is, and that it can be asked nothing.
    fn meta(&self, call: &ShortCall<'_>) -> BTreeMap<String, Value> {
        let mut meta = call.meta.clone();
        if let Some(version) = self.wire.learned.known().version.filter(|_| call.is_modern) {
            let version = version.to_str().unwrap_or_default();
            meta.insert("io.modelcontextprotocol/protocolVersion".into(), version.into());
            let us = json!({ "name": "omni", "version": env!("CARGO_PKG_VERSION") });
            meta.insert("io.modelcontextprotocol/clientInfo".into(), us);
        }
        meta
    }
}

/// Whether a name is the same in a header; others are encoded, which is left to rmcp.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic()) && !name.starts_with("=?")
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    result: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Told {
    code: i64,
    message: String,
    #[serde(default)]
    data: Option<Value>,
}

/// The result or the error of a request, if that is what a message is.
fn answer(message: &[u8], id: &RequestId) -> Result<Option<Box<RawValue>>, McpError> {
    let message: Envelope<'_> = serde_json::from_slice(message).map_err(|error| protocol(&error))?;
    let is_ours = |own: &RawValue| own.get().trim_matches('"') == id.to_string();
    match message {
        Envelope { id: Some(own), result: Some(result), .. } if is_ours(own) => Ok(Some(result.to_owned())),
        // One without an id is that of a request that the server could not read.
        Envelope { id: own, error: Some(error), .. } if own.is_none_or(|own| is_ours(own) || own.get() == "null") => {
            let told: Told = serde_json::from_str(error.get()).map_err(|error| protocol(&error))?;
            Err(McpError::rpc(told.code, words(&told.message)).with_data(told.data))
        }
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests;
