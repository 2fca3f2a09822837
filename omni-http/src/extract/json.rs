//! JSON bodies, both ways.

use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    node::{Invalid, Node},
    tree,
};
use crate::{error::ApiError, state::App};

/// A JSON body. Unknown fields are nobody's business: clients of the original send some.
#[derive(Debug)]
pub(crate) struct Json<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<App> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        if is_encoded(request.headers()) {
            return Err(ApiError::encoded());
        }
        if !is_json(request.headers()) {
            return Err(ApiError::not_json());
        }
        // All of it is here, and no more than may be; see `layers::bounds`.
        let bytes = Bytes::from_request(request, &()).await;
        let bytes = bytes.map_err(|rejection| ApiError::of_status(rejection.status()))?;
        let value = tree::parse(&bytes, app.config.max_json_depth).map_err(|error| error.within("body"))?;
        Node::Json(value).read().map(Self).map_err(|error| error.within("body").into())
    }
}

impl From<Invalid> for ApiError {
    fn from(error: Invalid) -> Self {
        Self::invalid(vec![error.into()])
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}

/// Whether the body is packed in some way: it is counted as it comes, and nothing here unpacks it.
fn is_encoded(headers: &HeaderMap) -> bool {
    let is_plain = |coding: &str| coding.is_empty() || coding.eq_ignore_ascii_case("identity");
    let mut codings = headers.get_all(header::CONTENT_ENCODING).iter();
    codings.any(|coding| !coding.to_str().is_ok_and(|coding| is_plain(coding.trim())))
}

/// `application/json`, or what is JSON by its name, such as `application/problem+json`. A browser
/// sends neither to another origin without asking first.
fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"))
}
