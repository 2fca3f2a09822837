//! Requests with what lets them in, asked for right before they are sent.

use std::sync::Arc;

use http::{HeaderMap, StatusCode, header::WWW_AUTHENTICATE};
use reqwest::{RequestBuilder, Response};
use secrecy::ExposeSecret as _;

use super::endpoint::send_error;
use crate::mcp::{CredentialSource, McpError, Refused, ServerCredential, tap::Tap};

/// Sends a request with what lets it in; once more, with something else, where that was refused: what was
/// not let in was not carried out.
pub(in crate::mcp) async fn admitted(
    request: RequestBuilder,
    source: Option<&Arc<dyn CredentialSource>>,
    tap: &Tap,
) -> Result<Response, McpError> {
    match source {
        None => request.send().await.map_err(|error| send_error(&error)),
        // In a box: whoever needs nothing to be let in carries nothing of it.
        Some(source) => Box::pin(with_credential(request, source, tap)).await,
    }
}

async fn with_credential(
    request: RequestBuilder,
    source: &Arc<dyn CredentialSource>,
    tap: &Tap,
) -> Result<Response, McpError> {
    let again = request.try_clone();
    let used = source.credential().await?;
    let response = send(request, &used, tap).await?;
    if !matches!(response.status(), StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
        return Ok(response);
    }
    match (source.renewed(&used, &refusal(&response)).await?, again) {
        (Some(renewed), Some(again)) => send(again, &renewed, tap).await,
        _ => Ok(response),
    }
}

async fn send(request: RequestBuilder, credential: &ServerCredential, tap: &Tap) -> Result<Response, McpError> {
    // A server may well repeat it in its errors.
    tap.learn(credential.secret().expose_secret());
    let headers = HeaderMap::from_iter([credential.header()]);
    request.headers(headers).send().await.map_err(|error| send_error(&error))
}

fn refusal(response: &Response) -> Refused {
    let said = response.headers().get_all(WWW_AUTHENTICATE).iter();
    let said = said.filter_map(|value| value.to_str().ok().map(str::to_owned));
    Refused::new(response.status().as_u16(), said.collect())
}
