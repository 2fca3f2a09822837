//! Saying who one is, and leaving.

use askama::Template;
use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts},
    response::{AppendHeaders, IntoResponse as _, Response},
};
use omni_core::identity::Credential;
use serde::Serialize;

use super::{
    Page,
    answer::{AsJson, Frame, moved, shown, told},
    fields::Fields,
    person::{form, own_form},
    session::{self, Session, cookie},
};
use crate::{
    caller::{self, Caller},
    error::ApiError,
    state::App,
};

/// The cookie that a login form comes from a page of ours.
const FORM: &str = "omni-login";
/// How long such a form may lie open.
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
    /// Who they are without saying so, where whoever comes is known.
    known_as: Option<String>,
    /// Why they were not let in.
    refused: Vec<String>,
}

/// A page of ours and its query; the overview where it is none.
fn next(wanted: &str) -> String {
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
    Login { frame, csrf: session::token(), next, issuer: app.omni.token_issuer(), known_as, refused }
}

/// The form, and the cookie that goes with it.
fn asked(as_json: AsJson, status: StatusCode, login: Login) -> Result<Response, ApiError> {
    let cookie = session::set(FORM, &login.csrf, FORM_SECONDS, false)?;
    let mut response = shown(as_json, login)?;
    *response.status_mut() = status;
    response.headers_mut().append(header::SET_COOKIE, cookie);
    Ok(response)
}

pub(super) async fn show(State(app): State<App>, as_json: AsJson, request: Request) -> Result<Response, ApiError> {
    let (parts, _) = request.into_parts();
    let query = Fields::parse(parts.uri.query().unwrap_or_default().as_bytes());
    let login = login(&app, &parts, next(query.of("next").unwrap_or_default()), Vec::new()).await;
    asked(as_json, StatusCode::OK, login)
}

/// Somebody says who they are: by a key or a token, or by nothing where whoever comes is known.
pub(super) async fn enter(State(app): State<App>, as_json: AsJson, request: Request) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let fields = form(Request::from_parts(parts.clone(), body)).await?;
    let expected = cookie(&parts.headers, FORM).unwrap_or_default();
    own_form(&parts.headers, expected, fields.of("csrf").unwrap_or_default())?;
    let next = next(fields.of("next").unwrap_or_default());
    let key = fields.text("key");
    let bearer = Some(&*key).filter(|_| fields.of("known").is_none());
    match known(&app, &parts, bearer).await {
        Ok(session) => {
            let cookie = session.set_cookie(&app, is_secure(&parts.headers))?;
            Ok((AppendHeaders([(header::SET_COOKIE, cookie)]), moved(&next)?).into_response())
        }
        Err(error) => {
            error.log();
            let login = login(&app, &parts, next, told(&error)).await;
            asked(as_json, StatusCode::UNAUTHORIZED, login)
        }
    }
}

/// A session of somebody who may see a page at all.
async fn known(app: &App, parts: &Parts, bearer: Option<&str>) -> Result<Session, ApiError> {
    let credential = match bearer {
        Some("") => return Err(ApiError::denied("enter an API key")),
        Some(bearer) => Credential::bearer(bearer.to_owned()),
        None => caller::ambient(app, parts)?,
    };
    let caller = Caller::by(app, parts, credential).await?;
    let admin = app.omni.admin(caller.credential(None), omni_core::Source::Http).await?;
    if !Page::Overview.admits(&admin) {
        return Err(ApiError::denied("these pages are for administrators"));
    }
    Ok(Session::begin(bearer))
}

/// Whether the browser is at a page that came over https.
fn is_secure(headers: &HeaderMap) -> bool {
    let origin = headers.get(header::ORIGIN).map(HeaderValue::as_bytes).unwrap_or_default();
    origin.starts_with(b"https://")
}

/// The session is over.
pub(super) async fn leave(State(app): State<App>, request: Request) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let fields = form(Request::from_parts(parts.clone(), body)).await?;
    if let Some(session) = parts.extensions.get::<Session>() {
        own_form(&parts.headers, session.csrf(), fields.of("csrf").unwrap_or_default())?;
        session.end(&app);
    }
    let gone = session::unset()?.map(|cookie| (header::SET_COOKIE, cookie));
    Ok((AppendHeaders(gone), moved("login")?).into_response())
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
