//! What the door counts, and where everything that is counted is read.
//!
//! | name | labels | what |
//! |---|---|---|
//! | `omni_http_requests_total` | `method`, `route`, `status` | requests that were answered |
//! | `omni_http_request_duration_seconds` | `method`, `route` | how long the answers took to begin |
//! | `omni_http_streams_open` | – | answers that are being streamed now |
//!
//! A route is the pattern that matched, never a path. What the pipeline counts is in
//! [`omni_core::metrics`].

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};

use axum::http::{Method, StatusCode};
use metrics::{Gauge, Label, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use omni_core::metrics::{DOLLARS, MODEL_TURN_COST, SECONDS};

const REQUESTS: &str = "omni_http_requests_total";
const REQUEST_DURATION: &str = "omni_http_request_duration_seconds";
const STREAMS_OPEN: &str = "omni_http_streams_open";

/// The route of a request that none took.
const UNMATCHED: &str = "unmatched";

/// The recorder of this process, once somebody wanted it: the facade knows one. `None` where another
/// was there before.
static RECORDER: OnceLock<Option<PrometheusHandle>> = OnceLock::new();

/// Where `GET /metrics` finds what was counted.
#[derive(Clone)]
pub struct Metrics(Source);

#[derive(Clone)]
enum Source {
    Prometheus(PrometheusHandle),
    Own(Arc<dyn Fn() -> String + Send + Sync>),
}

impl Metrics {
    /// The recorder of this process, which the first call installs; all calls give the same. `None` where
    /// the program has installed another one: that one gets everything, and [`Metrics::new`] shows it.
    pub fn install() -> Option<Self> {
        RECORDER.get_or_init(recorder).clone().map(|handle| Self(Source::Prometheus(handle)))
    }

    /// What a recorder of the program's own shows, as Prometheus reads it.
    pub fn new(render: impl Fn() -> String + Send + Sync + 'static) -> Self {
        Self(Source::Own(Arc::new(render)))
    }

    /// Everything that was counted, in the text format of Prometheus.
    pub fn render(&self) -> String {
        match &self.0 {
            Source::Prometheus(handle) => handle.render(),
            Source::Own(render) => render(),
        }
    }

    /// Puts samples into their buckets, which takes memory until it is done. Showing does it too; a
    /// [`Server`](crate::Server) does it all the time.
    pub fn upkeep(&self) {
        if let Source::Prometheus(handle) = &self.0 {
            handle.run_upkeep();
        }
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

fn recorder() -> Option<PrometheusHandle> {
    match build() {
        Ok(handle) => {
            omni_core::metrics::describe();
            describe();
            Some(handle)
        }
        Err(error) => {
            tracing::warn!(%error, "GET /metrics shows nothing: what is counted goes to another recorder");
            None
        }
    }
}

fn build() -> Result<PrometheusHandle, BuildError> {
    PrometheusBuilder::new()
        .set_buckets(&SECONDS)?
        .set_buckets_for_metric(Matcher::Full(MODEL_TURN_COST.into()), &DOLLARS)?
        .install_recorder()
}

fn describe() {
    describe_counter!(REQUESTS, Unit::Count, "Requests that were answered.");
    describe_histogram!(REQUEST_DURATION, Unit::Seconds, "How long answers took to begin.");
    describe_gauge!(STREAMS_OPEN, Unit::Count, "Answers that are being streamed now.");
    gauge!(STREAMS_OPEN).increment(0.0);
}

/// A request was answered.
pub(crate) fn answered(method: &Method, route: Option<&str>, status: StatusCode, took: Duration) {
    let method = Label::from_static_parts("method", known(method));
    let route = Label::new("route", Arc::<str>::from(route.unwrap_or(UNMATCHED)));
    let status = Label::new("status", status.as_str().to_owned());
    histogram!(REQUEST_DURATION, vec![method.clone(), route.clone()]).record(took.as_secs_f64());
    counter!(REQUESTS, vec![method, route, status]).increment(1);
}

/// Anybody may make up a method.
fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

/// A stream is open for as long as this lives.
pub(crate) struct OpenStream(Gauge);

impl OpenStream {
    /// Counted at the recorder that there is now, also when it ends.
    pub(crate) fn begin() -> Self {
        let gauge = gauge!(STREAMS_OPEN);
        gauge.increment(1.0);
        Self(gauge)
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}
