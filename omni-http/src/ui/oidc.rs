//! Logging in at the issuer's own page, there and back, and out of it.
//!
//! It begins with a link, not with a form: browsers hold a form to `form-action` on every host that it is sent on to,
//! and an issuer may send people to hosts that nobody here knows.

use std::time::Duration;

use askama::Template;
use axum::{
    extract::{Request, State},
    http::{HeaderName, HeaderValue, header, request::Parts},
    response::{AppendHeaders, IntoResponse as _, Response},
};
use chrono::Utc;
use omni_core::identity::{LoginError, PendingLogin};
use serde::{Deserialize, Serialize};
use tokio::{sync::Semaphore, time::timeout};
use uuid::Uuid;

use super::{
    answer::{AsJson, Frame, moved, shown},
    cookie::{self, MAX_VALUE, TRIP},
    fields::{Fields, link},
    login::{self, next},
    person::is_of_own_site,
    place,
    session::{Session, Who},
};
use crate::{error::ApiError, state::App};

/// How long somebody may take at the issuer's page.
const TRIP_SECONDS: i64 = 600;
const LABEL: &str = "omni ui trip 1";
const REFRESH: HeaderName = HeaderName::from_static("refresh");
/// How long whoever leaves waits for the issuer to say where they leave it.
const SAYS_WITHIN: Duration = Duration::from_secs(3);
/// Most logins that are completed at the same time: each asks the issuer.
const MAX_AT_ONCE: usize = 32;

/// Room for those who come back from the issuer's page.
#[derive(Debug)]
pub(super) struct Room(Semaphore);

impl Default for Room {
    fn default() -> Self {
        Self(Semaphore::new(MAX_AT_ONCE))
    }
}

/// A login that this browser began, sealed into its cookie.
#[derive(Debug, Serialize, Deserialize)]
struct Trip {
    id: Uuid,
    pending: PendingLogin,
    /// Where they wanted to go.
    next: String,
    /// Until when they may come back, in seconds since 1970.
    ends: i64,
}

impl Trip {
    fn of(app: &App, parts: &Parts) -> Option<Self> {
        let sealed = TRIP.of(&parts.headers, place::is_https_alone(app))?;
        Self::opened(&app.omni.door_key(LABEL), sealed, Utc::now().timestamp())
    }

    /// What was sealed, while they may come back: a browser may keep a cookie for longer.
    fn opened(key: &[u8; 32], sealed: &str, now: i64) -> Option<Self> {
        let trip: Self = cookie::open(key, LABEL, sealed)?;
        (trip.ends > now).then_some(trip)
    }

    fn set_cookie(mut self, app: &App, is_https: bool) -> Result<HeaderValue, ApiError> {
        let key = app.omni.door_key(LABEL);
        let sealed = |trip: &Self| cookie::seal(&key, LABEL, trip).filter(|sealed| sealed.len() <= MAX_VALUE);
        let value = sealed(&self).or_else(|| {
            // The page alone, without what it was asked.
            self.next = self.next.split('?').next().unwrap_or_default().to_owned();
            sealed(&self)
        });
        let value = value.ok_or_else(|| ApiError::internal("a login cannot be sealed"))?;
        TRIP.set(&value, TRIP_SECONDS, is_https)
    }
}

/// They are in. A page of ours has to send the browser on: on a way that began at another site it leaves a `Strict`
/// cookie behind.
#[derive(Template, Serialize)]
#[template(path = "entered.html")]
struct Entered {
    #[serde(skip)]
    frame: Frame,
    next: String,
}

/// Sends the browser to the issuer.
pub(super) async fn begin(State(app): State<App>, as_json: AsJson, request: Request) -> Result<Response, ApiError> {
    let (parts, _) = request.into_parts();
    let query = Fields::parse(parts.uri.query().unwrap_or_default().as_bytes());
    let next = next(query.of("next").unwrap_or_default());
    // Nobody is sent through a login by a page of somebody else's.
    if !is_of_own_site(&parts.headers) {
        return moved(&link("login", &[("next", &next)]));
    }
    match sent(&app, &parts, &next).await {
        Ok(response) => Ok(response),
        Err(error) => login::refused(&app, &parts, as_json, next, &error).await,
    }
}

async fn sent(app: &App, parts: &Parts, next: &str) -> Result<Response, ApiError> {
    let back = place::address(app, parts, "callback").ok_or_else(|| ApiError::denied("the request names no host"))?;
    let (url, pending) = app.omni.begin_login(&back).await?;
    let ends = Utc::now().timestamp() + TRIP_SECONDS;
    let trip = Trip { id: Uuid::new_v4(), pending, next: next.to_owned(), ends };
    let cookie = trip.set_cookie(app, place::comes_back_by_https(app, parts))?;
    Ok((AppendHeaders([(header::SET_COOKIE, cookie)]), moved(url.as_str())?).into_response())
}

/// The browser comes back.
pub(super) async fn finish(State(app): State<App>, as_json: AsJson, request: Request) -> Result<Response, ApiError> {
    let (parts, _) = request.into_parts();
    let query = parts.uri.query().unwrap_or_default();
    let trip = Trip::of(&app, &parts).filter(|trip| trip.pending.is_answered_by(query));
    let next = trip.as_ref().map_or_else(|| next(""), |trip| next(&trip.next));
    // What is not the answer to this browser's own login takes nothing away from it.
    let (mut response, is_over) = match trip {
        None => (login::refused(&app, &parts, as_json, next, &LoginError::Foreign.into()).await?, false),
        Some(trip) => match entered(&app, &parts, trip, query).await {
            Ok(session) => (welcomed(&app, &parts, as_json, &session, next)?, true),
            Err(error) => (login::refused(&app, &parts, as_json, next, &error).await?, true),
        },
    };
    if is_over {
        TRIP.unset()?.into_iter().for_each(|gone| {
            response.headers_mut().append(header::SET_COOKIE, gone);
        });
    }
    Ok(response)
}

/// A session of whoever comes back from a login, which counts once in all processes. Others are told of it when the
/// issuer has said who it is: nobody else writes anything down here, however often they come.
async fn entered(app: &App, parts: &Parts, trip: Trip, query: &str) -> Result<Session, ApiError> {
    let _room = app.ui.logins.0.try_acquire().map_err(|_| ApiError::no_room())?;
    if !app.ui.ended.here(trip.id, trip.ends) {
        return Err(LoginError::Foreign.into());
    }
    let claims = app.omni.finish_login(trip.pending, query).await?;
    if !app.ui.ended.everywhere(&app.omni, trip.id, trip.ends).await? {
        return Err(LoginError::Foreign.into());
    }
    login::known(app, parts, Who::LoggedIn(claims)).await
}

fn welcomed(app: &App, parts: &Parts, as_json: AsJson, session: &Session, next: String) -> Result<Response, ApiError> {
    let cookie = session.set_cookie(app, place::comes_back_by_https(app, parts))?;
    let on = sent_on(&next)?;
    let frame = Frame { title: "Logged in".into(), ..Frame::default() };
    let mut response = shown(as_json, Entered { frame, next })?;
    response.headers_mut().insert(REFRESH, on);
    // The address that this came to is nobody's business. Where there is a form, browsers have to say where it is from.
    response.headers_mut().insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response.headers_mut().append(header::SET_COOKIE, cookie);
    Ok(response)
}

/// They have left omni, and leave the issuer too. A page sends the browser on: a form may be sent on to no other host.
#[derive(Template, Serialize)]
#[template(path = "left.html")]
struct Left {
    #[serde(skip)]
    frame: Frame,
    /// The issuer's page.
    to: String,
}

/// The page that sends whoever left to the issuer's; `None` where it has none, or does not say so in time.
pub(super) async fn left(app: &App, parts: &Parts, as_json: AsJson) -> Result<Option<Response>, ApiError> {
    let Some(back) = place::address(app, parts, "login") else { return Ok(None) };
    let Ok(Some(to)) = timeout(SAYS_WITHIN, app.omni.logout_url(&back)).await else { return Ok(None) };
    let frame = Frame { title: "Logged out".into(), ..Frame::default() };
    let mut response = shown(as_json, Left { frame, to: to.as_str().into() })?;
    response.headers_mut().insert(REFRESH, sent_on(to.as_str())?);
    response.headers_mut().insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    Ok(Some(response))
}

fn sent_on(to: &str) -> Result<HeaderValue, ApiError> {
    HeaderValue::from_str(&format!("0; url={to}")).map_err(|_| ApiError::internal("no such page"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_login_is_over_in_time_though_the_browser_still_has_its_cookie() {
        let way = json!({ "state": "s", "verifier": "v", "redirect_uri": "https://omni.company.com/ui/callback" });
        let pending = json!({ "issuer": "https://issuer", "client_id": "omni", "nonce": "n", "trip": way });
        let trip = json!({ "id": Uuid::nil(), "pending": pending, "next": "audit", "ends": 100 });
        let (key, trip) = ([7; 32], serde_json::from_value::<Trip>(trip).unwrap());
        let sealed = cookie::seal(&key, LABEL, &trip).unwrap();
        for (now, counts) in [(99, true), (100, false), (101, false)] {
            assert_eq!(Trip::opened(&key, &sealed, now).is_some(), counts, "{now}");
        }
    }
}
