//! Tells pages that something changed, so that they look again.

use std::{
    convert::Infallible,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    time::Duration,
};

use axum::{
    Extension,
    extract::State,
    response::{
        IntoResponse as _, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures::stream;
use omni_core::{Error, ErrorKind, omni::ConfirmationView};
use tokio::{
    sync::OwnedSemaphorePermit,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use super::{Page, person::Person, session::Session};
use crate::{caller::Caller, error::ApiError, state::App, stream::UNBUFFERED, wire::server_status};

/// How often it is looked whether something changed that somebody waits for, and anything else.
const SOON: Duration = Duration::from_secs(2);
const LATER: Duration = Duration::from_secs(10);
/// How long a stream lasts; whoever still looks comes back, and is judged anew.
const LASTS: Duration = Duration::from_secs(600);
const HEARTBEAT: Duration = Duration::from_secs(15);

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
    _room: OwnedSemaphorePermit,
}

/// One event for every change of what the page named in the query shows.
pub(super) async fn events(
    State(app): State<App>,
    session: Option<Extension<Session>>,
    person: Person,
) -> Result<Response, ApiError> {
    let page = person.query.of("page").and_then(Page::of).unwrap_or(Page::Overview);
    if !page.admits(&person.admin) {
        return Err(ApiError::denied("the page is not yours"));
    }
    let room = app.ui.live.clone().try_acquire_owned().map_err(|_| ApiError::no_room())?;
    let (stop, until) = (app.ui.stop.clone(), Instant::now() + LASTS);
    let session = session.map(|Extension(session)| session);
    let looking = Looking { app, caller: person.caller, session, page, seen: None, until, stop, _room: room };
    let events = stream::unfold(looking, async |looking| {
        let stop = looking.stop.clone();
        stop.run_until_cancelled_owned(looking.next()).await.flatten()
    });
    let events = Sse::new(events).keep_alive(KeepAlive::new().interval(HEARTBEAT).text("heartbeat"));
    Ok((UNBUFFERED, events).into_response())
}

/// What waits for somebody's decision; nothing for whoever may only look.
pub(super) async fn waiting(app: &App, caller: &Caller) -> Result<Vec<ConfirmationView>, Error> {
    match app.omni.confirmations(caller.credential(None)).await {
        Err(error) if error.kind() == ErrorKind::Denied => Ok(Vec::new()),
        waiting => waiting,
    }
}

impl Looking {
    /// Waits for the next change.
    async fn next(mut self) -> Option<(Result<Event, Infallible>, Self)> {
        while Instant::now() < self.until {
            let now = self.state().await?;
            if self.seen.replace(now).is_some_and(|before| before != now) {
                return Some((Ok(Event::default().event("changed").data(self.page.name())), self));
            }
            sleep(if self.page == Page::Approvals { SOON } else { LATER }).await;
        }
        None
    }

    /// What the page shows, as a number; `None` of somebody who may not look any more.
    async fn state(&self) -> Option<u64> {
        if let Some(session) = &self.session
            && !session.lasts(&self.app, false).await.ok()?
        {
            return None;
        }
        let mut state = DefaultHasher::new();
        let waiting = waiting(&self.app, &self.caller).await.ok()?;
        for view in waiting {
            (view.confirmation.id, view.confirmation.state.as_str()).hash(&mut state);
        }
        if self.page != Page::Approvals {
            for server in &self.app.omni.known_catalog().servers {
                (&server.name, server_status(&server.health).0, server.breaker.as_str()).hash(&mut state);
            }
            if let Some(newest) = self.newest().await {
                newest.hash(&mut state);
            }
        }
        Some(state.finish())
    }

    /// The number of the newest entry of the log.
    async fn newest(&self) -> Option<i64> {
        let access = self.app.omni.audit(self.caller.credential(None)).await.ok()?;
        let mut query = omni_core::audit::AuditQuery::default();
        query.limit = Some(1);
        access.logs(&query).await.ok()?.entries.first().map(|entry| entry.id)
    }
}
