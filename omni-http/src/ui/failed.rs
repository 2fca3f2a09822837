//! What went wrong, as a page: with the menu and the way out for whoever was let in.

use std::sync::{Arc, OnceLock};

use askama::Template;
use axum::{
    extract::Request,
    http::{Method, StatusCode},
    response::{Html, IntoResponse as _, Response},
};
use omni_core::Source;

use super::{
    Page,
    answer::{AsJson, Frame, moved, secured, told},
    session::Session,
};
use crate::{caller::Caller, error::ApiError, layers::RequestId, router, state::App};

/// What a request for a page wanted, and who sent it, for when it goes wrong. Clones share who.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    page: Option<Page>,
    /// The page and its query, where it was only looked at.
    looked_at: Option<String>,
    who: Arc<OnceLock<(Caller, String)>>,
}

impl Asked {
    /// `None` where it was for no page, or for the document of one. The request carries it on.
    pub(crate) fn of(mut request: Request) -> (Request, Option<Self>) {
        let is_page = router::route(&request).is_some_and(super::is_page);
        let as_json = AsJson::of(request.uri(), request.headers());
        if !is_page || as_json.is_wanted() {
            return (request, None);
        }
        let page = Page::of_path(request.uri().path());
        let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
        let is_looking = *request.method() == Method::GET;
        let looked_at = page.filter(|_| is_looking).map(|page| format!("{}{query}", page.name()));
        let asked = Self { page, looked_at, who: Arc::default() };
        request.extensions_mut().insert(asked.clone());
        (request, Some(asked))
    }

    /// What is around the page: the menu as far as it is theirs who sent the request, and the form by which they leave.
    async fn frame(&self, app: &App) -> Frame {
        let Some((caller, csrf)) = self.who.get() else { return Frame::default() };
        match app.omni.admin(caller.credential(None), Source::Http).await {
            Ok(admin) => Frame::around(&admin, self.page, csrf),
            Err(_) => Frame { csrf: csrf.clone(), ..Frame::default() },
        }
    }
}

/// Notes who was let in.
pub(crate) fn known(request: &Request) {
    let extensions = request.extensions();
    if let (Some(asked), Some(caller)) = (extensions.get::<Asked>(), extensions.get::<Caller>()) {
        let csrf = extensions.get::<Session>().map(|session| session.csrf().to_owned()).unwrap_or_default();
        asked.who.get_or_init(|| (caller.clone(), csrf));
    }
}

/// There is no page of this name.
pub(super) async fn nothing() -> ApiError {
    ApiError::not_found("there is no such page")
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
pub(crate) async fn failed(app: &App, asked: &Asked, error: &ApiError, status: StatusCode, id: &RequestId) -> Response {
    if status == StatusCode::UNAUTHORIZED {
        let next: String =
            asked.looked_at.iter().flat_map(|to| url::form_urlencoded::byte_serialize(to.as_bytes())).collect();
        let to = if next.is_empty() { "login".into() } else { format!("login?next={next}") };
        return moved(&to).unwrap_or_else(|_| StatusCode::SEE_OTHER.into_response());
    }
    let heading = heading(status);
    let frame = asked.frame(app).await.titled(heading);
    let (status_code, request_id) = (status.as_u16(), id.text().to_owned());
    let page = Failed { frame, status: status_code, heading, details: told(error), request_id };
    let page = page.render().unwrap_or_else(|_| heading.into());
    secured((status, Html(page)).into_response())
}

fn heading(status: StatusCode) -> &'static str {
    match status {
        StatusCode::FORBIDDEN => "You may not do this",
        StatusCode::NOT_FOUND => "There is nothing here",
        StatusCode::CONFLICT => "Things are not as they were",
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => "Not at the moment",
        status if status.is_server_error() => "Something went wrong",
        _ => "That cannot be done",
    }
}
