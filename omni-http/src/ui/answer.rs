//! How a page answers: as a page, or as its document.

use askama::Template;
use axum::{
    extract::{FromRequestParts, Request},
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header, request::Parts},
    response::{Html, IntoResponse as _, Response},
};
use serde::Serialize;

use super::{Page, person::Person};
use crate::{
    error::ApiError,
    extract::Json,
    layers::RequestId,
    router,
    wire::{Detail, FieldError, Place},
};

/// What the pages may do in a browser.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
     form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
);

/// Whether somebody wants the document of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct AsJson(bool);

impl AsJson {
    fn of(uri: &Uri, headers: &HeaderMap) -> Self {
        let accepted = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let names =
            |kind: &str| accepted.split(',').any(|one| one.split(';').next().is_some_and(|one| one.trim() == kind));
        Self(uri.path().ends_with(".json") || (names("application/json") && !names("text/html")))
    }
}

impl<S: Sync> FromRequestParts<S> for AsJson {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self::of(&parts.uri, &parts.headers))
    }
}

/// What is around every page.
#[derive(Debug, Default, Clone)]
pub(super) struct Frame {
    pub(super) title: String,
    pub(super) person: String,
    pub(super) role: String,
    /// What forms bring along; empty for whoever came without a session.
    pub(super) csrf: String,
    pub(super) menu: Vec<Entry>,
    /// What was just done.
    pub(super) notice: Option<&'static str>,
}

/// An entry of the menu.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    pub(super) is_here: bool,
}

impl Frame {
    pub(super) fn of(person: &Person) -> Self {
        let admin = &person.admin;
        let entries = Page::MENU.into_iter().filter(|page| page.admits(admin));
        let entry = |page: Page| Entry { name: page.name(), title: page.title(), is_here: page == person.page.entry() };
        Self {
            title: person.page.title().into(),
            person: admin.principal().subject.clone(),
            role: admin.role_name().unwrap_or("operator").into(),
            csrf: person.csrf.clone(),
            menu: entries.map(entry).collect(),
            notice: person.notice,
        }
    }

    /// The same with another title.
    pub(super) fn titled(mut self, title: impl Into<String>) -> Self {
        self.title = title.into();
        self
    }
}

/// A page, or what it shows as a document.
pub(super) fn shown<T: Template + Serialize>(as_json: AsJson, view: T) -> Result<Response, ApiError> {
    if as_json.0 {
        return Ok(Json(view).into_response());
    }
    let page = view.render().map_err(|error| ApiError::internal(&format!("a page cannot be written: {error}")))?;
    Ok(secured(Html(page).into_response()))
}

/// After something was done: the page that shows it.
pub(super) fn moved(to: &str) -> Result<Response, ApiError> {
    let to = HeaderValue::from_str(to).map_err(|_| ApiError::internal("a page has no such address"))?;
    Ok((StatusCode::SEE_OTHER, [(header::LOCATION, to)]).into_response())
}

fn secured(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, POLICY);
    // Without it a browser does not say where a form comes from, and nobody knows whether that was https.
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    response
}

/// What a request for a page wanted, for when it goes wrong.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// The page and its query, where it was only looked at.
    looked_at: Option<String>,
}

impl Asked {
    /// `None` where it was for no page, or for the document of one.
    pub(crate) fn of(request: &Request) -> Option<Self> {
        let is_page = router::route(request).is_some_and(super::is_page);
        let as_json = AsJson::of(request.uri(), request.headers());
        if !is_page || as_json.0 {
            return None;
        }
        let name = Page::of_path(request.uri().path()).map(Page::name);
        let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
        let looked_at = name.filter(|_| *request.method() == Method::GET).map(|name| format!("{name}{query}"));
        Some(Self { looked_at })
    }
}

#[derive(Template)]
#[template(path = "failed.html")]
struct Failed {
    frame: Frame,
    status: u16,
    heading: &'static str,
    details: Vec<String>,
    request_id: String,
}

/// What went wrong, as a page; whoever is not known is shown where to say who they are.
pub(crate) fn failed(asked: &Asked, error: &ApiError, status: StatusCode, id: &RequestId) -> Response {
    if status == StatusCode::UNAUTHORIZED {
        let next: String =
            asked.looked_at.iter().flat_map(|to| url::form_urlencoded::byte_serialize(to.as_bytes())).collect();
        let to = if next.is_empty() { "login".into() } else { format!("login?next={next}") };
        return moved(&to).unwrap_or_else(|_| StatusCode::SEE_OTHER.into_response());
    }
    let heading = match status {
        StatusCode::FORBIDDEN => "You may not do this",
        StatusCode::NOT_FOUND => "There is nothing here",
        StatusCode::CONFLICT => "Things are not as they were",
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => "Not at the moment",
        status if status.is_server_error() => "Something went wrong",
        _ => "That cannot be done",
    };
    let frame = Frame { title: heading.into(), ..Frame::default() };
    let (status_code, request_id) = (status.as_u16(), id.text().to_owned());
    let page = Failed { frame, status: status_code, heading, details: told(error), request_id };
    let page = page.render().unwrap_or_else(|_| heading.into());
    secured((status, Html(page)).into_response())
}

/// The lines of an error.
pub(super) fn told(error: &ApiError) -> Vec<String> {
    let place = |place: &Place| match place {
        Place::Field(name) => name.clone(),
        Place::Index(at) => at.to_string(),
    };
    let line = |field: &FieldError| {
        let path: Vec<String> = field.loc.iter().skip(1).map(place).collect();
        if path.is_empty() { field.msg.clone() } else { format!("{}: {}", path.join("."), field.msg) }
    };
    match error.detail() {
        Detail::Text(text) => vec![text.clone()],
        Detail::Fields(fields) => fields.iter().map(line).collect(),
    }
}
