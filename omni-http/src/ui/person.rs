//! The one place that asks whether somebody may see a page, and whether a form is of one.

use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Request},
    http::{HeaderMap, header, request::Parts},
};
use omni_core::{Source, omni::Admin};
use subtle::ConstantTimeEq as _;

use super::{Page, fields::Fields, session::Session};
use crate::{
    caller::{Caller, is_of_foreign_page},
    error::ApiError,
    state::App,
};

/// What a page tells of what was just done, by its name in addresses.
const NOTICES: [(&str, &str); 11] = [
    ("approved", "The tool may be used again."),
    ("refreshed", "The configuration was read again, and every server was asked again."),
    ("agreed", "You agreed to the call. The ask goes on."),
    ("denied", "You denied the call. The ask goes on without it."),
    ("revoked", "The key opens nothing any more."),
    ("role", "They have another role from now on."),
    ("role-let-in", "They have another role from now on. It lets them in again: they were kept out."),
    ("disabled", "They are kept out from now on."),
    ("enabled", "They are let in again."),
    ("unblocked", "Nothing keeps them out any more. They have no role: whoever is to come in is given one."),
    ("let-in", "They are let in from now on."),
];

/// An administrator before a page that they may see.
#[derive(Debug)]
pub(super) struct Person {
    pub(super) admin: Admin,
    pub(super) caller: Caller,
    pub(super) page: Page,
    /// What forms bring along; empty for whoever came without a session.
    pub(super) csrf: String,
    /// The query.
    pub(super) query: Fields,
    pub(super) notice: Option<&'static str>,
}

impl FromRequestParts<App> for Person {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let caller = Caller::from_request_parts(parts, app).await?;
        let page = Page::of_path(parts.uri.path()).unwrap_or(Page::Overview);
        let admin = app.omni.admin(caller.credential(None), Source::Http).await?.with_client(caller.client());
        if !page.admits(&admin) {
            let message = format!("{}: the role {} may not see this page", admin.principal().subject, role(&admin));
            return Err(ApiError::denied(&message));
        }
        let csrf = parts.extensions.get::<Session>().map(|session| session.csrf().to_owned()).unwrap_or_default();
        let query = Fields::parse(parts.uri.query().unwrap_or_default().as_bytes());
        let notice = query.of("notice").and_then(|name| NOTICES.iter().find(|(own, _)| *own == name));
        Ok(Self { admin, caller, page, csrf, notice: notice.map(|(_, text)| *text), query })
    }
}

fn role(admin: &Admin) -> &str {
    admin.role_name().unwrap_or_default()
}

/// An administrator and the form that they sent. One that comes with a cookie brings the session's token along.
#[derive(Debug)]
pub(super) struct Posted(pub(super) Person, pub(super) Fields);

impl FromRequest<App> for Posted {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        let (mut parts, body) = request.into_parts();
        let person = Person::from_request_parts(&mut parts, app).await?;
        // Whatever vouches for them: of what a proxy says this was asked before, of a session or a key it was not.
        if is_of_foreign_page(app, &parts) {
            return Err(ApiError::denied("this form is of no page of ours: open the page again"));
        }
        let fields = form(Request::from_parts(parts.clone(), body)).await?;
        if parts.extensions.get::<Session>().is_some() {
            own_form(&parts.headers, &person.csrf, fields.of("csrf").unwrap_or_default())?;
        }
        Ok(Self(person, fields))
    }
}

/// The fields of a form.
pub(super) async fn form(request: Request) -> Result<Fields, ApiError> {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if kind.split(';').next().unwrap_or_default().trim() != "application/x-www-form-urlencoded" {
        return Err(ApiError::denied("a form is wanted"));
    }
    // All of it is here, and no more than may be; see `layers::bounds`.
    let bytes = Bytes::from_request(request, &()).await;
    Ok(Fields::parse(&bytes.map_err(|rejection| ApiError::of_status(rejection.status()))?))
}

/// Whether no page sends a request, or one of ours, as far as the browser says.
pub(super) fn is_of_own_site(headers: &HeaderMap) -> bool {
    let site = headers.get("sec-fetch-site").and_then(|value| value.to_str().ok());
    site.is_none_or(|site| matches!(site, "same-origin" | "none"))
}

/// Refuses a form that is of no page of ours.
pub(super) fn own_form(headers: &HeaderMap, expected: &str, brought: &str) -> Result<(), ApiError> {
    let is_own = !expected.is_empty() && bool::from(expected.as_bytes().ct_eq(brought.as_bytes()));
    if is_own && is_of_own_site(headers) {
        return Ok(());
    }
    Err(ApiError::denied("this form is of no page of yours any more: open the page again"))
}
