//! Who there is.

use axum::{
    extract::State,
    http::HeaderValue,
    response::{AppendHeaders, IntoResponse},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{admin, policy::NEXT_AFTER};
use crate::{
    caller::Caller,
    error::ApiError,
    extract::{Json, Query},
    state::App,
    wire::{AdminUser, PageOfUsers},
};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list))
}

/// List people
///
/// Everybody whom a file names or the database knows, by address.
#[utoipa::path(get, path = "/admin/users", tag = "admin", params(PageOfUsers), responses(
    (status = 200, body = Vec<AdminUser>, headers(
        ("X-Next-After" = Option<String>, description = "What `after` has to be for the next page, if there is one; \
            as in any query, percent-encoded there"),
    )),
))]
async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(page): Query<PageOfUsers>,
) -> Result<impl IntoResponse, ApiError> {
    let (after, limit) = page.read()?;
    let people = admin(&app, &caller).await?.people(&after, limit).await?;
    // As its bytes are: an address need not be ASCII.
    let next = people.next.and_then(|next| HeaderValue::from_bytes(next.as_bytes()).ok());
    let people: Vec<AdminUser> = people.page.into_iter().map(Into::into).collect();
    Ok((AppendHeaders(next.map(|next| (NEXT_AFTER, next))), Json(people)))
}
