//! Queries.

use axum::{extract::FromRequestParts, http::request::Parts};
use serde::de::DeserializeOwned;
use url::form_urlencoded;

use super::node::Node;
use crate::error::ApiError;

/// The query of a request. A parameter that is there twice counts as it is there last.
#[derive(Debug)]
pub(crate) struct Query<T>(pub(crate) T);

impl<S: Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let mut texts: Vec<(String, String)> = Vec::new();
        for (name, text) in form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()) {
            texts.retain(|(known, _)| *known != name);
            texts.push((name.into_owned(), text.into_owned()));
        }
        Node::Texts(texts).read().map(Self).map_err(|error| error.within("query").into())
    }
}
