//! Who may ask over HTTP: whoever brings the token.

use axum::{
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use secrecy::{ExposeSecret as _, SecretString};
use subtle::ConstantTimeEq as _;

/// Lets a request through that brings the token, or any where there is none.
pub(super) async fn guarded(State(token): State<Option<SecretString>>, request: Request, next: Next) -> Response {
    let brought = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let brought = brought.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
    let is_known = token.is_none_or(|token| token.expose_secret().as_bytes().ct_eq(brought.as_bytes()).into());
    if is_known {
        return next.run(request).await;
    }
    let challenge = HeaderValue::from_static("Bearer");
    (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, challenge)], "a token is needed\n").into_response()
}
