//! Spans to an OpenTelemetry collector, by OTLP over HTTP.
//!
//! The SDK reads its own variables: `OTEL_EXPORTER_OTLP_ENDPOINT` (or `…_TRACES_ENDPOINT`), which has to be
//! set, `OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`,
//! `OTEL_TRACES_SAMPLER`, `OTEL_TRACES_SAMPLER_ARG`, `OTEL_BSP_*`.

use std::collections::BTreeMap;

use axum::http::HeaderMap;
use opentelemetry::{
    Key, KeyValue, Value,
    propagation::{Extractor, TextMapPropagator as _},
    trace::{TraceContextExt as _, TracerProvider as _},
};
use opentelemetry_otlp::{ExporterBuildError, SpanExporter};
use opentelemetry_sdk::{Resource, propagation::TraceContextPropagator, trace::SdkTracerProvider};
use tracing::{Metadata, Span, Subscriber, level_filters::LevelFilter};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::{Layer, filter::FilterFn, registry::LookupSpan};

/// Either of them says where spans go.
const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];

const SERVICE_NAME: &str = "service.name";
/// The name of a service that was given none.
const SERVICE: &str = "omni";

/// Whether the environment says where spans go.
pub(crate) fn is_wanted(env: &BTreeMap<String, String>) -> bool {
    let is = |name: &str, value: &str| env.get(name).is_some_and(|set| set.eq_ignore_ascii_case(value));
    let has_endpoint = ENDPOINTS.iter().any(|name| env.get(*name).is_some_and(|set| !set.is_empty()));
    has_endpoint && !is("OTEL_SDK_DISABLED", "true") && !is("OTEL_TRACES_EXPORTER", "none")
}

/// Spans on their way to the collector. Dropping it sends those that wait, for a few seconds at most.
#[derive(Debug)]
pub(crate) struct Export(SdkTracerProvider);

impl Export {
    /// Begins to export.
    ///
    /// # Errors
    /// When the SDK cannot make anything of what the environment says.
    pub(crate) fn start() -> Result<Self, ExporterBuildError> {
        // Blocking, on a thread of its own: it needs no runtime, and it outlives the one that is served by.
        let exporter = SpanExporter::builder().with_http().build()?;
        Ok(Self(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource()).build()))
    }

    /// Takes the spans of omni, those of the single steps too. What is logged stays in the log: its texts may
    /// say who somebody is.
    pub(crate) fn layer<S>(&self) -> impl Layer<S> + Send + Sync + use<S>
    where
        S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
    {
        let layer = tracing_opentelemetry::layer()
            .with_tracer(self.0.tracer(SERVICE))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false);
        layer.with_filter(FilterFn::new(is_ours).with_max_level_hint(LevelFilter::DEBUG))
    }
}

impl Drop for Export {
    fn drop(&mut self) {
        if let Err(error) = self.0.shutdown() {
            tracing::warn!(%error, "the last spans may not have been exported");
        }
    }
}

fn is_ours(metadata: &Metadata<'_>) -> bool {
    metadata.is_span() && ["omni_core", "omni_http"].iter().any(|ours| metadata.target().starts_with(ours))
}

fn resource() -> Resource {
    let detected = Resource::builder().with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
    let resource = detected.build();
    let is_named = |name: &Value| !name.as_str().starts_with("unknown_service");
    match resource.get_ref(&Key::new(SERVICE_NAME)).is_some_and(is_named) {
        true => resource,
        false => Resource::builder_empty()
            .with_attributes(resource.iter().map(|(key, value)| KeyValue::new(key.clone(), value.clone())))
            .with_service_name(SERVICE)
            .build(),
    }
}

/// Makes a request's span part of the trace that its sender says it is part of. Must come before anything
/// runs in it.
pub(crate) fn continue_trace(span: &Span, headers: &HeaderMap) {
    let context = TraceContextPropagator::new().extract(&Headers(headers));
    if context.span().span_context().is_valid() {
        // It fails where spans go nowhere.
        let _ = span.set_parent(context);
    }
}

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    /// A header that comes twice says nothing.
    fn get(&self, key: &str) -> Option<&str> {
        let mut values = self.0.get_all(key).iter();
        match (values.next(), values.next()) {
            (Some(value), None) => value.to_str().ok(),
            _ => None,
        }
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(|name| name.as_str()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_go_where_the_environment_says_and_nowhere_else() {
        let wanted = |env: &[(&str, &str)]| {
            is_wanted(&env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
        };
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318");
        assert!(wanted(&[endpoint]));
        assert!(wanted(&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://127.0.0.1:4318/v1/traces")]));
        assert!(!wanted(&[]) && !wanted(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "")]));
        assert!(!wanted(&[endpoint, ("OTEL_SDK_DISABLED", "TRUE")]));
        assert!(!wanted(&[endpoint, ("OTEL_TRACES_EXPORTER", "none")]));
    }

    #[test]
    fn a_trace_that_is_named_twice_is_continued_by_nobody() {
        let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let mut headers = HeaderMap::new();
        headers.append("traceparent", parent.parse().unwrap());
        assert_eq!(Headers(&headers).get("traceparent"), Some(parent));
        headers.append("traceparent", parent.parse().unwrap());
        assert_eq!(Headers(&headers).get("traceparent"), None);
    }
}
