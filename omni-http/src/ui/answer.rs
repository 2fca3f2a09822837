//! How a page answers: as a page, or as its document.

use askama::Template;
use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header, request::Parts},
    response::{Html, IntoResponse as _, Response},
};
use omni_core::omni::Admin;
use serde::Serialize;

use super::{Page, person::Person};
use crate::{
    error::ApiError,
    extract::Json,
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
    pub(super) fn of(uri: &Uri, headers: &HeaderMap) -> Self {
        let accepted = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let names =
            |kind: &str| accepted.split(',').any(|one| one.split(';').next().is_some_and(|one| one.trim() == kind));
        Self(uri.path().ends_with(".json") || (names("application/json") && !names("text/html")))
    }

    pub(super) fn is_wanted(self) -> bool {
        self.0
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
        let title = person.page.title().into();
        Self { title, notice: person.notice, ..Self::around(&person.admin, Some(person.page), &person.csrf) }
    }

    /// What is around a page, whichever it is.
    pub(super) fn around(admin: &Admin, page: Option<Page>, csrf: &str) -> Self {
        let (entries, here) = (Page::MENU.into_iter().filter(|page| page.admits(admin)), page.map(Page::entry));
        let entry = |page: Page| Entry { name: page.name(), title: page.title(), is_here: here == Some(page) };
        Self {
            person: admin.principal().subject.clone(),
            role: admin.role_name().unwrap_or("operator").into(),
            csrf: csrf.to_owned(),
            menu: entries.map(entry).collect(),
            ..Self::default()
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

/// Whether what went wrong is told on the page of the form, which keeps what was written.
pub(super) fn is_told_there(as_json: AsJson, error: &ApiError) -> bool {
    const OF_THE_FORM: [StatusCode; 4] =
        [StatusCode::FORBIDDEN, StatusCode::NOT_FOUND, StatusCode::CONFLICT, StatusCode::UNPROCESSABLE_ENTITY];
    !as_json.0 && OF_THE_FORM.contains(&error.status())
}

/// A page that tells what went wrong.
pub(super) fn refused<T: Template + Serialize>(view: T, error: &ApiError) -> Result<Response, ApiError> {
    error.log();
    let mut response = shown(AsJson(false), view)?;
    *response.status_mut() = error.status();
    Ok(response)
}

/// After something was done: the page that shows it.
pub(super) fn moved(to: &str) -> Result<Response, ApiError> {
    let to = HeaderValue::from_str(to).map_err(|_| ApiError::internal("a page has no such address"))?;
    Ok((StatusCode::SEE_OTHER, [(header::LOCATION, to)]).into_response())
}

pub(super) fn secured(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, POLICY);
    // Without it a browser does not say where a form comes from, and nobody knows whether that was https.
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    response
}

/// The lines of an error.
pub(super) fn told(error: &ApiError) -> Vec<String> {
    let line = |(path, message): (String, String)| {
        if path.is_empty() { message } else { format!("{path}: {message}") }
    };
    match error.detail() {
        Detail::Text(text) => vec![text.clone()],
        Detail::Fields(fields) => fields.iter().map(|field| line(placed(field))).collect(),
    }
}

/// The way to a field from where it was sent, and what is wrong with it.
pub(super) fn placed(field: &FieldError) -> (String, String) {
    let place = |place: &Place| match place {
        Place::Field(name) => name.clone(),
        Place::Index(at) => at.to_string(),
    };
    let path: Vec<String> = field.loc.iter().skip(1).map(place).collect();
    (path.join("."), field.msg.clone())
}
