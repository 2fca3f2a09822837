//! Who there is.

use axum::extract::State;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::admin;
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
#[utoipa::path(get, path = "/admin/users", tag = "admin", params(PageOfUsers),
    responses((status = 200, body = Vec<AdminUser>)))]
async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(page): Query<PageOfUsers>,
) -> Result<Json<Vec<AdminUser>>, ApiError> {
    let (after, limit) = page.read()?;
    let people = admin(&app, &caller).await?.people(&after, limit).await?;
    Ok(Json(people.page.into_iter().map(Into::into).collect()))
}
