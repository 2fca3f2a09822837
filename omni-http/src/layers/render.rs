//! What went wrong gets its body here, where the request's id is known.

use axum::{
    extract::{MatchedPath, Request},
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
};

use super::RequestId;
#[cfg(feature = "dashboard")]
use crate::ui;
use crate::{
    caller,
    error::ApiError,
    extract::Json,
    mcp,
    refused::Attempt,
    state::App,
    wire::{Detail, ErrorBody},
};

/// What no library answers with, and our pages do.
const PAGE: &str = "text/html";

/// Writes the body of every error, that of a library too.
pub(super) async fn render<A: Future<Output = Response>>(
    app: &App,
    request: Request,
    answer: impl FnOnce(Request) -> A,
) -> Response {
    let (id, attempt) = (RequestId::known(&request), attempt(app, &request));
    #[cfg(feature = "dashboard")]
    let (request, asked) = ui::Asked::of(request);
    let mut response = answer(request).await;
    let error = match response.extensions_mut().remove::<ApiError>() {
        Some(error) => Some(error),
        None => is_foreign(&response).then(|| ApiError::of_status(response.status())),
    };
    let is_refused = matches!(response.status(), StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
    if is_refused && (error.is_some() || kind(&response).starts_with(PAGE)) {
        app.refused.tell(response.status(), &attempt);
    }
    let Some(error) = error else { return response };
    error.log();
    #[cfg(feature = "dashboard")]
    if let Some(asked) = asked {
        let mut page = Box::pin(ui::failed(app, &asked, &error, response.status(), &id)).await;
        if let Some(after) = response.headers_mut().remove(header::RETRY_AFTER) {
            page.headers_mut().insert(header::RETRY_AFTER, after);
        }
        return page;
    }
    let words = response.extensions_mut().remove::<mcp::Words>().map(|words| Detail::Text(words.0));
    let detail = words.unwrap_or_else(|| error.detail().clone());
    let body = ErrorBody { detail, code: error.code(), request_id: id.text().into() };
    let mut rendered = (response.status(), Json(body)).into_response();
    let (_, headers) = (response.headers_mut().remove(header::CONTENT_LENGTH), response.headers());
    for (name, value) in headers.iter().filter(|(name, _)| **name != header::CONTENT_TYPE) {
        rendered.headers_mut().insert(name, value.clone());
    }
    rendered
}

/// Who comes, before anybody knows whether they are let in.
fn attempt(app: &App, request: &Request) -> Attempt {
    let route = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
    let client = caller::sender(app, request.headers(), request.extensions());
    Attempt { client, method: request.method().clone(), route: route.into() }
}

/// Whether a library says no in its own words.
fn is_foreign(response: &Response) -> bool {
    let is_error = response.status().is_client_error() || response.status().is_server_error();
    is_error && !["application/json", PAGE].iter().any(|own| kind(response).starts_with(own))
}

fn kind(response: &Response) -> &str {
    response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default()
}
