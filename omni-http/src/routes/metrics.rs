//! What is counted, for Prometheus.

use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use omni_core::Error;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{caller::Caller, error::ApiError, state::App};

/// The text format of Prometheus.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(metrics))
}

/// What is counted, in the text format of Prometheus
///
/// For whoever may read everybody's records (scope `audit`), and for administrators (scope `admin`); of the tenant
/// `default`, for what is counted is counted of all tenants.
#[utoipa::path(get, path = "/metrics", tag = "health", responses(
    (status = 200, body = String, content_type = "text/plain"),
    (status = 404, description = "Nothing is counted here"),
))]
async fn metrics(State(app): State<App>, caller: Caller) -> Result<Response, ApiError> {
    let grant = app.omni.grant(caller.credential(None)).await?;
    grant.require_metrics().map_err(Error::from)?;
    let Some(metrics) = app.metrics.clone() else {
        return Err(ApiError::not_found("nothing is counted here"));
    };
    // Thousands of series are written in one go.
    let written = tokio::task::spawn_blocking(move || metrics.render()).await;
    let text = written.map_err(|error| ApiError::internal(&error.to_string()))?;
    Ok(([(header::CONTENT_TYPE, TEXT)], text).into_response())
}
