//! Tells pages that something changed, so that they look again.
//!
//! However many browsers there are, the stores are asked as if there were one: see [`Looks`]. An event tells no more
//! than that there is something new, and has a number: whoever comes back with the last one that they know
//! (`Last-Event-ID`, or `seen` in the query) is told at once where things have changed since.

use std::{convert::Infallible, time::Duration};

use axum::{
    Extension,
    extract::State,
    http::HeaderMap,
    response::{
        IntoResponse as _, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures::stream;
use omni_core::{Error, ErrorKind, Source, omni::ConfirmationView};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::{Page, person::Person, session::Session};
use crate::{caller::Caller, error::ApiError, state::App, stream::UNBUFFERED};

mod look;
mod room;

use look::{Looks, SOON};
use room::{Room, Rooms};

/// How often pages look that nobody waits at.
const LATER: Duration = Duration::from_secs(10);
/// How long a stream lasts; whoever still looks comes back, and is judged anew.
const LASTS: Duration = Duration::from_secs(600);
const HEARTBEAT: Duration = Duration::from_secs(15);

/// What all streams of a door share.
#[derive(Debug, Default)]
pub(super) struct Live {
    looks: Looks,
    rooms: Rooms,
}

/// One page that looks.
struct Looking {
    app: App,
    caller: Caller,
    /// With which the page was opened, where it was with one.
    session: Option<Session>,
    page: Page,
    seen: Option<u64>,
    until: Instant,
    stop: CancellationToken,
    _room: Room,
}

/// One event for every change of what the page named in the query shows.
pub(super) async fn events(
    State(app): State<App>,
    headers: HeaderMap,
    session: Option<Extension<Session>>,
    person: Person,
) -> Result<Response, ApiError> {
    let page = person.query.of("page").and_then(Page::of).unwrap_or(Page::Overview);
    if !page.admits(&person.admin) {
        return Err(ApiError::denied("the page is not yours"));
    }
    let known = headers.get("last-event-id").and_then(|id| id.to_str().ok()).or_else(|| person.query.of("seen"));
    let seen = known.and_then(|known| known.parse().ok());
    let room = app.ui.live.rooms.take(person.caller.principal())?;
    let (stop, until) = (app.ui.stop.clone(), Instant::now() + LASTS);
    let session = session.map(|Extension(session)| session);
    let looking = Looking { app, caller: person.caller, session, page, seen, until, stop, _room: room };
    let events = stream::unfold(looking, async |looking| {
        let stop = looking.stop.clone();
        stop.run_until_cancelled_owned(looking.next()).await.flatten()
    });
    let events = Sse::new(events).keep_alive(KeepAlive::new().interval(HEARTBEAT).text("heartbeat"));
    Ok((UNBUFFERED, events).into_response())
}

/// What changes of a page are compared with that is about to be made; to be asked for before anything on it is.
pub(super) async fn seen(app: &App, person: &Person) -> Option<u64> {
    app.ui.live.looks.at(app, &person.caller.principal().tenant).await.map(|seen| seen.on(person.page))
}

/// What waits for somebody's decision; nothing for whoever may only look.
pub(super) async fn waiting(app: &App, caller: &Caller) -> Result<Vec<ConfirmationView>, Error> {
    match app.omni.confirmations(caller.credential(None)).await {
        Err(error) if error.kind() == ErrorKind::Denied => Ok(Vec::new()),
        waiting => waiting,
    }
}

impl Looking {
    /// Waits for the next change, or says what changes are compared with.
    async fn next(mut self) -> Option<(Result<Event, Infallible>, Self)> {
        while Instant::now() < self.until && self.is_in_session().await {
            let now = self.app.ui.live.looks.at(&self.app, &self.caller.principal().tenant).await;
            let now = now.map(|seen| seen.on(self.page)).filter(|now| self.seen != Some(*now));
            if let Some(now) = now {
                let has_changed = self.seen.replace(now).is_some();
                if has_changed && !self.may_still_look().await {
                    return None;
                }
                let event = Event::default().event(if has_changed { "changed" } else { "seen" });
                return Some((Ok(event.id(now.to_string()).data(self.page.name())), self));
            }
            sleep(if self.page == Page::Approvals { SOON } else { LATER }).await;
        }
        None
    }

    /// Whether the session lasts with which the page was opened, where it was with one.
    async fn is_in_session(&self) -> bool {
        match &self.session {
            Some(session) => session.lasts(&self.app, false).await.unwrap_or(false),
            None => true,
        }
    }

    /// Whether the page is still for whoever looks at it.
    async fn may_still_look(&self) -> bool {
        let admin = self.app.omni.admin(self.caller.credential(None), Source::Http).await;
        admin.is_ok_and(|admin| self.page.admits(&admin))
    }
}
