//! Where a reader was.

use axum::{
    extract::{FromRequestParts, OptionalFromRequestParts},
    http::request::Parts,
};
use uuid::Uuid;

use crate::{error::ApiError, wire::FieldError};

/// The header in which a reader says it.
const LAST_EVENT_ID: &str = "last-event-id";

/// The last event that a reader has: `<ask>:<number>`, as the stream numbers them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LastEventId {
    pub(super) ask: Uuid,
    pub(super) seq: u64,
}

impl LastEventId {
    fn parse(text: &str) -> Option<Self> {
        let (ask, seq) = text.trim().split_once(':')?;
        Some(Self { ask: ask.parse().ok()?, seq: seq.parse().ok()? })
    }

    /// The stream is not here any more, or never was.
    pub(super) fn gone(&self) -> ApiError {
        ApiError::conflict(format!(
            "this stream is not here: it ended, was given up, or runs on another instance; \
             GET /audit/logs/{} tells how it ended",
            self.ask
        ))
    }

    fn of(parts: &Parts) -> Option<Result<Self, ApiError>> {
        let value = parts.headers.get(LAST_EVENT_ID)?.to_str().unwrap_or_default();
        // A browser that has no event yet sends an empty one.
        (!value.is_empty()).then(|| Self::parse(value).ok_or_else(unreadable))
    }
}

fn unreadable() -> ApiError {
    let message = "not the id of an event of /chat/ask/stream";
    ApiError::invalid(vec![FieldError::of(&["header", LAST_EVENT_ID], message, "value_error")])
}

impl<S: Sync> FromRequestParts<S> for LastEventId {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let missing = || {
            let message = "the id of the last event that came";
            Err(ApiError::invalid(vec![FieldError::of(&["header", LAST_EVENT_ID], message, "missing")]))
        };
        Self::of(parts).unwrap_or_else(missing)
    }
}

impl<S: Sync> OptionalFromRequestParts<S> for LastEventId {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, ApiError> {
        Self::of(parts).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_of_an_event_names_its_ask_and_its_number() {
        let ask = Uuid::now_v7();
        assert_eq!(LastEventId::parse(&format!("{ask}:7")), Some(LastEventId { ask, seq: 7 }));
        for text in ["", "7", "a:7", &ask.to_string(), &format!("{ask}:-1"), &format!("{ask}:x")] {
            assert_eq!(LastEventId::parse(text), None, "{text}");
        }
    }
}
