//! An OpenTelemetry collector on the loopback interface, which keeps the spans that it is sent.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    routing::post,
};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{KeyValue, any_value::Value},
};
use prost::Message as _;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// A span as it came.
#[derive(Debug, Clone)]
pub struct Span {
    /// Its name.
    pub name: String,
    /// Its trace, in hexadecimal.
    pub trace: String,
    /// Its id.
    pub id: String,
    /// The span above it; empty where there is none.
    pub parent: String,
    /// 2 is a server, 3 a client.
    pub kind: i32,
    /// Whether it failed.
    pub is_error: bool,
    /// Texts and numbers, as text.
    pub attributes: BTreeMap<String, String>,
    /// How many events it has.
    pub events: usize,
    /// The service that it is of.
    pub service: String,
}

#[derive(Debug, Default)]
struct Kept {
    spans: Vec<Span>,
    bytes: Vec<u8>,
}

/// Takes spans at `/v1/traces` until it is dropped.
#[derive(Debug)]
pub struct Collector {
    url: String,
    kept: Arc<Mutex<Kept>>,
    stop: CancellationToken,
}

impl Collector {
    /// Starts it. Must be called within a runtime.
    ///
    /// # Panics
    /// When it cannot listen.
    pub async fn start() -> Self {
        let (kept, stop) = (Arc::<Mutex<Kept>>::default(), CancellationToken::new());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().route("/v1/traces", post(take)).with_state(kept.clone());
        let stopped = stop.clone();
        tokio::spawn(async move { stopped.run_until_cancelled(axum::serve(listener, router).into_future()).await });
        Self { url, kept, stop }
    }

    /// Its address, without the path.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The spans so far.
    ///
    /// # Panics
    /// When a request could not be kept.
    pub fn spans(&self) -> Vec<Span> {
        self.kept.lock().unwrap().spans.clone()
    }

    /// The first span of a name.
    ///
    /// # Panics
    /// When there is none.
    pub fn span(&self, name: &str) -> Span {
        let spans = self.spans();
        let names: Vec<&str> = spans.iter().map(|span| &*span.name).collect();
        spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("no {name} in {names:?}")).clone()
    }

    /// Whether a text is anywhere in what came.
    ///
    /// # Panics
    /// When a request could not be kept.
    pub fn has(&self, text: &str) -> bool {
        self.kept.lock().unwrap().bytes.windows(text.len()).any(|part| part == text.as_bytes())
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn take(State(kept): State<Arc<Mutex<Kept>>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    assert_eq!(headers[header::CONTENT_TYPE], "application/x-protobuf");
    let request = ExportTraceServiceRequest::decode(body.clone()).unwrap();
    let mut kept = kept.lock().unwrap();
    kept.bytes.extend_from_slice(&body);
    for of_resource in request.resource_spans {
        let resource = attributes(of_resource.resource.unwrap_or_default().attributes);
        let service = resource.get("service.name").cloned().unwrap_or_default();
        let spans = of_resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
        kept.spans.extend(spans.map(|span| Span {
            name: span.name,
            trace: hex(&span.trace_id),
            id: hex(&span.span_id),
            parent: hex(&span.parent_span_id),
            kind: span.kind,
            is_error: span.status.is_some_and(|status| status.code == 2),
            attributes: attributes(span.attributes),
            events: span.events.len(),
            service: service.clone(),
        }));
    }
    StatusCode::OK
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn attributes(attributes: Vec<KeyValue>) -> BTreeMap<String, String> {
    let text = |value: Value| match value {
        Value::StringValue(text) => text,
        Value::IntValue(number) => number.to_string(),
        other => format!("{other:?}"),
    };
    let set = attributes.into_iter().filter_map(|pair| Some((pair.key, text(pair.value?.value?))));
    set.collect()
}
