//! The HTTP half of rmcp's streamable HTTP transport: one request at a time, results as they came.

use std::{collections::HashMap, sync::Arc};

use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use http::{
    HeaderMap, HeaderName, HeaderValue, StatusCode,
    header::{ACCEPT, CONTENT_TYPE},
};
use reqwest::{RequestBuilder, Response};
use rmcp::{
    model::{ClientJsonRpcMessage, GetExtensions, JsonRpcMessage, RequestId, ServerJsonRpcMessage, ServerResult},
    transport::streamable_http_client::{
        SseError, StreamableHttpClient, StreamableHttpError, StreamableHttpPostResponse, StreamableHttpResponseLimits,
    },
};
use sse_stream::{Sse, SseStream};

use super::{
    admit::admitted,
    capped,
    endpoint::{self, Endpoint, status_error},
    short::{Learned, VERSION},
    unasked::Unasked,
};
use crate::{
    mcp::{
        CallContext, CredentialSource, McpError,
        client::{own_headers, protocol},
        tap::{Caught, Fault, MAX_MESSAGE_BYTES, Slot, Tap},
    },
    net::body,
};

pub(super) const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");
pub(super) const LAST_EVENT: HeaderName = HeaderName::from_static("last-event-id");
pub(super) const EVENT_STREAM: &str = "text/event-stream";
pub(super) const JSON: &str = "application/json";

/// Most of an error page that is read, in bytes.
pub(super) const MAX_ERROR_BYTES: usize = 64 * 1024;

type WireError = StreamableHttpError<Fault>;
type Headers = HashMap<HeaderName, HeaderValue>;
type Events = BoxStream<'static, Result<Sse, SseError>>;

/// One connection's way to its server.
#[derive(Clone)]
pub(super) struct Wire {
    pub(super) client: reqwest::Client,
    pub(super) headers: HeaderMap,
    pub(super) credentials: Option<Arc<dyn CredentialSource>>,
    pub(super) tap: Arc<Tap>,
    /// For whoever sends without rmcp.
    pub(super) learned: Arc<Learned>,
    unasked: Arc<Unasked>,
}

impl Wire {
    /// What is sent on it has the headers of the endpoint, and those with which the connection is made.
    pub(super) fn new(endpoint: &Endpoint, tap: Arc<Tap>, cx: &CallContext) -> Result<Self, McpError> {
        let credentials = endpoint.credentials().cloned();
        let (learned, unasked) = (Arc::default(), Arc::default());
        let mut headers = endpoint.header_map()?;
        headers.extend(own_headers(cx)?);
        for secret in endpoint::own_secrets(cx) {
            tap.learn(&secret);
        }
        Ok(Self { client: endpoint.client()?, headers, credentials, tap, learned, unasked })
    }

    /// Configured headers, then those of the caller's own credentials, then the protocol's.
    fn headers(&self, slot: Option<&Slot>, session: Option<&str>, protocol: Headers) -> HeaderMap {
        let mut headers = self.headers.clone();
        if let Some(slot) = slot {
            headers.extend(slot.headers().clone());
        }
        headers.extend(protocol);
        headers.insert(ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
        if let Some(value) = session.and_then(|session| HeaderValue::from_str(session).ok()) {
            headers.insert(SESSION, value);
        }
        headers
    }

    async fn post(
        &self,
        uri: &str,
        message: ClientJsonRpcMessage,
        session: Option<Arc<str>>,
        headers: Headers,
    ) -> Result<StreamableHttpPostResponse, WireError> {
        let (asked, slot) = match &message {
            JsonRpcMessage::Request(request) => {
                (Some(request.id.clone()), request.request.extensions().get::<Slot>().cloned())
            }
            _ => (None, None),
        };
        let is_call = matches!(&message, JsonRpcMessage::Request(request) if request.request.method() == "tools/call");
        self.learned.sends(session.as_deref(), headers.get(&VERSION));
        let headers = self.headers(slot.as_ref(), session.as_deref(), headers);
        let exchange = async {
            let response = self.admitted(self.client.post(uri).headers(headers).json(&message)).await?;
            match response.status() {
                StatusCode::ACCEPTED | StatusCode::NO_CONTENT => Ok(StreamableHttpPostResponse::Accepted),
                StatusCode::NOT_FOUND if session.is_some() => Err(StreamableHttpError::SessionExpired),
                status if status.is_success() => {
                    if is_call {
                        self.learned.answers_json(!is(&response, EVENT_STREAM));
                    }
                    self.answer(response, asked).await
                }
                _ => refusal(response, asked, session.is_some()).await,
            }
        };
        // rmcp awaits the first messages of a connection without an ear for its end.
        let exchanged = self.tap.closed().run_until_cancelled(exchange).await;
        exchanged.unwrap_or_else(|| Err(fault(self.tap.lost(false)))).map_err(|error| self.redacted(error))
    }

    async fn admitted(&self, request: RequestBuilder) -> Result<Response, WireError> {
        admitted(request, self.credentials.as_ref(), &self.tap).await.map_err(fault)
    }

    fn redacted(&self, error: WireError) -> WireError {
        match error {
            StreamableHttpError::Client(Fault(error)) => fault(error.redacted(&self.tap.redactor())),
            other => other,
        }
    }

    async fn answer(
        &self,
        response: Response,
        asked: Option<RequestId>,
    ) -> Result<StreamableHttpPostResponse, WireError> {
        let session = response.headers().get(SESSION).and_then(|id| id.to_str().ok()).map(str::to_owned);
        if is(&response, EVENT_STREAM) {
            return Ok(StreamableHttpPostResponse::Sse(self.stream(response, asked), session));
        }
        let body = capped::answer(response, MAX_MESSAGE_BYTES).await.map_err(fault)?;
        // Nobody waits for the answer to a notification, whatever it is.
        let Some(asked) = asked else { return Ok(StreamableHttpPostResponse::Accepted) };
        let message = match self.tap.catch(&body, Some(&asked)) {
            Caught::Kept(id) => kept(id),
            Caught::Answer | Caught::Other => bound(serde_json::from_slice(&body)?, &asked).map_err(fault)?,
        };
        Ok(StreamableHttpPostResponse::Json(message, session))
    }

    /// The stream on which the server speaks unasked. What was said while there was none nobody heard, unless it goes on
    /// where the one before ended.
    fn speaks(&self, response: Response, has_missed: bool) -> Result<Events, WireError> {
        let response = opened(response).map_err(|status| match self.unasked.may_come(status) {
            true => fault(status_error(status, "")),
            false => StreamableHttpError::ServerDoesNotSupportSse,
        })?;
        let open = self.unasked.opens();
        if has_missed {
            self.tap.missed();
        }
        let events = self.stream(response, None).inspect(move |_| {
            let _ = &open;
        });
        Ok(events.boxed())
    }

    /// Events, with results kept and replaced as in [`Tap::decode`].
    fn stream(&self, response: Response, asked: Option<RequestId>) -> Events {
        let tap = self.tap.clone();
        let events = SseStream::from_bytes_stream(capped::events(response.bytes_stream(), MAX_MESSAGE_BYTES));
        events
            .map(move |event| {
                let mut event = match event {
                    Ok(event) => event,
                    Err(error) => return cut_off(&tap, error, asked.as_ref()),
                };
                if let (Some(asked), Some(id)) = (&asked, &event.id) {
                    tap.remember(asked, id);
                }
                if let Some(text) = event.data.as_deref().and_then(|data| rewritten(&tap, data, asked.as_ref())) {
                    event.data = Some(text);
                }
                Ok(event)
            })
            .take_until(self.tap.closed().clone().cancelled_owned())
            .boxed()
    }
}

/// An event's text where rmcp must read another one than the server sent. `asked` is what the
/// stream was opened by.
fn rewritten(tap: &Tap, data: &str, asked: Option<&RequestId>) -> Option<String> {
    let message = match (tap.catch(data.as_bytes(), asked), asked) {
        (Caught::Kept(id), _) => kept(id),
        (Caught::Answer, Some(asked)) => {
            let message = serde_json::from_str(data).map_err(|error| protocol(&error));
            match message.and_then(|message| bound(message, asked)) {
                Ok(message) => message,
                Err(error) if tap.fail(asked, error.clone()) => kept(asked.clone()),
                Err(_) => return None,
            }
        }
        (Caught::Answer | Caught::Other, _) => return None,
    };
    serde_json::to_string(&message).ok()
}

/// An answer that is a stream; the status of one that is none.
fn opened(response: Response) -> Result<Response, StatusCode> {
    let is_stream = response.status().is_success() && is(&response, EVENT_STREAM);
    if is_stream { Ok(response) } else { Err(response.status()) }
}

/// What a broken stream is to rmcp. An answer that is too large is the failure of its request, and not asked for again.
fn cut_off(tap: &Tap, error: SseError, asked: Option<&RequestId>) -> Result<Sse, SseError> {
    let told = asked
        .zip(capped::over(&error))
        .filter(|(asked, over)| tap.fail(asked, over.clone()))
        .and_then(|(asked, _)| serde_json::to_string(&kept(asked.clone())).ok());
    told.map_or(Err(error), |told| Ok(Sse::default().data(told)))
}

/// What rmcp reads in place of a result that the tap has.
fn kept(id: RequestId) -> ServerJsonRpcMessage {
    JsonRpcMessage::response(ServerResult::empty(()), id)
}

/// An answer that is no success. A JSON-RPC error in it is the answer; one without an id, as
/// servers send it for a session they do not know, would otherwise reach nobody. With an id that
/// may be what a 400 within a session means too.
async fn refusal(
    response: Response,
    asked: Option<RequestId>,
    in_session: bool,
) -> Result<StreamableHttpPostResponse, WireError> {
    let (status, json) = (response.status(), is(&response, JSON));
    let body = body::prefix(response, MAX_ERROR_BYTES).await.map(|(body, _)| body).unwrap_or_default();
    if json && let Ok(JsonRpcMessage::Error(error)) = serde_json::from_slice::<ServerJsonRpcMessage>(&body) {
        let ours = asked.is_some() && error.id == asked;
        let of_connection = match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => true,
            StatusCode::BAD_REQUEST => in_session,
            _ => false,
        };
        if ours && !of_connection {
            return Ok(StreamableHttpPostResponse::Json(JsonRpcMessage::Error(error), None));
        }
        return Err(fault(status_error(status, &error.error.message)));
    }
    Err(fault(status_error(status, &String::from_utf8_lossy(&body))))
}

/// The answer to one request, which must bear its id: as it is or as a string. An error may also
/// have none: that of a request that the server could not read.
fn bound(message: ServerJsonRpcMessage, asked: &RequestId) -> Result<ServerJsonRpcMessage, McpError> {
    let is_ours = |id: &RequestId| id.to_string() == asked.to_string();
    match message {
        JsonRpcMessage::Response(mut response) if is_ours(&response.id) => {
            response.id = asked.clone();
            Ok(JsonRpcMessage::Response(response))
        }
        JsonRpcMessage::Error(mut error) if error.id.as_ref().is_none_or(is_ours) => {
            error.id = Some(asked.clone());
            Ok(JsonRpcMessage::Error(error))
        }
        JsonRpcMessage::Response(_)
        | JsonRpcMessage::Error(_)
        | JsonRpcMessage::Request(_)
        | JsonRpcMessage::Notification(_) => {
            Err(McpError::Protocol { message: "the answer is to another request than the one that was sent".into() })
        }
    }
}

pub(super) fn is(response: &Response, kind: &str) -> bool {
    let value = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().is_some_and(|media| media.trim().eq_ignore_ascii_case(kind))
}

fn fault(error: McpError) -> WireError {
    StreamableHttpError::Client(Fault(error))
}

impl StreamableHttpClient for Wire {
    type Error = Fault;

    async fn post_message(
        &self,
        uri: Arc<str>,
        message: ClientJsonRpcMessage,
        session_id: Option<Arc<str>>,
        _auth: Option<String>,
        headers: Headers,
    ) -> Result<StreamableHttpPostResponse, WireError> {
        self.post(&uri, message, session_id, headers).await
    }

    async fn post_message_with_response_limits(
        &self,
        uri: Arc<str>,
        message: ClientJsonRpcMessage,
        session_id: Option<Arc<str>>,
        _auth: Option<String>,
        headers: Headers,
        _limits: StreamableHttpResponseLimits,
    ) -> Result<StreamableHttpPostResponse, WireError> {
        self.post(&uri, message, session_id, headers).await
    }

    async fn delete_session(
        &self,
        uri: Arc<str>,
        session: Arc<str>,
        _auth: Option<String>,
        headers: Headers,
    ) -> Result<(), WireError> {
        let request = self.client.delete(&*uri).headers(self.headers(None, Some(&session), headers));
        self.admitted(request).await.map(drop)
    }

    async fn get_stream(
        &self,
        uri: Arc<str>,
        session_id: Option<Arc<str>>,
        last_event_id: Option<String>,
        _auth: Option<String>,
        headers: Headers,
    ) -> Result<Events, WireError> {
        // A stream that goes on answers what the one before was opened by.
        let asked = last_event_id.as_deref().and_then(|id| self.tap.at(id));
        let slot = asked.as_ref().and_then(|asked| self.tap.slot(asked));
        // Sessions alone have a stream that answers nothing.
        let is_unasked = session_id.is_some() && asked.is_none();
        let last = last_event_id.and_then(|id| HeaderValue::from_str(&id).ok());
        let is_resumed = last.is_some();
        let is_first = is_unasked && self.unasked.turn(is_resumed).await;
        let mut headers = self.headers(slot.as_ref(), session_id.as_deref(), headers);
        if let Some(id) = last {
            headers.insert(LAST_EVENT, id);
        }
        let response = self.admitted(self.client.get(&*uri).headers(headers)).await;
        self.tap.hears();
        if !is_unasked {
            let response = opened(response?).map_err(|_| WireError::ServerDoesNotSupportSse)?;
            return Ok(self.stream(response, asked));
        }
        match response.and_then(|response| self.speaks(response, !is_first && !is_resumed)) {
            // rmcp asks again for one that ended, and never for one that was not there at first.
            Err(error) if is_first && !matches!(error, StreamableHttpError::ServerDoesNotSupportSse) => {
                Ok(stream::empty().boxed())
            }
            spoken => spoken,
        }
    }
}
