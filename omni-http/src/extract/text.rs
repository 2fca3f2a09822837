//! Paths and queries.

use axum::{
    extract::{FromRequestParts, RawPathParams},
    http::request::Parts,
};
use serde::de::DeserializeOwned;
use url::form_urlencoded;

use super::node::{Invalid, Node};
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

/// The one part of a path that a route has a name for.
#[derive(Debug)]
pub(crate) struct Path<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Path<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let parts = RawPathParams::from_request_parts(parts, state).await;
        let parts = parts.map_err(|error| Invalid::new("value_error", error.to_string()).within("path"))?;
        let (name, text) =
            parts.iter().next().ok_or_else(|| ApiError::internal("a route names no part of its path"))?;
        Node::Text(text.to_owned()).read().map(Self).map_err(|error| error.within(name).within("path").into())
    }
}
