//! Who one is, and who there is: of others only those learn who may manage people.

use axum::extract::State;
use omni_core::{ErrorKind, Source};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    caller::Caller,
    error::ApiError,
    extract::{Json, Path, Query},
    state::App,
    wire::{PageOfUsers, User, UserList},
};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(one))
}

/// List people
///
/// All of them takes the scope `admin` and the permission `can_manage_users`, in the tenant `default`; whoever
/// lacks that finds themselves.
#[utoipa::path(get, path = "/users", tag = "users", params(PageOfUsers), responses((status = 200, body = UserList)))]
async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(page): Query<PageOfUsers>,
) -> Result<Json<UserList>, ApiError> {
    let (after, limit) = page.read()?;
    Ok(Json(app.omni.people(caller.credential(None), &after, limit).await?.into()))
}

/// Who somebody is
///
/// Oneself, or somebody for whom the key may act; anybody else takes the scope `admin` and the
/// permission `can_manage_users`.
#[utoipa::path(get, path = "/users/{email}", tag = "users",
    params(("email" = String, Path, description = "The e-mail address")), responses(
    (status = 200, body = User),
    (status = 404, description = "Nobody is called so"),
))]
async fn one(State(app): State<App>, caller: Caller, Path(email): Path<String>) -> Result<Json<User>, ApiError> {
    match app.omni.profile(caller.credential(Some(&email))).await {
        // Whoever may not be somebody may still manage them.
        Err(error) if error.kind() == ErrorKind::Denied => {
            let admin = app.omni.admin(caller.credential(None), Source::Http).await?;
            Ok(Json(admin.profile_of(&email).await?.into()))
        }
        profile => Ok(Json(profile?.into())),
    }
}
