//! The documentation, out of this binary alone: the document, Swagger UI and Redoc.

use axum::{
    Router,
    body::Bytes,
    http::{HeaderName, header},
    response::IntoResponse,
    routing::get,
};
use tower_http::decompression::DecompressionLayer;

use crate::{error::ApiError, state::App};

/// Pages may load what this service serves, and nothing else. Both pages write styles into themselves,
/// and Redoc searches in a worker that it makes itself.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
                      img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// An hour: another build may bring others.
const CACHED: &str = "public, max-age=3600";

/// Packed by the build script.
const REDOC: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/redoc.standalone.js.gz"));
const REDOC_PAGE: &str = include_str!("../assets/redoc/index.html");
const REDOC_START: &str = include_str!("../assets/redoc/start.js");
const REDOC_LICENSE: &str = include_str!("../assets/redoc/LICENSE");

/// The documentation of a document.
pub(crate) fn routes(document: &utoipa::openapi::OpenApi) -> Router<App> {
    // Whatever cannot be written is a fault of this build, and its tests find it.
    let document = document.to_json().map(Bytes::from).ok();
    let served = move || std::future::ready(document.clone().map(json).ok_or_else(unwritten));
    Router::new()
        .route("/openapi.json", get(served))
        .route("/redoc", get(|| std::future::ready(asset("text/html; charset=utf-8", REDOC_PAGE))))
        .route("/redoc/redoc.standalone.js", get(|| std::future::ready(redoc())))
        .route("/redoc/start.js", get(|| std::future::ready(asset("text/javascript", REDOC_START))))
        .route("/redoc/LICENSE", get(|| std::future::ready(asset("text/plain; charset=utf-8", REDOC_LICENSE))))
        .merge(swagger())
        // What is packed already is so for everybody: the door packs it for those who take it so.
        .layer(DecompressionLayer::new())
}

fn redoc() -> impl IntoResponse {
    ([(header::CONTENT_ENCODING, "gzip")], asset("text/javascript", REDOC))
}

fn json(document: Bytes) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], document)
}

fn unwritten() -> ApiError {
    ApiError::internal("the OpenAPI document cannot be written")
}

fn asset(kind: &'static str, content: impl IntoResponse) -> impl IntoResponse {
    let headers: [(HeaderName, &str); 3] =
        [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, CACHED), (header::CONTENT_SECURITY_POLICY, POLICY)];
    (headers, content)
}

#[cfg(feature = "swagger")]
fn swagger() -> Router<App> {
    use axum::{http::HeaderValue, middleware::map_response, response::Response};
    use tower_http::set_header::SetResponseHeaderLayer;
    use utoipa_swagger_ui::{Config, SwaggerUi};

    // As seen from `/docs/`, wherever the door is mounted. The validator's badge would be another host.
    let config = Config::from("../openapi.json").validator_url("none");
    let policy = SetResponseHeaderLayer::overriding(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    let cached = SetResponseHeaderLayer::overriding(header::CACHE_CONTROL, HeaderValue::from_static(CACHED));
    let router = Router::from(SwaggerUi::new("/docs").config(config));
    router.layer(policy).layer(cached).layer(map_response(async |mut response: Response| {
        // All that is moved is `/docs`, and it does not know where it is mounted.
        let moved = response.headers_mut().get_mut(header::LOCATION);
        moved.into_iter().for_each(|to| *to = HeaderValue::from_static("docs/"));
        response
    }))
}

#[cfg(not(feature = "swagger"))]
fn swagger() -> Router<App> {
    use axum::response::Redirect;

    Router::new().route("/docs", get(|| std::future::ready(Redirect::to("redoc"))))
}
