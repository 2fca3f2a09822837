//! Every request has an id, in its answer, in the log and in what is told of an error; and another one for what it asks
//! or calls, where its sender chose the first.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use axum::{
    extract::{FromRequestParts, MatchedPath, Request},
    http::{HeaderMap, HeaderName, HeaderValue, Method, request::Parts},
    response::Response,
};
use tracing::{
    Instrument as _, Span,
    field::{Empty, display},
};
use uuid::Uuid;

use crate::metrics;

/// The header of the id.
pub(super) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The header of what identifies an ask or a call in the ledger.
pub(super) const X_OMNI_REQUEST_ID: HeaderName = HeaderName::from_static("x-omni-request-id");
/// Longest id that a sender may choose.
const MAX_LEN: usize = 128;

/// The id of a request.
#[derive(Debug, Clone)]
pub(crate) struct RequestId {
    /// As the sender chose it, or else as `ask`.
    text: String,
    /// Our own: nobody chooses what identifies a record of the ledger.
    ask: Uuid,
    /// Whether anything is asked or called by it.
    is_asked: Arc<AtomicBool>,
}

impl RequestId {
    fn of(headers: &HeaderMap) -> Self {
        let ask = Uuid::now_v7();
        let sent = headers.get(X_REQUEST_ID).and_then(|value| value.to_str().ok()).filter(|text| is_sane(text));
        Self { text: sent.map_or_else(|| ask.to_string(), str::to_owned), ask, is_asked: Arc::default() }
    }

    /// The one that the request was given.
    pub(super) fn known(request: &Request) -> Self {
        request.extensions().get::<Self>().cloned().unwrap_or_else(|| Self::of(request.headers()))
    }

    /// The id that sender and log know.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// What identifies the one ask or call of the request in the ledger. Whoever takes it has the answer say it.
    pub(crate) fn ask(&self) -> Uuid {
        self.is_asked.store(true, Ordering::Relaxed);
        self.ask
    }

    /// The same, once something was asked or called.
    fn asked(&self) -> Option<Uuid> {
        self.is_asked.load(Ordering::Relaxed).then_some(self.ask)
    }
}

fn is_sane(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=MAX_LEN).contains(&text.len()) && text.bytes().all(is_plain)
}

impl<S: Sync> FromRequestParts<S> for RequestId {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let known = parts.extensions.get::<Self>().cloned();
        Ok(known.unwrap_or_else(|| Self::of(&parts.headers)))
    }
}

/// Gives the request its id and span, the answer its header, and the log a line.
pub(super) async fn identify<A: Future<Output = Response>>(
    mut request: Request,
    answer: impl FnOnce(Request) -> A,
) -> Response {
    let (id, started) = (RequestId::of(request.headers()), Instant::now());
    // The route, not the path: paths have names of people in them, and there is no end of them.
    let (method, route) = (request.method().clone(), request.extensions().get::<MatchedPath>().cloned());
    let span = span(&id, &method, route.as_ref());
    #[cfg(feature = "otel")]
    crate::otel::continue_trace(&span, request.headers());
    request.extensions_mut().insert(id.clone());
    let mut response = answer(request).instrument(span.clone()).await;
    if let Ok(value) = HeaderValue::from_str(&id.text) {
        response.headers_mut().insert(X_REQUEST_ID, value);
    }
    if let Some(value) = id.asked().and_then(|ask| HeaderValue::from_str(&ask.to_string()).ok()) {
        response.headers_mut().insert(X_OMNI_REQUEST_ID, value);
    }
    let (status, took) = (response.status(), started.elapsed());
    span.record("http.response.status_code", status.as_u16());
    if status.is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
    let (code, duration_ms) = (status.as_u16(), u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
    span.in_scope(|| tracing::debug!(status = code, duration_ms, "a request was answered"));
    metrics::answered(&method, route.as_ref().map(MatchedPath::as_str), status, took);
    response
}

/// The span of a request, by OpenTelemetry's conventions for HTTP.
fn span(id: &RequestId, method: &Method, route: Option<&MatchedPath>) -> Span {
    let route = route.map_or("", MatchedPath::as_str);
    // What the sender chose says nothing of the ledger: whatever is asked or called has this id there.
    let ask = (id.text.parse::<Uuid>() != Ok(id.ask)).then(|| display(id.ask));
    tracing::info_span!(
        "http.request",
        otel.name = format!("{method} {route}").trim_end(),
        otel.kind = "server",
        http.request.method = %method,
        http.route = route,
        request_id = id.text,
        omni.request_id = ask,
        http.response.status_code = Empty,
        otel.status_code = Empty,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_of_the_senders_is_taken_if_it_is_one_and_never_names_a_record() {
        for (sent, is_taken) in
            [("abc-1_2.3", true), ("a b", false), ("", false), (&"a".repeat(129), false), ("é", false)]
        {
            let headers = HeaderMap::from_iter([(X_REQUEST_ID, HeaderValue::from_bytes(sent.as_bytes()).unwrap())]);
            let id = RequestId::of(&headers);
            assert_eq!(id.text == sent, is_taken, "{sent}");
            assert_ne!(id.ask.to_string(), sent);
        }
        let id = RequestId::of(&HeaderMap::new());
        assert_eq!(id.text, id.ask.to_string());
    }
}
