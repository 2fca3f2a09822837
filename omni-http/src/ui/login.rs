//! Saying who one is, and leaving.

use askama::Template;
use axum::{
    extract::{Request, State},
    http::{StatusCode, header, request::Parts},
    response::{AppendHeaders, IntoResponse as _, Response},
};
use serde::Serialize;

use super::{
    Page,
    answer::{AsJson, Frame, moved, shown, told},
    cookie::{FORM, SESSION},
    fields::{Fields, link},
    person::{form, own_form},
    place,
    session::{self, Session, Who},
};
use crate::{
    caller::{self, Caller},
    error::ApiError,
    state::App,
};

/// How long the form may lie open.
const FORM_SECONDS: i64 = 3_600;

#[derive(Debug, Default, Template, Serialize)]
#[template(path = "login.html")]
struct Login {
    #[serde(skip)]
    frame: Frame,
    #[serde(skip)]
    csrf: String,
    /// Where they wanted to go.
    next: String,
    /// Who gives out tokens that count here.
    issuer: Option<String>,
    /// At whose page they may log in, in short.
    provider: Option<String>,
    /// Where that begins.
    #[serde(skip)]
    start: String,
    /// Who they are without saying so, where whoever comes is known.
    known_as: Option<String>,
    /// Why they were not let in.
    refused: Vec<String>,
}

/// A page of ours and its query; the overview where it is none.
pub(super) fn next(wanted: &str) -> String {
    let (name, query) = wanted.split_once('?').unwrap_or((wanted, ""));
    let page = Page::of(name).unwrap_or(Page::Overview).name();
    let query = Fields::parse(query.as_bytes()).with(&[]);
    if query.is_empty() { page.into() } else { format!("{page}?{query}") }
}

async fn login(app: &App, parts: &Parts, next: String, refused: Vec<String>) -> Login {
    let known_as = match caller::ambient(app, parts) {
        Ok(credential) => Caller::by(app, parts, credential).await.ok().map(|known| known.principal().subject.clone()),
        Err(_) => None,
    };
    let frame = Frame { title: "Log in".into(), ..Frame::default() };
    let (issuer, provider) = (app.omni.token_issuer(), provider(app));
    let start = link("oidc", &[("next", &next)]);
    Login { frame, csrf: session::token(), next, issuer, provider, start, known_as, refused }
}

/// At whose page people log in, without what every address has.
#[cfg(feature = "oidc")]
fn provider(app: &App) -> Option<String> {
    let issuer = app.omni.login_issuer()?;
    let (_, place) = issuer.split_once("://")?;
    Some(place.trim_end_matches('/').to_owned())
}

#[cfg(not(feature = "oidc"))]
fn provider(_: &App) -> Option<String> {
    None
}

/// The form, and the cookie that goes with it.
fn asked(app: &App, parts: &Parts, as_json: AsJson, status: StatusCode, login: Login) -> Result<Response, ApiError> {
    let cookie = FORM.set(&login.csrf, FORM_SECONDS, place::is_https(app, parts))?;
    let mut response = shown(as_json, login)?;
    *response.status_mut() = status;
    response.headers_mut().append(header::SET_COOKIE, cookie);
    Ok(response)
}

pub(super) async fn show(State(app): State<App>, as_json: AsJson, request: Request) -> Result<Response, ApiError> {
    let (parts, _) = request.into_parts();
    let query = Fields::parse(parts.uri.query().unwrap_or_default().as_bytes());
    let login = login(&app, &parts, next(query.of("next").unwrap_or_default()), Vec::new()).await;
    asked(&app, &parts, as_json, StatusCode::OK, login)
}

/// The form again, for whoever came from the issuer's page and was not let in.
#[cfg(feature = "oidc")]
pub(super) async fn refused(
    app: &App,
    parts: &Parts,
    as_json: AsJson,
    next: String,
    error: &ApiError,
) -> Result<Response, ApiError> {
    error.log();
    let login = login(app, parts, next, told(error)).await;
    asked(app, parts, as_json, error.status(), login)
}

/// Somebody says who they are: by a key or a token, or by nothing where whoever comes is known.
pub(super) async fn enter(State(app): State<App>, as_json: AsJson, request: Request) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let fields = form(Request::from_parts(parts.clone(), body)).await?;
    let expected = FORM.of(&parts.headers, place::is_https_alone(&app)).unwrap_or_default();
    own_form(&parts.headers, expected, fields.of("csrf").unwrap_or_default())?;
    let next = next(fields.of("next").unwrap_or_default());
    let entered = match (fields.of("known"), fields.text("key")) {
        (Some(_), _) => known(&app, &parts, Who::Ambient).await,
        (None, key) if key.is_empty() => Err(ApiError::denied("enter an API key")),
        (None, key) => known(&app, &parts, Who::Bearer(key)).await,
    };
    match entered.and_then(|session| session.set_cookie(&app, place::is_https(&app, &parts))) {
        Ok(cookie) => Ok((AppendHeaders([(header::SET_COOKIE, cookie)]), moved(&next)?).into_response()),
        Err(error) => {
            error.log();
            let login = login(&app, &parts, next, told(&error)).await;
            asked(&app, &parts, as_json, StatusCode::UNAUTHORIZED, login)
        }
    }
}

/// A session of somebody who may see a page at all.
pub(super) async fn known(app: &App, parts: &Parts, who: Who) -> Result<Session, ApiError> {
    let caller = Caller::by(app, parts, who.credential(app, parts)?).await?;
    let admin = app.omni.admin(caller.credential(None), omni_core::Source::Http).await?;
    if !Page::Overview.admits(&admin) {
        return Err(ApiError::denied("these pages are for administrators"));
    }
    Ok(Session::begin(who, caller.principal()))
}

/// The session is over.
pub(super) async fn leave(State(app): State<App>, as_json: AsJson, request: Request) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let fields = form(Request::from_parts(parts.clone(), body)).await?;
    if let Some(session) = parts.extensions.get::<Session>() {
        own_form(&parts.headers, session.csrf(), fields.of("csrf").unwrap_or_default())?;
        session.end(&app).await?;
    }
    let gone = SESSION.unset()?.map(|cookie| (header::SET_COOKIE, cookie));
    Ok((AppendHeaders(gone), left(&app, &parts, as_json).await?).into_response())
}

/// Where whoever left goes: to the issuer's page, where the session began at it and it has one for that.
#[cfg(feature = "oidc")]
async fn left(app: &App, parts: &Parts, as_json: AsJson) -> Result<Response, ApiError> {
    if parts.extensions.get::<Session>().is_some_and(Session::is_of_issuer)
        && let Some(response) = super::oidc::left(app, parts, as_json).await?
    {
        return Ok(response);
    }
    moved("login")
}

#[cfg(not(feature = "oidc"))]
#[allow(clippy::unused_async, reason = "where there are issuers, one is asked")]
async fn left(_: &App, _: &Parts, _: AsJson) -> Result<Response, ApiError> {
    moved("login")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_the_login_comes_a_page_of_ours_and_no_other() {
        for (wanted, to) in [
            ("audit?status=error&after=x%26y", "audit?status=error&after=x%26y"),
            ("keys", "keys"),
            ("https://evil.example", "overview"),
            ("//evil.example/audit", "overview"),
            ("", "overview"),
        ] {
            assert_eq!(next(wanted), to, "{wanted}");
        }
    }
}
