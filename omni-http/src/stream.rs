//! An answer as server-sent events.

use std::{convert::Infallible, time::Duration};

use axum::{
    http::{HeaderName, header},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures::{StreamExt as _, stream};
use omni_core::{AnswerEvent, AnswerStream, answer::json::EventJson};

use crate::{error::ApiError, metrics::OpenStream};

/// How often a silent stream shows that it is alive.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Tells proxies that every event is to go out at once.
const UNBUFFERED: [(HeaderName, &str); 2] =
    [(header::CACHE_CONTROL, "no-cache, no-transform"), (HeaderName::from_static("x-accel-buffering"), "no")];

/// The events of an ask, numbered from 1. A reader that goes away gives the ask up.
///
/// # Errors
/// When the ask was not let in: nothing was streamed then, so it can still be another status.
pub(crate) async fn respond(mut answer: AnswerStream) -> Result<Response, ApiError> {
    let first = match answer.next().await {
        Some(AnswerEvent::Error(failure)) => return Err((*failure).into()),
        first => first,
    };
    let open = OpenStream::begin();
    let events = stream::iter(first).chain(answer).enumerate().map(move |(at, event)| {
        let _open = &open;
        Ok::<_, Infallible>(told(at, &event))
    });
    let events = Sse::new(events).keep_alive(KeepAlive::new().interval(HEARTBEAT).text("heartbeat"));
    Ok((UNBUFFERED, events).into_response())
}

fn told(at: usize, event: &AnswerEvent) -> Event {
    let json = EventJson::from(event);
    let event = Event::default().event(json.name()).id((at + 1).to_string());
    // All that it fails at is writing JSON into memory.
    event.json_data(&json).unwrap_or_default()
}
