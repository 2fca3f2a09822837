//! An answer as server-sent events.
//!
//! The ask runs beside its reader: somebody whose connection broke comes back with `Last-Event-ID` and
//! goes on where they were, within `http.resume_grace`. After that it is given up, and at once where they say so.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    http::{HeaderName, header},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures::{Stream, stream};
use omni_core::{AnswerEvent, AnswerStream, identity::Scope};

use crate::{asked::Untold, caller::Caller, error::ApiError, metrics::OpenStream, state::App};

mod place;
mod running;
mod table;

pub(crate) use place::LastEventId;
pub(crate) use table::Table;

use running::{Reader, Running, Told};

/// How often a silent stream shows that it is alive.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Tells proxies that every event is to go out at once.
pub(crate) const UNBUFFERED: [(HeaderName, &str); 2] =
    [(header::CACHE_CONTROL, "no-cache, no-transform"), (HeaderName::from_static("x-accel-buffering"), "no")];

/// The events of an ask, as they come, and what servers ask meanwhile.
///
/// # Errors
/// When the ask was not let in: nothing was streamed then, so it can still be another status. When there
/// are too many streams.
pub(crate) async fn begin(
    app: &App,
    caller: &Caller,
    answer: AnswerStream,
    untold: Option<Untold>,
) -> Result<Response, ApiError> {
    tell(app, caller, answer, untold, false).await
}

/// The same of an ask that goes on whether somebody reads it or not: nobody stops it.
///
/// # Errors
/// As [`begin`].
pub(crate) async fn follow(
    app: &App,
    caller: &Caller,
    answer: AnswerStream,
    untold: Option<Untold>,
) -> Result<Response, ApiError> {
    tell(app, caller, answer, untold, true).await
}

async fn tell(
    app: &App,
    caller: &Caller,
    mut answer: AnswerStream,
    untold: Option<Untold>,
    goes_on: bool,
) -> Result<Response, ApiError> {
    let first = match answer.next().await {
        Some(AnswerEvent::Error(failure)) => return Err((*failure).into()),
        first => first,
    };
    let subject = match &first {
        Some(AnswerEvent::Started { user, .. }) => user.clone(),
        _ => caller.principal().subject.clone(),
    };
    let running = Arc::new(Running::new(answer.request_id(), caller.holder(), subject, goes_on));
    first.iter().for_each(|event| running.push(event));
    app.streams.keep(&running);
    let reader = running.reader();
    if let Some(mut untold) = untold {
        let asked = running.clone();
        // Ends with the ask, which has the other end.
        app.streams.tasks.spawn(async move {
            while let Some(question) = untold.recv().await {
                asked.ask(&question);
            }
        });
    }
    let (streams, grace) = (Arc::downgrade(&app.streams), app.config.resume_grace);
    let (pumping, open) = (running.clone(), OpenStream::begin());
    app.streams.tasks.spawn(async move {
        let is_told = pumping.pump(answer, grace).await;
        drop(open);
        // Whoever did not get the end yet comes back for it; one that was given up has none.
        if let Some(streams) = streams.upgrade() {
            streams.ended(pumping.id(), if is_told { grace } else { Duration::ZERO });
        }
    });
    Ok(respond(reader))
}

/// The events of an ask after the one that somebody has.
///
/// # Errors
/// When this instance has no such stream for them, or not that far back any more.
pub(crate) async fn resume(app: &App, caller: &Caller, last: &LastEventId) -> Result<Response, ApiError> {
    let running = theirs(app, caller, last).await?;
    let reader = running.resumed(last.seq).ok_or_else(|| last.gone())?;
    Ok(respond(reader))
}

/// Gives an ask up at once; it is over then, its record and its limits too.
///
/// # Errors
/// When this instance has no such stream for them, or the ask goes on whatever they want.
pub(crate) async fn stop(app: &App, caller: &Caller, last: &LastEventId) -> Result<(), ApiError> {
    match theirs(app, caller, last).await?.stop().await {
        true => Ok(()),
        false => Err(ApiError::conflict("what was decided is carried out, and cannot be stopped")),
    }
}

/// The stream that somebody names, where they began it and may ask for whom it is.
async fn theirs(app: &App, caller: &Caller, last: &LastEventId) -> Result<Arc<Running>, ApiError> {
    let running = app.streams.of(last.ask).ok_or_else(|| last.gone())?;
    // Whoever may not ask for that person may not read what that person is told.
    let credential = caller.credential(Some(running.subject()));
    let principal = app.omni.authenticate(credential).await.map_err(|_| last.gone())?;
    let is_theirs = running.is_of(&caller.holder(), &principal);
    if !is_theirs || !principal.scopes.contains(Scope::Ask) {
        return Err(last.gone());
    }
    Ok(running)
}

fn respond(reader: Reader) -> Response {
    let events = Sse::new(events(reader));
    let events = events.keep_alive(KeepAlive::new().interval(HEARTBEAT).text("heartbeat"));
    (UNBUFFERED, events).into_response()
}

fn events(reader: Reader) -> impl Stream<Item = Result<Event, Infallible>> {
    let id = reader.ask();
    let told = move |told: &Told| {
        let event = Event::default().event(told.name).id(format!("{id}:{}", told.seq));
        // The JSON of an event is one line.
        Ok(event.data(&*told.json))
    };
    stream::unfold((reader, told), |(mut reader, told)| async move {
        let next = reader.next().await?;
        let event = told(&next);
        Some((event, (reader, told)))
    })
}
